//! What a body and a row cost: parsing a chart and a page of quotes, encoding points for COPY, and decoding arrays of them.
//! `cargo bench --bench wire`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a bench ends where it cannot go on"
)]

use std::fmt::Write as _;
use std::hint::black_box;

use chrono::{DateTime, Utc};
use coinmill::coingecko::{self, charts};
use coinmill::series::{PricePoint, Resolution};
use coinmill::store::copy;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Hourly points of 90 days, which is what a window holds.
const POINTS: i64 = 2_160;
const FIRST: i64 = 1_760_000_400_000;
const HOUR: i64 = 3_600_000;

/// A number with all the digits that a double has, as CoinGecko sends them.
fn number(place: i64, scale: f64) -> f64 {
    scale * (1.0 + (place as f64 * 0.7).sin() / 7.0)
}

fn points() -> Vec<PricePoint> {
    let point = |place| PricePoint {
        ts: FIRST + place * HOUR + place * 7_919 % 90_000,
        price: Some(number(place, 91_234.5)),
        market_cap: Some(number(place, 1.8e12)),
        volume: Some(number(place, 4.2e10)),
    };
    (0..POINTS).map(point).collect()
}

fn chart_body(points: &[PricePoint]) -> String {
    let array = |of: fn(&PricePoint) -> Option<f64>| {
        let pairs = points
            .iter()
            .map(|point| format!("[{},{}]", point.ts, of(point).unwrap()));
        pairs.collect::<Vec<_>>().join(",")
    };
    format!(
        r#"{{"prices":[{}],"market_caps":[{}],"total_volumes":[{}]}}"#,
        array(|point| point.price),
        array(|point| point.market_cap),
        array(|point| point.volume)
    )
}

fn page_body() -> String {
    let mut body = String::from("[");
    for place in 0..250 {
        let comma = if place == 0 { "" } else { "," };
        write!(
            body,
            r#"{comma}{{"id":"coin-{place}","symbol":"c{place}","name":"Coin {place}","image":"https://example.invalid/{place}.png",
"current_price":{},"market_cap":{},"market_cap_rank":{},"fully_diluted_valuation":{},"total_volume":{},"high_24h":{},"low_24h":{},
"price_change_24h":-12.5,"price_change_percentage_24h":-0.013,"market_cap_change_24h":-1.5e9,
"market_cap_change_percentage_24h":-0.5,"circulating_supply":19000000.0,"total_supply":21000000.0,"max_supply":null,
"ath":{},"ath_change_percentage":-12.1,"ath_date":"2025-10-06T18:57:42.558Z","atl":0.01,"atl_change_percentage":9.1,
"atl_date":"2013-07-06T00:00:00.000Z","roi":null,"last_updated":"2026-01-14T12:10:00.123Z"}}"#,
            number(place, 10.0),
            number(place, 1e9),
            place + 1,
            number(place, 1.1e9),
            number(place, 1e8),
            number(place, 11.0),
            number(place, 9.0),
            number(place, 20.0),
        )
        .unwrap();
    }
    body + "]"
}

/// A stream with a row that has a coin's points as arrays.
fn arrays(points: &[PricePoint]) -> Vec<u8> {
    let mut stream = copy::HEADER.to_vec();
    stream.extend_from_slice(&2_i16.to_be_bytes());
    for column in [
        points
            .iter()
            .map(|point| point.ts.to_be_bytes())
            .collect::<Vec<_>>(),
        points
            .iter()
            .map(|point| point.price.unwrap().to_be_bytes())
            .collect(),
    ] {
        let header = [1, 0, 20, i32::try_from(column.len()).unwrap(), 1];
        let mut array: Vec<u8> = header.into_iter().flat_map(i32::to_be_bytes).collect();
        column
            .iter()
            .for_each(|element| copy::field(&mut array, element));
        copy::field(&mut stream, &array);
    }
    stream.extend_from_slice(copy::TRAILER);
    stream
}

fn wire(criterion: &mut Criterion) {
    let points = points();
    let body = chart_body(&points);
    let to = FIRST / 1_000 + POINTS * HOUR / 1_000;
    let chart = charts::Chart {
        coin: "bitcoin".parse().unwrap(),
        window: charts::Window::Hourly {
            from: FIRST / 1_000,
            to,
        },
    };
    let made_at: DateTime<Utc> = DateTime::from_timestamp(to + 86_400, 0).unwrap();
    assert_eq!(
        charts::parse(body.as_bytes(), &chart, made_at)
            .unwrap()
            .points,
        points
    );
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("chart", |bencher| {
        bencher.iter(|| charts::parse(black_box(body.as_bytes()), &chart, made_at).unwrap());
    });
    let page = page_body();
    assert!(
        coingecko::parse(page.as_bytes())
            .unwrap()
            .iter()
            .all(|record| record.quote.is_ok())
    );
    group.throughput(Throughput::Bytes(page.len() as u64));
    group.bench_function("page", |bencher| {
        bencher.iter(|| coingecko::parse(black_box(page.as_bytes())).unwrap());
    });
    group.finish();

    let mut group = criterion.benchmark_group("copy");
    group.throughput(Throughput::Elements(points.len() as u64));
    let mut out = Vec::new();
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            out.clear();
            for point in black_box(&points) {
                copy::point(&mut out, 7, Resolution::Hour, 11, point);
            }
            out.len()
        });
    });
    let stream = arrays(&points);
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            let (mut rows, mut sum) = (copy::Rows::default(), 0.0);
            rows.take(black_box(&stream), |row| {
                let (mut stamps, mut prices) = (row.array(0)?, row.array(1)?);
                while stamps.milliseconds()?.is_some() {
                    sum += prices.float()?.unwrap_or_default();
                }
                Ok(())
            })
            .unwrap();
            rows.end().unwrap();
            sum
        });
    });
    group.finish();
}

criterion_group!(benches, wire);
criterion_main!(benches);
