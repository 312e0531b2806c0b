//! Candles as text for people and as JSON for scripts.

use chrono::DateTime;
use chrono_tz::Tz;
use serde_json::{Map, Value};

use super::layout::{line, table};
use crate::frame::{Cell, Frame, cell};
use crate::pipeline::{Candles, Read};

/// How many candles a terminal shows; a script gets them all.
const SHOWN: usize = 40;

/// The columns that a terminal shows, and their names there.
const COLUMNS: [(&str, &str); 8] = [
    ("coin_id", "coin"),
    ("ts", "from"),
    ("open", "open"),
    ("high", "high"),
    ("low", "low"),
    ("close", "close"),
    ("points", "points"),
    ("resolution", "of"),
];

/// The newest candles, and how many more there are.
pub(super) fn text(read: &Read, wanted: &Candles) -> String {
    let rows = rows(&read.frame);
    let older = rows.len().saturating_sub(SHOWN);
    let header = COLUMNS.map(|(_, name)| name);
    let shown = rows.iter().skip(older);
    let table = table(
        &header,
        &[2, 3, 4, 5, 6],
        shown.map(|row| line_of(row, wanted.zone)).collect(),
    );
    let mut text = table.trim_fmt();
    text.push('\n');
    if older > 0 {
        text.push_str(&format!(
            "and {older} before them: --json lists all, or give --from\n"
        ));
    }
    text.push('\n');
    line(
        &mut text,
        "candles",
        &format!(
            "{} of {}, in {}; * is partial",
            rows.len(),
            wanted.every,
            wanted.zone
        ),
    );
    if let Some(warning) = &read.warning {
        line(&mut text, "missing", warning);
    }
    text
}

fn line_of(row: &[(&str, Option<Cell<'_>>)], zone: Tz) -> Vec<String> {
    let value = |wanted: &str| {
        let found = row.iter().find(|(name, _)| *name == wanted);
        found.and_then(|(_, value)| *value)
    };
    let is_partial = value("is_partial") == Some(Cell::Bool(true));
    let shown = |(name, _): (&str, &str)| match value(name) {
        Some(Cell::Text(text)) if name == "resolution" && is_partial => format!("{text} *"),
        Some(Cell::Text(text)) => text.to_owned(),
        Some(Cell::Int(number)) => number.to_string(),
        Some(Cell::Float(number)) => number.to_string(),
        Some(Cell::Time(stamp)) => DateTime::from_timestamp_millis(stamp)
            .map_or_else(String::new, |at| {
                at.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string()
            }),
        Some(Cell::Bool(value)) => value.to_string(),
        None => "-".to_owned(),
    };
    COLUMNS.map(shown).to_vec()
}

/// All candles, and what is missing, as one object.
pub(super) fn json(read: &Read) -> Value {
    let candle = |row: Vec<(&str, Option<Cell<'_>>)>| {
        let fields = row
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.map_or(Value::Null, Value::from)));
        Value::Object(fields.collect::<Map<_, _>>())
    };
    let candles: Vec<Value> = rows(&read.frame).into_iter().map(candle).collect();
    serde_json::json!({ "candles": candles, "missing": read.missing })
}

/// Each row of a frame, as its columns' names and values.
fn rows(frame: &Frame) -> Vec<Vec<(&str, Option<Cell<'_>>)>> {
    let batches = frame.batches.iter();
    let rows = batches.flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
    rows.map(|(batch, row)| {
        let names = frame
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str());
        let values = batch
            .columns()
            .iter()
            .map(|column| cell(column.as_ref(), row));
        names.zip(values).collect()
    })
    .collect()
}
