//! The values of many series as Arrow columns, a share of the coins on each of the machine's cores.
//! The arithmetic is that of the series.

use std::borrow::Cow;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::{self, available_parallelism};

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::{ArrayRef, Float64Array, Int64Array};

use super::{Series, calendar};
use crate::market::Kind;

/// So few points are not worth another thread.
const SHARE: usize = 1 << 14;

/// The points of a batch: those of a coin together, coins in the order of their series.
pub struct Points<'a> {
    pub stamps: Cow<'a, [i64]>,
    pub prices: Cow<'a, [f64]>,
    /// How many each coin has.
    pub counts: Vec<usize>,
    /// The row of each; none where they are the rows themselves.
    pub rows: Option<Vec<usize>>,
}

/// Some of the coins, with their points and where their values go.
struct Share<'a> {
    series: &'a mut [Series],
    counts: &'a [usize],
    stamps: &'a [i64],
    prices: &'a [f64],
    columns: Vec<&'a mut [f64]>,
}

/// The columns of each coin's indicators, for rows with these stamps.
pub fn indicators(
    series: &mut [Series],
    points: &Points<'_>,
    fresh: &Series,
    stamps: &[i64],
) -> Vec<ArrayRef> {
    let (of_prices, of_stamps) = fresh.columns().split_at(fresh.of_prices);
    let mut columns: Vec<Column> = of_prices
        .iter()
        .map(|_| Column::new(points.prices.len()))
        .collect();
    let values = columns
        .iter_mut()
        .map(|column| column.values.as_mut_slice());
    let shares = shares(series, points, values.collect());
    let bits = on_each_core(shares, Share::run);
    for of_share in bits {
        for (column, bits) in columns.iter_mut().zip(of_share) {
            column.bits.append_buffer(&bits.finish_cloned());
        }
    }
    if let Some(rows) = &points.rows {
        columns = on_each_core(columns, |column| column.scattered(rows, stamps.len()));
    }
    if !of_stamps.is_empty() {
        columns.extend(circles(stamps));
    }
    let named = fresh.columns().iter().zip(columns);
    named
        .map(|(named, column)| column.finish(named.kind))
        .collect()
}

fn cores() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

/// Does jobs, each on a core of its own.
fn on_each_core<J: Send, T: Send>(jobs: Vec<J>, work: impl Fn(J) -> T + Sync) -> Vec<T> {
    if jobs.len() < 2 {
        return jobs.into_iter().map(work).collect();
    }
    let work = &work;
    thread::scope(|scope| {
        let jobs = jobs.into_iter().map(|job| scope.spawn(move || work(job)));
        let threads: Vec<_> = jobs.collect();
        let results = threads.into_iter().map(|thread| thread.join());
        results
            .map(|result| result.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

/// The coins in about as many shares as there are cores, each with as many points.
fn shares<'a>(
    mut series: &'a mut [Series],
    points: &'a Points<'_>,
    mut columns: Vec<&'a mut [f64]>,
) -> Vec<Share<'a>> {
    let all = points.prices.len();
    let least = if all < 2 * SHARE {
        all
    } else {
        SHARE.max(all.div_ceil(cores()))
    };
    let (mut counts, mut stamps, mut prices) =
        (points.counts.as_slice(), &*points.stamps, &*points.prices);
    let mut shares = Vec::new();
    while !counts.is_empty() {
        let mut taken = 0;
        let coins = counts.iter().take_while(|count| {
            let is_more = taken < least;
            taken += if is_more { **count } else { 0 };
            is_more
        });
        let coins = coins.count().max(1);
        shares.push(Share {
            series: series.split_off_mut(..coins).unwrap_or_default(),
            counts: counts.split_off(..coins).unwrap_or_default(),
            stamps: stamps.split_off(..taken).unwrap_or_default(),
            prices: prices.split_off(..taken).unwrap_or_default(),
            columns: parts(&mut columns, taken),
        });
    }
    shares
}

/// The first ones of each column, which has the others left.
fn parts<'a>(columns: &mut [&'a mut [f64]], length: usize) -> Vec<&'a mut [f64]> {
    let part = |column: &mut &'a mut [f64]| column.split_off_mut(..length).unwrap_or_default();
    columns.iter_mut().map(part).collect()
}

impl Share<'_> {
    /// Runs each coin's series over its points; the bits say which values are numbers.
    fn run(mut self) -> Vec<BooleanBufferBuilder> {
        let all = self.prices.len();
        let bits = self.columns.iter().map(|_| BooleanBufferBuilder::new(all));
        let mut bits: Vec<_> = bits.collect();
        let mut log_returns = Vec::new();
        for (series, count) in self.series.iter_mut().zip(self.counts) {
            let stamps = self.stamps.split_off(..*count).unwrap_or_default();
            let prices = self.prices.split_off(..*count).unwrap_or_default();
            let mut columns = parts(&mut self.columns, *count);
            let of_coin = columns.iter_mut().map(|column| &mut **column);
            series.run(stamps, prices, of_coin.collect(), &mut log_returns);
            // as long as they are in the processor's cache
            for (values, bits) in columns.iter().zip(&mut bits) {
                append_bits(bits, values);
            }
        }
        bits
    }
}

/// Appends which values are numbers.
#[expect(clippy::eq_op, reason = "it tells what is a number")]
fn append_bits(bits: &mut BooleanBufferBuilder, values: &[f64]) {
    for values in values.chunks(512) {
        // x - x is 0 for a number, else no number
        let strange = values
            .iter()
            .fold(0, |strange, value| strange | (value - value).to_bits());
        if strange == 0 {
            bits.append_n(values.len(), true);
        } else {
            values
                .iter()
                .for_each(|value| bits.append(value.is_finite()));
        }
    }
}

/// A column while its values come, and which of them are numbers.
struct Column {
    values: Vec<f64>,
    bits: BooleanBufferBuilder,
}

impl Column {
    fn new(length: usize) -> Self {
        Self {
            values: vec![0.0; length],
            bits: BooleanBufferBuilder::new(length),
        }
    }

    /// Its values at their rows, with no number in the others.
    fn scattered(self, rows: &[usize], length: usize) -> Self {
        let mut scattered = Self {
            values: vec![f64::NAN; length],
            bits: self.bits,
        };
        for (row, value) in rows.iter().zip(self.values) {
            if let Some(place) = scattered.values.get_mut(*row) {
                *place = value;
            }
        }
        scattered.bits.truncate(0);
        append_bits(&mut scattered.bits, &scattered.values);
        scattered
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole number that is small"
    )]
    fn finish(mut self, kind: Kind) -> ArrayRef {
        let bits = self.bits.finish();
        let nulls = (bits.count_set_bits() < bits.len()).then(|| bits.into());
        match kind {
            Kind::Int => {
                let values: Vec<i64> = self.values.into_iter().map(|value| value as i64).collect();
                Arc::new(Int64Array::new(values.into(), nulls))
            }
            _ => Arc::new(Float64Array::new(self.values.into(), nulls)),
        }
    }
}

/// The columns that need no price.
fn circles(stamps: &[i64]) -> Vec<Column> {
    let mut columns: [Column; 4] = std::array::from_fn(|_| Column::new(stamps.len()));
    let share = if stamps.len() < 2 * SHARE {
        stamps.len()
    } else {
        stamps.len().div_ceil(cores())
    };
    let [a, b, c, d] = columns
        .each_mut()
        .map(|column| column.values.chunks_mut(share.max(1)));
    let jobs = stamps
        .chunks(share.max(1))
        .zip(a.zip(b))
        .zip(c.zip(d))
        .collect();
    on_each_core(jobs, |((stamps, (a, b)), (c, d))| {
        let outs = a.iter_mut().zip(b).zip(c.iter_mut().zip(d));
        for (stamp, ((a, b), (c, d))) in stamps.iter().zip(outs) {
            [*a, *b, *c, *d] = calendar::cyclical(*stamp);
        }
    });
    for column in &mut columns {
        column.bits.append_n(stamps.len(), true);
    }
    columns.into()
}
