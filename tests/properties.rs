//! Whatever bytes come, the parsers, the error-body reader and the landing reader neither fall over nor believe too much.
//! The fuzz targets in `fuzz/` hold longer runs against the same checks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on should say where"
)]

#[path = "support/bodies.rs"]
#[allow(dead_code, reason = "the shapes need a few of its rows")]
mod bodies;
#[path = "properties/checks.rs"]
mod checks;
#[path = "properties/damage.rs"]
mod damage;
#[path = "support/recordings.rs"]
mod recordings;
#[path = "properties/shapes.rs"]
mod shapes;

use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use damage::{damaged, odd_token};
use shapes::MADE;

/// Runs a check over so many inputs. The seed is the operating system's; an input that fails is printed whole.
fn check(cases: u32, inputs: &impl Strategy<Value = Bytes>, check: impl Fn(&[u8])) {
    let config = Config {
        cases,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    let run = |input: Bytes| {
        check(&input);
        Ok(())
    };
    TestRunner::new(config)
        .run(inputs, run)
        .unwrap_or_else(|failure| panic!("{failure}"));
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..600).prop_map(Bytes::from)
}

/// Points of a chart whose stamps and numbers are any tokens, the three arrays agreeing on the stamps.
fn any_points() -> impl Strategy<Value = Bytes> {
    let near = (0..6_000_i64).prop_map(|step| (1_768_392_600_000 - step * 300_000).to_string());
    let number = prop_oneof![
        any::<f64>().prop_map(|number| number.to_string()),
        odd_token()
    ];
    let point = (
        prop_oneof![3 => near, 1 => odd_token()],
        prop::array::uniform3(number),
    );
    prop::collection::vec(point, 0..30).prop_map(|points| {
        let array = |place: usize| {
            let pair =
                |(stamp, numbers): &(String, [String; 3])| format!("[{stamp},{}]", numbers[place]);
            points.iter().map(pair).collect::<Vec<_>>().join(",")
        };
        let body = format!(
            r#"{{"prices":[{}],"market_caps":[{}],"total_volumes":[{}]}}"#,
            array(0),
            array(1),
            array(2)
        );
        body.into()
    })
}

#[test]
fn any_bytes_are_read_or_refused() {
    check(400, &any_bytes(), |input| {
        checks::markets(input);
        checks::chart(input);
        checks::error_body(input);
        checks::landing(input);
    });
}

#[test]
fn a_damaged_page_is_read_record_by_record_or_refused() {
    check(300, &damaged(&MADE.markets), checks::markets);
}

#[test]
fn a_damaged_chart_gives_no_point_out_of_order_out_of_span_or_out_of_number() {
    check(150, &damaged(&MADE.chart), checks::chart);
}

#[test]
fn any_points_are_kept_in_order_or_refused() {
    check(400, &any_points(), checks::chart);
}

#[test]
fn a_damaged_refusal_says_little_and_never_the_key() {
    check(400, &damaged(&MADE.error_body), checks::error_body);
}

#[test]
fn a_damaged_landing_gives_what_was_landed_or_nothing() {
    check(300, &damaged(&MADE.landing), checks::landing);
}

#[test]
fn a_last_stamp_as_old_as_numbers_go_is_no_live_point() {
    let array = "[[-9223372036854775000,1]]";
    let body = format!(r#"{{"prices":{array},"market_caps":{array},"total_volumes":{array}}}"#);
    checks::chart(body.as_bytes());
}

#[test]
fn a_reason_is_short_however_long_the_text_where_an_array_belongs() {
    checks::chart(format!(r#"{{"prices":"{}"}}"#, "é\\u0001".repeat(1_000)).as_bytes());
}

#[test]
fn a_refusal_is_read_no_further_than_its_words_can_lie() {
    let body = format!(r#"{{"a":[{}0],"error":"far"}}"#, "0,".repeat(100_000));
    assert_ne!(
        coinmill::provider::words(body.as_bytes()).map(|words| words.message),
        Some("far".to_owned())
    );
}

#[test]
fn the_shapes_themselves_are_what_they_are_taken_for() {
    for body in &MADE.markets {
        assert!(coinmill::coingecko::parse(body).is_ok_and(|records| !records.is_empty()));
    }
    assert!(MADE.error_body.len() > 20 && MADE.landing.len() > 10);
    MADE.markets.iter().for_each(|body| checks::markets(body));
    MADE.chart.iter().for_each(|input| checks::chart(input));
    MADE.error_body
        .iter()
        .for_each(|body| checks::error_body(body));
    MADE.landing.iter().for_each(|input| checks::landing(input));
}

#[test]
#[ignore = "writes fuzz/corpus: `make fuzz` begins with it"]
fn the_corpora_of_the_fuzz_targets_are_written() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    shapes::write_corpora(&corpora, recordings::folder());
}
