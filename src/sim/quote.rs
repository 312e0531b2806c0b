//! One row of `/coins/markets` of the seeded market, in the shapes that the real API sends: integers, decimals, nulls.
//! Where a coin stands and which rows a page has is decided before it.

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use serde_json::{Map, Value};

use super::currency::Currency;
use super::extremes::{Extremes, Peak};
use super::listing::Standing;
use super::noise::{between, chance, pair, whole};
use super::price::Prices;
use super::query::MarketsQuery;
use super::universe::{Coin, DAY};

const HOUR: i64 = DAY / 24;
const MINUTE: i64 = HOUR / 60;

/// A number as CoinGecko writes it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Figure {
    /// Without a decimal point.
    Whole(i64),
    /// With one, or with an exponent.
    Real(f64),
}

/// One row; the fields and their order are CoinGecko's.
#[derive(Debug, Serialize)]
pub struct Row<'a> {
    /// The coin's id.
    pub id: &'a str,
    /// The symbol, which others may share.
    pub symbol: &'a str,
    /// The name.
    pub name: &'a str,
    /// Where its picture would be.
    pub image: String,
    /// The price.
    pub current_price: Option<Figure>,
    /// The price times what circulates.
    pub market_cap: Option<Figure>,
    /// The rank, which lags.
    pub market_cap_rank: Option<i64>,
    /// The price times all that can exist.
    pub fully_diluted_valuation: Option<Figure>,
    /// What was traded in 24 hours.
    pub total_volume: Option<Figure>,
    /// The highest price of 24 hours.
    pub high_24h: Option<Figure>,
    /// The lowest price of 24 hours.
    pub low_24h: Option<Figure>,
    /// The change of the price in 24 hours.
    pub price_change_24h: Option<f64>,
    /// The same in per cent.
    pub price_change_percentage_24h: Option<f64>,
    /// The change of the capitalisation in 24 hours.
    pub market_cap_change_24h: Option<Figure>,
    /// The same in per cent.
    pub market_cap_change_percentage_24h: Option<f64>,
    /// What circulates.
    pub circulating_supply: f64,
    /// What exists.
    pub total_supply: Option<f64>,
    /// What can exist.
    pub max_supply: Option<f64>,
    /// The highest price ever.
    pub ath: Option<Figure>,
    /// How far from it the price is, in per cent.
    pub ath_change_percentage: Option<f64>,
    /// When it was paid.
    pub ath_date: Option<String>,
    /// The lowest price ever.
    pub atl: Option<Figure>,
    /// How far from it the price is, in per cent.
    pub atl_change_percentage: Option<f64>,
    /// When it was paid.
    pub atl_date: Option<String>,
    /// What an early buyer gained.
    pub roi: Option<Roi>,
    /// When the figures were new.
    pub last_updated: Option<String>,
    /// The changes over further spans, in per cent.
    #[serde(flatten)]
    pub changes: Map<String, Value>,
}

/// What an early buyer gained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Roi {
    /// The gain as a multiple of the first price.
    pub times: f64,
    /// The currency of both.
    pub currency: &'static str,
    /// The same in per cent.
    pub percentage: f64,
}

/// The row of a coin where it stands, in a currency, with the digits and the further price changes that were asked for.
pub fn row<'a>(
    prices: &Prices,
    coin: &'a Coin,
    standing: &Standing,
    extremes: Option<&Extremes>,
    currency: Currency,
    query: &MarketsQuery,
) -> Row<'a> {
    let (index, at) = (standing.coin, standing.observed);
    let draw = |purpose: u64| pair(coin.key, purpose);
    let price_at = |when: i64| Some(prices.price(index, when)? / currency.dollars(prices, when));
    let cap_at = |when: i64| Some(prices.moment(index, when)?.cap / currency.dollars(prices, when));
    let supply = prices.supply(index, at);
    let (now, cap) = (price_at(at), cap_at(at));
    // A few quiet coins have no figures of the day before, as has every coin on its first day.
    let before = if chance(draw(51), 0.004) {
        None
    } else {
        price_at(at - DAY)
    };
    let cap_before = before.and_then(|_| cap_at(at - DAY));
    let range = before.and_then(|_| day_range(coin, at, now, &price_at));
    let total = (supply > 0.0 && !chance(draw(52), 0.03)).then(|| total_supply(coin, supply));
    let diluted = total.zip(now).map(|(total, now)| {
        // Its own cache is of another minute: now and then it is below the capitalisation, mostly by a millionth.
        let lag = if chance(draw(53), 0.06) {
            1.0 - 10f64.powf(between(draw(59), -6.0, -2.5))
        } else {
            1.0
        };
        now * coin.max_supply.unwrap_or(total).max(supply) * lag
    });
    let peak = |peak: Option<&Peak>| peak.and_then(|peak| Some((price_at(peak.at)?, peak.at)));
    let (high, low) = (
        peak(extremes.map(|e| &e.high)),
        peak(extremes.map(|e| &e.low)),
    );
    let price = |value| {
        if query.is_exact {
            Figure::Real(value)
        } else {
            price_figure(value)
        }
    };
    let sum = |value| {
        if query.is_exact {
            Figure::Real(value)
        } else {
            amount(value)
        }
    };
    let difference = |value| {
        if query.is_exact {
            value
        } else {
            shortened(value)
        }
    };
    Row {
        id: &coin.id,
        symbol: &coin.symbol,
        name: &coin.name,
        image: format!(
            "https://coin-images.example/coins/images/{}/large/{}.png",
            index + 1,
            coin.symbol
        ),
        current_price: now.map(price),
        market_cap: Some(sum(cap.unwrap_or(0.0))),
        market_cap_rank: standing.rank,
        fully_diluted_valuation: diluted.map(sum),
        total_volume: prices
            .moment(index, at)
            .map(|moment| sum(moment.volume / currency.dollars(prices, at))),
        high_24h: range.map(|(_, high)| price(high)),
        low_24h: range.map(|(low, _)| price(low)),
        price_change_24h: now
            .zip(before)
            .map(|(now, before)| difference(now - before)),
        price_change_percentage_24h: per_cent(now, before),
        market_cap_change_24h: cap.zip(cap_before).map(|(now, before)| sum(now - before)),
        market_cap_change_percentage_24h: per_cent(cap, cap_before.filter(|cap| *cap > 0.0)),
        circulating_supply: supply,
        total_supply: total,
        max_supply: coin.max_supply,
        ath: high.map(|(high, _)| price(high)),
        ath_change_percentage: per_cent(now, high.map(|(price, _)| price)),
        ath_date: high.map(|(_, at)| stamp(at)),
        atl: low.map(|(low, _)| price(low)),
        atl_change_percentage: per_cent(now, low.map(|(price, _)| price)),
        atl_date: low.map(|(_, at)| stamp(at)),
        roi: roi(prices, coin, index, at),
        last_updated: (coin.price.is_some() && !chance(draw(54), 0.0001)).then(|| stamp(at)),
        changes: query
            .changes
            .iter()
            .filter_map(|span| Some((span, span_length(span)?)))
            .map(|(span, length)| {
                let change = per_cent(now, price_at(at - length));
                (
                    format!("price_change_percentage_{span}_in_currency"),
                    Value::from(change),
                )
            })
            .collect(),
    }
}

/// A price with as many digits as CoinGecko gives one of its size.
pub fn price_figure(price: f64) -> Figure {
    if price >= 10_000.0 {
        Figure::Whole(whole(price.round()))
    } else {
        Figure::Real(shortened(price))
    }
}

fn shortened(value: f64) -> f64 {
    let size = value.abs();
    let places = match () {
        () if size >= 1.1 => 2,
        () if size >= 1.0 => 3,
        () if size >= 0.05 => 6,
        () if size >= 1e-6 => 8,
        () if size >= 1e-10 => 12,
        () => 18,
    };
    rounded(value, places)
}

fn amount(value: f64) -> Figure {
    // Amounts in a coin keep decimals: a whole number of bitcoin would be too coarse.
    if value == 0.0 || value.abs() >= 1000.0 {
        Figure::Whole(whole(value.round()))
    } else {
        Figure::Real(rounded(value, 8))
    }
}

fn per_cent(now: Option<f64>, before: Option<f64>) -> Option<f64> {
    let (now, before) = now.zip(before)?;
    Some(rounded((now / before - 1.0) * 100.0, 5)).filter(|change| change.is_finite())
}

// Both the scaled value and the scale are exact, so the quotient is the double nearest to the decimal.
fn rounded(value: f64, places: i32) -> f64 {
    let scale = 10f64.powi(places);
    let scaled = (value * scale).round() / scale;
    // CoinGecko never writes a negative zero.
    if scaled == 0.0 { 0.0 } else { scaled }
}

fn day_range(
    coin: &Coin,
    at: i64,
    now: Option<f64>,
    price_at: &impl Fn(i64) -> Option<f64>,
) -> Option<(f64, f64)> {
    // A fifth of the ranges are older than the price beside them, which may then lie outside.
    let lags = chance(pair(coin.key, at.div_euclid(HOUR).cast_unsigned()), 0.2);
    let first = if lags { None } else { now };
    (0..36)
        .filter_map(|step| price_at(at - 10 * MINUTE - step * 40 * MINUTE))
        .chain(first)
        .fold(None, |range: Option<(f64, f64)>, price| {
            Some(range.map_or((price, price), |(low, high)| {
                (low.min(price), high.max(price))
            }))
        })
}

fn total_supply(coin: &Coin, supply: f64) -> f64 {
    let draw = pair(coin.key, 55);
    if chance(draw, 0.5) {
        return supply;
    }
    let most = supply * between(pair(coin.key, 56), 1.0, 1.8);
    coin.max_supply
        .map_or(most, |limit| most.min(limit.max(supply)))
}

fn roi(prices: &Prices, coin: &Coin, index: usize, at: i64) -> Option<Roi> {
    if coin.id != "ethereum" && !chance(pair(coin.key, 57), 0.05) {
        return None;
    }
    let currency = match pair(coin.key, 58) % 3 {
        0 => "usd",
        1 => "btc",
        _ => "eth",
    };
    let rate =
        |when| Currency::find(currency, prices).map(|currency| currency.dollars(prices, when));
    let first = prices.price(index, coin.genesis)? / rate(coin.genesis)?;
    let times = prices.price(index, at)? / rate(at)? / first - 1.0;
    Some(Roi {
        times,
        currency,
        percentage: times * 100.0,
    })
}

fn span_length(span: &str) -> Option<i64> {
    Some(match span {
        "1h" => HOUR,
        "24h" => DAY,
        "7d" => 7 * DAY,
        "14d" => 14 * DAY,
        "30d" => 30 * DAY,
        "200d" => 200 * DAY,
        "1y" => 365 * DAY,
        _ => return None,
    })
}

fn stamp(at: i64) -> String {
    DateTime::from_timestamp_millis(at)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_have_the_api_s_number_of_digits() {
        let text = |price: f64| serde_json::to_string(&price_figure(price)).unwrap();
        assert_eq!(text(71_508.6), "71509");
        assert_eq!(text(2236.0812), "2236.08");
        assert_eq!(text(1.03349), "1.033");
        assert_eq!(text(0.999_826_4), "0.999826");
        assert_eq!(text(0.026_761_884), "0.02676188");
        assert_eq!(text(6.1149e-6), "6.11e-6");
        assert_eq!(text(2.839_04e-9), "2.839e-9");
    }

    #[test]
    fn a_change_over_nothing_is_null() {
        assert_eq!(per_cent(Some(1.0), None), None);
        assert_eq!(per_cent(Some(1.0), Some(0.0)), None);
        assert_eq!(per_cent(Some(1.5), Some(1.0)), Some(50.0));
    }
}
