//! Reading prices: the points of the coins and the span that were asked for, and what of them is not there.
//! A coin, a span or a resolution of which nothing is stored is an error, whose words are `unknown`'s work.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::missing::{Missing, Read, Wanted};
use super::pin::{AsOf, Pinned, pinned};
use super::reach::oldest;
use super::{retention, unknown};
use crate::config::{Kept, Settings};
use crate::error::{Error, Result};
use crate::http;
use crate::market::CoinId;
use crate::series::{Resolution, Span};
use crate::store::{PricesQuery, Pruned, TimeseriesStore};

/// Which prices to read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Prices {
    /// The coins; empty is all of them.
    pub coins: Vec<CoinId>,
    /// From this instant on.
    pub start: Option<DateTime<Utc>>,
    /// To before this instant.
    pub end: Option<DateTime<Utc>>,
    /// The resolution: they never mix.
    pub resolution: Resolution,
    /// As it was known at this instant, or at this pin.
    pub as_of: Option<AsOf>,
}

/// Price points by coin and stamp, with the newest values that were known, and the spans of each coin that are not there:
/// between the bounds asked for, as far as they are settled, and where none was, between the coin's own.
///
/// # Errors
/// [`Error::Argument`] for a span that is empty or still to come; [`Error::Data`] for a coin or a resolution of which nothing
/// is stored, or was known at `as_of`, for a pin of another database, and for one of which something was pruned; otherwise as the database gives them.
pub async fn prices(settings: &Settings, wanted: &Prices) -> Result<Read> {
    check_order(wanted.start, wanted.end)?;
    let now = http::now(settings).await;
    let mut store =
        TimeseriesStore::open_existing(&settings.timeseries_url, &settings.vs_currency).await?;
    let read = read(&mut store, settings, wanted, now).await?;
    store.close().await?;
    Ok(read)
}

async fn read(
    store: &mut TimeseriesStore,
    settings: &Settings,
    wanted: &Prices,
    now: DateTime<Utc>,
) -> Result<Read> {
    let coins = each_once(&wanted.coins);
    let as_of = wanted.as_of.as_ref();
    let Pinned {
        commit,
        known_at,
        mut pin,
    } = pinned(store, as_of, now).await?;
    let start = wanted.start.map_or(0, edge);
    if !retention::is_kept(store, as_of, commit, wanted.resolution, start).await? {
        pin = None;
    }
    // of what is gone no pin knows any more
    let pruned = store.pruned(Kept::Points(wanted.resolution)).await?;
    let ends = stored(settings, store, wanted, &coins, commit, pruned.as_ref()).await?;
    let span = Wanted {
        resolution: wanted.resolution,
        start: wanted.start.map(edge),
        end: wanted.end.map(edge),
        settled: wanted.resolution.settled(known_at),
        is_past: is_past(store, as_of, commit).await?,
        oldest: oldest(wanted.resolution, &settings.plan, now),
        pruned: pruned.map(|pruned| pruned.before.timestamp_millis()),
    };
    if let Some(start) = wanted.start
        && start >= now
        && ends.values().all(|own| own.end <= start.timestamp_millis())
    {
        return Err(Error::argument(format!(
            "the span begins at {}, which is still to come",
            shown(start)
        )));
    }
    let coverage = match span.of_all(&ends) {
        Some(all) => {
            let coins: Vec<&CoinId> = ends.keys().collect();
            store
                .coverage_of(wanted.resolution, &coins, all, commit)
                .await?
        }
        None => Default::default(),
    };
    let since = span.start.unwrap_or(0);
    let empty_spans = store
        .empty_spans_since(wanted.resolution, since, commit)
        .await?;
    let mut missing = span.missing(&ends, &coverage, &empty_spans);
    let gone = match &pruned {
        Some(pruned) => {
            let open_until = retention::open_until(pruned, &ends, wanted.start, wanted.end);
            retention::in_one(&mut missing, wanted.resolution, pruned, open_until)
        }
        None => 0,
    };
    let (gone, rest) = missing.split_at(gone);
    let warning = warning(wanted, gone.first(), span.warning(&ends, rest));
    let query = PricesQuery {
        coins,
        resolution: wanted.resolution,
        span: Span {
            start: span.start.unwrap_or(0),
            end: span.end.unwrap_or(FAR),
        },
        pin: Some(commit),
    };
    Ok(Read {
        frame: store.prices(&query).await?,
        warning,
        missing,
        pin,
    })
}

/// Whether anything was stored after what is read: only then a gap may be because of that.
pub(super) async fn is_past(
    store: &mut TimeseriesStore,
    as_of: Option<&AsOf>,
    commit: i64,
) -> Result<bool> {
    Ok(as_of.is_some() && store.newest_commit().await? > Some(commit))
}

/// The ends of what is stored of each of the coins, or of all.
///
/// # Errors
/// [`Error::Data`] where nothing is stored of one of them, or at the resolution at all.
pub(super) async fn stored(
    settings: &Settings,
    store: &mut TimeseriesStore,
    wanted: &Prices,
    coins: &[CoinId],
    commit: i64,
    pruned: Option<&Pruned>,
) -> Result<BTreeMap<CoinId, Span>> {
    let resolution = wanted.resolution;
    let ends = store.coverage_ends(resolution, coins, commit).await?;
    let absent: Vec<&CoinId> = coins
        .iter()
        .filter(|coin| !ends.contains_key(coin))
        .collect();
    if ends.is_empty() || !absent.is_empty() {
        let as_of = wanted.as_of.as_ref().map(AsOf::at);
        let pruned = pruned.map(|pruned| retention::points_pruned(resolution, pruned));
        return Err(unknown::not_stored(settings, store, resolution, as_of, &absent, pruned).await);
    }
    Ok(ends)
}

/// Refuses a span that ends before it begins.
pub(super) fn check_order(start: Option<DateTime<Utc>>, end: Option<DateTime<Utc>>) -> Result<()> {
    match (start, end) {
        (Some(start), Some(end)) if start >= end => Err(Error::argument(format!(
            "the span begins at {} and ends at {}: start must be before end",
            shown(start),
            shown(end)
        ))),
        _ => Ok(()),
    }
}

/// Coins as they were named first.
pub(super) fn each_once(coins: &[CoinId]) -> Vec<CoinId> {
    let mut seen = HashSet::new();
    let first = coins.iter().filter(|coin| seen.insert(*coin));
    first.cloned().collect()
}

/// The first stamp that is not before a bound: stamps are whole milliseconds.
pub(super) fn edge(at: DateTime<Utc>) -> i64 {
    let at = at.checked_add_signed(JUST_BELOW).unwrap_or(at);
    at.timestamp_millis()
}

/// What was pruned of a span whose bounds were written, and what else is missing of it.
fn warning(wanted: &Prices, gone: Option<&Missing>, rest: Option<String>) -> Option<String> {
    let is_bounded = wanted.start.is_some() || wanted.end.is_some();
    let gone = gone.filter(|_| is_bounded).map(|gone| gone.reason.clone());
    match (gone, rest) {
        (Some(gone), Some(rest)) => Some(format!("{gone}; {rest}")),
        (gone, rest) => gone.or(rest),
    }
}

/// What a bound can have beyond a whole millisecond.
const JUST_BELOW: TimeDelta = TimeDelta::nanoseconds(999_999);

/// Later than any point: 2200-01-01.
pub(super) const FAR: i64 = 7_258_118_400_000;

fn shown(at: DateTime<Utc>) -> impl std::fmt::Display {
    at.format("%Y-%m-%dT%H:%M:%SZ")
}
