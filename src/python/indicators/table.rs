//! Indicators of the rows of an Arrow table: which columns they come from, and which coin's series a row belongs to.
//! The arithmetic is that of `crate::indicators`, one series a coin, pushed row by row.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, Int64Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, SecondsFormat};

use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::indicators::{Named, NotAfter, Series};
use crate::market::Kind;

/// The columns that users name, where they are not called as coinmill calls them.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Of coins; else `coin_id`, where there is one.
    pub(super) coin: Option<String>,
    /// Of instants; else `ts`.
    pub(super) time: Option<String>,
    /// Of prices; else `price`, else `close`.
    pub(super) value: Option<String>,
}

/// Where the columns are.
struct Places {
    coin: Option<usize>,
    time: usize,
    value: usize,
}

/// The rows with the columns of `series` added: those of each coin by a series of its own.
pub(super) fn with_indicators(
    batches: &[RecordBatch],
    schema: &SchemaRef,
    names: &Names,
    series: &Series,
) -> Result<Frame> {
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
        columns.extend(coins.indicators(batch, &places)?);
        RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|error| unfit(&error))
    });
    Ok(Frame {
        batches: batches.collect::<Result<_>>()?,
        schema,
    })
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Int => DataType::Int64,
        _ => DataType::Float64,
    }
}

fn unfit(error: &ArrowError) -> Error {
    Error::argument(format!("the table cannot be read: {error}"))
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

/// The series of the coins that were met so far.
struct Coins<'a> {
    fresh: &'a Series,
    places: HashMap<String, usize>,
    series: Vec<(Option<String>, Series)>,
}

impl<'a> Coins<'a> {
    fn new(fresh: &'a Series) -> Self {
        Self {
            fresh,
            places: HashMap::new(),
            series: Vec::new(),
        }
    }

    /// The place of a coin's series.
    fn place(&mut self, coin: Option<&str>) -> usize {
        let known = coin.map_or((!self.series.is_empty()).then_some(0), |coin| {
            self.places.get(coin).copied()
        });
        known.unwrap_or_else(|| {
            let place = self.series.len();
            self.series
                .push((coin.map(str::to_owned), self.fresh.clone()));
            if let Some(coin) = coin {
                self.places.insert(coin.to_owned(), place);
            }
            place
        })
    }

    /// The place of each row's series.
    fn of_rows(&mut self, column: &dyn Array) -> Result<Vec<Option<usize>>> {
        if let Some(dictionary) = column.as_any_dictionary_opt() {
            let of_values = self.of_rows(dictionary.values().as_ref())?;
            let keys = cast(dictionary.keys(), &DataType::Int64)?;
            let keys = keys.as_primitive::<Int64Type>().iter();
            let of_key = |key: Option<i64>| {
                let key = usize::try_from(key?).ok()?;
                of_values.get(key).copied().flatten()
            };
            return Ok(keys.map(of_key).collect());
        }
        // a view of 16 bytes a row, whatever sort of text it is
        let texts = cast(column, &DataType::Utf8View)?;
        let mut last: Option<(&str, usize)> = None;
        let texts = texts.as_string_view().iter();
        let places = texts.map(|text| {
            let text = text?;
            let known = last.filter(|(before, _)| *before == text);
            let place = known.map_or_else(|| self.place(Some(text)), |(_, place)| place);
            last = Some((text, place));
            Some(place)
        });
        Ok(places.collect())
    }

    /// The columns of indicators for a batch.
    fn indicators(&mut self, batch: &RecordBatch, places: &Places) -> Result<Vec<ArrayRef>> {
        let rows = batch.num_rows();
        let coins = match places.coin {
            Some(coin) => self.of_rows(batch.column(coin).as_ref())?,
            None => vec![Some(self.place(None)); rows],
        };
        let stamps = in_microseconds(batch.column(places.time).as_ref())?;
        let stamps = stamps.as_primitive::<TimestampMicrosecondType>();
        let prices = cast(batch.column(places.value).as_ref(), &DataType::Float64)?;
        let prices = prices.as_primitive::<Float64Type>();
        let columns = self.fresh.columns().iter();
        let mut columns: Vec<Column> = columns.map(|named| Column::of(named.kind, rows)).collect();
        let mut values = Vec::with_capacity(columns.len());
        let schema = batch.schema();
        for ((coin, stamp), price) in coins.iter().zip(stamps).zip(prices) {
            let Some((coin, series)) = coin.and_then(|place| self.series.get_mut(place)) else {
                return Err(null(&schema, places.coin));
            };
            let Some(stamp) = stamp else {
                return Err(null(&schema, Some(places.time)));
            };
            series
                .push(stamp, price, &mut values)
                .map_err(|error| in_words(coin.as_deref(), stamp, error))?;
            for (column, value) in columns.iter_mut().zip(&values) {
                column.append(*value);
            }
        }
        Ok(columns.iter_mut().map(Column::finish).collect())
    }
}

fn null(schema: &Schema, place: Option<usize>) -> Error {
    let name = place.map_or("", |place| schema.field(place).name());
    Error::argument(format!(
        "the column {name} has nulls: drop their rows, or fill them"
    ))
}

/// A column while its values come.
enum Column {
    Float(Float64Builder),
    Int(Int64Builder),
}

impl Column {
    fn of(kind: Kind, rows: usize) -> Self {
        match kind {
            Kind::Int => Self::Int(Int64Builder::with_capacity(rows)),
            _ => Self::Float(Float64Builder::with_capacity(rows)),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole number that is small"
    )]
    fn append(&mut self, value: Option<f64>) {
        match self {
            Self::Float(values) => values.append_option(value),
            Self::Int(values) => values.append_option(value.map(|value| value as i64)),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Float(values) => Arc::new(values.finish()),
            Self::Int(values) => Arc::new(values.finish()),
        }
    }
}

fn cast(column: &dyn Array, to: &DataType) -> Result<ArrayRef> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(column, to, &options).map_err(|error| unfit(&error))
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
pub(super) fn shown(stamp: i64) -> String {
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
