//! Technical indicators of one coin, point by point: each value from that point and those before it, null until warm.
//! Pure arithmetic; which rows are whose points, and what a table looks like, is not known here.

mod calendar;
mod columns;
mod extremes;
mod memory;
mod returns;
mod ring;
mod rows;
mod selection;
mod smoothing;
mod spacing;
mod sum;
pub mod table;
mod volatility;
mod window;

use std::sync::Arc;

pub use selection::{Bollinger, Cross, Lengths, Selection};
pub use spacing::MaxGap;

use self::memory::{Memory, Remembered};
use self::returns::{changes, log_return, simple_return};
use crate::error::Result;
use crate::market::Kind;

/// A column of indicators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its name, such as `sma_7`.
    pub name: String,
    /// [`Kind::Int`] for the trend, else [`Kind::Float`].
    pub kind: Kind,
}

/// A stamp that is not after the last one of its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAfter {
    /// The last stamp, in microseconds since 1970.
    pub last: i64,
}

/// The indicators of one coin while its points come. All memory it needs is taken by the first points: later ones
/// allocate nothing.
#[derive(Debug, Clone)]
pub struct Series {
    columns: Arc<[Named]>,
    indicators: Vec<Indicator>,
    /// How many of the columns, the first ones, need a price; the others only a stamp.
    of_prices: usize,
    spacing: spacing::Spacing,
    /// The stamp of the last row, with or without a price.
    last_row: Option<i64>,
    /// The last point: stamp and price.
    last: Option<(i64, f64)>,
}

/// A point, and how it came from the one before it: not a number where it cannot be said.
#[derive(Debug, Clone, Copy)]
struct Point {
    stamp: i64,
    price: f64,
    simple_return: f64,
    log_return: f64,
}

/// Points that follow each other without a gap.
#[derive(Debug, Clone, Copy)]
struct Run<'a> {
    stamps: &'a [i64],
    prices: &'a [f64],
    /// The price before them, where there is no gap.
    last: Option<f64>,
    /// Empty where nothing needs them.
    log_returns: &'a [f64],
}

/// One kind of indicator and what it remembers.
#[derive(Debug, Clone)]
enum Indicator {
    Returns,
    Sma(window::Window),
    Ema(smoothing::Ema),
    Rsi(smoothing::Rsi),
    Macd(smoothing::Macd),
    Bollinger(window::Spread, f64),
    Volatility(volatility::Volatility),
    Extremes(extremes::Extremes),
    Trend(window::Window, window::Window, f64),
}

impl Indicator {
    /// Takes a point and appends its values: one for each of its columns.
    fn push(&mut self, point: Point, values: &mut Vec<Option<f64>>) {
        let price = point.price;
        match self {
            Self::Returns => values.extend([point.simple_return, point.log_return].map(Some)),
            Self::Sma(window) => {
                window.push(price);
                values.push(window.mean());
            }
            Self::Ema(ema) => values.push(ema.push(price)),
            Self::Rsi(rsi) => values.push(rsi.push(price)),
            Self::Macd(macd) => {
                let of = macd.push(price);
                values.extend(of.map_or([None; 3], |values| values.map(Some)));
            }
            Self::Bollinger(spread, width) => {
                spread.push(price);
                let of = spread.mean_and_deviation();
                values.extend(of.map_or([None; 3], |of| bands(of, *width).map(Some)));
            }
            Self::Volatility(volatility) => {
                values.push(volatility.push(point.stamp, point.log_return));
            }
            Self::Extremes(extremes) => {
                extremes.push(price);
                let of = extremes.low_and_high();
                values.extend([of.map(|(low, _)| low), of.map(|(_, high)| high)]);
            }
            Self::Trend(short, long, band) => {
                short.push(price);
                long.push(price);
                let of = short.mean().zip(long.mean());
                values.push(of.map(|(short, long)| direction(short, long, *band)));
            }
        }
    }

    /// Takes points, as one by one, and writes what they would give into columns of the same length, one for each of its own:
    /// the value that leaves a window stands in the same slice, and what is remembered from one point to the next does not
    /// leave the processor's registers.
    fn run(&mut self, points: &Run<'_>, columns: &mut [&mut [f64]]) {
        let prices = points.prices;
        match (self, columns) {
            (Self::Returns, [simple, log]) => {
                changes(points.last, prices, simple, simple_return);
                log.copy_from_slice(points.log_returns);
            }
            (Self::Sma(window), [means]) => window.means(prices, means),
            (Self::Ema(ema), [averages]) => ema.run(prices, averages),
            (Self::Rsi(rsi), [indices]) => rsi.run(prices, indices),
            (Self::Macd(macd), [line, signal, histogram]) => {
                macd.run(prices, [line, signal, histogram]);
            }
            (Self::Bollinger(spread, width), [middle, upper, lower]) => {
                let width = *width;
                let outs = middle
                    .iter_mut()
                    .zip(upper.iter_mut())
                    .zip(lower.iter_mut());
                spread.means_and_deviations(prices, outs, |((middle, upper), lower), of| {
                    [*middle, *upper, *lower] = bands(of, width);
                });
            }
            (Self::Volatility(volatility), [values]) => {
                volatility.run(points.stamps, points.log_returns, values);
            }
            (Self::Extremes(extremes), [lows, highs]) => {
                for ((price, low), high) in prices.iter().zip(lows.iter_mut()).zip(highs.iter_mut())
                {
                    extremes.push(*price);
                    (*low, *high) = extremes.low_and_high().unwrap_or((f64::NAN, f64::NAN));
                }
            }
            (Self::Trend(short, long, band), [trend]) => {
                let band = *band;
                short.means(prices, trend);
                long.run(prices, trend.iter_mut(), |trend, total, count| {
                    let long = total.map_or(f64::NAN, |total| total.mean(count));
                    *trend = direction(*trend, long, band);
                });
            }
            _ => {}
        }
    }

    /// How many columns it has.
    fn width(&self) -> usize {
        match self {
            Self::Sma(_) | Self::Ema(_) | Self::Rsi(_) | Self::Volatility(_) | Self::Trend(..) => 1,
            Self::Returns | Self::Extremes(_) => 2,
            Self::Macd(_) | Self::Bollinger(..) => 3,
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Returns => {}
            Self::Sma(window) => window.clear(),
            Self::Ema(ema) => ema.clear(),
            Self::Rsi(rsi) => rsi.clear(),
            Self::Macd(macd) => macd.clear(),
            Self::Bollinger(spread, _) => spread.clear(),
            Self::Volatility(volatility) => volatility.clear(),
            Self::Extremes(extremes) => extremes.clear(),
            Self::Trend(short, long, _) => {
                short.clear();
                long.clear();
            }
        }
    }
}

impl Remembered for Indicator {
    fn pass(&mut self, memory: &mut Memory) {
        match self {
            Self::Returns => {}
            Self::Sma(window) => window.pass(memory),
            Self::Ema(ema) => ema.pass(memory),
            Self::Rsi(rsi) => rsi.pass(memory),
            Self::Macd(macd) => macd.pass(memory),
            Self::Bollinger(spread, _) => spread.pass(memory),
            Self::Volatility(volatility) => volatility.pass(memory),
            Self::Extremes(extremes) => extremes.pass(memory),
            Self::Trend(short, long, _) => {
                short.pass(memory);
                long.pass(memory);
            }
        }
    }
}

impl Remembered for Series {
    fn pass(&mut self, memory: &mut Memory) {
        for indicator in &mut self.indicators {
            indicator.pass(memory);
        }
        self.spacing.pass(memory);
        self.last_row.pass(memory);
        self.last.pass(memory);
    }
}

/// 1 where the short mean is above the long one by more than the band, -1 where it is below by more, else 0; not a number
/// where one of them is none.
///
/// Source: W. Brock, J. Lakonishok and B. LeBaron, "Simple Technical Trading Rules and the Stochastic Properties of Stock
/// Returns", The Journal of Finance 47 (1992): the variable-length moving average rule.
#[inline]
fn direction(short: f64, long: f64, band: f64) -> f64 {
    if short > long * (1.0 + band) {
        1.0
    } else if short < long * (1.0 - band) {
        -1.0
    } else if short.is_nan() || long.is_nan() {
        f64::NAN
    } else {
        0.0
    }
}

/// A mean, and what lies so many deviations above and below it.
#[inline]
fn bands((mean, deviation): (f64, f64), width: f64) -> [f64; 3] {
    let half = width * deviation;
    [mean, mean + half, mean - half]
}

impl Series {
    /// The indicators of a coin that has no point yet.
    ///
    /// # Errors
    /// [`crate::error::Error::Argument`] for a length or another parameter that makes no sense.
    pub fn new(selection: &Selection) -> Result<Self> {
        let (mut columns, indicators) = selection.indicators()?;
        let of_prices = columns.len();
        if selection.cyclical {
            let names = ["hour_sin", "hour_cos", "weekday_sin", "weekday_cos"];
            columns.extend(names.map(|name| Named {
                name: name.to_owned(),
                kind: Kind::Float,
            }));
        }
        Ok(Self {
            columns: columns.into(),
            indicators,
            of_prices,
            spacing: spacing::Spacing::new(selection.max_gap()?),
            last_row: None,
            last: None,
        })
    }

    /// What it remembers of its points, for [`Self::resume`].
    pub fn state(&self) -> Vec<u8> {
        Memory::write(&mut self.clone())
    }

    /// The indicators of a coin whose points before were pushed elsewhere: with the same selection, and the state of that
    /// series, each next value is the same to the bit.
    ///
    /// # Errors
    /// As [`Self::new`]; [`crate::error::Error::Data`] where the state is not one of such a series.
    pub fn resume(selection: &Selection, state: &[u8]) -> Result<Self> {
        let mut series = Self::new(selection)?;
        Memory::read(&mut series, state).map(|()| series)
    }

    /// The columns, in the order of the values of [`Series::push`].
    pub fn columns(&self) -> &[Named] {
        &self.columns
    }

    /// Takes the next point, `stamp` in microseconds since 1970, and writes the value of each column into `values`.
    ///
    /// Without a price (none, or no finite number) it is no point: what depends on prices has no value there, and goes on
    /// at the next point as if the row had not been. A point after a gap is the first of a new series.
    ///
    /// # Errors
    /// [`NotAfter`], with nothing changed, where the stamp is not after the last one.
    pub fn push(
        &mut self,
        stamp: i64,
        price: Option<f64>,
        values: &mut Vec<Option<f64>>,
    ) -> std::result::Result<(), NotAfter> {
        self.follows(stamp)?;
        values.clear();
        match price.filter(|price| price.is_finite()) {
            Some(price) => self.push_point(stamp, price, values),
            None => values.resize(self.of_prices, None),
        }
        if self.of_prices < self.columns.len() {
            values.extend(calendar::cyclical(stamp).map(Some));
        }
        for value in values {
            *value = value.filter(|value| value.is_finite());
        }
        Ok(())
    }

    /// Notes the stamp of a row.
    ///
    /// # Errors
    /// [`NotAfter`], with nothing changed, where it is not after the last one.
    #[inline]
    fn follows(&mut self, stamp: i64) -> std::result::Result<(), NotAfter> {
        match self.last_row {
            Some(last) if stamp <= last => Err(NotAfter { last }),
            _ => {
                self.last_row = Some(stamp);
                Ok(())
            }
        }
    }

    /// Takes the next points, whose stamps have to follow each other and whose prices have to be finite, and writes what
    /// [`Self::push`] would give for each into columns of the same length, one for each that needs a price, with no number
    /// for none. The logarithms are made in `log_returns`, whose memory serves for many runs.
    fn run(
        &mut self,
        stamps: &[i64],
        prices: &[f64],
        mut columns: Vec<&mut [f64]>,
        log_returns: &mut Vec<f64>,
    ) {
        let mut gaps = Vec::new();
        let mut before = self.last.map(|(stamp, _)| stamp);
        for (at, stamp) in stamps.iter().enumerate() {
            let step = before
                .replace(*stamp)
                .map(|before| stamp.saturating_sub(before));
            if step.is_some_and(|step| self.spacing.is_gap(step)) {
                gaps.push(at);
            }
        }
        let mut last = self.last.map(|(_, price)| price);
        self.last = stamps
            .last()
            .copied()
            .zip(prices.last().copied())
            .or(self.last);
        let (mut stamps, mut prices, mut begin) = (stamps, prices, 0);
        for gap in gaps {
            let (ends, later) = stamps.split_at(gap - begin);
            let (part, rest) = prices.split_at(gap - begin);
            let of_part = columns
                .iter_mut()
                .map(|column| column.split_off_mut(..part.len()).unwrap_or_default());
            self.run_part(ends, part, last, of_part.collect(), log_returns);
            self.indicators.iter_mut().for_each(Indicator::clear);
            (stamps, prices, last, begin) = (later, rest, None, gap);
        }
        self.run_part(stamps, prices, last, columns, log_returns);
    }

    /// Takes points that follow each other without a gap.
    fn run_part(
        &mut self,
        stamps: &[i64],
        prices: &[f64],
        last: Option<f64>,
        mut columns: Vec<&mut [f64]>,
        log_returns: &mut Vec<f64>,
    ) {
        let is_of_logs =
            |it: &Indicator| matches!(it, Indicator::Returns | Indicator::Volatility(_));
        if self.indicators.iter().any(is_of_logs) {
            log_returns.resize(prices.len(), 0.0);
            changes(last, prices, log_returns, log_return);
        }
        let points = Run {
            stamps,
            prices,
            last,
            log_returns,
        };
        let mut columns = columns.as_mut_slice();
        for indicator in &mut self.indicators {
            let own = columns.split_off_mut(..indicator.width());
            indicator.run(&points, own.unwrap_or_default());
        }
    }

    fn push_point(&mut self, stamp: i64, price: f64, values: &mut Vec<Option<f64>>) {
        let mut last = self.last.replace((stamp, price));
        if let Some((before, _)) = last
            && self.spacing.is_gap(stamp.saturating_sub(before))
        {
            last = None;
            self.indicators.iter_mut().for_each(Indicator::clear);
        }
        let of_last =
            |formula: fn(f64, f64) -> f64| last.map_or(f64::NAN, |(_, last)| formula(last, price));
        let point = Point {
            stamp,
            price,
            simple_return: of_last(simple_return),
            log_return: of_last(log_return),
        };
        for indicator in &mut self.indicators {
            indicator.push(point, values);
        }
    }
}

#[cfg(test)]
mod tests;
