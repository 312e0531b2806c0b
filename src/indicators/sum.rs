//! A running sum in double-double arithmetic: what is added and taken away again leaves no rounding that matters.
//! It does not know which numbers it holds: that is the window's.

use super::memory::{Memory, Remembered};

/// The unevaluated sum of two numbers, which carries about 106 bits: a plain sum, and the sum of what its roundings lost.
///
/// Sources: T. J. Dekker, "A floating-point technique for extending the available precision", Numerische Mathematik 18
/// (1971), for exact products by halves; D. E. Knuth, The Art of Computer Programming 2, 4.2.2, theorem B (the exact sum of two
/// numbers); T. Ogita, S. M. Rump, S. Oishi, "Accurate sum and dot product", SIAM Journal on Scientific Computing 26 (2005),
/// algorithm 4.4.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum {
    high: f64,
    low: f64,
}

/// `a + b`, rounded, and what the rounding lost.
#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let of_b = sum - a;
    (sum, (a - (sum - of_b)) + (b - of_b))
}

/// A number as two of half its digits each, whose products are exact.
#[inline]
fn halves(a: f64) -> (f64, f64) {
    let coarse = f64::from_bits(a.to_bits() & !0x07ff_ffff);
    (coarse, a - coarse)
}

/// `a²`, rounded, and what the rounding lost.
#[inline]
fn square(a: f64) -> (f64, f64) {
    let (coarse, fine) = halves(a);
    let square = a * a;
    let lost = ((coarse * coarse - square) + 2.0 * (coarse * fine)) + fine * fine;
    (square, lost)
}

impl Remembered for Sum {
    fn pass(&mut self, memory: &mut Memory) {
        self.high.pass(memory);
        self.low.pass(memory);
    }
}

impl FromIterator<f64> for Sum {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut sum = Self::default();
        values.into_iter().for_each(|value| sum.add(value));
        sum
    }
}

impl Sum {
    #[inline]
    fn plus(&mut self, value: f64, rest: f64) {
        let (high, lost) = two_sum(self.high, value);
        self.high = high;
        self.low += lost + rest;
    }

    /// Adds a number.
    #[inline]
    pub fn add(&mut self, value: f64) {
        self.plus(value, 0.0);
    }

    /// Adds the square of a number.
    #[inline]
    pub fn add_square(&mut self, value: f64) {
        let (square, lost) = square(value);
        self.plus(square, lost);
    }

    /// Adds a number and takes another one away that was added. Their difference comes first, so that the next exchange
    /// waits for one addition to this sum, not for two.
    #[inline]
    pub fn exchange(&mut self, value: f64, gone: f64) {
        let (difference, lost) = two_sum(value, -gone);
        self.plus(difference, lost);
    }

    /// Adds the square of a number and takes that of another one away.
    #[inline]
    pub fn exchange_square(&mut self, value: f64, gone: f64) {
        let ((square, lost), (gone, gone_lost)) = (square(value), square(gone));
        let (difference, rest) = two_sum(square, -gone);
        self.plus(difference, rest + (lost - gone_lost));
    }

    /// The sum as one number.
    #[inline]
    pub fn value(self) -> f64 {
        self.high + self.low
    }

    /// The sum as one number, and what its rounding lost.
    #[inline]
    fn parts(self) -> (f64, f64) {
        let value = self.value();
        (value, self.low - (value - self.high))
    }

    /// The sum divided by a count, so that the mean of equal numbers is that number.
    #[inline]
    pub fn over(self, count: Count) -> f64 {
        let (value, rest) = self.parts();
        let quotient = value * count.share;
        let (coarse, fine) = halves(quotient);
        let rest = ((value - coarse * count.count) - fine * count.count) + rest;
        quotient + rest * count.share
    }

    /// False where what is left is so much smaller than what was just taken away that its digits may be lost, or is no
    /// number: then it has to be summed anew.
    #[inline]
    pub fn is_sound_after(self, removed: f64) -> bool {
        // 2^40: of 106 bits, 66 are left
        const MOST: f64 = 1_099_511_627_776.0;
        removed.abs() <= MOST * self.value().abs()
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

/// How many numbers a mean is of. It is below 2^26, so that its products with halves are exact.
#[derive(Debug, Clone, Copy)]
pub struct Count {
    /// The length.
    pub length: usize,
    count: f64,
    /// What one of them is of the whole.
    pub share: f64,
}

impl Count {
    /// Of a length.
    pub fn new(length: usize) -> Self {
        let count = count(length);
        Self {
            length,
            count,
            share: 1.0 / count,
        }
    }
}

/// The population variance of `count` numbers from their sum and the sum of their squares, `(n·Σx² - (Σx)²) / n²`. The
/// two terms are subtracted in double-double arithmetic: in plain `f64` a stablecoin's variance would be rounding.
#[inline]
pub fn variance(sum: Sum, squares: Sum, count: Count) -> f64 {
    let Count { count, share, .. } = count;
    let ((sum, sum_rest), (squares, squares_rest)) = (sum.parts(), squares.parts());
    let a = squares * count;
    let (coarse, fine) = halves(squares);
    let a_lost = ((coarse * count - a) + fine * count) + squares_rest * count;
    let (b, b_lost) = square(sum);
    let b_lost = b_lost + 2.0 * sum * sum_rest;
    let (difference, lost) = two_sum(a, -b);
    let difference = difference + (lost + (a_lost - b_lost));
    // rounding may leave less than nothing; no number stays none
    let positive = if difference < 0.0 { 0.0 } else { difference };
    positive * (share * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_and_removed_leaves_nothing_behind() {
        let (mut sum, mut squares) = (Sum::default(), Sum::default());
        let values: Vec<f64> = (0..100_000).map(|i| 1e5 + f64::from(i) * 0.1).collect();
        for value in &values {
            sum.add(*value);
            squares.add_square(*value);
        }
        let (total, total_of_squares) = (sum.value(), squares.value());
        for value in &values {
            sum.exchange(0.0, *value);
            squares.exchange_square(0.0, *value);
        }
        assert!(sum.value().abs() < 1e-26 * total);
        assert!(squares.value().abs() < 1e-26 * total_of_squares);
    }

    #[test]
    fn the_mean_of_equal_numbers_is_that_number() {
        for value in [0.1, 1e-9, 0.999_99, 67_431.123] {
            let mut sum = Sum::default();
            for count in 1..200 {
                sum.add(value);
                assert_eq!(sum.over(Count::new(count)), value);
            }
        }
    }

    #[test]
    fn the_variance_of_prices_close_to_each_other_keeps_its_digits() {
        let (mut sum, mut squares) = (Sum::default(), Sum::default());
        for value in [1e5, 1e5 + 1.0 / 1024.0] {
            sum.add(value);
            squares.add_square(value);
        }
        let exact = (0.5_f64 / 1024.0).powi(2);
        assert!((variance(sum, squares, Count::new(2)) / exact - 1.0).abs() < 1e-12);
    }
}
