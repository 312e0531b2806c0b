//! The connection to PostgreSQL is cut in the middle of rows.

use crate::ground::Ground;
use crate::proxy::{Cut, Proxy};
use crate::support::Kind;
use crate::support::database::administrator;
use crate::support::tally::{Tally, is_long};
use crate::work::Work;

/// In the data, then elsewhere: in the rows of the landing, and at the beginning. Points that are new to their series come before
/// the rows of their bodies, those of a backfill as a COPY, and quotes after.
const SNAPSHOT: [Cut; 5] = [
    Cut {
        rows: 3,
        bytes: 60_000,
    },
    Cut { rows: 1, bytes: 30 },
    Cut {
        rows: 2,
        bytes: 500,
    },
    Cut { rows: 3, bytes: 1 },
    Cut {
        rows: 3,
        bytes: 20_000,
    },
];
const SERIES: [Cut; 4] = [
    Cut {
        rows: 1,
        bytes: 100_000,
    },
    Cut { rows: 2, bytes: 30 },
    Cut { rows: 1, bytes: 1 },
    Cut {
        rows: 1,
        bytes: 20_000,
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_among_rows_leaves_nothing_of_it() {
    let _alone = fail::FailScenario::setup();
    for (work, setting, cuts) in [
        (Work::Snapshot, "snapshot_url", &SNAPSHOT[..]),
        (Work::Timeseries, "timeseries_url", &SERIES[..]),
        (Work::Backfill, "timeseries_url", &SERIES[..1]),
    ] {
        let mut ground = Ground::lay(work, Some(&administrator())).await;
        let mut tally = Tally::new("connection cut among rows", Kind::Postgres, work.name());
        let few = if is_long() { cuts.len() } else { 2 };
        for cut in cuts.iter().take(few) {
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
