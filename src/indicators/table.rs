//! Indicators of the rows of an Arrow table: which columns they come from, and what is wrong with a table, in words.
//! Which rows are a coin's is known in `rows`, how their values become columns in `columns`.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, SecondsFormat};

use super::rows::{Coins, Wrong, cast, unfit};
use super::{Named, NotAfter, Series};
use crate::error::{Error, Result};
use crate::market::Kind;

/// The columns that users name, where they are not called as coinmill calls them.
#[derive(Debug, Default)]
pub struct Names {
    /// Of coins; else `coin_id`, where there is one.
    pub coin: Option<String>,
    /// Of instants; else `ts`.
    pub time: Option<String>,
    /// Of prices; else `price`, else `close`.
    pub value: Option<String>,
}

/// Where the columns are.
struct Places {
    coin: Option<usize>,
    time: usize,
    value: usize,
}

/// The rows with the columns of `series` added: those of each coin by a series of its own.
pub fn with_indicators(
    batches: &[RecordBatch],
    schema: &SchemaRef,
    names: &Names,
    series: &Series,
) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let places = Places::of(schema, names)?;
    let mut fields = schema.fields().to_vec();
    for Named { name, kind } in series.columns() {
        if schema.column_with_name(name).is_some() {
            return Err(Error::argument(format!(
                "the table has a column {name} already: rename or drop it, or leave that indicator out"
            )));
        }
        fields.push(Arc::new(Field::new(name, data_type(*kind), true)));
    }
    let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
    let mut coins = Coins::new(series);
    let batches = batches.iter().map(|batch| {
        let mut columns = batch.columns().to_vec();
        columns.extend(indicators(&mut coins, batch, &places)?);
        RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|error| unfit(&error))
    });
    let batches = batches.collect::<Result<_>>()?;
    Ok((schema, batches))
}

/// The columns of indicators for a batch.
fn indicators(coins: &mut Coins, batch: &RecordBatch, places: &Places) -> Result<Vec<ArrayRef>> {
    let rows = batch.num_rows();
    let runs = match places.coin {
        Some(coin) => coins.runs(batch.column(coin).as_ref())?,
        None => coins.one_run(rows),
    };
    let stamps = in_microseconds(batch.column(places.time).as_ref())?;
    let stamps = stamps.as_primitive::<TimestampMicrosecondType>();
    let prices = cast(batch.column(places.value).as_ref(), &DataType::Float64)?;
    let prices = prices.as_primitive::<Float64Type>();
    coins.check(&runs, stamps).map_err(|wrong| match wrong {
        Wrong::NoCoin => null(&batch.schema(), places.coin),
        Wrong::NoStamp => null(&batch.schema(), Some(places.time)),
        Wrong::NotAfter(coin, stamp, refused) => in_words(coin.as_deref(), stamp, refused),
    })?;
    Ok(coins.indicators(&runs, stamps.values(), prices))
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Int => DataType::Int64,
        _ => DataType::Float64,
    }
}

impl Places {
    fn of(schema: &Schema, names: &Names) -> Result<Self> {
        let place = |name: &str| schema.column_with_name(name).map(|(place, _)| place);
        let find = |keyword: &str, given: Option<&str>, usual: &[&str]| match given {
            Some(name) => place(name).ok_or_else(|| missing(schema, &format!("no column {name}"))),
            None => usual.iter().find_map(|name| place(name)).ok_or_else(|| {
                let what = format!("no column {}: name it by {keyword}=", usual.join(" or "));
                missing(schema, &what)
            }),
        };
        let places = Self {
            coin: match names.coin.as_deref() {
                None => place("coin_id"),
                given => Some(find("coin", given, &[])?),
            },
            time: find("time", names.time.as_deref(), &["ts"])?,
            value: find("value", names.value.as_deref(), &["price", "close"])?,
        };
        if let Some(coin) = places.coin {
            must_be(schema.field(coin), is_text, "a text")?;
        }
        must_be(schema.field(places.time), is_instant, "a timestamp")?;
        must_be(schema.field(places.value), is_number, "a number")?;
        Ok(places)
    }
}

fn missing(schema: &Schema, what: &str) -> Error {
    let names: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    let all = match names.as_slice() {
        [] => "no columns at all".to_owned(),
        _ => names.join(", "),
    };
    Error::argument(format!("the table has {what}; it has {all}"))
}

fn must_be(field: &Field, is: fn(&DataType) -> bool, what: &str) -> Result<()> {
    if is(field.data_type()) {
        return Ok(());
    }
    Err(Error::argument(format!(
        "the column {} is {}, and has to be {what}",
        field.name(),
        field.data_type()
    )))
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_text(values),
        kind => kind.is_string(),
    }
}

fn is_instant(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64
    )
}

fn is_number(kind: &DataType) -> bool {
    kind.is_numeric() || kind.is_null()
}

fn null(schema: &Schema, place: Option<usize>) -> Error {
    let name = place.map_or("", |place| schema.field(place).name());
    Error::argument(format!(
        "the column {name} has nulls: drop their rows, or fill them"
    ))
}

/// Instants to the microsecond, which is what Python's own have; finer ones are cut.
fn in_microseconds(column: &dyn Array) -> Result<ArrayRef> {
    let zone = match column.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    cast(column, &DataType::Timestamp(TimeUnit::Microsecond, zone))
}

/// An instant as people read it.
pub fn shown(stamp: i64) -> String {
    DateTime::from_timestamp_micros(stamp).map_or_else(
        || format!("{stamp} microseconds"),
        |instant| {
            let digits = match stamp % 1_000 {
                0 => SecondsFormat::Millis,
                _ => SecondsFormat::Micros,
            };
            instant.to_rfc3339_opts(digits, true)
        },
    )
}

fn in_words(coin: Option<&str>, stamp: i64, NotAfter { last }: NotAfter) -> Error {
    let (who, hint) = match coin {
        Some(coin) => (coin, ""),
        None => (
            "the table",
            "; if its rows are of several coins, name their column by coin=",
        ),
    };
    let what = if stamp == last {
        format!(
            "{who} has {} twice: a coin has one row at a time",
            shown(stamp)
        )
    } else {
        format!(
            "{who} has {} after {}: sort the rows of a coin by time",
            shown(stamp),
            shown(last)
        )
    };
    Error::argument(format!("{what}{hint}"))
}

#[cfg(test)]
mod tests;
