//! Two processes on one slot.

use std::sync::Mutex;

use chrono::TimeDelta;
use coinmill::error::Error;
use coinmill::pipeline;

use crate::readers::{READERS, ended, meanwhile, views};
use crate::support::command::{coinmill, json, text};
use crate::support::{Bench, Kind, on_both_databases};

on_both_databases!(
    a_slot_that_is_being_worked_on_is_held,
    two_that_begin_at_once_store_a_slot_once,
);

const RUN: [&str; 5] = ["run", "snapshot", "--top", "300", "--json"];

async fn a_slot_that_is_being_worked_on_is_held(kind: Kind) {
    let bench = Bench::new(kind, 300).await;
    // the first waits for its second page, long enough for another to come
    bench.fault("429:after=1,retry_after=3");
    let first = ended(coinmill(&bench, None, &RUN, &[("ATTEMPTS", "2")]));
    let second = async {
        until_refused(&bench).await;
        ended(coinmill(&bench, None, &RUN, &[])).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(json(&first)["state"], "complete", "{}", text(&first));
    assert_eq!(second.status.code(), Some(4), "{}", text(&second));
    let held = "another run is at work on slot 2026-01-14T12:00Z: let it finish";
    assert!(text(&second).contains(held), "{}", text(&second));
    assert_eq!(bench.sim.calls(), 3);
    assert_eq!(bench.database.states().await, ["complete"]);
}

/// Waits until the market has refused a call, which the first run now waits after.
pub async fn until_refused(bench: &Bench) {
    let refused = async {
        while !bench.calls().iter().any(|(_, status)| *status == 429) {
            tokio::task::yield_now().await;
        }
    };
    let limit = std::time::Duration::from_secs(60);
    tokio::time::timeout(limit, refused).await.expect("no call");
}

async fn two_that_begin_at_once_store_a_slot_once(kind: Kind) {
    let bench = Bench::new(kind, 300).await;
    let settings = bench.settings(&[]);
    let views = views(&bench.database);
    let sizes = Mutex::new(Vec::new());
    let by_sql = views.iter().map(|view| {
        let sizes = &sizes;
        async move || {
            let sql = "select count(*) from quote group by snapshot_time";
            let rows = view.database().rows(sql).await;
            sizes
                .lock()
                .unwrap()
                .extend(rows.iter().map(|row| row[0].int()));
        }
    });
    let by_package = (0..READERS).map(|_| {
        let (sizes, settings) = (&sizes, &settings);
        async move || match pipeline::quotes(settings, &pipeline::Quotes::default()).await {
            Ok(read) => sizes.lock().unwrap().push(read.frame.rows() as i64),
            Err(error) => assert!(matches!(error, Error::Data { .. }), "{error:?}"),
        }
    });
    let work = async {
        for _ in 0..2 {
            let before = bench.sim.calls();
            let (one, other) = tokio::join!(
                ended(coinmill(&bench, None, &RUN, &[])),
                ended(coinmill(&bench, None, &RUN, &[])),
            );
            let fine = |output: &std::process::Output| {
                output.status.success() || text(output).contains("another run is at work")
            };
            assert!(fine(&one) && fine(&other), "{}{}", text(&one), text(&other));
            let stored = [&one, &other].map(|output| json(output)["stored"].as_i64().unwrap_or(0));
            assert_eq!(stored.iter().sum::<i64>(), 300, "{stored:?}");
            assert_eq!(bench.sim.calls(), before + 2);
            bench.sim.advance(TimeDelta::minutes(30)).unwrap();
        }
    };
    meanwhile(work, by_sql.collect(), by_package.collect()).await;
    let sizes = sizes.into_inner().unwrap();
    assert!(
        !sizes.is_empty() && sizes.iter().all(|size| *size == 300),
        "{sizes:?}"
    );
    assert_eq!(
        bench.database.number("select count(*) from quote").await,
        600
    );
}
