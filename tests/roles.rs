//! The roles that `db-init/` makes: the owner migrates, the writer inserts and updates, the reader reads, and no more.
//! The names of its databases are fixed, so these tests take turns, each with databases made anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_wrap,
    reason = "a test that cannot go on should say where"
)]

mod support;

#[path = "roles/databases.rs"]
mod databases;
#[path = "roles/files.rs"]
mod files;
#[path = "roles/reader.rs"]
mod reader;

use coinmill::config::Settings;
use coinmill::error::{Error, Result};
use coinmill::pipeline::{self, Report, RunState};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use files::{DATABASES, db_init, password};
use support::database::{administrator, postgres_url};
use support::{Bench, Kind, noon, resolve, said};

/// A cluster with `db-init/` applied, held until it is dropped.
struct Cluster {
    /// Holds the lock that keeps the other tests of this file away.
    _turn: PgConnection,
    bench: Bench,
}

impl Cluster {
    async fn new() -> Self {
        let bench = Bench::new(Kind::Sqlite, 50).await;
        let mut turn = PgConnection::connect(&administrator()).await.unwrap();
        turn.execute("select pg_advisory_lock(20260114)")
            .await
            .unwrap();
        for name in DATABASES {
            let sql = AssertSqlSafe(format!("drop database if exists {name} with (force)"));
            turn.execute(sqlx::raw_sql(sql)).await.unwrap();
        }
        db_init(&administrator());
        Self { _turn: turn, bench }
    }

    /// As this role, on the snapshot database.
    fn settings(&self, role: &str, owner: Option<&str>) -> Settings {
        let mut all = vec![
            ("api_url", self.bench.sim.url()),
            ("plan", "unlimited".to_owned()),
            ("clock", "sim".to_owned()),
            ("top", "50".to_owned()),
            ("landing_dir", self.bench.landing().display().to_string()),
            ("snapshot_url", url(role)),
            // without it `init` would make its file in the folder that the tests are run in
            ("data_dir", self.bench.folder.path().display().to_string()),
        ];
        all.extend(owner.map(|owner| ("snapshot_owner_url", url(owner))));
        resolve(all).unwrap()
    }

    async fn init(&self) {
        pipeline::init(&self.settings("coinmill_writer", Some("coinmill_owner")))
            .await
            .unwrap();
    }

    async fn run_as(&self, role: &str) -> Result<Report> {
        pipeline::run_snapshot(
            &self.settings(role, None),
            None,
            &pipeline::Observer::none(),
        )
        .await
    }
}

fn url(role: &str) -> String {
    postgres_url(role, &password(role), "airflow_snapshot")
}

/// What a role gets for a statement: nothing, or the SQLSTATE of the refusal.
async fn attempt(role: &str, sql: &'static str) -> Option<String> {
    let mut connection = PgConnection::connect(&url(role)).await.unwrap();
    let outcome = connection.execute(sqlx::raw_sql(sql)).await;
    outcome.err().map(|error| {
        error
            .as_database_error()
            .unwrap()
            .code()
            .unwrap()
            .into_owned()
    })
}

async fn is_refused(role: &str, statements: &[&'static str]) {
    for sql in statements {
        assert_eq!(
            attempt(role, sql).await.as_deref(),
            Some("42501"),
            "{role}: {sql}"
        );
    }
}

async fn is_allowed(role: &str, statements: &[&'static str]) {
    for sql in statements {
        assert_eq!(attempt(role, sql).await, None, "{role}: {sql}");
    }
}

const CREATIONS: [&str; 10] = [
    "create table snapshot.more (a int)",
    "create table public.more (a int)",
    "create schema more",
    "create view snapshot.more as select 1",
    "create function snapshot.more() returns int language sql as 'select 1'",
    "create index more on snapshot.quote (landing)",
    "alter table snapshot.quote add column more int",
    "drop table snapshot.quote",
    "drop view snapshot.v_latest_prices",
    "drop schema snapshot cascade",
];

#[tokio::test]
async fn the_writer_runs_snapshots_and_can_neither_create_nor_drop_nor_delete() {
    let cluster = Cluster::new().await;
    cluster.init().await;
    let report = cluster.run_as("coinmill_writer").await.unwrap();
    assert_eq!((report.state, report.stored), (RunState::Complete, 50));
    assert_eq!(cluster.run_as("coinmill_writer").await.unwrap().calls, 0);
    let role = "coinmill_writer";
    is_refused(role, &CREATIONS).await;
    is_refused(
        role,
        &[
            "delete from snapshot.quote",
            "delete from snapshot.run",
            "truncate snapshot.quote",
            "update snapshot.quote set current_price = 1",
            "update snapshot.coin_name set symbol = 'x'",
            "update snapshot.quarantine set raw = ''",
            "update snapshot.landing set path = ''",
            "update snapshot.snapshot set state = 'complete'",
            "update snapshot.\"commit\" set id = 0",
            "delete from snapshot.\"commit\"",
            "insert into snapshot.pruned select * from snapshot.pruned",
            "delete from snapshot.pruned",
            "insert into snapshot.setting values ('vs_currency', 'eur')",
            "update snapshot.setting set value = 'eur'",
            "insert into snapshot._sqlx_migrations select * from snapshot._sqlx_migrations",
            "create database more",
            "create role more",
        ],
    )
    .await;
    // a bulk load looks for what is there already in a temporary table
    is_allowed(
        role,
        &[
            "create temporary table more (a int)",
            "select * from snapshot.v_latest_prices",
        ],
    )
    .await;
}

#[tokio::test]
async fn the_reader_reads_every_table_and_view_and_writes_nothing() {
    let cluster = Cluster::new().await;
    cluster.init().await;
    cluster.run_as("coinmill_writer").await.unwrap();
    let role = "coinmill_reader";
    is_allowed(
        role,
        &[
            "select * from v_latest_prices",
            "select * from v_price_history",
            "select * from quote, coin, coin_name, snapshot, snapshot_now, landing, \"commit\", run, quarantine, \
             setting, budget.budget, budget.pace, budget.turn",
        ],
    )
    .await;
    is_refused(role, &CREATIONS).await;
    is_refused(
        role,
        &[
            "insert into coin values (99999, 'x')",
            "update run set state = 'failed'",
            "update budget.budget set credits = 0",
            "delete from quote",
            "truncate quote",
            "create temporary table more (a int)",
        ],
    )
    .await;
    let settings = cluster.settings(role, None);
    assert_eq!(
        pipeline::status(&settings).await.unwrap().snapshot.quotes,
        50
    );
    assert_eq!(pipeline::runs(&settings, 5).await.unwrap().len(), 1);
    assert_eq!(pipeline::latest_quotes(&settings).await.unwrap().len(), 50);
    // the writer may write the instant of its commit, and no more of it
    let then = pipeline::Quotes {
        as_of: Some(noon().into()),
        ..Default::default()
    };
    let known = pipeline::quotes(&settings, &then).await.unwrap();
    assert_eq!(known.frame.rows(), 50);
    let error = cluster.run_as(role).await.unwrap_err();
    assert!(said(&error).contains("a run needs the writer"), "{error}");
}

#[tokio::test]
async fn init_by_the_writer_fails_and_names_the_owner_s_setting() {
    let cluster = Cluster::new().await;
    for is_made in [false, true] {
        if is_made {
            cluster.init().await;
        }
        let error = pipeline::init(&cluster.settings("coinmill_writer", None))
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                Error::Store {
                    retryable: false,
                    ..
                }
            ),
            "{error:?}"
        );
        let chain = said(&error);
        assert!(
            chain.contains("COINMILL_SNAPSHOT_OWNER_URL"),
            "{is_made}: {chain}"
        );
        assert!(
            !chain.contains("p@ss") && !chain.contains("p%40ss"),
            "{chain}"
        );
    }
}

#[tokio::test]
async fn a_run_before_init_asks_for_it() {
    let cluster = Cluster::new().await;
    let error = cluster.run_as("coinmill_writer").await.unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error:?}");
    assert!(said(&error).contains("coinmill init"), "{error}");
    assert_eq!(cluster.bench.sim.calls(), 0);
}

#[tokio::test]
async fn db_init_and_init_change_nothing_when_they_are_repeated() {
    let cluster = Cluster::new().await;
    db_init(&administrator());
    cluster.init().await;
    let report = cluster.run_as("coinmill_writer").await.unwrap();
    db_init(&administrator());
    cluster.init().await;
    let again = cluster.run_as("coinmill_writer").await.unwrap();
    assert_eq!(
        (again.stored, again.accepted, again.content_hash),
        (0, 50, report.content_hash)
    );
    is_refused("coinmill_writer", &CREATIONS).await;
    is_refused("coinmill_reader", &["delete from quote"]).await;
}
