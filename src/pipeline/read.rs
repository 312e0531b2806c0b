//! Reading what is stored: quotes and prices as files in dated folders.
//! Nothing here calls CoinGecko or changes a database; frames are read in `quotes` and `prices`.

use std::path::Path;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Serialize;

use super::csv::write_csv;
use super::status::timeseries;
use super::{Observer, Progress, Unit};
use crate::config::Settings;
use crate::error::Result;
use crate::frame::{Frame, write_parquet};
use crate::market::Slot;
use crate::series::{Span, days};
use crate::store::{PricesQuery, SeriesHoldings, SnapshotStore};

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

/// A format of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Apache Parquet, compressed with zstd.
    Parquet,
    /// Comma-separated values, as [`write_csv`] has them.
    Csv,
}

impl FileFormat {
    fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
        }
    }

    fn write(self, path: &Path, frame: &Frame) -> Result<()> {
        match self {
            Self::Parquet => write_parquet(path, frame),
            Self::Csv => write_csv(path, frame),
        }
    }
}

/// Writes quotes and prices as files: `quotes/date=YYYY-MM-DD/quotes.parquet` and
/// `prices/resolution=1h/date=YYYY-MM-DD/prices.parquet`, or `.csv`. `days` are the first and the day after the last (UTC). A
/// day's file is written whole or not at all; writing it again replaces it.
///
/// # Errors
/// [`crate::error::Error::Store`] when a file cannot be written; [`crate::error::Error::Stopped`]; otherwise as the databases
/// give them.
pub async fn export(
    settings: &Settings,
    folder: &Path,
    format: FileFormat,
    days: (Option<NaiveDate>, Option<NaiveDate>),
    observer: &Observer<'_>,
) -> Result<Exported> {
    observer
        .stop
        .or(write_all(settings, folder, format, days, observer))
        .await
}

async fn write_all(
    settings: &Settings,
    folder: &Path,
    format: FileFormat,
    (from, to): (Option<NaiveDate>, Option<NaiveDate>),
    observer: &Observer<'_>,
) -> Result<Exported> {
    let mut exported = Exported::default();
    let within =
        |day: &NaiveDate| from.is_none_or(|from| from <= *day) && to.is_none_or(|to| *day < to);
    let mut store =
        SnapshotStore::open_existing(&settings.snapshot_url, &settings.vs_currency).await?;
    let mut series = timeseries(settings).await?;
    let held = store.holdings().await?;
    let slots = || spanned(held.first_slot, held.newest_slot).filter(within);
    let held = match series.as_mut() {
        Some(series) => series.holdings().await?,
        None => Vec::new(),
    };
    let points = |held: &SeriesHoldings| spanned(held.first, held.newest).filter(within);
    let expected = slots().count() + held.iter().map(|held| points(held).count()).sum::<usize>();
    let mut done = 0;
    let mut day_done = || {
        done += 1;
        observer.show(Progress {
            received: done,
            expected: expected as u64,
            unit: Unit::Days,
            per_minute: None,
        });
    };
    let extension = format.extension();
    for day in slots() {
        let (start, end) = (slot_of(day), slot_of(day + TimeDelta::days(1)));
        let frame = store.quote_frame(start, end, None).await?;
        if frame.rows() > 0 {
            let name = format!("quotes/date={day}/quotes.{extension}");
            format.write(&folder.join(name), &frame)?;
            exported.files += 1;
            exported.quotes += frame.rows() as u64;
        }
        day_done();
    }
    store.close().await?;
    let Some(mut store) = series else {
        exported.absent = Some(settings.timeseries_url.to_string());
        return Ok(exported);
    };
    for held in &held {
        for day in points(held) {
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
                let name = format!("prices/resolution={resolution}/date={day}/prices.{extension}");
                format.write(&folder.join(name), &frame)?;
                exported.files += 1;
                exported.points += frame.rows() as u64;
            }
            day_done();
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
