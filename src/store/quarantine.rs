//! The quarantine, and the outcomes of refused records that were validated again. The same tables in both databases.
//! Nothing here changes a refused record; validating is the pipeline's work.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::coins::highest;
use super::connection::{Connection, Sql};
use super::ledger::{Scope, needed};
use super::value::Value;
use crate::error::Result;
use crate::market::Slot;

/// A record to put into quarantine.
#[derive(Debug, Clone)]
pub struct RefusedRow {
    /// Which of the commit's bodies it came from.
    pub body: usize,
    /// Its place in the body, from 0; none for a body that was refused whole.
    pub record: Option<u64>,
    /// The coin that it names, where it names one.
    pub coin: Option<String>,
    /// The rule that it breaks.
    pub rule: &'static str,
    /// Why, with what stood there.
    pub reason: String,
    /// Its own bytes.
    pub raw: String,
}

/// A refused record, with where it came from.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Its number in the quarantine.
    pub id: i64,
    /// The run that refused it.
    pub run: String,
    /// What that run worked on.
    pub scope: Option<Scope>,
    /// The landed body.
    pub body: String,
    /// That body's SHA-256, in hex.
    pub sha256: String,
    /// Its place in the body, from 0; none for a body that was refused whole.
    pub record: Option<u64>,
    /// The coin that it names, where it names one.
    pub coin: Option<String>,
    /// The rule that it breaks.
    pub rule: String,
    /// Why, with what stood there.
    pub reason: String,
    /// Its own bytes, or the beginning of a whole body's.
    pub raw: String,
    /// The outcome when it was last validated again, and the run that did.
    pub requeued: Option<(String, String)>,
}

impl Refused {
    /// True where it is not known to be stored.
    pub fn is_open(&self) -> bool {
        self.requeued
            .as_ref()
            .is_none_or(|(outcome, _)| outcome == Outcome::Refused.name())
    }
}

/// The outcome for a record that is validated again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is accepted and stored.
    Stored,
    /// It is accepted, and another body's record stands in its place already.
    Present,
    /// It is refused again.
    Refused,
}

impl Outcome {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Present => "present",
            Self::Refused => "refused",
        }
    }
}

/// A record that was validated again.
#[derive(Debug, Clone)]
pub struct Requeued {
    /// Its number in the quarantine.
    pub id: i64,
    /// The outcome.
    pub outcome: Outcome,
    /// Why it is refused again.
    pub reason: Option<String>,
}

const SELECT: Sql = Sql {
    postgres: "select z.id, r.id, r.slot, cast(r.resolution as bigint), z.body, l.sha256, z.record, z.coin, z.rule, z.reason, z.raw, \
               (select q.outcome from requeue q where q.quarantine = z.id order by q.run desc limit 1), \
               (select q.run from requeue q where q.quarantine = z.id order by q.run desc limit 1), r.kind \
               from quarantine z join landing l on l.id = z.landing join run r on r.id = l.run \
               where $1 = 1 or z.id in (select json_array_elements_text($2::json)::bigint) order by z.id desc",
    sqlite: "select z.id, r.id, r.slot, r.resolution, z.body, l.sha256, z.record, z.coin, z.rule, z.reason, z.raw, \
             (select q.outcome from requeue q where q.quarantine = z.id order by q.run desc limit 1), \
             (select q.run from requeue q where q.quarantine = z.id order by q.run desc limit 1), r.kind \
             from quarantine z join landing l on l.id = z.landing join run r on r.id = l.run \
             where $1 = 1 or z.id in (select value from json_each($2)) order by z.id desc",
};

/// The refused records with these numbers, or all of them, the newest first.
pub(super) async fn refused(
    connection: &mut Connection,
    ids: Option<&[i64]>,
) -> Result<Vec<Refused>> {
    let list = serde_json::json!(ids.unwrap_or_default()).to_string();
    let all = i64::from(ids.is_none());
    let rows = connection
        .fetch(SELECT, vec![all.into(), list.into()])
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Refused {
                id: needed(row.int(0)?, "quarantine.id")?,
                run: needed(row.text(1)?, "run.id")?,
                scope: Scope::read(row, 2, 3, 13)?,
                body: needed(row.text(4)?, "quarantine.body")?,
                sha256: needed(row.text(5)?, "landing.sha256")?,
                record: row.count(6)?,
                coin: row.text(7)?,
                rule: needed(row.text(8)?, "quarantine.rule")?,
                reason: needed(row.text(9)?, "quarantine.reason")?,
                raw: needed(row.text(10)?, "quarantine.raw")?,
                requeued: row.text(11)?.zip(row.text(12)?),
            })
        })
        .collect()
}

/// How many records of a slot were refused for each rule.
pub(super) async fn of_slot(
    connection: &mut Connection,
    slot: Slot,
) -> Result<BTreeMap<String, u64>> {
    let sql = "select z.rule, count(*) from quarantine z join landing l on l.id = z.landing join run r on r.id = l.run \
               where r.slot = $1 group by z.rule";
    by_rule(connection, sql, slot.start()).await
}

/// How many records, received since an instant, were refused for each rule.
pub(super) async fn since(
    connection: &mut Connection,
    since: DateTime<Utc>,
) -> Result<BTreeMap<String, u64>> {
    let sql = "select z.rule, count(*) from quarantine z join landing l on l.id = z.landing \
               where l.received_at >= $1 group by z.rule";
    by_rule(connection, sql, since).await
}

async fn by_rule(
    connection: &mut Connection,
    sql: &'static str,
    of: DateTime<Utc>,
) -> Result<BTreeMap<String, u64>> {
    let rows = connection.fetch(sql, vec![of.into()]).await?;
    rows.iter()
        .map(|row| {
            let rule = needed(row.text(0)?, "quarantine.rule")?;
            Ok((rule, row.count(1)?.unwrap_or(0)))
        })
        .collect()
}

/// The numbers of the records that a run validated again and stored.
pub(super) async fn stored_by(connection: &mut Connection, run: &str) -> Result<Vec<i64>> {
    let sql = "select quarantine from requeue where run = $1 and outcome = 'stored'";
    let rows = connection.fetch(sql, vec![run.into()]).await?;
    rows.iter()
        .map(|row| needed(row.int(0)?, "requeue.quarantine"))
        .collect()
}

/// Writes the outcomes of records that a run validated again.
pub(super) async fn note(
    connection: &mut Connection,
    run: &str,
    requeued: &[Requeued],
) -> Result<()> {
    let rows: Vec<Vec<Value>> = requeued
        .iter()
        .map(|record| {
            vec![
                record.id.into(),
                run.into(),
                record.outcome.name().into(),
                record.reason.clone().into(),
            ]
        })
        .collect();
    connection
        .insert(
            "requeue",
            &["quarantine", "run", "outcome", "reason"],
            &rows,
        )
        .await
}

/// Puts records into quarantine, each with the landing row and the path of its body, and says how many. Under the writer's lock.
pub(super) async fn insert(
    connection: &mut Connection,
    refused: Vec<(i64, &str, &RefusedRow)>,
) -> Result<u64> {
    if refused.is_empty() {
        return Ok(0);
    }
    let last = highest(connection, "select max(id) from quarantine").await?;
    let rows: Vec<Vec<Value>> = refused
        .into_iter()
        .zip(last + 1..)
        .map(|((landing, path, refused), id)| {
            vec![
                id.into(),
                landing.into(),
                path.into(),
                refused.record.into(),
                refused.coin.clone().into(),
                refused.rule.into(),
                refused.reason.as_str().into(),
                // PostgreSQL's texts have no such character
                refused.raw.replace('\0', "\u{fffd}").into(),
            ]
        })
        .collect();
    let columns = [
        "id", "landing", "body", "record", "coin", "rule", "reason", "raw",
    ];
    connection.insert("quarantine", &columns, &rows).await?;
    Ok(rows.len() as u64)
}
