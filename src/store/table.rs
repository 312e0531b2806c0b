//! Rows of quotes and points as columns with names and kinds, for frames and exports.

use std::sync::LazyLock;

use super::connection::Connection;
use super::quotes::SELECT_QUOTES;
use super::value::{Row, Value};
use crate::error::Result;
use crate::market::{Column, Kind, Slot, quote_columns};

/// Named columns and their rows.
#[derive(Debug, Clone)]
pub struct Table {
    /// The columns, in order.
    pub columns: &'static [Column],
    /// The rows, each with one value a column.
    pub rows: Vec<Vec<Value>>,
}

/// The columns of a quote as people read it.
static COLUMNS: LazyLock<Vec<Column>> = LazyLock::new(|| quote_columns().collect());

static QUOTES: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{} where q.snapshot_time >= $2 and q.snapshot_time < $3 order by q.snapshot_time, q.market_cap desc nulls last, c.id",
        *SELECT_QUOTES
    )
});

/// The quotes of the slots from one to before another, by slot and market cap, as they were known at a pin.
pub(crate) async fn quotes(
    connection: &mut Connection,
    from: Slot,
    to: Slot,
    pin: Option<i64>,
) -> Result<Table> {
    let rows = connection
        .fetch(
            QUOTES.as_str(),
            vec![
                pin.unwrap_or(i64::MAX).into(),
                from.start().into(),
                to.start().into(),
            ],
        )
        .await?;
    let rows = rows
        .iter()
        .map(|row| read(row, &COLUMNS))
        .collect::<Result<_>>()?;
    Ok(Table {
        columns: &COLUMNS,
        rows,
    })
}

fn read(row: &Row, columns: &[Column]) -> Result<Vec<Value>> {
    let value = |(index, column): (usize, &Column)| {
        Ok(match column.kind {
            Kind::Text => row.text(index)?.into(),
            Kind::Int => row.int(index)?.into(),
            Kind::Float => row.float(index)?.into(),
            Kind::Time => row.time(index)?.into(),
        })
    };
    columns.iter().enumerate().map(value).collect()
}
