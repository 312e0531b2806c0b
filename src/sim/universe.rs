//! The coins of the seeded market: the real ones, and beyond them invented ones that fall off in size.
//! What a coin is, not what it costs at an instant: that is `price`.

use std::collections::HashMap;

use chrono::{NaiveDate, NaiveTime};

use super::coins::{COINS, Kind, RealCoin};
use super::noise::{between, chance, mix, pair, unit};

/// Milliseconds in a day.
pub const DAY: i64 = 86_400_000;

/// How a coin's price moves, resolved within its universe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Motion {
    /// By its own noise and the market's: sizes of both, and the yearly growth of the logarithm.
    Free {
        /// The size of its own noise.
        swing: f64,
        /// The size of the market's noise.
        beta: f64,
        /// Growth of the log price a year.
        drift: f64,
    },
    /// Around its reference price.
    Stable,
    /// With the coin of this index, at the ratio of the reference prices.
    Follows(usize),
}

/// A coin of the seeded market.
#[derive(Debug, Clone)]
pub struct Coin {
    /// The id.
    pub id: String,
    /// The symbol.
    pub symbol: String,
    /// The name.
    pub name: String,
    /// The key of all its noise.
    pub key: u64,
    /// The price in US dollars at the reference instant; `None` for a coin that nobody trades.
    pub price: Option<f64>,
    /// The circulating supply at the reference instant; 0 where it is not reported.
    pub supply: f64,
    /// The most that there can ever be.
    pub max_supply: Option<f64>,
    /// The first instant with a price, in milliseconds.
    pub genesis: i64,
    /// How it moves.
    pub motion: Motion,
}

/// The coins of a seed, larger ones first at the reference instant.
pub fn coins(seed: u64, count: usize) -> Vec<Coin> {
    let index: HashMap<&str, usize> = COINS
        .iter()
        .enumerate()
        .map(|(n, coin)| (coin.id, n))
        .collect();
    let mut coins: Vec<Coin> = COINS
        .iter()
        .take(count)
        .map(|coin| real(seed, coin, &index))
        .collect();
    coins.extend((COINS.len()..count).map(|n| invented(seed, n + 1)));
    coins
}

fn real(seed: u64, coin: &RealCoin, index: &HashMap<&str, usize>) -> Coin {
    let key = key_of(seed, coin.id);
    let motion = match coin.kind {
        Kind::Major => Motion::Free {
            swing: 0.45,
            beta: 0.8,
            drift: 0.42,
        },
        Kind::Free => free(key),
        Kind::Stable => Motion::Stable,
        // A coin that is followed stands before its followers in the table, so a cut table has it too.
        Kind::Follows(other) => index
            .get(other)
            .map_or(Motion::Stable, |n| Motion::Follows(*n)),
    };
    Coin {
        id: coin.id.to_owned(),
        symbol: coin.symbol.to_owned(),
        name: coin.name.to_owned(),
        key,
        price: Some(coin.price),
        supply: coin.supply,
        max_supply: Some(coin.max_supply).filter(|most| *most > 0.0),
        genesis: genesis(key, coin.since),
        motion,
    }
}

fn invented(seed: u64, number: usize) -> Coin {
    let id = format!("sim-coin-{number:04}");
    let key = key_of(seed, &id);
    let draw = |purpose: u64| pair(key, purpose);
    let place = rank(number);
    let cap = 4.9e8 * (150.0 / place).powf(1.6) * between(draw(1), 0.8, 1.25);
    let price = 10f64.powf(log_price(draw(2)));
    // Some markets report no supply, and a few listed coins have never been traded.
    let unreported = place > 300.0 && chance(draw(3), 0.03);
    let untraded = place > 300.0 && chance(draw(4), 0.001);
    let supply = if unreported || untraded {
        0.0
    } else {
        cap / price
    };
    let symbol = if chance(draw(5), 0.008) {
        "weth".to_owned()
    } else {
        format!("s{number:04}")
    };
    let year = 2017 + i32::from(chance(draw(6), 0.8)) * 3 + i32::from(chance(draw(7), 0.6)) * 2;
    let max_supply = chance(draw(8), 0.56).then(|| supply * between(draw(9), 1.0, 2.5));
    // Burnt or miscounted: now and then more circulates than can exist.
    let max_supply = max_supply.map(|most| {
        if chance(draw(10), 0.004) {
            supply * 0.98
        } else {
            most
        }
    });
    Coin {
        symbol,
        name: format!("Sim Coin {number:04}"),
        key,
        price: (!untraded).then_some(price),
        supply,
        max_supply: max_supply.filter(|most| *most > 0.0).map(f64::floor),
        genesis: genesis(key, year),
        motion: if chance(draw(11), 0.04) {
            Motion::Stable
        } else {
            free(key)
        },
        id,
    }
}

/// The decimal logarithm of a price: about normal (four uniform numbers), centred at 6 cents. Half of the small coins cost
/// cents, one in a hundred costs less than a millionth of a dollar.
fn log_price(draw: u64) -> f64 {
    let sum: f64 = (0..4)
        .map(|part| between(pair(draw, part), -1.0, 1.0))
        .sum();
    -1.2 + 2.0 * sum * 0.75f64.sqrt()
}

fn free(key: u64) -> Motion {
    Motion::Free {
        swing: between(pair(key, 21), 0.6, 1.5),
        beta: between(pair(key, 22), 0.5, 1.4),
        drift: between(pair(key, 23), -0.35, 0.3),
    }
}

fn genesis(key: u64, year: i32) -> i64 {
    let days = super::noise::whole(unit(pair(key, 24)) * 300.0);
    NaiveDate::from_ymd_opt(year, 1, 1).map_or(0, |date| {
        date.and_time(NaiveTime::MIN).and_utc().timestamp_millis() + days * DAY
    })
}

fn key_of(seed: u64, id: &str) -> u64 {
    id.bytes()
        .fold(mix(seed), |key, byte| pair(key, u64::from(byte)))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "at most some ten thousand coins"
)]
fn rank(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_universe_is_the_same_for_its_seed_and_other_for_another() {
        let key = |seed: u64| {
            coins(seed, 1000)
                .iter()
                .map(|coin| coin.key)
                .collect::<Vec<_>>()
        };
        assert_eq!(key(1), key(1));
        assert_ne!(key(1), key(2));
    }

    #[test]
    fn invented_coins_say_so_and_fall_off_in_size() {
        let coins = coins(1, 5000);
        assert_eq!(coins.len(), 5000);
        assert!(
            coins
                .iter()
                .skip(COINS.len())
                .all(|coin| coin.id.starts_with("sim-coin-"))
        );
        let cap = |coin: &Coin| coin.price.unwrap_or(0.0) * coin.supply;
        let mean = |part: &[Coin]| part.iter().map(cap).sum::<f64>() / 500.0;
        assert!(mean(&coins[200..700]) > 20.0 * mean(&coins[4500..]));
        assert!(coins.iter().any(|coin| coin.price.is_none()));
        assert!(coins.iter().filter(|coin| coin.symbol == "weth").count() > 20);
    }

    #[test]
    fn a_small_universe_is_the_start_of_a_large_one() {
        let (small, large) = (coins(3, 20), coins(3, 300));
        assert!(
            small
                .iter()
                .zip(&large)
                .all(|(a, b)| a.id == b.id && a.key == b.key)
        );
        assert_eq!(small.len(), 20);
    }
}
