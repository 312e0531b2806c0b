//! A backfill goes on past what one coin does, stops when the API is out, and says in the ledger what it stored.

use coinmill::error::Error;
use coinmill::pipeline::{self, Observer, Reach, RunState};
use coinmill::stop::Stopper;

use crate::series::{Mill, Watch, wanted};
use crate::support::{Kind, on_both_databases, said};

on_both_databases!(
    a_coin_that_always_fails_stops_no_other,
    an_api_that_is_out_stops_the_run_after_a_few_coins,
    a_key_that_is_refused_stops_the_run_at_once,
    the_ledger_of_a_run_that_fails_late_says_what_it_stored,
    a_run_that_is_stopped_is_abandoned_at_once_with_what_it_had_stored,
);

const HOUR: coinmill::series::Resolution = coinmill::series::Resolution::Hour;

async fn ledger(mill: &Mill) -> (String, Vec<i64>) {
    let sql = "select state, expected, received, stored, calls from run order by id desc";
    let row = mill.row(sql).await;
    let numbers = row[1..].iter().map(|cell| cell.int()).collect();
    (row[0].text().to_owned(), numbers)
}

async fn a_coin_that_always_fails_stops_no_other(kind: Kind) {
    let mill = Mill::new(kind, 30).await;
    mill.snapshot("30").await;
    for (fault, days) in [("500", 2), ("truncate", 4), ("cut", 6)] {
        mill.bench.sim.clear_faults();
        mill.bench
            .fault(&format!("{fault}:path=/coins/bitcoin/,times=0"));
        let with = [("top", "30"), ("attempts", "1"), ("completeness", "0.5")];
        let report = mill
            .backfill(HOUR, Reach::Days(days), &[], &with)
            .await
            .unwrap();
        assert_eq!(report.state, RunState::Partial, "{fault}");
        assert_eq!(report.missing.len(), 1, "{fault}: {:?}", report.missing);
        assert!(report.missing[0].what == "bitcoin", "{fault}");
        assert!(report.error.is_none(), "{fault}: {:?}", report.error);
    }
    let coins = "select count(distinct coin) from price_point";
    assert_eq!(mill.number(coins).await, 29);
}

async fn an_api_that_is_out_stops_the_run_after_a_few_coins(kind: Kind) {
    let mill = Mill::new(kind, 60).await;
    mill.snapshot("60").await;
    let before = mill.bench.sim.calls();
    mill.bench.fault("503:path=market_chart,times=0");
    let with = [("top", "60"), ("attempts", "1")];
    let outcome = mill.backfill(HOUR, Reach::Days(2), &[], &with).await;
    let error = outcome.unwrap_err();
    assert!(said(&error).contains("503") && error.is_retryable());
    let calls = mill.bench.sim.calls() - before;
    assert!(calls < 25, "{calls}");
    assert_eq!(ledger(&mill).await.0, "failed");
}

async fn a_key_that_is_refused_stops_the_run_at_once(kind: Kind) {
    let mill = Mill::new(kind, 60).await;
    mill.snapshot("60").await;
    let before = mill.bench.sim.calls();
    mill.bench.fault("401:path=market_chart,times=0");
    let outcome = mill
        .backfill(HOUR, Reach::Days(2), &[], &[("top", "60")])
        .await;
    assert!(matches!(
        outcome,
        Err(Error::Source {
            status: Some(401),
            ..
        })
    ));
    // those that were under way
    assert!(mill.bench.sim.calls() - before <= 9);
}

async fn the_ledger_of_a_run_that_fails_late_says_what_it_stored(kind: Kind) {
    let mill = Mill::new(kind, 260).await;
    mill.snapshot("260").await;
    mill.bench.fault("401:path=market_chart,after=150,times=0");
    let with = [("top", "260"), ("completeness", "1")];
    mill.backfill(HOUR, Reach::Days(2), &[], &with)
        .await
        .unwrap_err();
    let (state, numbers) = ledger(&mill).await;
    let points = mill.count("price_point").await;
    assert!(points > 0);
    assert_eq!((state.as_str(), numbers[2]), ("partial", points));

    // and where the commit itself fails, what the ones before had stored
    let landing = mill.bench.landing();
    let watch = Watch::default();
    let observer = |progress: pipeline::Progress| {
        if progress.received == 205 {
            std::fs::rename(&landing, landing.with_extension("away")).unwrap();
        }
        watch.note(progress.received);
    };
    mill.bench.sim.clear_faults();
    let settings = mill.settings(&[("top", "260")]);
    let days = wanted(HOUR, Reach::Days(4), &[]);
    let outcome = pipeline::backfill(&settings, &days, &Observer::new(&observer)).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::Store { .. }), "{error:?}");
    let (state, numbers) = ledger(&mill).await;
    let more = mill.count("price_point").await - points;
    assert!(more > 0);
    assert_eq!((state.as_str(), numbers[2]), ("failed", more));
}

async fn a_run_that_is_stopped_is_abandoned_at_once_with_what_it_had_stored(kind: Kind) {
    let mill = Mill::new(kind, 260).await;
    mill.snapshot("260").await;
    mill.bench
        .fault("stall:path=market_chart,after=150,times=0");
    let stopper = Stopper::default();
    let observer = |progress: pipeline::Progress| {
        if progress.received == 150 {
            stopper.stop();
        }
    };
    let observer = Observer::new(&observer).stopped_by(stopper.listen());
    let settings = mill.settings(&[("top", "260")]);
    let days = wanted(HOUR, Reach::Days(2), &[]);
    let error = pipeline::backfill(&settings, &days, &observer)
        .await
        .unwrap_err();
    assert_eq!(said(&error), "stopped; run it again to resume");
    let (state, numbers) = ledger(&mill).await;
    let points = mill.count("price_point").await;
    assert_eq!(state, "abandoned");
    assert!(points > 0 && numbers[2] == points, "{numbers:?} {points}");
    assert_eq!(numbers[0], 260);
    assert!(numbers[3] >= 150, "{numbers:?}");
    // nothing that came is asked for again
    mill.bench.sim.clear_faults();
    let before = mill.bench.sim.calls();
    let with = [("top", "260")];
    let report = mill
        .backfill(HOUR, Reach::Days(2), &[], &with)
        .await
        .unwrap();
    assert_eq!(report.state, RunState::Complete);
    assert_eq!(mill.bench.sim.calls() - before, 260 - 150);
}
