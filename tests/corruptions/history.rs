//! Any history of a slot: runs that meet faults, lose their database or their landing, or ask for less.
//! Once a run completes, the slot holds what one undisturbed run stores.

use coinmill::error::Error;
use coinmill::pipeline::RunState;
use proptest::prelude::*;

use crate::support::{Bench, Database, Kind, said};
use crate::{check, runtime};

/// So many coins make two pages.
const TOP: &str = "260";
const COINS: usize = 300;

/// One step in the life of a slot.
#[derive(Debug, Clone)]
enum Step {
    /// The next calls meet this.
    Fault(String),
    /// A run for so many coins.
    Run(u32),
    /// A run for all, and some by name.
    RunNaming(&'static str),
    /// The database is lost: what a run that died before its commit leaves.
    LoseDatabase,
    /// The landing is lost.
    LoseLanding,
}

fn step() -> impl Strategy<Value = Step> {
    let fault = (
        prop::sample::select(vec![
            "429",
            "throttled",
            "1015",
            "500",
            "503",
            "html",
            "limit200",
            "cut",
            "truncate",
            "shift",
            "body",
            "html",
        ]),
        0..3_u32,
        1..3_u32,
    );
    let fault = fault.prop_map(|(kind, after, times)| {
        let rest = if kind == "body" {
            ",status=200,text={}"
        } else {
            ""
        };
        Step::Fault(format!("{kind}:after={after},times={times}{rest}"))
    });
    prop_oneof![
        4 => fault,
        4 => Just(Step::Run(260)),
        1 => (1..260_u32).prop_map(Step::Run),
        1 => prop::sample::select(vec!["bitcoin", "tether,bitcoin", "ethereum"]).prop_map(Step::RunNaming),
        1 => Just(Step::LoseDatabase),
        1 => Just(Step::LoseLanding),
    ]
}

/// One run, which may end in any way that the API's faults explain.
async fn run(bench: &Bench, top: &str, coins: &str) -> Option<(RunState, String)> {
    let mut with = vec![("top", top), ("attempts", "1"), ("timeout", "5")];
    if !coins.is_empty() {
        with.push(("add_coins", coins));
    }
    match bench.run(&with).await {
        Ok(report) => {
            assert!(
                report.accepted <= report.expected.max(260) && report.received <= report.expected
            );
            Some((report.state, report.content_hash.unwrap()))
        }
        Err(error @ (Error::Incomplete { .. } | Error::Source { .. })) => {
            said(&error);
            None
        }
        Err(error) => panic!("{}", error.chain()),
    }
}

async fn live(kind: Kind, steps: &[Step], hash: &str) {
    let mut bench = Bench::new(kind, COINS).await;
    for step in steps {
        match step {
            Step::Fault(fault) => bench.fault(fault),
            Step::Run(top) => drop(run(&bench, &top.to_string(), "").await),
            Step::RunNaming(coins) => drop(run(&bench, TOP, coins).await),
            Step::LoseDatabase => bench.database = Database::ready(kind).await,
            Step::LoseLanding => {
                if bench.landing().exists() {
                    std::fs::remove_dir_all(bench.landing()).unwrap();
                }
            }
        }
    }
    // the faults that are left wear off; each of these runs meets one at least, or completes
    for _ in 0..30 {
        if let Some((RunState::Complete, found)) = run(&bench, TOP, "").await {
            assert_eq!(found, hash);
            let counts = bench.database.counts().await;
            let coins = "select count(distinct coin) from quote";
            assert_eq!((counts[4], bench.database.number(coins).await), (260, 260));
            let calls = bench.sim.calls();
            assert_eq!(
                run(&bench, TOP, "").await,
                Some((RunState::Complete, found))
            );
            assert_eq!(
                (bench.sim.calls(), bench.database.counts().await),
                (calls, counts)
            );
            let running = "select count(*) from run where state = 'running'";
            assert_eq!(bench.database.number(running).await, 0);
            return;
        }
    }
    panic!("the slot never completes");
}

fn any_history_ends_like_an_undisturbed_run(kind: Kind, cases: u32) {
    let runtime = runtime();
    let hash = runtime.block_on(async {
        let bench = Bench::new(Kind::Sqlite, COINS).await;
        bench
            .run(&[("top", TOP)])
            .await
            .unwrap()
            .content_hash
            .unwrap()
    });
    check(cases, &prop::collection::vec(step(), 1..8), |steps| {
        runtime.block_on(live(kind, &steps, &hash));
        Ok(())
    });
}

#[test]
fn any_history_of_a_slot_ends_like_an_undisturbed_run() {
    any_history_ends_like_an_undisturbed_run(Kind::Sqlite, 6);
}

#[test]
fn any_history_of_a_slot_ends_like_an_undisturbed_run_on_postgresql() {
    any_history_ends_like_an_undisturbed_run(Kind::Postgres, 2);
}

/// A coin rises over the edge of a page, is missed, and falls back before anyone looks again.
#[tokio::test]
async fn ranks_that_move_back_between_two_runs_hide_no_coin() {
    let bench = Bench::new(Kind::Sqlite, COINS).await;
    bench.fault("shift");
    bench.fault("503:after=2,times=0");
    assert_eq!(run(&bench, TOP, "").await.unwrap().0, RunState::Partial);
    bench.sim.clear_faults();
    assert_eq!(run(&bench, TOP, "").await.unwrap().0, RunState::Complete);
}
