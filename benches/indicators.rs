//! What each indicator takes for a million points, 50 coins of 20,000, and what all of them take together.
//! Run it by `cargo bench --bench indicators`; `bench/indicators.py` is the same from Python, beside others.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should say where"
)]

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Float64Array, RecordBatch, TimestampMillisecondArray,
};
use coinmill::indicators::table::{Names, with_indicators};
use coinmill::indicators::{Bollinger, Cross, Lengths, MaxGap, Selection, Series};
use criterion::{Criterion, criterion_group, criterion_main};

const COINS: u32 = 50;
const POINTS: u32 = 20_000;

/// Each coin's walk at five minutes, coins one after the other.
fn market() -> RecordBatch {
    let (mut stamps, mut prices) = (Vec::new(), Vec::new());
    for coin in 0..COINS {
        let mut price = 100.0;
        for point in 0..POINTS {
            let noise = (coin * POINTS + point).wrapping_mul(2_654_435_761) >> 8;
            price *= 1.0 + (f64::from(noise) / 16_777_216.0 - 0.5) / 500.0;
            stamps.push(1_767_225_600_000 + i64::from(point) * 300_000);
            prices.push(price);
        }
    }
    let coins = (0..COINS).flat_map(|coin| (0..POINTS).map(move |_| format!("coin-{coin}")));
    let coins: Vec<String> = coins.collect();
    let coins: DictionaryArray<Int32Type> = coins.iter().map(String::as_str).collect();
    let columns: [(_, ArrayRef); 3] = [
        ("coin_id", Arc::new(coins)),
        (
            "ts",
            Arc::new(TimestampMillisecondArray::from(stamps).with_timezone("UTC")),
        ),
        ("price", Arc::new(Float64Array::from(prices))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn indicators(criterion: &mut Criterion) {
    let batch = market();
    let none = || Selection {
        returns: false,
        sma: Vec::new(),
        ema: Vec::new(),
        rsi: None,
        macd: None,
        bollinger: None,
        volatility: None,
        support: None,
        trend: None,
        cyclical: false,
        max_gap: MaxGap::Steps(2.5),
    };
    let macd = Some(Lengths {
        fast: 12,
        slow: 26,
        signal: 9,
    });
    let bollinger = Some(Bollinger {
        length: 20,
        deviations: 2.0,
    });
    let trend = Some(Cross {
        short: 7,
        long: 30,
        band: 0.01,
    });
    let selections = [
        ("none", none()),
        (
            "returns",
            Selection {
                returns: true,
                ..none()
            },
        ),
        (
            "sma 7, 30, 90",
            Selection {
                sma: vec![7, 30, 90],
                ..none()
            },
        ),
        (
            "ema 12, 26",
            Selection {
                ema: vec![12, 26],
                ..none()
            },
        ),
        (
            "rsi 14",
            Selection {
                rsi: Some(14),
                ..none()
            },
        ),
        ("macd", Selection { macd, ..none() }),
        (
            "bollinger 20",
            Selection {
                bollinger,
                ..none()
            },
        ),
        (
            "volatility 7",
            Selection {
                volatility: Some(7),
                ..none()
            },
        ),
        (
            "support 20",
            Selection {
                support: Some(20),
                ..none()
            },
        ),
        ("trend", Selection { trend, ..none() }),
        (
            "cyclical",
            Selection {
                cyclical: true,
                ..none()
            },
        ),
        (
            "sma, ema, rsi, macd, bollinger, volatility",
            Selection {
                sma: vec![7, 30, 90],
                ema: vec![12, 26],
                rsi: Some(14),
                macd,
                bollinger,
                volatility: Some(7),
                ..none()
            },
        ),
        ("all ten", Selection::default()),
    ];
    let mut group = criterion.benchmark_group("a million points");
    group.sample_size(20);
    for (name, selection) in selections {
        let series = Series::new(&selection).unwrap();
        let batches = [batch.clone()];
        let run =
            || with_indicators(&batches, &batch.schema(), &Names::default(), &series).unwrap();
        group.bench_function(name, |bencher| bencher.iter_with_large_drop(run));
    }
}

criterion_group!(benches, indicators);
criterion_main!(benches);
