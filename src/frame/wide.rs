//! A frame with a column for each coin: by the instants that there are, or on a grid.
//! No value is invented: a cell without a point is null.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};

use super::Frame;
use super::by_coin::{ByCoin, Point, length};
use crate::error::{Error, Result};

/// The most cells of a wide frame: 1.6 GB of numbers.
const MOST: usize = 200_000_000;

impl Frame {
    /// One row an instant and one column a coin, in the order of their ids, with the values of one column.
    ///
    /// Without `every` the rows are the instants that any coin has a point at. With it, such as `1h`, they are the multiples of
    /// that length since 1970 in UTC, all from the first to the last that has a point, and a cell is the newest point after the
    /// row before and up to its own instant: what was known by then, as long as it is not older than `every`.
    ///
    /// # Errors
    /// [`Error::Argument`] where the frame lacks a column, `every` is no length, or the grid would be too fine.
    pub fn wide(&self, value: &str, every: Option<&str>) -> Result<Self> {
        let series = ByCoin::of(self, value)?;
        if series.coins.contains_key(series.time) {
            return Err(Error::argument(format!(
                "a coin's id is {:?}, which is the name of the column of instants: leave it out",
                series.time
            )));
        }
        let every = every.map(length).transpose()?;
        // the row of a point: the first multiple that is not before it
        let row_of = |ts: i64| match every {
            Some(step) => {
                ts.div_euclid(step) * step + if ts.rem_euclid(step) > 0 { step } else { 0 }
            }
            None => ts,
        };
        let rows = || {
            series
                .coins
                .values()
                .flatten()
                .map(|point| row_of(point.ts))
        };
        let count = match (rows().min(), rows().max(), every) {
            (Some(first), Some(last), Some(step)) => (last - first) / step + 1,
            _ => 0,
        };
        let cells = usize::try_from(count)
            .map_or(usize::MAX, |count| count.saturating_mul(series.coins.len()));
        if cells > MOST {
            return Err(Error::argument(format!(
                "a grid of {count} rows and {} coins is too large: take a longer step, a shorter span or fewer coins",
                series.coins.len()
            )));
        }
        let stamps: Vec<i64> = match (rows().min(), every) {
            (Some(first), Some(step)) => (0..count).map(|nth| first + nth * step).collect(),
            _ => {
                let mut stamps: Vec<i64> = rows().collect();
                stamps.sort_unstable();
                stamps.dedup();
                stamps
            }
        };
        let zone: Arc<str> = super::UTC.into();
        let kind = DataType::Timestamp(TimeUnit::Millisecond, Some(Arc::clone(&zone)));
        let mut fields = vec![Field::new(series.time, kind, false)];
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (coin, points) in &series.coins {
            fields.push(Field::new(coin, DataType::Float64, true));
            let column: Float64Array = aligned(points, &stamps, row_of).collect();
            columns.push(Arc::new(column));
        }
        let time = TimestampMillisecondArray::from(stamps).with_timezone(zone);
        columns.insert(0, Arc::new(time));
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(super::misfit)?;
        Ok(Self {
            schema,
            batches: vec![batch],
        })
    }
}

/// A coin's value for each row: the newest point of those that belong to it.
fn aligned<'a>(
    points: &'a [Point],
    stamps: &'a [i64],
    row_of: impl Fn(i64) -> i64 + 'a,
) -> impl Iterator<Item = Option<f64>> + 'a {
    let mut points = points.iter().peekable();
    stamps.iter().map(move |stamp| {
        let mut newest = None;
        while let Some(point) = points.next_if(|point| row_of(point.ts) <= *stamp) {
            newest = Some(point);
        }
        newest.and_then(|point| point.value)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Cell;
    use super::super::example::prices;
    use super::*;

    const MINUTE: i64 = 60_000;

    fn rows(frame: &Frame) -> Vec<(i64, Vec<Option<f64>>)> {
        let float = |cell| match cell {
            None => None,
            Some(Cell::Float(number)) => Some(number),
            other => panic!("{other:?}"),
        };
        let columns: Vec<Vec<Option<f64>>> = (1..frame.schema.fields().len())
            .map(|column| frame.values(column).map(float).collect())
            .collect();
        let row = |(row, cell)| match cell {
            Some(Cell::Time(ts)) => (ts / MINUTE, columns.iter().map(|it| it[row]).collect()),
            other => panic!("{other:?}"),
        };
        frame.values(0).enumerate().map(row).collect()
    }

    fn frame() -> Frame {
        let at = |minute: i64, second: i64| minute * MINUTE + second * 1000;
        prices(&[
            ("bitcoin", at(0, 0), Some(1.0)),
            ("bitcoin", at(5, 1), Some(2.0)),
            ("bitcoin", at(9, 59), Some(3.0)),
            ("bitcoin", at(25, 0), None),
            ("aave", at(5, 1), Some(7.0)),
            ("aave", at(15, 0), Some(8.0)),
        ])
    }

    #[test]
    fn without_a_grid_each_instant_is_a_row() {
        let wide = frame().wide("price", None).unwrap();
        let names: Vec<_> = wide
            .schema
            .fields()
            .iter()
            .map(|it| it.name().clone())
            .collect();
        assert_eq!(names, ["ts", "aave", "bitcoin"]);
        let wanted = [
            (0, vec![None, Some(1.0)]),
            (5, vec![Some(7.0), Some(2.0)]),
            (9, vec![None, Some(3.0)]),
            (15, vec![Some(8.0), None]),
            (25, vec![None, None]),
        ];
        assert_eq!(rows(&wide), wanted);
    }

    #[test]
    fn on_a_grid_a_cell_is_what_was_known_by_its_instant_and_nothing_else() {
        let wide = frame().wide("price", Some("5m")).unwrap();
        let wanted = [
            (0, vec![None, Some(1.0)]),
            (5, vec![None, None]),
            (10, vec![Some(7.0), Some(3.0)]),
            (15, vec![Some(8.0), None]),
            (20, vec![None, None]),
            (25, vec![None, None]),
        ];
        assert_eq!(rows(&wide), wanted);
    }

    #[test]
    fn a_frame_without_rows_or_without_its_columns() {
        assert_eq!(prices(&[]).wide("price", Some("1h")).unwrap().rows(), 0);
        assert_eq!(prices(&[]).wide("price", None).unwrap().rows(), 0);
        let says = |frame: Frame, value| frame.wide(value, Some("1h")).unwrap_err().to_string();
        assert!(says(frame(), "close").contains("there is no column \"close\""));
        assert!(says(frame(), "coin_id").contains("has no numbers"));
        assert!(
            says(frame().select(&["ts", "price"]).unwrap(), "price").contains("no column coin_id")
        );
        let far = [("a", 0, Some(1.0)), ("b", i64::MAX / 4, Some(1.0))];
        assert!(says(prices(&far), "price").contains("too large"));
        assert!(says(prices(&[("ts", 0, None)]), "price").contains("leave it out"));
    }
}
