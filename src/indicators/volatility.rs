//! Realised volatility: how far the price went in the last n returns, as a rate a year.
//! It takes the time that the returns took, not a number of steps, so points need no grid.

use super::memory::{Memory, Remembered};
use super::ring::Ring;
use super::sum::Sum;
use super::window::{Kept, Window};

/// 365 days, in microseconds: coins are traded on all of them.
const YEAR: f64 = 365.0 * 86_400_000_000.0;

/// The sum of the squares of a window's returns.
#[derive(Debug, Clone, Copy, Default)]
struct Squares(Sum);

impl Kept for Squares {
    #[inline]
    fn add(&mut self, value: f64) {
        self.0.add(value * value);
    }

    #[inline]
    fn exchange<I: Iterator<Item = f64>>(&mut self, value: f64, gone: f64, kept: impl Fn() -> I) {
        let gone = gone * gone;
        self.0.exchange(value * value, gone);
        if !self.0.is_sound_after(gone) {
            self.0 = kept().map(|kept| kept * kept).collect();
        }
    }
}

impl Remembered for Squares {
    fn pass(&mut self, memory: &mut Memory) {
        self.0.pass(memory);
    }
}

/// The realised volatility of one series.
#[derive(Debug, Clone)]
pub struct Volatility {
    returns: Window<Squares>,
    /// When each of the returns began.
    begins: Ring<i64>,
    last: Option<i64>,
}

impl Volatility {
    /// Of `length` returns.
    pub fn new(length: usize) -> Self {
        Self {
            returns: Window::new(length),
            begins: Ring::new(length),
            last: None,
        }
    }

    /// Takes a point by its stamp and the log return that led to it: `sqrt(Σr² · year / t)` of the last n returns, which
    /// together took t. A point whose return is no number, such as that of a price of 0, begins anew.
    ///
    /// Source: T. G. Andersen, T. Bollerslev, F. X. Diebold and P. Labys, "Modeling and Forecasting Realized Volatility",
    /// Econometrica 71 (2003): the square root of the sum of squared returns, from which no mean is taken.
    #[inline]
    pub fn push(&mut self, stamp: i64, log_return: f64) -> Option<f64> {
        let begin = self.last.replace(stamp);
        let Some(begin) = begin.filter(|_| !log_return.is_nan()) else {
            self.returns.clear();
            self.begins.clear();
            return None;
        };
        self.returns.push(log_return);
        self.begins.push(begin);
        let begin = self.begins.oldest()?;
        let squares = self.returns.full()?;
        Some(rate(squares, begin, stamp))
    }

    /// Takes points, as by [`Self::push`].
    pub fn run(&mut self, mut stamps: &[i64], mut log_returns: &[f64], mut values: &mut [f64]) {
        while !log_returns.is_empty() {
            let is_none = |log_return: &f64| log_return.is_nan();
            let end = log_returns.iter().position(is_none);
            let end = end.unwrap_or(log_returns.len());
            let (part, rest) = log_returns.split_at(end);
            let (ends, later) = stamps.split_at(end);
            let (outs, others) = values.split_at_mut(end);
            self.run_returns(ends, part, outs);
            (log_returns, stamps, values) = (rest, later, others);
            if let (Some(none), Some(stamp)) =
                (log_returns.split_off_first(), stamps.split_off_first())
                && let Some(value) = values.split_off_first_mut()
            {
                *value = self.push(*stamp, *none).unwrap_or(f64::NAN);
            }
        }
    }

    fn run_returns(&mut self, ends: &[i64], log_returns: &[f64], values: &mut [f64]) {
        let length = self.returns.length();
        let (first, rest) = values.split_at_mut(length.min(values.len()));
        for ((end, log_return), value) in ends.iter().zip(log_returns).zip(first) {
            *value = self.push(*end, *log_return).unwrap_or(f64::NAN);
        }
        if rest.is_empty() {
            return;
        }
        // a window's first return began where the last one that is not in it ended
        let begins = ends.iter();
        let outs = ends.iter().skip(length).zip(begins).zip(rest);
        let returns = &mut self.returns;
        returns.slide(log_returns, outs, |((end, begin), value), squares, _| {
            *value = squares.map_or(f64::NAN, |squares| rate(squares, *begin, *end));
        });
        let (last, begins) = ends
            .split_last()
            .map_or((None, ends), |(last, begins)| (Some(*last), begins));
        self.begins.refill(begins);
        self.last = last;
    }

    /// Forgets its points.
    pub fn clear(&mut self) {
        self.returns.clear();
        self.begins.clear();
        self.last = None;
    }
}

/// What squares of returns between two instants are in a year, as a standard deviation.
#[inline]
#[expect(
    clippy::cast_precision_loss,
    reason = "spans of up to 285 years are exact"
)]
fn rate(Squares(squares): Squares, begin: i64, end: i64) -> f64 {
    let took = end.saturating_sub(begin) as f64;
    let squares = squares.value();
    // rounding may leave less than nothing; no number stays none
    let positive = if squares < 0.0 { 0.0 } else { squares };
    (positive * (YEAR / took)).sqrt()
}

impl Remembered for Volatility {
    fn pass(&mut self, memory: &mut Memory) {
        self.returns.pass(memory);
        self.begins.pass(memory);
        self.last.pass(memory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;

    #[test]
    fn a_year_of_equal_returns_is_its_own_scale() {
        let mut volatility = Volatility::new(4);
        let values: Vec<_> = (0..6)
            .map(|day| volatility.push(day * DAY, if day > 0 { 0.01 } else { f64::NAN }))
            .collect();
        assert_eq!(values[..4], [None; 4]);
        let exact = 0.01 * 365.0_f64.sqrt();
        assert!((values[4].unwrap() - exact).abs() < 1e-15);
        assert!((values[5].unwrap() - exact).abs() < 1e-15);
    }

    #[test]
    fn a_step_that_took_twice_as_long_counts_as_two() {
        let mut volatility = Volatility::new(2);
        volatility.push(0, f64::NAN);
        volatility.push(DAY, 0.01);
        let value = volatility.push(3 * DAY, -0.02).unwrap();
        assert!((value - (5e-4 * 365.0 / 3.0_f64).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn prices_that_stood_still_have_none_left_of_an_earlier_jump() {
        let mut volatility = Volatility::new(3);
        volatility.push(0, f64::NAN);
        volatility.push(1, 27.0);
        let mut last = None;
        for (stamp, step) in (2..).zip([1e-12, 0.0, 0.0, 0.0]) {
            last = volatility.push(stamp, step);
        }
        assert_eq!(last, Some(0.0));
    }
}
