//! The points of a seeded chart: where they lie in time, which are there yet, and the live one at the end.
//! What a point is worth is asked of `price`; whether the plan allows the window is asked before.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::currency::Currency;
use super::listing::observed;
use super::noise::{between, chance, pair, real, unit, whole};
use super::price::Prices;
use super::query::{ChartQuery, Spacing};
use super::universe::{Coin, DAY};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const FIVE_MINUTES: i64 = 5 * MINUTE;

/// A stamp in milliseconds and a number, or null.
pub type Point = (i64, Option<f64>);

/// The body of a chart; the fields are CoinGecko's.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Series {
    /// The price of one.
    pub prices: Vec<Point>,
    /// The market capitalisation.
    pub market_caps: Vec<Point>,
    /// The volume of the 24 hours before.
    pub total_volumes: Vec<Point>,
}

/// The chart of the coin of this index, as of `now`.
pub fn series(
    prices: &Prices,
    index: usize,
    currency: Currency,
    query: &ChartQuery,
    now: DateTime<Utc>,
) -> Series {
    let Some(coin) = prices.coin(index) else {
        return Series::default();
    };
    let mut stamps = settled(coin, query, now);
    stamps.extend(live(coin, query, now));
    let mut series = Series::default();
    for at in stamps {
        let Some(moment) = prices.moment(index, at) else {
            continue;
        };
        let rate = currency.dollars(prices, at);
        // Once in a while CoinGecko has a price and no capitalisation.
        let cap =
            (!chance(pair(coin.key, at.cast_unsigned()), 0.0002)).then_some(moment.cap / rate);
        series.prices.push((at, Some(moment.price / rate)));
        series.market_caps.push((at, cap));
        series.total_volumes.push((at, Some(moment.volume / rate)));
    }
    series
}

/// The stamps of the points that no later fetch will change, in order.
fn settled(coin: &Coin, query: &ChartQuery, now: DateTime<Utc>) -> Vec<i64> {
    let from = query
        .from
        .map_or(coin.genesis, |from| from.timestamp_millis())
        .max(coin.genesis);
    let to = query.to.timestamp_millis();
    let (step, last) = match query.spacing() {
        Spacing::FiveMinutes => (FIVE_MINUTES, now.timestamp_millis() - 30 * SECOND),
        Spacing::Hour => (HOUR, now.timestamp_millis() - 30 * SECOND),
        // The day that is over is ready ten minutes later, for ranges 35.
        Spacing::Day => {
            let ready = if query.days.is_some() { 10 } else { 35 };
            (DAY, (now - TimeDelta::minutes(ready)).timestamp_millis())
        }
    };
    let last = last.min(to);
    // Offsets reach beyond a step on both sides.
    (from.div_euclid(step) - 1..=last.div_euclid(step) + 1)
        .filter_map(|number| stamp(coin, step, number))
        .filter(|at| (from..=last).contains(at))
        .collect()
}

/// The stamp of a coin's point of this number, or `None` where CoinGecko lost it.
fn stamp(coin: &Coin, step: i64, number: i64) -> Option<i64> {
    let key = pair(pair(coin.key, step.cast_unsigned()), number.cast_unsigned());
    let draw = |purpose: u64| pair(key, purpose);
    let start = number * step;
    let seconds = |low: f64, high: f64| whole(between(draw(2), low, high) * real(SECOND));
    Some(match step {
        FIVE_MINUTES => {
            if chance(draw(1), 0.0007) {
                return None;
            }
            start + seconds(5.0, 285.0)
        }
        HOUR => {
            let kind = unit(draw(1));
            if kind < 0.0008 {
                return None;
            } else if kind < 0.0018 {
                // A little early: floored to the hour it falls on its neighbour.
                start - seconds(1.0, 20.0)
            } else if kind < 0.006 {
                start + seconds(1200.0, 3300.0)
            } else {
                // Half of them come within 39 seconds; the spread is that of a log-normal's.
                let bell = unit(draw(2)) + unit(draw(3)) + unit(draw(4)) - 1.5;
                start + whole(39_000.0 * (1.6 * bell).exp())
            }
        }
        _ => {
            if chance(draw(1), 0.002) {
                return None;
            }
            start
        }
    })
}

/// The stamp of the live point, where the window ends now: whole seconds, and at times before its neighbour's.
fn live(coin: &Coin, query: &ChartQuery, now: DateTime<Utc>) -> Option<i64> {
    if !query.ends_now {
        return None;
    }
    let present = now.timestamp_millis();
    let hourly_lag = if query.spacing() == Spacing::Hour {
        let key = pair(coin.key, present.div_euclid(30 * MINUTE).cast_unsigned());
        if chance(key, 0.1) {
            whole(between(pair(key, 1), 1.0, 28.0) * real(MINUTE))
        } else {
            0
        }
    } else {
        0
    };
    let seen = (observed(coin, present) - hourly_lag).max(present - 29 * MINUTE);
    let at = seen.div_euclid(SECOND) * SECOND;
    let from = query
        .from
        .map_or(coin.genesis, |from| from.timestamp_millis())
        .max(coin.genesis);
    (from..=query.to.timestamp_millis())
        .contains(&at)
        .then_some(at)
}

#[cfg(test)]
mod tests {
    use super::super::query::{chart, parameters, range};
    use super::super::universe;
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-01-14T12:00:00Z".parse().unwrap()
    }

    fn days(prices: &Prices, days: &str, now: DateTime<Utc>) -> Series {
        let query = chart(
            "bitcoin",
            &parameters(&format!("vs_currency=usd&days={days}")),
            now,
        )
        .unwrap();
        series(prices, 0, Currency::Fiat(1.0), &query, now)
    }

    #[test]
    fn points_are_the_same_on_every_fetch_and_only_the_live_one_goes() {
        let prices = Prices::new(1, universe::coins(1, 3));
        for count in ["1", "30", "200"] {
            let first = days(&prices, count, now());
            let second = days(&prices, count, now() + TimeDelta::hours(5));
            let (_, kept) = first.prices.split_last().unwrap();
            let begin = second.prices[0].0;
            assert!(
                kept.iter()
                    .filter(|point| point.0 >= begin)
                    .all(|point| second.prices.contains(point))
            );
            assert!(kept.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }

    #[test]
    fn hourly_points_lie_off_the_grid_and_daily_ones_on_it() {
        let prices = Prices::new(1, universe::coins(1, 3));
        let hourly = days(&prices, "90", now());
        let mut offsets: Vec<i64> = hourly
            .prices
            .iter()
            .map(|point| point.0.rem_euclid(HOUR))
            .collect();
        offsets.sort_unstable();
        let median = offsets[offsets.len() / 2];
        assert!((30_000..50_000).contains(&median), "{median}");
        let mut daily = days(&prices, "300", now()).prices;
        assert_ne!(daily.pop().unwrap().0 % DAY, 0);
        assert!(daily.len() > 290 && daily.iter().all(|point| point.0 % DAY == 0));
    }

    #[test]
    fn the_live_point_may_lie_before_its_neighbour() {
        let prices = Prices::new(1, universe::coins(1, 3));
        let behind = (0..500).filter(|step| {
            let points = days(&prices, "1", now() + TimeDelta::seconds(step * 37)).prices;
            let [.., last, live] = points.as_slice() else {
                return false;
            };
            live.0 <= last.0
        });
        assert!((1..250).contains(&behind.count()));
    }

    #[test]
    fn a_window_in_the_past_has_no_live_point() {
        let prices = Prices::new(1, universe::coins(1, 3));
        let end = now().timestamp() - 86_400;
        let text = format!("vs_currency=usd&from={}&to={end}", end - 86_400);
        let query = range("bitcoin", &parameters(&text), now()).unwrap();
        let points = series(&prices, 0, Currency::Fiat(1.0), &query, now()).prices;
        assert!((22..=25).contains(&points.len()), "{}", points.len());
        assert!(
            points
                .iter()
                .all(|point| point.0 % SECOND != 0 || point.0 <= end * SECOND)
        );
    }

    #[test]
    fn yesterday_is_ready_ten_minutes_after_midnight() {
        let prices = Prices::new(1, universe::coins(1, 3));
        let midnight: DateTime<Utc> = "2026-01-14T00:00:00Z".parse().unwrap();
        let has = |minutes: i64| {
            let points = days(&prices, "120", midnight + TimeDelta::minutes(minutes)).prices;
            points
                .iter()
                .any(|point| point.0 == midnight.timestamp_millis())
        };
        assert!(!has(9) && has(10));
    }
}
