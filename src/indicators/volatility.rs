//! Realised volatility: how far the price went in the last n returns, as a rate a year.
//! It takes the time that the returns took, not a number of steps, so points need no grid.

use super::memory::{Memory, Remembered};
use super::window::{Ring, Window};

/// 365 days, in microseconds: coins are traded on all of them.
const YEAR: f64 = 365.0 * 86_400_000_000.0;

/// The realised volatility of one series.
#[derive(Debug, Clone)]
pub struct Volatility {
    squares: Window,
    /// When each of the returns began.
    begins: Ring<i64>,
    last: Option<i64>,
}

impl Volatility {
    /// Of `length` returns.
    pub fn new(length: usize) -> Self {
        Self {
            squares: Window::new(length),
            begins: Ring::new(length),
            last: None,
        }
    }

    /// Takes a point by its stamp and the log return that led to it: `sqrt(Σr² · year / t)` of the last n returns, which
    /// together took t. A point without a return, such as a price of 0, begins anew.
    ///
    /// Source: T. G. Andersen, T. Bollerslev, F. X. Diebold and P. Labys, "Modeling and Forecasting Realized Volatility",
    /// Econometrica 71 (2003): the square root of the sum of squared returns, from which no mean is taken.
    #[expect(
        clippy::cast_precision_loss,
        reason = "spans of up to 285 years are exact"
    )]
    pub fn push(&mut self, stamp: i64, log_return: Option<f64>) -> Option<f64> {
        let Some((log_return, begin)) = log_return.zip(self.last.replace(stamp)) else {
            self.squares.clear();
            self.begins.clear();
            return None;
        };
        self.squares.push(log_return * log_return);
        self.begins.push(begin);
        let took = stamp.saturating_sub(self.begins.oldest()?) as f64;
        let total = self.squares.total()?.max(0.0);
        Some((total * (YEAR / took)).sqrt())
    }

    /// Forgets its points.
    pub fn clear(&mut self) {
        self.squares.clear();
        self.begins.clear();
        self.last = None;
    }
}

impl Remembered for Volatility {
    fn pass(&mut self, memory: &mut Memory) {
        self.squares.pass(memory);
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
            .map(|day| volatility.push(day * DAY, (day > 0).then_some(0.01)))
            .collect();
        assert_eq!(values[..4], [None; 4]);
        let exact = 0.01 * 365.0_f64.sqrt();
        assert!((values[4].unwrap() - exact).abs() < 1e-15);
        assert!((values[5].unwrap() - exact).abs() < 1e-15);
    }

    #[test]
    fn a_step_that_took_twice_as_long_counts_as_two() {
        let mut volatility = Volatility::new(2);
        volatility.push(0, None);
        volatility.push(DAY, Some(0.01));
        let value = volatility.push(3 * DAY, Some(-0.02)).unwrap();
        assert!((value - (5e-4 * 365.0 / 3.0_f64).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn prices_that_stood_still_have_none_left_of_an_earlier_jump() {
        let mut volatility = Volatility::new(3);
        volatility.push(0, None);
        volatility.push(1, Some(27.0));
        let mut last = None;
        for (stamp, step) in (2..).zip([1e-12, 0.0, 0.0, 0.0]) {
            last = volatility.push(stamp, Some(step));
        }
        assert_eq!(last, Some(0.0));
    }
}
