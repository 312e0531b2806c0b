//! Healing: what was lost at five minutes is fetched by the hour, the best resolution that can still be had.
//! It is a run of its own, which takes calls that nothing else needs.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::Observer;
use super::credits::{Caller, Purse};
use super::reach::oldest;
use super::series_report::SeriesReport;
use super::series_run::{Planned, Series, SeriesRun};
use super::terms::{RunSettings, Terms};
use crate::coingecko::charts::{Chart, charts};
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::http::{self, Client};
use crate::market::CoinId;
use crate::planner::Decision;
use crate::series::{Resolution, Span, Spans};
use crate::store::{SnapshotStore, TimeseriesStore};

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
    match heal(settings, purse, calls, observer).await {
        Ok(report) => Ok(report.map(Box::new)),
        Err(Error::Held { message }) => {
            tracing::info!("healing waits: {message}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Heals lost spans, the oldest first, with no more than so many calls. `None` where there is nothing to heal.
async fn heal(
    settings: &Settings,
    purse: &Purse,
    calls: u64,
    observer: &Observer<'_>,
) -> Result<Option<SeriesReport>> {
    let clock = http::clock(settings).await?;
    let now = clock.now();
    let since = oldest(Resolution::Hour, &settings.plan, now).unwrap_or_default();
    let lost = {
        let url = &settings.timeseries_url;
        let mut store = TimeseriesStore::open(url, &settings.vs_currency).await?;
        let lost = lost_and_not_covered(&mut store, since, now).await?;
        store.close().await?;
        lost
    };
    let planned = plan(&lost, calls, now);
    if planned.charts.is_empty() {
        return Ok(None);
    }
    let (terms, run_settings) = (Terms::of(settings)?, RunSettings::of(settings));
    let turns = purse.turns(Caller::Schedule);
    let client = Client::new(settings, clock, observer.stop.clone(), turns)?;
    let mut snapshot = SnapshotStore::open(&settings.snapshot_url, &settings.vs_currency).await?;
    let starts = lost.iter().flat_map(|(_, spans)| spans).map(|it| it.start);
    let series = Series {
        url: &settings.timeseries_url,
        kind: "heal",
        resolution: Resolution::Hour,
        span: starts
            .min()
            .and_then(|start| Span::new(start, now.timestamp_millis())),
        unknown: Vec::new(),
        advice: None,
    };
    let run = SeriesRun::open(series, terms, &run_settings, clock, &mut snapshot).await?;
    snapshot.close().await?;
    let credits = purse.credits(0);
    let report = run
        .go(credits, client, &settings.plan, planned, observer)
        .await?;
    let mut store = TimeseriesStore::open(&settings.timeseries_url, &settings.vs_currency).await?;
    lost_and_not_covered(&mut store, since, clock.now()).await?;
    store.close().await?;
    Ok(Some(report))
}

/// What is lost and lacks at an hour, too, by coin, the oldest first. What does not lack is noted as healed.
async fn lost_and_not_covered(
    store: &mut TimeseriesStore,
    since: i64,
    now: DateTime<Utc>,
) -> Result<Vec<(CoinId, Vec<Span>)>> {
    let lost = store.lost_since(since).await?;
    let coins: Vec<&CoinId> = lost.keys().collect();
    let all = Span {
        start: since,
        end: now.timestamp_millis(),
    };
    let coverage = if coins.is_empty() {
        HashMap::new()
    } else {
        let resolution = Resolution::Hour;
        store.coverage_of(resolution, &coins, all, i64::MAX).await?
    };
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
    open.sort_by_key(|(coin, spans)| (spans.first().map(|span| span.start), coin.clone()));
    Ok(open)
}

fn plan(lost: &[(CoinId, Vec<Span>)], calls: u64, now: DateTime<Utc>) -> Planned {
    let calls = usize::try_from(calls).unwrap_or(usize::MAX);
    let all: Vec<Chart> = lost
        .iter()
        .flat_map(|(coin, spans)| charts(coin, Resolution::Hour, spans, now))
        .collect();
    Planned {
        postponed: all.len().saturating_sub(calls) as u64,
        charts: all.into_iter().take(calls).collect(),
        waiting: Vec::new(),
    }
}
