//! One number back to its bytes: the body, the request, the run and the rules behind a quote, a point and each of its revisions.
//! Whether the body's file is there is the landing's to say.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::connection::Connection;
use super::coverage::instant;
use super::ledger::needed;
use super::value::Row;
use crate::error::Result;
use crate::market::{CoinId, Slot};
use crate::series::{PricePoint, Resolution};

/// Where a value came from, and when it was known.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Provenance {
    /// The run that stored it.
    pub run: String,
    /// That run's kind.
    pub kind: String,
    /// The version of coinmill that ran.
    pub version: String,
    /// The rules by which it was validated.
    pub rule_set: String,
    /// The request that brought the body; never with a key.
    pub request: String,
    /// The status of the response.
    pub status: i64,
    /// The body's file, below the landing folder.
    pub body: String,
    /// The body's SHA-256, in hex.
    pub sha256: String,
    /// The body's length in bytes.
    pub bytes: i64,
    /// When the body was received.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub received_at: DateTime<Utc>,
    /// Since when readers could see it; none for a commit that has just been made.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub known_at: Option<DateTime<Utc>>,
}

/// A statement with the columns of a [`Provenance`] between its two parts: of a landing row `l`, its commit `m` and its run `r`.
macro_rules! with_provenance {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            "r.id, r.kind, r.version, r.rule_set, l.request, l.status, l.path, l.sha256, l.bytes, l.received_at, m.at",
            $after
        )
    };
}

fn provenance(row: &Row, from: usize) -> Result<Provenance> {
    Ok(Provenance {
        run: needed(row.text(from)?, "run.id")?,
        kind: needed(row.text(from + 1)?, "run.kind")?,
        version: needed(row.text(from + 2)?, "run.version")?,
        rule_set: needed(row.text(from + 3)?, "run.rule_set")?,
        request: needed(row.text(from + 4)?, "landing.request")?,
        status: needed(row.int(from + 5)?, "landing.status")?,
        body: needed(row.text(from + 6)?, "landing.path")?,
        sha256: needed(row.text(from + 7)?, "landing.sha256")?,
        bytes: needed(row.int(from + 8)?, "landing.bytes")?,
        received_at: needed(row.time(from + 9)?, "landing.received_at")?,
        known_at: row.time(from + 10)?,
    })
}

/// A record that was refused.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RefusedRecord {
    /// The rule that it broke.
    pub rule: String,
    /// Why, with what stood there.
    pub reason: String,
    /// Its own bytes, or the beginning of a whole body's.
    pub raw: String,
    /// Where it came from.
    pub origin: Provenance,
}

fn refused(rows: &[Row]) -> Result<Vec<RefusedRecord>> {
    let record = |row: &Row| {
        Ok(RefusedRecord {
            rule: needed(row.text(0)?, "quarantine.rule")?,
            reason: needed(row.text(1)?, "quarantine.reason")?,
            raw: needed(row.text(2)?, "quarantine.raw")?,
            origin: provenance(row, 3)?,
        })
    };
    rows.iter().map(record).collect()
}

/// Where a coin's quote of a slot came from; none where there is none.
pub(super) async fn of_quote(
    connection: &mut Connection,
    slot: Slot,
    coin: &CoinId,
) -> Result<Option<Provenance>> {
    let sql = with_provenance!(
        "select ",
        " from quote q join coin c on c.key = q.coin join landing l on l.id = q.landing \
         join \"commit\" m on m.id = l.\"commit\" join run r on r.id = l.run where q.snapshot_time = $1 and c.id = $2"
    );
    let values = vec![slot.start().into(), coin.as_str().into()];
    let rows = connection.fetch(sql, values).await?;
    rows.first().map(|row| provenance(row, 0)).transpose()
}

/// What of a coin was refused in a slot, the oldest first.
pub(super) async fn refused_quotes(
    connection: &mut Connection,
    slot: Slot,
    coin: &CoinId,
) -> Result<Vec<RefusedRecord>> {
    let sql = with_provenance!(
        "select q.rule, q.reason, q.raw, ",
        " from quarantine q join landing l on l.id = q.landing \
         join \"commit\" m on m.id = l.\"commit\" join run r on r.id = l.run where r.slot = $1 and q.coin = $2 order by q.id"
    );
    let values = vec![slot.start().into(), coin.as_str().into()];
    refused(&connection.fetch(sql, values).await?)
}

/// The stamp of a coin's newest point at a resolution at or before an instant, in milliseconds.
pub(super) async fn stamp_before(
    connection: &mut Connection,
    coin: &CoinId,
    resolution: Resolution,
    at: i64,
) -> Result<Option<i64>> {
    let sql = "select p.ts from coin c join price_point p on p.coin = c.key \
               where c.id = $1 and p.resolution = $2 and p.ts <= $3 order by p.ts desc limit 1";
    let resolution = i64::from(resolution.minutes());
    let values = vec![coin.as_str().into(), resolution.into(), instant(at)];
    let rows = connection.fetch(sql, values).await?;
    let stamp = rows.first().map(|row| row.time(0)).transpose()?.flatten();
    Ok(stamp.map(|at| at.timestamp_millis()))
}

/// Every value of a point, as it was first stored and then revised, with where each came from: the last one stands.
pub(super) async fn of_point(
    connection: &mut Connection,
    coin: &CoinId,
    resolution: Resolution,
    ts: i64,
) -> Result<Vec<(PricePoint, Provenance)>> {
    let sql = with_provenance!(
        "select x.price, x.market_cap, x.volume, ",
        " from (\
         select 0 as place, coin, resolution, ts, price, market_cap, volume, landing from price_point union all \
         select 1, coin, resolution, ts, price, market_cap, volume, landing from price_revision) x \
         join coin c on c.key = x.coin join landing l on l.id = x.landing join \"commit\" m on m.id = l.\"commit\" \
         join run r on r.id = l.run where c.id = $1 and x.resolution = $2 and x.ts = $3 \
         order by x.place, l.\"commit\", l.received_at"
    );
    let resolution = i64::from(resolution.minutes());
    let values = vec![coin.as_str().into(), resolution.into(), instant(ts)];
    let rows = connection.fetch(sql, values).await?;
    let version = |row: &Row| {
        let point = PricePoint {
            ts,
            price: row.float(0)?,
            market_cap: row.float(1)?,
            volume: row.float(2)?,
        };
        Ok((point, provenance(row, 3)?))
    };
    rows.iter().map(version).collect()
}

/// What of a coin's charts was refused under a stamp, the oldest first.
pub(super) async fn refused_points(
    connection: &mut Connection,
    coin: &CoinId,
    resolution: Resolution,
    ts: i64,
) -> Result<Vec<RefusedRecord>> {
    let sql = with_provenance!(
        "select q.rule, q.reason, q.raw, ",
        " from quarantine q join landing l on l.id = q.landing \
         join \"commit\" m on m.id = l.\"commit\" join run r on r.id = l.run \
         where q.coin = $1 and r.resolution = $2 and q.raw like $3 order by q.id"
    );
    let resolution = i64::from(resolution.minutes());
    let raw = format!("[{ts},%");
    let values = vec![coin.as_str().into(), resolution.into(), raw.as_str().into()];
    refused(&connection.fetch(sql, values).await?)
}
