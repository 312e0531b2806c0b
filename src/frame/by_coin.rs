//! A frame's rows as one series for each coin: its values in the order of time.
//! What is computed of them is decided elsewhere.

use std::collections::BTreeMap;

use super::{Cell, Foreign, Frame};
use crate::error::{Error, Result};

/// The names that a frame's column of instants can have.
const TIMES: [&str; 2] = ["ts", "snapshot_time"];

/// A value of a coin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    /// Its instant, in milliseconds since 1970.
    pub(super) ts: i64,
    /// The value; none for null.
    pub(super) value: Option<f64>,
    /// Its row in the frame.
    pub(super) row: usize,
}

/// The series of a frame.
#[derive(Debug)]
pub(super) struct ByCoin {
    /// The name of the column of instants.
    pub(super) time: &'static str,
    /// The points of each coin in the order of time, the coins in the order of their ids.
    pub(super) coins: BTreeMap<String, Vec<Point>>,
}

impl ByCoin {
    /// The series of a column of numbers.
    pub(super) fn of(frame: &Frame, value: &str) -> Result<Self> {
        let has = |name: &&str| frame.schema.index_of(name).is_ok();
        let time = TIMES.into_iter().find(has);
        let (Some(time), true) = (time, has(&"coin_id")) else {
            return Err(Error::argument(
                "the frame has no column coin_id, or none of ts and snapshot_time: take one of prices or quotes",
            ));
        };
        let column = frame.column(value)?;
        let kind = frame.schema.field(column).data_type();
        if !kind.is_floating() && !kind.is_integer() {
            return Err(Error::argument(format!(
                "the column {value} has no numbers: it is of {}",
                super::type_name(kind)
            )));
        }
        let keys = frame.values(frame.column("coin_id")?);
        let stamps = frame.values(frame.column(time)?);
        let mut coins: BTreeMap<String, Vec<Point>> = BTreeMap::new();
        for (row, ((key, ts), value)) in keys.zip(stamps).zip(frame.values(column)).enumerate() {
            let (Some(Cell::Text(coin)), Some(ts)) = (key, ts.and_then(millis)) else {
                continue;
            };
            let value = value.and_then(number);
            let point = Point { ts, value, row };
            match coins.get_mut(coin) {
                Some(points) => points.push(point),
                None => {
                    coins.insert(coin.to_owned(), vec![point]);
                }
            }
        }
        for points in coins.values_mut() {
            points.sort_by_key(|point| point.ts);
        }
        Ok(Self { time, coins })
    }

    /// The usual time between a coin's points: the median over all coins; none where no coin has two.
    pub(super) fn usual_step(&self) -> Option<i64> {
        let mut steps: Vec<i64> = self
            .coins
            .values()
            .flat_map(|points| points.windows(2))
            .filter_map(|pair| match pair {
                [before, after] => Some(after.ts - before.ts),
                _ => None,
            })
            .filter(|step| *step > 0)
            .collect();
        steps.sort_unstable();
        let middle = steps.len().checked_sub(1)? / 2;
        steps.get(middle).copied()
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "whole numbers here are ranks and counts, far below 2^53"
)]
fn number(cell: Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Float(number) => Some(number),
        Cell::Int(number) => Some(number as f64),
        _ => None,
    }
}

/// An instant in milliseconds since 1970.
fn millis(cell: Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Time(stamp) => Some(stamp),
        Cell::Foreign(Foreign::Micros(stamp)) => Some(stamp.div_euclid(1000)),
        _ => None,
    }
}

/// A length of time such as `5m`, `4h` or `1d`, in milliseconds.
pub(super) fn length(text: &str) -> Result<i64> {
    let wrong = || {
        Error::argument(format!(
            "{text:?} is no length of time: write minutes, hours or days, such as 5m, 4h or 1d"
        ))
    };
    let unit = match text.chars().next_back() {
        Some('m') => 60_000,
        Some('h') => 3_600_000,
        Some('d') => 86_400_000,
        _ => return Err(wrong()),
    };
    let number = text.get(..text.len() - 1).unwrap_or_default();
    let number: u32 = number.parse().map_err(|_| wrong())?;
    match i64::from(number).checked_mul(unit) {
        Some(length @ 1..=LONGEST) => Ok(length),
        _ => Err(wrong()),
    }
}

/// Ten years, above which nobody means a step.
const LONGEST: i64 = 3650 * 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_a_number_and_a_unit() {
        for (text, minutes) in [("5m", 5), ("4h", 240), ("1d", 1440), ("90m", 90)] {
            assert_eq!(length(text).unwrap(), minutes * 60_000);
        }
        for text in ["", "m", "0h", "-1h", "1.5h", "1w", "h1", "1é", "99999999d"] {
            assert!(length(text).is_err(), "{text}");
        }
    }
}
