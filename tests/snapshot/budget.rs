//! The month's calls: reserved before they are made, given back where nothing was charged, and never more than the plan has.

use chrono::TimeDelta;
use coinmill::error::Error;
use coinmill::pipeline::RunState;

use crate::support::{Bench, Kind, noon, on_both_databases, report_of, said};

on_both_databases!(
    what_the_api_charges_is_counted_by_month,
    what_the_api_does_not_charge_is_given_back,
    a_spent_budget_is_an_error_without_a_call,
    a_budget_that_ends_in_the_middle_leaves_what_came_and_says_so,
    a_complete_slot_needs_no_budget,
    without_a_limit_nothing_is_counted,
);

async fn what_the_api_charges_is_counted_by_month(kind: Kind) {
    let bench = Bench::new(kind, 300).await;
    let with = [("top", "300"), ("credits_per_month", "10")];
    bench.run(&with).await.unwrap();
    bench.sim.set_clock(noon() + TimeDelta::days(20)).unwrap();
    bench.run(&with).await.unwrap();
    let rows = bench
        .database
        .rows("select month, credits from budget order by month")
        .await;
    let rows: Vec<(&str, i64)> = rows
        .iter()
        .map(|row| (row[0].text(), row[1].int()))
        .collect();
    assert_eq!(rows, [("2026-01", 2), ("2026-02", 2)]);
}

async fn what_the_api_does_not_charge_is_given_back(kind: Kind) {
    let bench = Bench::new(kind, 300).await;
    bench.fault("503:after=1,times=0");
    let with = [
        ("top", "300"),
        ("credits_per_month", "10"),
        ("attempts", "1"),
    ];
    bench.run(&with).await.unwrap_err();
    assert_eq!(bench.sim.calls(), 2);
    assert_eq!(bench.database.number("select credits from budget").await, 1);
}

async fn a_spent_budget_is_an_error_without_a_call(kind: Kind) {
    let bench = Bench::new(kind, 300).await;
    let with = [("top", "300"), ("credits_per_month", "2")];
    bench.run(&with).await.unwrap();
    bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    let error = bench.run(&with).await.unwrap_err();
    assert!(
        matches!(error, Error::Budget { .. }) && !error.is_retryable(),
        "{error:?}"
    );
    let chain = said(&error);
    assert!(
        chain.contains("2 of the plan's 2 calls of 2026-01 are spent"),
        "{chain}"
    );
    assert!(chain.contains("COINMILL_CREDITS_PER_MONTH"), "{chain}");
    assert_eq!(bench.sim.calls(), 2);
    assert_eq!(bench.database.states().await, ["complete", "failed"]);
    assert_eq!(bench.database.number("select credits from budget").await, 2);
    // the next month has its own
    bench.sim.set_clock(noon() + TimeDelta::days(31)).unwrap();
    assert_eq!(bench.run(&with).await.unwrap().state, RunState::Complete);
}

async fn a_budget_that_ends_in_the_middle_leaves_what_came_and_says_so(kind: Kind) {
    let bench = Bench::new(kind, 600).await;
    let report = report_of(
        bench
            .run(&[("top", "600"), ("credits_per_month", "2")])
            .await,
    );
    assert_eq!(
        (&report["state"], &report["stored"], &report["calls"]),
        (&"partial".into(), &400.into(), &2.into())
    );
    assert!(
        report["error"].as_str().unwrap().contains("are spent"),
        "{report}"
    );
    assert_eq!(
        report["missing"],
        serde_json::json!([{"coin_id": null, "what": "ranks 401 to 600", "reason": "page 3 of 3"}])
    );
    assert_eq!(bench.sim.calls(), 2);
    let report = bench
        .run(&[("top", "600"), ("credits_per_month", "3")])
        .await
        .unwrap();
    assert_eq!((report.state, report.calls), (RunState::Complete, 1));
}

async fn a_complete_slot_needs_no_budget(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    bench
        .run(&[("top", "20"), ("credits_per_month", "1")])
        .await
        .unwrap();
    let again = bench
        .run(&[("top", "20"), ("credits_per_month", "1")])
        .await
        .unwrap();
    assert_eq!((again.state, again.calls), (RunState::Complete, 0));
}

async fn without_a_limit_nothing_is_counted(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    bench.run(&[("top", "20")]).await.unwrap();
    match kind {
        Kind::Sqlite => assert!(!bench.settings(&[]).budget_url.file().unwrap().exists()),
        Kind::Postgres => {
            let counted = bench.database.number("select count(*) from budget").await;
            assert_eq!(counted, 0);
        }
    }
}
