//! The time series runs: this run's share of the newest snapshot's coins, or a backfill of a span.
//! They decide which charts to ask for; `series` asks for them and stores what comes.

use super::Observer;
use super::followed::Followed;
use super::known::Due;
use super::reach::{Backfill, recent, share, span};
use super::retention::{kept_from, worth_a_backfill, worth_fetching};
use super::series_report::SeriesReport;
use super::series_run::{Planned, Series, SeriesRun};
use super::snapshot::unknown_coins;
use super::terms::{RunSettings, Terms};
use crate::coingecko::charts::charts;
use crate::config::Settings;
use crate::error::Result;
use crate::http::{self, Client};
use crate::market::Slot;
use crate::series::Resolution;
use crate::store::SnapshotStore;

/// Fetches what is new of the charts of the newest snapshot's coins, and of those asked for by name: this run's share of
/// the month's calls, the coins first that were asked for longest ago.
///
/// # Errors
/// [`Error::Config`] where there is no snapshot yet; [`Error::Held`] while another run is at work on the series;
/// otherwise as [`super::run_snapshot`].
pub async fn run_timeseries(
    settings: &Settings,
    resolution: Resolution,
    observer: &Observer<'_>,
) -> Result<SeriesReport> {
    let (terms, run_settings) = (Terms::of(settings)?, RunSettings::of(settings));
    let clock = http::clock(settings).await?;
    let client = Client::new(settings, clock, observer.stop.clone())?;
    let mut snapshot = SnapshotStore::open(&settings.snapshot_url, &settings.vs_currency).await?;
    let Followed {
        coins,
        missing,
        unknown,
    } = Followed::newest(&mut snapshot, &run_settings.wanted, settings.has_only_these).await?;
    let recently = |now| {
        let span = recent(now, resolution, &settings.plan);
        worth_fetching(span, resolution, settings.retention, now)
    };
    let series = Series {
        url: &settings.timeseries_url,
        kind: "timeseries",
        resolution,
        span: recently(clock.now()),
        kept_from: kept_from(resolution, settings.retention, clock.now()),
        unknown: unknown_coins(&mut snapshot, &unknown, &[]).await?,
    };
    let mut run = SeriesRun::open(series, terms, &run_settings, clock, &mut snapshot).await?;
    let now = run.started_at();
    let (visits, spent) = match (run.visits().await, snapshot.credits(now).await) {
        (Ok(visits), Ok(spent)) => (visits, spent),
        (Err(error), _) | (_, Err(error)) => return run.fail(error).await,
    };
    let span = recently(now);
    let Due {
        mut gaps,
        mut waiting,
    } = run.due(&coins, span, false);
    waiting.extend(missing);
    // `None` sorts first: a coin that was never asked for
    gaps.sort_by_key(|(coin, _)| visits.get(coin).copied());
    let share = usize::try_from(share(spent, &settings.plan, now)).unwrap_or(usize::MAX);
    let postponed = gaps.len().saturating_sub(share) as u64;
    gaps.truncate(share);
    let planned = Planned {
        charts: gaps
            .iter()
            .flat_map(|(coin, gaps)| charts(coin, resolution, gaps, now))
            .collect(),
        postponed,
        waiting,
    };
    run.go(&mut snapshot, client, &settings.plan, planned, observer)
        .await?
        .or_incomplete(settings.completeness)
}

/// Fetches the history of a span: what the database does not cover yet, in windows that CoinGecko serves. It can be
/// stopped at any time and goes on where it was.
///
/// # Errors
/// [`Error::Argument`] for a span that is empty, still to come, beyond what the plan or the resolution reaches, or before what is
/// kept;
/// [`Error::Held`] while another run is at work on the series; otherwise as [`super::run_snapshot`].
pub async fn backfill(
    settings: &Settings,
    wanted: &Backfill,
    observer: &Observer<'_>,
) -> Result<SeriesReport> {
    let (terms, run_settings) = (Terms::of(settings)?, RunSettings::of(settings));
    let clock = http::clock(settings).await?;
    let client = Client::new(settings, clock, observer.stop.clone())?;
    let now = clock.now();
    let span = span(wanted, &settings.plan, now)?;
    let span = worth_a_backfill(wanted, span, settings.retention, now)?;
    let mut snapshot = SnapshotStore::open(&settings.snapshot_url, &settings.vs_currency).await?;
    let named = match wanted.coins.as_slice() {
        [] if settings.has_only_these => &settings.coins,
        named => named,
    };
    let Followed {
        coins,
        missing,
        unknown,
    } = match named {
        [] => {
            if snapshot_holds(&mut snapshot, settings.top).await?.is_none() {
                // which coins are the largest is a snapshot's to say
                snapshot.close().await?;
                let observer = Observer::none().stopped_by(observer.stop.clone());
                super::run_snapshot(settings, None, &observer).await?;
                snapshot =
                    SnapshotStore::open(&settings.snapshot_url, &settings.vs_currency).await?;
            }
            let slot = snapshot_holds(&mut snapshot, settings.top).await?;
            Followed::largest(&mut snapshot, slot, &run_settings.wanted).await?
        }
        named => Followed {
            coins: named.to_vec(),
            ..Followed::default()
        },
    };
    let series = Series {
        url: &settings.timeseries_url,
        kind: "backfill",
        resolution: wanted.resolution,
        span,
        kept_from: kept_from(wanted.resolution, settings.retention, now),
        unknown: unknown_coins(&mut snapshot, &unknown, &[]).await?,
    };
    let run = SeriesRun::open(series, terms, &run_settings, clock, &mut snapshot).await?;
    let Due { gaps, mut waiting } = run.due(&coins, span, wanted.refetch);
    waiting.extend(missing);
    let planned = Planned {
        charts: gaps
            .iter()
            .flat_map(|(coin, gaps)| charts(coin, wanted.resolution, gaps, now))
            .collect(),
        postponed: 0,
        waiting,
    };
    run.go(&mut snapshot, client, &settings.plan, planned, observer)
        .await?
        .or_incomplete(settings.completeness)
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
