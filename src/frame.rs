//! Rows as columns: Arrow batches that are filled value by value, and Parquet files.
//! Every number and null is what was put in; where rows come from is not known here.

mod by_coin;
#[cfg(test)]
mod example;
mod foreign;
mod preview;
mod returns;
mod shown;
mod view;
mod wide;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, StringBuilder,
    TimestampMillisecondBuilder,
};
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::DateTime;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::market::{Column, Kind, Origin};
use crate::stamp;

pub use foreign::Foreign;
pub use preview::{html, text};
pub use shown::{Shown, WIDE};
pub use view::type_name;

const UTC: &str = "UTC";

/// The most rows of a batch: enough that a batch costs nothing, few enough that one on its way takes little memory.
pub const BATCH: usize = 1 << 16;

/// Rows, as batches of the same columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// The columns: texts as `utf8` or, where they repeat, as a dictionary that all batches share; whole numbers as `int64`,
    /// numbers as `float64`, true or false as `bool`, instants as `timestamp[ms, UTC]`. Keys are never null.
    pub schema: SchemaRef,
    /// The rows, in order.
    pub batches: Vec<RecordBatch>,
}

impl Frame {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

/// A frame while its rows come.
#[derive(Debug)]
pub struct Filling {
    schema: SchemaRef,
    columns: Vec<Filler>,
    rows: usize,
    full: Vec<Vec<ArrayRef>>,
}

/// A column while its values come, one a row.
#[derive(Debug)]
pub enum Filler {
    /// Texts.
    Text(StringBuilder),
    /// Texts that repeat.
    Category(Categories),
    /// Whole numbers.
    Int(Int64Builder),
    /// Numbers.
    Float(Float64Builder),
    /// Instants, in milliseconds since 1970.
    Time(TimestampMillisecondBuilder),
    /// True or false.
    Bool(BooleanBuilder),
}

/// Texts that repeat: each once, and its place for each row.
#[derive(Debug, Default)]
pub struct Categories {
    places: HashMap<String, i32>,
    texts: Vec<String>,
    last: i32,
    rows: Int32Builder,
}

impl Categories {
    /// Appends a row's text. Rows that follow each other mostly have the same one.
    pub fn append_option(&mut self, text: Option<&str>) {
        let Some(text) = text else {
            self.rows.append_null();
            return;
        };
        let same = usize::try_from(self.last)
            .ok()
            .and_then(|last| self.texts.get(last));
        if same.is_none_or(|same| same != text) {
            let next = i32::try_from(self.texts.len()).unwrap_or(i32::MAX);
            self.last = match self.places.entry(text.to_owned()) {
                Entry::Occupied(entry) => *entry.get(),
                Entry::Vacant(entry) => {
                    self.texts.push(text.to_owned());
                    *entry.insert(next)
                }
            };
        }
        self.rows.append_value(self.last);
    }
}

impl Filler {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text(StringBuilder::new()),
            Kind::Category => Self::Category(Categories::default()),
            Kind::Int => Self::Int(Int64Builder::new()),
            Kind::Float => Self::Float(Float64Builder::new()),
            Kind::Time => Self::Time(TimestampMillisecondBuilder::new().with_timezone(UTC)),
            Kind::Bool => Self::Bool(BooleanBuilder::new()),
        }
    }

    /// What came since it was last asked. Of categories these are the places, since more texts may come.
    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(values) => Arc::new(values.finish()),
            Self::Category(values) => Arc::new(values.rows.finish()),
            Self::Int(values) => Arc::new(values.finish()),
            Self::Float(values) => Arc::new(values.finish()),
            Self::Time(values) => Arc::new(values.finish()),
            Self::Bool(values) => Arc::new(values.finish()),
        }
    }
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Text => DataType::Utf8,
        Kind::Category => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        Kind::Int => DataType::Int64,
        Kind::Float => DataType::Float64,
        Kind::Time => DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into())),
        Kind::Bool => DataType::Boolean,
    }
}

impl Filling {
    /// An empty frame of these columns.
    pub fn new(columns: &[Column]) -> Self {
        let field = |column: &Column| {
            let is_key = column.origin == Origin::Key;
            Field::new(column.name, data_type(column.kind), !is_key)
        };
        Self {
            schema: Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>())),
            columns: columns
                .iter()
                .map(|column| Filler::of(column.kind))
                .collect(),
            rows: 0,
            full: Vec::new(),
        }
    }

    /// The columns, each of which wants one value of the next row.
    pub fn columns(&mut self) -> &mut [Filler] {
        &mut self.columns
    }

    /// Ends a row.
    pub fn end_row(&mut self) {
        self.rows += 1;
        if self.rows == BATCH {
            self.end_batch();
        }
    }

    fn end_batch(&mut self) {
        self.full
            .push(self.columns.iter_mut().map(Filler::finish).collect());
        self.rows = 0;
    }

    /// The frame.
    ///
    /// # Errors
    /// [`Error::Data`] where a key is null, or a row lacks a value.
    pub fn finish(mut self) -> Result<Frame> {
        if self.rows > 0 {
            self.end_batch();
        }
        let texts: Vec<Option<ArrayRef>> = self
            .columns
            .iter()
            .map(|column| match column {
                Filler::Category(values) => {
                    Some(Arc::new(StringArray::from(values.texts.clone())) as ArrayRef)
                }
                _ => None,
            })
            .collect();
        let batch = |arrays: Vec<ArrayRef>| {
            let arrays = arrays.into_iter().zip(&texts);
            let arrays = arrays.map(|(array, texts)| {
                let Some(texts) = texts else { return Ok(array) };
                let places = array.as_any().downcast_ref::<Int32Array>().cloned();
                let places = places.unwrap_or_else(|| Int32Array::new_null(array.len()));
                let array = DictionaryArray::<Int32Type>::try_new(places, Arc::clone(texts))?;
                Ok(Arc::new(array) as ArrayRef)
            });
            let arrays = arrays.collect::<std::result::Result<_, ArrowError>>()?;
            RecordBatch::try_new(Arc::clone(&self.schema), arrays)
        };
        let batches = self.full.into_iter().map(batch);
        let batches: std::result::Result<_, ArrowError> = batches.collect();
        Ok(Frame {
            batches: batches.map_err(misfit)?,
            schema: self.schema,
        })
    }
}

fn misfit(error: ArrowError) -> Error {
    Error::data("the rows do not fit their columns").because(error)
}

/// A value of a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// A text.
    Text(&'a str),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// An instant, in milliseconds since 1970.
    Time(i64),
    /// True or false.
    Bool(bool),
    /// A value of a table that is not ours, of a type that no frame of ours has.
    Foreign(Foreign<'a>),
}

impl From<Cell<'_>> for Value {
    fn from(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Text(text) => text.into(),
            Cell::Int(number) => number.into(),
            Cell::Float(number) => number.into(),
            Cell::Bool(value) => value.into(),
            Cell::Foreign(value) => value.to_string().into(),
            Cell::Time(stamp) => DateTime::from_timestamp_millis(stamp)
                .map(stamp::text)
                .into(),
        }
    }
}

/// The value of a column in a row of its batch; none for null.
pub fn cell(column: &dyn Array, row: usize) -> Option<Cell<'_>> {
    if column.is_null(row) {
        return None;
    }
    let any = column.as_any();
    if let Some(texts) = any.downcast_ref::<StringArray>() {
        Some(Cell::Text(texts.value(row)))
    } else if let Some(numbers) = any.downcast_ref::<Int64Array>() {
        Some(Cell::Int(numbers.value(row)))
    } else if let Some(numbers) = any.downcast_ref::<Float64Array>() {
        Some(Cell::Float(numbers.value(row)))
    } else if let Some(stamps) = any.downcast_ref::<TimestampMillisecondArray>() {
        Some(Cell::Time(stamps.value(row)))
    } else if let Some(values) = any.downcast_ref::<BooleanArray>() {
        Some(Cell::Bool(values.value(row)))
    } else if let Some(categories) = any.downcast_ref::<DictionaryArray<Int32Type>>() {
        cell(categories.values().as_ref(), categories.key(row)?)
    } else {
        foreign::cell(column, row)
    }
}

/// Writes a frame as a Parquet file (zstd), whole or not at all.
///
/// # Errors
/// [`Error::Store`] when the file cannot be written.
pub fn write_parquet(path: &Path, frame: &Frame) -> Result<()> {
    let part = path.with_extension("parquet.part");
    let write = || -> std::result::Result<(), ParquetError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let file = File::create(&part)?;
        let mut writer = ArrowWriter::try_new(file, Arc::clone(&frame.schema), Some(properties))?;
        for batch in &frame.batches {
            writer.write(batch)?;
        }
        writer.close()?;
        fs::rename(&part, path)?;
        Ok(())
    };
    write().map_err(|error| {
        Error::store(
            format!(
                "{} cannot be written: free some space, or choose another folder",
                path.display()
            ),
            error,
        )
    })
}
