//! Runs after runs: what is there is not asked for, not paid for and not stored again.

use coinmill::error::Error;
use coinmill::pipeline::RunState;
use coinmill::store::SnapshotStore;

use crate::support::{Bench, Database, Kind, noon, noon_slot, on_both_databases, report_of, said};

on_both_databases!(
    a_complete_slot_costs_no_call_and_adds_no_row,
    a_failing_page_leaves_what_came_and_the_next_run_asks_only_for_the_rest,
    the_bodies_of_a_run_that_died_are_recovered_without_paying,
    the_bodies_of_a_run_that_died_are_recovered_and_only_the_rest_is_paid_for,
    a_raised_top_asks_for_more_within_a_complete_slot,
    a_lowered_top_asks_for_nothing,
    a_coin_named_later_is_asked_for_alone,
    a_run_that_died_is_abandoned_by_the_next,
    a_run_of_another_slot_that_is_alive_is_not_abandoned,
    a_held_slot_is_an_error_that_says_so,
    a_damaged_body_is_asked_for_again,
);

async fn a_complete_slot_costs_no_call_and_adds_no_row(kind: Kind) {
    let bench = Bench::new(kind, 300).await;
    let first = bench.run(&[("top", "300")]).await.unwrap();
    let counts = bench.database.counts().await;
    let again = bench.run(&[("top", "300")]).await.unwrap();
    assert_eq!(
        (again.state, again.stored, again.calls, again.recovered),
        (RunState::Complete, 0, 0, 0)
    );
    assert_eq!(
        (again.accepted, &again.content_hash),
        (300, &first.content_hash)
    );
    assert_eq!(
        (again.expected, again.received),
        (first.expected, first.received)
    );
    assert_eq!((again.score, again.warnings), (first.score, first.warnings));
    assert_eq!(bench.sim.calls(), 2);
    assert_eq!(bench.database.counts().await, counts);
    assert_eq!(bench.database.states().await, ["complete", "complete"]);
    let stored = bench
        .database
        .rows("select stored, calls from run order by id")
        .await;
    assert_eq!(
        stored[1].iter().map(|cell| cell.int()).collect::<Vec<_>>(),
        [0, 0]
    );
}

async fn a_failing_page_leaves_what_came_and_the_next_run_asks_only_for_the_rest(kind: Kind) {
    let bench = Bench::new(kind, 600).await;
    bench.fault("503:after=1,times=0");
    let error = bench
        .run(&[("top", "600"), ("attempts", "1")])
        .await
        .unwrap_err();
    let chain = said(&error);
    assert!(
        chain.contains("200 of 600") && chain.contains("ranks 201 to 400 (page 2 of 3)"),
        "{chain}"
    );
    assert!(
        chain.contains("HTTP 503") && chain.contains("run it again"),
        "{chain}"
    );
    assert!(error.is_retryable());
    let report = report_of(Err(error));
    assert_eq!(
        (&report["state"], &report["calls"], &report["stored"]),
        (&"partial".into(), &2.into(), &200.into())
    );
    assert_eq!(report["missing"].as_array().unwrap().len(), 2);
    assert_eq!(
        bench.database.number("select count(*) from quote").await,
        200
    );
    let row = bench
        .database
        .row("select state, expected, received, top from snapshot_now")
        .await;
    assert_eq!(
        (row[0].text(), row[1].int(), row[2].int(), row[3].int()),
        ("partial", 600, 200, 600)
    );
    let ledger = bench
        .database
        .row("select state, expected, received, accepted, stored, calls, error from run")
        .await;
    let numbers: Vec<i64> = ledger[1..6].iter().map(|cell| cell.int()).collect();
    assert_eq!(
        (ledger[0].text(), numbers),
        ("partial", vec![600, 200, 200, 200, 2])
    );
    assert!(ledger[6].text().contains("HTTP 503"));

    bench.sim.clear_faults();
    let before = bench.sim.calls();
    let report = bench.run(&[("top", "600")]).await.unwrap();
    assert_eq!(
        (report.state, report.stored, report.accepted),
        (RunState::Complete, 400, 600)
    );
    assert_eq!(
        (report.calls, bench.sim.calls() - before, report.recovered),
        (2, 2, 1)
    );
    assert_eq!(bench.pages_requested(), [1, 2, 2, 3]);
    assert_eq!(
        bench.database.number("select count(*) from quote").await,
        600
    );
    assert_eq!(bench.database.states().await, ["partial", "complete"]);
    let clean = Bench::new(Kind::Sqlite, 600).await;
    let hash = clean.run(&[("top", "600")]).await.unwrap().content_hash;
    assert_eq!(report.content_hash, hash);
}

async fn the_bodies_of_a_run_that_died_are_recovered_without_paying(kind: Kind) {
    let mut bench = Bench::new(kind, 500).await;
    let first = bench.run(&[("top", "500")]).await.unwrap();
    // to the next run, one that was killed before its commit looks like this: bodies, and no database that knows them
    bench.database = Database::ready(kind).await;
    let report = bench.run(&[("top", "500")]).await.unwrap();
    assert_eq!(
        (report.state, report.stored, report.calls, report.recovered),
        (RunState::Complete, 500, 0, 2)
    );
    assert_eq!(
        (report.content_hash, report.landing_folder),
        (first.content_hash, None)
    );
    assert_eq!(bench.sim.calls(), 2);
    let runs = bench
        .database
        .texts("select distinct path from landing")
        .await;
    assert!(
        runs.iter().all(|path| path.contains(&first.run)),
        "{runs:?}"
    );
}

async fn the_bodies_of_a_run_that_died_are_recovered_and_only_the_rest_is_paid_for(kind: Kind) {
    let mut bench = Bench::new(kind, 510).await;
    bench.fault("500:after=2,times=0");
    bench
        .run(&[("top", "510"), ("attempts", "1")])
        .await
        .unwrap_err();
    bench.sim.clear_faults();
    bench.database = Database::ready(kind).await;
    let report = bench.run(&[("top", "510")]).await.unwrap();
    assert_eq!(
        (report.state, report.stored, report.calls, report.recovered),
        (RunState::Complete, 510, 1, 2)
    );
    assert_eq!(bench.pages_requested(), [1, 2, 3, 3]);
}

async fn a_raised_top_asks_for_more_within_a_complete_slot(kind: Kind) {
    let bench = Bench::new(kind, 600).await;
    bench.run(&[("top", "100")]).await.unwrap();
    let report = bench.run(&[("top", "600")]).await.unwrap();
    assert_eq!(
        (report.state, report.expected, report.accepted),
        (RunState::Complete, 600, 600)
    );
    assert_eq!((report.stored, report.calls), (500, 3));
    let row = bench
        .database
        .row("select top, expected, received, state from snapshot_now")
        .await;
    assert_eq!(
        (row[0].int(), row[1].int(), row[2].int(), row[3].text()),
        (600, 600, 600, "complete")
    );
    let clean = Bench::new(Kind::Sqlite, 600).await;
    assert_eq!(
        report.content_hash,
        clean.run(&[("top", "600")]).await.unwrap().content_hash
    );
}

async fn a_lowered_top_asks_for_nothing(kind: Kind) {
    let bench = Bench::new(kind, 600).await;
    let first = bench.run(&[("top", "600")]).await.unwrap();
    let report = bench.run(&[("top", "10")]).await.unwrap();
    assert_eq!(
        (report.state, report.calls, report.stored),
        (RunState::Complete, 0, 0)
    );
    assert_eq!(
        (report.accepted, report.content_hash),
        (600, first.content_hash)
    );
}

async fn a_coin_named_later_is_asked_for_alone(kind: Kind) {
    let bench = Bench::new(kind, 120).await;
    let outside = bench.ranking(120).await.pop().unwrap();
    bench.run(&[("top", "50")]).await.unwrap();
    let report = bench
        .run(&[("top", "50"), ("add_coins", &outside)])
        .await
        .unwrap();
    assert_eq!(
        (report.state, report.expected, report.stored),
        (RunState::Complete, 51, 1)
    );
    assert_eq!(report.calls, 1);
    assert!(
        bench
            .calls()
            .pop()
            .unwrap()
            .0
            .contains(&format!("ids={outside}&"))
    );
}

async fn a_run_that_died_is_abandoned_by_the_next(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let earlier = noon_slot().start() - coinmill::market::Slot::LENGTH;
    for (id, slot) in [
        ("a-dead-one", noon_slot().start()),
        ("an-older-dead-one", earlier),
    ] {
        let (slot, began) = (bench.database.instant(slot), bench.database.instant(noon()));
        let sql = format!(
            "insert into run (id, kind, slot, state, started_at, version, rule_set, api_url) \
             values ('{id}', 'snapshot', {slot}, 'running', {began}, '0', '-', '-')"
        );
        bench.database.rows(&sql).await;
    }
    let report = bench.run(&[("top", "20")]).await.unwrap();
    let sql = "select state, finished_at from run where id like 'a%dead%' order by id";
    let dead = bench.database.rows(sql).await;
    assert_eq!(dead.len(), 2);
    for row in dead {
        assert_eq!(
            (row[0].text(), row[1].int()),
            ("abandoned", noon().timestamp_millis())
        );
    }
    let sql = format!("select state from run where id = '{}'", report.run);
    assert_eq!(bench.database.texts(&sql).await, ["complete"]);
}

async fn a_run_of_another_slot_that_is_alive_is_not_abandoned(kind: Kind) {
    // on SQLite all slots share one lock, so a run beside another one is refused instead
    let bench = Bench::new(kind, 20).await;
    let mut other = SnapshotStore::open(&bench.database.database_url(), "usd")
        .await
        .unwrap();
    let earlier =
        coinmill::market::Slot::containing(noon_slot().start() - coinmill::market::Slot::LENGTH);
    other.hold(earlier).await.unwrap();
    let (slot, began) = (
        bench.database.instant(earlier.start()),
        bench.database.instant(noon()),
    );
    let sql = format!(
        "insert into run (id, kind, slot, state, started_at, version, rule_set, api_url) \
         values ('alive', 'snapshot', {slot}, 'running', {began}, '0', '-', '-')"
    );
    bench.database.rows(&sql).await;
    let outcome = bench.run(&[("top", "20")]).await;
    match kind {
        Kind::Postgres => assert_eq!(outcome.unwrap().state, RunState::Complete),
        Kind::Sqlite => assert!(matches!(outcome, Err(Error::Held { .. }))),
    }
    let state = bench
        .database
        .texts("select state from run where id = 'alive'")
        .await;
    assert_eq!(state, ["running"]);
    other.close().await.unwrap();
}

async fn a_held_slot_is_an_error_that_says_so(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let mut other = SnapshotStore::open(&bench.database.database_url(), "usd")
        .await
        .unwrap();
    other.hold(noon_slot()).await.unwrap();
    let error = bench.run(&[("top", "20")]).await.unwrap_err();
    assert!(matches!(error, Error::Held { .. }) && error.is_retryable());
    let chain = said(&error);
    assert!(
        chain.contains("2026-01-14T12:00Z") && chain.contains("let it finish"),
        "{chain}"
    );
    assert_eq!(
        (bench.sim.calls(), bench.database.states().await.len()),
        (0, 0)
    );
    other.close().await.unwrap();
    assert_eq!(
        bench.run(&[("top", "20")]).await.unwrap().state,
        RunState::Complete
    );
}

async fn a_damaged_body_is_asked_for_again(kind: Kind) {
    let mut bench = Bench::new(kind, 500).await;
    let first = bench.run(&[("top", "500")]).await.unwrap();
    let folder = std::path::PathBuf::from(first.landing_folder.unwrap());
    std::fs::write(
        folder.join("0001-coins-markets.zst"),
        b"no longer what it was",
    )
    .unwrap();
    bench.database = Database::ready(kind).await;
    let report = bench.run(&[("top", "500")]).await.unwrap();
    assert_eq!(
        (report.state, report.stored, report.calls, report.recovered),
        (RunState::Complete, 500, 1, 1)
    );
    assert_eq!(report.content_hash, first.content_hash);
}
