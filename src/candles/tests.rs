use super::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn point(ts: i64, price: Option<f64>) -> PricePoint {
    PricePoint {
        ts,
        price,
        market_cap: price.map(|price| price * 10.0),
        volume: Some(f64::from(i32::try_from(ts / MINUTE).unwrap())),
    }
}

fn hourly(points: &[(i64, Option<f64>)]) -> Vec<Candle> {
    let grid = Grid::new(Every::HOUR, chrono_tz::Tz::UTC);
    let mut filling = Filling::new(&grid);
    for (minute, price) in points {
        filling.push(point(minute * MINUTE, *price)).unwrap();
    }
    filling.finish()
}

fn spans(spans: &[(i64, i64)]) -> Spans {
    let spans = spans
        .iter()
        .filter_map(|(start, end)| Span::new(start * MINUTE, end * MINUTE));
    spans.collect()
}

#[test]
fn a_candle_is_made_of_the_points_of_its_bar_and_a_bar_without_any_has_none() {
    let candles = hourly(&[
        (3, Some(5.0)),
        (10, Some(9.0)),
        (15, None),
        (55, Some(4.0)),
        (58, None),
        (60, None),
        (200, Some(1.0)),
    ]);
    assert_eq!(
        candles.len(),
        2,
        "the second bar has no price, the third no point"
    );
    let first = &candles[0];
    assert_eq!(
        first.span,
        Span {
            start: 0,
            end: HOUR
        }
    );
    assert_eq!(
        (first.open, first.high, first.low, first.close, first.points),
        (5.0, 9.0, 4.0, 4.0, 3)
    );
    // of the rolling sum of 24 hours the last one counts, also of a point without a price
    assert_eq!(
        (first.market_cap, first.volume_24h),
        (Some(40.0), Some(58.0))
    );
    assert_eq!(candles[1].span.start, 3 * HOUR);
}

#[test]
fn a_bar_is_made_of_one_resolution_and_the_finer_one_where_both_cover_it() {
    let fine = Told {
        resolution: Resolution::FiveMinutes,
        candles: hourly(&[
            (0, Some(1.0)),
            (5, Some(2.0)),
            (65, Some(3.0)),
            (190, Some(4.0)),
        ]),
        coverage: spans(&[(0, 60), (60, 90), (185, 200)]),
    };
    let coarse = Told {
        resolution: Resolution::Hour,
        candles: hourly(&[
            (1, Some(10.0)),
            (61, Some(20.0)),
            (121, Some(30.0)),
            (181, Some(40.0)),
        ]),
        coverage: spans(&[(0, 180), (180, 190)]),
    };
    let chosen = choose(&[fine, coarse]);
    let said: Vec<(Resolution, f64, bool)> = chosen
        .iter()
        .map(|it| (it.resolution, it.candle.open, it.is_partial))
        .collect();
    assert_eq!(
        said,
        [
            (Resolution::FiveMinutes, 1.0, false),
            (Resolution::Hour, 20.0, false),
            (Resolution::Hour, 30.0, false),
            // neither covers the last one: whoever covers more of it
            (Resolution::FiveMinutes, 4.0, true),
        ]
    );
}

#[test]
fn no_points_make_no_candles() {
    assert!(hourly(&[]).is_empty());
    assert!(choose(&[]).is_empty());
}
