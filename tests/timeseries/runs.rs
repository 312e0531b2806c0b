//! A run and its ledger: which coins it follows, what it writes of itself, and whom it keeps out.

use chrono::TimeDelta;
use coinmill::error::Error;
use coinmill::pipeline::{Reach, RunState};
use coinmill::series::Resolution;

use crate::series::{Claimant, Mill, partial};
use crate::support::{Cell, Database, Kind, noon, on_both_databases, said};

on_both_databases!(
    a_run_without_a_snapshot_names_the_command,
    a_run_follows_the_coins_of_the_newest_snapshot_and_those_named,
    the_ledger_says_what_a_run_did,
    the_ledger_counts_the_calls_of_a_run_that_failed,
    a_held_series_is_an_error_that_says_so,
    a_run_at_work_on_another_resolution_is_left_alone,
    a_run_beside_a_backfill_of_another_resolution_stores_what_each_alone_would,
    a_run_that_died_is_abandoned_by_the_next,
    every_point_is_traced_to_its_bytes,
    another_currency_names_the_one_that_the_database_holds,
);

const FIVE: Resolution = Resolution::FiveMinutes;

async fn a_run_without_a_snapshot_names_the_command(kind: Kind) {
    let mill = Mill::new(kind, 5).await;
    let error = mill.run(FIVE, &[]).await.unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error:?}");
    let chain = said(&error);
    for remedy in ["coinmill run snapshot", "run all", "COINMILL_COINS"] {
        assert!(chain.contains(remedy), "{chain}");
    }
    assert_eq!((mill.bench.sim.calls(), mill.states().await.len()), (0, 0));
}

async fn a_run_follows_the_coins_of_the_newest_snapshot_and_those_named(kind: Kind) {
    let mill = Mill::new(kind, 8).await;
    let mut ranking = mill.bench.ranking(8).await;
    mill.snapshot("6").await;
    mill.bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    mill.snapshot("3").await;
    let outside = ranking.pop().unwrap();
    let named = format!("{outside},{}", ranking[0]);
    let report = mill.run(FIVE, &[("add_coins", &named)]).await.unwrap();
    assert_eq!((report.expected, report.received, report.calls), (4, 4, 4));
    let (mut asked, mut wanted) = (mill.requested(), ranking[..3].to_vec());
    wanted.push(outside);
    asked.sort();
    wanted.sort();
    assert_eq!(asked, wanted);
}

async fn the_ledger_says_what_a_run_did(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.snapshot("3").await;
    let report = mill.run(FIVE, &[]).await.unwrap();
    assert_eq!(
        (report.state, report.kind),
        (RunState::Complete, "timeseries")
    );
    let points = mill.count("price_point").await;
    // three coins of 24 hours less ten minutes, of which the API loses a point now and then
    assert!((840..=864).contains(&points), "{points}");
    let row = mill
        .row(
            "select id, kind, state, slot, cast(resolution as bigint), expected, received, rejected, stored, calls, \
             started_at, finished_at, error, api_url, report from run",
        )
        .await;
    assert_eq!(row[0].text(), report.run);
    assert_eq!((row[1].text(), row[2].text()), ("timeseries", "complete"));
    assert_eq!((&row[3], row[4].int()), (&Cell::Null, 5));
    let numbers: Vec<i64> = row[5..10].iter().map(Cell::int).collect();
    assert_eq!(numbers, [3, 3, 0, points, 3]);
    let at = noon().timestamp_millis();
    assert_eq!((row[10].int(), row[11].int()), (at, at));
    assert_eq!(
        (&row[12], row[13].text()),
        (&Cell::Null, &*mill.bench.sim.url())
    );
    let kept: serde_json::Value = serde_json::from_str(row[14].text()).unwrap();
    assert_eq!(kept, serde_json::to_value(&report).unwrap());
    assert_eq!(
        (report.stored, report.recovered, report.postponed),
        (points.unsigned_abs(), 0, 0)
    );
    assert!(std::path::Path::new(report.landing_folder.as_ref().unwrap()).is_dir());
}

async fn the_ledger_counts_the_calls_of_a_run_that_failed(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.snapshot("3").await;
    mill.bench.fault("500:path=market_chart,times=0");
    let error = mill.run(FIVE, &[("attempts", "1")]).await.unwrap_err();
    assert!(
        matches!(error, Error::Source { .. }) && error.is_retryable(),
        "{error:?}"
    );
    let row = mill
        .row("select state, stored, calls, error from run")
        .await;
    assert_eq!((row[0].text(), row[1].int()), ("failed", 0));
    assert_eq!(row[3].text(), said(&error));
    assert_eq!(
        row[2].int(),
        mill.requested().len() as i64,
        "calls sent and calls in the ledger"
    );
}

async fn a_held_series_is_an_error_that_says_so(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.snapshot("3").await;
    let calls = mill.bench.sim.calls();
    let other = Claimant::of(&mill, "timeseries", FIVE, &["bitcoin"]).await;
    let error = mill.run(FIVE, &[]).await.unwrap_err();
    assert!(matches!(error, Error::Held { .. }) && error.is_retryable());
    let chain = said(&error);
    assert!(
        chain.contains("at work on the 5m series: let it finish"),
        "{chain}"
    );
    let error = mill
        .backfill(FIVE, Reach::Days(1), &["bitcoin"], &[])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Held { .. }) && error.is_retryable());
    let chain = said(&error);
    assert!(
        chain.contains("the 5m series of bitcoin: let it finish, or name other coins"),
        "{chain}"
    );
    assert_eq!(
        (mill.bench.sim.calls(), mill.states().await),
        (calls, vec!["running".to_owned()])
    );
    other.end().await;
    assert_eq!(mill.run(FIVE, &[]).await.unwrap().state, RunState::Complete);
}

async fn a_run_at_work_on_another_resolution_is_left_alone(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.snapshot("3").await;
    let other = Claimant::of(&mill, "timeseries", Resolution::Hour, &["bitcoin"]).await;
    assert_eq!(mill.run(FIVE, &[]).await.unwrap().state, RunState::Complete);
    assert_eq!(mill.states().await, ["running", "complete"]);
    other.end().await;
    assert_eq!(mill.states().await, ["complete", "complete"]);
}

async fn a_run_beside_a_backfill_of_another_resolution_stores_what_each_alone_would(kind: Kind) {
    let mill = Mill::new(kind, 20).await;
    mill.snapshot("20").await;
    let top = [("top", "20")];
    let (run, backfill) = tokio::join!(
        mill.run(FIVE, &top),
        mill.backfill(Resolution::Hour, Reach::Days(20), &[], &top)
    );
    let stored = [run.unwrap(), backfill.unwrap()].map(|report| {
        assert_eq!((report.state, report.received), (RunState::Complete, 20));
        report.stored
    });
    let alone = Mill::new(kind, 20).await;
    alone.snapshot("20").await;
    let run = alone.run(FIVE, &top).await.unwrap();
    let backfill = alone
        .backfill(Resolution::Hour, Reach::Days(20), &[], &top)
        .await
        .unwrap();
    assert_eq!(stored, [run.stored, backfill.stored]);
    assert_eq!(mill.view().await, alone.view().await);
}

async fn a_run_that_died_is_abandoned_by_the_next(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.snapshot("3").await;
    running(&mill, "a-dead-one", "5").await;
    running(&mill, "a-dead-backfill", "60").await;
    let report = mill.run(FIVE, &[]).await.unwrap();
    assert_eq!((report.state, report.recovered), (RunState::Complete, 0));
    for dead in ["a-dead-one", "a-dead-backfill"] {
        assert_eq!(state(&mill, dead).await, "abandoned");
    }
    assert_eq!(state(&mill, &report.run).await, "complete");
}

async fn every_point_is_traced_to_its_bytes(kind: Kind) {
    let mill = Mill::new(kind, 4).await;
    mill.snapshot("4").await;
    mill.run(FIVE, &[]).await.unwrap();
    let sql = "select distinct l.path, l.request, l.sha256, c.id from price_point p \
               join landing l on l.id = p.landing join run r on r.id = l.run join coin c on c.key = p.coin";
    let landed = mill.rows(sql).await;
    assert_eq!(landed.len(), 4);
    for row in landed {
        let packed = std::fs::read(mill.bench.landing().join(row[0].text())).unwrap();
        let body = zstd::decode_all(packed.as_slice()).unwrap();
        assert_eq!(coinmill::landing::sha256(&body), row[2].text());
        let asked = format!(
            "/coins/{}/market_chart?vs_currency=usd&days=1&precision=full",
            row[3].text()
        );
        assert!(row[1].text().ends_with(&asked), "{row:?}");
    }
    let unlanded = "select count(*) from price_point p left join landing l on l.id = p.landing where l.id is null";
    assert_eq!(mill.number(unlanded).await, 0);
}

async fn another_currency_names_the_one_that_the_database_holds(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.bitcoin().await.unwrap();
    let euros = Database::bare(kind).await;
    coinmill::store::SnapshotStore::init(&euros.database_url(), "eur")
        .await
        .unwrap();
    let url = euros.url();
    let with = [
        ("vs_currency", "eur"),
        ("add_coins", "bitcoin"),
        ("snapshot_url", &*url),
    ];
    let errors = [
        mill.run(FIVE, &with).await.unwrap_err(),
        mill.backfill(FIVE, Reach::Days(1), &["bitcoin"], &with)
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::Config { .. }), "{error:?}");
        let chain = said(&error);
        assert!(chain.contains("prices in usd, not in eur"), "{chain}");
        assert!(chain.contains("COINMILL_VS_CURRENCY=usd"), "{chain}");
    }
    assert_eq!((mill.bench.sim.calls(), mill.states().await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_without_tables_asks_for_init_and_is_left_as_it_is() {
    let mut mill = Mill::new(Kind::Sqlite, 3).await;
    mill.snapshot("3").await;
    let calls = mill.bench.sim.calls();
    mill.timeseries = Database::bare(Kind::Postgres).await;
    let errors = [
        mill.run(FIVE, &[]).await.unwrap_err(),
        mill.backfill(Resolution::Hour, Reach::Days(3), &[], &[("top", "3")])
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::Config { .. }), "{error:?}");
        let chain = said(&error);
        assert!(chain.contains("has no coinmill tables"), "{chain}");
        assert!(chain.contains("coinmill init"), "{chain}");
    }
    assert_eq!(mill.bench.sim.calls(), calls);
    let sql = "select count(*) from pg_class where relnamespace not in \
               ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'pg_toast'::regnamespace)";
    assert_eq!(mill.timeseries.number(sql).await, 0);
    coinmill::pipeline::init(&mill.settings(&[])).await.unwrap();
    assert_eq!(mill.run(FIVE, &[]).await.unwrap().state, RunState::Complete);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_coin_is_named_and_the_others_are_stored() {
    let mill = Mill::new(Kind::Sqlite, 3).await;
    mill.snapshot("3").await;
    let with = [("add_coins", "no-such-coin")];
    let report = partial(mill.run(FIVE, &with).await);
    assert_eq!(
        (&report["expected"], &report["received"]),
        (&4.into(), &3.into())
    );
    assert_eq!(report["missing"][0]["coin_id"], "no-such-coin");
    let missing = report["missing"][0]["reason"].as_str().unwrap();
    assert!(missing.contains("coin not found"), "{missing}");
    let lenient = [("add_coins", "no-such-coin"), ("completeness", "0")];
    let report = mill.run(FIVE, &[lenient[0], lenient[1]]).await;
    // alone it is all that there was to ask, so nothing came
    assert!(said(&report.unwrap_err()).contains("coin not found"));
}

async fn running(mill: &Mill, id: &str, minutes: &str) {
    let began = mill.timeseries.instant(noon());
    let sql = format!(
        "insert into run (id, kind, resolution, state, started_at, version, rule_set, api_url) \
         values ('{id}', 'timeseries', {minutes}, 'running', {began}, '0', '-', '-')"
    );
    mill.rows(&sql).await;
}

async fn state(mill: &Mill, id: &str) -> String {
    let sql = format!("select state from run where id = '{id}'");
    mill.row(&sql).await[0].text().to_owned()
}
