//! A run of the half-hour ends before the next begins, whatever CoinGecko does, and the next one goes on.

use chrono::{DateTime, TimeDelta, Utc};
use coinmill::sim::{ClockSetting, Market, Sim, SimOptions};

use crate::series::Mill;
use crate::support::command::{code, coinmill, finish, json, text};
use crate::support::{Kind, on_both_databases};

on_both_databases!(
    a_run_that_cannot_finish_ends_before_the_next_half_hour_and_that_goes_on,
    a_backfill_takes_as_long_as_it_takes,
);

/// A market whose clock runs, a few seconds before the end of a half-hour, with a snapshot of it.
async fn late(kind: Kind) -> Mill {
    let mut mill = Mill::new(kind, 5).await;
    let options = SimOptions {
        market: Market::Seeded { seed: 1, coins: 5 },
        clock: ClockSetting::StartingAt("2026-01-14T12:29:45Z".parse().unwrap()),
        ..SimOptions::default()
    };
    mill.bench.sim = Sim::start(options).await.unwrap();
    mill.snapshot("5").await;
    mill
}

fn at(report: &serde_json::Value, name: &str) -> DateTime<Utc> {
    report[name].as_str().unwrap().parse().unwrap()
}

const END: (&str, &str) = ("TEST_BEFORE_THE_NEXT", "6");

async fn a_run_that_cannot_finish_ends_before_the_next_half_hour_and_that_goes_on(kind: Kind) {
    let mill = late(kind).await;
    // two charts come, and the others are never answered
    mill.bench.fault("stall:path=market_chart,after=2,times=0");
    let run = async || {
        let arguments = ["run", "timeseries", "--json"];
        finish(coinmill(
            &mill.bench,
            Some(&mill.timeseries),
            &arguments,
            &[END],
        ))
        .await
    };
    let output = run().await;
    assert_eq!(code(&output), 0, "{}", text(&output));
    let report = json(&output);
    assert_eq!(
        (&report["state"], &report["received"], &report["postponed"]),
        (&"complete".into(), &2.into(), &3.into()),
        "{report}"
    );
    assert_eq!(report["missing"], serde_json::json!([]));
    let next: DateTime<Utc> = "2026-01-14T12:30:00Z".parse().unwrap();
    assert!(at(&report, "finished_at") < next, "{report}");
    // the next one has the rest, and nothing twice
    mill.bench.sim.clear_faults();
    mill.bench
        .sim
        .set_clock(next + TimeDelta::seconds(5))
        .unwrap();
    let report = json(&run().await);
    assert_eq!(
        (&report["state"], &report["postponed"]),
        (&"complete".into(), &0.into()),
        "{report}"
    );
    assert_eq!(
        mill.number("select count(distinct coin) from price_point")
            .await,
        5
    );
    assert_eq!(mill.torn().await, 0);
}

async fn a_backfill_takes_as_long_as_it_takes(kind: Kind) {
    let mill = late(kind).await;
    // it is asked to wait for longer than the half-hour has left
    mill.bench.fault("429:path=market_chart,retry_after=16");
    let with = [END, ("ATTEMPTS", "2")];
    let arguments = ["backfill", "--days", "2", "--coins", "bitcoin", "--json"];
    let output = finish(coinmill(
        &mill.bench,
        Some(&mill.timeseries),
        &arguments,
        &with,
    ))
    .await;
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert_eq!(json(&output)["received"], 1);
}
