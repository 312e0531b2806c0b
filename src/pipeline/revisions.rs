//! Reading revisions: later, different values of points that were stored already.
//! Which of them a read of prices shows is that read's work.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::missing::Read;
use super::prices::{FAR, edge};
use super::unknown::never_stored;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::market::CoinId;
use crate::series::{Resolution, Span};
use crate::store::{RevisionsQuery, TimeseriesStore};

/// Which revisions to read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Revisions {
    /// Only these coins; empty is all.
    pub coins: Vec<CoinId>,
    /// Of points from this instant on.
    pub start: Option<DateTime<Utc>>,
    /// Of points before this instant.
    pub end: Option<DateTime<Utc>>,
    /// Only at this resolution.
    pub resolution: Option<Resolution>,
}

/// The revisions of points, by coin, resolution and stamp, and those of one point in the order in which they became known.
///
/// # Errors
/// [`Error::Argument`] for a span that is empty; [`Error::Data`] for a coin of which nothing was ever stored; otherwise as the
/// database gives them.
pub async fn revisions(settings: &Settings, wanted: &Revisions) -> Result<Read> {
    let bound = |at: Option<DateTime<Utc>>, open: i64| at.map_or(open, edge);
    let span = Span::new(bound(wanted.start, 0), bound(wanted.end, FAR))
        .ok_or_else(|| Error::argument("the span is empty: its start has to be before its end"))?;
    let mut store =
        TimeseriesStore::open_existing(&settings.timeseries_url, &settings.vs_currency).await?;
    let absent = store.never_stored(&wanted.coins).await?;
    if !absent.is_empty() {
        let absent: Vec<&CoinId> = absent.iter().collect();
        return Err(never_stored(settings, &mut store, wanted.resolution, &absent).await);
    }
    let query = RevisionsQuery {
        coins: wanted.coins.clone(),
        resolution: wanted.resolution,
        span,
    };
    let frame = store.revisions(&query).await?;
    store.close().await?;
    Ok(Read {
        frame,
        missing: Vec::new(),
        warning: None,
        pin: None,
    })
}
