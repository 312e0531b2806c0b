//! A run falls silent while it holds its lock: its process is frozen, or its packets are dropped. The next run has the lock after
//! 45 s at most (five in short tests), and what wakes later changes nothing.

use std::process::{Child, Command};
use std::time::Duration;

use coinmill::failpoint;

use crate::ground::Ground;
use crate::proxy::{Cut, Proxy};
use crate::support::Kind;
use crate::support::command::{coinmill, json, text};
use crate::support::database::administrator;
use crate::support::tally::{Seen, Tally, is_long};
use crate::work::{CREDITS, Work};

/// How long a session may be silent in these tests, where there is little time.
const SILENCE: (&str, &str) = ("TEST_SILENCE", "5");

/// The longest that anything may take: far more than what is waited for.
const LIMIT: Duration = Duration::from_secs(240);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silence {
    /// Frozen while it waits for a response.
    FrozenIdle,
    /// Frozen within its commit, where it has the writer's lock.
    FrozenInCommit,
    /// Its packets are dropped while it waits for a response.
    DroppedIdle,
    /// Its packets are dropped in the middle of rows. Where those are a COPY no timeout of the server's ends it.
    DroppedInRows,
}

const ALL: [Silence; 4] = [
    Silence::FrozenIdle,
    Silence::FrozenInCommit,
    Silence::DroppedIdle,
    Silence::DroppedInRows,
];

/// The program as a process, which is gone when this is dropped.
struct Process(Child);

impl Process {
    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.0.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits until it has ended by itself.
    async fn ended(&mut self) -> i32 {
        let ended = async {
            loop {
                if let Some(status) = self.0.try_wait().unwrap() {
                    return status.code().unwrap_or(-1);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LIMIT, ended)
            .await
            .expect("it did not end")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_by_now = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn command(ground: &Ground, with: &[(&str, &str)]) -> Command {
    let mill = &ground.mill;
    let (name, value) = CREDITS;
    let mut all = vec![(name, value)];
    if !is_long() {
        all.push(SILENCE);
    }
    all.extend(with);
    let all: Vec<(String, &str)> = all
        .iter()
        .map(|(name, value)| (name.to_ascii_uppercase(), *value))
        .collect();
    let all: Vec<(&str, &str)> = all
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    let arguments = ground.work.arguments();
    let mut command = coinmill(&mill.bench, Some(&mill.timeseries), arguments, &all);
    command.env("COINMILL_TOP", ground.work.coins().to_string());
    command
}

/// Waits until the server has a session of the program that is so.
async fn until(ground: &Ground, state: &str) {
    let database = ground.work.written(&ground.mill);
    let sql = format!(
        "select count(*) from pg_stat_activity where application_name = 'coinmill' \
         and datname = current_database() and {state}"
    );
    let there = async {
        while database.number(&sql).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, there).await.expect(state);
}

async fn fall_silent(ground: &Ground, how: Silence, proxy: &Proxy) -> Process {
    let setting = match ground.work {
        Work::Snapshot => "SNAPSHOT_URL",
        Work::Timeseries | Work::Backfill => "TIMESERIES_URL",
    };
    let mut command = match how {
        Silence::DroppedIdle | Silence::DroppedInRows => command(ground, &[(setting, proxy.url())]),
        Silence::FrozenIdle | Silence::FrozenInCommit => command(ground, &[]),
    };
    match how {
        Silence::FrozenIdle | Silence::DroppedIdle => ground.mill.bench.fault("stall:times=9"),
        Silence::FrozenInCommit => {
            command.env(
                "FAILPOINTS",
                format!("{}=sleep(5000)", failpoint::COMMIT_HALF_DONE),
            );
        }
        Silence::DroppedInRows => proxy.mute(match ground.work {
            Work::Snapshot => Cut {
                rows: 3,
                bytes: 60_000,
            },
            Work::Timeseries | Work::Backfill => Cut {
                rows: 1,
                bytes: 20_000,
            },
        }),
    }
    let before = ground.mill.bench.sim.calls();
    let process = Process(command.spawn().unwrap());
    match how {
        Silence::FrozenIdle | Silence::DroppedIdle => {
            let called = async {
                while ground.mill.bench.sim.calls() == before {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(LIMIT, called).await.expect("no call");
        }
        Silence::FrozenInCommit => until(ground, "state = 'idle in transaction'").await,
        Silence::DroppedInRows => {
            let query = match ground.work {
                Work::Snapshot | Work::Timeseries => "true",
                Work::Backfill => "query ilike 'copy%'",
            };
            let cut = async {
                while proxy.cuts() == 0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(LIMIT, cut).await.expect("no rows");
            until(ground, &format!("wait_event = 'ClientRead' and {query}")).await;
        }
    }
    match how {
        Silence::FrozenIdle | Silence::FrozenInCommit => process.signal("-STOP"),
        Silence::DroppedIdle => proxy.fall_silent(),
        Silence::DroppedInRows => {}
    }
    ground.mill.bench.sim.clear_faults();
    process
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_falls_silent_loses_its_lock() {
    let _alone = fail::FailScenario::setup();
    for (work, ways) in [
        (Work::Snapshot, &ALL[..]),
        (Work::Timeseries, &ALL[..]),
        // its points are many, and come as a COPY
        (
            Work::Backfill,
            &[Silence::FrozenIdle, Silence::DroppedInRows][..],
        ),
    ] {
        let mut ground = Ground::lay(work, Some(&administrator())).await;
        let mut tally = Tally::new(
            "a run that holds its lock falls silent",
            Kind::Postgres,
            work.name(),
        );
        for &how in ways {
            ground.renew().await;
            let proxy = Proxy::before(&work.written(&ground.mill).url()).await;
            let mut first = fall_silent(&ground, how, &proxy).await;
            // as a scheduler would: tries again where it is told that the other run may still live
            let next = async {
                loop {
                    let mut next = command(&ground, &[]);
                    let output = tokio::task::spawn_blocking(move || next.output().unwrap())
                        .await
                        .unwrap();
                    if output.status.code() != Some(4) {
                        return output;
                    }
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            };
            let next = tokio::time::timeout(LIMIT, next)
                .await
                .expect("the next run never had the lock");
            let mut seen = Seen::default();
            let state = &json(&next)["state"];
            seen.expect(state == "complete", || {
                format!("the next run: {}", text(&next))
            });
            if matches!(how, Silence::FrozenIdle | Silence::FrozenInCommit) {
                first.signal("-CONT");
            }
            let code = first.ended().await;
            seen.expect(code == 1, || format!("the silent run ended with {code}"));
            ground.heal(&mut seen).await;
            tally.note(&format!("{how:?}"), seen);
            drop(proxy);
            work.written(&ground.mill).remove().await;
        }
        tally.close();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_falls_silent_stops_no_other_slot() {
    let _alone = fail::FailScenario::setup();
    let mut ground = Ground::lay(Work::Snapshot, Some(&administrator())).await;
    ground.renew().await;
    let proxy = Proxy::before(&ground.mill.bench.database.url()).await;
    let first = fall_silent(&ground, Silence::DroppedInRows, &proxy).await;
    ground
        .mill
        .bench
        .sim
        .advance(chrono::TimeDelta::minutes(30))
        .unwrap();
    let mut next = command(&ground, &[]);
    let next = tokio::task::spawn_blocking(move || next.output().unwrap())
        .await
        .unwrap();
    assert_eq!(json(&next)["state"], "complete", "{}", text(&next));
    drop(first);
    drop(proxy);
    ground.mill.bench.database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_lives_keeps_its_lock_however_long_it_waits() {
    let _alone = fail::FailScenario::setup();
    for work in [Work::Snapshot, Work::Timeseries] {
        let mut ground = Ground::lay(work, Some(&administrator())).await;
        ground.renew().await;
        ground.mill.bench.fault("stall:times=9");
        let mut first = Process(command(&ground, &[("TIMEOUT", "600")]).spawn().unwrap());
        until(&ground, "state = 'idle' and query = 'select 1'").await;
        // three times as long as it could be silent
        tokio::time::sleep(Duration::from_secs(15)).await;
        let next = tokio::task::spawn_blocking({
            let mut next = command(&ground, &[]);
            move || next.output().unwrap()
        });
        let next = next.await.unwrap();
        assert_eq!(next.status.code(), Some(4), "{}", text(&next));
        assert!(first.0.try_wait().unwrap().is_none(), "it did not wait");
        drop(first);
        work.written(&ground.mill).remove().await;
    }
}
