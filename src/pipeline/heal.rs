//! Healing: what was lost at five minutes is fetched by the hour, the best resolution that can still be had.
//! It is a run of its own, which takes calls that nothing else needs.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Observer;
use super::credits::{Caller, Purse};
use super::gaps::{gaps_by_now, owed_by_now};
use super::reach::{is_due, oldest};
use super::report::RunState;
use super::retention::kept_from;
use super::series_report::SeriesReport;
use super::series_run::{Planned, Series, SeriesRun};
use super::spendable::{Spendable, beyond};
use super::terms::{RunSettings, Terms};
use crate::coingecko::charts::{Chart, charts};
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::http::{self, Client};
use crate::market::CoinId;
use crate::planner::Decision;
use crate::series::{Resolution, Span, Spans};
use crate::store::{IfHeld, SnapshotStore, TimeseriesStore};

/// What came of healing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HealReport {
    /// `complete` where nothing that can be had is left.
    pub state: RunState,
    /// The runs, one for each resolution that had gaps.
    pub runs: Vec<SeriesReport>,
    /// Charts that are left, since there are no calls to spare for them.
    pub left: u64,
}

/// Spans to fetch, by coin.
type Lacking = Vec<(CoinId, Vec<Span>)>;

/// Heals what a run can, with half of the calls that nothing scheduled needs: the other half is for coins that come and go.
///
/// # Errors
/// As [`super::run_timeseries`], but for a series that is held: then it waits for a later run.
pub(super) async fn heal_lost(
    settings: &Settings,
    purse: &Purse,
    decision: &Decision,
    observer: &Observer<'_>,
) -> Result<Option<Box<SeriesReport>>> {
    let by_month = decision.spare.map_or(u64::MAX, |calls| calls / 2);
    let calls = by_month.min(decision.idle.unwrap_or(u64::MAX));
    if calls == 0 {
        return Ok(None);
    }
    let now = http::clock(settings).await?.now();
    let lacking = look_at_lost(settings, now).await?;
    let chosen = Chosen::of(&lacking, Resolution::Hour, calls, now);
    if chosen.charts.is_empty() {
        return Ok(None);
    }
    let healed = match fetch(settings, purse, chosen, 0, observer).await {
        Ok(report) => Some(Box::new(report)),
        Err(Error::Held { message }) => {
            tracing::info!("healing waits: {message}");
            None
        }
        Err(error) => return Err(error),
    };
    look_at_lost(settings, now).await?;
    Ok(healed)
}

/// Fetches what `gaps` lists and CoinGecko can still give: what was not fetched, or failed, or had no points, at each resolution; and
/// what was lost at five minutes, by the hour. It spends what the schedule leaves, or up to `spend` calls.
///
/// # Errors
/// As [`super::backfill`].
pub async fn heal(
    settings: &Settings,
    spend: Option<u64>,
    observer: &Observer<'_>,
) -> Result<HealReport> {
    let now = http::clock(settings).await?.now();
    let purse = Purse::open(settings).await?;
    let mut report = HealReport {
        state: RunState::Complete,
        runs: Vec::new(),
        left: 0,
    };
    for resolution in Resolution::ALL {
        let (url, vs_currency) = (&settings.timeseries_url, &settings.vs_currency);
        let mut store = TimeseriesStore::open(url, vs_currency).await?;
        let mut snapshot = SnapshotStore::open(&settings.snapshot_url, vs_currency).await?;
        let spendable = Spendable::of(settings, &purse, &mut snapshot, &mut store, now).await?;
        snapshot.close().await?;
        let lacking = lacking(&mut store, settings, resolution, now).await?;
        store.close().await?;
        let spent: u64 = report.runs.iter().map(|run| run.calls).sum();
        let spend = spend.map(|spend| spend.saturating_sub(spent));
        let most = spendable.most(spend).unwrap_or(u64::MAX);
        let chosen = Chosen::of(&lacking, resolution, most, now);
        report.left += chosen.left;
        if chosen.charts.is_empty() {
            continue;
        }
        let left_to_others = spendable.left_to_others(spend);
        let before = report.runs.iter().map(|run| run.expected).sum();
        let observer = observer.after(before);
        let run = fetch(settings, &purse, chosen, left_to_others, &observer).await?;
        report.runs.push(run);
    }
    look_at_lost(settings, now).await?;
    let is_partial = |run: &SeriesReport| run.state != RunState::Complete;
    if report.left > 0 || report.runs.iter().any(is_partial) {
        report.state = RunState::Partial;
    }
    Ok(report)
}

/// Charts that heal, and how many more would.
struct Chosen {
    resolution: Resolution,
    span: Option<Span>,
    charts: Vec<Chart>,
    left: u64,
}

impl Chosen {
    fn of(lacking: &Lacking, resolution: Resolution, calls: u64, now: DateTime<Utc>) -> Self {
        let mut all: Vec<Chart> = lacking
            .iter()
            .flat_map(|(coin, spans)| charts(coin, resolution, spans, now))
            .collect();
        let left = beyond(&mut all, Some(calls)).len() as u64;
        let starts = lacking.iter().flat_map(|(_, spans)| spans);
        let start = starts.map(|span| span.start).min();
        Self {
            resolution,
            span: start.and_then(|start| Span::new(start, now.timestamp_millis())),
            charts: all,
            left,
        }
    }

    /// Whose charts they are.
    fn coins(&self) -> Vec<CoinId> {
        let mut coins: Vec<CoinId> = self.charts.iter().map(|chart| chart.coin.clone()).collect();
        coins.dedup();
        coins
    }
}

/// A run that fetches some charts.
async fn fetch(
    settings: &Settings,
    purse: &Purse,
    chosen: Chosen,
    left_to_others: u64,
    observer: &Observer<'_>,
) -> Result<SeriesReport> {
    let (terms, run_settings) = (Terms::of(settings)?, RunSettings::of(settings));
    let clock = http::clock(settings).await?;
    let turns = purse.turns(Caller::Schedule);
    let client = Client::new(settings, clock, observer.stop.clone(), turns)?;
    let mut snapshot = SnapshotStore::open(&settings.snapshot_url, &settings.vs_currency).await?;
    let series = Series {
        url: &settings.timeseries_url,
        kind: "heal",
        resolution: chosen.resolution,
        span: chosen.span,
        kept_from: kept_from(chosen.resolution, settings.retention, clock.now()),
        coins: chosen.coins(),
        if_held: IfHeld::LeaveOut,
        unknown: Vec::new(),
        advice: None,
    };
    let run = SeriesRun::open(series, terms, &run_settings, clock, &mut snapshot).await?;
    snapshot.close().await?;
    let charts = chosen.charts.into_iter();
    let planned = Planned {
        charts: charts.filter(|chart| run.has(&chart.coin)).collect(),
        postponed: chosen.left,
        waiting: Vec::new(),
    };
    let credits = purse.credits(left_to_others);
    run.go(credits, client, &settings.plan, planned, observer)
        .await
}

/// What lacks at a resolution and can be had, by coin, the oldest first.
async fn lacking(
    store: &mut TimeseriesStore,
    settings: &Settings,
    resolution: Resolution,
    now: DateTime<Utc>,
) -> Result<Lacking> {
    let mut spans: HashMap<CoinId, Vec<Span>> = HashMap::new();
    if resolution == Resolution::Hour {
        spans.extend(lost_and_not_covered(store, settings, now).await?);
    }
    let within = Span {
        start: oldest_kept(settings, resolution, now),
        end: resolution.settled(now),
    };
    let owed = owed_by_now(store, now).await?;
    let of_resolution = owed.iter().filter(|owed| owed.resolution == resolution);
    let mut coins: Vec<CoinId> = of_resolution.map(|owed| owed.coin.clone()).collect();
    coins.dedup();
    for coin in coins {
        let gaps = gaps_by_now(store, &coin, &owed, within, now).await?;
        let gaps = gaps.into_iter();
        let wanted = gaps
            .filter(|gap| gap.resolution == resolution && CAN_BE_HAD.contains(&gap.kind.as_str()));
        let found = wanted.filter_map(|gap| gap.span()?.intersection(within));
        let found: Vec<Span> = found
            .filter(|gap| is_due(resolution, *gap, within))
            .collect();
        if !found.is_empty() {
            spans.entry(coin).or_default().extend(found);
        }
    }
    let in_order = spans.into_iter().map(|(coin, spans)| {
        let spans: Spans = spans.into_iter().collect();
        (coin, spans.iter().collect())
    });
    Ok(oldest_first(in_order))
}

/// The oldest instant that the plan reaches and retention keeps.
fn oldest_kept(settings: &Settings, resolution: Resolution, now: DateTime<Utc>) -> i64 {
    let oldest = oldest(resolution, &settings.plan, now).unwrap_or_default();
    oldest.max(kept_from(resolution, settings.retention, now))
}

/// The kinds of gaps that another chart may fill.
const CAN_BE_HAD: [&str; 3] = ["not_asked", "failed", "doubted"];

/// Spans by coin, the oldest first.
fn oldest_first(spans: impl IntoIterator<Item = (CoinId, Vec<Span>)>) -> Lacking {
    let mut lacking: Lacking = spans.into_iter().collect();
    lacking.sort_by_key(|(coin, spans)| (spans.first().map(|span| span.start), coin.clone()));
    lacking
}

/// What is lost at five minutes and lacks at an hour, too, by coin, the oldest first. What does not lack is noted as healed.
async fn lost_and_not_covered(
    store: &mut TimeseriesStore,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Result<Lacking> {
    let since = oldest_kept(settings, Resolution::Hour, now);
    let lost = store.lost_since(since).await?;
    if lost.is_empty() {
        return Ok(Vec::new());
    }
    let coins: Vec<&CoinId> = lost.keys().collect();
    let all = Span {
        start: since,
        end: now.timestamp_millis(),
    };
    let coverage = store
        .coverage_of(Resolution::Hour, &coins, all, i64::MAX)
        .await?;
    let nothing = Spans::default();
    let (mut healed, mut open) = (Vec::new(), Vec::new());
    for (coin, spans) in &lost {
        let covered = coverage.get(coin).unwrap_or(&nothing);
        let lacks = |span: &Span| !covered.gaps_in(*span).is_empty();
        let (lacking, whole): (Vec<Span>, Vec<Span>) = spans.iter().partition(|span| lacks(span));
        healed.extend(whole.into_iter().map(|span| (coin.clone(), span)));
        if !lacking.is_empty() {
            open.push((coin.clone(), lacking));
        }
    }
    if !healed.is_empty() {
        store.note_healed(&healed, now).await?;
    }
    Ok(oldest_first(open))
}

/// The same on a connection of its own.
async fn look_at_lost(settings: &Settings, now: DateTime<Utc>) -> Result<Lacking> {
    let mut store = TimeseriesStore::open(&settings.timeseries_url, &settings.vs_currency).await?;
    let lacking = lost_and_not_covered(&mut store, settings, now).await?;
    store.close().await?;
    Ok(lacking)
}
