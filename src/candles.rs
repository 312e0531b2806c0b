//! Candles: the points of a coin as open, high, low and close on a grid, and which resolution's points make each of them.
//! Pure; which points there are, and what of them is covered, is the pipeline's to read.

mod grid;

use std::collections::BTreeMap;

pub use grid::{Every, Grid, zone};

use crate::error::Result;
use crate::series::{PricePoint, Resolution, Span, Spans};

/// One bar of points of one coin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candle {
    /// From its first instant to before the next one's.
    pub span: Span,
    /// The price of its first point.
    pub open: f64,
    /// The highest price of its points.
    pub high: f64,
    /// The lowest price of its points.
    pub low: f64,
    /// The price of its last point.
    pub close: f64,
    /// How many points with a price it has.
    pub points: i64,
    /// The time from its first such point to its last, in milliseconds.
    pub reach: i64,
    /// The last market cap in it.
    pub market_cap: Option<f64>,
    /// The last volume in it. CoinGecko's volume is the sum of the 24 hours before, so volumes are never added up.
    pub volume_24h: Option<f64>,
}

/// Candles while points come, in the order of their stamps.
#[derive(Debug)]
pub struct Filling<'a> {
    grid: &'a Grid,
    candles: Vec<Candle>,
    bar: Option<Bar>,
}

/// A bar that may have no price yet.
#[derive(Debug)]
struct Bar {
    span: Span,
    candle: Option<Candle>,
    first: i64,
    market_cap: Option<f64>,
    volume_24h: Option<f64>,
}

impl<'a> Filling<'a> {
    /// No candles yet.
    pub fn new(grid: &'a Grid) -> Self {
        Self {
            grid,
            candles: Vec::new(),
            bar: None,
        }
    }

    /// Takes the next point. One without a price makes no candle, and its market cap and volume count.
    ///
    /// # Errors
    /// [`crate::error::Error::Argument`] for a stamp that no calendar has.
    pub fn push(&mut self, point: PricePoint) -> Result<()> {
        if !self
            .bar
            .as_ref()
            .is_some_and(|bar| bar.span.contains(point.ts))
        {
            self.end_bar();
            self.bar = Some(Bar {
                span: self.grid.bar_of(point.ts)?,
                candle: None,
                first: point.ts,
                market_cap: None,
                volume_24h: None,
            });
        }
        let Some(bar) = &mut self.bar else {
            return Ok(());
        };
        bar.market_cap = point.market_cap.or(bar.market_cap);
        bar.volume_24h = point.volume.or(bar.volume_24h);
        if let Some(price) = point.price {
            if bar.candle.is_none() {
                bar.first = point.ts;
            }
            let first = Candle {
                span: bar.span,
                open: price,
                high: price,
                low: price,
                close: price,
                points: 0,
                reach: 0,
                market_cap: None,
                volume_24h: None,
            };
            let candle = bar.candle.get_or_insert(first);
            candle.high = candle.high.max(price);
            candle.low = candle.low.min(price);
            candle.close = price;
            candle.points += 1;
            candle.reach = point.ts - bar.first;
        }
        Ok(())
    }

    fn end_bar(&mut self) {
        let Some(bar) = self.bar.take() else { return };
        self.candles.extend(bar.candle.map(|candle| Candle {
            market_cap: bar.market_cap,
            volume_24h: bar.volume_24h,
            ..candle
        }));
    }

    /// The candles, in order. A bar without a price has none.
    pub fn finish(mut self) -> Vec<Candle> {
        self.end_bar();
        self.candles
    }
}

/// What the points of one resolution say.
#[derive(Debug)]
pub struct Told {
    /// The resolution.
    pub resolution: Resolution,
    /// The candles that its points make.
    pub candles: Vec<Candle>,
    /// Where its points are known.
    pub coverage: Spans,
}

/// A candle, and how far it can be relied upon.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chosen {
    /// The candle.
    pub candle: Candle,
    /// Whose points it is made of: those of one resolution only.
    pub resolution: Resolution,
    /// True where its bar is not covered whole: it is running, or there is a hole in it.
    pub is_partial: bool,
}

/// One candle a bar: from the first resolution that covers it whole; where none does, from the one whose points reach over most of it,
/// the first where several do alike.
pub fn choose(told: &[Told]) -> Vec<Chosen> {
    let mut chosen: BTreeMap<i64, Chosen> = BTreeMap::new();
    for Told {
        resolution,
        candles,
        coverage,
    } in told
    {
        for candle in candles {
            let next = Chosen {
                candle: *candle,
                resolution: *resolution,
                is_partial: !coverage.gaps_in(candle.span).is_empty(),
            };
            let held = chosen.entry(candle.span.start).or_insert(next);
            let reaches_further = candle.reach > held.candle.reach;
            if held.is_partial && (!next.is_partial || reaches_further) {
                *held = next;
            }
        }
    }
    chosen.into_values().collect()
}

#[cfg(test)]
mod tests;
