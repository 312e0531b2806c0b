//! What of the month a backfill may spend: what the schedule leaves.
//! How much a schedule takes is the planner's arithmetic.

use chrono::{DateTime, TimeDelta, Utc};

use super::credits::Purse;
use super::terms::demand;
use crate::coingecko::charts::Chart;
use crate::config::Settings;
use crate::error::Result;
use crate::market::Slot;
use crate::planner::Means;
use crate::series::Resolution;
use crate::store::{SnapshotStore, TimeseriesStore};

/// What the month has for a backfill.
pub(super) struct Spendable {
    /// Calls that the schedule leaves; `None` is no limit.
    spare: Option<u64>,
    /// Calls that it needs until the month ends.
    needed: u64,
}

impl Spendable {
    /// What the schedule leaves. There is one where the last day has more than one snapshot; else nothing is set aside for it.
    pub(super) async fn of(
        settings: &Settings,
        purse: &Purse,
        snapshot: &mut SnapshotStore,
        series: &mut TimeseriesStore,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let day = snapshot.presence(&[], now - TimeDelta::days(1)).await?;
        let is_scheduled = day.slots.len() > 1;
        let calls = if is_scheduled {
            demand(settings).snapshot()
        } else {
            0
        };
        let is_taken = day.slots.last() >= Some(&Slot::containing(now));
        let spent = purse.spent(now).await?;
        let means = Means::of(&settings.plan, spent, calls, is_taken, now);
        let kept = if is_scheduled {
            series.followed_count(Resolution::FiveMinutes).await?
        } else {
            0
        };
        let spare = means.spare(kept);
        let left = means.credits.unwrap_or_default().saturating_sub(spent);
        Ok(Self {
            spare,
            needed: left - spare.unwrap_or(left).min(left),
        })
    }

    /// The most calls that may be spent; `None` where the account alone says when there are none left.
    pub(super) fn most(&self, spend: Option<u64>) -> Option<u64> {
        spend.or(self.spare.filter(|_| self.needed > 0))
    }

    /// Calls that are to be left in the account.
    pub(super) fn left_to_others(&self, spend: Option<u64>) -> u64 {
        if spend.is_some() { 0 } else { self.needed }
    }
}

/// Takes off what is beyond so many charts, each of which is a call; `None` is no limit.
pub(super) fn beyond(charts: &mut Vec<Chart>, most: Option<u64>) -> Vec<Chart> {
    let most = most.and_then(|most| usize::try_from(most).ok());
    charts.split_off(most.unwrap_or(usize::MAX).min(charts.len()))
}
