//! PostgreSQL is killed with SIGKILL while a run is at work, and comes back.

use std::sync::{Arc, Mutex};

use coinmill::failpoint;

use crate::cluster::Cluster;
use crate::ground::{Ground, once_at};
use crate::support::Kind;
use crate::support::tally::{Seen, Tally, is_long};
use crate::work::Work;

/// Where the server is killed where there is little time: before, in and after the commit.
const SHORT: [&str; 3] = [
    failpoint::BEFORE_COMMIT,
    failpoint::COMMIT_HALF_DONE,
    failpoint::COMMITTED,
];

/// Where else.
const LONG: [&str; 4] = [
    failpoint::RUN_BEGUN,
    failpoint::RESPONSE_RECEIVED,
    failpoint::COMMIT_BEGUN,
    failpoint::COMMIT_NOT_SENT,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_takes_no_row_along() {
    let _alone = fail::FailScenario::setup();
    let cluster = Cluster::start();
    let server = cluster.url();
    let cluster = Arc::new(Mutex::new(cluster));
    for work in [Work::Snapshot, Work::Timeseries] {
        let mut ground = Ground::lay(work, Some(&server)).await;
        let mut tally = Tally::new(
            "PostgreSQL killed and restarted",
            Kind::Postgres,
            work.name(),
        );
        let long = LONG.into_iter().filter(|_| is_long());
        for place in SHORT.into_iter().chain(long) {
            ground.renew().await;
            let victim = Arc::clone(&cluster);
            once_at(place, move || {
                let mut victim = victim.lock().unwrap();
                victim.kill();
                victim.revive();
            });
            let words: &[&str] = match (work, place) {
                // all of a snapshot is said and done when it is committed
                (Work::Snapshot, failpoint::COMMITTED) => &[],
                _ => &["postgresql://"],
            };
            let mut seen = ground.suffer(&[], words).await;
            fail::remove(place);
            ground.heal(&mut seen).await;
            tally.note(place, seen);
        }
        // it stays away until the run has given up
        ground.renew().await;
        let victim = Arc::clone(&cluster);
        once_at(failpoint::RESPONSE_RECEIVED, move || {
            victim.lock().unwrap().kill()
        });
        let outcome = work.here(&ground.mill).await;
        fail::remove(failpoint::RESPONSE_RECEIVED);
        cluster.lock().unwrap().revive();
        let mut seen = Seen::default();
        ground.check(&outcome, &["postgresql://"], &mut seen).await;
        ground.heal(&mut seen).await;
        tally.note("away until the end", seen);
        tally.close();
    }
}
