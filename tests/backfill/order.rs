//! Any order of runs, backfills and re-runs over a span, undisturbed or not, ends with what one pass gives.

use std::ops::Range;

use chrono::TimeDelta;
use coinmill::error::Error;
use coinmill::pipeline::{Reach, RunState, SeriesReport};
use coinmill::series::Resolution;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::series::{DAY, HOUR, Mill, View};
use crate::support::{Kind, noon, said};

/// How far back the whole span goes, in minutes.
const REACH: i64 = 12 * 24 * 60;
const COINS: usize = 3;

/// One step in the life of a series.
#[derive(Debug, Clone)]
enum Step {
    /// The next calls for charts meet this.
    Fault(String),
    /// A regular run.
    Run(Resolution),
    /// A backfill of some coins, between so many minutes ago and so many.
    Backfill(Resolution, Range<i64>, usize),
}

fn resolution() -> impl Strategy<Value = Resolution> {
    prop::sample::select(vec![Resolution::Hour, Resolution::Day])
}

fn work() -> impl Strategy<Value = Step> {
    let minutes = (1..REACH, 1..5 * 24 * 60_i64);
    let backfill =
        (resolution(), minutes, 1..=COINS).prop_map(|(resolution, (to, length), coins)| {
            let from = (to + length).min(REACH);
            Step::Backfill(resolution, to.min(from - 1)..from, coins)
        });
    prop_oneof![
        4 => backfill,
        1 => resolution().prop_map(Step::Run),
        1 => Just(Step::Run(Resolution::FiveMinutes)),
    ]
}

/// A chart under HTTP 200 that has lost its points.
const EMPTY: &str = r#",status=200,text={"prices":[],"market_caps":[],"total_volumes":[]}"#;

fn fault() -> impl Strategy<Value = Step> {
    let kinds = vec![
        ("429", ""),
        ("500", ""),
        ("truncate", ""),
        ("cut", ""),
        ("limit200", ""),
        ("html", ""),
        ("body", EMPTY),
        ("body", EMPTY),
    ];
    let fault = (prop::sample::select(kinds), 0..3_u32, 1..4_u32);
    fault.prop_map(|((kind, own), after, times)| {
        Step::Fault(format!(
            "{kind}:path=market_chart,after={after},times={times}{own}"
        ))
    })
}

/// Does a step; a run may end in any way that the API's faults explain.
async fn take(mill: &Mill, coins: &[String], step: &Step) -> Option<SeriesReport> {
    let with = [("attempts", "1")];
    let outcome = match step {
        Step::Fault(fault) => {
            mill.bench.fault(fault);
            return None;
        }
        Step::Run(resolution) => mill.run(*resolution, &with).await,
        Step::Backfill(resolution, minutes, count) => {
            let ago = |minutes| noon() - TimeDelta::minutes(minutes);
            let reach = Reach::Between(ago(minutes.end), Some(ago(minutes.start)));
            let coins: Vec<&str> = coins[..*count].iter().map(String::as_str).collect();
            mill.backfill(*resolution, reach, &coins, &with).await
        }
    };
    match outcome {
        Ok(report) => Some(report),
        Err(error @ (Error::Incomplete { .. } | Error::Source { .. })) => {
            said(&error);
            None
        }
        Err(error) => panic!("{step:?}: {}", error.chain()),
    }
}

/// One pass over the whole span.
async fn pass(mill: &Mill, coins: &[String]) {
    for step in [
        Step::Run(Resolution::FiveMinutes),
        Step::Backfill(Resolution::Hour, 0..REACH, COINS),
        Step::Backfill(Resolution::Day, 0..REACH, COINS),
    ] {
        let report = take(mill, coins, &step).await;
        assert_eq!(
            report.map(|report| report.state),
            Some(RunState::Complete),
            "{step:?}"
        );
    }
}

/// What the database says of the span: a step may have brought more before it, and the last pass after it. Of five-minutely
/// points it is what can still be had an hour later.
async fn view(mill: &Mill) -> View {
    let noon = noon().timestamp_millis();
    let start = noon - REACH * 60_000;
    let mut view = mill.view().await;
    view.retain(|key, _| {
        let start = if key.1 == 5 { noon - 22 * HOUR } else { start };
        (start..noon - 15 * 60_000).contains(&key.2)
    });
    view
}

async fn market(kind: Kind) -> (Mill, Vec<String>) {
    let mill = Mill::seeded(kind, 7, COINS).await;
    let coins = mill.bench.ranking(COINS).await;
    mill.snapshot("3").await;
    (mill, coins)
}

async fn live(kind: Kind, steps: &[Step], expected: &View) {
    let (mill, coins) = market(kind).await;
    let disturbed = steps.iter().any(|step| matches!(step, Step::Fault(_)));
    for step in steps {
        let report = take(&mill, &coins, step).await;
        if disturbed {
            continue;
        }
        assert_eq!(
            report.map(|report| report.state),
            Some(RunState::Complete),
            "{step:?}"
        );
        let (calls, counts) = (mill.bench.sim.calls(), mill.counts().await);
        let again = take(&mill, &coins, step).await.unwrap();
        assert_eq!(
            (again.calls, again.stored, again.revisions),
            (0, 0, 0),
            "{step:?} again"
        );
        assert_eq!(
            (mill.bench.sim.calls(), mill.counts().await),
            (calls, counts),
            "{step:?} again"
        );
    }
    mill.bench.sim.clear_faults();
    if disturbed {
        // what was empty is fetched again an hour later
        mill.bench.sim.advance(TimeDelta::minutes(61)).unwrap();
    }
    pass(&mill, &coins).await;
    let found = view(&mill).await;
    let lost: Vec<_> = expected
        .keys()
        .filter(|key| !found.contains_key(*key))
        .collect();
    assert!(lost.is_empty(), "{} lost, as {:?}", lost.len(), lost[0]);
    let odd: Vec<_> = found
        .iter()
        .filter(|(key, values)| expected.get(*key) != Some(*values))
        .take(5)
        .collect();
    assert!(odd.is_empty(), "not as in one pass, among others: {odd:?}");
    // the API changed nothing, so nothing is revised; what came is the first that was known
    let revised = mill.count("price_revision").await;
    assert_eq!((revised, mill.count("quarantine").await), (0, 0));
    let calls = mill.bench.sim.calls();
    pass(&mill, &coins).await;
    assert_eq!(mill.bench.sim.calls(), calls);
    let unfinished = "select count(*) from run where state in ('running', 'abandoned')";
    assert_eq!(mill.number(unfinished).await, 0);
}

fn check(kind: Kind, cases: u32, steps: &impl Strategy<Value = Vec<Step>>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let expected = runtime.block_on(async {
        let (mill, coins) = market(Kind::Sqlite).await;
        pass(&mill, &coins).await;
        view(&mill).await
    });
    let hours = expected.keys().filter(|key| key.1 == 60).count();
    let whole = COINS * usize::try_from(REACH * 60_000 / HOUR).unwrap();
    assert!((whole - 12..=whole).contains(&hours), "{hours}");
    let days = expected
        .keys()
        .filter(|key| key.1 == 1440 && key.2 % DAY == 0);
    assert!((COINS * 11..=COINS * 12).contains(&days.count()));
    let config = Config {
        cases,
        max_shrink_iters: 30,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(steps, |steps| {
            runtime.block_on(live(kind, &steps, &expected));
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}

fn undisturbed() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(work(), 1..6)
}

fn disturbed() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![2 => fault(), 3 => work()];
    prop::collection::vec(step, 2..8)
}

#[test]
fn any_order_of_runs_and_backfills_gives_what_one_pass_gives() {
    check(Kind::Sqlite, 10, &undisturbed());
}

#[test]
fn any_order_of_runs_and_backfills_gives_what_one_pass_gives_on_postgresql() {
    check(Kind::Postgres, 4, &undisturbed());
}

#[test]
fn any_order_with_faults_between_gives_what_one_pass_gives() {
    check(Kind::Sqlite, 10, &disturbed());
}

#[test]
fn any_order_with_faults_between_gives_what_one_pass_gives_on_postgresql() {
    check(Kind::Postgres, 4, &disturbed());
}
