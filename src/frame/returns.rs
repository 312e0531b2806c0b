//! Returns of each coin: how much a value changed since the point before. Holes stay holes.
//! No other indicator is computed here.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};

use super::Frame;
use super::by_coin::{ByCoin, Point, length};
use crate::error::{Error, Result};

/// Points further apart than this many steps have a hole between them, as everywhere in coinmill.
const HOLE: f64 = 2.5;

impl Frame {
    /// Each row's coin, instant and return on the value of the coin's point before: `simple` is `value / before - 1`, `log` is
    /// `ln(value / before)`.
    ///
    /// It is null at a coin's first point, where one of both values is null or not positive, and where the points are further
    /// apart than two and a half steps. The step is the median of the frame's own, or `step`, such as `1h`.
    ///
    /// # Errors
    /// [`Error::Argument`] where the frame lacks a column, `kind` is neither, or `step` is no length.
    pub fn returns(&self, kind: &str, value: &str, step: Option<&str>) -> Result<Self> {
        let (name, formula): (_, fn(f64) -> f64) = match kind {
            "simple" => ("simple_return", |ratio| ratio - 1.0),
            "log" => ("log_return", f64::ln),
            _ => {
                return Err(Error::argument(format!(
                    "returns are simple or log, not {kind:?}"
                )));
            }
        };
        let series = ByCoin::of(self, value)?;
        let step = match step {
            Some(step) => Some(length(step)?),
            None => series.usual_step(),
        };
        let mut returns = vec![None; self.rows()];
        for points in series.coins.values() {
            for pair in points.windows(2) {
                let [before, after] = pair else { continue };
                let change = change(before, after, step).map(formula);
                if let Some(cell) = returns.get_mut(after.row) {
                    *cell = change.filter(|change| change.is_finite());
                }
            }
        }
        let keys = self.select(&["coin_id", series.time])?;
        let mut fields = keys.schema.fields().to_vec();
        fields.push(Arc::new(Field::new(name, DataType::Float64, true)));
        let schema = Arc::new(Schema::new(fields));
        let mut left = returns.into_iter();
        let batch = |batch: RecordBatch| {
            let column: Float64Array = left.by_ref().take(batch.num_rows()).collect();
            let mut columns = batch.columns().to_vec();
            columns.push(Arc::new(column) as ArrayRef);
            RecordBatch::try_new(Arc::clone(&schema), columns).map_err(super::misfit)
        };
        let batches: Result<_> = keys.batches.into_iter().map(batch).collect();
        Ok(Self {
            batches: batches?,
            schema,
        })
    }
}

/// The ratio of two values that follow each other without a hole.
fn change(before: &Point, after: &Point, step: Option<i64>) -> Option<f64> {
    let (from, to) = (before.value?, after.value?);
    if is_hole(after.ts - before.ts, step) || from <= 0.0 || to <= 0.0 {
        return None;
    }
    Some(to / from)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of centuries are below 2^53"
)]
fn is_hole(apart: i64, step: Option<i64>) -> bool {
    step.is_some_and(|step| apart as f64 > HOLE * step as f64)
}

#[cfg(test)]
mod tests {
    use super::super::Cell;
    use super::super::example::prices;
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn returns(frame: &Frame, kind: &str, step: Option<&str>) -> Vec<Option<f64>> {
        let float = |cell| match cell {
            None => None,
            Some(Cell::Float(number)) => Some(number),
            other => panic!("{other:?}"),
        };
        let returns = frame.returns(kind, "price", step).unwrap();
        returns.values(2).map(float).collect()
    }

    fn of_bitcoin(points: &[(i64, Option<f64>)]) -> Frame {
        let rows: Vec<_> = points
            .iter()
            .map(|(hour, price)| ("bitcoin", hour * HOUR, *price))
            .collect();
        prices(&rows)
    }

    #[test]
    fn a_return_is_on_the_same_coins_point_before() {
        let frame = prices(&[
            ("aave", 0, Some(10.0)),
            ("bitcoin", 0, Some(100.0)),
            ("aave", HOUR, Some(11.0)),
            ("bitcoin", HOUR, Some(50.0)),
        ]);
        let simple = returns(&frame, "simple", None);
        assert_eq!(simple, [None, None, Some(11.0 / 10.0 - 1.0), Some(-0.5)]);
        let log = returns(&frame, "log", None);
        assert_eq!(log[3], Some(0.5_f64.ln()));
        let names = frame.returns("log", "price", None).unwrap();
        assert_eq!(names.schema.field(2).name(), "log_return");
    }

    #[test]
    fn a_hole_a_null_and_a_zero_have_no_return() {
        let hours = [0, 1, 2, 5, 6].map(|hour| (hour, Some(1.0)));
        let known = |returns: Vec<Option<f64>>| -> Vec<bool> {
            returns.iter().map(Option::is_some).collect()
        };
        let frame = of_bitcoin(&hours);
        assert_eq!(
            known(returns(&frame, "simple", None)),
            [false, true, true, false, true]
        );
        assert_eq!(
            known(returns(&frame, "simple", Some("2h"))),
            [false, true, true, true, true]
        );
        let values = of_bitcoin(&[
            (0, Some(1.0)),
            (1, None),
            (2, Some(1.0)),
            (3, Some(0.0)),
            (4, Some(2.0)),
        ]);
        assert_eq!(known(returns(&values, "log", None)), [false; 5]);
    }

    #[test]
    fn what_is_no_kind_is_said_and_no_rows_have_no_returns() {
        let error = of_bitcoin(&[]).returns("daily", "price", None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "returns are simple or log, not \"daily\""
        );
        assert!(returns(&of_bitcoin(&[]), "simple", None).is_empty());
        assert_eq!(
            returns(&of_bitcoin(&[(0, Some(1.0))]), "simple", None),
            [None]
        );
    }
}
