//! Parts of a frame: rows from one to another, some rows, some columns. What can be shared is shared, not copied.
//! How rows look is not known here.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema};
use arrow_select::interleave::interleave_record_batch;

use super::{Cell, Frame, cell};
use crate::error::{Error, Result};

impl Frame {
    /// The rows from one on, at most so many. No value is copied.
    #[must_use]
    pub fn slice(&self, first: usize, count: usize) -> Self {
        let (mut skip, mut left) = (first, count);
        let mut batches = Vec::new();
        for batch in &self.batches {
            let rows = batch.num_rows();
            let start = skip.min(rows);
            let length = left.min(rows - start);
            if length > 0 {
                batches.push(batch.slice(start, length));
            }
            skip -= start;
            left -= length;
        }
        Self {
            schema: Arc::clone(&self.schema),
            batches,
        }
    }

    /// These rows, in this order.
    ///
    /// # Errors
    /// [`Error::Argument`] for a row that is not there.
    pub fn rows_at(&self, rows: impl IntoIterator<Item = usize>) -> Result<Self> {
        let places: Option<Vec<_>> = rows.into_iter().map(|row| self.place(row)).collect();
        let places = places.ok_or_else(|| Error::argument("a row is beyond the frame's end"))?;
        if places.is_empty() {
            return Ok(self.slice(0, 0));
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let batch = interleave_record_batch(&batches, &places).map_err(super::misfit)?;
        Ok(Self {
            schema: Arc::clone(&self.schema),
            batches: vec![batch],
        })
    }

    /// These columns, in this order. No value is copied.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that is no column's.
    pub fn select<S: AsRef<str>>(&self, names: &[S]) -> Result<Self> {
        let places = names.iter().map(|name| self.column(name.as_ref()));
        let places = places.collect::<Result<Vec<_>>>()?;
        let schema = self.schema.project(&places).map_err(super::misfit)?;
        let batches = self.batches.iter().map(|batch| batch.project(&places));
        Ok(Self {
            schema: Arc::new(schema),
            batches: batches
                .collect::<std::result::Result<_, _>>()
                .map_err(super::misfit)?,
        })
    }

    /// The place of a column.
    ///
    /// # Errors
    /// [`Error::Argument`] with the names that there are.
    pub fn column(&self, name: &str) -> Result<usize> {
        let place = self.schema.index_of(name);
        place.map_err(|_| {
            Error::argument(format!(
                "there is no column {name:?}: there are {}",
                names(&self.schema)
            ))
        })
    }

    /// The batch that holds a row, by its number, and the row's place there.
    pub fn place(&self, row: usize) -> Option<(usize, usize)> {
        let mut left = row;
        for (number, batch) in self.batches.iter().enumerate() {
            if left < batch.num_rows() {
                return Some((number, left));
            }
            left -= batch.num_rows();
        }
        None
    }

    /// The values of a column, row by row.
    pub fn values(&self, column: usize) -> impl Iterator<Item = Option<Cell<'_>>> {
        let arrays = self.batches.iter().filter_map(move |batch| {
            let array: Option<&ArrayRef> = batch.columns().get(column);
            array
        });
        arrays.flat_map(|array| (0..array.len()).map(move |row| cell(array.as_ref(), row)))
    }
}

/// The name of a column's type, in the words of previews, schemas and the documentation.
pub fn type_name(of: &DataType) -> String {
    match of {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Dictionary(_, values) => type_name(values),
        DataType::Boolean => "bool".to_owned(),
        DataType::Int64 => "int64".to_owned(),
        DataType::Float64 => "float64".to_owned(),
        DataType::Timestamp(unit, zone) => {
            let zone = zone
                .as_ref()
                .map_or(String::new(), |zone| format!(", {zone}"));
            format!("timestamp[{unit}{zone}]")
        }
        other => other.to_string().to_lowercase(),
    }
}

fn names(schema: &Schema) -> String {
    let names: Vec<&str> = schema
        .fields()
        .iter()
        .map(|it| it.name().as_str())
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::{Filler, Filling};
    use super::*;
    use crate::market::{Column, Kind, Origin};

    /// Three batches of one column: 0 and 1, nothing, 2 to 4.
    fn frame() -> Frame {
        let column = Column {
            name: "n",
            kind: Kind::Int,
            origin: Origin::Key,
        };
        let of = |numbers: &[i64]| {
            let mut filling = Filling::new(&[column]);
            for number in numbers {
                if let Filler::Int(values) = &mut filling.columns()[0] {
                    values.append_value(*number);
                }
                filling.end_row();
            }
            filling.finish().unwrap()
        };
        let parts = [of(&[0, 1]), of(&[]), of(&[2, 3, 4])];
        Frame {
            schema: Arc::clone(&parts[0].schema),
            batches: parts.into_iter().flat_map(|part| part.batches).collect(),
        }
    }

    fn numbers(frame: &Frame) -> Vec<i64> {
        let number = |cell| match cell {
            Some(Cell::Int(number)) => number,
            other => panic!("{other:?}"),
        };
        frame.values(0).map(number).collect()
    }

    #[test]
    fn a_slice_has_the_rows_of_a_list_of_all_rows() {
        let (frame, all) = (frame(), [0, 1, 2, 3, 4]);
        for first in 0..7 {
            for count in 0..7 {
                let wanted: Vec<i64> = all.into_iter().skip(first).take(count).collect();
                assert_eq!(
                    numbers(&frame.slice(first, count)),
                    wanted,
                    "{first} {count}"
                );
            }
        }
    }

    #[test]
    fn rows_come_in_the_order_in_which_they_are_asked_for() {
        assert_eq!(
            numbers(&frame().rows_at([4, 0, 2, 2]).unwrap()),
            [4, 0, 2, 2]
        );
        assert_eq!(frame().rows_at([]).unwrap().rows(), 0);
        assert!(frame().rows_at([5]).is_err());
    }

    #[test]
    fn a_column_that_is_not_there_is_an_error_with_those_that_are() {
        assert_eq!(numbers(&frame().select(&["n"]).unwrap()), [0, 1, 2, 3, 4]);
        let error = frame().select(&["m"]).unwrap_err().to_string();
        assert_eq!(error, "there is no column \"m\": there are n");
    }
}
