//! A table against its points pushed one by one: equal to the bit, however rows are mixed and cut into batches.

use arrow_array::builder::{Float64Builder, StringBuilder, TimestampMicrosecondBuilder};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::indicators::{Bollinger, Cross, Lengths, MaxGap, Selection};

const MINUTE: i64 = 60_000_000;

/// A coin, an instant, and a price.
type Row = (usize, i64, Option<f64>);

fn batch(rows: &[Row]) -> RecordBatch {
    let (mut coins, mut stamps, mut prices) = (
        StringBuilder::new(),
        TimestampMicrosecondBuilder::new(),
        Float64Builder::new(),
    );
    for (coin, stamp, price) in rows {
        coins.append_value(format!("coin-{coin}"));
        stamps.append_value(*stamp);
        prices.append_option(*price);
    }
    let columns: [(_, ArrayRef, bool); 3] = [
        ("coin_id", Arc::new(coins.finish()), true),
        ("ts", Arc::new(stamps.finish()), true),
        ("price", Arc::new(prices.finish()), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// What a table says, a row of bits a row.
fn of_table(batches: &[RecordBatch], series: &Series) -> Vec<Vec<Option<u64>>> {
    let schema = batch(&[]).schema();
    let (_, batches) = with_indicators(batches, &schema, &Names::default(), series).unwrap();
    let bits = |column: &ArrayRef| -> Vec<Option<u64>> {
        let numbers = cast(column, &DataType::Float64).unwrap();
        let numbers = numbers.as_primitive::<Float64Type>().iter();
        numbers.map(|number| number.map(f64::to_bits)).collect()
    };
    let rows = batches.iter().flat_map(|batch| {
        let columns: Vec<_> = batch.columns().iter().skip(3).map(bits).collect();
        let row = |row: usize| columns.iter().map(|column| column[row]).collect();
        (0..batch.num_rows()).map(row).collect::<Vec<_>>()
    });
    rows.collect()
}

/// What its points say, one by one.
fn of_points(rows: &[Row], fresh: &Series) -> Vec<Vec<Option<u64>>> {
    let mut series: Vec<Series> = Vec::new();
    let mut values = Vec::new();
    let row = |(coin, stamp, price): &Row| {
        series.resize(series.len().max(coin + 1), fresh.clone());
        series[*coin].push(*stamp, *price, &mut values).unwrap();
        values.iter().map(|value| value.map(f64::to_bits)).collect()
    };
    rows.iter().map(row).collect()
}

/// How a price comes from the one before it.
fn price() -> impl Strategy<Value = fn(f64) -> Option<f64>> {
    let usual: [fn(f64) -> Option<f64>; 5] = [
        |last| Some(last * 1.01),
        |last| Some(last * 0.98),
        |last| Some(last * 1.000_1),
        |last| Some(last * 0.7),
        |last| Some(last),
    ];
    let strange: [fn(f64) -> Option<f64>; 12] = [
        |_| None,
        |_| Some(f64::NAN),
        |_| Some(f64::INFINITY),
        |_| Some(f64::NEG_INFINITY),
        |_| Some(0.0),
        |_| Some(-0.0),
        |last| Some(-last),
        |_| Some(f64::MAX),
        |_| Some(5e-324),
        |last| Some(last * 1e25),
        |last| Some(last * 1e-25),
        |_| Some(1.0),
    ];
    prop_oneof![
        8 => proptest::sample::select(usual.to_vec()),
        1 => proptest::sample::select(strange.to_vec()),
    ]
}

fn step() -> impl Strategy<Value = i64> {
    prop_oneof![30 => Just(MINUTE), 6 => 1..3 * MINUTE, 1 => 1..1_000 * MINUTE]
}

fn selection() -> impl Strategy<Value = Selection> {
    let n = || prop_oneof![4 => 1_i64..9, 1 => 9_i64..60];
    let lengths = || {
        vec(n(), 0..3).prop_map(|mut lengths| {
            lengths.sort_unstable();
            lengths.dedup();
            lengths
        })
    };
    let max_gap = prop_oneof![
        3 => (1.1..5.0).prop_map(MaxGap::Steps),
        1 => (1..5 * MINUTE).prop_map(MaxGap::Time),
        1 => Just(MaxGap::Unlimited),
    ];
    let both = (any::<bool>(), any::<bool>());
    let (pair, some) = ((n(), n(), n()), proptest::option::of(n()));
    (
        both,
        lengths(),
        lengths(),
        pair,
        some.clone(),
        some.clone(),
        some,
        max_gap,
    )
        .prop_map(
            |((returns, cyclical), sma, ema, (a, b, c), rsi, volatility, support, max_gap)| {
                Selection {
                    returns,
                    sma,
                    ema,
                    rsi,
                    macd: (a != 3).then_some(Lengths {
                        fast: a,
                        slow: a + b,
                        signal: c,
                    }),
                    bollinger: (a != 4).then_some(Bollinger {
                        length: b,
                        deviations: 2.0,
                    }),
                    volatility,
                    support,
                    trend: (a != 5).then_some(Cross {
                        short: c,
                        long: c + a,
                        band: 0.01,
                    }),
                    cyclical,
                    max_gap,
                }
            },
        )
}

/// Points of up to four coins, in the order of time or coin after coin.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let point = (0_usize..4, step(), price());
    (vec(point, 0..500), 1_usize..5, any::<bool>()).prop_map(|(points, coins, is_mixed)| {
        let mut last = [100.0, 1.0, 1e-9, 70_000.0];
        let mut stamp = 1_767_225_600_000_000;
        let mut rows: Vec<Row> = Vec::new();
        for (coin, step, next) in points {
            let coin = coin % coins;
            stamp += step;
            let price = next(last[coin]);
            if let Some(price) = price.filter(|price| (1e-300..1e300).contains(price)) {
                last[coin] = price;
            }
            rows.push((coin, stamp, price));
        }
        if !is_mixed {
            // the highest first, which is another order than that of the first batch's series
            rows.sort_by_key(|(coin, _, _)| usize::MAX - coin);
        }
        rows
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 200 } else { 4_000 }))]

    #[test]
    fn a_table_gives_what_its_points_give_one_by_one(
        rows in rows(),
        cuts in vec(any::<Index>(), 0..6),
        selection in selection(),
    ) {
        let series = Series::new(&selection).unwrap();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(rows.len() + 1)).collect();
        cuts.extend([0, rows.len()]);
        cuts.sort_unstable();
        let batches: Vec<_> = cuts.windows(2).map(|cut| batch(&rows[cut[0]..cut[1]])).collect();
        prop_assert_eq!(of_table(&batches, &series), of_points(&rows, &series));
    }
}

#[test]
fn coins_on_several_cores_give_the_same_values() {
    let series = Series::new(&Selection::default()).unwrap();
    let walk = |coin: u32| {
        let price = move |i: u32| 100.0 + f64::from((i * 7 + coin) % 13 * (coin + 1)) * 1e-3;
        (0..4_000).map(move |i| (coin as usize, i64::from(i) * MINUTE, Some(price(i))))
    };
    let rows: Vec<Row> = (0..9).flat_map(walk).collect();
    assert_eq!(
        of_table(&[batch(&rows)], &series),
        of_points(&rows, &series)
    );
    let mut mixed = rows;
    mixed.sort_by_key(|(_, stamp, _)| *stamp);
    assert_eq!(
        of_table(&[batch(&mixed)], &series),
        of_points(&mixed, &series)
    );
}
