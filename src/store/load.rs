//! Points on their way into a table: a COPY of many, a statement of few, and SQLite's own.
//! Which points, and which of them are new, is the commit's to say.

use std::sync::LazyLock;

use chrono::DateTime;
use sqlx::postgres::PgConnection;

use super::connection::Connection;
use super::copy;
use super::value::Value;
use crate::error::Result;
use crate::series::{POINT_COLUMNS, PricePoint, Resolution};

/// The points of one body, with the keys of their rows.
pub(super) struct PointRows<'a> {
    pub(super) coin: i32,
    pub(super) resolution: Resolution,
    pub(super) landing: i64,
    pub(super) points: &'a [PricePoint],
}

/// A table that has the columns of a point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    PricePoint,
    Incoming,
}

/// Loads points, and says how many.
pub(super) async fn load(
    connection: &mut Connection,
    table: Target,
    rows: &[PointRows<'_>],
) -> Result<u64> {
    let count = rows.iter().map(|row| row.points.len()).sum::<usize>() as u64;
    if count == 0 {
        return Ok(0);
    }
    if count <= FEW && !connection.is_sqlite() {
        insert_few(connection, table, rows).await?;
        return Ok(count);
    }
    connection
        .load(
            async |postgres| copy_in(postgres, table, rows).await,
            |sqlite| insert_many(sqlite, table, rows),
        )
        .await
        .map(|()| count)
}

/// So many points are inserted by a statement before the wait for a COPY's end is worth it.
const FEW: u64 = 5_000;

async fn insert_few(
    connection: &mut Connection,
    table: Target,
    rows: &[PointRows<'_>],
) -> Result<()> {
    let values = rows.iter().flat_map(|row| {
        row.points.iter().map(|point| {
            let ts = DateTime::from_timestamp_millis(point.ts);
            let mut values = vec![
                row.coin.into(),
                i32::from(row.resolution.minutes()).into(),
                ts.into(),
            ];
            values.extend(POINT_COLUMNS.map(|column| Value::from((column.of)(point))));
            values.push(row.landing.into());
            values
        })
    });
    let values: Vec<Vec<Value>> = values.collect();
    connection.insert(table.name(), &NAMES, &values).await
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::PricePoint => "price_point",
            Self::Incoming => "incoming",
        }
    }
}

/// The columns of a point, in the order of its values.
static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let numbers = POINT_COLUMNS.map(|column| column.name);
    let names = ["coin", "resolution", "ts"].into_iter().chain(numbers);
    names.chain(["landing"]).collect()
});

/// The same in a statement.
pub(super) static COLUMNS: LazyLock<String> = LazyLock::new(|| NAMES.join(", "));

/// How much is encoded before it is sent: the server inserts one piece while the next is encoded.
const PIECE: usize = 1 << 18;

async fn copy_in(
    connection: &mut PgConnection,
    table: Target,
    rows: &[PointRows<'_>],
) -> sqlx::Result<()> {
    let statement = format!(
        "copy {} ({}) from stdin (format binary)",
        table.name(),
        *COLUMNS
    );
    let mut stream = connection.copy_in_raw(&statement).await?;
    let mut out = Vec::with_capacity(PIECE + 128);
    out.extend_from_slice(copy::HEADER);
    for row in rows {
        for point in row.points {
            copy::point(&mut out, row.coin, row.resolution, row.landing, point);
            if out.len() >= PIECE {
                stream.send(out.as_slice()).await?;
                out.clear();
            }
        }
    }
    out.extend_from_slice(copy::TRAILER);
    stream.send(out.as_slice()).await?;
    stream.finish().await.map(drop)
}

fn insert_many(
    connection: &rusqlite::Connection,
    table: Target,
    rows: &[PointRows<'_>],
) -> rusqlite::Result<()> {
    let sql = format!(
        "insert into {} ({}) values ({})",
        table.name(),
        *COLUMNS,
        vec!["?"; NAMES.len()].join(", ")
    );
    let mut statement = connection.prepare(&sql)?;
    for row in rows {
        statement.raw_bind_parameter(1, row.coin)?;
        statement.raw_bind_parameter(2, row.resolution.minutes())?;
        statement.raw_bind_parameter(NAMES.len(), row.landing)?;
        for point in row.points {
            statement.raw_bind_parameter(3, point.ts)?;
            for (place, column) in (4..).zip(POINT_COLUMNS) {
                statement.raw_bind_parameter(place, (column.of)(point))?;
            }
            statement.raw_execute()?;
        }
    }
    Ok(())
}
