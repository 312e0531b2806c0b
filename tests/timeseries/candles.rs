//! Candles out of what is stored: held against the points themselves, and the views against the reading.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use coinmill::candles::zone;
use coinmill::frame::{Cell, cell};
use coinmill::pipeline::{self, Candles, Reach, Read};
use coinmill::series::Resolution;

use crate::series::{DAY, HOUR, MINUTE, Mill};
use crate::support::{Kind, noon, on_both_databases};

on_both_databases!(
    candles_are_made_of_the_points_of_one_resolution_and_the_views_say_the_same,
    a_hole_stays_a_hole_and_is_named,
    only_whole_bars_between_the_bounds_are_given_and_a_zone_moves_them,
    what_cannot_be_is_an_error_that_says_what_can,
);

fn wanted(every: &str) -> Candles {
    Candles {
        coins: vec!["bitcoin".parse().unwrap()],
        every: every.parse().unwrap(),
        zone: zone("UTC").unwrap(),
        start: None,
        end: None,
        as_of: None,
    }
}

async fn read(mill: &Mill, wanted: &Candles) -> Read {
    pipeline::candles(&mill.settings(&[]), wanted)
        .await
        .unwrap()
}

/// A candle as its numbers; the resolution in minutes.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    prices: [f64; 4],
    points: i64,
    last: [Option<f64>; 2],
    resolution: String,
    is_partial: bool,
}

/// Candles by their beginning.
fn rows(read: &Read) -> BTreeMap<i64, Row> {
    let mut rows = BTreeMap::new();
    for batch in &read.frame.batches {
        for row in 0..batch.num_rows() {
            let value = |name: &str| cell(batch.column_by_name(name).unwrap().as_ref(), row);
            let number = |name: &str| match value(name) {
                Some(Cell::Float(number)) => Some(number),
                _ => None,
            };
            let (Some(Cell::Time(ts)), Some(Cell::Int(points))) = (value("ts"), value("points"))
            else {
                panic!("a key is null");
            };
            let Some(Cell::Text(resolution)) = value("resolution") else {
                panic!("no resolution");
            };
            let candle = Row {
                prices: ["open", "high", "low", "close"].map(|name| number(name).unwrap()),
                points,
                last: ["market_cap", "volume_24h"].map(number),
                resolution: resolution.to_owned(),
                is_partial: value("is_partial") == Some(Cell::Bool(true)),
            };
            assert!(rows.insert(ts, candle).is_none(), "two candles of one bar");
        }
    }
    rows
}

/// What the view of a length has.
async fn viewed(mill: &Mill, every: &str) -> BTreeMap<i64, Row> {
    let sql = format!(
        "select ts_ms, open, high, low, close, points, market_cap, volume_24h, resolution, \
         case when is_partial then 1 else 0 end from v_ohlc_{every} where coin_id = 'bitcoin'"
    );
    let rows = mill.rows(&sql).await;
    let row = |row: &Vec<crate::support::Cell>| {
        let candle = Row {
            prices: [1, 2, 3, 4].map(|place: usize| row[place].float()),
            points: row[5].int(),
            last: [6, 7].map(|place: usize| Some(row[place].float())),
            resolution: row[8].text().to_owned(),
            is_partial: row[9].int() == 1,
        };
        (row[0].int(), candle)
    };
    rows.iter().map(row).collect()
}

/// A market of which bitcoin is followed for two days at five minutes, with an outage, and has ten days by the hour.
async fn filled(kind: Kind) -> Mill {
    let mill = Mill::new(kind, 3).await;
    for hours in [0, 20, 30] {
        mill.bench.sim.advance(TimeDelta::hours(hours)).unwrap();
        mill.bitcoin().await.unwrap();
    }
    mill.backfill(Resolution::Hour, Reach::Days(10), &["bitcoin"], &[])
        .await
        .unwrap();
    mill.bench.sim.advance(TimeDelta::minutes(47)).unwrap();
    mill.bitcoin().await.unwrap();
    mill
}

async fn candles_are_made_of_the_points_of_one_resolution_and_the_views_say_the_same(kind: Kind) {
    let mill = filled(kind).await;
    for (every, length) in [("1h", HOUR), ("1d", DAY)] {
        let candles = rows(&read(&mill, &wanted(every)).await);
        assert_eq!(viewed(&mill, every).await, candles, "{every}");
        let of = |resolution: &str| {
            let rows = candles.values();
            rows.filter(|row| row.resolution == resolution).count()
        };
        assert!(of("1h") > 5 && of("5m") > 0, "{every}");
        assert!(
            candles.values().any(|row| row.is_partial),
            "the running one"
        );
        for (start, candle) in &candles {
            let sql = format!(
                "select price, market_cap, volume from v_price_series where coin_id = 'bitcoin' and resolution = '{}' \
                 and ts_ms >= {start} and ts_ms < {} order by ts_ms",
                candle.resolution,
                start + length
            );
            let points = mill.rows(&sql).await;
            let prices: Vec<f64> = points.iter().map(|row| row[0].float()).collect();
            let high = prices.iter().copied().fold(f64::MIN, f64::max);
            let low = prices.iter().copied().fold(f64::MAX, f64::min);
            assert_eq!(
                candle.prices,
                [prices[0], high, low, prices[prices.len() - 1]]
            );
            assert_eq!(usize::try_from(candle.points).unwrap(), prices.len());
            let last = points.last().unwrap();
            assert_eq!(candle.last, [Some(last[1].float()), Some(last[2].float())]);
        }
    }
    // both resolutions cover the second day, of which the finer one is taken
    let day = noon().timestamp_millis() / DAY * DAY;
    let days = rows(&read(&mill, &wanted("1d")).await);
    assert!(
        days[&day].points > 100 && days[&(day - DAY)].points < 26,
        "{days:?}"
    );
    // a shorter one is never made of hourly points
    let quarters = read(&mill, &wanted("15m")).await;
    assert!(rows(&quarters).values().all(|row| row.resolution == "5m"));
}

async fn a_hole_stays_a_hole_and_is_named(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    for hours in [0, 30] {
        mill.bench.sim.advance(TimeDelta::hours(hours)).unwrap();
        mill.backfill(Resolution::FiveMinutes, Reach::Days(1), &["bitcoin"], &[])
            .await
            .unwrap();
    }
    let found = read(&mill, &wanted("1h")).await;
    assert_eq!(found.missing.len(), 1, "{:?}", found.missing);
    let (start, end) = (&found.missing[0].start, &found.missing[0].end);
    let hole = start.timestamp_millis()..end.timestamp_millis();
    assert!(hole.end - hole.start > 5 * HOUR);
    let candles = rows(&found);
    let within = |ts: &&i64| **ts >= hole.start && **ts + HOUR <= hole.end;
    assert_eq!(candles.keys().filter(within).count(), 0);
    for edge in [hole.start, hole.end] {
        let bar = edge.div_euclid(HOUR) * HOUR;
        assert!(candles.get(&bar).is_none_or(|row| row.is_partial), "{bar}");
    }
    // the hours heal it
    mill.backfill(Resolution::Hour, Reach::Days(3), &["bitcoin"], &[])
        .await
        .unwrap();
    let healed = read(&mill, &wanted("1h")).await;
    assert!(healed.missing.is_empty(), "{:?}", healed.missing);
    let candles = rows(&healed);
    assert!(candles.keys().filter(within).count() >= 5);
    assert!(
        candles
            .keys()
            .zip(candles.keys().skip(1))
            .all(|(a, b)| b - a == HOUR)
    );
}

async fn only_whole_bars_between_the_bounds_are_given_and_a_zone_moves_them(kind: Kind) {
    let mill = filled(kind).await;
    let at = |text: &str| Some(text.parse::<DateTime<Utc>>().unwrap());
    let bounded = Candles {
        start: at("2026-01-10T10:20:00Z"),
        end: at("2026-01-10T13:20:00Z"),
        ..wanted("1h")
    };
    let found = read(&mill, &bounded).await;
    let hours: Vec<i64> = rows(&found).keys().map(|ts| ts % DAY / HOUR).collect();
    assert_eq!(hours, [11, 12, 13]);
    assert!(rows(&found).values().all(|row| !row.is_partial));
    assert_eq!((found.missing.len(), found.warning), (0, None));
    let kolkata = Candles {
        zone: zone("Asia/Kolkata").unwrap(),
        start: at("2026-01-08T00:00:00Z"),
        ..wanted("1d")
    };
    let starts: Vec<i64> = rows(&read(&mill, &kolkata).await).into_keys().collect();
    assert!(
        starts.iter().all(|ts| ts % DAY == 18 * HOUR + 30 * MINUTE),
        "{starts:?}"
    );
    // as it was known before the hours came
    let before = Candles {
        as_of: Some((noon() + TimeDelta::hours(1)).into()),
        ..wanted("1h")
    };
    let known = rows(&read(&mill, &before).await);
    assert!(known.values().all(|row| row.resolution == "5m") && known.len() < 26);
}

async fn what_cannot_be_is_an_error_that_says_what_can(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.bitcoin().await.unwrap();
    let settings = mill.settings(&[]);
    let unknown = Candles {
        coins: vec!["bitcon".parse().unwrap()],
        ..wanted("1h")
    };
    let error = pipeline::candles(&settings, &unknown).await.unwrap_err();
    assert!(error.to_string().contains("bitcon"), "{error}");
    let backwards = Candles {
        start: Some(noon()),
        end: Some(noon()),
        ..wanted("1h")
    };
    let error = pipeline::candles(&settings, &backwards).await.unwrap_err();
    assert!(
        error.to_string().contains("start must be before end"),
        "{error}"
    );
    assert!(
        zone("Berlin")
            .unwrap_err()
            .to_string()
            .contains("Europe/Berlin")
    );
}
