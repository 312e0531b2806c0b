//! Bounded batches: a long backfill commits as it goes, and one that is killed goes on where it was.

use coinmill::pipeline::{self, Reach, RunState, Unit};
use coinmill::series::Resolution;

use crate::series::{Mill, Watch, once_free, wanted};
use crate::support::{Kind, on_both_databases};

on_both_databases!(
    a_killed_backfill_keeps_its_batches_and_pays_only_for_the_rest,
    a_batch_is_bounded_by_its_points,
);

const HOUR: Resolution = Resolution::Hour;

/// A day of hours for many coins: a hundred charts are a batch.
async fn a_killed_backfill_keeps_its_batches_and_pays_only_for_the_rest(kind: Kind) {
    const COINS: u64 = 240;
    const ANSWERED: u64 = 215;
    let top = [("top", "240")];
    let mill = Mill::new(kind, 240).await;
    mill.snapshot("240").await;
    let snapshot_calls = mill.bench.sim.calls();
    mill.bench
        .fault(&format!("stall:path=market_chart,after={ANSWERED},times=0"));
    let (watch, settings) = (Watch::default(), mill.settings(&top));
    let observer = |progress: pipeline::Progress| {
        assert_eq!((progress.expected, progress.unit), (COINS, Unit::Charts));
        watch.note(progress.received);
    };
    let observer = pipeline::Observer::new(&observer);
    let days = wanted(HOUR, Reach::Days(1), &[]);
    let both_batches = async {
        watch.until(ANSWERED).await;
        while mill.count("landing").await < 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        outcome = pipeline::backfill(&settings, &days, &observer) => panic!("it ended: {outcome:?}"),
        () = both_batches => {}
    }
    mill.bench.sim.clear_faults();
    // two whole batches, and coverage of just what they hold
    assert_eq!(mill.counts().await[0..2], [200, 200]);
    assert_eq!(mill.count("coverage").await, 200);
    let without = "select count(*) from coverage v where not exists \
                   (select 1 from price_point p where p.coin = v.coin and p.ts >= v.starts_at and p.ts < v.ends_at)";
    assert_eq!(mill.number(without).await, 0);
    let outside = "select count(*) from price_point p where not exists \
                   (select 1 from coverage v where v.coin = p.coin and p.ts >= v.starts_at and p.ts < v.ends_at)";
    assert_eq!(mill.number(outside).await, 0);
    // a reader of a pin sees whole batches: their landings were committed together
    let paid = mill.bench.sim.calls() - snapshot_calls;
    assert_eq!(paid, ANSWERED + 8);

    let backfill = async || mill.backfill(HOUR, Reach::Days(1), &[], &top).await;
    let report = once_free(backfill).await.unwrap();
    assert_eq!(
        (report.state, report.recovered),
        (RunState::Complete, ANSWERED - 200)
    );
    assert_eq!(
        (report.expected, report.calls),
        (COINS - ANSWERED, COINS - ANSWERED)
    );
    assert_eq!(
        mill.bench.sim.calls() - snapshot_calls,
        paid + COINS - ANSWERED
    );
    let again = mill
        .backfill(HOUR, Reach::Days(1), &[], &top)
        .await
        .unwrap();
    assert_eq!((again.calls, again.stored, again.recovered), (0, 0, 0));
    let calm = Mill::new(Kind::Sqlite, 240).await;
    calm.snapshot("240").await;
    calm.backfill(HOUR, Reach::Days(1), &[], &top)
        .await
        .unwrap();
    assert_eq!(mill.view().await, calm.view().await);
    assert_eq!(mill.states().await, ["abandoned", "complete", "complete"]);
}

async fn a_batch_is_bounded_by_its_points(kind: Kind) {
    let mill = Mill::new(kind, 24).await;
    mill.snapshot("24").await;
    let top = [("top", "24")];
    // 24 charts of 2,160 points are more than one batch of 40,000, so that the first is there while the last hang
    mill.bench.fault("stall:path=market_chart,after=20,times=0");
    let (watch, settings) = (Watch::default(), mill.settings(&top));
    let observer = |progress: pipeline::Progress| watch.note(progress.received);
    let observer = pipeline::Observer::new(&observer);
    let days = wanted(HOUR, Reach::Days(90), &[]);
    let batch = async {
        watch.until(20).await;
        while mill.count("landing").await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        outcome = pipeline::backfill(&settings, &days, &observer) => panic!("it ended: {outcome:?}"),
        () = batch => {}
    }
    let points = mill.count("price_point").await;
    assert!((40_000..43_000).contains(&points), "{points}");
    assert_eq!(mill.count("landing").await, 19);
}
