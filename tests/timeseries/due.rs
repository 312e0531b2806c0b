//! When a call is due: not before a point can have settled that is not stored yet.

use chrono::{DateTime, TimeDelta, Utc};
use coinmill::pipeline::{self, RunState};
use coinmill::series::Resolution;

use crate::series::{BITCOIN, MINUTE, Mill};
use crate::support::{Kind, noon, on_both_databases, said};

on_both_databases!(
    five_minutes_are_asked_for_when_five_more_have_settled,
    an_hour_is_asked_for_when_it_is_over,
    a_day_is_fetched_when_coingecko_has_it_ready,
    a_day_missed_by_one_run_is_whole_after_the_next,
    no_live_point_is_stored,
    a_coin_that_coingecko_does_not_know_is_listed,
);

/// How many calls and points a run at this instant comes to.
async fn at(mill: &Mill, resolution: Resolution, text: &str) -> (u64, u64) {
    mill.bench.sim.set_clock(text.parse().unwrap()).unwrap();
    let report = mill.run(resolution, &BITCOIN).await.unwrap();
    assert_eq!(report.state, RunState::Complete);
    assert_eq!(report.revisions, 0);
    (report.calls, report.stored)
}

async fn five_minutes_are_asked_for_when_five_more_have_settled(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let run = async |text| at(&mill, Resolution::FiveMinutes, text).await;
    let (calls, stored) = run("2026-01-14T12:10:00Z").await;
    assert_eq!(calls, 1);
    assert!((280..=286).contains(&stored), "{stored}");
    assert_eq!(run("2026-01-14T12:10:00Z").await, (0, 0));
    assert_eq!(run("2026-01-14T12:14:00Z").await, (0, 0));
    let (calls, stored) = run("2026-01-14T12:40:00Z").await;
    assert_eq!(calls, 1);
    assert!((4..=8).contains(&stored), "{stored}");
    assert_eq!(run("2026-01-14T12:40:00Z").await, (0, 0));
    assert_eq!(mill.states().await, ["complete"; 5]);
    assert_eq!(mill.covered("bitcoin", 5).await.len(), 1);
}

async fn an_hour_is_asked_for_when_it_is_over(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let run = async |text| at(&mill, Resolution::Hour, text).await;
    assert_eq!(run("2026-01-14T12:10:00Z").await.0, 1);
    assert_eq!(run("2026-01-14T12:10:00Z").await, (0, 0));
    assert_eq!(run("2026-01-14T12:59:59Z").await, (0, 0));
    assert_eq!(run("2026-01-14T13:00:00Z").await.0, 1);
    assert_eq!(run("2026-01-14T13:30:00Z").await, (0, 0));
    let (calls, stored) = run("2026-01-14T17:00:00Z").await;
    assert_eq!(calls, 1);
    assert!((3..=5).contains(&stored), "{stored}");
    // on the stroke of the hour the live point lies before it, and is no history all the same
    let (_, end) = mill.covered("bitcoin", 60).await[0];
    let hour = |text: &str| text.parse::<DateTime<Utc>>().unwrap().timestamp_millis();
    assert_eq!(end, hour("2026-01-14T17:00:00Z"));
}

async fn a_day_is_fetched_when_coingecko_has_it_ready(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let run = async |text| at(&mill, Resolution::Day, text).await;
    assert_eq!(run("2026-01-14T12:10:00Z").await.0, 1);
    assert_eq!(run("2026-01-14T23:59:00Z").await, (0, 0));
    assert_eq!(run("2026-01-15T00:34:59Z").await, (0, 0));
    assert_eq!(run("2026-01-15T00:35:00Z").await, (1, 1));
    assert_eq!(run("2026-01-15T12:00:00Z").await, (0, 0));
}

async fn a_day_missed_by_one_run_is_whole_after_the_next(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.bitcoin().await.unwrap();
    mill.bench.sim.advance(TimeDelta::hours(23)).unwrap();
    mill.bitcoin().await.unwrap();
    assert_eq!(mill.covered("bitcoin", 5).await.len(), 1);
    // every two hours instead gives the same points
    let often = Mill::new(kind, 3).await;
    for _ in 0..12 {
        often.bitcoin().await.unwrap();
        often.bench.sim.advance(TimeDelta::hours(2)).unwrap();
    }
    often.bench.sim.advance(TimeDelta::hours(-1)).unwrap();
    often.bitcoin().await.unwrap();
    assert_eq!(mill.view().await, often.view().await);
}

async fn no_live_point_is_stored(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    // the live point is a new one each time, and lies before its neighbour's now and then
    for step in 0..12 {
        mill.bench
            .sim
            .set_clock(noon() + TimeDelta::seconds(step * 437))
            .unwrap();
        mill.bitcoin().await.unwrap();
    }
    let now = mill.bench.sim.now().timestamp_millis();
    let view = mill.view().await;
    assert!(view.keys().all(|key| key.2 < now - 10 * MINUTE));
    let once = Mill::new(kind, 3).await;
    once.bench.sim.set_clock(mill.bench.sim.now()).unwrap();
    once.bitcoin().await.unwrap();
    for (key, numbers) in once.view().await {
        assert_eq!(view.get(&key), Some(&numbers), "{key:?}");
    }
    let since = (now - 23 * 60 * MINUTE)..now;
    let count =
        |view: &crate::series::View| view.keys().filter(|key| since.contains(&key.2)).count();
    assert_eq!(count(&view), count(&once.view().await));
}

/// A coin by name that CoinGecko does not know is no silent nothing: the snapshot says so, and so do the series.
async fn a_coin_that_coingecko_does_not_know_is_listed(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let with = |coins: &'static str| [("coins", coins)];
    let settings = mill.settings(&with("bitcoin,btc"));
    pipeline::run_snapshot(&settings, None, &pipeline::Observer::none())
        .await
        .unwrap();
    let report = mill
        .run(Resolution::FiveMinutes, &with("bitcoin,btc"))
        .await
        .unwrap();
    assert_eq!((report.state, report.expected), (RunState::Complete, 1));
    let unknown: Vec<_> = report
        .unknown
        .iter()
        .map(|it| (it.coin_id.as_str(), it.did_you_mean.as_deref()))
        .collect();
    assert_eq!(unknown, [("btc", Some("bitcoin"))]);
    let error = mill
        .run(Resolution::FiveMinutes, &with("btc"))
        .await
        .unwrap_err();
    assert!(
        said(&error).contains("CoinGecko knows no btc: correct COINMILL_COINS"),
        "{error:?}"
    );
}
