//! Writers at work beside each other, each of which may die at a named place of a commit, and observers who note what could
//! be seen when. A death here is a task that unwinds and takes its connection with it; SIGKILL is in `kills`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use coinmill::failpoint;
use futures_util::future::join_all;

use crate::commits::{Base, Step, Store, What};
use crate::series::rows;
use crate::support::{Database, Kind};

/// The places of a commit, at which a writer can die.
pub const PLACES: [&str; 5] = [
    failpoint::COMMIT_BEGUN,
    failpoint::COMMIT_HALF_DONE,
    failpoint::COMMIT_NOT_SENT,
    failpoint::COMMITTED,
    failpoint::COMMIT_STAMPED,
];

/// What a writer does next, where it dies of it, and how long it rests after it.
#[derive(Debug, Clone)]
pub struct Turn {
    pub what: What,
    pub dies: Option<&'static str>,
    pub rests: Duration,
}

/// What somebody saw who looked between two instants.
#[derive(Debug, Clone, Copy)]
pub struct Observation {
    pub before: DateTime<Utc>,
    /// The newest commit, and the newest that had its instant.
    pub newest: i64,
    pub stamped: i64,
    /// The pin of `before`, asked for at once.
    pub pin: i64,
    pub after: DateTime<Utc>,
}

tokio::task_local! {
    /// Where the writer that is at work dies.
    static DOOM: Option<&'static str>;
}

struct Death;

/// Lets writers die where they are doomed to, for as long as what is returned lives.
pub fn doom() -> fail::FailScenario<'static> {
    let alone = fail::FailScenario::setup();
    for place in PLACES {
        let die = move || {
            if DOOM.try_with(|doom| *doom == Some(place)) == Ok(true) {
                std::panic::resume_unwind(Box::new(Death));
            }
        };
        fail::cfg_callback(place, die).unwrap();
    }
    alone
}

/// All writers at once, under observation. Returns what was seen.
pub async fn at_work(base: Base, database: &Database, plans: &[Vec<Turn>]) -> Vec<Observation> {
    for writer in 0..plans.len() {
        Store::open(base, database).await.begin(writer).await;
    }
    let done = AtomicBool::new(false);
    let writers = async {
        join_all(
            plans
                .iter()
                .enumerate()
                .map(|(writer, turns)| write(base, database, writer, turns)),
        )
        .await;
        done.store(true, Ordering::SeqCst);
    };
    let observers = join_all((0..2).map(|_| observe(base, database, &done)));
    let (_, seen) = tokio::join!(writers, observers);
    seen.concat()
}

async fn write(base: Base, database: &Database, writer: usize, turns: &[Turn]) {
    let mut store = Store::open(base, database).await;
    let mut before = (0, 0);
    for (turn, number) in turns.iter().zip(1..) {
        let step = Step {
            number,
            what: turn.what,
            before,
        };
        if let What::New(coin) = turn.what {
            before = (coin, number);
        }
        let commit = async move {
            store.commit(writer, step).await;
            store
        };
        store = match tokio::spawn(DOOM.scope(turn.dies, commit)).await {
            Ok(store) => {
                assert_eq!(turn.dies, None, "it did not die");
                store
            }
            Err(error) => {
                let panic = error.into_panic();
                if !panic.is::<Death>() {
                    std::panic::resume_unwind(panic);
                }
                Store::open(base, database).await
            }
        };
        tokio::time::sleep(turn.rests).await;
    }
}

async fn observe(base: Base, database: &Database, done: &AtomicBool) -> Vec<Observation> {
    let sql = r#"select coalesce(max(id), 0), coalesce(max(case when at is not null then id end), 0) from "commit""#;
    let own;
    let view = match database.kind() {
        Kind::Postgres => {
            own = database.again();
            &own
        }
        Kind::Sqlite => database,
    };
    let mut store = Store::open(base, database).await;
    let mut seen = Vec::new();
    loop {
        let last = done.load(Ordering::SeqCst);
        let before = Utc::now();
        let rows = match base {
            Base::Snapshot => view.rows(sql).await,
            Base::Series => rows(view, sql).await,
        };
        let after = Utc::now();
        seen.push(Observation {
            before,
            newest: rows[0][0].int(),
            stamped: rows[0][1].int(),
            pin: store.pin(before).await,
            after,
        });
        if last {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
