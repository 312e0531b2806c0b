//! A coin's highest and lowest price since its genesis, found on a fixed grid so that they never move back.
//! It reads prices only; rounding and dates as text belong to `quote`.

use super::price::Prices;
use super::universe::DAY;

const STEP: i64 = 4 * DAY;
const FINE: i64 = DAY / 4;

/// A price and when it was paid, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// The price in US dollars.
    pub price: f64,
    /// When.
    pub at: i64,
}

/// The extremes up to an instant; a later one continues from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extremes {
    /// The highest.
    pub high: Peak,
    /// The lowest.
    pub low: Peak,
    next: i64,
}

impl Extremes {
    /// The extremes of a coin with a price, as of its genesis.
    pub fn begin(prices: &Prices, index: usize) -> Option<Self> {
        let genesis = prices.coin(index)?.genesis;
        let first = Peak {
            price: prices.price(index, genesis)?,
            at: genesis,
        };
        Some(Self {
            high: first,
            low: first,
            next: genesis + STEP,
        })
    }

    /// The instant that they have been followed to; asking for an earlier one needs a new beginning.
    pub fn reached(&self) -> i64 {
        self.next - STEP
    }

    /// The extremes as of `until`.
    #[must_use]
    pub fn extend(mut self, prices: &Prices, index: usize, until: i64) -> Self {
        while self.next <= until {
            let end = self.next;
            let near = prices.price(index, end).is_some_and(|price| {
                // Within a step a price seldom moves by more: only then can the finer grid hold a new extreme.
                price > self.high.price * 0.8 || price < self.low.price * 1.25
            });
            if near {
                for part in 0..STEP / FINE {
                    self.see(prices, index, end - STEP + FINE * (part + 1));
                }
            }
            self.next += STEP;
        }
        self
    }

    /// The same with what has come since the last whole step. Not to be continued from: `extend` is.
    #[must_use]
    pub fn up_to(mut self, prices: &Prices, index: usize, until: i64) -> Self {
        let begun = self.next - STEP;
        for part in 1..=(until - begun).div_euclid(FINE) {
            self.see(prices, index, begun + FINE * part);
        }
        self
    }

    fn see(&mut self, prices: &Prices, index: usize, at: i64) {
        let Some(price) = prices.price(index, at) else {
            return;
        };
        if price > self.high.price {
            self.high = Peak { price, at };
        }
        if price < self.low.price {
            self.low = Peak { price, at };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{price::REFERENCE, universe};
    use super::*;

    #[test]
    fn extremes_are_the_same_in_one_pass_and_in_many_and_never_move_back() {
        let prices = Prices::new(5, universe::coins(5, 40));
        for index in [0, 2, 30] {
            let once = Extremes::begin(&prices, index)
                .unwrap()
                .extend(&prices, index, REFERENCE);
            let mut steps = Extremes::begin(&prices, index).unwrap();
            let begin = steps.reached();
            for part in 1..=50 {
                let before = steps;
                steps = steps.extend(&prices, index, begin + (REFERENCE - begin) / 50 * part);
                assert!(
                    steps.high.price >= before.high.price && steps.low.price <= before.low.price
                );
            }
            assert_eq!(once, steps.extend(&prices, index, REFERENCE));
            assert_eq!(prices.price(index, once.high.at), Some(once.high.price));
        }
    }
}
