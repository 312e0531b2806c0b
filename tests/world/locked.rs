//! A SQLite file is locked by somebody else for longer than a run waits.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use coinmill::failpoint;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::sync::Notify;

use crate::ground::Ground;
use crate::support::Kind;
use crate::support::tally::{Seen, Tally};
use crate::work::Work;

/// A second more than the product waits.
const LOCKED: Duration = Duration::from_secs(11);

/// Locks a file for that long, and returns once it is locked; the receiver says when it no longer is.
fn lock(file: &Path) -> Receiver<()> {
    let (locked, is_locked) = channel();
    let (freed, is_free) = channel();
    let file = file.to_owned();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let options = SqliteConnectOptions::new().filename(file);
            let mut other = SqliteConnection::connect_with(&options).await.unwrap();
            let begin = sqlx::query("begin exclusive");
            begin.execute(&mut other).await.unwrap();
            locked.send(()).unwrap();
            std::thread::sleep(LOCKED);
            sqlx::query("rollback").execute(&mut other).await.unwrap();
            other.close().await.unwrap();
        });
        let _nobody_waits = freed.send(());
    });
    is_locked.recv().unwrap();
    is_free
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_that_is_locked_too_long_ends_the_run_and_loses_nothing() {
    let _alone = fail::FailScenario::setup();
    let works = [Work::Timeseries, Work::Snapshot];
    let (series, snapshot, late_series, late_snapshot) = tokio::join!(
        Ground::lay(works[0], None),
        Ground::lay(works[1], None),
        Ground::lay(works[0], None),
        Ground::lay(works[1], None),
    );
    // the runs that begin come to their commits in this order
    let files: Vec<PathBuf> = [&late_series, &late_snapshot]
        .map(|ground| ground.work.written(&ground.mill).file().clone())
        .into();
    let (passed, first_is_locked) = (AtomicUsize::new(0), std::sync::Arc::new(Notify::new()));
    let tell = std::sync::Arc::clone(&first_is_locked);
    let harm = move || {
        if let Some(file) = files.get(passed.fetch_add(1, Ordering::SeqCst)) {
            let _freed = lock(file);
            tell.notify_one();
        }
    };
    fail::cfg_callback(failpoint::BEFORE_COMMIT, harm).unwrap();

    let words = ["is locked by another process: let it finish"];
    let at_the_start = async |ground: &Ground| {
        let file = ground.work.written(&ground.mill).file();
        let freed = tokio::task::block_in_place(|| lock(file));
        let outcome = ground.work.here(&ground.mill).await;
        tokio::task::block_in_place(|| freed.recv().unwrap());
        outcome
    };
    let (a, b, c, d) = tokio::join!(
        at_the_start(&series),
        at_the_start(&snapshot),
        late_series.work.here(&late_series.mill),
        async {
            first_is_locked.notified().await;
            late_snapshot.work.here(&late_snapshot.mill).await
        },
    );
    fail::remove(failpoint::BEFORE_COMMIT);
    for (ground, outcome, group) in [
        (&series, a, "SQLite locked at the start"),
        (&snapshot, b, "SQLite locked at the start"),
        (&late_series, c, "SQLite locked at the commit"),
        (&late_snapshot, d, "SQLite locked at the commit"),
    ] {
        let mut tally = Tally::new(group, Kind::Sqlite, ground.work.name());
        let mut seen = Seen::default();
        seen.expect(outcome.is_err(), || "it went on".to_owned());
        ground.check(&outcome, &words, &mut seen).await;
        ground.heal(&mut seen).await;
        tally.note("locked", seen);
        tally.close();
    }
}
