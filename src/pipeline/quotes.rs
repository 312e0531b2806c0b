//! Reading quotes: a slot's, as they were known at an instant, and what of them was missing then.
//! Nothing here calls CoinGecko or changes a database.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::missing::{Missing, Read};
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::store::SnapshotStore;

/// Which quotes to read.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Quotes {
    /// Those of the newest slot that began at or before this instant, whenever they came; without it, of the newest slot.
    pub at: Option<DateTime<Utc>>,
    /// As it was known at this instant: which slots there were, their quotes, and what was missing.
    pub as_of: Option<DateTime<Utc>>,
}

/// The quotes of a slot by market cap, the largest first, and what was asked for and is not there.
///
/// # Errors
/// [`Error::Data`] where there is no such slot, or nothing was known at `as_of`; otherwise as the database gives them.
pub async fn quotes(settings: &Settings, wanted: &Quotes) -> Result<Read> {
    let mut store =
        SnapshotStore::open_existing(&settings.snapshot_url, &settings.vs_currency).await?;
    // one pin for all that is read, so that a commit meanwhile does not tear it
    let pin = match wanted.as_of {
        None => store.newest_commit().await?,
        Some(as_of) => Some(store.pin(as_of).await?.ok_or_else(|| {
            Error::data(format!(
                "nothing was stored by {}: the first snapshot was taken later",
                shown(as_of)
            ))
        })?),
    };
    let slot = store
        .newest_slot(wanted.at, pin)
        .await?
        .ok_or_else(|| none_there(wanted))?;
    let frame = store.quote_frame(slot, slot.next(), pin).await?;
    let state = store.slot_state(slot, pin).await?;
    store.close().await?;
    let absent = state.into_iter().flat_map(|state| state.account.missing);
    let missing = absent.map(|absent| Missing {
        start: slot.start(),
        end: slot.end(),
        coin_id: absent.coin_id,
        what: absent.what,
        reason: absent.reason,
    });
    Ok(Read {
        frame,
        missing: missing.collect(),
        warning: None,
    })
}

fn none_there(wanted: &Quotes) -> Error {
    Error::data(match (wanted.at, wanted.as_of) {
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
