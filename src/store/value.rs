//! Values on their way to and from a database, the same for both kinds.
//! Instants are `timestamptz` on PostgreSQL and milliseconds on SQLite; everything else is what it says.

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type};

use super::fault::{Dialect, fault};
use crate::error::Result;

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

/// Binds rows to a statement, one array a column. A column's values are of one kind, nulls too.
pub(super) fn bind_columns<'q>(
    mut query: Query<'q, Postgres, PgArguments>,
    rows: &[Vec<Value>],
) -> Query<'q, Postgres, PgArguments> {
    macro_rules! column {
        ($variant:ident, $place:expr) => {
            query.bind(
                rows.iter()
                    .map(|row| match row.get($place) {
                        Some(Value::$variant(value)) => value.clone(),
                        _ => None,
                    })
                    .collect::<Vec<_>>(),
            )
        };
    }
    for (place, value) in rows.first().into_iter().flatten().enumerate() {
        query = match value {
            Value::Text(_) => column!(Text, place),
            Value::Int(_) => column!(Int, place),
            Value::Float(_) => column!(Float, place),
            Value::Time(_) => column!(Time, place),
        };
    }
    query
}

/// A statement for PostgreSQL with its values written out, for a COPY, which takes none. Texts are lists of keys that we made, never
/// data from outside.
pub(super) fn written_out(statement: &str, values: &[Value]) -> String {
    let mut text = String::with_capacity(statement.len() + 64);
    let mut parts = statement.split('$');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (place, rest) = part.split_at(digits);
        let value = place.parse::<usize>().ok();
        match value.and_then(|place| values.get(place.checked_sub(1)?)) {
            Some(value) => text.push_str(&literal(value)),
            None => {
                text.push('$');
                text.push_str(place);
            }
        }
        text.push_str(rest);
    }
    text
}

/// A value as PostgreSQL reads it, where `standard_conforming_strings` is on.
fn literal(value: &Value) -> String {
    match value {
        Value::Text(Some(text)) => format!("'{}'", text.replace('\'', "''")),
        Value::Int(Some(number)) => format!("({number})"),
        Value::Float(Some(number)) => format!("'{number}'::double precision"),
        Value::Time(Some(at)) => {
            let at = at.clamp(&FIRST, &LAST).format("%Y-%m-%dT%H:%M:%S%.6fZ");
            format!("'{at}'::timestamptz")
        }
        Value::Text(None) | Value::Int(None) | Value::Float(None) | Value::Time(None) => {
            "null".to_owned()
        }
    }
}

/// The years that are written with four digits, 1 to 9999: nothing stored is older or newer.
const FIRST: DateTime<Utc> =
    DateTime::from_timestamp(-62_135_596_800, 0).expect("the first day of the year 1");
const LAST: DateTime<Utc> =
    DateTime::from_timestamp(253_402_300_799, 0).expect("the last day of the year 9999");

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_out_once_and_quoted() {
        let at = DateTime::from_timestamp_millis(1_768_392_600_123);
        let values: Vec<Value> = vec!["it's $2".into(), 7.into(), at.into(), Value::Int(None)];
        assert_eq!(
            written_out(
                "a = $1 and b = $2 and t < $3 or c = $4 or d = $9 or e = '$'",
                &values
            ),
            "a = 'it''s $2' and b = (7) and t < '2026-01-14T12:10:00.123000Z'::timestamptz or c = null or d = $9 or e = '$'"
        );
        let far = Value::from(DateTime::<Utc>::MAX_UTC);
        assert_eq!(literal(&far), "'9999-12-31T23:59:59.000000Z'::timestamptz");
    }
}
