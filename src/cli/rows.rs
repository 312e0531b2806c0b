//! The rows of a frame, for tables on a terminal and for scripts.
//! What a table shows of them is each command's own.

use serde_json::{Map, Value};

use crate::frame::{Cell, Frame, cell};

/// A row's columns' names and values.
pub(super) type Row<'a> = Vec<(&'a str, Option<Cell<'a>>)>;

/// Each row of a frame, as its columns' names and values.
pub(super) fn rows(frame: &Frame) -> Vec<Row<'_>> {
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

/// The value of a row's column.
pub(super) fn value<'a>(row: &Row<'a>, wanted: &str) -> Option<Cell<'a>> {
    let found = row.iter().find(|(name, _)| *name == wanted);
    found.and_then(|(_, value)| *value)
}

/// The same rows as objects.
pub(super) fn objects(frame: &Frame) -> Vec<Value> {
    let object = |row: Row<'_>| {
        let fields = row
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.map_or(Value::Null, Value::from)));
        Value::Object(fields.collect::<Map<_, _>>())
    };
    rows(frame).into_iter().map(object).collect()
}
