//! The plan looked at: what the schedule takes of it, what the month has left, and which points are at risk.
//! It makes no call and writes nothing.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::keeping::{Owed, all_coins, wanted_now};
use super::known::{Due, Known};
use super::reach::recent;
use super::status::{if_there, spent, timeseries};
use super::terms::{RunSettings, means, outlook};
use super::universe::Universe;
use crate::config::Settings;
use crate::error::Result;
use crate::http;
use crate::market::{CoinId, Slot};
use crate::planner::{Coin, Outlook, Rotation, Stage};
use crate::series::{Resolution, days};
use crate::store::{SnapshotStore, TimeseriesStore};

/// What the schedule takes of the plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanReport {
    /// The plan.
    pub plan: &'static str,
    /// The most calls in a minute; null is no limit.
    pub calls_per_minute: Option<u32>,
    /// What is asked for, month after month, and what of it cannot be had.
    #[serde(flatten)]
    pub outlook: Outlook,
    /// The current month (UTC), such as `2026-01`.
    pub month: String,
    /// Calls charged or reserved this month.
    pub credits: u64,
    /// Calls that the schedule still takes until the month ends.
    pub needed: u64,
    /// How many of them the month does not have; null where it has no limit.
    pub short: Option<u64>,
    /// Calls that nothing scheduled needs: for healing and backfills; null is no limit.
    pub spare: Option<u64>,
    /// Of how many coins the five-minute history is kept now.
    pub followed: u64,
    /// The followed coin whose points fall off first if no run comes before.
    pub first_to_fall_off: Option<Risk>,
    /// Followed coins that should have been visited by now, or that the month has no calls for.
    pub at_risk: Vec<Risk>,
}

/// Points that fall off.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Risk {
    /// The coin.
    pub coin_id: String,
    /// The first instant that is not stored.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub points_from: DateTime<Utc>,
    /// When CoinGecko no longer gives it.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub falls_off_at: DateTime<Utc>,
}

impl Risk {
    fn of(coin: &Coin) -> Self {
        let at = |ms| DateTime::from_timestamp_millis(ms).unwrap_or_default();
        Self {
            coin_id: coin.id.to_string(),
            points_from: at(coin.from),
            falls_off_at: at(coin.from + days(1)),
        }
    }
}

/// Looks at the plan.
///
/// # Errors
/// As [`super::status`], but that nothing has to be there yet.
pub async fn plan(settings: &Settings) -> Result<PlanReport> {
    let now = http::now(settings).await;
    let spent = spent(settings, now).await?;
    let url = &settings.snapshot_url;
    let mut snapshot: Option<SnapshotStore> = if_there(url, &settings.vs_currency).await?;
    let newest = match &mut snapshot {
        Some(snapshot) => snapshot.newest_slot(None, None).await?,
        None => None,
    };
    let means = means(settings, spent, newest, now);
    let mut coins = Vec::new();
    if let (Some(snapshot), Some(newest)) = (&mut snapshot, newest)
        && let Some(mut series) = timeseries(settings).await?
    {
        coins = followed_coins(settings, snapshot, &mut series, newest, now).await?;
        series.close().await?;
    }
    if let Some(snapshot) = snapshot {
        snapshot.close().await?;
    }
    let rotation = Rotation { means, coins };
    let decision = rotation.decide();
    let left = means.credits.map(|credits| credits.saturating_sub(spent));
    let needed = rotation.needed();
    let short: HashSet<&CoinId> = decision.unaffordable.iter().collect();
    let lacking = rotation
        .coins
        .iter()
        .filter(|coin| coin.stage != Stage::New);
    let lacking: Vec<&Coin> = lacking.filter(|coin| coin.is_due).collect();
    let is_at_risk = |coin: &&&Coin| coin.deadline() < means.month.now || short.contains(&coin.id);
    Ok(PlanReport {
        plan: settings.plan.kind.name(),
        calls_per_minute: settings.plan.calls_per_minute.map(|calls| calls.get()),
        outlook: outlook(settings, now),
        month: now.format("%Y-%m").to_string(),
        credits: spent,
        needed,
        short: left.map(|left| needed.saturating_sub(left)),
        spare: decision.spare,
        followed: rotation
            .coins
            .iter()
            .filter(|it| it.stage == Stage::Kept)
            .count() as u64,
        first_to_fall_off: lacking
            .iter()
            .min_by_key(|coin| coin.from)
            .map(|coin| Risk::of(coin)),
        at_risk: lacking
            .iter()
            .filter(is_at_risk)
            .map(|coin| Risk::of(coin))
            .collect(),
    })
}

/// The coins as a run would find them now.
async fn followed_coins(
    settings: &Settings,
    snapshot: &mut SnapshotStore,
    series: &mut TimeseriesStore,
    newest: Slot,
    now: DateTime<Utc>,
) -> Result<Vec<Coin>> {
    let resolution = Resolution::FiveMinutes;
    let Some(reach) = recent(now, resolution, &settings.plan) else {
        return Ok(Vec::new());
    };
    let wanted = RunSettings::of(settings).wanted;
    let universe = Universe::newest(snapshot, &wanted, settings.has_only_these).await?;
    let followed = series.followed(resolution, reach.start).await?;
    let wanted = wanted_now(&universe, settings, &followed);
    let known = Known {
        since: reach.start,
        kept_from: i64::MIN,
        coverage: series.coverage_since(resolution, reach.start).await?,
        empty_spans: series
            .empty_spans_since(resolution, reach.start, i64::MAX)
            .await?,
    };
    let all = all_coins(&wanted, &followed);
    let Due { gaps, .. } = known.due(&all, resolution, Some(reach), false, now);
    let owed = Owed {
        reach,
        wanted: &wanted,
        newest: newest.start().timestamp_millis(),
        looked_at: None,
        followed: &followed,
        coverage: &known.coverage,
        due: &gaps,
        visits: &series.visits(resolution).await?,
    };
    Ok(owed.coins())
}
