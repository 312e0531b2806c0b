//! Two sets of rows held against each other: what came, what went, and what changed in which column.
//! Whose rows they are is not known here.

use std::collections::BTreeMap;

use arrow_array::Array;
use chrono::DateTime;
use serde::Serialize;

use crate::frame::{Cell, Frame, cell};
use crate::store::Value;

/// How a row differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It is rebuilt and not stored.
    Added,
    /// It is stored and not rebuilt.
    Removed,
    /// One of its columns differs.
    Changed,
}

/// A difference between what is stored and what is rebuilt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The coin, and the stamp of a point.
    pub row: String,
    /// How it differs.
    pub change: Change,
    /// The column that differs.
    pub column: Option<&'static str>,
    /// What is stored there.
    pub stored: Option<String>,
    /// What is rebuilt.
    pub rebuilt: Option<String>,
}

/// Two sets of rows by key, each row with the same columns.
pub(super) fn compare(
    names: &[&'static str],
    stored: &BTreeMap<String, Vec<Value>>,
    rebuilt: &BTreeMap<String, Vec<Value>>,
) -> Vec<Difference> {
    let whole = |row: &String, change| Difference {
        row: row.clone(),
        change,
        column: None,
        stored: None,
        rebuilt: None,
    };
    let mut differences = Vec::new();
    for (row, values) in stored {
        let Some(others) = rebuilt.get(row) else {
            differences.push(whole(row, Change::Removed));
            continue;
        };
        let pairs = names.iter().zip(values.iter().zip(others));
        differences.extend(
            pairs
                .filter(|(_, (a, b))| a != b)
                .map(|(name, (a, b))| Difference {
                    column: Some(name),
                    stored: Some(shown(a)),
                    rebuilt: Some(shown(b)),
                    ..whole(row, Change::Changed)
                }),
        );
    }
    let added = rebuilt.keys().filter(|row| !stored.contains_key(*row));
    differences.extend(added.map(|row| whole(row, Change::Added)));
    // rows that come or go change the dominance of all others: what was changed comes last, and that the very last
    differences.sort_by_key(|difference| {
        (
            difference.change,
            difference.column == Some("dominance_pct"),
        )
    });
    differences
}

/// The rows of a frame, each with one value a column.
pub(super) fn rows(frame: &Frame) -> impl Iterator<Item = Vec<Value>> {
    frame.batches.iter().flat_map(|batch| {
        let row = |row| batch.columns().iter().map(move |column| value(column, row));
        (0..batch.num_rows()).map(move |place| row(place).collect())
    })
}

/// The value of a column, null as well as any.
fn value(column: &dyn Array, row: usize) -> Value {
    match cell(column, row) {
        Some(Cell::Text(text)) => text.into(),
        Some(Cell::Int(number)) => number.into(),
        Some(Cell::Bool(value)) => i64::from(value).into(),
        Some(Cell::Foreign(value)) => value.to_string().as_str().into(),
        Some(Cell::Float(number)) => number.into(),
        Some(Cell::Time(stamp)) => DateTime::from_timestamp_millis(stamp).into(),
        None => Value::Text(None),
    }
}

/// A value as text.
pub(super) fn shown(value: &Value) -> String {
    let text = match value {
        Value::Text(text) => text.clone(),
        Value::Int(number) => number.map(|number| number.to_string()),
        Value::Float(number) => number.map(|number| number.to_string()),
        Value::Time(at) => at.map(|at| at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()),
    };
    text.unwrap_or_else(|| "null".to_owned())
}
