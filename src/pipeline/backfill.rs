//! A backfill: the history of a span, as far as it is not stored. It leaves the month's calls that the schedule needs.
//! `series` fetches and stores; how far a backfill can reach is `reach`'s to say.

use super::Observer;
use super::credits::{Caller, Purse};
use super::known::Due;
use super::reach::{Backfill, span};
use super::series_report::SeriesReport;
use super::series_run::{Planned, Series, SeriesRun};
use super::snapshot::unknown_coins;
use super::terms::{RunSettings, Terms};
use super::universe::Universe;
use crate::coingecko::charts::charts;
use crate::config::Settings;
use crate::error::Result;
use crate::http::{self, Client};
use crate::market::Slot;
use crate::store::SnapshotStore;

/// Fetches the history of a span: what the database does not cover yet, in windows that CoinGecko serves. It can be
/// stopped at any time and goes on where it was.
///
/// # Errors
/// [`crate::error::Error::Argument`] for a span that is empty, still to come, or beyond what the plan or the resolution reaches;
/// [`crate::error::Error::Held`] while another run is at work on the series; otherwise as [`super::run_snapshot`].
pub async fn backfill(
    settings: &Settings,
    wanted: &Backfill,
    observer: &Observer<'_>,
) -> Result<SeriesReport> {
    let (terms, run_settings) = (Terms::of(settings)?, RunSettings::of(settings));
    let clock = http::clock(settings).await?;
    let purse = Purse::open(settings).await?;
    let turns = purse.turns(Caller::Backfill);
    let client = Client::new(settings, clock, observer.stop.clone(), turns)?;
    let now = clock.now();
    let span = span(wanted, &settings.plan, now)?;
    let mut snapshot = SnapshotStore::open(&settings.snapshot_url, &settings.vs_currency).await?;
    let named = match wanted.coins.as_slice() {
        [] if settings.has_only_these => &settings.coins,
        named => named,
    };
    let Universe {
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
            Universe::largest(&mut snapshot, slot, &run_settings.wanted).await?
        }
        named => Universe {
            coins: named.to_vec(),
            ..Universe::default()
        },
    };
    let series = Series {
        url: &settings.timeseries_url,
        kind: "backfill",
        resolution: wanted.resolution,
        span,
        unknown: unknown_coins(&mut snapshot, &unknown, &[]).await?,
        advice: None,
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
    snapshot.close().await?;
    let credits = purse.credits(0);
    run.go(credits, client, &settings.plan, planned, observer)
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
