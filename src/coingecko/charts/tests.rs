use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::quality::CHART_RULES;

fn coin() -> CoinId {
    "boringdao-[old]".parse().unwrap()
}

fn now() -> DateTime<Utc> {
    "2026-01-02T14:42:25Z".parse().unwrap()
}

fn body(points: &[(i64, &str)]) -> String {
    let array = |points: &[(i64, &str)]| {
        let pairs: Vec<String> = points
            .iter()
            .map(|(ts, value)| format!("[{ts},{value}]"))
            .collect();
        format!("[{}]", pairs.join(","))
    };
    let all = array(points);
    format!(r#"{{"prices":{all},"market_caps":{all},"total_volumes":{all}}}"#)
}

const HOUR: i64 = 3_600_000;

/// What a body with stamps from 1970 on gives.
fn read(body: &[u8], resolution: Resolution) -> Result<Points> {
    let (window, made_at) = match resolution {
        Resolution::FiveMinutes => (Window::LastDay, "1970-01-01T23:50:00Z"),
        Resolution::Hour => (
            Window::Hourly {
                from: 0,
                to: 4_102_444_800,
            },
            "2100-01-01T00:35:00Z",
        ),
        Resolution::Day => (Window::Daily { days: 60_000 }, "2100-01-01T00:35:00Z"),
    };
    parse(
        body,
        &Chart {
            coin: coin(),
            window,
        },
        made_at.parse().unwrap(),
    )
}

fn rules_of(body: &str, resolution: Resolution) -> Vec<&'static str> {
    read(body.as_bytes(), resolution)
        .unwrap()
        .refused
        .iter()
        .map(|(_, finding, _)| finding.rule.name)
        .collect()
}

#[test]
fn a_request_is_recognised_by_its_url() {
    let base = "https://api.coingecko.com/api/v3".parse().unwrap();
    for window in [
        Window::LastDay,
        Window::Hourly { from: 1, to: 2 },
        Window::Daily { days: 365 },
    ] {
        let chart = Chart {
            coin: coin(),
            window,
        };
        let url: String = chart.request("usd").url(&base).into();
        assert_eq!(Chart::of_url(&url, "usd"), Some(chart), "{url}");
        assert_eq!(Chart::of_url(&url, "eur"), None);
    }
    assert_eq!(
        Chart::of_url("https://h/api/v3/coins/markets?vs_currency=usd", "usd"),
        None
    );
}

#[test]
fn the_live_end_of_a_chart_is_no_history() {
    let settled = Resolution::Hour.settled(now());
    let chart = Chart {
        coin: coin(),
        window: Window::Hourly {
            from: settled / 1000 - 86_400 * 3,
            to: now().timestamp(),
        },
    };
    let text = body(&[
        (settled - 2 * HOUR, "1"),
        (settled - HOUR, "2"),
        (settled, "3"),
        (settled + HOUR / 3, "4"),
    ]);
    let points = parse(text.as_bytes(), &chart, now()).unwrap().points;
    assert_eq!(
        points.iter().map(|point| point.price).collect::<Vec<_>>(),
        [Some(1.0), Some(2.0)]
    );
}

#[test]
fn a_live_stamp_before_its_neighbour_does_not_disturb_the_order() {
    let step = 300_000;
    let text = body(&[(0, "1"), (step, "2"), (3 * step, "4"), (2 * step, "3")]);
    let points = read(text.as_bytes(), Resolution::FiveMinutes)
        .unwrap()
        .points;
    assert!(points.windows(2).all(|pair| pair[0].ts < pair[1].ts));
}

#[test]
fn nulls_are_nulls_and_what_cannot_be_is_refused_alone() {
    let text = body(&[
        (0, "null"),
        (HOUR, "-1.5"),
        (2 * HOUR, "\"x\""),
        (3 * HOUR, "1e999"),
        (4 * HOUR, "0"),
    ]);
    let parsed = read(text.as_bytes(), Resolution::Hour).unwrap();
    assert_eq!(
        parsed
            .points
            .iter()
            .map(|point| point.price)
            .collect::<Vec<_>>(),
        [None, Some(0.0)]
    );
    let refused: Vec<_> = parsed
        .refused
        .iter()
        .map(|(place, finding, _)| (*place, finding.rule.name))
        .collect();
    assert_eq!(
        refused,
        [
            (Some(1), "negative_price"),
            (Some(2), "wrong_type"),
            (Some(3), "non_finite")
        ]
    );
}

#[test]
fn a_body_that_is_not_what_was_asked_for_is_refused_whole() {
    let hourly = body(&[(0, "1"), (HOUR, "2"), (2 * HOUR, "3")]);
    assert_eq!(rules_of(&hourly, Resolution::Hour), Vec::<&str>::new());
    assert_eq!(
        rules_of(&hourly, Resolution::FiveMinutes),
        ["wrong_granularity"]
    );
    assert_eq!(rules_of(&hourly, Resolution::Day), ["wrong_granularity"]);
    assert_eq!(
        rules_of(
            r#"{"prices":[[0,1]],"market_caps":[],"total_volumes":[[0,1]]}"#,
            Resolution::Hour
        ),
        ["uneven_arrays"]
    );
    assert_eq!(
        rules_of(
            r#"{"prices":[[0,1]],"market_caps":[[1,1]],"total_volumes":[[0,1]]}"#,
            Resolution::Hour
        ),
        ["uneven_arrays"]
    );
    assert_eq!(
        rules_of(r#"{"prices":7}"#, Resolution::Hour),
        ["not_a_chart"]
    );
    assert_eq!(rules_of("[]", Resolution::Hour), ["not_a_chart"]);
    assert!(
        read(b"{\"prices\":[[0,1", Resolution::Hour)
            .unwrap_err()
            .is_retryable()
    );
}

#[test]
fn a_stamp_counts_once_and_its_contradiction_is_refused() {
    assert_eq!(
        rules_of(&body(&[(0, "1"), (0, "1"), (HOUR, "2")]), Resolution::Hour),
        Vec::<&str>::new()
    );
    assert_eq!(
        rules_of(
            &body(&[(0, "1"), (HOUR, "2"), (HOUR, "3"), (2 * HOUR, "4")]),
            Resolution::Hour
        ),
        ["contradictory_stamp"]
    );
}

#[test]
fn thirty_holes_of_an_hour_cost_one_call() {
    let start = now().timestamp_millis() - 60 * 24 * HOUR;
    let hole = |day: i64| Span {
        start: start + day * 24 * HOUR,
        end: start + day * 24 * HOUR + HOUR,
    };
    let holes: Vec<Span> = (0..30).map(hole).collect();
    assert_eq!(charts(&coin(), Resolution::Hour, &holes, now()).len(), 1);
}

proptest! {
    #[test]
    fn the_windows_of_a_gap_cover_it_hourly(start in 0i64..4_000_000_000, length in 1i64..900 * 86_400) {
        let gap = Span { start: start * 1000, end: (start + length) * 1000 };
        let charts = charts(&coin(), Resolution::Hour, &[gap], now());
        let mut covered = crate::series::Spans::default();
        for chart in &charts {
            let Window::Hourly { from, to } = chart.window else { panic!() };
            prop_assert!(to - from > 86_400 && to - from <= 90 * 86_400);
            covered.insert(Span { start: from * 1000, end: to * 1000 });
        }
        prop_assert_eq!(covered.gaps_in(gap), vec![]);
        prop_assert!(i64::try_from(charts.len()).unwrap() <= length / (90 * 86_400) + 1);
    }

    #[test]
    fn the_windows_of_many_gaps_cover_them_with_no_more_calls_than_the_whole(
        lengths in proptest::collection::vec((1i64..50, 1i64..50), 1..60)
    ) {
        let mut gaps = Vec::new();
        let mut at = now().timestamp_millis() - 400 * 24 * HOUR;
        for (hole, covered) in lengths {
            gaps.push(Span { start: at, end: at + hole * HOUR });
            at += (hole + covered) * HOUR;
        }
        let charts = charts(&coin(), Resolution::Hour, &gaps, now());
        let mut covered = crate::series::Spans::default();
        for chart in &charts {
            let Window::Hourly { from, to } = chart.window else { panic!() };
            prop_assert!(to - from <= 90 * 86_400);
            covered.insert(Span { start: from * 1000, end: to * 1000 });
        }
        for gap in &gaps {
            prop_assert_eq!(covered.gaps_in(*gap), vec![]);
        }
        let whole = gaps.last().unwrap().end - gaps[0].start;
        prop_assert!(i64::try_from(charts.len()).unwrap() <= whole / (45 * 24 * HOUR) + 1);
    }

    #[test]
    fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&body, Resolution::Hour);
    }

    #[test]
    fn any_double_survives_the_trip(bits in any::<u64>()) {
        let number = f64::from_bits(bits).abs();
        prop_assume!(number.is_finite());
        let text = body(&[(0, &serde_json::to_string(&number).unwrap())]);
        let points = read(text.as_bytes(), Resolution::Hour).unwrap().points;
        prop_assert_eq!(points[0].volume, Some(number));
    }
}

/// As `quality` holds it for the rules of quotes: what is refused of these charts is written down beside its rule's version.
#[test]
fn a_reading_that_decides_otherwise_has_another_version() {
    let minute = HOUR / 60;
    let mut bodies = vec![
        "[]".to_owned(),
        r#"{"prices":7}"#.to_owned(),
        r#"{"prices":[[0,1]],"market_caps":[],"total_volumes":[[0,1]]}"#.to_owned(),
        r#"{"prices":[[0,1]],"market_caps":[[1,1]],"total_volumes":[[0,1]]}"#.to_owned(),
    ];
    let steps = [
        1, 2, 5, 6, 10, 30, 59, 60, 61, 90, 149, 150, 151, 720, 1_440, 1_441,
    ];
    for step in steps.map(|minutes| minutes * minute) {
        bodies.push(body(&[
            (0, "1"),
            (step, "2"),
            (2 * step, "3"),
            (3 * step, "4"),
        ]));
        bodies.push(body(&[
            (0, "1"),
            (step, "2"),
            (step, "2.5"),
            (3 * step, "4"),
        ]));
        for value in ["null", "-1.5", "-0.0", "\"x\"", "1e999", "true"] {
            bodies.push(body(&[(0, "1"), (step, value), (2 * step + minute, "3")]));
        }
    }
    let mut refused = BTreeMap::new();
    for resolution in Resolution::ALL {
        for (place, body) in bodies.iter().enumerate() {
            for rule in rules_of(body, resolution) {
                let at = (resolution, place);
                refused.entry(rule).or_insert_with(Vec::new).push(at);
            }
        }
    }
    let said: Vec<String> = CHART_RULES
        .iter()
        .filter_map(|rule| Some((rule, refused.get(rule.name)?)))
        .map(|(rule, refused)| {
            let hash =
                ring::digest::digest(&ring::digest::SHA256, format!("{refused:?}").as_bytes());
            format!("{} {} {}", rule.name, rule.version, &hex::encode(hash)[..8])
        })
        .collect();
    let written = [
        "not_a_chart 1 e7b2b8aa",
        "uneven_arrays 1 c0d0c53f",
        "wrong_granularity 1 588b7b13",
        "contradictory_stamp 1 bdb3eb47",
        "off_midnight 1 072fe7b7",
        "negative_price 1 2e66c9a2",
    ];
    assert_eq!(
        said, written,
        "give a rule that has changed the next version"
    );
}
