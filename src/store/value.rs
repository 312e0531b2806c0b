//! Values on their way to and from a database, the same for both kinds.
//! Instants are `timestamptz` on PostgreSQL and milliseconds on SQLite; everything else is what it says.

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type};

use crate::error::Result;
use crate::store::fault::{Dialect, fault};

/// One value of a row or of a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `text`
    Text(Option<String>),
    /// `bigint` or `integer`
    Int(Option<i64>),
    /// `double precision` or `real`
    Float(Option<f64>),
    /// `timestamptz` or milliseconds
    Time(Option<DateTime<Utc>>),
}

macro_rules! values {
    ($($variant:ident: $type:ty;)+) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(Some(value.into()))
            }
        }
        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self {
                Self::$variant(value.map(Into::into))
            }
        })+
    };
}

values! {
    Text: &str;
    Text: String;
    Int: i64;
    Int: i32;
    Int: u32;
    Int: u16;
    Float: f64;
    Time: DateTime<Utc>;
}

impl From<u64> for Value {
    /// Counts; one beyond `i64` cannot be, and would be stored as the largest.
    fn from(value: u64) -> Self {
        Self::Int(Some(i64::try_from(value).unwrap_or(i64::MAX)))
    }
}

impl From<Option<u64>> for Value {
    fn from(value: Option<u64>) -> Self {
        value.map_or(Self::Int(None), Self::from)
    }
}

/// Binds values to a statement, in order.
pub(super) fn bind_postgres(
    mut query: Query<'_, Postgres, PgArguments>,
    values: Vec<Value>,
) -> Query<'_, Postgres, PgArguments> {
    for value in values {
        query = match value {
            Value::Text(value) => query.bind(value),
            Value::Int(value) => query.bind(value),
            Value::Float(value) => query.bind(value),
            Value::Time(value) => query.bind(value),
        };
    }
    query
}

/// The same for SQLite.
pub(super) fn bind_sqlite(
    mut query: Query<'_, Sqlite, SqliteArguments>,
    values: Vec<Value>,
) -> Query<'_, Sqlite, SqliteArguments> {
    for value in values {
        query = match value {
            Value::Text(value) => query.bind(value),
            Value::Int(value) => query.bind(value),
            Value::Float(value) => query.bind(value),
            Value::Time(value) => query.bind(value.map(|instant| instant.timestamp_millis())),
        };
    }
    query
}

/// A row of either database, read by column number.
pub(crate) enum Row {
    Postgres(PgRow),
    Sqlite(SqliteRow),
}

impl Row {
    fn get<T>(&self, column: usize) -> Result<Option<T>>
    where
        T: for<'r> Decode<'r, Postgres>
            + Type<Postgres>
            + for<'r> Decode<'r, Sqlite>
            + Type<Sqlite>,
    {
        match self {
            Self::Postgres(row) => row
                .try_get(column)
                .map_err(|error| fault(Dialect::Postgres, "", error)),
            Self::Sqlite(row) => row
                .try_get(column)
                .map_err(|error| fault(Dialect::Sqlite, "", error)),
        }
    }

    /// A text, or null.
    pub(crate) fn text(&self, column: usize) -> Result<Option<String>> {
        self.get(column)
    }

    /// A whole number, or null.
    pub(crate) fn int(&self, column: usize) -> Result<Option<i64>> {
        self.get(column)
    }

    /// A count, or null.
    pub(crate) fn count(&self, column: usize) -> Result<Option<u64>> {
        Ok(self
            .int(column)?
            .and_then(|number| u64::try_from(number).ok()))
    }

    /// A number, or null.
    pub(crate) fn float(&self, column: usize) -> Result<Option<f64>> {
        self.get(column)
    }

    /// An instant, or null.
    pub(crate) fn time(&self, column: usize) -> Result<Option<DateTime<Utc>>> {
        match self {
            Self::Postgres(row) => row
                .try_get(column)
                .map_err(|error| fault(Dialect::Postgres, "", error)),
            Self::Sqlite(_) => Ok(self.int(column)?.and_then(DateTime::from_timestamp_millis)),
        }
    }
}
