//! The last n values: their mean, their deviation, their extremes.
//! Each value costs the same however long the window is, and nothing is allocated once it is full.

use std::collections::VecDeque;

use super::memory::{Memory, Remembered};
use super::sum::{Sum, variance};

/// The last n values, the oldest of which the next one replaces.
#[derive(Debug, Clone)]
pub struct Ring<T> {
    values: Vec<T>,
    length: usize,
    oldest: usize,
}

impl<T: Copy> Ring<T> {
    /// An empty ring that holds `length` values, at least one.
    pub fn new(length: usize) -> Self {
        Self {
            values: Vec::new(),
            length: length.max(1),
            oldest: 0,
        }
    }

    /// Takes a value, and gives back the one that had to leave.
    pub fn push(&mut self, value: T) -> Option<T> {
        if self.values.len() < self.length {
            self.values.push(value);
            return None;
        }
        let place = self.values.get_mut(self.oldest)?;
        self.oldest = (self.oldest + 1) % self.length;
        Some(std::mem::replace(place, value))
    }

    /// The values, in no order.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// The value that would leave next, once it is full; before that, the first one.
    pub fn oldest(&self) -> Option<T> {
        self.values.get(self.oldest).copied()
    }

    /// True once it holds as many values as it can.
    pub fn is_full(&self) -> bool {
        self.values.len() == self.length
    }

    /// Forgets its values.
    pub fn clear(&mut self) {
        self.values.clear();
        self.oldest = 0;
    }
}

impl<T: Remembered + Default + Clone> Remembered for Ring<T> {
    fn pass(&mut self, memory: &mut Memory) {
        self.values.pass(memory);
        self.oldest.pass(memory);
        if self.values.len() > self.length || self.oldest >= self.length {
            memory.refuse();
        }
    }
}

/// A length as a number, to divide by.
#[expect(
    clippy::cast_precision_loss,
    reason = "lengths are far below what a number holds exactly"
)]
pub fn count(length: usize) -> f64 {
    length as f64
}

/// The last n values and their sum.
#[derive(Debug, Clone)]
pub struct Window {
    ring: Ring<f64>,
    sum: Sum,
}

impl Window {
    /// An empty window of `length` values.
    pub fn new(length: usize) -> Self {
        Self {
            ring: Ring::new(length),
            sum: Sum::default(),
        }
    }

    /// Takes a value, and gives back the one that had to leave.
    pub fn push(&mut self, value: f64) -> Option<f64> {
        self.sum.add(value);
        let gone = self.ring.push(value)?;
        self.sum.remove(gone);
        if !self.sum.is_sound_after(gone) {
            self.sum = Sum::default();
            self.ring
                .values()
                .iter()
                .for_each(|kept| self.sum.add(*kept));
        }
        Some(gone)
    }

    /// The sum of a full window.
    pub fn total(&self) -> Option<f64> {
        self.ring.is_full().then(|| self.sum.value())
    }

    /// The mean of a full window.
    pub fn mean(&self) -> Option<f64> {
        let is_full = self.ring.is_full();
        is_full.then(|| self.sum.over(count(self.ring.length)))
    }

    /// Forgets its values.
    pub fn clear(&mut self) {
        self.ring.clear();
        self.sum = Sum::default();
    }
}

impl Remembered for Window {
    fn pass(&mut self, memory: &mut Memory) {
        self.ring.pass(memory);
        self.sum.pass(memory);
    }
}

/// The last n values, with their mean and their deviation from it.
#[derive(Debug, Clone)]
pub struct Spread {
    window: Window,
    squares: Sum,
    last: f64,
    /// How many of the newest values are the same.
    same: usize,
}

impl Spread {
    /// An empty window of `length` values.
    pub fn new(length: usize) -> Self {
        Self {
            window: Window::new(length),
            squares: Sum::default(),
            last: f64::NAN,
            same: 0,
        }
    }

    /// Takes a value.
    #[expect(clippy::float_cmp, reason = "the same value, to the bit")]
    pub fn push(&mut self, value: f64) {
        self.same = if value == self.last { self.same + 1 } else { 1 };
        self.last = value;
        self.squares.add_square(value);
        let Some(gone) = self.window.push(value) else {
            return;
        };
        self.squares.remove_square(gone);
        if !self.squares.is_sound_after(gone * gone) {
            self.squares = Sum::default();
            let kept = self.window.ring.values();
            kept.iter().for_each(|kept| self.squares.add_square(*kept));
        }
    }

    /// The mean and the population standard deviation of a full window; the latter is 0 exactly where all values are equal.
    pub fn mean_and_deviation(&self) -> Option<(f64, f64)> {
        let mean = self.window.mean()?;
        let length = self.window.ring.length;
        if self.same >= length {
            return Some((mean, 0.0));
        }
        let variance = variance(self.window.sum, self.squares, count(length));
        Some((mean, variance.sqrt()))
    }

    /// Forgets its values.
    pub fn clear(&mut self) {
        self.window.clear();
        self.squares = Sum::default();
        self.same = 0;
    }
}

impl Remembered for Spread {
    fn pass(&mut self, memory: &mut Memory) {
        self.window.pass(memory);
        self.squares.pass(memory);
        self.last.pass(memory);
        self.same.pass(memory);
    }
}

/// The lowest and the highest of the last n values.
#[derive(Debug, Clone)]
pub struct Extremes {
    length: usize,
    seen: usize,
    /// Values that may still become the lowest, each with its number: rising, since a later lower one outlives those before.
    lows: VecDeque<(usize, f64)>,
    highs: VecDeque<(usize, f64)>,
}

impl Extremes {
    /// Of the last `length` values.
    pub fn new(length: usize) -> Self {
        Self {
            length,
            seen: 0,
            lows: VecDeque::new(),
            highs: VecDeque::new(),
        }
    }

    /// Takes a value.
    pub fn push(&mut self, value: f64) {
        self.seen += 1;
        let first = (self.seen + 1).saturating_sub(self.length);
        keep(&mut self.lows, (self.seen, value), first, |other| {
            other >= value
        });
        keep(&mut self.highs, (self.seen, value), first, |other| {
            other <= value
        });
    }

    /// The lowest and the highest value once there were n.
    pub fn low_and_high(&self) -> Option<(f64, f64)> {
        let (low, high) = (self.lows.front()?.1, self.highs.front()?.1);
        (self.seen >= self.length).then_some((low, high))
    }

    /// Forgets its values.
    pub fn clear(&mut self) {
        self.seen = 0;
        self.lows.clear();
        self.highs.clear();
    }
}

impl Remembered for Extremes {
    fn pass(&mut self, memory: &mut Memory) {
        self.seen.pass(memory);
        self.lows.pass(memory);
        self.highs.pass(memory);
    }
}

fn keep(
    values: &mut VecDeque<(usize, f64)>,
    newest: (usize, f64),
    first: usize,
    is_outlived: impl Fn(f64) -> bool,
) {
    while values.back().is_some_and(|(_, other)| is_outlived(*other)) {
        values.pop_back();
    }
    values.push_back(newest);
    while values.front().is_some_and(|(number, _)| *number < first) {
        values.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(length: u32) -> Vec<f64> {
        let step = |i: u32| f64::from(i.wrapping_mul(2_654_435_761) >> 16) / 65_536.0 - 0.5;
        let mut price = 1.0;
        let walk = (0..length).map(|i| {
            price += step(i) * 1e-5;
            price
        });
        walk.collect()
    }

    #[test]
    fn a_window_is_the_same_as_its_values_alone() {
        let prices = walk(3_000);
        let (mut spread, mut extremes) = (Spread::new(20), Extremes::new(20));
        for (i, price) in prices.iter().enumerate() {
            spread.push(*price);
            extremes.push(*price);
            if i < 19 {
                assert_eq!(spread.mean_and_deviation(), None);
                assert_eq!(extremes.low_and_high(), None);
                continue;
            }
            let window = &prices[i - 19..=i];
            let (mean, deviation) = spread.mean_and_deviation().unwrap();
            let shifted = window.iter().map(|price| price - window[0]).sum::<f64>() / 20.0;
            let squares = window.iter().map(|p| (p - window[0] - shifted).powi(2));
            let exact = (squares.sum::<f64>() / 20.0).sqrt();
            assert!((mean - window[0] - shifted).abs() < 1e-15);
            assert!(
                (deviation / exact - 1.0).abs() < 1e-9,
                "{deviation} {exact}"
            );
            let low = window.iter().copied().fold(f64::INFINITY, f64::min);
            let high = window.iter().copied().fold(0.0, f64::max);
            assert_eq!(extremes.low_and_high(), Some((low, high)));
        }
    }

    #[test]
    fn equal_prices_have_no_deviation_at_all() {
        let mut spread = Spread::new(20);
        walk(50).iter().for_each(|price| spread.push(*price));
        (0..20).for_each(|_| spread.push(0.999_97));
        assert_eq!(spread.mean_and_deviation(), Some((0.999_97, 0.0)));
    }

    #[test]
    fn a_wild_price_that_has_left_the_window_leaves_no_trace() {
        let (mut spread, mut calm) = (Spread::new(5), Spread::new(5));
        spread.push(1e30);
        for price in [1e-9, 1.1e-9, 0.9e-9, 1e-9, 1.05e-9] {
            spread.push(price);
            calm.push(price);
        }
        assert_eq!(spread.mean_and_deviation(), calm.mean_and_deviation());
    }
}
