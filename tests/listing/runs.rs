//! The runs of a day: one call, none that is paid for twice, and no list that cannot be all of it.

use chrono::TimeDelta;
use coinmill::error::Error;
use coinmill::pipeline::{self, RunState};
use coinmill::sim::SimPlan;
use coinmill::store::SnapshotStore;

use super::{delist, list, list_with, tomorrow};
use crate::support::{Bench, Database, KEY, Kind, on_both_databases};

on_both_databases!(
    a_days_list_is_fetched_once_and_leaves_one_row_in_the_ledger,
    what_a_run_of_the_day_landed_is_not_asked_for_again,
    a_list_that_lacks_too_many_is_landed_refused_and_asked_for_again_later,
    an_empty_list_delists_nobody,
    what_is_no_list_is_asked_for_again,
    a_refused_record_is_in_quarantine_and_its_coin_is_not_absent,
    a_frozen_contract_stores_nothing_and_the_body_is_recovered,
    the_last_calls_of_a_month_are_for_its_snapshots,
    a_run_at_work_holds_the_list,
);

async fn a_days_list_is_fetched_once_and_leaves_one_row_in_the_ledger(kind: Kind) {
    let bench = Bench::new(kind, 50).await;
    let first = list(&bench).await.unwrap();
    bench.sim.advance(TimeDelta::hours(8)).unwrap();
    let again = list(&bench).await.unwrap();
    assert_eq!(
        (again.state, again.calls, again.stored),
        (RunState::Complete, 0, 0)
    );
    assert_eq!((&again.run, again.accepted), (&first.run, 50));
    assert_eq!(
        (again.content_hash, bench.sim.calls()),
        (first.content_hash, 1)
    );
    let row = bench
        .database
        .rows("select kind, state, slot, accepted, calls from run")
        .await;
    assert_eq!(row.len(), 1);
    assert_eq!(
        (row[0][0].text(), row[0][1].text()),
        ("listing", "complete")
    );
    assert_eq!((row[0][3].int(), row[0][4].int()), (50, 1));
    assert_eq!(bench.database.counts().await, [1, 0, 0, 0, 0, 0]);
    tomorrow(&bench);
    assert_eq!(list(&bench).await.unwrap().calls, 1);
}

async fn what_a_run_of_the_day_landed_is_not_asked_for_again(kind: Kind) {
    let mut bench = Bench::new(kind, 50).await;
    let first = list(&bench).await.unwrap();
    // the same landing beside a database that knows nothing of it: as after a death between landing and commit
    bench.database = Database::ready(kind).await;
    let again = list(&bench).await.unwrap();
    assert_eq!((again.calls, again.recovered, again.accepted), (0, 1, 50));
    assert_eq!(
        (again.content_hash, bench.sim.calls()),
        (first.content_hash, 1)
    );
}

async fn a_list_that_lacks_too_many_is_landed_refused_and_asked_for_again_later(kind: Kind) {
    let bench = Bench::new(kind, 200).await;
    list(&bench).await.unwrap();
    let sql = "select coin_id from listed order by coin_id";
    let all = bench.database.rows(sql).await;
    for row in &all[..20] {
        delist(&bench, row[0].text());
    }
    tomorrow(&bench);
    for calls in [1, 0] {
        let before = bench.sim.calls();
        let error = list(&bench).await.unwrap_err();
        assert!(matches!(error, Error::Data { .. }), "{error}");
        assert!(error.to_string().contains("lacks 20 of the 200"), "{error}");
        assert_eq!(bench.sim.calls() - before, calls);
    }
    bench.sim.advance(TimeDelta::hours(7)).unwrap();
    let before = bench.sim.calls();
    list(&bench).await.unwrap_err();
    assert_eq!(bench.sim.calls() - before, 1);
    assert_eq!(
        bench
            .database
            .number("select count(*) from listed where state <> 'listed'")
            .await,
        0
    );
    assert_eq!(
        bench
            .database
            .number("select count(*) from run where state = 'failed'")
            .await,
        3
    );
    let accepted = list_with(&bench, &[], true).await.unwrap();
    assert_eq!(
        (accepted.absent, accepted.calls, accepted.recovered),
        (20, 0, 1)
    );
}

async fn an_empty_list_delists_nobody(kind: Kind) {
    let bench = Bench::new(kind, 50).await;
    list(&bench).await.unwrap();
    tomorrow(&bench);
    bench.fault("body:path=/coins/list,times=0,text=[]");
    let error = list(&bench).await.unwrap_err();
    assert!(error.to_string().contains("is empty"), "{error}");
    assert_eq!(
        bench.database.number("select count(*) from listed").await,
        50
    );
}

async fn what_is_no_list_is_asked_for_again(kind: Kind) {
    let bench = Bench::new(kind, 50).await;
    bench.fault("truncate:times=1");
    let error = list_with(&bench, &[("attempts", "1")], false)
        .await
        .unwrap_err();
    assert!(error.is_retryable(), "{error}");
    let report = list(&bench).await.unwrap();
    assert_eq!((report.calls, report.recovered), (1, 0));
}

async fn a_refused_record_is_in_quarantine_and_its_coin_is_not_absent(kind: Kind) {
    let bench = Bench::new(kind, 50).await;
    list(&bench).await.unwrap();
    let change = coinmill::sim::CoinChange {
        symbol: Some(String::new()),
        ..Default::default()
    };
    bench.sim.change_coin("tether", change).unwrap();
    for day in 0..2 {
        tomorrow(&bench);
        let report = list(&bench).await.unwrap();
        assert_eq!(
            (report.state, report.rejected, report.stored),
            (RunState::Partial, 1, 0),
            "{day}"
        );
        assert_eq!(report.missing[0].coin_id.as_deref(), Some("tether"));
    }
    let settings = bench.settings(&[]);
    let refused = pipeline::quarantine(&settings, &pipeline::Pick::Open)
        .await
        .unwrap();
    assert_eq!(
        (refused.len(), refused[0].rule.as_str()),
        (2, "missing_symbol")
    );
    // the next list has it again: nothing of this one is validated once more
    assert_eq!(
        pipeline::requeue(&settings, &pipeline::Pick::Open)
            .await
            .unwrap(),
        []
    );
    let pick = pipeline::Pick::Ids(vec![refused[0].id]);
    let error = pipeline::requeue(&settings, &pick).await.unwrap_err();
    assert!(
        error.to_string().contains("coinmill run listing"),
        "{error}"
    );
}

async fn a_frozen_contract_stores_nothing_and_the_body_is_recovered(kind: Kind) {
    let bench = Bench::new(kind, 50).await;
    bench.fault("set:times=1,path=/coins/list,field=rank,value=1");
    let error = list_with(&bench, &[("contract", "freeze")], false)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("/coins/list"), "{error}");
    assert_eq!(
        bench.database.number("select count(*) from listed").await,
        0
    );
    let report = list(&bench).await.unwrap();
    assert_eq!(
        (report.calls, report.recovered, report.drift.len()),
        (0, 1, 1)
    );
}

async fn the_last_calls_of_a_month_are_for_its_snapshots(kind: Kind) {
    let bench = Bench::playing(kind, 50, SimPlan::default()).await;
    let plan = |credits: &'static str| {
        [
            ("plan", "demo"),
            ("api_key", KEY),
            ("credits_per_month", credits),
            ("top", "50"),
        ]
    };
    // two half-hours make a schedule; of January 17 days and 11 hours are left
    for _ in 0..2 {
        bench.run(&plan("5000")).await.unwrap();
        bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    }
    let error = list_with(&bench, &plan("800"), false).await.unwrap_err();
    assert!(matches!(error, Error::Budget { .. }), "{error}");
    assert!(error.to_string().contains("for its snapshots"), "{error}");
    assert_eq!(
        list_with(&bench, &plan("5000"), false).await.unwrap().calls,
        1
    );
}

async fn a_run_at_work_holds_the_list(kind: Kind) {
    let bench = Bench::new(kind, 50).await;
    let mut store = SnapshotStore::open(&bench.database.database_url(), "usd")
        .await
        .unwrap();
    store.hold_the_list().await.unwrap();
    let error = list(&bench).await.unwrap_err();
    assert!(matches!(error, Error::Held { .. }), "{error}");
    assert_eq!(bench.sim.calls(), 0);
    // a snapshot does not wait for it
    bench.run(&[("top", "50")]).await.unwrap();
    store.close().await.unwrap();
    list(&bench).await.unwrap();
}
