//! Ten readers that read for as long as a run is at work, half of them by SQL and half as a user of the package would.
//! What they may see is for the tests to say.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;

use crate::support::command::text;
use crate::support::{Database, assert_silent};

/// How many of each sort.
pub const READERS: usize = 5;

/// Longer than any of this takes, and short of for ever.
const LIMIT: Duration = Duration::from_secs(120);

/// A reader's own view of a database.
pub enum View<'a> {
    Own(Database),
    Shared(&'a Database),
}

impl View<'_> {
    pub fn database(&self) -> &Database {
        match self {
            Self::Own(database) => database,
            Self::Shared(database) => database,
        }
    }
}

/// A connection each on PostgreSQL; every read of a SQLite file opens its own.
pub fn views(database: &Database) -> Vec<View<'_>> {
    let view = |_| match database {
        Database::Postgres { .. } => View::Own(database.again()),
        Database::Sqlite { .. } => View::Shared(database),
    };
    (0..READERS).map(view).collect()
}

/// Does the work while the readers read, each again and again. All of them have read something by the end.
pub async fn meanwhile<T>(
    work: impl Future<Output = T>,
    by_sql: Vec<impl AsyncFn()>,
    by_package: Vec<impl AsyncFn()>,
) -> T {
    let done = AtomicBool::new(false);
    let sql = by_sql.iter().map(|read| again(read, &done));
    let package = by_package.iter().map(|read| again(read, &done));
    let work = async {
        let outcome = work.await;
        done.store(true, Ordering::SeqCst);
        outcome
    };
    let all = async { tokio::join!(work, join_all(sql), join_all(package)) };
    let (outcome, ..) = tokio::time::timeout(LIMIT, all)
        .await
        .expect("somebody waits for ever");
    outcome
}

async fn again(read: &impl AsyncFn(), done: &AtomicBool) {
    loop {
        read().await;
        if done.load(Ordering::SeqCst) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Runs the program to its end.
pub async fn ended(mut command: Command) -> Output {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    assert_silent(&text(&output));
    output
}
