//! Technical indicators of one coin, point by point: each value from that point and those before it, null until warm.
//! Pure arithmetic; which rows are whose points, and what a table looks like, is not known here.

mod calendar;
mod memory;
mod selection;
mod smoothing;
mod spacing;
mod sum;
mod volatility;
mod window;

use std::sync::Arc;

pub use selection::{Bollinger, Cross, Lengths, Selection};
pub use spacing::MaxGap;

use self::memory::{Memory, Remembered};
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

/// A point, and how it came from the one before it.
#[derive(Debug, Clone, Copy)]
struct Point {
    stamp: i64,
    price: f64,
    simple_return: Option<f64>,
    log_return: Option<f64>,
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
    Extremes(window::Extremes),
    Trend(window::Window, window::Window, f64),
}

impl Indicator {
    /// Takes a point and appends its values: one for each of its columns.
    fn push(&mut self, point: Point, values: &mut Vec<Option<f64>>) {
        let price = point.price;
        match self {
            Self::Returns => values.extend([point.simple_return, point.log_return]),
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
                let bands = |(mean, deviation): (f64, f64)| {
                    let half = *width * deviation;
                    [mean, mean + half, mean - half]
                };
                values.extend(of.map_or([None; 3], |of| bands(of).map(Some)));
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

/// 1 where the short mean is above the long one by more than the band, -1 where it is below by more, else 0.
///
/// Source: W. Brock, J. Lakonishok and B. LeBaron, "Simple Technical Trading Rules and the Stochastic Properties of Stock
/// Returns", The Journal of Finance 47 (1992): the variable-length moving average rule.
fn direction(short: f64, long: f64, band: f64) -> f64 {
    if short > long * (1.0 + band) {
        1.0
    } else if short < long * (1.0 - band) {
        -1.0
    } else {
        0.0
    }
}

/// `p / q - 1`, and `ln(p / q)`: each from the difference where the prices are close, which keeps its digits. `None`
/// where there is none: a price of 0 or below has no logarithm.
fn returns(last: f64, price: f64) -> (Option<f64>, Option<f64>) {
    let simple = (price - last) / last;
    let log = if simple.abs() < 0.5 {
        simple.ln_1p()
    } else {
        (price / last).ln()
    };
    (
        (last > 0.0).then_some(simple),
        (last > 0.0 && price > 0.0).then_some(log),
    )
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
        if let Some(last) = self.last_row.filter(|last| stamp <= *last) {
            return Err(NotAfter { last });
        }
        self.last_row = Some(stamp);
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

    fn push_point(&mut self, stamp: i64, price: f64, values: &mut Vec<Option<f64>>) {
        let mut last = self.last.replace((stamp, price));
        if let Some((before, _)) = last
            && self.spacing.is_gap(stamp.saturating_sub(before))
        {
            last = None;
            self.indicators.iter_mut().for_each(Indicator::clear);
        }
        let (simple_return, log_return) =
            last.map_or((None, None), |(_, last)| returns(last, price));
        let point = Point {
            stamp,
            price,
            simple_return,
            log_return,
        };
        for indicator in &mut self.indicators {
            indicator.push(point, values);
        }
    }
}

#[cfg(test)]
mod tests;
