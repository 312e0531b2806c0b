//! Charts without the points that they should have: one empty chart is no proof, and a span is not held empty for ever.

use chrono::TimeDelta;
use coinmill::pipeline::{Backfill, Observer, Reach, RunState, SeriesReport, backfill};
use coinmill::series::Resolution;

use crate::series::{DAY, HOUR, MINUTE, Mill, SECOND, View, chart, prices, wanted};
use crate::support::{Kind, named, noon, on_both_databases};

on_both_databases!(
    an_empty_chart_covers_nothing_and_names_its_coin,
    a_second_empty_chart_an_hour_later_is_believed_and_none_is_fetched_before_that,
    a_chart_that_lost_most_of_its_points_is_healed_by_the_next,
    a_chart_with_half_of_its_points_covers_all_of_its_span,
    only_what_was_empty_twice_is_believed,
    what_is_covered_is_asked_for_again_where_that_is_wanted,
    the_body_of_a_run_that_died_counts_as_the_first_empty_chart,
    a_chart_from_a_cache_that_hides_its_age_is_not_believed_beyond_its_newest_point,
    a_cache_that_stays_behind_is_not_believed_a_second_time_either,
    a_coin_that_has_stalled_is_believed_once_two_charts_end_with_the_same_point,
);

const EMPTY: &str = r#"{"prices":[],"market_caps":[],"total_volumes":[]}"#;

fn later(mill: &Mill, minutes: i64) {
    mill.bench.sim.advance(TimeDelta::minutes(minutes)).unwrap();
}

async fn days(mill: &Mill) -> SeriesReport {
    mill.backfill(Resolution::Hour, Reach::Days(10), &["bitcoin"], &[])
        .await
        .unwrap()
}

async fn an_empty_chart_covers_nothing_and_names_its_coin(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.bench.body(EMPTY);
    let report = days(&mill).await;
    assert_eq!(
        (report.state, report.stored, report.calls),
        (RunState::Partial, 0, 1)
    );
    let missing = named(&report.missing).join("; ");
    assert!(
        missing.contains("bitcoin") && missing.contains("no points from 2026-01-04"),
        "{missing}"
    );
    assert_eq!(mill.count("coverage").await, 0);
    // and an hour later the points are there
    later(&mill, 61);
    let report = days(&mill).await;
    assert_eq!(
        (report.state, report.missing.len()),
        (RunState::Complete, 0)
    );
    assert!(report.stored > 235, "{}", report.stored);
}

async fn a_second_empty_chart_an_hour_later_is_believed_and_none_is_fetched_before_that(
    kind: Kind,
) {
    let mill = Mill::new(kind, 3).await;
    mill.bench
        .fault(&format!("body:status=200,times=0,text={EMPTY}"));
    days(&mill).await;
    for minutes in [0, 30] {
        later(&mill, minutes);
        let report = days(&mill).await;
        // not fetched, and reported as missing
        assert_eq!(
            (report.state, report.calls, report.missing.len()),
            (RunState::Partial, 0, 1)
        );
    }
    later(&mill, 31);
    let report = days(&mill).await;
    assert_eq!(report.calls, 1);
    let before = mill.covered("bitcoin", 60).await;
    assert_eq!(before.len(), 1, "what both left empty");
    let (start, end) = before[0];
    assert!(end - start > 9 * DAY, "{before:?}");
    // what only the second left empty is asked for once more, then there is nothing to ask for
    later(&mill, 61);
    days(&mill).await;
    later(&mill, 61);
    mill.bench.sim.clear_faults();
    let report = days(&mill).await;
    assert_eq!(report.state, RunState::Complete);
    assert!(report.stored < 50, "{}", report.stored);
}

async fn a_chart_that_lost_most_of_its_points_is_healed_by_the_next(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let first = noon().timestamp_millis() - 20 * HOUR;
    mill.answer(&prices(first, 5 * MINUTE, &["1"; 100]));
    let report = mill.bitcoin().await.unwrap();
    assert_eq!((report.state, report.stored), (RunState::Partial, 100));
    let covered = mill.covered("bitcoin", 5).await;
    assert_eq!(covered, [(first, first + 500 * MINUTE)]);
    assert_eq!(mill.torn().await, 0);
    later(&mill, 61);
    let report = mill.bitcoin().await.unwrap();
    assert_eq!((report.state, report.calls), (RunState::Complete, 1));
    assert!(report.stored > 150, "{}", report.stored);
}

async fn a_chart_with_half_of_its_points_covers_all_of_its_span(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let first = noon().timestamp_millis() - 20 * HOUR;
    mill.answer(&prices(first, 5 * MINUTE, &["1"; 144]));
    let report = mill.bitcoin().await.unwrap();
    assert_eq!((report.state, report.stored), (RunState::Complete, 144));
    assert_eq!(mill.covered("bitcoin", 5).await.len(), 1);
    assert_eq!(mill.count("empty_span").await, 0);
}

async fn only_what_was_empty_twice_is_believed(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let now = noon().timestamp_millis();
    let at = |hours: i64| now - hours * HOUR;
    let point = |hours| (at(hours), "1", "1", "1");
    // each has three points; what one holds the other has not
    for hours in [200, 100] {
        let body = chart(&[point(hours), point(hours - 1), point(hours - 2)]);
        mill.answer(&body);
        days(&mill).await;
        later(&mill, 61);
    }
    let stamps: Vec<i64> = mill.view().await.keys().map(|key| key.2).collect();
    assert_eq!(
        stamps,
        [200, 199, 198, 100, 99, 98].map(at),
        "no point is lost to the other chart's empty span"
    );
    let covered = mill.covered("bitcoin", 60).await;
    assert!(
        stamps.iter().all(|stamp| covered
            .iter()
            .any(|(start, end)| (*start..*end).contains(stamp))),
        "{covered:?}"
    );
}

async fn what_is_covered_is_asked_for_again_where_that_is_wanted(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    days(&mill).await;
    assert_eq!(days(&mill).await.calls, 0);
    mill.bench
        .fault("set:path=market_chart,field=market_caps,value=[]");
    let wanted = Backfill {
        refetch: true,
        spend: None,
        ..wanted(Resolution::Hour, Reach::Days(10), &["bitcoin"])
    };
    let settings = mill.settings(&[]);
    // a body that is refused changes nothing of what is there
    backfill(&settings, &wanted, &Observer::none())
        .await
        .unwrap_err();
    let before = mill.view().await;
    let report = backfill(&settings, &wanted, &Observer::none())
        .await
        .unwrap();
    assert_eq!(
        (report.state, report.calls, report.stored, report.revisions),
        (RunState::Complete, 1, 0, 0)
    );
    assert_eq!(mill.view().await, before);
    // points that the first answer had lost are found
    mill.rows(
        "delete from price_point where resolution = 60 and ts in (select max(ts) from price_point)",
    )
    .await;
    let report = backfill(&settings, &wanted, &Observer::none())
        .await
        .unwrap();
    assert_eq!(report.stored, 1);
    assert_eq!(mill.view().await, before);
}

async fn the_body_of_a_run_that_died_counts_as_the_first_empty_chart(kind: Kind) {
    let mut mill = Mill::new(kind, 3).await;
    mill.bench.body(EMPTY);
    let died = days(&mill).await;
    mill.lose_series(kind).await;
    mill.bury(&died.run, "backfill", Resolution::Hour, noon())
        .await;
    later(&mill, 61);
    mill.bench.body(EMPTY);
    let report = days(&mill).await;
    assert_eq!((report.recovered, report.calls), (1, 1));
    assert_eq!(mill.covered("bitcoin", 60).await.len(), 1);
}

/// The points of an undisturbed run at the same instants, which take as long.
async fn undisturbed(kind: Kind, minutes: &[i64], resolution: Resolution) -> View {
    let mill = Mill::new(kind, 3).await;
    for minutes in minutes {
        later(&mill, *minutes);
        fetched(&mill, resolution).await;
    }
    mill.view().await
}

async fn fetched(mill: &Mill, resolution: Resolution) -> SeriesReport {
    let is_fine = resolution == Resolution::FiveMinutes;
    let reach = Reach::Days(if is_fine { 1 } else { 10 });
    let report = mill.backfill(resolution, reach, &["bitcoin"], &[]).await;
    report.unwrap()
}

async fn a_chart_from_a_cache_that_hides_its_age_is_not_believed_beyond_its_newest_point(
    kind: Kind,
) {
    for (resolution, age) in [
        (Resolution::FiveMinutes, 2 * HOUR),
        (Resolution::FiveMinutes, 40 * MINUTE),
        (Resolution::Hour, 26 * HOUR),
    ] {
        let mill = Mill::new(kind, 3).await;
        let fault = format!("back:seconds={},path=market_chart", age / SECOND);
        mill.bench.fault(&fault);
        let report = fetched(&mill, resolution).await;
        assert_eq!(report.state, RunState::Partial, "{resolution} {age}");
        let missing = named(&report.missing).join("; ");
        assert!(
            missing.contains("bitcoin (CoinGecko gave no points from"),
            "{missing}"
        );
        let covered = mill.covered("bitcoin", resolution.minutes().into()).await;
        let believed = noon().timestamp_millis() - age;
        assert!(
            covered.iter().all(|(_, end)| *end <= believed),
            "{covered:?}"
        );
        // nor is what was live then, which no other chart has
        let whole = undisturbed(kind, &[0], resolution).await;
        let view = mill.view().await;
        let known = |key| whole.contains_key(key) || key.2 < noon().timestamp_millis() - DAY;
        assert!(
            !view.is_empty() && view.keys().all(known),
            "{resolution} {age}"
        );
        later(&mill, 61);
        let report = fetched(&mill, resolution).await;
        assert_eq!(
            (report.state, report.missing.len()),
            (RunState::Complete, 0)
        );
        let whole = undisturbed(kind, &[0, 61], resolution).await;
        let view = mill.view().await;
        assert!(whole.keys().all(|key| view.contains_key(key)));
    }
}

async fn a_cache_that_stays_behind_is_not_believed_a_second_time_either(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.bench
        .fault("back:seconds=10800,times=0,path=market_chart");
    for minutes in [0, 61, 61] {
        later(&mill, minutes);
        let report = fetched(&mill, Resolution::FiveMinutes).await;
        assert_eq!((report.state, report.calls), (RunState::Partial, 1));
    }
    mill.bench.sim.clear_faults();
    later(&mill, 61);
    let report = fetched(&mill, Resolution::FiveMinutes).await;
    assert_eq!(report.state, RunState::Complete);
    let view = mill.view().await;
    let whole = undisturbed(kind, &[0, 61, 61, 61], Resolution::FiveMinutes).await;
    assert!(whole.keys().all(|key| view.contains_key(key)));
}

async fn a_coin_that_has_stalled_is_believed_once_two_charts_end_with_the_same_point(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let first = noon().timestamp_millis() - 20 * HOUR;
    let last = first + 9 * HOUR;
    let body = prices(first, 5 * MINUTE, &["1"; 109]);
    mill.bench.fault(&format!(
        "body:status=200,times=0,path=market_chart,text={body}"
    ));
    let report = fetched(&mill, Resolution::FiveMinutes).await;
    assert_eq!((report.state, report.stored), (RunState::Partial, 108));
    later(&mill, 61);
    let report = fetched(&mill, Resolution::FiveMinutes).await;
    // what both have is believed, with the point that both end with; what has passed since is not, yet
    assert_eq!((report.state, report.stored), (RunState::Partial, 1));
    assert!(mill.view().await.keys().any(|key| key.2 == last));
    let until = noon().timestamp_millis() - 10 * MINUTE;
    let covered = mill.covered("bitcoin", 5).await;
    assert!(covered.iter().all(|span| span.1 == until), "{covered:?}");
    assert_eq!(mill.torn().await, 0);
    // and nothing is asked for twice within the hour
    assert_eq!(fetched(&mill, Resolution::FiveMinutes).await.calls, 0);
}
