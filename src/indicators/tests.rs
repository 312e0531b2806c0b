//! Whole series: holes, gaps, order, prices that are none.

use super::*;
use crate::error::Error;

const HOUR: i64 = 3_600_000_000;

/// Hourly points of a walk that never stands still.
fn points(length: u32) -> Vec<(i64, Option<f64>)> {
    let mut price = 100.0;
    (0..length)
        .map(|i| {
            price *=
                1.0 + (f64::from(i.wrapping_mul(2_654_435_761) >> 8) / 16_777_216.0 - 0.5) / 50.0;
            (i64::from(i) * HOUR, Some(price))
        })
        .collect()
}

fn all(series: &mut Series, points: &[(i64, Option<f64>)]) -> Vec<Vec<Option<f64>>> {
    let mut values = Vec::new();
    let push = |(stamp, price): &(i64, Option<f64>)| {
        series.push(*stamp, *price, &mut values).unwrap();
        values.clone()
    };
    points.iter().map(push).collect()
}

fn fresh() -> Series {
    Series::new(&Selection::default()).unwrap()
}

#[test]
fn each_row_has_a_value_for_each_column() {
    let mut series = fresh();
    let width = series.columns().len();
    let mut rows = points(200);
    rows[50].1 = None;
    let values = all(&mut series, &rows);
    assert!(values.iter().all(|row| row.len() == width));
    assert!(values[199].iter().all(Option::is_some));
    assert!(values[0][..series.of_prices].iter().all(Option::is_none));
}

#[test]
fn a_row_without_a_price_is_as_good_as_none() {
    let mut with = points(150);
    for hole in [40, 77] {
        with[hole].1 = None;
    }
    // no numbers are no prices
    with[101].1 = Some(f64::NAN);
    with[120].1 = Some(f64::INFINITY);
    let without = with
        .iter()
        .copied()
        .filter(|(_, price)| price.is_some_and(f64::is_finite));
    let without: Vec<_> = without.collect();
    let mut series = fresh();
    let prices = series.of_prices;
    let (holes, kept): (Vec<_>, Vec<_>) = all(&mut series, &with)
        .into_iter()
        .zip(&with)
        .partition(|(_, (_, price))| !price.is_some_and(f64::is_finite));
    assert_eq!(holes.len(), 4);
    assert!(
        holes
            .iter()
            .all(|(row, _)| row[..prices].iter().all(Option::is_none))
    );
    assert!(
        holes
            .iter()
            .all(|(row, _)| row[prices..].iter().all(Option::is_some))
    );
    let kept: Vec<_> = kept.into_iter().map(|(row, _)| row).collect();
    assert_eq!(kept, all(&mut fresh(), &without));
}

#[test]
fn what_comes_after_a_gap_is_a_series_of_its_own() {
    let mut rows = points(200);
    rows.drain(100..102);
    let values = all(&mut fresh(), &rows);
    assert_eq!(values[100..], all(&mut fresh(), &rows[100..]));
    // one row less is no gap: 2 steps
    let mut rows = points(200);
    rows.remove(100);
    assert!(all(&mut fresh(), &rows)[100].iter().all(Option::is_some));
}

#[test]
fn no_value_depends_on_what_comes_later() {
    let rows = points(150);
    let whole = all(&mut fresh(), &rows);
    for cut in [1, 35, 90, 149] {
        assert_eq!(whole[..cut], all(&mut fresh(), &rows[..cut]));
    }
}

#[test]
fn a_stamp_that_is_not_after_the_last_one_changes_nothing() {
    let rows = points(60);
    let (mut series, mut untouched) = (fresh(), fresh());
    all(&mut series, &rows);
    all(&mut untouched, &rows);
    let mut values = Vec::new();
    for stamp in [59 * HOUR, 58 * HOUR, -1] {
        let refused = series.push(stamp, Some(1.0), &mut values);
        assert_eq!(refused, Err(NotAfter { last: 59 * HOUR }));
    }
    let next = [(60 * HOUR, Some(101.0))];
    assert_eq!(all(&mut series, &next), all(&mut untouched, &next));
}

#[test]
fn prices_that_are_zero_or_enormous_give_numbers_or_nulls() {
    for strange in [0.0, -1.0, 1e308, 1e-308, f64::MAX, 5e-324] {
        let mut rows = points(400);
        rows[150].1 = Some(strange);
        let values = all(&mut fresh(), &rows);
        assert!(
            values
                .iter()
                .flatten()
                .flatten()
                .all(|value| value.is_finite()),
            "{strange}"
        );
        // and leave no trace in what has forgotten them
        let plain = all(&mut fresh(), &points(400));
        let windows = [
            "sma_",
            "bollinger",
            "volatility",
            "support",
            "resistance",
            "trend",
        ];
        let series = fresh();
        for (column, named) in series.columns().iter().enumerate() {
            if windows.iter().any(|name| named.name.starts_with(name)) {
                assert_eq!(
                    values[399][column], plain[399][column],
                    "{} {strange}",
                    named.name
                );
            }
        }
    }
}

#[test]
fn parameters_that_make_no_sense_are_refused_in_words() {
    let refused = |change: &dyn Fn(&mut Selection)| {
        let mut selection = Selection::default();
        change(&mut selection);
        match Series::new(&selection) {
            Err(Error::Argument { message }) => message,
            other => panic!("{other:?}"),
        }
    };
    let cross = |short, long, band| Some(Cross { short, long, band });
    for (message, part) in [
        (
            refused(&|s| s.sma = vec![7, 0]),
            "sma needs lengths from 1 to 100000 points, not 0",
        ),
        (refused(&|s| s.ema = vec![-3]), "not -3"),
        (
            refused(&|s| s.sma = vec![7, 7]),
            "sma has the length 7 twice",
        ),
        (refused(&|s| s.rsi = Some(100_001)), "rsi needs lengths"),
        (
            refused(&|s| {
                s.macd = Some(Lengths {
                    fast: 26,
                    slow: 12,
                    signal: 9,
                })
            }),
            "fast below slow",
        ),
        (
            refused(&|s| {
                s.bollinger = Some(Bollinger {
                    length: 20,
                    deviations: f64::NAN,
                })
            }),
            "above 0",
        ),
        (
            refused(&|s| s.trend = cross(30, 7, 0.0)),
            "short below long",
        ),
        (
            refused(&|s| s.trend = cross(7, 30, 1.0)),
            "a band from 0 to below 1",
        ),
        (refused(&|s| s.max_gap = MaxGap::Steps(1.0)), "above 1"),
        (refused(&|s| s.max_gap = MaxGap::Time(0)), "above 0"),
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn the_trend_keeps_to_its_band() {
    assert_eq!(direction(102.0, 100.0, 0.01), 1.0);
    assert_eq!(direction(101.0, 100.0, 0.01), 0.0);
    assert_eq!(direction(98.0, 100.0, 0.01), -1.0);
}

#[test]
fn returns_keep_the_digits_of_prices_that_are_close() {
    let next = 1.0 + f64::EPSILON;
    assert_eq!(simple_return(1.0, next), f64::EPSILON);
    assert!((log_return(1.0, next) / f64::EPSILON - 1.0).abs() < 1e-15);
    assert_eq!(simple_return(2.0, 1.0), -0.5);
    assert_eq!(log_return(2.0, 1.0), 0.5_f64.ln());
    assert!(simple_return(0.0, 1.0).is_nan() && log_return(0.0, 1.0).is_nan());
    assert_eq!(simple_return(1.0, 0.0), -1.0);
    assert!(log_return(1.0, 0.0).is_nan());
}

#[test]
fn the_logarithm_of_close_prices_is_exact_to_the_last_digits() {
    for i in 1..20_000 {
        let price = 0.85 + f64::from(i) * 1.7e-5;
        // the quotient is 1 or a price of few digits, so that it is exact
        let exact = (price - 1.0).ln_1p();
        let error = log_return(1.0, price) - exact;
        assert!(error.abs() <= 7e-16 * exact.abs(), "{price} {error:e}");
    }
}

#[test]
fn a_series_that_is_resumed_gives_the_same_values_to_the_bit() {
    let bits = |rows: Vec<Vec<Option<f64>>>| -> Vec<Vec<Option<u64>>> {
        let row = |row: Vec<Option<f64>>| row.into_iter().map(|it| it.map(f64::to_bits)).collect();
        rows.into_iter().map(row).collect()
    };
    // a hole, a gap, a sum that overflows, and prices that stand still
    let mut rows = points(260);
    rows[60].1 = None;
    rows.drain(120..150);
    rows[160].1 = Some(f64::MAX);
    rows[161].1 = Some(f64::MAX);
    rows[200].1 = rows[199].1;
    for cut in [0, 1, 5, 61, 119, 120, 161, 200, 229] {
        let mut series = fresh();
        all(&mut series, &rows[..cut]);
        let mut again = Series::resume(&Selection::default(), &series.state()).unwrap();
        assert_eq!(again.state(), series.state());
        let rest = &rows[cut..];
        assert_eq!(bits(all(&mut again, rest)), bits(all(&mut series, rest)));
    }
}

#[test]
fn what_no_such_series_remembers_is_refused() {
    let mut series = fresh();
    all(&mut series, &points(50));
    let state = series.state();
    let selection = Selection::default();
    let other = Selection {
        sma: vec![7, 30],
        ..Selection::default()
    };
    let shorter = Selection {
        sma: vec![7, 20, 90],
        ..Selection::default()
    };
    let longer = [&state[..], &[0; 8]].concat();
    for (selection, state) in [
        (&selection, &state[..state.len() - 8]),
        (&selection, &state[..state.len() - 1]),
        (&selection, &[0xff; 80]),
        (&selection, &longer),
        (&selection, &[]),
        (&other, &state),
        (&shorter, &state),
    ] {
        let error = Series::resume(selection, state).unwrap_err();
        assert!(error.to_string().contains("push their points again"));
    }
}
