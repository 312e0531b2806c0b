//! The ledger: a row for every run, from before its first call to its end; and the month's credits.
//! These are short commits of their own, so that they survive whatever happens to the run's data.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::connection::Connection;
use super::value::{Row, Value};
use crate::contract::{Deviation, Drift};
use crate::error::{Error, Result};
use crate::market::Slot;
use crate::series::Resolution;

/// What a run works on, and holds the lock of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A half-hour of the snapshot database.
    Slot(Slot),
    /// Series of a resolution.
    Series(Resolution),
    /// What is kept no longer, of all that the database holds.
    Old,
    /// The list of all coins.
    Listing,
}

impl From<Slot> for Scope {
    fn from(slot: Slot) -> Self {
        Self::Slot(slot)
    }
}

impl From<Resolution> for Scope {
    fn from(resolution: Resolution) -> Self {
        Self::Series(resolution)
    }
}

impl Scope {
    fn slot(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Slot(slot) => Some(slot.start()),
            Self::Series(_) | Self::Old | Self::Listing => None,
        }
    }

    pub(super) fn minutes(self) -> Option<i64> {
        match self {
            Self::Slot(_) | Self::Old | Self::Listing => None,
            Self::Series(resolution) => Some(resolution.minutes().into()),
        }
    }

    /// That of a run, by its columns `slot`, `resolution` and `kind`.
    pub(super) fn read(
        row: &Row,
        slot: usize,
        minutes: usize,
        kind: usize,
    ) -> Result<Option<Self>> {
        if let Some(start) = row.time(slot)? {
            return Ok(Some(Self::Slot(Slot::containing(start))));
        }
        Ok(match row.int(minutes)? {
            Some(minutes) => Resolution::of_minutes(minutes).map(Self::Series),
            None if row.text(kind)?.as_deref() == Some(LISTING) => Some(Self::Listing),
            None => Some(Self::Old),
        })
    }
}

/// The kind of a run that stores the list of all coins.
pub const LISTING: &str = "listing";

/// What is written about a run before it does anything.
#[derive(Debug, Clone)]
pub struct RunStart {
    /// The run's id.
    pub id: String,
    /// `snapshot`, `timeseries`, `listing`, `backfill`, `requeue` or `prune`.
    pub kind: &'static str,
    /// The slot of a snapshot run, the series of another, or what a prune works on.
    pub scope: Scope,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// The rules in force.
    pub rule_set: String,
    /// The API that it calls.
    pub api_url: String,
    /// What it is asked for and by which bounds, as JSON.
    pub settings: String,
}

/// What is written about a run at its end.
#[derive(Debug, Clone)]
pub struct RunEnd {
    /// `complete`, `partial`, `failed` or `abandoned`.
    pub state: &'static str,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// Coins asked for.
    pub expected: Option<u64>,
    /// Records received for them, refused ones included.
    pub received: Option<u64>,
    /// Quotes that the slot now holds.
    pub accepted: Option<u64>,
    /// Records that this run refused.
    pub rejected: Option<u64>,
    /// Quotes that this run added.
    pub stored: Option<u64>,
    /// Calls sent.
    pub calls: Option<u64>,
    /// The quality score.
    pub score: Option<f64>,
    /// The content hash of what is stored.
    pub content_hash: Option<String>,
    /// What went wrong, for people.
    pub error: Option<String>,
    /// The whole report, as JSON.
    pub report: Option<String>,
    /// Fields of CoinGecko's bodies that are not as they are known to be.
    pub drift: Vec<Drift>,
}

impl RunEnd {
    /// The same for a run that ended with an error.
    #[must_use]
    pub fn failed(self, error: &Error) -> Self {
        let state = match error {
            Error::Stopped { .. } => "abandoned",
            _ => "failed",
        };
        Self {
            state,
            error: Some(error.chain()),
            ..self
        }
    }
}

/// How far a run is, as each of its commits writes it: one that dies later has said so much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunProgress {
    /// Charts expected.
    pub expected: u64,
    /// Charts received.
    pub received: u64,
    /// Points, or whole bodies, that were refused.
    pub rejected: u64,
    /// Calls sent.
    pub calls: u64,
}

/// A row of the ledger.
#[derive(Debug, Clone, Serialize)]
pub struct RunRow {
    /// The run's id.
    #[serde(rename = "run")]
    pub id: String,
    /// `snapshot`, `timeseries`, `listing`, `backfill`, `requeue` or `prune`.
    pub kind: String,
    /// The slot of a snapshot run.
    #[serde(rename = "snapshot_time", serialize_with = "crate::stamp::stamp")]
    pub slot: Option<DateTime<Utc>>,
    /// The resolution of a time series run.
    pub resolution: Option<Resolution>,
    /// `running`, `complete`, `partial`, `failed` or `abandoned`.
    pub state: String,
    /// When it began.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub started_at: DateTime<Utc>,
    /// When it ended.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub finished_at: Option<DateTime<Utc>>,
    /// Coins asked for.
    pub expected: Option<u64>,
    /// Records received for them.
    pub received: Option<u64>,
    /// Quotes that the slot held after it.
    pub accepted: Option<u64>,
    /// Records that it refused.
    pub rejected: Option<u64>,
    /// Quotes that it added.
    pub stored: Option<u64>,
    /// Calls sent.
    pub calls: Option<u64>,
    /// The quality score.
    pub score: Option<f64>,
    /// The content hash of what was stored.
    pub content_hash: Option<String>,
    /// The version of coinmill.
    pub version: String,
    /// The rules in force.
    pub rule_set: String,
    /// The API that it called.
    pub api_url: String,
    /// What went wrong.
    pub error: Option<String>,
}

/// Writes that a run has begun.
pub(crate) async fn begin(connection: &mut Connection, run: &RunStart) -> Result<()> {
    let sql = "insert into run (id, kind, slot, resolution, state, started_at, version, rule_set, api_url, settings) \
               values ($1, $2, $3, $4, 'running', $5, $6, $7, $8, $9)";
    let values = vec![
        run.id.as_str().into(),
        run.kind.into(),
        run.scope.slot().into(),
        run.scope.minutes().into(),
        run.started_at.into(),
        env!("CARGO_PKG_VERSION").into(),
        run.rule_set.as_str().into(),
        run.api_url.as_str().into(),
        run.settings.as_str().into(),
    ];
    connection.execute(sql, values).await.map(drop)
}

/// Writes how far a run is, with what this commit stores.
pub(crate) async fn progress(
    connection: &mut Connection,
    id: &str,
    progress: &RunProgress,
    stored: u64,
) -> Result<()> {
    let sql = "update run set expected = $2, received = $3, rejected = $4, calls = $5, stored = coalesce(stored, 0) + $6 \
               where id = $1";
    let values = vec![
        id.into(),
        progress.expected.into(),
        progress.received.into(),
        progress.rejected.into(),
        progress.calls.into(),
        stored.into(),
    ];
    connection.execute(sql, values).await.map(drop)
}

/// Writes how a run ended, and what its bodies had more or less. Two statements: to be called inside a commit.
pub(crate) async fn end(connection: &mut Connection, id: &str, end: &RunEnd) -> Result<()> {
    let sql = "update run set state = $2, finished_at = $3, expected = $4, received = $5, accepted = $6, rejected = $7, \
               stored = $8, calls = $9, score = $10, content_hash = $11, error = $12, report = $13 where id = $1";
    let values = vec![
        id.into(),
        end.state.into(),
        end.finished_at.into(),
        end.expected.into(),
        end.received.into(),
        end.accepted.into(),
        end.rejected.into(),
        end.stored.into(),
        end.calls.into(),
        end.score.into(),
        end.content_hash.clone().into(),
        end.error.clone().into(),
        end.report.clone().into(),
    ];
    connection.execute(sql, values).await?;
    let drift: Vec<Vec<Value>> = end
        .drift
        .iter()
        .map(|drift| {
            vec![
                id.into(),
                drift.endpoint.as_str().into(),
                drift.field.as_str().into(),
                drift.deviation.name().into(),
                drift.records.into(),
                drift.first_seen.into(),
                drift.last_seen.into(),
            ]
        })
        .collect();
    let columns = [
        "run",
        "endpoint",
        "field",
        "deviation",
        "records",
        "first_seen",
        "last_seen",
    ];
    connection.insert("schema_drift", &columns, &drift).await
}

/// What the bodies of all runs had more or less.
pub(crate) async fn drift(connection: &mut Connection) -> Result<Vec<Drift>> {
    let sql = "select endpoint, field, deviation, cast(sum(records) as bigint), min(first_seen), max(last_seen) \
               from schema_drift group by endpoint, deviation, field order by endpoint, deviation, field";
    let rows = connection.fetch(sql, vec![]).await?;
    rows.iter()
        .map(|row| {
            Ok(Drift {
                endpoint: needed(row.text(0)?, "schema_drift.endpoint")?,
                field: needed(row.text(1)?, "schema_drift.field")?,
                deviation: match row.text(2)?.as_deref() {
                    Some("missing") => Deviation::Missing,
                    _ => Deviation::Unknown,
                },
                records: needed(row.count(3)?, "schema_drift.records")?,
                first_seen: needed(row.time(4)?, "schema_drift.first_seen")?,
                last_seen: needed(row.time(5)?, "schema_drift.last_seen")?,
            })
        })
        .collect()
}

/// The runs that say they are running, other than this one, and what each works on.
pub(crate) async fn running(
    connection: &mut Connection,
    except: &str,
) -> Result<Vec<(String, Option<Scope>)>> {
    let sql = "select id, slot, cast(resolution as bigint), kind from run where state = 'running' and id <> $1";
    let rows = connection.fetch(sql, vec![except.into()]).await?;
    rows.iter()
        .map(|row| Ok((needed(row.text(0)?, "run.id")?, Scope::read(row, 1, 2, 3)?)))
        .collect()
}

/// Writes that a run died: its lock was free, so nobody is at work on it.
pub(crate) async fn abandon(
    connection: &mut Connection,
    id: &str,
    at: DateTime<Utc>,
) -> Result<()> {
    let sql =
        "update run set state = 'abandoned', finished_at = $2 where id = $1 and state = 'running'";
    connection
        .execute(sql, vec![id.into(), at.into()])
        .await
        .map(drop)
}

const NEWEST: &str = "select id, kind, slot, state, started_at, finished_at, expected, received, accepted, rejected, stored, calls, \
    score, content_hash, version, rule_set, api_url, error, cast(resolution as bigint) from run \
    order by started_at desc, id desc limit $1";

const ONE: &str = "select id, kind, slot, state, started_at, finished_at, expected, received, accepted, rejected, stored, calls, \
    score, content_hash, version, rule_set, api_url, error, cast(resolution as bigint) from run where id = $1";

/// The newest runs, newest first.
pub(crate) async fn runs(connection: &mut Connection, limit: u32) -> Result<Vec<RunRow>> {
    let rows = connection.fetch(NEWEST, vec![limit.into()]).await?;
    rows.iter().map(run_row).collect()
}

/// One run.
pub(crate) async fn run(connection: &mut Connection, id: &str) -> Result<Option<RunRow>> {
    let rows = connection.fetch(ONE, vec![id.into()]).await?;
    rows.first().map(run_row).transpose()
}

/// The ids of runs that begin or end with a text, the newest first, up to a number. The text has to be a part of an id: letters,
/// digits and dashes.
pub(crate) async fn ids_like(
    connection: &mut Connection,
    part: &str,
    limit: u32,
) -> Result<Vec<String>> {
    let sql = "select id from run where id like $1 or id like $2 order by started_at desc, id desc limit $3";
    let values = vec![
        format!("{part}%").into(),
        format!("%{part}").into(),
        limit.into(),
    ];
    let rows = connection.fetch(sql, values).await?;
    rows.iter()
        .map(|row| needed(row.text(0)?, "run.id"))
        .collect()
}

fn run_row(row: &Row) -> Result<RunRow> {
    Ok(RunRow {
        id: needed(row.text(0)?, "run.id")?,
        kind: needed(row.text(1)?, "run.kind")?,
        slot: row.time(2)?,
        state: needed(row.text(3)?, "run.state")?,
        started_at: needed(row.time(4)?, "run.started_at")?,
        finished_at: row.time(5)?,
        expected: row.count(6)?,
        received: row.count(7)?,
        accepted: row.count(8)?,
        rejected: row.count(9)?,
        stored: row.count(10)?,
        calls: row.count(11)?,
        score: row.float(12)?,
        content_hash: row.text(13)?,
        version: needed(row.text(14)?, "run.version")?,
        rule_set: needed(row.text(15)?, "run.rule_set")?,
        api_url: needed(row.text(16)?, "run.api_url")?,
        error: row.text(17)?,
        resolution: row.int(18)?.and_then(Resolution::of_minutes),
    })
}

/// A value that the schema says is there.
pub(crate) fn needed<T>(value: Option<T>, column: &str) -> Result<T> {
    value.ok_or_else(|| {
        Error::data(format!(
            "{column} is null, which its schema forbids: the database is damaged"
        ))
    })
}
