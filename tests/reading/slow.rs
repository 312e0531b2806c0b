//! A statement that takes long: whoever waits for it is not shown our SQL.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _};

use crate::series::Mill;
use crate::support::command::{code, run, text};
use crate::support::{Database, Kind, on_both_databases};

on_both_databases!(a_statement_that_takes_long_is_not_shown);

/// Longer than what sqlx calls slow.
const LONG: Duration = Duration::from_millis(1500);

async fn a_statement_that_takes_long_is_not_shown(kind: Kind) {
    let mill = Mill::new(kind, 5).await;
    // what lets no run of the snapshot begin
    let arguments = ["run", "snapshot", "--top", "5"];
    let run = run(&mill.bench, &mill.timeseries, &arguments, &[]);
    let output = match &mill.bench.database {
        Database::Postgres { url, .. } => {
            let mut other = PgConnection::connect(url).await.unwrap();
            let lock = "begin; lock table snapshot.run in access exclusive mode";
            other.execute(sqlx::raw_sql(lock)).await.unwrap();
            let release = async {
                let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' \
                               and datname = current_database()";
                while mill.bench.database.number(waiting).await == 0 {}
                tokio::time::sleep(LONG).await;
                other.execute("rollback").await.unwrap();
            };
            tokio::join!(run, release).0
        }
        Database::Sqlite { path, .. } => {
            let options = SqliteConnectOptions::new().filename(path);
            let mut other = SqliteConnection::connect_with(&options).await.unwrap();
            other.execute("begin immediate").await.unwrap();
            let release = async {
                // nothing tells that a process waits for a file: it has begun by then, and waits on
                tokio::time::sleep(2 * LONG).await;
                other.execute("rollback").await.unwrap();
            };
            tokio::join!(run, release).0
        }
    };
    assert_eq!(code(&output), 0, "{}", text(&output));
    let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
    for word in ["slow", "insert", "select", "statement"] {
        assert!(!said.contains(word), "{said}");
    }
}
