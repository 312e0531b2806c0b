//! What a half-hour's runs touch does not grow with what was ever stored. PostgreSQL counts the rows that were read, and SQLite
//! says how it plans each statement.

#![allow(
    dead_code,
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

#[path = "support/series.rs"]
mod series;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use coinmill::pipeline::{self, RunState};
use coinmill::series::Resolution;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _};

use crate::series::Mill;
use crate::support::{Database, Kind};

/// Rows read by now, by sequential scans and by way of indexes, by table.
async fn rows_read(database: &Database) -> BTreeMap<String, i64> {
    let sql = "select relname::text, (seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint from pg_stat_user_tables";
    let rows = database.rows(sql).await.into_iter();
    rows.map(|row| (row[0].text().to_owned(), row[1].int()))
        .collect()
}

/// A year of half-hours of two coins as they would stand there: slots, quotes, runs, commits, landing, quarantine.
const SNAPSHOTS: &str = "
    insert into snapshot.run (id, kind, slot, state, started_at, version, rule_set, api_url)
    select 'old-' || n, 'snapshot', t, 'complete', t, '0', '', '' from old;
    insert into snapshot.commit (id, at, run) select n - 100000, t, 'old-' || n from old;
    insert into snapshot.landing (id, commit, run, path, request, status, sha256, bytes, received_at)
    select n - 100000, n - 100000, 'old-' || n, 'old/' || n || '/0001.zst', 'GET /', 200, '', 1, t from old;
    insert into snapshot.snapshot (snapshot_time, commit, top, expected, received, state, content_hash, named, missing,
                                   unknown, refused, retried)
    select t, n - 100000, 2, 2, 2, 'complete', '', '[]', '[]', '[]', '[]', '[]' from old;
    insert into snapshot.quote (snapshot_time, coin, current_price, landing)
    select t, c.key, 1, n - 100000 from old, (select key from snapshot.coin order by key limit 2) c;
    insert into snapshot.quarantine (id, landing, body, record, rule, reason, raw)
    select n - 100000, n - 100000, 'old/' || n, 0, 'wrong_type', '', '' from old;";

/// A year of five-minute points of two coins, with the coverage of a visit every hour.
const SERIES: &str = "
    insert into timeseries.run (id, kind, resolution, state, started_at, version, rule_set, api_url, recovered_by)
    select 'old-' || n, 'timeseries', 5, 'complete', t, '0', '', '', null from old;
    insert into timeseries.commit (id, at, run) select n - 100000, t, 'old-' || n from old;
    insert into timeseries.landing (id, commit, run, path, request, status, sha256, bytes, received_at)
    select n - 100000, n - 100000, 'old-' || n, 'old/' || n || '/0001.zst', 'GET /', 200, '', 1, t from old;
    insert into timeseries.coverage (coin, resolution, starts_at, ends_at, landing, commit)
    select c.key, 5, t, t + interval '30 minutes', n - 100000, n - 100000 from old, (select key from timeseries.coin order by key limit 2) c;
    insert into timeseries.empty_span (coin, resolution, starts_at, ends_at, is_refused, landing, commit)
    select c.key, 5, t, t + interval '5 minutes', 0, n - 100000, n - 100000 from old, (select key from timeseries.coin order by key limit 1) c;
    insert into timeseries.price_point (coin, resolution, ts, price, landing)
    select c.key, 5, t + m * interval '5 minutes', 1, n - 100000
    from old, generate_series(0, 5) m, (select key from timeseries.coin order by key limit 2) c;
    insert into timeseries.price_revision (coin, resolution, ts, price, landing)
    select c.key, 5, t, 2, n - 100000 from old, (select key from timeseries.coin order by key limit 1) c where n % 100 = 0;";

/// The half-hours of the year before the tests' own day.
const OLD: &str = "create temporary table old as select n, timestamptz '2025-01-10T00:00:00Z' + n * interval '30 minutes' as t \
    from generate_series(1, 17520) n";

async fn fill(database: &Database, sql: &str) {
    let mut connection = PgConnection::connect(&database.url()).await.unwrap();
    for statement in [OLD, sql, "analyze"] {
        let script = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        connection.execute(script).await.unwrap();
    }
    connection.close().await.unwrap();
}

/// A half-hour's runs.
async fn half_hour(mill: &Mill) {
    mill.bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    let settings = mill.settings(&[("top", "5")]);
    let nobody = pipeline::Observer::none();
    let report = pipeline::run_snapshot(&settings, None, &nobody)
        .await
        .unwrap();
    assert_eq!((report.state, report.stored), (RunState::Complete, 5));
    let report = pipeline::run_timeseries(&settings, Resolution::FiveMinutes, &nobody)
        .await
        .unwrap();
    assert_eq!(report.state, RunState::Complete);
    assert!(report.stored > 20);
}

/// A half-hour's runs, and how many rows they read of each table.
async fn tick(mill: &Mill) -> BTreeMap<String, i64> {
    let (snapshot, series) = (&mill.bench.database, &mill.timeseries);
    let before = [rows_read(snapshot).await, rows_read(series).await];
    half_hour(mill).await;
    let mut read = BTreeMap::new();
    for ((name, database), before) in [("snapshot", snapshot), ("timeseries", series)]
        .into_iter()
        .zip(before)
    {
        // what a session has read is counted once it has ended
        database.until_deserted().await;
        for (table, rows) in rows_read(database).await {
            read.insert(
                format!("{name}.{table}"),
                rows - before.get(&table).unwrap_or(&0),
            );
        }
    }
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_hour_reads_no_more_rows_after_a_year() {
    let mill = Mill::new(Kind::Postgres, 5).await;
    tick(&mill).await;
    tick(&mill).await;
    let young = tick(&mill).await;
    fill(&mill.bench.database, SNAPSHOTS).await;
    fill(&mill.timeseries, SERIES).await;
    let old = tick(&mill).await;
    // an index that is used for a large table and not for a small one reads some rows more or less
    let grown: Vec<_> = old
        .iter()
        .map(|(table, rows)| (table, young.get(table).copied().unwrap_or_default(), *rows))
        .filter(|(_, young, old)| *old > 2 * young + 500)
        .collect();
    assert!(
        grown.is_empty(),
        "rows read of a table, and after a year: {grown:?}"
    );
}

/// The tables that do not grow with time: coins and what they are called, each coin's last visit, names of settings and
/// resolutions, migrations, and what is on its way; by their names in the statements.
const SMALL: [&str; 11] = [
    "c",
    "coin",
    "n",
    "x",
    "visit",
    "setting",
    "i",
    "o",
    "incoming",
    "sqlite_master",
    "_sqlx_migrations",
];

/// The indexes that have only what is not done yet.
const PARTIAL: [&str; 2] = ["run_unfinished", "run_running"];

/// The table on the way to the points, which a connection makes for itself.
const INCOMING: &str = "create temporary table incoming (coin integer, resolution integer, ts integer, price real, \
    market_cap real, volume real, landing integer)";

/// Statements that go through a table, and are done with a row: the first or the last of a key.
fn ends_at_once(statement: &str) -> bool {
    statement.ends_with("limit 1") || statement.contains("limit 1) t")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_hour_goes_through_no_table_that_grows() {
    let mill = Mill::new(Kind::Sqlite, 5).await;
    for _ in 0..3 {
        half_hour(&mill).await;
    }
    let statements = coinmill::statements::noted();
    let has = |text| {
        statements
            .iter()
            .any(|(_, statement)| statement.contains(text))
    };
    assert!(has("insert into price_revision") && has("from run where state in"));
    let mut databases = Vec::new();
    for database in [&mill.bench.database, &mill.timeseries] {
        let options = SqliteConnectOptions::new().filename(database.file());
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        connection.execute(INCOMING).await.unwrap();
        databases.push(connection);
    }
    let mut through = Vec::new();
    for (place, statement) in statements {
        let of_series = place.ends_with(&mill.timeseries.file().display().to_string());
        let sql = AssertSqlSafe(format!("explain query plan {statement}"));
        let plan = databases[usize::from(of_series)].fetch_all(sqlx::query(sql));
        for row in plan.await.unwrap() {
            let step: String = row.get(3);
            let of = step
                .strip_prefix("SCAN ")
                .and_then(|of| of.split(' ').next());
            let grows = of.is_some_and(|of| {
                !of.starts_with('(')
                    && !step.contains("VIRTUAL TABLE")
                    && !SMALL.contains(&of)
                    && !PARTIAL.iter().any(|index| step.ends_with(index))
            });
            if grows && step != "SCAN CONSTANT ROW" && !ends_at_once(statement) {
                through.push((step, statement));
            }
        }
    }
    assert!(through.is_empty(), "{through:#?}");
}
