//! A prune beside others: readers see one moment, runs at work go on, a second prune waits its turn, and the sums stay right.

use std::sync::Arc;

use chrono::TimeDelta;
use coinmill::error::Error;
use coinmill::failpoint;
use coinmill::pipeline;
use coinmill::series::Resolution;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::scene::{four_days, prune, stopped_at, yesterday};
use crate::support::command::{code, coinmill, finish, text};
use crate::support::{Kind, noon, on_both_databases};

on_both_databases!(
    a_reader_in_a_transaction_sees_what_it_saw,
    a_prune_beside_runs_disturbs_none_of_them,
    a_second_prune_beside_one_is_held,
);

const ONE_DAY: [(&str, &str); 1] = [("retention_days_5m", "1")];

async fn a_reader_in_a_transaction_sees_what_it_saw(kind: Kind) {
    let mill = four_days(kind).await;
    let sql = "select count(*) from timeseries.price_point where resolution = 5";
    let url = mill.timeseries.url();
    if kind == Kind::Postgres {
        let mut reader = PgConnection::connect(&url).await.unwrap();
        reader
            .execute("begin isolation level repeatable read read only")
            .await
            .unwrap();
        let count = async |reader: &mut PgConnection| {
            sqlx::query_scalar::<_, i64>(sql)
                .fetch_one(reader)
                .await
                .unwrap()
        };
        let before = count(&mut reader).await;
        prune(&mill, &ONE_DAY).await.unwrap();
        assert_eq!(count(&mut reader).await, before);
        reader.execute("commit").await.unwrap();
        assert!(count(&mut reader).await < before);
        return;
    }
    let options = SqliteConnectOptions::new().filename(mill.timeseries.file());
    let mut reader = SqliteConnection::connect_with(&options).await.unwrap();
    reader.execute("begin").await.unwrap();
    let sql = "select count(*) from price_point where resolution = 5";
    let count = async |reader: &mut SqliteConnection| {
        sqlx::query_scalar::<_, i64>(sql)
            .fetch_one(reader)
            .await
            .unwrap()
    };
    let before = count(&mut reader).await;
    prune(&mill, &ONE_DAY).await.unwrap();
    assert_eq!(count(&mut reader).await, before);
    reader.execute("commit").await.unwrap();
    assert!(count(&mut reader).await < before);
}

async fn a_prune_beside_runs_disturbs_none_of_them(kind: Kind) {
    let mill = four_days(kind).await;
    let arguments = ["prune"];
    let with = [
        ("RETENTION_DAYS_5M", "1"),
        ("RETENTION_DAYS_1H", "1"),
        ("RETENTION_DAYS_LANDING", "1"),
        ("TEST_BATCH", "1"),
    ];
    let pruned = finish(coinmill(
        &mill.bench,
        Some(&mill.timeseries),
        &arguments,
        &with,
    ));
    let runs = async {
        for _ in 0..6 {
            mill.bench.sim.advance(TimeDelta::minutes(30)).unwrap();
            mill.snapshot("4").await;
            for resolution in [Resolution::FiveMinutes, Resolution::Hour] {
                let report = mill.run(resolution, &[]).await.unwrap();
                assert!(report.error.is_none());
            }
        }
    };
    let (pruned, ()) = tokio::join!(pruned, runs);
    assert_eq!(code(&pruned), 0, "{}", text(&pruned));
    mill.counts().await;
    mill.bench.database.counts().await;
    let first = mill
        .number("select count(distinct coin) from price_point where resolution = 5")
        .await;
    assert_eq!(first, 4);
    let old = format!(
        "select count(*) from price_point where resolution = 5 and ts < {}",
        mill.timeseries.instant(yesterday())
    );
    assert_eq!(mill.number(&old).await, 0);
}

async fn a_second_prune_beside_one_is_held(kind: Kind) {
    let _alone = fail::FailScenario::setup();
    let mill = Arc::new(four_days(kind).await);
    let (mut horizon, let_go) = stopped_at(failpoint::HORIZON_RECORDED);
    let first = tokio::spawn({
        let mill = Arc::clone(&mill);
        async move { prune(&mill, &ONE_DAY).await }
    });
    horizon.recv().await.unwrap();
    let error = prune(&mill, &ONE_DAY).await.unwrap_err();
    assert!(matches!(error, Error::Held { .. }), "{error:?}");
    assert!(error.to_string().contains("another prune"), "{error}");
    // to say what would be deleted needs no lock, and a run is held by none
    pipeline::prune(&mill.settings(&ONE_DAY), true)
        .await
        .unwrap();
    mill.run(Resolution::FiveMinutes, &[]).await.unwrap();
    let_go.send(()).unwrap();
    first.await.unwrap().unwrap();
    mill.counts().await;
}

/// A coin that comes back just while its last old points go: a run counts the coins that have points before it waits for the
/// writer's lock, and the prune is the one that has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sums_are_right_when_a_prune_comes_between_a_run_and_the_writer_s_lock() {
    let _alone = fail::FailScenario::setup();
    let mill = Arc::new(four_days(Kind::Postgres).await);
    // bitcoin has old points only
    let at = mill.timeseries.instant(yesterday() - TimeDelta::hours(1));
    let coin = "coin = (select key from coin where id = 'bitcoin') and resolution = 5";
    for (table, column) in [
        ("price_point", "ts"),
        ("price_revision", "ts"),
        ("coverage", "ends_at"),
    ] {
        mill.rows(&format!(
            "delete from {table} where {coin} and {column} >= {at}"
        ))
        .await;
    }
    mill.rows("delete from tally where resolution = 5").await;
    mill.rows(
        "insert into tally select 5, (select max(id) from \"commit\"), count(distinct coin), count(*), min(ts), max(ts) \
         from price_point where resolution = 5",
    )
    .await;
    mill.counts().await;
    mill.bench
        .sim
        .set_clock(noon() + TimeDelta::hours(1))
        .unwrap();

    let url = mill.timeseries.url();
    let (mut horizon, let_go) = stopped_at(failpoint::HORIZON_RECORDED);
    let pruning = tokio::spawn({
        let mill = Arc::clone(&mill);
        async move { prune(&mill, &ONE_DAY).await }
    });
    horizon.recv().await.unwrap();
    // who has the writer's lock lets the prune come first in the line, and the run next
    let mut writer = PgConnection::connect(&url).await.unwrap();
    writer
        .execute("begin; select pg_advisory_xact_lock(1668245869, 0)")
        .await
        .unwrap();
    let_go.send(()).unwrap();
    let waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted and database = \
                   (select oid from pg_database where datname = current_database())";
    while mill.number(waiting).await < 1 {}
    let running = tokio::spawn({
        let mill = Arc::clone(&mill);
        async move { mill.bitcoin().await }
    });
    while mill.number(waiting).await < 2 {}
    writer.execute("commit").await.unwrap();
    pruning.await.unwrap().unwrap();
    assert!(running.await.unwrap().unwrap().stored > 0);
    mill.counts().await;
}
