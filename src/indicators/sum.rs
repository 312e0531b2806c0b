//! A running sum in double-double arithmetic: what is added and taken away again leaves no rounding that matters.
//! It does not know which numbers it holds: that is the window's.

use super::memory::{Memory, Remembered};

/// The unevaluated sum of two numbers, which carries about 106 bits.
///
/// Sources: T. J. Dekker, "A floating-point technique for extending the available precision", Numerische Mathematik 18
/// (1971); D. E. Knuth, The Art of Computer Programming 2, 4.2.2, theorem B (the exact sum of two numbers).
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum {
    high: f64,
    low: f64,
}

/// `a + b`, rounded, and what the rounding lost.
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let of_b = sum - a;
    (sum, (a - (sum - of_b)) + (b - of_b))
}

/// `a · b`, rounded, and what the rounding lost.
fn two_product(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    (product, a.mul_add(b, -product))
}

impl Remembered for Sum {
    fn pass(&mut self, memory: &mut Memory) {
        self.high.pass(memory);
        self.low.pass(memory);
    }
}

impl Sum {
    fn plus(self, high: f64, low: f64) -> Self {
        let (sum, lost) = two_sum(self.high, high);
        let lost = lost + (self.low + low);
        let high = sum + lost;
        Self {
            high,
            low: lost - (high - sum),
        }
    }

    /// Adds a number.
    pub fn add(&mut self, value: f64) {
        *self = self.plus(value, 0.0);
    }

    /// Takes a number away that was added.
    pub fn remove(&mut self, value: f64) {
        *self = self.plus(-value, 0.0);
    }

    /// Adds the square of a number.
    pub fn add_square(&mut self, value: f64) {
        let (square, lost) = two_product(value, value);
        *self = self.plus(square, lost);
    }

    /// Takes the square of a number away that was added.
    pub fn remove_square(&mut self, value: f64) {
        let (square, lost) = two_product(value, value);
        *self = self.plus(-square, -lost);
    }

    /// The sum as one number.
    pub fn value(self) -> f64 {
        self.high
    }

    /// The sum divided by `count`, so that the mean of equal numbers is that number.
    pub fn over(self, count: f64) -> f64 {
        let quotient = self.high / count;
        let rest = (-quotient).mul_add(count, self.high) + self.low;
        quotient + rest / count
    }

    /// False where what is left is so much smaller than what was just taken away that its digits may be lost: then it
    /// has to be summed anew.
    pub fn is_sound_after(self, removed: f64) -> bool {
        // 2^40: of 106 bits, 66 are left
        const MOST: f64 = 1_099_511_627_776.0;
        self.high.is_finite() && removed.abs() <= MOST * self.high.abs()
    }
}

/// The population variance of `count` numbers from their sum and the sum of their squares, `(n·Σx² - (Σx)²) / n²`. The
/// two terms are subtracted in double-double arithmetic: in plain `f64` a stablecoin's variance would be rounding.
pub fn variance(sum: Sum, squares: Sum, count: f64) -> f64 {
    let (a, a_lost) = two_product(count, squares.high);
    let a_lost = count.mul_add(squares.low, a_lost);
    let (b, b_lost) = two_product(sum.high, sum.high);
    let b_lost = (2.0 * sum.high).mul_add(sum.low, b_lost);
    let (difference, lost) = two_sum(a, -b);
    (difference + (lost + (a_lost - b_lost))).max(0.0) / (count * count)
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
        let total = squares.high;
        for value in &values {
            sum.remove(*value);
            squares.remove_square(*value);
        }
        assert_eq!((sum.high, sum.low), (0.0, 0.0));
        assert!(squares.high.abs() < 1e-28 * total);
    }

    #[test]
    fn the_mean_of_equal_numbers_is_that_number() {
        for value in [0.1, 1e-9, 0.999_99, 67_431.123] {
            let mut sum = Sum::default();
            for count in 1..200 {
                sum.add(value);
                assert_eq!(sum.over(f64::from(count)), value);
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
        assert!((variance(sum, squares, 2.0) / exact - 1.0).abs() < 1e-12);
    }
}
