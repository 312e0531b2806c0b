//! What a half-hour's runs touch does not grow with what was ever stored. PostgreSQL counts the rows that were read.

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
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

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
    insert into timeseries.coverage (coin, resolution, starts_at, ends_at, landing)
    select c.key, 5, t, t + interval '30 minutes', n - 100000 from old, (select key from timeseries.coin order by key limit 2) c;
    insert into timeseries.empty_span (coin, resolution, starts_at, ends_at, is_refused, landing)
    select c.key, 5, t, t + interval '5 minutes', 0, n - 100000 from old, (select key from timeseries.coin order by key limit 1) c;
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

/// A half-hour's runs, and how many rows they read of each table.
async fn tick(mill: &Mill) -> BTreeMap<String, i64> {
    mill.bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    let (snapshot, series) = (&mill.bench.database, &mill.timeseries);
    let before = [rows_read(snapshot).await, rows_read(series).await];
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
