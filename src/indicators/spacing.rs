//! When the hole between two points of a series is too long for a window to reach over it.
//! What is usual is learned from the series itself, and only from its past.

use super::memory::{Memory, Remembered};
use super::ring::Ring;

/// How many of the last steps tell the usual one. Hourly points of CoinGecko's lie 11 to 111 minutes apart, so few would
/// not do; many would be slow to learn that a coarser series has begun.
const REMEMBERED: usize = 15;

/// The longest time between two points over which windows reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxGap {
    /// So many times the usual step: the median of the last 15 steps before.
    Steps(f64),
    /// So many microseconds.
    Time(i64),
    /// Any.
    Unlimited,
}

/// The steps of one series.
#[derive(Debug, Clone)]
pub struct Spacing {
    max_gap: MaxGap,
    /// Of each remembered step the longest time that would be no gap if it were the usual one.
    longest: Ring<f64>,
    /// None of these is below it.
    floor: f64,
}

impl Spacing {
    /// Of a series that has no point yet.
    pub fn new(max_gap: MaxGap) -> Self {
        Self {
            max_gap,
            longest: Ring::new(REMEMBERED),
            floor: f64::INFINITY,
        }
    }

    /// Takes the time from the last point to the next one, in microseconds: true where it is a gap.
    ///
    /// A gap counts as a step too, so a series that becomes coarser for good is one gap after the other for eight steps,
    /// and usual from then on.
    #[inline]
    #[expect(
        clippy::cast_precision_loss,
        reason = "steps of up to 285 years are exact, and no longer one is close to a bound"
    )]
    pub fn is_gap(&mut self, step: i64) -> bool {
        match self.max_gap {
            MaxGap::Unlimited => false,
            MaxGap::Time(longest) => step > longest,
            MaxGap::Steps(steps) => {
                let step = step as f64;
                let is_gap = self.is_longer(step);
                self.longest.push(steps * step);
                self.floor = self.floor.min(steps * step);
                is_gap
            }
        }
    }

    /// True where a step is too long for the median of those before: for the lower half of them and the middle one.
    #[inline]
    fn is_longer(&mut self, step: f64) -> bool {
        step > self.floor && self.is_longer_than_most(step)
    }

    fn is_longer_than_most(&mut self, step: f64) -> bool {
        let longest = self.longest.values().iter();
        self.floor = longest.fold(f64::INFINITY, |floor, longest| floor.min(*longest));
        let exceeded = |longest: &[f64]| -> usize {
            let exceeded = longest.iter().map(|longest| usize::from(step > *longest));
            exceeded.sum()
        };
        match self.longest.values() {
            [] => false,
            // a number of steps that is known to the compiler is compared at once
            longest => match longest.first_chunk::<REMEMBERED>() {
                Some(longest) => exceeded(longest) > REMEMBERED / 2,
                None => exceeded(longest) > (longest.len() - 1) / 2,
            },
        }
    }
}

impl Remembered for Spacing {
    fn pass(&mut self, memory: &mut Memory) {
        self.longest.pass(memory);
        self.floor = f64::NEG_INFINITY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usual_is_the_median_of_the_steps_before() {
        let mut spacing = Spacing::new(MaxGap::Steps(2.5));
        assert!(!spacing.is_gap(100));
        assert!(!spacing.is_gap(250));
        assert!(spacing.is_gap(251));
        for step in [90, 110, 30, 180, 100] {
            assert!(!spacing.is_gap(step), "{step}");
        }
        assert!(spacing.is_gap(1_000));
    }

    #[test]
    fn a_series_that_becomes_coarser_is_usual_again_after_eight_steps() {
        let mut spacing = Spacing::new(MaxGap::Steps(2.5));
        (0..40).for_each(|_| assert!(!spacing.is_gap(300)));
        let gaps = (0..20).filter(|_| spacing.is_gap(3_600)).count();
        assert_eq!(gaps, 8);
    }

    #[test]
    fn a_longest_time_is_taken_as_it_is() {
        let mut spacing = Spacing::new(MaxGap::Time(60));
        assert!(!spacing.is_gap(60));
        assert!(spacing.is_gap(61));
        assert!(!Spacing::new(MaxGap::Unlimited).is_gap(i64::MAX));
    }
}
