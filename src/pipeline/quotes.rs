//! Reading quotes: a slot's or a span's, as they were known at an instant, and what of them was missing then.
//! Nothing here calls CoinGecko or changes a database.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::coins::doubt;
use super::missing::Read;
use super::pin::{AsOf, Pinned, pinned};
use super::quotes_missing::{missing, warning};
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::http;
use crate::market::{CoinId, Slot};
use crate::store::SnapshotStore;

/// Which quotes to read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Quotes {
    /// Those of the newest slot that began at or before this instant, whenever they came; without it, of the newest slot.
    pub at: Option<DateTime<Utc>>,
    /// Instead, those of every slot that began at or after this instant; by default the first there is, where `end` is given.
    pub start: Option<DateTime<Utc>>,
    /// And before this instant; by default to the newest slot.
    pub end: Option<DateTime<Utc>>,
    /// Only these coins; empty is all.
    pub coins: Vec<CoinId>,
    /// As it was known at this instant, or at this pin: which slots there were, their quotes, and what was missing.
    pub as_of: Option<AsOf>,
}

/// The quotes of a slot by market cap, the largest first, or of every slot of a span in the order of time; and what was asked for
/// and is not there.
///
/// # Errors
/// [`Error::Argument`] for an instant together with a span, or a span that is empty or still to come; [`Error::Data`] where
/// there is no such slot, nothing was known at `as_of`, or no quote of one of the coins was ever stored; otherwise as the
/// database gives them.
pub async fn quotes(settings: &Settings, wanted: &Quotes) -> Result<Read> {
    let is_span = wanted.start.is_some() || wanted.end.is_some();
    if is_span && wanted.at.is_some() {
        return Err(Error::argument(
            "give an instant with `at`, or a span with `start` and `end`, not both",
        ));
    }
    let mut store =
        SnapshotStore::open_existing(&settings.snapshot_url, &settings.vs_currency).await?;
    let now = http::now(settings).await;
    let as_of = wanted.as_of.as_ref();
    let Pinned {
        commit,
        known_at,
        pin,
    } = pinned(&mut store, as_of, now).await?;
    let commit = Some(commit);
    let newest = store.newest_slot(wanted.at, commit).await?;
    let newest = newest.ok_or_else(|| none_there(wanted))?;
    if let Some(coin) = store.never_stored(&wanted.coins).await?.first() {
        let doubt = doubt(&mut store, coin).await?;
        return Err(Error::data(format!(
            "no quote of {coin} is stored: {doubt}"
        )));
    }
    let (from, to) = match is_span {
        false => (newest, newest.next()),
        true => slots_until(&mut store, wanted, commit, newest, now).await?,
    };
    let frame = store
        .quote_frame_of(from, to, commit, &wanted.coins)
        .await?;
    let states = store.slot_states(from, to, commit).await?;
    store.close().await?;
    // a half-hour that is not over may still get its snapshot
    let due = to
        .min(Slot::containing(known_at).max(newest.next()))
        .max(from);
    let missing = missing(from, due, &states, &wanted.coins, &frame);
    Ok(Read {
        warning: warning(&missing).filter(|_| is_span),
        missing,
        frame,
        pin,
    })
}

/// The slots of a span, as far as anything is stored of it.
///
/// # Errors
/// As [`quotes`].
pub(super) async fn slots(
    store: &mut SnapshotStore,
    wanted: &Quotes,
    commit: i64,
    now: DateTime<Utc>,
) -> Result<(Slot, Slot)> {
    let commit = Some(commit);
    let newest = store.newest_slot(None, commit).await?;
    let newest = newest.ok_or_else(|| none_there(wanted))?;
    slots_until(store, wanted, commit, newest, now).await
}

async fn slots_until(
    store: &mut SnapshotStore,
    wanted: &Quotes,
    commit: Option<i64>,
    newest: Slot,
    now: DateTime<Utc>,
) -> Result<(Slot, Slot)> {
    let first = store.first_slot(commit).await?.unwrap_or(newest);
    span(wanted, first, newest, now)
}

/// The slots that begin within the bounds, of which an open one is where what is stored begins or ends.
fn span(wanted: &Quotes, first: Slot, newest: Slot, now: DateTime<Utc>) -> Result<(Slot, Slot)> {
    let from = wanted.start.map_or(first, first_from);
    let to = wanted.end.map_or(newest.next(), first_from);
    if let (Some(start), Some(end)) = (wanted.start, wanted.end)
        && start >= end
    {
        return Err(Error::argument(format!(
            "the span begins at {} and ends at {}: start must be before end",
            shown(start),
            shown(end)
        )));
    }
    match wanted.start {
        Some(start) if start > now && from > newest => Err(Error::argument(format!(
            "the span begins at {}, which is still to come",
            shown(start)
        ))),
        _ => Ok((from, to.max(from))),
    }
}

/// The first slot that begins at or after an instant.
fn first_from(at: DateTime<Utc>) -> Slot {
    let slot = Slot::containing(at);
    if slot.start() < at { slot.next() } else { slot }
}

fn none_there(wanted: &Quotes) -> Error {
    Error::data(match (wanted.at, wanted.as_of.as_ref().map(AsOf::at)) {
        (None, None) => "there is no snapshot yet: run `coinmill run snapshot`".to_owned(),
        (Some(at), None) => format!("there is no snapshot at or before {}", shown(at)),
        (None, Some(as_of)) => format!("no snapshot was stored by {}", shown(as_of)),
        (Some(at), Some(as_of)) => format!(
            "no snapshot at or before {} was stored by {}",
            shown(at),
            shown(as_of)
        ),
    })
}

fn shown(at: DateTime<Utc>) -> impl std::fmt::Display {
    at.format("%Y-%m-%dT%H:%M:%SZ")
}
