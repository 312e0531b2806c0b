//! What a plan has for charts: by its pace in a run, and by its month once every snapshot still to come is set aside.
//! Which charts they go to is the rotation's to decide.

use chrono::{DateTime, Utc};

use super::month::Month;
use super::{MINUTES, REVISIT, SLOTS_A_DAY};
use crate::provider::Plan;

/// The calls that charts may take. `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Means {
    /// The month.
    pub month: Month,
    /// The plan's calls a month.
    pub credits: Option<u64>,
    /// Calls of one snapshot.
    pub snapshot: u64,
    /// Calls of all snapshots that are still to come this month.
    pub snapshots: u64,
    /// Calls for the list of all coins, one for each day that is left, today included.
    pub listings: u64,
    /// Calls that charts may take in one run, by the plan's pace.
    pub a_run: Option<u64>,
    /// Calls that charts may take until the month ends.
    pub a_month: Option<u64>,
}

impl Means {
    /// What a plan has at an instant, when `spent` calls of the month are spent. A snapshot takes `snapshot` calls in each
    /// half-hour, and `is_taken` says that the running one's has been paid for. Where there are snapshots, there is a list a day.
    pub fn of(plan: &Plan, spent: u64, snapshot: u64, is_taken: bool, now: DateTime<Utc>) -> Self {
        let month = Month::of(now);
        let snapshots = (month.left() - u64::from(is_taken)).saturating_mul(snapshot);
        let listings = match snapshot {
            0 => 0,
            _ => month.left().div_ceil(SLOTS_A_DAY),
        };
        Self {
            month,
            credits: plan.credits_per_month,
            snapshot,
            snapshots,
            listings,
            a_run: plan.calls_per_minute.map(|calls| {
                (u64::from(calls.get()) * MINUTES)
                    .saturating_sub(snapshot)
                    .max(1)
            }),
            a_month: plan.credits_per_month.map(|credits| {
                credits
                    .saturating_sub(spent)
                    .saturating_sub(snapshots + listings)
            }),
        }
    }

    /// Of how many coins the plan keeps the five-minute history complete, month after month like this one.
    pub fn room(&self) -> Option<u64> {
        let by_month = self.credits.map(|credits| {
            let snapshots = self.month.slots.saturating_mul(self.snapshot);
            let listings = self.month.slots / SLOTS_A_DAY;
            credits.saturating_sub(snapshots + listings) * REVISIT / self.month.slots
        });
        let by_pace = self.a_run.map(|calls| calls * REVISIT);
        match (by_month, by_pace) {
            (Some(by_month), Some(by_pace)) => Some(by_month.min(by_pace)),
            (by_month, by_pace) => by_month.or(by_pace),
        }
    }

    /// Calls of the month that nothing scheduled needs where the charts of so many coins are kept; `None` is no limit.
    pub fn spare(&self, kept: u64) -> Option<u64> {
        let visits = kept.saturating_mul(self.month.left() / REVISIT + 1);
        self.a_month.map(|calls| calls.saturating_sub(visits))
    }

    /// What one run may take of calls that nothing else needs: the month's, spread over its runs, at the plan's pace.
    /// `u64::MAX` where the plan has no limits.
    pub fn share(&self, spare: Option<u64>) -> u64 {
        let by_month = spare.map_or(u64::MAX, |calls| calls / self.month.left());
        by_month.min(self.a_run.unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::PlanKind;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn means(kind: PlanKind, snapshot: u64) -> Means {
        let now = at("2026-06-01T00:00:02Z");
        Means::of(&Plan::documented(kind), 0, snapshot, false, now)
    }

    #[test]
    fn every_snapshot_of_the_month_is_set_aside_before_the_first_chart() {
        let demo = Plan::documented(PlanKind::Demo);
        assert_eq!(means(PlanKind::Demo, 1).a_month, Some(10_000 - 1_440 - 30));
        let last = at("2026-06-30T23:30:00Z");
        assert_eq!(Means::of(&demo, 9_990, 4, false, last).a_month, Some(5));
        assert_eq!(Means::of(&demo, 9_990, 4, true, last).a_month, Some(9));
        assert_eq!(Means::of(&demo, 11_000, 4, false, last).a_month, Some(0));
        assert_eq!(means(PlanKind::Keyless, 1).a_month, None);
    }

    #[test]
    fn as_many_coins_fit_as_can_be_visited_every_23_hours() {
        assert_eq!(means(PlanKind::Demo, 1).room(), Some(272));
        assert_eq!(means(PlanKind::Demo, 2).room(), Some(226));
        assert_eq!(means(PlanKind::Demo, 4).room(), Some(134));
        assert_eq!(means(PlanKind::Demo, 20).room(), Some(0));
        // five calls a minute, for ten minutes of each half-hour
        assert_eq!(means(PlanKind::Keyless, 1).room(), Some(49 * 46));
        assert_eq!(means(PlanKind::Unlimited, 1).room(), None);
    }

    #[test]
    fn a_share_spreads_what_is_left_over_the_runs_that_are_left() {
        let demo = means(PlanKind::Demo, 1);
        assert_eq!(demo.share(Some(8_560)), 5);
        assert_eq!(demo.share(Some(0)), 0);
        assert_eq!(means(PlanKind::Keyless, 1).share(None), 49);
        assert_eq!(means(PlanKind::Unlimited, 1).share(None), u64::MAX);
    }
}
