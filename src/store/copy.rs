//! PostgreSQL's binary COPY format: rows in, bytes out.
//! <https://www.postgresql.org/docs/current/sql-copy.html>, "Binary Format". The columns must be of the types that
//! [`Value`] names: `text`, `bigint`, `double precision`, `timestamptz`.

use chrono::{DateTime, Utc};

use super::value::Value;

/// Microseconds from 1970 to 2000, where PostgreSQL's count begins.
const EPOCH_2000: i64 = 946_684_800_000_000;

/// How a stream begins: its signature, no flags, no extension.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// How a stream ends.
pub(super) const TRAILER: &[u8] = &(-1_i16).to_be_bytes();

/// The rows as one COPY stream.
pub(super) fn encode(rows: &[Vec<Value>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + rows.len() * 400);
    out.extend_from_slice(HEADER);
    for row in rows {
        // a table has at most 1,600 columns, and a field at most 1 GB
        out.extend_from_slice(&i16::try_from(row.len()).unwrap_or(i16::MAX).to_be_bytes());
        for value in row {
            match value {
                Value::Text(Some(text)) => field(&mut out, text.as_bytes()),
                Value::Int(Some(number)) => field(&mut out, &number.to_be_bytes()),
                Value::Float(Some(number)) => field(&mut out, &number.to_bits().to_be_bytes()),
                Value::Time(Some(instant)) => {
                    field(&mut out, &microseconds(*instant).to_be_bytes())
                }
                _null => null(&mut out),
            }
        }
    }
    out.extend_from_slice(TRAILER);
    out
}

/// One value of a row.
pub(super) fn field(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// A null.
pub(super) fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1_i32).to_be_bytes());
}

/// A stamp in milliseconds since 1970 as a `timestamptz`.
pub(super) fn microseconds_of(milliseconds: i64) -> i64 {
    milliseconds * 1000 - EPOCH_2000
}

fn microseconds(instant: DateTime<Utc>) -> i64 {
    instant.timestamp_micros() - EPOCH_2000
}
