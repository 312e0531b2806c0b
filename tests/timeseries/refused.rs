//! Points that are refused, responses that are old, and snapshots that lack coins: a series run says what it has not got.

use chrono::TimeDelta;
use coinmill::error::Error;
use coinmill::pipeline::{Prices, Reach, RunState, SeriesReport, prices};
use coinmill::series::Resolution;

use crate::series::{HOUR, Mill, chart};
use crate::support::{Kind, named, noon, on_both_databases, said};

on_both_databases!(
    a_refused_point_is_missing_and_asked_for_once_more,
    a_response_out_of_a_cache_says_what_it_lacks,
    a_coin_that_the_snapshot_refused_is_followed_all_the_same,
    a_snapshot_without_coins_is_not_taken_for_everything,
    what_a_snapshot_lacks_by_rank_is_missing_from_the_charts_too,
);

async fn days(mill: &Mill) -> SeriesReport {
    mill.backfill(Resolution::Hour, Reach::Days(4), &["bitcoin"], &[])
        .await
        .unwrap()
}

/// Ninety hourly points, of which twenty have a price below zero.
fn partly_refused() -> String {
    let first = noon().timestamp_millis() - 94 * HOUR;
    let price = |place: i64| if (20..40).contains(&place) { "-1" } else { "1" };
    let points: Vec<_> = (0..94)
        .map(|place| (first + place * HOUR, price(place), "1", "1"))
        .collect();
    chart(&points)
}

async fn a_refused_point_is_missing_and_asked_for_once_more(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let body = partly_refused();
    mill.bench
        .fault(&format!("body:status=200,times=0,text={body}"));
    let is_named = |report: &SeriesReport| {
        let missing = named(&report.missing).join("; ");
        missing.contains("bitcoin (points from 2026-01-11T10:10Z")
            && missing.contains("quarantine list")
    };
    let report = days(&mill).await;
    assert_eq!((report.state, report.rejected), (RunState::Partial, 20));
    assert!(is_named(&report), "{:?}", report.missing);
    // a read says so, too
    let wanted = Prices {
        coins: vec!["bitcoin".parse().unwrap()],
        start: None,
        end: None,
        resolution: Resolution::Hour,
        as_of: None,
    };
    let settings = mill.settings(&[]);
    let read = prices(&settings, &wanted).await.unwrap();
    assert_eq!(read.missing.len(), 1, "{:?}", read.missing);
    assert!(read.missing[0].reason.contains("refused"));
    // asked for once more an hour later; after that it costs no call, and is reported as missing
    for (minutes, calls) in [(10, 0), (61, 2), (61, 1), (0, 0)] {
        mill.bench.sim.advance(TimeDelta::minutes(minutes)).unwrap();
        let report = days(&mill).await;
        assert!(is_named(&report), "{:?}", report.missing);
        assert!(report.calls <= calls, "{} calls", report.calls);
    }
    assert_eq!(mill.torn().await, 0);
    // a good response heals it
    mill.bench.sim.clear_faults();
    let wanted = coinmill::pipeline::Backfill {
        refetch: true,
        spend: None,
        ..crate::series::wanted(Resolution::Hour, Reach::Days(4), &["bitcoin"])
    };
    let observer = coinmill::pipeline::Observer::none();
    coinmill::pipeline::backfill(&settings, &wanted, &observer)
        .await
        .unwrap();
    let report = days(&mill).await;
    assert_eq!(report.state, RunState::Complete, "{:?}", report.missing);
}

async fn a_response_out_of_a_cache_says_what_it_lacks(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.bench
        .fault("aged:seconds=7200,times=0,path=market_chart");
    for resolution in [Resolution::Hour, Resolution::FiveMinutes] {
        let report = mill
            .backfill(resolution, Reach::Days(1), &["bitcoin"], &[])
            .await
            .unwrap();
        assert_eq!(report.state, RunState::Partial, "{report:?}");
        let missing = named(&report.missing).join("; ");
        assert!(
            missing.contains("bitcoin (the response came from a cache"),
            "{missing}"
        );
    }
    mill.bench.sim.clear_faults();
    for resolution in [Resolution::Hour, Resolution::FiveMinutes] {
        let report = mill
            .backfill(resolution, Reach::Days(1), &["bitcoin"], &[])
            .await
            .unwrap();
        assert_eq!((report.state, report.calls), (RunState::Complete, 1));
        assert!(report.stored > 0);
    }
}

async fn a_coin_that_the_snapshot_refused_is_followed_all_the_same(kind: Kind) {
    let mill = Mill::new(kind, 5).await;
    mill.bench
        .fault("set:times=0,path=/coins/markets,id=bitcoin,field=current_price,value=-1");
    let with = [("top", "5"), ("completeness", "0.5")];
    mill.bench.run(&with).await.unwrap();
    let report = mill.run(Resolution::FiveMinutes, &with).await.unwrap();
    assert_eq!((report.state, report.expected), (RunState::Complete, 5));
    let report = mill
        .backfill(Resolution::Hour, Reach::Days(2), &[], &with)
        .await
        .unwrap();
    assert_eq!((report.state, report.expected), (RunState::Complete, 5));
    assert!(mill.requested().contains(&"bitcoin".to_owned()));
}

async fn a_snapshot_without_coins_is_not_taken_for_everything(kind: Kind) {
    let mill = Mill::new(kind, 5).await;
    mill.bench
        .fault("set:field=current_price,times=0,path=/coins/markets,value=0");
    let with = [("top", "5"), ("refuse", "zero_price")];
    mill.bench.run(&with).await.unwrap();
    for outcome in [
        mill.run(Resolution::FiveMinutes, &with).await,
        mill.backfill(Resolution::Hour, Reach::Days(2), &[], &with)
            .await,
    ] {
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::Config { .. }), "{error:?}");
        assert!(said(&error).contains("slot 2026-01-14T12:00Z, holds no coin"));
    }
    assert_eq!(mill.count("run").await, 0);
}

async fn what_a_snapshot_lacks_by_rank_is_missing_from_the_charts_too(kind: Kind) {
    let mill = Mill::new(kind, 300).await;
    mill.bench.fault("500:times=0,path=&page=2");
    let with = [("top", "300"), ("attempts", "1"), ("completeness", "0.4")];
    mill.bench.run(&with).await.unwrap();
    mill.bench.sim.clear_faults();
    let report = mill.run(Resolution::FiveMinutes, &with).await.unwrap();
    assert_eq!((report.state, report.received), (RunState::Partial, 150));
    assert_eq!(
        named(&report.missing),
        ["ranks 151 to 300 of the snapshot 2026-01-14T12:00Z (page 2 of 2)"]
    );
}
