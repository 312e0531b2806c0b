//! From a run back to the landed bodies that its rows came from.
//! The bodies themselves are the landing's to read.

use super::connection::Connection;
use super::ledger::needed;
use super::value::Row;
use crate::error::Result;
use crate::market::{CoinId, Slot};
use crate::series::Span;

/// A landed body in a commit.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The commit: a higher one was known later.
    pub commit: i64,
    /// The run that committed it.
    pub run: String,
    /// That run's kind.
    pub kind: String,
    /// The API that it called.
    pub api_url: String,
    /// What it was asked for, as JSON.
    pub settings: Option<String>,
    /// The body's file, below the landing folder.
    pub path: String,
    /// The body's SHA-256, in hex.
    pub sha256: String,
}

fn committed(row: &Row) -> Result<Committed> {
    Ok(Committed {
        commit: needed(row.int(0)?, "landing.commit")?,
        run: needed(row.text(1)?, "landing.run")?,
        kind: needed(row.text(2)?, "run.kind")?,
        api_url: needed(row.text(3)?, "run.api_url")?,
        settings: row.text(4)?,
        path: needed(row.text(5)?, "landing.path")?,
        sha256: needed(row.text(6)?, "landing.sha256")?,
    })
}

/// The bodies of a slot up to and with a run's last.
pub(super) async fn of_slot(
    connection: &mut Connection,
    slot: Slot,
    run: &str,
) -> Result<Vec<Committed>> {
    let sql = "select l.\"commit\", l.run, r.kind, r.api_url, r.settings, l.path, l.sha256 from landing l join run r on r.id = l.run \
               where r.slot = $1 and l.\"commit\" <= (select max(m.\"commit\") from landing m where m.run = $2) \
               order by l.\"commit\", l.id";
    let values = vec![slot.start().into(), run.into()];
    let rows = connection.fetch(sql, values).await?;
    rows.iter().map(committed).collect()
}

/// The bodies of a run's charts, and earlier ones that covered some of the same spans.
pub(super) async fn of_spans(connection: &mut Connection, run: &str) -> Result<Vec<Committed>> {
    let sql = "select l.\"commit\", l.run, r.kind, r.api_url, r.settings, l.path, l.sha256 from landing l join run r on r.id = l.run \
               where l.\"commit\" <= (select max(m.\"commit\") from landing m where m.run = $1) and l.id in (\
               select v.landing from coverage v join coverage o on o.coin = v.coin and o.resolution = v.resolution \
               and o.starts_at < v.ends_at and v.starts_at < o.ends_at \
               join landing ol on ol.id = o.landing where ol.run = $1) order by l.\"commit\", l.id";
    let rows = connection.fetch(sql, vec![run.into()]).await?;
    rows.iter().map(committed).collect()
}

/// The spans that a run's charts covered.
pub(super) async fn spans(connection: &mut Connection, run: &str) -> Result<Vec<(CoinId, Span)>> {
    let sql = "select c.id, v.starts_at, v.ends_at from coverage v join coin c on c.key = v.coin \
               join landing l on l.id = v.landing where l.run = $1 order by c.id, v.starts_at";
    let rows = connection.fetch(sql, vec![run.into()]).await?;
    rows.iter()
        .map(|row| {
            let coin = CoinId::from_source(needed(row.text(0)?, "coin.id")?);
            let start = needed(row.time(1)?, "coverage.starts_at")?.timestamp_millis();
            let end = needed(row.time(2)?, "coverage.ends_at")?.timestamp_millis();
            Ok((coin, Span { start, end }))
        })
        .collect()
}
