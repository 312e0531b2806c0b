//! Which rows of a batch are which coin's: a series each, and its points one after the other.
//! What the series make of them is written by `columns`.

use std::borrow::Cow;
use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Float64Array, PrimitiveArray};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType};

use super::columns::{self, Points};
use super::{NotAfter, Series};
use crate::error::{Error, Result};

/// The series of the coins that were met so far.
pub struct Coins<'a> {
    fresh: &'a Series,
    places: HashMap<String, usize>,
    names: Vec<Option<String>>,
    series: Vec<Series>,
}

/// Rows of one coin that follow each other: the place of its series, none where the coin is null, and where they end.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    coin: Option<usize>,
    end: usize,
}

/// Why rows are no series.
#[derive(Debug)]
pub enum Wrong {
    /// A row has no coin.
    NoCoin,
    /// A row has no stamp.
    NoStamp,
    /// A coin's stamp is not after its last one.
    NotAfter(Option<String>, i64, NotAfter),
}

impl<'a> Coins<'a> {
    /// None yet, each of which will begin as `fresh` is.
    pub fn new(fresh: &'a Series) -> Self {
        Self {
            fresh,
            places: HashMap::new(),
            names: Vec::new(),
            series: Vec::new(),
        }
    }

    fn add(&mut self, coin: Option<&str>) -> usize {
        self.names.push(coin.map(str::to_owned));
        self.series.push(self.fresh.clone());
        self.series.len() - 1
    }

    /// The place of a coin's series.
    fn place(&mut self, coin: &str) -> usize {
        if let Some(place) = self.places.get(coin) {
            return *place;
        }
        let place = self.add(Some(coin));
        self.places.insert(coin.to_owned(), place);
        place
    }

    /// The runs of a table that is one series.
    pub fn one_run(&mut self, rows: usize) -> Vec<Run> {
        if self.series.is_empty() {
            self.add(None);
        }
        vec![Run {
            coin: Some(0),
            end: rows,
        }]
    }

    /// The runs of a column of coins.
    ///
    /// # Errors
    /// [`Error::Argument`] where Arrow cannot read it.
    pub fn runs(&mut self, column: &dyn Array) -> Result<Vec<Run>> {
        if let Some(dictionary) = column.as_any_dictionary_opt() {
            let mut of_values = vec![None; dictionary.values().len()];
            let mut begin = 0;
            for Run { coin, end } in self.runs(dictionary.values().as_ref())? {
                of_values
                    .iter_mut()
                    .take(end)
                    .skip(begin)
                    .for_each(|of_value| *of_value = coin);
                begin = end;
            }
            let coin = |key: Option<i64>| {
                let key = usize::try_from(key?).ok()?;
                of_values.get(key).copied().flatten()
            };
            // the keys that coinmill and pyarrow make
            let keys = dictionary.keys().as_primitive_opt::<Int32Type>();
            if let Some(keys) = keys.filter(|keys| keys.null_count() == 0) {
                let keys = keys.values().iter().copied();
                return Ok(runs(keys, |key| coin(Some(i64::from(key)))));
            }
            let keys = cast(dictionary.keys(), &DataType::Int64)?;
            return Ok(runs(keys.as_primitive::<Int64Type>().iter(), coin));
        }
        let coin = |text: Option<&str>| text.map(|text| self.place(text));
        Ok(match column.data_type() {
            DataType::Utf8 => runs(column.as_string::<i32>().iter(), coin),
            DataType::LargeUtf8 => runs(column.as_string::<i64>().iter(), coin),
            _ => runs(
                cast(column, &DataType::Utf8View)?.as_string_view().iter(),
                coin,
            ),
        })
    }

    /// Notes the stamps of a batch.
    ///
    /// # Errors
    /// What is wrong with the first row that cannot be.
    pub fn check(
        &mut self,
        runs: &[Run],
        stamps: &PrimitiveArray<TimestampMicrosecondType>,
    ) -> Result<(), Wrong> {
        let mut rows = stamps.values().iter().enumerate();
        let has_nulls = stamps.null_count() > 0;
        let mut begin = 0;
        for Run { coin, end } in runs {
            let series = coin.and_then(|coin| self.series.get_mut(coin));
            let series = series.ok_or(Wrong::NoCoin)?;
            for (row, stamp) in rows.by_ref().take(end - begin) {
                if has_nulls && stamps.is_null(row) {
                    return Err(Wrong::NoStamp);
                }
                series.follows(*stamp).map_err(|refused| {
                    let name = coin.and_then(|coin| self.names.get(coin).cloned());
                    Wrong::NotAfter(name.flatten(), *stamp, refused)
                })?;
            }
            begin = *end;
        }
        Ok(())
    }

    /// The columns of indicators for a batch whose runs and stamps were found to be right.
    pub fn indicators(
        &mut self,
        runs: &[Run],
        stamps: &[i64],
        prices: &Float64Array,
    ) -> Vec<ArrayRef> {
        let points = points(runs, self.series.len(), stamps, prices);
        columns::indicators(&mut self.series, &points, self.fresh, stamps)
    }
}

/// The runs of rows with the same key, of which `coin` gives the place once a run.
fn runs<T: PartialEq + Copy>(
    keys: impl Iterator<Item = T>,
    mut coin: impl FnMut(T) -> Option<usize>,
) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut last = None;
    let mut rows = 0;
    for key in keys {
        if last.is_some_and(|last| last != key)
            && let Some(last) = last
        {
            runs.push(Run {
                coin: coin(last),
                end: rows,
            });
        }
        last = Some(key);
        rows += 1;
    }
    runs.extend(last.map(|last| Run {
        coin: coin(last),
        end: rows,
    }));
    runs
}

/// The points of a batch, those of a coin together: the rows themselves where they lie so, else gathered from them.
fn points<'a>(
    runs: &[Run],
    coins: usize,
    stamps: &'a [i64],
    prices: &'a Float64Array,
) -> Points<'a> {
    let mut counts = vec![0; coins];
    let is_in_order = runs.is_sorted_by(|a, b| a.coin < b.coin);
    let values = prices.values();
    if is_in_order && prices.null_count() == 0 && values.iter().all(|price| price.is_finite()) {
        let mut begin = 0;
        for Run { coin, end } in runs {
            if let Some(count) = coin.and_then(|coin| counts.get_mut(coin)) {
                *count = end - begin;
            }
            begin = *end;
        }
        return Points {
            stamps: Cow::Borrowed(stamps),
            prices: Cow::Borrowed(values),
            counts,
            rows: None,
        };
    }
    let has_nulls = prices.null_count() > 0;
    let is_point =
        |row: usize, price: f64| price.is_finite() && !(has_nulls && prices.is_null(row));
    let each = |take: &mut dyn FnMut(usize, usize, i64, f64)| {
        let mut rows = stamps.iter().zip(values).enumerate();
        let mut begin = 0;
        for Run { coin, end } in runs {
            for (row, (stamp, price)) in rows.by_ref().take(end - begin) {
                if let Some(coin) = coin.filter(|_| is_point(row, *price)) {
                    take(coin, row, *stamp, *price);
                }
            }
            begin = *end;
        }
    };
    each(&mut |coin, _, _, _| {
        if let Some(count) = counts.get_mut(coin) {
            *count += 1;
        }
    });
    let mut next = 0;
    let mut places: Vec<usize> = Vec::with_capacity(coins);
    for count in &counts {
        places.push(next);
        next += count;
    }
    let mut gathered = vec![(0, 0, 0.0); next];
    each(&mut |coin, row, stamp, price| {
        if let Some(place) = places.get_mut(coin)
            && let Some(point) = gathered.get_mut(*place)
        {
            *point = (row, stamp, price);
            *place += 1;
        }
    });
    Points {
        stamps: gathered.iter().map(|(_, stamp, _)| *stamp).collect(),
        prices: gathered.iter().map(|(_, _, price)| *price).collect(),
        counts,
        rows: Some(gathered.iter().map(|(row, _, _)| *row).collect()),
    }
}

/// A column as one of another type.
///
/// # Errors
/// [`Error::Argument`] where Arrow cannot make it.
pub fn cast(column: &dyn Array, to: &DataType) -> Result<ArrayRef> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(column, to, &options).map_err(|error| unfit(&error))
}

/// What Arrow says of a table.
pub fn unfit(error: &ArrowError) -> Error {
    Error::argument(format!("the table cannot be read: {error}"))
}
