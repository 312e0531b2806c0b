//! The universe at an instant: the coins of that time's snapshot by market cap, as they were known then, also those that have died
//! or been renamed since. Nothing here calls CoinGecko.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::missing::{Missing, Read};
use super::pin::{AsOf, Pinned, pinned};
use super::quotes_missing::missing;
use super::records::{filled, key, may_lack};
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::http;
use crate::market::{Column, Kind, Measure, Quote, Slot};
use crate::store::{CoinNow, SnapshotStore, Value};

/// Which universe to read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Universe {
    /// The largest coins by market cap, so many; all that the snapshot has without it.
    pub top: Option<u64>,
    /// Those of the newest slot that began at or before this instant; without it, of the newest slot.
    pub at: Option<DateTime<Utc>>,
    /// As it was known at this instant, or at this pin.
    pub as_of: Option<AsOf>,
}

const MEMBER: [Column; 10] = [
    key("snapshot_time", Kind::Time),
    may_lack("market_cap_rank", Kind::Int),
    key("coin_id", Kind::Text),
    key("symbol", Kind::Text),
    may_lack("name", Kind::Text),
    may_lack("market_cap", Kind::Float),
    may_lack("symbol_now", Kind::Text),
    may_lack("name_now", Kind::Text),
    may_lack("last_seen", Kind::Time),
    may_lack("delisted_at", Kind::Time),
];

/// A coin of a universe.
struct Member {
    slot: Slot,
    quote: Quote,
    now: CoinNow,
}

/// The coins of a slot by market cap, the largest first, with what they are called by now, when they were last seen, and since when
/// they are delisted.
///
/// # Errors
/// [`Error::Argument`] for no coins; [`Error::Data`] where there is no such slot, or nothing was known at `as_of`; otherwise as
/// the database gives them.
pub async fn universe(settings: &Settings, wanted: &Universe) -> Result<Read> {
    if wanted.top == Some(0) {
        return Err(Error::argument(
            "a universe of no coins was asked for: give top, such as 100",
        ));
    }
    let mut store =
        SnapshotStore::open_existing(&settings.snapshot_url, &settings.vs_currency).await?;
    let now = http::now(settings).await;
    let Pinned { commit, pin, .. } = pinned(&mut store, wanted.as_of.as_ref(), now).await?;
    let slot = store.newest_slot(wanted.at, Some(commit)).await?;
    let slot = slot.ok_or_else(|| none_there(wanted))?;
    let mut quotes = store.quotes_until(slot, commit).await?;
    let state = store.slot_state(slot, Some(commit)).await?;
    let stored = quotes.len() as u64;
    if let Some(top) = wanted.top.and_then(|top| usize::try_from(top).ok()) {
        quotes.truncate(top);
    }
    let ids: Vec<_> = quotes.iter().map(|quote| quote.id.clone()).collect();
    let mut by_now = store.coins_now(&ids, commit).await?;
    store.close().await?;
    let members = quotes.into_iter().map(|quote| {
        let now = by_now.remove(&quote.id).unwrap_or_default();
        Member { slot, quote, now }
    });
    let frame = framed(members)?;
    let had = state.as_ref().map_or(0, |state| state.top);
    let states: Vec<_> = state.into_iter().map(|state| (slot, state)).collect();
    let mut missing = missing(slot, slot.next(), &states, &[], &frame);
    if let Some(top) = wanted.top.filter(|top| *top > had) {
        missing.push(Missing {
            coin_id: None,
            what: format!("ranks {} to {top}", had + 1),
            start: slot.start(),
            end: slot.end(),
            reason: format!("this snapshot was asked for the top {had}"),
        });
    }
    let warning = wanted.top.filter(|top| *top > stored.min(had) && !missing.is_empty()).map(|top| {
        format!(
            "of the top {top} of slot {slot} {} are stored: see frame.missing; CoinGecko gives no past quotes, COINMILL_TOP says how \
             many the next snapshots have",
            stored.min(top)
        )
    });
    Ok(Read {
        frame,
        missing,
        warning,
        pin,
    })
}

fn none_there(wanted: &Universe) -> Error {
    let shown = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%SZ");
    let at = wanted
        .at
        .map_or_else(String::new, |at| format!(" at or before {}", shown(at)));
    Error::data(match wanted.as_of.as_ref().map(AsOf::at) {
        Some(as_of) => format!(
            "no snapshot{at} was stored by {}: the first was taken later",
            shown(as_of)
        ),
        None => format!(
            "there is no snapshot{at} yet: `coinmill run snapshot` takes one of the present"
        ),
    })
}

/// The coins as a frame.
fn framed(members: impl Iterator<Item = Member>) -> Result<Frame> {
    let row = |member: Member| {
        vec![
            member.slot.start().into(),
            Value::Int(member.quote.market_cap_rank),
            member.quote.id.as_str().into(),
            member.quote.symbol.as_str().into(),
            member.quote.name.clone().into(),
            member.quote.measure(Measure::MarketCap).into(),
            member.now.symbol.into(),
            member.now.name.into(),
            member.now.last_seen.map(Slot::start).into(),
            member.now.delisted_at.into(),
        ]
    };
    filled(&MEMBER, members.map(row))
}
