//! Values of tables that other libraries made: what is a text, a number or an instant there is one here, whatever its width.
//! What is none of them is written as Arrow writes it.

use std::fmt;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Int8Type, Int16Type, Int32Type, TimestampMicrosecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, TimeUnit};

use super::Cell;

/// A value that has no cell of its own kind.
#[derive(Debug, Clone, Copy)]
pub enum Foreign<'a> {
    /// An instant that is finer than a millisecond, in microseconds since 1970; nanoseconds are cut off.
    Micros(i64),
    /// Anything else, by its column and row.
    Other(&'a dyn Array, usize),
}

impl PartialEq for Foreign<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Micros(a), Self::Micros(b)) => a == b,
            (Self::Other(a, row), Self::Other(b, other)) => a.slice(*row, 1) == b.slice(*other, 1),
            _ => false,
        }
    }
}

impl fmt::Display for Foreign<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Micros(stamp) => match chrono::DateTime::from_timestamp_micros(*stamp) {
                Some(at) => write!(out, "{}", at.format("%Y-%m-%dT%H:%M:%S%.6fZ")),
                None => write!(out, "{stamp}"),
            },
            Self::Other(column, row) => {
                let options = FormatOptions::default();
                match ArrayFormatter::try_new(*column, &options) {
                    Ok(values) => write!(out, "{}", values.value(*row)),
                    Err(_) => write!(out, "<{}>", super::type_name(column.data_type())),
                }
            }
        }
    }
}

/// The value of a column that is none of a frame's own kinds; none for null.
pub(super) fn cell(column: &dyn Array, row: usize) -> Option<Cell<'_>> {
    use DataType as T;
    Some(match column.data_type() {
        T::LargeUtf8 => Cell::Text(column.as_string::<i64>().value(row)),
        T::Utf8View => Cell::Text(column.as_string_view().value(row)),
        T::Int8 => Cell::Int(primitive::<Int8Type>(column, row).into()),
        T::Int16 => Cell::Int(primitive::<Int16Type>(column, row).into()),
        T::Int32 => Cell::Int(primitive::<Int32Type>(column, row).into()),
        T::UInt8 => Cell::Int(primitive::<UInt8Type>(column, row).into()),
        T::UInt16 => Cell::Int(primitive::<UInt16Type>(column, row).into()),
        T::UInt32 => Cell::Int(primitive::<UInt32Type>(column, row).into()),
        T::UInt64 => match i64::try_from(primitive::<UInt64Type>(column, row)) {
            Ok(number) => Cell::Int(number),
            Err(_) => Cell::Foreign(Foreign::Other(column, row)),
        },
        T::Float16 => Cell::Float(primitive::<Float16Type>(column, row).into()),
        T::Float32 => Cell::Float(primitive::<Float32Type>(column, row).into()),
        T::Timestamp(TimeUnit::Second, _) => {
            let seconds = primitive::<TimestampSecondType>(column, row);
            match seconds.checked_mul(1000) {
                Some(millis) => Cell::Time(millis),
                None => Cell::Foreign(Foreign::Other(column, row)),
            }
        }
        T::Timestamp(TimeUnit::Microsecond, _) => {
            micros(primitive::<TimestampMicrosecondType>(column, row))
        }
        T::Timestamp(TimeUnit::Nanosecond, _) => {
            micros(primitive::<TimestampNanosecondType>(column, row).div_euclid(1000))
        }
        T::Dictionary(_, _) => {
            let categories = column.as_any_dictionary_opt()?;
            let Some(Cell::Int(place)) = super::cell(categories.keys(), row) else {
                return None;
            };
            return super::cell(categories.values().as_ref(), usize::try_from(place).ok()?);
        }
        _ => Cell::Foreign(Foreign::Other(column, row)),
    })
}

fn primitive<T: ArrowPrimitiveType>(column: &dyn Array, row: usize) -> T::Native {
    column.as_primitive::<T>().value(row)
}

fn micros(stamp: i64) -> Cell<'static> {
    match stamp.rem_euclid(1000) {
        0 => Cell::Time(stamp.div_euclid(1000)),
        _ => Cell::Foreign(Foreign::Micros(stamp)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int8Type;
    use arrow_array::{
        ArrayRef, Date32Array, Decimal128Array, DictionaryArray, DurationSecondArray, Float32Array,
        LargeStringArray, ListArray, StringViewArray, TimestampMicrosecondArray,
        TimestampNanosecondArray, TimestampSecondArray, UInt8Array, UInt64Array,
    };

    use super::super::{cell, preview, shown};
    use super::*;
    use crate::frame::Frame;

    /// What a column of one value and a null shows.
    fn shown(column: ArrayRef) -> String {
        let cells = [cell(column.as_ref(), 0), cell(column.as_ref(), 1)];
        let kind = column.data_type();
        let shown = shown::Shown::new("it", kind, &cells, shown::WIDE).cells;
        assert_eq!(shown[1], None, "{kind}");
        shown[0]
            .clone()
            .unwrap_or_else(|| format!("nothing of {kind}"))
    }

    #[test]
    fn every_type_of_another_library_is_shown() {
        let stamp = 1_769_817_639_123;
        let list = [Some(vec![Some(1), Some(2)]), None];
        let columns: [(ArrayRef, &str); 14] = [
            (
                Arc::new(StringViewArray::from(vec![
                    Some("a view of more than 12 bytes"),
                    None,
                ])),
                "a view of more than 12 bytes",
            ),
            (
                Arc::new(LargeStringArray::from(vec![Some("large"), None])),
                "large",
            ),
            (
                Arc::new(DictionaryArray::<Int8Type>::from_iter([
                    Some("bitcoin"),
                    None,
                ])),
                "bitcoin",
            ),
            (Arc::new(UInt8Array::from(vec![Some(255), None])), "255"),
            (
                Arc::new(UInt64Array::from(vec![Some(u64::MAX), None])),
                "18446744073709551615",
            ),
            (Arc::new(Float32Array::from(vec![Some(1.5), None])), "1.5"),
            (
                Arc::new(TimestampSecondArray::from(vec![Some(stamp / 1000), None])),
                "2026-01-31 00:00:39",
            ),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![
                    Some(stamp * 1000),
                    None,
                ])),
                "2026-01-31 00:00:39",
            ),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![
                    Some(stamp * 1000 + 7),
                    None,
                ])),
                "2026-01-31T00:00:39.123007Z",
            ),
            (
                Arc::new(TimestampNanosecondArray::from(vec![
                    Some(stamp * 1_000_000),
                    None,
                ])),
                "2026-01-31 00:00:39",
            ),
            (
                Arc::new(Date32Array::from(vec![Some(20_484), None])),
                "2026-01-31",
            ),
            (
                Arc::new(
                    Decimal128Array::from(vec![Some(12_345), None])
                        .with_precision_and_scale(10, 2)
                        .unwrap(),
                ),
                "123.45",
            ),
            (
                Arc::new(DurationSecondArray::from(vec![Some(90), None])),
                "PT90S",
            ),
            (
                Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(list)),
                "[1, 2]",
            ),
        ];
        for (column, wanted) in columns {
            assert_eq!(shown(column), wanted);
        }
    }

    #[test]
    fn a_frame_of_foreign_columns_is_grouped_by_coin_and_previewed() {
        let columns: Vec<(&str, ArrayRef)> = vec![
            (
                "coin_id",
                Arc::new(StringViewArray::from(vec!["bitcoin", "bitcoin"])),
            ),
            (
                "ts",
                Arc::new(TimestampNanosecondArray::from(vec![0, 3_600_000_000_500])),
            ),
            ("price", Arc::new(Float32Array::from(vec![2.0, 3.0]))),
        ];
        let batch = arrow_array::RecordBatch::try_from_iter(columns).unwrap();
        let frame = Frame {
            schema: batch.schema(),
            batches: vec![batch],
        };
        let returns = frame.returns("simple", "price", None).unwrap();
        assert_eq!(returns.values(2).last(), Some(Some(Cell::Float(0.5))));
        let page = preview::html(&frame, 0);
        assert!(
            page.contains(">bitcoin<") && page.contains("timestamp[ns]"),
            "{page}"
        );
        assert!(!page.contains("null"), "{page}");
    }
}
