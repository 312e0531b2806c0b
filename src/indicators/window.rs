//! The last n values: their mean and their deviation.
//! Each value costs the same however long the window is, and nothing is allocated once it is full.

use super::memory::{Memory, Remembered};
use super::ring::Ring;
use super::sum::{Count, Sum, variance};

/// What is kept of a window's values beside themselves, and is brought up to date as one comes and one leaves.
pub trait Kept: Copy + Default {
    /// Takes a value.
    fn add(&mut self, value: f64);

    /// Takes a value for one that leaves. `kept` gives all that are in the window now, from the oldest on: where too many
    /// digits left, it is summed anew.
    fn exchange<I: Iterator<Item = f64>>(&mut self, value: f64, gone: f64, kept: impl Fn() -> I);
}

/// The sum of a window's values.
#[derive(Debug, Clone, Copy)]
pub struct Total {
    sum: Sum,
    last: f64,
    /// How many of the newest values are the same.
    same: usize,
}

impl Default for Total {
    fn default() -> Self {
        Self {
            sum: Sum::default(),
            last: f64::NAN,
            same: 0,
        }
    }
}

impl Total {
    #[inline]
    #[expect(clippy::float_cmp, reason = "the same value, to the bit")]
    fn compare(&mut self, value: f64) {
        self.same = if value == self.last { self.same + 1 } else { 1 };
        self.last = value;
    }

    #[inline]
    fn is_of_equals(self, count: Count) -> bool {
        self.same >= count.length
    }

    /// The mean of a window of `count`, which is that value where all are equal.
    #[inline]
    pub fn mean(self, count: Count) -> f64 {
        if self.is_of_equals(count) {
            self.last
        } else {
            self.sum.value() * count.share
        }
    }
}

impl Kept for Total {
    #[inline]
    fn add(&mut self, value: f64) {
        self.compare(value);
        self.sum.add(value);
    }

    #[inline]
    fn exchange<I: Iterator<Item = f64>>(&mut self, value: f64, gone: f64, kept: impl Fn() -> I) {
        self.compare(value);
        self.sum.exchange(value, gone);
        if !self.sum.is_sound_after(gone) {
            self.sum = kept().collect();
        }
    }
}

impl Remembered for Total {
    fn pass(&mut self, memory: &mut Memory) {
        self.sum.pass(memory);
        self.last.pass(memory);
        self.same.pass(memory);
    }
}

/// The last n values and what is kept of them, such as their sum.
#[derive(Debug, Clone)]
pub struct Window<K = Total> {
    ring: Ring<f64>,
    kept: K,
    count: Count,
}

impl<K: Kept> Window<K> {
    /// An empty window of `length` values.
    pub fn new(length: usize) -> Self {
        let ring = Ring::new(length);
        Self {
            count: Count::new(ring.length()),
            ring,
            kept: K::default(),
        }
    }

    /// How many values it holds once it is full.
    pub fn length(&self) -> usize {
        self.ring.length()
    }

    /// Takes a value.
    #[inline]
    pub fn push(&mut self, value: f64) {
        match self.ring.push(value) {
            None => self.kept.add(value),
            Some(gone) => self.kept.exchange(value, gone, || self.ring.in_order()),
        }
    }

    /// What is kept of a full window.
    #[inline]
    pub fn full(&self) -> Option<K> {
        self.ring.is_full().then_some(self.kept)
    }

    /// Takes values after its own, which have to be the first ones of `values` and to fill it, and tells `write` what
    /// is kept of them at each, with one of `outs`.
    #[inline]
    pub fn slide<O>(
        &mut self,
        values: &[f64],
        outs: impl Iterator<Item = O>,
        mut write: impl FnMut(O, Option<K>, Count),
    ) {
        let (length, count) = (self.ring.length(), self.count);
        let mut kept = self.kept;
        let new = values.iter().enumerate().skip(length);
        for (((last, value), gone), out) in new.zip(values).zip(outs) {
            kept.exchange(*value, *gone, || {
                let window = values.get(last + 1 - length..=last);
                window.unwrap_or_default().iter().copied()
            });
            write(out, Some(kept), count);
        }
        self.kept = kept;
        self.ring.refill(values);
    }

    /// Takes values, as by [`Self::push`], and tells `write` what is kept at each once the window is full, with one of `outs`.
    #[inline]
    pub fn run<O>(
        &mut self,
        values: &[f64],
        mut outs: impl Iterator<Item = O>,
        mut write: impl FnMut(O, Option<K>, Count),
    ) {
        for (value, out) in values.iter().take(self.length()).zip(&mut outs) {
            self.push(*value);
            write(out, self.full(), self.count);
        }
        if values.len() > self.length() {
            self.slide(values, outs, write);
        }
    }

    /// Forgets its values.
    pub fn clear(&mut self) {
        self.ring.clear();
        self.kept = K::default();
    }
}

impl Window {
    /// The mean of a full window.
    #[inline]
    pub fn mean(&self) -> Option<f64> {
        self.ring.is_full().then(|| self.kept.mean(self.count))
    }

    /// The means of the full windows that end at each of `values`.
    pub fn means(&mut self, values: &[f64], means: &mut [f64]) {
        self.run(values, means.iter_mut(), |mean, total, count| {
            *mean = total.map_or(f64::NAN, |total| total.mean(count));
        });
    }
}

impl<K: Kept + Remembered> Remembered for Window<K> {
    fn pass(&mut self, memory: &mut Memory) {
        self.ring.pass(memory);
        self.kept.pass(memory);
    }
}

/// The sum of a window's values and that of their squares.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moments {
    total: Total,
    squares: Sum,
}

impl Moments {
    /// The mean and the population standard deviation of a window of `count`; the latter is 0 exactly where all values
    /// are equal.
    #[inline]
    pub fn mean_and_deviation(self, count: Count) -> (f64, f64) {
        let deviation = if self.total.is_of_equals(count) {
            0.0
        } else {
            variance(self.total.sum, self.squares, count).sqrt()
        };
        (self.total.mean(count), deviation)
    }
}

impl Kept for Moments {
    #[inline]
    fn add(&mut self, value: f64) {
        self.total.add(value);
        self.squares.add_square(value);
    }

    #[inline]
    fn exchange<I: Iterator<Item = f64>>(&mut self, value: f64, gone: f64, kept: impl Fn() -> I) {
        self.total.exchange(value, gone, &kept);
        self.squares.exchange_square(value, gone);
        if !self.squares.is_sound_after(gone * gone) {
            self.squares = Sum::default();
            kept().for_each(|kept| self.squares.add_square(kept));
        }
    }
}

impl Remembered for Moments {
    fn pass(&mut self, memory: &mut Memory) {
        self.total.pass(memory);
        self.squares.pass(memory);
    }
}

/// The last n values, with their mean and their deviation from it.
pub type Spread = Window<Moments>;

impl Spread {
    /// The mean and the population standard deviation of a full window.
    #[inline]
    pub fn mean_and_deviation(&self) -> Option<(f64, f64)> {
        let is_full = self.ring.is_full();
        is_full.then(|| self.kept.mean_and_deviation(self.count))
    }

    /// The means and the deviations of the full windows that end at each of `values`, each told to `write` with one of
    /// `outs`.
    #[inline]
    pub fn means_and_deviations<O>(
        &mut self,
        values: &[f64],
        outs: impl Iterator<Item = O>,
        mut write: impl FnMut(O, (f64, f64)),
    ) {
        self.run(values, outs, |out, moments, count| {
            let of = |moments: Moments| moments.mean_and_deviation(count);
            write(out, moments.map_or((f64::NAN, f64::NAN), of));
        });
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
        let mut spread = Spread::new(20);
        for (i, price) in prices.iter().enumerate() {
            spread.push(*price);
            if i < 19 {
                assert_eq!(spread.mean_and_deviation(), None);
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
