//! A backfill: the history of a span, as far as it is not stored. It leaves the month's calls that the schedule needs.
//! `series` fetches and stores; how far a backfill can reach is `reach`'s to say.

use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroU32;

use chrono::DateTime;
use serde::Serialize;

use super::Observer;
use super::credits::{Caller, Purse};
use super::known::{Due, Known};
use super::reach::{Backfill, span};
use super::retention::{kept_from, worth_a_backfill};
use super::series_report::SeriesReport;
use super::series_run::{Planned, Series, SeriesRun};
use super::snapshot::unknown_coins;
use super::spendable::{Spendable, beyond};
use super::terms::{RunSettings, Terms, Wanted, demand};
use super::universe::Universe;
use crate::coingecko::charts::{Chart, charts};
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::http::{self, Client};
use crate::market::{CoinId, Slot};
use crate::planner::grouped;
use crate::provider::Plan;
use crate::series::Span;
use crate::store::{Absent, IfHeld, SnapshotStore, TimeseriesStore};

/// What a backfill would take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// Calls for what is not stored.
    pub calls: u64,
    /// How many of them may be spent; null is no limit.
    pub may_spend: Option<u64>,
    /// True where that is the caller's own bound, and not what the schedule leaves.
    pub is_own_bound: bool,
    /// How long they take at the plan's pace, in minutes; null where it has none.
    pub minutes: Option<f64>,
    /// Calls a minute; null is no limit.
    pub calls_per_minute: Option<u32>,
    /// Their part of the plan's month, in percent; null where it has no limit.
    pub month_pct: Option<f64>,
}

impl fmt::Display for Estimate {
    /// In words: `1,250 calls, about 42 min at 30 a minute, 12 % of the month`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = if self.calls == 1 { "call" } else { "calls" };
        write!(f, "{} {calls}", grouped(self.calls))?;
        if let (Some(minutes), Some(pace)) = (self.minutes, self.calls_per_minute) {
            match minutes {
                ..1.0 => write!(f, ", less than a minute")?,
                ..120.0 => write!(f, ", about {minutes:.0} min")?,
                _ => write!(f, ", about {:.0} h", minutes / 60.0)?,
            }
            write!(f, " at {pace} a minute")?;
        }
        if let Some(part) = self.month_pct {
            write!(f, ", {part:.0} % of the month")?;
        }
        match self.may_spend {
            Some(most) if most < self.calls && self.is_own_bound => {
                write!(f, "; {} of them may be spent", grouped(most))
            }
            Some(most) if most < self.calls => write!(
                f,
                "; the schedule leaves {} of them: --spend {} allows all",
                grouped(most),
                self.calls
            ),
            _ => Ok(()),
        }
    }
}

/// Says what a backfill would take. It makes no call.
///
/// # Errors
/// As [`backfill`], but for what calls give.
pub async fn estimate(settings: &Settings, wanted: &Backfill) -> Result<Estimate> {
    let clock = http::clock(settings).await?;
    let now = clock.now();
    let span = span(wanted, &settings.plan, now)?;
    let span = worth_a_backfill(wanted, span, settings.retention, now)?;
    let mut snapshot = SnapshotStore::open(&settings.snapshot_url, &settings.vs_currency).await?;
    let mut series = TimeseriesStore::open(&settings.timeseries_url, &settings.vs_currency).await?;
    series.check_may_write().await?;
    let coins = coins_of(settings, wanted, &mut snapshot).await?;
    let calls = match &coins {
        Some(universe) => {
            let known = uncovered(&mut series, wanted, &universe.coins, span).await?;
            let charts = known
                .iter()
                .map(|(coin, gaps)| charts(coin, wanted.resolution, gaps, now).len());
            charts.sum::<usize>() as u64
        }
        // the largest coins are not known yet: all of the span of each, and the pages that name them
        None => {
            let coin = CoinId::from_source(String::new());
            let gaps: Vec<Span> = span.into_iter().collect();
            let each = charts(&coin, wanted.resolution, &gaps, now).len() as u64;
            each * u64::from(settings.top) + demand(settings).snapshot()
        }
    };
    let purse = Purse::open(settings).await?;
    let means = Spendable::of(settings, &purse, &mut snapshot, &mut series, now).await?;
    snapshot.close().await?;
    series.close().await?;
    let calls_per_minute = settings.plan.calls_per_minute.map(NonZeroU32::get);
    let credits = settings.plan.credits_per_month;
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of calls are far below 2^53"
    )]
    Ok(Estimate {
        calls,
        may_spend: means.most(wanted.spend),
        is_own_bound: wanted.spend.is_some(),
        minutes: calls_per_minute.map(|pace| calls as f64 / f64::from(pace)),
        calls_per_minute,
        month_pct: credits.map(|credits| 100.0 * calls as f64 / credits.max(1) as f64),
    })
}

/// The coins of a backfill; `None` where the largest are wanted and no snapshot says which they are.
async fn coins_of(
    settings: &Settings,
    wanted: &Backfill,
    snapshot: &mut SnapshotStore,
) -> Result<Option<Universe>> {
    let named = match wanted.coins.as_slice() {
        [] if settings.has_only_these => &settings.coins,
        named => named,
    };
    if !named.is_empty() {
        return Ok(Some(Universe {
            coins: named.to_vec(),
            ..Universe::default()
        }));
    }
    let Some(slot) = snapshot_holds(snapshot, settings.top).await? else {
        return Ok(None);
    };
    let largest = Universe::largest(snapshot, Some(slot), &Wanted::of(settings)).await?;
    Ok(Some(largest))
}

/// What of a span is not covered, by coin.
async fn uncovered(
    series: &mut TimeseriesStore,
    wanted: &Backfill,
    coins: &[CoinId],
    span: Option<Span>,
) -> Result<Vec<(CoinId, Vec<Span>)>> {
    let Some(span) = span else {
        return Ok(Vec::new());
    };
    let mut known = Known::default();
    if !wanted.refetch {
        let coins: Vec<&CoinId> = coins.iter().collect();
        let resolution = wanted.resolution;
        known.coverage = series
            .coverage_of(resolution, &coins, span, i64::MAX)
            .await?;
    }
    let now = DateTime::from_timestamp_millis(span.end).unwrap_or_default();
    let due = known.due(coins, wanted.resolution, Some(span), wanted.refetch, now);
    Ok(due.gaps)
}

/// Fetches the history of a span: what the database does not cover yet, in windows that CoinGecko serves. It can be
/// stopped at any time and goes on where it was.
///
/// # Errors
/// [`crate::error::Error::Argument`] for a span that is empty, still to come, beyond what the plan or the resolution reaches, or
/// before what is kept;
/// [`crate::error::Error::Held`] while another run is at work on the series; otherwise as [`super::run_snapshot`].
pub async fn backfill(
    settings: &Settings,
    wanted: &Backfill,
    observer: &Observer<'_>,
) -> Result<SeriesReport> {
    let (terms, run_settings) = (Terms::of(settings)?, RunSettings::of(settings));
    let clock = http::clock(settings).await?;
    let purse = Purse::open(settings).await?;
    purse.compare(settings, clock, &observer.stop).await?;
    let turns = purse.turns(Caller::Backfill);
    let client = Client::new(settings, clock, observer.stop.clone(), turns)?;
    let now = clock.now();
    let span = span(wanted, &settings.plan, now)?;
    let span = worth_a_backfill(wanted, span, settings.retention, now)?;
    let mut snapshot = SnapshotStore::open(&settings.snapshot_url, &settings.vs_currency).await?;
    let universe = match coins_of(settings, wanted, &mut snapshot).await? {
        Some(universe) => universe,
        None => {
            // which coins are the largest is a snapshot's to say
            snapshot.close().await?;
            let observer = Observer::none().stopped_by(observer.stop.clone());
            super::run_snapshot(settings, None, &observer).await?;
            snapshot = SnapshotStore::open(&settings.snapshot_url, &settings.vs_currency).await?;
            let slot = snapshot_holds(&mut snapshot, settings.top).await?;
            Universe::largest(&mut snapshot, slot, &run_settings.wanted).await?
        }
    };
    let Universe {
        coins,
        missing,
        unknown,
    } = universe;
    let series = Series {
        url: &settings.timeseries_url,
        kind: "backfill",
        resolution: wanted.resolution,
        span,
        kept_from: kept_from(wanted.resolution, settings.retention, now),
        coins,
        if_held: IfHeld::Refuse,
        unknown: unknown_coins(&mut snapshot, &unknown, &[]).await?,
        advice: None,
    };
    let mut run = SeriesRun::open(series, terms, &run_settings, clock, &mut snapshot).await?;
    let spendable = run.spendable(settings, &purse, &mut snapshot).await;
    let spendable = match spendable {
        Ok(spendable) => spendable,
        Err(error) => return run.fail(error).await,
    };
    let Due { gaps, mut waiting } = run.due(span, wanted.refetch);
    waiting.extend(missing);
    let mut planned: Vec<Chart> = gaps
        .iter()
        .flat_map(|(coin, gaps)| charts(coin, wanted.resolution, gaps, now))
        .collect();
    let left = beyond(&mut planned, spendable.most(wanted.spend));
    if planned.is_empty() && !left.is_empty() {
        let error = nothing_to_spend(left.len(), &settings.plan, wanted.spend);
        return run.fail(error).await;
    }
    waiting.extend(left_out(&left, wanted.spend));
    let planned = Planned {
        charts: planned,
        postponed: 0,
        waiting,
    };
    snapshot.close().await?;
    let credits = purse.credits(spendable.left_to_others(wanted.spend));
    run.go(credits, client, &settings.plan, planned, observer)
        .await?
        .or_incomplete(settings.completeness)
}

/// What is not fetched, since the schedule needs the month's calls, or no more were to be spent.
fn left_out(left: &[Chart], spend: Option<u64>) -> Option<Absent> {
    let coins: HashSet<&CoinId> = left.iter().map(|chart| &chart.coin).collect();
    let what = format!("{} charts of {} coins", left.len(), coins.len());
    let reason = match spend {
        Some(most) => {
            format!("no more than {most} calls were to be spent: run it again for the rest")
        }
        None => format!(
            "the month's other calls are left to the schedule: --spend {} fetches them all the same",
            left.len()
        ),
    };
    (!left.is_empty()).then(|| Absent::other(what, reason))
}

fn nothing_to_spend(calls: usize, plan: &Plan, spend: Option<u64>) -> Error {
    if spend.is_some() {
        return Error::argument(format!(
            "--spend 0 leaves nothing to do: {calls} calls are needed"
        ));
    }
    Error::budget(format!(
        "none of the month's calls that are left (of {}) can be spared, since the schedule needs them: --spend {calls} takes \
         them all the same, or wait for the next month",
        grouped(plan.credits_per_month.unwrap_or_default())
    ))
}

/// The newest slot, if it was asked for so many coins.
async fn snapshot_holds(store: &mut SnapshotStore, top: u32) -> Result<Option<Slot>> {
    let Some(slot) = store.newest_slot(None, None).await? else {
        return Ok(None);
    };
    let state = store.slot_state(slot, None).await?;
    Ok(state
        .filter(|state| state.top >= u64::from(top))
        .map(|_| slot))
}
