//! The connection to PostgreSQL is cut in the middle of a COPY.

use crate::ground::Ground;
use crate::proxy::{Cut, Proxy};
use crate::support::Kind;
use crate::support::database::administrator;
use crate::support::tally::{Tally, is_long};
use crate::work::Work;

/// In the data, then elsewhere: in the rows of the landing, and at the beginning of a stream. Points that are new to their
/// series come before the rows of their bodies, quotes after.
const SNAPSHOT: [Cut; 5] = [
    Cut {
        copy: 3,
        bytes: 60_000,
    },
    Cut { copy: 1, bytes: 30 },
    Cut {
        copy: 2,
        bytes: 500,
    },
    Cut { copy: 3, bytes: 1 },
    Cut {
        copy: 3,
        bytes: 20_000,
    },
];
const SERIES: [Cut; 4] = [
    Cut {
        copy: 1,
        bytes: 100_000,
    },
    Cut { copy: 2, bytes: 30 },
    Cut { copy: 1, bytes: 1 },
    Cut {
        copy: 1,
        bytes: 20_000,
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_in_a_copy_leaves_nothing_of_it() {
    let _alone = fail::FailScenario::setup();
    for (work, setting, cuts) in [
        (Work::Snapshot, "snapshot_url", &SNAPSHOT[..]),
        (Work::Timeseries, "timeseries_url", &SERIES[..]),
    ] {
        let mut ground = Ground::lay(work, Some(&administrator())).await;
        let mut tally = Tally::new("connection cut in a COPY", Kind::Postgres, work.name());
        let few = if is_long() { cuts.len() } else { 2 };
        for cut in &cuts[..few] {
            ground.renew().await;
            let proxy = Proxy::before(&work.written(&ground.mill).url()).await;
            proxy.cut(*cut);
            let words = ["postgresql://", "broke", "run it again"];
            let mut seen = ground.suffer(&[(setting, proxy.url())], &words).await;
            seen.expect(proxy.cuts() == 1, || format!("{} cuts", proxy.cuts()));
            ground.heal(&mut seen).await;
            tally.note(&format!("{cut:?}"), seen);
            work.written(&ground.mill).remove().await;
        }
        tally.close();
    }
}
