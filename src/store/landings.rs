//! The rows of the landed bodies that a commit used. A body's row names its commit, and facts name the body's row: that is
//! how a fact comes to be known at a pin.

use super::coins::highest;
use super::connection::Connection;
use super::ledger::needed;
use super::value::Value;
use crate::error::Result;
use crate::landing::Landed;

/// Reserves ids for so many rows, inside a transaction. Facts can be written under them before the commit has its id: on
/// PostgreSQL they come from a sequence, which no two connections share a number of, and SQLite has one writer at a time.
pub(super) async fn reserve(connection: &mut Connection, count: usize) -> Result<Vec<i64>> {
    if connection.is_sqlite() {
        let last = highest(connection, "select max(id) from landing").await?;
        return Ok((last + 1..).take(count).collect());
    }
    let sql = "select nextval('landing_id') from generate_series(1, $1)";
    let rows = connection.fetch(sql, vec![(count as u64).into()]).await?;
    rows.iter()
        .map(|row| needed(row.int(0)?, "landing.id"))
        .collect()
}

/// Inserts the rows of bodies under reserved ids.
pub(super) async fn insert<'a>(
    connection: &mut Connection,
    run: &str,
    commit: i64,
    bodies: impl Iterator<Item = (i64, &'a Landed)>,
) -> Result<()> {
    let rows: Vec<Vec<Value>> = bodies
        .map(|(id, body)| {
            vec![
                id.into(),
                commit.into(),
                run.into(),
                body.path.as_str().into(),
                body.request.as_str().into(),
                body.status.into(),
                body.sha256.as_str().into(),
                body.bytes.into(),
                body.received_at.into(),
            ]
        })
        .collect();
    let columns = [
        "id",
        "\"commit\"",
        "run",
        "path",
        "request",
        "status",
        "sha256",
        "bytes",
        "received_at",
    ];
    connection.insert("landing", &columns, &rows).await
}

/// The paths in a folder of the landing that there are rows of.
pub(super) async fn paths_in(connection: &mut Connection, folder: &str) -> Result<Vec<String>> {
    // `0` is the next character after the slash that a folder ends with: a range, which an index finds
    let after = format!("{}0", folder.trim_end_matches('/'));
    let sql = "select path from landing where path >= $1 and path < $2";
    let rows = connection
        .fetch(sql, vec![folder.into(), after.into()])
        .await?;
    rows.iter()
        .map(|row| needed(row.text(0)?, "landing.path"))
        .collect()
}
