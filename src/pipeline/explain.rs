//! One number explained: which bytes it came from, who fetched them with which program and by which rules, and what it was before.
//! Nothing here calls CoinGecko or changes a database.

use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::Settings;
use crate::error::{Error, Result};
use crate::frame::cell;
use crate::landing;
use crate::market::{CoinId, Slot};
use crate::series::{PricePoint, Resolution};
use crate::store::{Provenance, RefusedRecord, SnapshotStore, TimeseriesStore};

/// Which numbers to explain.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explain {
    /// The coin.
    pub coin: CoinId,
    /// The half-hour that holds this instant, and the points at it or shortly before.
    pub at: DateTime<Utc>,
    /// Only the point of this resolution.
    pub resolution: Option<Resolution>,
}

/// What is stored of a coin at an instant, and where it came from.
#[derive(Debug, Clone, Serialize)]
pub struct Explained {
    /// The coin.
    pub coin_id: String,
    /// The instant that was asked for.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub at: DateTime<Utc>,
    /// Its quote of that half-hour; none where nothing is known of it, or only points were asked for.
    pub quote: Option<ExplainedQuote>,
    /// Its point of each resolution.
    pub points: Vec<ExplainedPoint>,
}

/// A quote and where it came from.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedQuote {
    /// The half-hour.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub snapshot_time: DateTime<Utc>,
    /// Every number of it, by the name of its column; none where it is missing.
    pub values: Option<Map<String, Value>>,
    /// Where it came from.
    pub origin: Option<Origin>,
    /// Why it is missing.
    pub missing: Option<String>,
    /// What of it was refused.
    pub refused: Vec<RefusedRecord>,
}

/// A point and where its values came from.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedPoint {
    /// Its resolution.
    pub resolution: Resolution,
    /// CoinGecko's own stamp.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub ts: DateTime<Utc>,
    /// Every value that it had: as it was first stored, and then as CoinGecko changed it. The last one stands.
    pub versions: Vec<Version>,
    /// What was refused under its stamp.
    pub refused: Vec<RefusedRecord>,
}

/// A value of a point.
#[derive(Debug, Clone, Serialize)]
pub struct Version {
    /// In `vs_currency`.
    pub price: Option<f64>,
    /// In `vs_currency`.
    pub market_cap: Option<f64>,
    /// The traded value of the 24 hours before, in `vs_currency`.
    pub volume: Option<f64>,
    /// Where it came from.
    #[serde(flatten)]
    pub origin: Origin,
}

/// Where a value came from, and whether the bytes are still there.
#[derive(Debug, Clone, Serialize)]
pub struct Origin {
    /// The body, the request and the run.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// `there`; `gone`, where the file is not there any more (retention deletes old ones); `damaged`, where its hash is another.
    pub landed: &'static str,
}

/// Explains what is stored of a coin at an instant: its quote of that half-hour, and for each resolution its newest point that is not
/// more than two and a half steps older.
///
/// # Errors
/// [`Error::Data`] where nothing of it is stored there; otherwise as the database gives them.
pub async fn explain(settings: &Settings, wanted: &Explain) -> Result<Explained> {
    let mut quote = None;
    if wanted.resolution.is_none() {
        quote = explained_quote(settings, wanted).await?;
    }
    let mut points = Vec::new();
    let file = settings.timeseries_url.file();
    if wanted.resolution.is_some() || file.is_none_or(Path::exists) {
        points = explained_points(settings, wanted).await?;
    }
    if quote.is_none() && points.is_empty() {
        return Err(Error::data(format!(
            "nothing of {} is stored at {}: `coinmill gaps {}` lists what is missing, and why",
            wanted.coin,
            wanted.at.format("%Y-%m-%dT%H:%M:%SZ"),
            wanted.coin
        )));
    }
    Ok(Explained {
        coin_id: wanted.coin.to_string(),
        at: wanted.at,
        quote,
        points,
    })
}

async fn explained_quote(settings: &Settings, wanted: &Explain) -> Result<Option<ExplainedQuote>> {
    let slot = Slot::containing(wanted.at);
    let mut store =
        SnapshotStore::open_existing(&settings.snapshot_url, &settings.vs_currency).await?;
    let provenance = store.origin_of_quote(slot, &wanted.coin).await?;
    let refused = store.refused_quotes(slot, &wanted.coin).await?;
    let state = store.slot_state(slot, None).await?;
    let coins = std::slice::from_ref(&wanted.coin);
    let frame = store.quote_frame_of(slot, slot.next(), None, coins).await?;
    store.close().await?;
    let mut missing = state.into_iter().flat_map(|state| state.account.missing);
    let missing = missing.find(|absent| absent.coin_id.as_deref() == Some(wanted.coin.as_str()));
    let missing = missing.map(|absent| absent.reason);
    if provenance.is_none() && missing.is_none() && refused.is_empty() {
        return Ok(None);
    }
    let row = frame.batches.iter().find(|batch| batch.num_rows() > 0);
    let values = row.map(|row| {
        let columns = frame.schema.fields().iter().zip(row.columns());
        let value = columns.map(|(field, column)| {
            let value = cell(column.as_ref(), 0).map_or(Value::Null, Value::from);
            (field.name().clone(), value)
        });
        value.collect()
    });
    Ok(Some(ExplainedQuote {
        snapshot_time: slot.start(),
        values,
        origin: provenance.map(|provenance| origin(settings, provenance)),
        missing,
        refused,
    }))
}

async fn explained_points(settings: &Settings, wanted: &Explain) -> Result<Vec<ExplainedPoint>> {
    let mut store =
        TimeseriesStore::open_existing(&settings.timeseries_url, &settings.vs_currency).await?;
    let at = wanted.at.timestamp_millis();
    let mut points = Vec::new();
    for resolution in Resolution::ALL {
        if wanted.resolution.is_some_and(|only| only != resolution) {
            continue;
        }
        let coin = &wanted.coin;
        let before = store.stamp_before(coin, resolution, at).await?;
        let near = before.filter(|ts| at - ts <= resolution.step() * 5 / 2);
        let ts = near.unwrap_or(at);
        let versions = store.origins_of_point(coin, resolution, ts).await?;
        let refused = store.refused_points(coin, resolution, ts).await?;
        if versions.is_empty() && refused.is_empty() {
            continue;
        }
        let version = |(point, provenance): (PricePoint, Provenance)| Version {
            price: point.price,
            market_cap: point.market_cap,
            volume: point.volume,
            origin: origin(settings, provenance),
        };
        points.push(ExplainedPoint {
            resolution,
            ts: DateTime::from_timestamp_millis(ts).unwrap_or(wanted.at),
            versions: versions.into_iter().map(version).collect(),
            refused,
        });
    }
    store.close().await?;
    Ok(points)
}

fn origin(settings: &Settings, provenance: Provenance) -> Origin {
    let found = landing::find(&settings.landing_dir, &provenance.body, &provenance.sha256)
        .and_then(|landed| landing::read(&settings.landing_dir, &landed));
    let is_there = settings.landing_dir.join(&provenance.body).exists();
    Origin {
        provenance,
        landed: match found {
            Ok(_) => "there",
            Err(_) if is_there => "damaged",
            Err(_) => "gone",
        },
    }
}
