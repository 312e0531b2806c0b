//! Rows as they pass by, the same from both drivers.

use rusqlite::types::ValueRef;

use super::copy::{CopiedRow, Elements, strange};
use super::sqlite::cell;
use crate::error::Result;
use crate::series::PricePoint;

/// A row that passes by, read by column number: nothing of it is kept.
pub(crate) enum Cells<'a> {
    Postgres(&'a CopiedRow<'a>),
    Sqlite(&'a rusqlite::Row<'a>),
}

impl Cells<'_> {
    /// A text, or null.
    pub(crate) fn text(&self, column: usize) -> Result<Option<&str>> {
        match self {
            Self::Postgres(row) => row.text(column),
            Self::Sqlite(row) => cell(row, column, ValueRef::as_str_or_null),
        }
    }

    /// A whole number, or null.
    pub(crate) fn int(&self, column: usize) -> Result<Option<i64>> {
        match self {
            Self::Postgres(row) => row.int(column),
            Self::Sqlite(row) => cell(row, column, ValueRef::as_i64_or_null),
        }
    }

    /// A number, or null.
    pub(crate) fn float(&self, column: usize) -> Result<Option<f64>> {
        match self {
            Self::Postgres(row) => row.float(column),
            Self::Sqlite(row) => cell(row, column, ValueRef::as_f64_or_null),
        }
    }

    /// An instant in milliseconds since 1970, or null.
    pub(crate) fn milliseconds(&self, column: usize) -> Result<Option<i64>> {
        match self {
            Self::Postgres(row) => row.milliseconds(column),
            Self::Sqlite(row) => cell(row, column, ValueRef::as_i64_or_null),
        }
    }

    /// The points of a row of PostgreSQL's that has their stamps and numbers as arrays behind its first column, in the order of their
    /// stamps, each with its landing row where those were asked for.
    pub(crate) fn points(&self, with_landing: bool) -> Result<Vec<(PricePoint, Option<i64>)>> {
        let Self::Postgres(row) = self else {
            return Err(strange());
        };
        let mut stamps = row.array(1)?;
        let (mut prices, mut caps, mut volumes) = (row.array(2)?, row.array(3)?, row.array(4)?);
        let mut landings = with_landing.then(|| row.array(5)).transpose()?;
        let mut points = Vec::with_capacity(stamps.left());
        while let Some(ts) = stamps.milliseconds()? {
            let point = PricePoint {
                ts,
                price: prices.float()?,
                market_cap: caps.float()?,
                volume: volumes.float()?,
            };
            points.push((point, landings.as_mut().map(Elements::int).transpose()?));
        }
        // the server gives them as they lie in the table, which is nearly this order: it would sort them all
        points.sort_by_key(|(point, _)| point.ts);
        Ok(points)
    }
}
