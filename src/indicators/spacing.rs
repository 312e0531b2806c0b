//! When the hole between two points of a series is too long for a window to reach over it.
//! What is usual is learned from the series itself, and only from its past.

use super::memory::{Memory, Remembered};
use super::window::Ring;

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
    steps: Ring<i64>,
    sorted: Vec<i64>,
}

impl Spacing {
    /// Of a series that has no point yet.
    pub fn new(max_gap: MaxGap) -> Self {
        Self {
            max_gap,
            steps: Ring::new(REMEMBERED),
            sorted: Vec::with_capacity(REMEMBERED + 1),
        }
    }

    /// Takes the time from the last point to the next one, in microseconds: true where it is a gap.
    ///
    /// A gap counts as a step too, so a series that becomes coarser for good is one gap after the other for eight steps,
    /// and usual from then on.
    #[expect(
        clippy::cast_precision_loss,
        reason = "steps of up to 285 years are exact, and no longer one is close to a bound"
    )]
    pub fn is_gap(&mut self, step: i64) -> bool {
        match self.max_gap {
            MaxGap::Unlimited => false,
            MaxGap::Time(longest) => step > longest,
            MaxGap::Steps(steps) => {
                let usual = self.usual();
                self.learn(step);
                usual.is_some_and(|usual| step as f64 > steps * usual as f64)
            }
        }
    }

    fn usual(&self) -> Option<i64> {
        let middle = self.sorted.len().checked_sub(1)? / 2;
        self.sorted.get(middle).copied()
    }

    fn learn(&mut self, step: i64) {
        if let Some(gone) = self.steps.push(step)
            && let Ok(place) = self.sorted.binary_search(&gone)
        {
            self.sorted.remove(place);
        }
        let place = self.sorted.partition_point(|other| *other < step);
        self.sorted.insert(place, step);
    }
}

impl Remembered for Spacing {
    fn pass(&mut self, memory: &mut Memory) {
        self.steps.pass(memory);
        self.sorted.clear();
        self.sorted.extend_from_slice(self.steps.values());
        self.sorted.sort_unstable();
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
