//! Where points are missing, and why: the views `v_gaps` and `owed`, coin by coin.
//! What is done about a gap is the pipeline's decision.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::connection::{Connection, Sql};
use super::ledger::needed;
use super::value::{Row, Value};
use crate::error::Result;
use crate::market::CoinId;
use crate::series::{Resolution, Span};

/// A span of a coin's series in which points are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The coin.
    pub coin_id: String,
    /// The resolution.
    pub resolution: Resolution,
    /// Why: `not_asked`, `failed`, `doubted` (a chart had no points there), `refused` (they are in quarantine), `source_empty`
    /// (CoinGecko has none), `lost` (it no longer gives them) or `healed` (lost, and covered by the hour).
    pub kind: String,
    /// Its first instant.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub starts_at: DateTime<Utc>,
    /// The first instant after it.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub ends_at: DateTime<Utc>,
    /// Since when it could no longer be fetched in whole.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub lost_at: Option<DateTime<Utc>>,
}

impl Gap {
    /// The span in milliseconds since 1970.
    pub fn span(&self) -> Option<Span> {
        Span::new(
            self.starts_at.timestamp_millis(),
            self.ends_at.timestamp_millis(),
        )
    }
}

/// What is owed of a coin at a resolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// The coin.
    pub coin: CoinId,
    /// The resolution.
    pub resolution: Resolution,
    /// A span of it.
    pub span: Span,
}

const GAPS: Sql = Sql {
    postgres: "select coin_id, resolution, kind, starts_ms, ends_ms, cast(extract(epoch from lost_at) * 1000 as bigint) \
               from v_gaps where coin_id = $1 and starts_ms < $3 and ends_ms > $2 order by resolution, starts_ms",
    sqlite: "select coin_id, resolution, kind, starts_ms, ends_ms, \
             case when lost_at is not null then starts_ms + 86400000 end \
             from v_gaps where coin_id = $1 and starts_ms < $3 and ends_ms > $2 order by resolution, starts_ms",
};

/// The gaps of a coin that reach into a span, by resolution and time.
pub(super) async fn of_coin(
    connection: &mut Connection,
    coin: &CoinId,
    span: Span,
) -> Result<Vec<Gap>> {
    let values: Vec<Value> = vec![coin.as_str().into(), span.start.into(), span.end.into()];
    let rows = connection.fetch(GAPS, values).await?;
    let at = |ms: i64| DateTime::from_timestamp_millis(ms).unwrap_or_default();
    let read = |row: &Row| {
        Ok(Gap {
            coin_id: needed(row.text(0)?, "v_gaps.coin_id")?,
            resolution: needed(row.text(1)?, "v_gaps.resolution")?.parse()?,
            kind: needed(row.text(2)?, "v_gaps.kind")?,
            starts_at: at(needed(row.int(3)?, "v_gaps.starts_ms")?),
            ends_at: at(needed(row.int(4)?, "v_gaps.ends_ms")?),
            lost_at: row.int(5)?.map(at),
        })
    };
    rows.iter().map(read).collect()
}

/// What is owed of every coin, by coin, resolution and time.
pub(super) async fn owed(connection: &mut Connection) -> Result<Vec<Owed>> {
    let sql = "select coin_id, starts_at, ends_at, cast(resolution as bigint) from owed order by coin_id, resolution, starts_at";
    let rows = connection.fetch(sql, vec![]).await?;
    let read = |row: &Row| {
        let (coin, span) = super::coverage::spanned(row)?;
        let minutes = needed(row.int(3)?, "owed.resolution")?;
        let resolution = needed(Resolution::of_minutes(minutes), "owed.resolution")?;
        Ok(Owed {
            coin,
            resolution,
            span,
        })
    };
    rows.iter().map(read).collect()
}
