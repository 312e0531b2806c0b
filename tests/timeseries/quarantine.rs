//! What is refused of a chart, alone or whole, and what is stored beside it.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use coinmill::error::Error;
use coinmill::pipeline::{Reach, RunState, SeriesReport};
use coinmill::series::Resolution;

use crate::series::{BITCOIN, DAY, HOUR, MINUTE, Mill, chart, partial, prices};
use crate::support::{Cell, Kind, missing_of, noon, on_both_databases, said};

on_both_databases!(
    points_that_cannot_be_are_refused_alone,
    a_second_value_for_a_stamp_is_refused_with_its_text,
    a_stamp_that_comes_twice_alike_counts_once,
    a_body_that_is_no_chart_is_refused_whole_and_asked_for_again,
    a_chart_of_another_granularity_is_refused_whole,
    a_short_chart_of_another_granularity_is_refused_whole,
    a_refused_chart_does_not_keep_the_others_out,
    points_outside_what_was_asked_for_are_no_history,
    a_daily_point_is_a_midnight_and_the_last_one_off_it_is_the_live_one,
);

const FIVE: Resolution = Resolution::FiveMinutes;

fn first() -> i64 {
    noon().timestamp_millis() - 20 * HOUR
}

async fn run_on(mill: &Mill, body: &str) -> SeriesReport {
    mill.answer(body);
    mill.bitcoin().await.unwrap()
}

async fn points_that_cannot_be_are_refused_alone(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let at = |place: i64| first() + place * 5 * MINUTE;
    let points = [
        (at(0), "1", "1", "1"),
        (at(1), "-1.50", "1", "1"),
        (at(2), "1", "-2", "1"),
        (at(3), "1", "1", "-3e-7"),
        (at(4), "\"4\"", "1", "1"),
        (at(5), "1e999", "1", "1"),
        (at(6), "true", "1", "1"),
        (at(7), "1", "[]", "1"),
        (at(8), "8", "null", "0"),
        (at(9), "9", "1", "1"),
    ];
    let report = run_on(&mill, &chart(&points)).await;
    assert_eq!((report.stored, report.rejected, report.received), (3, 7, 1));
    let sql = "select q.rule, q.record, q.coin, q.reason, q.raw, l.path, q.body \
               from quarantine q join landing l on l.id = q.landing order by q.id";
    let rows = mill.rows(sql).await;
    let found: Vec<(&str, i64)> = rows
        .iter()
        .map(|row| (row[0].text(), row[1].int()))
        .collect();
    assert_eq!(
        found,
        [
            ("negative_price", 1),
            ("negative_market_cap", 2),
            ("negative_volume", 3),
            ("wrong_type", 4),
            ("non_finite", 5),
            ("wrong_type", 6),
            ("wrong_type", 7),
        ]
    );
    for (row, (_, place)) in rows.iter().zip(&found) {
        let (ts, price, cap, volume) = points[usize::try_from(*place).unwrap()];
        assert_eq!(row[4].text(), format!("[{ts},{price},{cap},{volume}]"));
        assert_eq!((row[2].text(), row[5].text()), ("bitcoin", row[6].text()));
    }
    assert!(rows[0][3].text().contains("-1.50"), "{rows:?}");
    let ledger = mill.row("select rejected, stored from run").await;
    assert_eq!((ledger[0].int(), ledger[1].int()), (7, 3));
    // they are covered, so they are not fetched again
    assert_eq!(mill.bitcoin().await.unwrap().calls, 0);
}

async fn a_second_value_for_a_stamp_is_refused_with_its_text(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let at = |place: i64| first() + place * 5 * MINUTE;
    let points = [
        (at(0), "1", "1", "1"),
        (at(1), "2", "1", "1"),
        (at(1), "2.50", "1", "1"),
        (at(2), "3", "1", "1"),
    ];
    let report = run_on(&mill, &chart(&points)).await;
    assert_eq!((report.stored, report.rejected), (3, 1));
    let kept: BTreeSet<u64> = mill
        .view()
        .await
        .values()
        .filter_map(|point| point[0])
        .collect();
    assert_eq!(kept, [1.0, 2.0, 3.0].map(f64::to_bits).into());
    let row = mill.row("select rule, record, raw from quarantine").await;
    assert_eq!(row[0].text(), "contradictory_stamp");
    // as of any other point: its place in the body and its own text (a body refused whole has no place)
    assert_eq!(row[2].text(), format!("[{},2.50,1,1]", at(1)));
    assert_eq!(row[1], Cell::Int(2));
}

async fn a_stamp_that_comes_twice_alike_counts_once(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let at = |place: i64| first() + place * 5 * MINUTE;
    let points = [0, 1, 1, 2, 2, 2, 3].map(|place| (at(place), "1", "null", "0"));
    let report = run_on(&mill, &chart(&points)).await;
    assert_eq!(
        (report.stored, report.rejected, report.state),
        (4, 0, RunState::Partial)
    );
}

/// Bodies that are refused whole, and the rule.
fn no_charts() -> Vec<(String, &'static str)> {
    let uneven = |prices: &str, caps: &str, volumes: &str| {
        format!(r#"{{"prices":{prices},"market_caps":{caps},"total_volumes":{volumes}}}"#)
    };
    let (a, b) = (first(), first() + 5 * MINUTE);
    let (one, two) = (format!("[[{a},1]]"), format!("[[{a},1],[{b},2]]"));
    let other = format!("[[{a},1],[{},2]]", b + 1);
    vec![
        (uneven(&two, &one, &two), "uneven_arrays"),
        (uneven(&two, &two, &one), "uneven_arrays"),
        (uneven(&two, &two, "[]"), "uneven_arrays"),
        (uneven(&two, &other, &two), "uneven_arrays"),
        (uneven(&two, &two, &other), "uneven_arrays"),
        ("{}".to_owned(), "not_a_chart"),
        ("[]".to_owned(), "not_a_chart"),
        (format!(r#"{{"prices":{two}}}"#), "not_a_chart"),
        (uneven("null", &two, &two), "not_a_chart"),
        (uneven(&format!("[[{a}.5,1]]"), &one, &one), "not_a_chart"),
        (uneven(&format!("[[{a},1,1]]"), &one, &one), "not_a_chart"),
        (uneven(&format!("[[{a}]]"), &one, &one), "not_a_chart"),
        (uneven("[7]", &one, &one), "not_a_chart"),
    ]
}

async fn a_body_that_is_no_chart_is_refused_whole_and_asked_for_again(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let bodies = no_charts();
    for (body, rule) in &bodies {
        mill.bench.body(body);
        let outcome = mill
            .run(FIVE, &[BITCOIN[0], BITCOIN[1], ("attempts", "1")])
            .await;
        let error = outcome.expect_err(body);
        assert!(matches!(error, Error::Data { .. }), "{body}: {error:?}");
        assert!(said(&error).contains("bitcoin"), "{body}: {error}");
        let sql = "select rule, record, raw, coin from quarantine order by id desc";
        let row = mill.row(sql).await;
        assert_eq!(
            (row[0].text(), &row[1], row[3].text()),
            (*rule, &Cell::Null, "bitcoin"),
            "{body}"
        );
        assert_eq!(row[2].text(), body);
    }
    assert_eq!(mill.count("quarantine").await, bodies.len() as i64);
    assert_eq!(
        (
            mill.count("price_point").await,
            mill.count("coverage").await
        ),
        (0, 0)
    );
    let report = mill.bitcoin().await.unwrap();
    // a body that was refused is not recovered
    assert_eq!(
        (report.state, report.calls, report.recovered),
        (RunState::Complete, 1, 0)
    );
    assert!(report.stored > 280);
}

async fn a_chart_of_another_granularity_is_refused_whole(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let now = noon().timestamp_millis();
    let values = ["1"; 22];
    for (resolution, step) in [
        (FIVE, HOUR),
        (Resolution::Hour, 5 * MINUTE),
        (Resolution::Day, HOUR),
    ] {
        let begin = match resolution {
            // 23 hours back
            Resolution::FiveMinutes => now - 23 * HOUR,
            Resolution::Hour => now - 20 * HOUR,
            Resolution::Day => now - 3 * DAY,
        };
        mill.bench.body(&prices(begin, step, &values));
        let error = mill.run(resolution, &BITCOIN).await.unwrap_err();
        assert!(
            said(&error).contains(&format!("asked for {resolution}")),
            "{error}"
        );
        let row = mill
            .row("select rule, reason from quarantine order by id desc")
            .await;
        assert_eq!(row[0].text(), "wrong_granularity");
        assert!(
            row[1].text().contains(&format!("{step} ms between points")),
            "{row:?}"
        );
    }
    assert_eq!(mill.counts().await[2..5], [0, 0, 0]);
}

async fn a_short_chart_of_another_granularity_is_refused_whole(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    // two days, which a run asks for hourly, hold two or three midnights
    let midnight = noon().timestamp_millis() / DAY * DAY;
    let body = prices(midnight - DAY, DAY, &["1", "2"]);
    mill.bench.body(&body);
    let outcome = mill.run(Resolution::Hour, &BITCOIN).await;
    let rules = mill.rows("select rule from quarantine").await;
    assert!(
        outcome.is_err() && rules.len() == 1,
        "daily points were stored as hourly ones: {outcome:?}"
    );
    assert_eq!(rules[0][0].text(), "wrong_granularity");
    assert_eq!(mill.counts().await[2..5], [0, 0, 0]);
}

async fn a_refused_chart_does_not_keep_the_others_out(kind: Kind) {
    let mill = Mill::new(kind, 6).await;
    mill.snapshot("6").await;
    let coin = mill.bench.ranking(6).await.remove(2);
    let fault = format!("body:status=200,path=/coins/{coin}/,text={{}}");
    mill.bench.fault(&fault);
    let report = partial(mill.run(FIVE, &[]).await);
    assert_eq!(
        (&report["received"], &report["rejected"]),
        (&5.into(), &1.into())
    );
    let missing = &missing_of(&report)[0];
    assert!(
        missing.starts_with(&coin) && missing.contains("no chart"),
        "{missing}"
    );
    let before = mill.requested().len();
    let report = mill.run(FIVE, &[]).await.unwrap();
    assert_eq!(
        (report.state, report.received, report.calls),
        (RunState::Complete, 1, 1)
    );
    assert_eq!(mill.requested()[before..], [coin]);
    assert_eq!(mill.states().await, ["partial", "complete"]);
    let coins = "select count(distinct coin) from price_point";
    assert_eq!(mill.number(coins).await, 6);
}

async fn points_outside_what_was_asked_for_are_no_history(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let now = noon().timestamp_millis();
    let ahead = now + DAY;
    let points = [
        (0, "1", "1", "1"),
        (-5, "1", "1", "1"),
        (now - 9 * MINUTE, "1", "1", "1"),
        (ahead, "1", "1", "1"),
        (i64::MAX, "1", "1", "1"),
        (i64::MIN, "1", "1", "1"),
        (first(), "1", "1", "1"),
    ];
    mill.bench.body(&chart(&points));
    mill.bitcoin().await.unwrap();
    let stamps: Vec<i64> = mill.view().await.keys().map(|key| key.2).collect();
    assert_eq!(stamps, [first()]);
    mill.bench.sim.advance(TimeDelta::hours(1)).unwrap();
    assert_eq!(mill.bitcoin().await.unwrap().state, RunState::Complete);
}

async fn a_daily_point_is_a_midnight_and_the_last_one_off_it_is_the_live_one(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let midnight = noon().timestamp_millis().div_euclid(DAY) * DAY;
    // a coin that stalled yesterday: its live point is older than the last midnight
    let off = 17 * HOUR + 16 * MINUTE;
    let points = [
        (midnight - 3 * DAY, "1", "1", "1"),
        (midnight - 2 * DAY, "2", "1", "1"),
        (midnight - 2 * DAY + off, "2.5", "1", "1"),
        (midnight - DAY, "3", "1", "1"),
        (midnight - DAY + off + 37_000, "3.5", "1", "1"),
    ];
    mill.bench.body(&chart(&points));
    let day = Resolution::Day;
    let report = mill
        .backfill(day, Reach::Days(5), &["bitcoin"], &[])
        .await
        .unwrap();
    assert_eq!((report.stored, report.rejected), (3, 1));
    let stored: Vec<i64> = mill.view().await.into_keys().map(|key| key.2).collect();
    assert_eq!(stored, [3, 2, 1].map(|ago| midnight - ago * DAY));
    let rows = mill
        .rows("select rule, record, reason from quarantine")
        .await;
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0][0].text(), rows[0][1].int()), ("off_midnight", 2));
    assert!(rows[0][2].text().contains("00:00"), "{rows:?}");
}
