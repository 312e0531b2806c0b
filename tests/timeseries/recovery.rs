//! A run that is killed in the middle: what it landed is recovered by the next, once, and never paid for again.

use std::sync::Mutex;

use chrono::TimeDelta;
use coinmill::error::Error;
use coinmill::pipeline::{self, Reach, RunState};
use coinmill::series::Resolution;

use crate::series::{DAY, Mill, View, Watch, once_free};
use crate::support::{Kind, noon, on_both_databases};

on_both_databases!(
    what_a_killed_run_landed_is_recovered_without_paying,
    it_is_recovered_only_once,
    what_was_landed_is_recovered_also_when_time_has_passed,
    a_backfill_takes_up_what_a_run_of_its_resolution_landed,
    a_run_of_another_resolution_leaves_it_alone,
    a_damaged_body_is_asked_for_again,
    a_refused_body_that_is_recovered_is_counted,
    a_run_that_the_database_failed_is_recovered_too,
    a_limit_notice_under_200_is_no_body_to_take_up,
    a_recovered_body_is_a_visit_of_when_it_came,
);

const FIVE: Resolution = Resolution::FiveMinutes;
const TOP: [(&str, &str); 1] = [("top", "6")];

/// What an undisturbed run of these tests stores.
async fn calm(resolution: Resolution) -> View {
    let mill = Mill::new(Kind::Sqlite, 6).await;
    mill.snapshot("6").await;
    mill.run(resolution, &TOP).await.unwrap();
    mill.view().await
}

/// A market in which a run over six coins was killed when four charts had come and two hung. Nothing is committed.
async fn killed(kind: Kind, resolution: Resolution) -> Mill {
    let mill = Mill::new(kind, 6).await;
    mill.snapshot("6").await;
    kill(&mill, resolution, 4).await;
    mill
}

async fn kill(mill: &Mill, resolution: Resolution, charts: u64) {
    let fault = format!("stall:path=market_chart,after={charts},times=0");
    mill.bench.fault(&fault);
    let (watch, settings) = (Watch::default(), mill.settings(&TOP));
    let called = mill.requested().len();
    let observer = |progress: pipeline::Progress| watch.note(progress.received);
    let observer = pipeline::Observer::new(&observer);
    // by then all six are under way
    let under_way = async {
        watch.until(charts).await;
        while mill.requested().len() < called + 6 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        outcome = pipeline::run_timeseries(&settings, resolution, &observer) => panic!("it ended: {outcome:?}"),
        () = under_way => {}
    }
    mill.bench.sim.clear_faults();
    assert_eq!(
        (mill.count("price_point").await, mill.count("landing").await),
        (0, 0)
    );
    assert_eq!(mill.states().await, ["running"]);
}

async fn what_a_killed_run_landed_is_recovered_without_paying(kind: Kind) {
    let mill = killed(kind, FIVE).await;
    let before = mill.requested();
    assert_eq!(before.len(), 6);
    let report = once_free(async || mill.run(FIVE, &TOP).await)
        .await
        .unwrap();
    assert_eq!(
        (report.state, report.recovered, report.calls),
        (RunState::Complete, 4, 2)
    );
    assert_eq!(mill.requested().len(), 8);
    assert_eq!(mill.view().await, calm(FIVE).await);
    assert_eq!(report.stored as i64, mill.count("price_point").await);
    let rows = mill
        .rows("select state, recovered_by from run order by id")
        .await;
    assert_eq!(
        (rows[0][0].text(), rows[0][1].text()),
        ("abandoned", &*report.run)
    );
    assert_eq!(rows[1][0].text(), "complete");
    // each body lies where the run that received it put it
    let sql = "select distinct path, run from landing order by path";
    let rows = mill.rows(sql).await;
    assert_eq!(rows.len(), 6);
    let own = rows
        .iter()
        .filter(|row| row[0].text().contains(&report.run));
    assert_eq!(own.count(), 2);
    assert!(rows.iter().all(|row| row[1].text() == report.run));
}

async fn it_is_recovered_only_once(kind: Kind) {
    let mill = killed(kind, FIVE).await;
    once_free(async || mill.run(FIVE, &TOP).await)
        .await
        .unwrap();
    let (counts, calls) = (mill.counts().await, mill.bench.sim.calls());
    let report = mill.run(FIVE, &TOP).await.unwrap();
    assert_eq!((report.recovered, report.calls, report.stored), (0, 0, 0));
    mill.bench.sim.advance(TimeDelta::minutes(4)).unwrap();
    assert_eq!(mill.run(FIVE, &TOP).await.unwrap().recovered, 0);
    assert_eq!(
        (mill.counts().await, mill.bench.sim.calls()),
        (counts, calls)
    );
}

async fn what_was_landed_is_recovered_also_when_time_has_passed(kind: Kind) {
    let mill = killed(kind, FIVE).await;
    // two days: the API no longer has any of it
    mill.bench.sim.advance(TimeDelta::days(2)).unwrap();
    let (seen, settings) = (Mutex::new(Vec::new()), mill.settings(&TOP));
    let note = |progress: pipeline::Progress| {
        let so_far = (progress.received, progress.expected);
        seen.lock().unwrap().push(so_far);
    };
    let observer = pipeline::Observer::new(&note);
    let report = once_free(async || pipeline::run_timeseries(&settings, FIVE, &observer).await)
        .await
        .unwrap();
    assert_eq!(
        (report.state, report.recovered, report.calls),
        (RunState::Partial, 4, 6)
    );
    // who waits sees one whole, which grows by what is healed
    let run = (0..=6).map(|received| (received, 6));
    let heal = (6..=12).map(|received| (received, 12));
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen, run.chain(heal).collect::<Vec<_>>());
    // what lies between is gone, which is said, and comes by the hour
    let lost = report.missing.iter().map(ToString::to_string);
    assert_eq!(lost.filter(|said| said.contains("are lost")).count(), 6);
    let heal = report.heal.unwrap();
    assert_eq!((heal.state, heal.received), (RunState::Complete, 6));
    let view = mill.view().await;
    let calm = calm(FIVE).await;
    let kept = calm
        .iter()
        .filter(|(key, numbers)| view.get(*key) == Some(*numbers));
    let coins = 4 * calm.len() / 6;
    assert!(kept.count().abs_diff(coins) < 8);
    let mut spans = Vec::new();
    for coin in mill.bench.ranking(6).await {
        spans.push(mill.covered(&coin, 5).await.len());
    }
    spans.sort_unstable();
    assert_eq!(spans, [1, 1, 2, 2, 2, 2]);
}

async fn a_backfill_takes_up_what_a_run_of_its_resolution_landed(kind: Kind) {
    let mill = killed(kind, Resolution::Hour).await;
    let backfill = async || {
        mill.backfill(Resolution::Hour, Reach::Days(1), &[], &TOP)
            .await
    };
    let report = once_free(backfill).await.unwrap();
    assert_eq!(
        (report.state, report.recovered, report.calls),
        (RunState::Complete, 4, 2)
    );
    // what lies before the day asked for depends on the windows
    let day = |view: View| -> View {
        let start = noon().timestamp_millis() - DAY;
        view.into_iter().filter(|(key, _)| key.2 >= start).collect()
    };
    let (found, expected) = (day(mill.view().await), day(calm(Resolution::Hour).await));
    let lost: Vec<_> = expected
        .iter()
        .filter(|(key, _)| !found.contains_key(*key))
        .collect();
    let odd: Vec<_> = found
        .iter()
        .filter(|(key, values)| expected.get(*key) != Some(*values))
        .collect();
    assert!(
        lost.is_empty() && odd.is_empty(),
        "lost {lost:?}, odd {odd:?}"
    );
}

async fn a_run_of_another_resolution_leaves_it_alone(kind: Kind) {
    let mill = killed(kind, FIVE).await;
    let report = mill.run(Resolution::Day, &TOP).await.unwrap();
    assert_eq!(
        (report.state, report.recovered, report.calls),
        (RunState::Complete, 0, 6)
    );
    let report = once_free(async || mill.run(FIVE, &TOP).await)
        .await
        .unwrap();
    assert_eq!((report.recovered, report.calls), (4, 2));
}

async fn a_damaged_body_is_asked_for_again(kind: Kind) {
    let mill = killed(kind, FIVE).await;
    let bodies = bodies(&mill);
    assert_eq!(bodies.len(), 4);
    std::fs::write(&bodies[0], b"no longer what it was").unwrap();
    std::fs::remove_file(&bodies[1]).unwrap();
    let report = once_free(async || mill.run(FIVE, &TOP).await)
        .await
        .unwrap();
    assert_eq!(
        (report.state, report.recovered, report.calls),
        (RunState::Complete, 2, 4)
    );
    assert_eq!(mill.view().await, calm(FIVE).await);
}

async fn a_refused_body_that_is_recovered_is_counted(kind: Kind) {
    let mill = Mill::new(kind, 6).await;
    mill.snapshot("6").await;
    mill.bench
        .fault("body:status=200,path=market_chart,text={}");
    kill(&mill, FIVE, 4).await;
    let report = once_free(async || mill.run(FIVE, &TOP).await)
        .await
        .unwrap();
    // the refused one is no chart to recover: its coin is fetched again
    assert_eq!((report.state, report.calls), (RunState::Complete, 3));
    assert_eq!(mill.view().await, calm(FIVE).await);
    assert_eq!(
        report.rejected,
        mill.count("quarantine").await.unsigned_abs(),
        "refused in the report and in quarantine"
    );
}

async fn a_run_that_the_database_failed_is_recovered_too(kind: Kind) {
    let mill = Mill::new(kind, 6).await;
    mill.snapshot("6").await;
    // a table that a commit needs is away for a while
    mill.rows("alter table tally rename to elsewhere").await;
    let broken = mill.run(FIVE, &TOP).await.unwrap_err();
    assert!(matches!(broken, Error::Store { .. }), "{broken:?}");
    mill.rows("alter table elsewhere rename to tally").await;
    assert_eq!(mill.states().await, ["failed"]);
    assert_eq!(mill.counts().await, [0; 6]);
    let report = mill.run(FIVE, &TOP).await.unwrap();
    assert_eq!(
        (report.state, report.recovered, report.calls),
        (RunState::Complete, 6, 0)
    );
    assert_eq!(mill.view().await, calm(FIVE).await);
}

async fn a_limit_notice_under_200_is_no_body_to_take_up(kind: Kind) {
    let mill = Mill::new(kind, 6).await;
    mill.snapshot("6").await;
    mill.bench.fault("limit200:path=market_chart,times=0");
    let with = [TOP[0], ("attempts", "1")];
    let error = mill.run(FIVE, &with).await.unwrap_err();
    assert!(matches!(error, Error::Source { .. }) && error.is_retryable());
    mill.bench.sim.clear_faults();
    let report = mill.run(FIVE, &with).await.unwrap();
    assert_eq!((report.state, report.calls), (RunState::Complete, 6));
    // a refusal is no record, so that there is nothing to quarantine either
    assert_eq!((report.recovered, mill.count("quarantine").await), (0, 0));
    assert_eq!(mill.view().await, calm(FIVE).await);
}

/// The landed bodies of the killed run, in the order of their numbers.
fn bodies(mill: &Mill) -> Vec<std::path::PathBuf> {
    let day = mill.bench.landing().join("2026-01-14");
    let mut bodies = Vec::new();
    for run in std::fs::read_dir(day).unwrap() {
        let folder = run.unwrap().path();
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.to_string_lossy().ends_with("chart.zst") {
                bodies.push(path);
            }
        }
    }
    bodies.sort();
    bodies
}

/// Else its coin would be the last in the queue, though what it had at CoinGecko since then falls off first.
async fn a_recovered_body_is_a_visit_of_when_it_came(kind: Kind) {
    let mill = killed(kind, FIVE).await;
    mill.bench.sim.advance(TimeDelta::hours(6)).unwrap();
    // no credits to spare for charts that are not due: one a run is taken up
    let with = [("top", "6"), ("credits_per_month", "2000")];
    let report = once_free(async || mill.run(FIVE, &with).await)
        .await
        .unwrap();
    assert_eq!((report.recovered, report.calls), (4, 1));
    let visits = mill.rows("select visited_at from visit").await;
    let at = |instant: chrono::DateTime<chrono::Utc>| {
        let stamps = visits
            .iter()
            .filter(|row| row[0].int() / 1000 == instant.timestamp());
        stamps.count()
    };
    assert_eq!((at(noon()), at(noon() + TimeDelta::hours(6))), (4, 1));
    // who was never asked for is first: of six coins four had come, and one has by now
    let report = mill.run(FIVE, &with).await.unwrap();
    assert_eq!(report.calls, 1);
    let visits = mill.rows("select visited_at from visit").await;
    assert_eq!(visits.len(), 6);
}
