//! What a coin costs, what all of it is worth and how much of it was traded, as pure functions of time.
//! No rounding, no gaps and no shapes of responses: `quote` and `chart` make those.

use super::noise::{octaves, pair, real};
use super::universe::{Coin, DAY, Motion};

/// The instant at which every coin has the price of its table: 2026-01-01T00:00:00Z, in milliseconds.
pub const REFERENCE: i64 = 1_767_225_600_000;

// Periods in days and sizes in log price, down to a few minutes: about 4 % a day, 0.6 % an hour for a swing of 1.
const OWN: [(f64, f64); 10] = [
    (900.0, 1.0),
    (230.0, 0.55),
    (60.0, 0.30),
    (17.0, 0.16),
    (4.5, 0.08),
    (1.1, 0.035),
    (0.27, 0.016),
    (0.07, 0.007),
    (0.018, 0.0035),
    (0.0045, 0.0018),
];
const MARKET: [(f64, f64); 6] = [
    (1100.0, 0.9),
    (260.0, 0.4),
    (45.0, 0.15),
    (9.0, 0.06),
    (2.0, 0.025),
    (0.4, 0.01),
];
const PEG: [(f64, f64); 3] = [(30.0, 0.0006), (1.5, 0.0006), (0.02, 0.0004)];
const TURNOVER: [(f64, f64); 3] = [(60.0, 0.7), (4.0, 0.5), (0.3, 0.15)];

/// The coins of a seed, with what every price needs precomputed.
#[derive(Debug)]
pub struct Prices {
    market: u64,
    market_at_reference: f64,
    coins: Vec<Coin>,
    own_at_reference: Vec<f64>,
}

/// One coin at one instant, in US dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// The price of one.
    pub price: f64,
    /// The price times what circulates.
    pub cap: f64,
    /// What was traded in the 24 hours before.
    pub volume: f64,
}

impl Prices {
    /// Prices for these coins.
    pub fn new(seed: u64, coins: Vec<Coin>) -> Self {
        let market = pair(seed, 0x006D_6172_6B65_7400);
        let own_at_reference = coins
            .iter()
            .map(|coin| octaves(coin.key, days(REFERENCE), &OWN))
            .collect();
        Self {
            market,
            market_at_reference: octaves(market, days(REFERENCE), &MARKET),
            coins,
            own_at_reference,
        }
    }

    /// The coins.
    pub fn coins(&self) -> &[Coin] {
        &self.coins
    }

    /// The coin of this index.
    pub fn coin(&self, index: usize) -> Option<&Coin> {
        self.coins.get(index)
    }

    /// The price in US dollars at `at` (milliseconds), or `None` before its genesis and for a coin nobody trades.
    pub fn price(&self, index: usize, at: i64) -> Option<f64> {
        let coin = self.coins.get(index)?;
        if at < coin.genesis {
            return None;
        }
        let reference = coin.price?;
        Some(match coin.motion {
            Motion::Free { swing, beta, drift } => {
                let own = octaves(coin.key, days(at), &OWN) - self.own_at_reference.get(index)?;
                let market = octaves(self.market, days(at), &MARKET) - self.market_at_reference;
                reference * (swing * own + beta * market + drift * years(at)).exp()
            }
            Motion::Stable => reference * octaves(coin.key, days(at), &PEG).exp(),
            Motion::Follows(other) => {
                let ratio = reference / self.coins.get(other)?.price?;
                self.price(other, at)? * ratio * octaves(coin.key, days(at), &PEG).exp()
            }
        })
    }

    /// What circulates at `at`; 0 where it is not reported.
    pub fn supply(&self, index: usize, at: i64) -> f64 {
        let Some(coin) = self.coins.get(index) else {
            return 0.0;
        };
        let grown = coin.supply * (1.0 + 0.03 * years(at)).clamp(0.3, 3.0);
        // What can exist bounds what circulates, but where the table already has more.
        coin.max_supply
            .map_or(grown, |most| grown.min(most.max(coin.supply)))
    }

    /// Price, market capitalisation and volume at `at`, or `None` where there is no price.
    pub fn moment(&self, index: usize, at: i64) -> Option<Moment> {
        let price = self.price(index, at)?;
        let coin = self.coins.get(index)?;
        let cap = price * self.supply(index, at);
        let base = match coin.motion {
            Motion::Stable => 0.25,
            Motion::Follows(_) => 0.02,
            Motion::Free { .. } => 0.05,
        };
        let turnover = base * octaves(pair(coin.key, 31), days(at), &TURNOVER).exp();
        // A coin without a reported supply is traded all the same.
        let traded = if cap > 0.0 { cap } else { 50_000.0 };
        Some(Moment {
            price,
            cap,
            volume: traded * turnover,
        })
    }
}

fn days(at: i64) -> f64 {
    real(at) / real(DAY)
}

fn years(at: i64) -> f64 {
    // Twelve years of growth are as many as any coin's price can bear.
    ((real(at) - real(REFERENCE)) / (365.25 * real(DAY))).clamp(-12.0, 12.0)
}

#[cfg(test)]
mod tests {
    use super::super::universe;
    use super::*;

    fn prices() -> Prices {
        Prices::new(7, universe::coins(7, 300))
    }

    #[test]
    fn every_coin_has_its_table_price_at_the_reference_instant() {
        let prices = prices();
        for (index, coin) in prices.coins().iter().enumerate() {
            if let (Motion::Free { .. }, Some(wanted)) = (coin.motion, coin.price) {
                let price = prices.price(index, REFERENCE).unwrap();
                assert!((price / wanted - 1.0).abs() < 1e-9, "{} {price}", coin.id);
            }
        }
    }

    #[test]
    fn the_price_is_continuous_positive_and_finite() {
        let prices = prices();
        for index in 0..300 {
            for step in 0..200 {
                let at = REFERENCE - step * 11 * DAY - step * 7_777;
                let (Some(here), Some(next)) =
                    (prices.price(index, at), prices.price(index, at + 1000))
                else {
                    continue;
                };
                assert!(here.is_finite() && here > 0.0);
                assert!((next / here - 1.0).abs() < 0.01, "{index} {here} {next}");
            }
        }
    }

    #[test]
    fn a_wrapped_coin_stays_with_what_it_wraps_and_a_stable_one_with_its_dollar() {
        let prices = prices();
        let find = |id: &str| {
            prices
                .coins()
                .iter()
                .position(|coin| coin.id == id)
                .unwrap()
        };
        for step in 0..100 {
            let at = REFERENCE - step * 9 * DAY;
            let ratio = prices.price(find("wrapped-bitcoin"), at).unwrap()
                / prices.price(find("bitcoin"), at).unwrap();
            assert!((0.99..1.01).contains(&ratio), "{ratio}");
            let dollar = prices.price(find("tether"), at).unwrap();
            assert!((0.99..1.01).contains(&dollar), "{dollar}");
        }
    }

    #[test]
    fn nothing_has_a_price_before_its_genesis() {
        let prices = prices();
        let genesis = prices.coin(0).unwrap().genesis;
        assert_eq!(prices.price(0, genesis - 1), None);
        assert!(prices.price(0, genesis).is_some());
    }
}
