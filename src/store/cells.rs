//! Rows as they pass by, the same from both drivers.

use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row as _, Sqlite, Type};

use super::copy::CopiedRow;
use super::fault::{Dialect, fault};
use crate::error::Result;

/// A row that passes by, read by column number: nothing of it is kept.
pub(crate) enum Cells<'a> {
    Postgres(&'a CopiedRow<'a>),
    Sqlite(&'a SqliteRow),
}

impl Cells<'_> {
    fn of_sqlite<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(
        row: &'r SqliteRow,
        column: usize,
    ) -> Result<Option<T>> {
        row.try_get(column)
            .map_err(|error| fault(Dialect::Sqlite, "", error))
    }

    /// A text, or null.
    pub(crate) fn text(&self, column: usize) -> Result<Option<&str>> {
        match self {
            Self::Postgres(row) => row.text(column),
            Self::Sqlite(row) => Self::of_sqlite(row, column),
        }
    }

    /// A whole number, or null.
    pub(crate) fn int(&self, column: usize) -> Result<Option<i64>> {
        match self {
            Self::Postgres(row) => row.int(column),
            Self::Sqlite(row) => Self::of_sqlite(row, column),
        }
    }

    /// A number, or null.
    pub(crate) fn float(&self, column: usize) -> Result<Option<f64>> {
        match self {
            Self::Postgres(row) => row.float(column),
            Self::Sqlite(row) => Self::of_sqlite(row, column),
        }
    }

    /// An instant in milliseconds since 1970, or null.
    pub(crate) fn milliseconds(&self, column: usize) -> Result<Option<i64>> {
        match self {
            Self::Postgres(row) => row.milliseconds(column),
            Self::Sqlite(row) => Self::of_sqlite(row, column),
        }
    }
}
