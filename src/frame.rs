//! Rows as Arrow batches, and batches as Parquet files.
//! Only shapes are changed here: every number and null is what the database holds.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{StringBuilder, StringDictionaryBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::error::{Error, Result};
use crate::market::{CoinId, Column, Kind};
use crate::series::{POINT_COLUMNS, PointColumn, PricePoint};
use crate::store::{Table, Value};

const UTC: &str = "UTC";

fn instants(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(
        values
            .collect::<TimestampMillisecondArray>()
            .with_timezone(UTC),
    )
}

fn instant_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into()))
}

/// A table as one batch: texts as `utf8`, whole numbers as `int64`, numbers as `float64`, instants as `timestamp[ms, UTC]`.
///
/// # Errors
/// [`Error::Data`] when a row is not of the table's shape.
pub fn table_batch(table: &Table) -> Result<RecordBatch> {
    let mut fields = Vec::with_capacity(table.columns.len());
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(table.columns.len());
    for (index, Column { name, kind, .. }) in table.columns.iter().enumerate() {
        let column = table.rows.iter().map(|row| row.get(index));
        let (data_type, array): (DataType, ArrayRef) = match kind {
            Kind::Text => {
                let mut texts = StringBuilder::new();
                for value in column {
                    texts.append_option(match value {
                        Some(Value::Text(text)) => text.as_deref(),
                        _ => None,
                    });
                }
                (DataType::Utf8, Arc::new(texts.finish()))
            }
            Kind::Int => {
                let numbers = column.map(|value| {
                    if let Some(Value::Int(number)) = value {
                        *number
                    } else {
                        None
                    }
                });
                (DataType::Int64, Arc::new(numbers.collect::<Int64Array>()))
            }
            Kind::Float => {
                let numbers = column.map(|value| {
                    if let Some(Value::Float(number)) = value {
                        *number
                    } else {
                        None
                    }
                });
                (
                    DataType::Float64,
                    Arc::new(numbers.collect::<Float64Array>()),
                )
            }
            Kind::Time => {
                let stamps = column.map(|value| match value {
                    Some(Value::Time(instant)) => instant.map(|instant| instant.timestamp_millis()),
                    _ => None,
                });
                (instant_type(), instants(stamps))
            }
        };
        fields.push(Field::new(*name, data_type, true));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(misshapen)
}

/// The columns of [`prices_batch`].
pub fn prices_schema() -> SchemaRef {
    let coin = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let mut fields = vec![
        Field::new("coin_id", coin, false),
        Field::new("ts", instant_type(), false),
    ];
    fields.extend(POINT_COLUMNS.map(|column| Field::new(column.name, DataType::Float64, true)));
    Arc::new(Schema::new(fields))
}

/// Price points as one batch: `coin_id` (a dictionary), `ts` (`timestamp[ms, UTC]`), `price`, `market_cap`, `volume`.
///
/// # Errors
/// [`Error::Data`] when there are more coins than a dictionary holds.
pub fn prices_batch(rows: &[(CoinId, PricePoint)]) -> Result<RecordBatch> {
    let mut coins = StringDictionaryBuilder::<Int32Type>::new();
    for (coin, _) in rows {
        coins.append(coin.as_str()).map_err(misshapen)?;
    }
    let numbers = |column: PointColumn| -> ArrayRef {
        let numbers = rows.iter().map(|(_, point)| (column.of)(point));
        Arc::new(numbers.collect::<Float64Array>())
    };
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(coins.finish()),
        instants(rows.iter().map(|(_, point)| Some(point.ts))),
    ];
    arrays.extend(POINT_COLUMNS.map(numbers));
    RecordBatch::try_new(prices_schema(), arrays).map_err(misshapen)
}

/// Writes a batch as a Parquet file (zstd), whole or not at all.
///
/// # Errors
/// [`Error::Store`] when the file cannot be written.
pub fn write_parquet(path: &Path, batch: &RecordBatch) -> Result<()> {
    let part = path.with_extension("parquet.part");
    let write = || -> std::result::Result<(), ParquetError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let mut writer =
            ArrowWriter::try_new(File::create(&part)?, batch.schema(), Some(properties))?;
        writer.write(batch)?;
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

fn misshapen(error: ArrowError) -> Error {
    Error::data("the rows do not fit their columns").because(error)
}
