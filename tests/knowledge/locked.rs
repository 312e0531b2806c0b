//! A commit that has to wait for the writer's lock: what it loads before, and when it counts as known.

use std::time::Duration;

use chrono::Utc;
use coinmill::store::TimeseriesStore;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _};

use crate::commits::{Base, Step, Store, What};
use crate::series::rows;
use crate::support::{Database, Kind, on_both_databases};

on_both_databases!(a_commit_is_known_when_it_could_be_seen_and_not_when_it_began);

/// The writer's lock of the product.
const LOCK: &str = "select pg_advisory_lock(1668245869, 0)";
const UNLOCK: &str = "select pg_advisory_unlock(1668245869, 0)";

fn step(number: u32) -> Step {
    Step {
        number,
        what: What::New(0),
        before: (0, 0),
    }
}

/// A database in which the coin of the next commit is known.
async fn begun(kind: Kind) -> (Database, Store) {
    let database = Database::bare(kind).await;
    TimeseriesStore::init(&database.database_url(), "usd")
        .await
        .unwrap();
    let mut store = Store::open(Base::Series, &database).await;
    store.begin(0).await;
    store.commit(0, step(1)).await;
    (database, store)
}

async fn a_commit_is_known_when_it_could_be_seen_and_not_when_it_began(kind: Kind) {
    let (database, mut store) = begun(kind).await;
    let waits = Duration::from_millis(300);
    let free = match &database {
        Database::Postgres { url, .. } => {
            let mut other = PgConnection::connect(url).await.unwrap();
            other.execute(LOCK).await.unwrap();
            let release = async {
                tokio::time::sleep(waits).await;
                let free = Utc::now();
                other.execute(UNLOCK).await.unwrap();
                free
            };
            tokio::join!(store.commit(0, step(2)), release).1
        }
        Database::Sqlite { path, .. } => {
            let options = SqliteConnectOptions::new().filename(path);
            let mut other = SqliteConnection::connect_with(&options).await.unwrap();
            other.execute("begin immediate").await.unwrap();
            let release = async {
                tokio::time::sleep(waits).await;
                let free = Utc::now();
                other.execute("rollback").await.unwrap();
                free
            };
            tokio::join!(store.commit(0, step(2)), release).1
        }
    };
    let sql = r#"select at from "commit" where id = 2"#;
    let at = rows(&database, sql).await[0][0].int();
    assert!(at >= free.timestamp_millis(), "{at} is before {free}");
    assert_eq!((store.pin(free).await, store.newest().await), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn points_that_are_new_to_their_series_are_loaded_before_the_lock_is_there() {
    let (database, mut store) = begun(Kind::Postgres).await;
    let mut other = PgConnection::connect(&database.url()).await.unwrap();
    other.execute(LOCK).await.unwrap();
    let release = async {
        // who waits for the writer's lock has written to the table of points
        let loaded = "select count(*) from pg_locks w join pg_locks t on t.pid = w.pid and t.mode = 'RowExclusiveLock' \
                      and t.relation = 'timeseries.price_point'::regclass \
                      where w.locktype = 'advisory' and not w.granted \
                      and w.database = (select oid from pg_database where datname = current_database())";
        while database.number(loaded).await == 0 {}
        other.execute(UNLOCK).await.unwrap();
    };
    let both = async { tokio::join!(store.commit(0, step(2)), release) };
    tokio::time::timeout(Duration::from_secs(20), both)
        .await
        .expect("the points are not loaded before the lock is there");
    assert_eq!(store.newest().await, 2);
}
