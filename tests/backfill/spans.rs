//! Which calls a span comes to: no more than it needs, none that the API must refuse, and none twice.

use chrono::TimeDelta;
use coinmill::pipeline::{Reach, RunState};
use coinmill::series::Resolution;
use coinmill::sim::SimPlan;

use crate::series::{DAY, HOUR, MINUTE, Mill};
use crate::support::{Bench, KEY, Kind, noon, on_both_databases};

on_both_databases!(
    a_year_of_hours_is_five_calls_and_a_second_time_none,
    a_span_between_two_that_are_there_is_asked_for_however_short,
    a_short_span_at_the_edge_of_the_plan_is_asked_for_within_it,
    a_year_of_days_is_within_the_plan_at_any_time_of_the_day,
    a_day_of_five_minutes_and_a_run_share_what_they_know,
    a_backfill_of_the_top_takes_its_own_snapshot,
    a_backfill_of_the_top_follows_the_rank,
);

const HOURLY: Resolution = Resolution::Hour;

async fn a_year_of_hours_is_five_calls_and_a_second_time_none(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let year = async || {
        let plan = [("plan", "keyless"), ("calls_per_minute", "1000")];
        mill.backfill(HOURLY, Reach::Days(365), &["bitcoin"], &plan)
            .await
    };
    let report = year().await.unwrap();
    assert_eq!(
        (report.state, report.calls, report.expected),
        (RunState::Complete, 5, 5)
    );
    let (points, year_of_hours) = (report.stored, 365 * 24);
    assert!(
        (year_of_hours - 40..=year_of_hours).contains(&points),
        "{points}"
    );
    assert_eq!(mill.covered("bitcoin", 60).await.len(), 1);
    let again = year().await.unwrap();
    assert_eq!(
        (again.state, again.calls, again.stored),
        (RunState::Complete, 0, 0)
    );
    assert_eq!(mill.bench.sim.calls(), 5);
}

async fn a_span_between_two_that_are_there_is_asked_for_however_short(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let ago = |minutes: i64| noon() - TimeDelta::minutes(minutes);
    let backfill = async |from: i64, to: i64| {
        let reach = Reach::Between(ago(from), Some(ago(to)));
        mill.backfill(HOURLY, reach, &["bitcoin"], &[])
            .await
            .unwrap()
    };
    // 40 minutes between them, over the beginning of an hour
    backfill(10 * 1440, 5 * 1440 + 30).await;
    backfill(5 * 1440 - 10, 1440).await;
    let spans = mill.covered("bitcoin", 60).await;
    let report = backfill(10 * 1440, 1440).await;
    assert_eq!(spans.len(), 2);
    let view = mill.view().await;
    let one = Mill::new(kind, 3).await;
    let reach = Reach::Between(ago(10 * 1440), Some(ago(1440)));
    one.backfill(HOURLY, reach, &["bitcoin"], &[])
        .await
        .unwrap();
    let lost: Vec<_> = one
        .view()
        .await
        .into_keys()
        .filter(|key| !view.contains_key(key))
        .collect();
    assert!(
        lost.is_empty(),
        "after {} calls still lost: {lost:?}",
        report.calls
    );
    assert_eq!(mill.covered("bitcoin", 60).await.len(), 1);
}

async fn a_short_span_at_the_edge_of_the_plan_is_asked_for_within_it(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let now = noon();
    let reach = Reach::Between(
        now - TimeDelta::days(365) + TimeDelta::hours(2),
        Some(now - TimeDelta::days(364)),
    );
    let plan = [("plan", "keyless"), ("attempts", "1")];
    let outcome = mill.backfill(HOURLY, reach, &["bitcoin"], &plan).await;
    let report =
        outcome.unwrap_or_else(|error| panic!("{}: {:?}", error.chain(), mill.bench.calls()));
    assert_eq!((report.state, report.calls), (RunState::Complete, 1));
    assert!(report.stored >= 20);
}

async fn a_year_of_days_is_within_the_plan_at_any_time_of_the_day(kind: Kind) {
    let bench = Bench::playing(kind, 3, SimPlan::demo(KEY)).await;
    let mut mill = Mill::of(bench, kind).await;
    let plan = [("plan", "demo"), ("api_key", KEY), ("attempts", "1")];
    for clock in ["00:00:30", "00:01:00", "00:40:00", "02:30:00", "23:59:30"] {
        mill.lose_series(kind).await;
        let now = format!("2026-01-14T{clock}Z").parse().unwrap();
        mill.bench.sim.set_clock(now).unwrap();
        let reach = Reach::Days(365);
        let outcome = mill
            .backfill(Resolution::Day, reach, &["bitcoin"], &plan)
            .await;
        let report = outcome.unwrap_or_else(|error| panic!("{clock}: {}", error.chain()));
        assert_eq!((report.state, report.calls), (RunState::Complete, 1));
        // every midnight that the plan still reaches and that is settled
        let oldest = (now - TimeDelta::days(365)).timestamp_millis();
        let settled = Resolution::Day.settled(now);
        let midnights = (oldest.div_euclid(DAY)..=settled.div_euclid(DAY))
            .filter(|day| (oldest..settled).contains(&(day * DAY)))
            .count();
        assert_eq!(report.stored, midnights as u64, "{clock}");
    }
}

async fn a_day_of_five_minutes_and_a_run_share_what_they_know(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let five = Resolution::FiveMinutes;
    let report = mill
        .backfill(five, Reach::Days(1), &["bitcoin"], &[])
        .await
        .unwrap();
    assert_eq!((report.calls, report.received), (1, 1));
    assert_eq!(mill.bitcoin().await.unwrap().calls, 0);
    let now = noon().timestamp_millis();
    let (start, end) = mill.covered("bitcoin", 5).await[0];
    assert!((start - (now - DAY)).abs() <= 1_000);
    assert_eq!(end, now - 10 * MINUTE);
    assert!(
        mill.view()
            .await
            .keys()
            .all(|key| (start..end).contains(&key.2))
    );
    let part = Reach::Between(
        noon() - TimeDelta::hours(9),
        Some(noon() - TimeDelta::hours(3)),
    );
    let report = mill.backfill(five, part, &["bitcoin"], &[]).await.unwrap();
    assert_eq!((report.state, report.calls), (RunState::Complete, 0));
}

async fn a_backfill_of_the_top_takes_its_own_snapshot(kind: Kind) {
    let mill = Mill::new(kind, 8).await;
    let top = [("top", "5")];
    let report = mill
        .backfill(HOURLY, Reach::Days(3), &[], &top)
        .await
        .unwrap();
    assert_eq!(
        (report.state, report.expected, report.calls),
        (RunState::Complete, 5, 5)
    );
    assert_eq!(
        mill.bench
            .database
            .number("select count(*) from quote")
            .await,
        5
    );
    assert_eq!(mill.bench.sim.calls(), 6);
    // fewer need no new one, more do
    let report = mill
        .backfill(HOURLY, Reach::Days(3), &[], &[("top", "4")])
        .await
        .unwrap();
    assert_eq!((report.expected, mill.bench.sim.calls()), (0, 6));
    let report = mill
        .backfill(HOURLY, Reach::Days(3), &[], &[("top", "7")])
        .await
        .unwrap();
    assert_eq!((report.expected, report.calls), (2, 2));
}

async fn a_backfill_of_the_top_follows_the_rank(kind: Kind) {
    let mill = Mill::new(kind, 12).await;
    let ranking = mill.bench.ranking(12).await;
    let with = [("top", "3"), ("add_coins", &*ranking[9])];
    let settings = mill.settings(&with);
    coinmill::pipeline::run_snapshot(&settings, None, &coinmill::pipeline::Observer::none())
        .await
        .unwrap();
    mill.backfill(HOURLY, Reach::Days(3), &[], &with)
        .await
        .unwrap();
    let (mut asked, mut wanted) = (mill.requested(), ranking[..3].to_vec());
    wanted.push(ranking[9].clone());
    asked.sort();
    wanted.sort();
    assert_eq!(asked, wanted);
    // three days and the rest of the window, all before the running hour
    let last = noon().timestamp_millis() / HOUR * HOUR;
    assert!(mill.view().await.keys().all(|key| key.2 < last));
}
