//! Reading what is stored: quotes and prices as dated Parquet folders.
//! Nothing here calls CoinGecko or changes a database; frames are read in `quotes` and `prices`.

use std::path::Path;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Serialize;

use super::status::timeseries;
use crate::config::Settings;
use crate::error::Result;
use crate::frame::write_parquet;
use crate::market::Slot;
use crate::series::{Span, days};
use crate::store::{PricesQuery, SnapshotStore};

/// What an export wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Files.
    pub files: u64,
    /// Quotes.
    pub quotes: u64,
    /// Price points.
    pub points: u64,
    /// The time series database, where it is a SQLite file that no run has made yet: nothing of it is in the export.
    pub absent: Option<String>,
}

/// Writes quotes and prices as Parquet: `quotes/date=YYYY-MM-DD/quotes.parquet` and
/// `prices/resolution=1h/date=YYYY-MM-DD/prices.parquet`. A day's file is written whole or not at all; writing it again
/// replaces it.
///
/// # Errors
/// [`crate::error::Error::Store`] when a file cannot be written; otherwise as the databases give them.
pub async fn export_parquet(
    settings: &Settings,
    folder: &Path,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
) -> Result<Exported> {
    let mut exported = Exported::default();
    let within =
        |day: NaiveDate| from.is_none_or(|from| from <= day) && to.is_none_or(|to| day < to);
    let mut store =
        SnapshotStore::open_existing(&settings.snapshot_url, &settings.vs_currency).await?;
    let held = store.holdings().await?;
    for day in spanned(held.first_slot, held.newest_slot).filter(|day| within(*day)) {
        let (start, end) = (slot_of(day), slot_of(day + TimeDelta::days(1)));
        let frame = store.quote_frame(start, end, None).await?;
        if frame.rows() > 0 {
            write_parquet(
                &folder.join(format!("quotes/date={day}/quotes.parquet")),
                &frame,
            )?;
            exported.files += 1;
            exported.quotes += frame.rows() as u64;
        }
    }
    store.close().await?;
    let Some(mut store) = timeseries(settings).await? else {
        exported.absent = Some(settings.timeseries_url.to_string());
        return Ok(exported);
    };
    for held in store.holdings().await? {
        for day in spanned(held.first, held.newest).filter(|day| within(*day)) {
            let start = slot_of(day).start().timestamp_millis();
            let query = PricesQuery {
                coins: Vec::new(),
                resolution: held.resolution,
                span: Span {
                    start,
                    end: start + days(1),
                },
                pin: None,
            };
            let frame = store.prices(&query).await?;
            if frame.rows() > 0 {
                let resolution = held.resolution;
                let name = format!("prices/resolution={resolution}/date={day}/prices.parquet");
                write_parquet(&folder.join(name), &frame)?;
                exported.files += 1;
                exported.points += frame.rows() as u64;
            }
        }
    }
    store.close().await?;
    Ok(exported)
}

fn spanned(
    first: Option<DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
) -> impl Iterator<Item = NaiveDate> {
    let (first, last) = (
        first.map(|at| at.date_naive()),
        last.map(|at| at.date_naive()),
    );
    first
        .into_iter()
        .flat_map(|first| first.iter_days())
        .take_while(move |day| last.is_some_and(|last| *day <= last))
}

fn slot_of(day: NaiveDate) -> Slot {
    Slot::containing(day.and_time(chrono::NaiveTime::MIN).and_utc())
}
