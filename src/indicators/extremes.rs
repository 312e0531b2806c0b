//! The lowest and the highest of the last n values.
//! Each value costs the same however many they are, on average.

use std::collections::VecDeque;

use super::memory::{Memory, Remembered};

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
    #[inline]
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
    #[inline]
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

    #[test]
    fn a_window_has_the_extremes_of_its_values_alone() {
        let prices = (0..3_000_u32).map(|i| f64::from(i.wrapping_mul(2_654_435_761) >> 16));
        let prices: Vec<f64> = prices.collect();
        let mut extremes = Extremes::new(20);
        for (i, price) in prices.iter().enumerate() {
            extremes.push(*price);
            let window = prices[..=i].last_chunk::<20>();
            let exact = window.map(|window| {
                let low = window.iter().copied().fold(f64::INFINITY, f64::min);
                (low, window.iter().copied().fold(0.0, f64::max))
            });
            assert_eq!(extremes.low_and_high(), exact);
        }
    }
}
