//! Fetching: what is not kept is not fetched.

use chrono::TimeDelta;
use coinmill::error::Error;
use coinmill::pipeline::Reach;
use coinmill::series::Resolution;

use crate::scene::{four_days, prune, yesterday};
use crate::support::{Kind, noon, on_both_databases, said};

on_both_databases!(
    a_run_after_a_prune_does_not_fetch_what_is_gone,
    a_backfill_of_what_is_not_kept_is_refused,
);

async fn a_run_after_a_prune_does_not_fetch_what_is_gone(kind: Kind) {
    let mill = four_days(kind).await;
    let with = [
        ("retention_days_5m", "1"),
        ("retention_days_1h", "1"),
        ("retention_days_1d", "2"),
    ];
    prune(&mill, &with).await.unwrap();
    let (view, calls) = (mill.view().await, mill.bench.sim.calls());
    for resolution in [Resolution::Hour, Resolution::Day] {
        let report = mill.run(resolution, &with).await.unwrap();
        assert_eq!((report.calls, report.stored), (0, 0), "{resolution}");
    }
    assert_eq!(mill.bench.sim.calls(), calls);
    mill.run(Resolution::FiveMinutes, &with).await.unwrap();
    assert_eq!(mill.view().await, view);
    // later ones keep to what is kept too
    mill.bench.sim.advance(TimeDelta::hours(6)).unwrap();
    for resolution in Resolution::ALL {
        mill.run(resolution, &with).await.unwrap();
    }
    for (minutes, days) in [(5, 1), (60, 1), (1440, 2)] {
        let first = mill
            .number(&format!(
                "select count(*) from price_point where resolution = {minutes} and ts < {}",
                mill.timeseries
                    .instant(yesterday() - TimeDelta::days(days - 1))
            ))
            .await;
        assert_eq!(first, 0, "{minutes}");
    }
    mill.counts().await;
}

async fn a_backfill_of_what_is_not_kept_is_refused(kind: Kind) {
    let mill = four_days(kind).await;
    let calls = mill.bench.sim.calls();
    for (resolution, setting) in [
        (Resolution::Hour, "retention_days_1h"),
        (Resolution::Day, "retention_days_1d"),
    ] {
        let with = [("top", "4"), (setting, "3")];
        let from = |at| Reach::Between(at, None);
        let first = yesterday() - TimeDelta::days(2);
        for reach in [Reach::Days(4), from(first - TimeDelta::seconds(1))] {
            let error = mill
                .backfill(resolution, reach, &[], &with)
                .await
                .unwrap_err();
            assert!(matches!(error, Error::Argument { .. }), "{error:?}");
            let said = said(&error);
            assert!(said.contains(&setting.to_ascii_uppercase()), "{said}");
            assert!(said.contains("2026-01-11T00:00:00Z"), "{said}");
        }
        for reach in [Reach::Days(3), from(first)] {
            mill.backfill(resolution, reach, &[], &with).await.unwrap();
        }
    }
    // at any time of a day, a number of days that are kept can be had
    for minutes in [0, 5, 34, 36] {
        let midnight = yesterday() + TimeDelta::days(2);
        mill.bench
            .sim
            .set_clock(midnight + TimeDelta::minutes(minutes))
            .unwrap();
        for resolution in Resolution::ALL {
            let setting = format!("retention_days_{resolution}");
            let with = [("top", "4"), (setting.as_str(), "1")];
            mill.backfill(resolution, Reach::Days(1), &["bitcoin"], &with)
                .await
                .unwrap();
        }
    }
    assert!(mill.bench.sim.calls() > calls);
    mill.counts().await;
    assert!(noon() < mill.bench.sim.now());
}
