//! Candles as text for people and as JSON for scripts.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::Value;

use super::layout::{line, table};
use super::rows::{Row, objects, rows, value};
use crate::frame::{Cell, Frame, Shown, WIDE};
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
    let shown: Vec<&Row<'_>> = rows.iter().skip(older).collect();
    let columns = COLUMNS.map(|(name, _)| column(name, &shown, &read.frame, wanted.zone));
    let lines = (0..shown.len()).map(|row| {
        let cells = columns.iter().map(|cells| cells.get(row).cloned());
        cells.map(Option::unwrap_or_default).collect()
    });
    let header = COLUMNS.map(|(_, name)| name);
    let mut text = table(&header, &[2, 3, 4, 5, 6], lines.collect()).trim_fmt();
    text.push('\n');
    if older > 0 {
        let _infallible = writeln!(
            text,
            "and {older} before them: --json lists all, or give --from"
        );
    }
    text.push('\n');
    let (count, every, zone) = (rows.len(), wanted.every, wanted.zone);
    line(
        &mut text,
        "candles",
        &format!("{count} of {every}, in {zone}; * is partial"),
    );
    if let Some(warning) = &read.warning {
        line(&mut text, "missing", warning);
    }
    text
}

/// The values of a column as a terminal shows them: numbers rounded for the eye, beginnings in the zone.
fn column(name: &str, rows: &[&Row<'_>], frame: &Frame, zone: Tz) -> Vec<String> {
    let cells: Vec<Option<Cell<'_>>> = rows.iter().map(|row| value(row, name)).collect();
    match (name, frame.schema.field_with_name(name)) {
        ("ts", _) => {
            let at = |cell: &Option<Cell<'_>>| match cell {
                Some(Cell::Time(stamp)) => DateTime::from_timestamp_millis(*stamp),
                _ => None,
            };
            let shown = |at: DateTime<Utc>| at.with_timezone(&zone).format("%Y-%m-%d %H:%M");
            let shown = cells
                .iter()
                .map(|cell| at(cell).map(|at| shown(at).to_string()));
            shown.map(Option::unwrap_or_default).collect()
        }
        ("resolution", _) => {
            let mark = |row: &&Row<'_>| match value(row, "is_partial") {
                Some(Cell::Bool(true)) => " *",
                _ => "",
            };
            let marked = rows.iter().zip(&cells);
            marked
                .map(|(row, cell)| match cell {
                    Some(Cell::Text(text)) => format!("{text}{}", mark(row)),
                    _ => String::new(),
                })
                .collect()
        }
        (_, Ok(field)) => {
            let shown = Shown::new(name, field.data_type(), &cells, WIDE);
            let cells = shown.cells.into_iter();
            cells
                .map(|cell| cell.unwrap_or_else(|| "-".to_owned()))
                .collect()
        }
        (_, Err(_)) => Vec::new(),
    }
}

/// All candles, and what is missing, as one object.
pub(super) fn json(read: &Read) -> Value {
    serde_json::json!({ "candles": objects(&read.frame), "missing": read.missing })
}
