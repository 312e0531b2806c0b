//! Many rows from and into SQLite, by statements on the driver's own connection. sqlx runs SQLite on a thread of its own, hands each row
//! over to the caller's and copies each value for it: of a bulk read that was three quarters of the time.

use rusqlite::types::{FromSqlResult, Value as Stored, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};
use sqlx::sqlite::SqliteConnection;

use super::fault::{Dialect, fault, fault_of_sqlite};
use super::value::Value;
use crate::error::Result;

/// Works with the driver's connection, in its transaction where there is one. This blocks the thread, as long as SQLite works.
pub(super) async fn on<T>(
    driver: &mut SqliteConnection,
    place: &str,
    work: impl FnOnce(&Connection) -> Result<T>,
) -> Result<T> {
    let locked = driver.lock_handle().await;
    let mut locked = locked.map_err(|error| fault(Dialect::Sqlite, place, error))?;
    #[expect(
        unsafe_code,
        reason = "neither crate has another way to the connection of the other"
    )]
    // SAFETY: the handle is that of an open connection of the same SQLite. The driver does nothing with it before `locked` is dropped,
    // which is after `borrowed` is, and `borrowed` does not close what it did not open.
    let borrowed = unsafe { Connection::from_handle(locked.as_raw_handle().as_ptr()) };
    work(&borrowed.map_err(|error| fault_of_sqlite(place, error))?)
}

/// Hands over the rows of a query as they come.
pub(super) fn each(
    connection: &Connection,
    place: &str,
    sql: &str,
    values: Vec<Value>,
    mut row: impl FnMut(&Row<'_>) -> Result<()>,
) -> Result<()> {
    let wrong = |error| fault_of_sqlite(place, error);
    let mut statement = connection.prepare(sql).map_err(wrong)?;
    let values = params_from_iter(values.into_iter().map(stored));
    let mut rows = statement.query(values).map_err(wrong)?;
    while let Some(found) = rows.next().map_err(wrong)? {
        row(found)?;
    }
    Ok(())
}

/// A value as SQLite has it: an instant is a number of milliseconds.
fn stored(value: Value) -> Option<Stored> {
    match value {
        Value::Text(value) => value.map(Stored::Text),
        Value::Int(value) => value.map(Stored::Integer),
        Value::Float(value) => value.map(Stored::Real),
        Value::Time(value) => value.map(|at| Stored::Integer(at.timestamp_millis())),
    }
}

/// A value of a row, or null, read as what it has to be.
pub(super) fn cell<'r, T>(
    row: &'r Row<'_>,
    column: usize,
    read: impl FnOnce(&ValueRef<'r>) -> FromSqlResult<Option<T>>,
) -> Result<Option<T>> {
    let cell = row.get_ref(column).and_then(|cell| Ok(read(&cell)?));
    cell.map_err(|error| fault_of_sqlite("", error))
}
