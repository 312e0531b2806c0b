//! Every recorded chart of the real market through the recorded market server into both kinds of database, digit for digit.
//! What is settled and what a token means are worked out here anew, from the recordings alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_wrap,
    reason = "a test that cannot go on should say where"
)]

mod support;

#[path = "support/series.rs"]
mod series;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use coinmill::error::Result;
use coinmill::pipeline::{Reach, RunState, SeriesReport};
use coinmill::series::Resolution;
use coinmill::sim::RecordingKind;
use serde::Deserialize;
use serde_json::value::RawValue;

use series::{BITCOIN, DAY, HOUR, MINUTE, Mill, View};
use support::{Kind, on_both_databases, recordings};

on_both_databases!(
    every_settled_point_of_every_recording_is_stored_once_and_digit_for_digit,
    two_days_that_overlap_become_one_series_without_gap_or_double,
    a_day_that_begins_before_its_24_hours_is_stored_from_its_first_point,
    a_landing_of_recordings_gives_the_same_series_again_without_a_call,
    ninety_days_are_the_ninety_midnights_of_a_chart_of_ninety_days,
);

/// The recordings, in the order in which they were made.
const CHARTS: [(&str, Resolution); 4] = [
    ("bitcoin-days-30-hourly", Resolution::Hour),
    ("bitcoin-days-1-a", Resolution::FiveMinutes),
    ("bitcoin-days-90-daily", Resolution::Day),
    ("bitcoin-days-1-b", Resolution::FiveMinutes),
];

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    prices: Vec<(i64, &'a RawValue)>,
    #[serde(borrow)]
    market_caps: Vec<(i64, &'a RawValue)>,
    #[serde(borrow)]
    total_volumes: Vec<(i64, &'a RawValue)>,
}

/// One recording: when it was made, and what of it can be believed.
struct Recorded {
    resolution: Resolution,
    at: DateTime<Utc>,
    settled: View,
    live: BTreeSet<i64>,
}

fn folder() -> Option<PathBuf> {
    let folder = recordings::folder()?;
    if !folder.join("chart").is_dir() {
        eprintln!("skipped: no recordings at ../shared/coingecko/chart");
        return None;
    }
    Some(folder)
}

fn read(folder: &Path, name: &str, resolution: Resolution) -> Recorded {
    let text = |suffix: &str| {
        std::fs::read_to_string(folder.join("chart").join(format!("{name}{suffix}"))).unwrap()
    };
    let meta: serde_json::Value = serde_json::from_str(&text(".meta.json")).unwrap();
    let at = DateTime::parse_from_rfc2822(meta["recorded_at"].as_str().unwrap()).unwrap();
    let now = at.timestamp_millis();
    let is_settled = |ts: i64| match resolution {
        Resolution::FiveMinutes => ts < now - 10 * MINUTE,
        Resolution::Hour => ts < now / HOUR * HOUR,
        // all of these were made long after 00:35
        Resolution::Day => ts % DAY == 0 && ts <= now / DAY * DAY,
    };
    let text = text(".json");
    let body: Body<'_> = serde_json::from_str(&text).unwrap();
    let number = |raw: &RawValue| match raw.get() {
        "null" => None,
        digits => Some(digits.parse::<f64>().unwrap().to_bits()),
    };
    let (mut settled, mut live) = (View::new(), BTreeSet::new());
    for ((price, cap), volume) in body
        .prices
        .iter()
        .zip(&body.market_caps)
        .zip(&body.total_volumes)
    {
        assert!(price.0 == cap.0 && price.0 == volume.0);
        if is_settled(price.0) {
            let key = ("bitcoin".to_owned(), resolution.minutes().into(), price.0);
            let numbers = [number(price.1), number(cap.1), number(volume.1)];
            assert_eq!(settled.insert(key, numbers), None);
        } else {
            live.insert(price.0);
        }
    }
    assert!(!live.is_empty() && settled.len() > 80, "{name}");
    Recorded {
        resolution,
        at: at.to_utc(),
        settled,
        live,
    }
}

/// What a user would ask for at the moment of a recording.
async fn ask(mill: &Mill, recorded: &Recorded) -> Result<SeriesReport> {
    mill.bench.sim.set_clock(recorded.at).unwrap();
    let reach = match recorded.resolution {
        Resolution::FiveMinutes => return mill.bitcoin().await,
        Resolution::Hour => Reach::Days(30),
        Resolution::Day => Reach::Between(
            recorded.at - TimeDelta::days(90) + TimeDelta::minutes(1),
            None,
        ),
    };
    mill.backfill(recorded.resolution, reach, &["bitcoin"], &[])
        .await
}

/// All recordings asked for, and the series that they must make.
async fn ask_all(mill: &Mill, folder: &Path) -> (View, Vec<SeriesReport>) {
    let (mut expected, mut reports) = (View::new(), Vec::new());
    for (name, resolution) in CHARTS {
        let recorded = read(folder, name, resolution);
        let report = ask(mill, &recorded).await;
        let report = report.unwrap_or_else(|error| panic!("{name}: {}", error.chain()));
        assert_eq!(
            (report.state, report.rejected, report.calls, report.received),
            (RunState::Complete, 0, 1, 1),
            "{name}"
        );
        let stamps: BTreeSet<i64> = mill.view().await.into_keys().map(|key| key.2).collect();
        assert!(stamps.is_disjoint(&recorded.live), "{name}");
        let before = expected.len();
        expected.extend(recorded.settled);
        assert_eq!(report.stored, (expected.len() - before) as u64, "{name}");
        // what two recordings both hold has not changed between them
        assert_eq!(report.revisions, 0, "{name}");
        reports.push(report);
    }
    (expected, reports)
}

async fn every_settled_point_of_every_recording_is_stored_once_and_digit_for_digit(kind: Kind) {
    let Some(folder) = folder() else { return };
    let mill = Mill::recorded(kind, folder.clone()).await;
    let charts = mill.bench.sim.recordings().iter();
    let charts = charts.filter(|recording| recording.kind == RecordingKind::Chart);
    assert_eq!(charts.count(), CHARTS.len());
    let (expected, _) = ask_all(&mill, &folder).await;
    assert_eq!(mill.view().await, expected);
    assert_eq!(mill.read("price_point").await, expected);
    assert_eq!(
        (
            mill.count("price_revision").await,
            mill.count("quarantine").await
        ),
        (0, 0)
    );
    // every row is traced to the body that it came from
    let sql = "select count(*) from price_point p join landing l on l.id = p.landing join run r on r.id = l.run";
    assert_eq!(mill.number(sql).await, expected.len() as i64);
    let calls = mill.bench.sim.calls();
    let again = mill.bitcoin().await.unwrap();
    assert_eq!((again.stored, again.calls), (0, 0));
    assert_eq!(mill.bench.sim.calls(), calls);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_kinds_of_database_hold_the_same() {
    let Some(folder) = folder() else { return };
    let mut held = Vec::new();
    for kind in [Kind::Postgres, Kind::Sqlite] {
        let mill = Mill::recorded(kind, folder.clone()).await;
        ask_all(&mill, &folder).await;
        let mut spans = Vec::new();
        for (_, resolution) in CHARTS {
            spans.push(mill.covered("bitcoin", resolution.minutes().into()).await);
        }
        let sql = "select l.request, l.status, l.sha256, l.bytes, l.received_at from landing l order by l.id";
        let mut landed = mill.rows(sql).await;
        // each market server has a port of its own
        for row in &mut landed {
            let request = row[0].text().replace(&mill.bench.sim.url(), "");
            row[0] = support::Cell::Text(request);
        }
        held.push((
            mill.view().await,
            mill.read("price_point").await,
            spans,
            landed,
        ));
    }
    assert_eq!(held[0], held[1]);
}

async fn two_days_that_overlap_become_one_series_without_gap_or_double(kind: Kind) {
    let Some(folder) = folder() else { return };
    let mill = Mill::recorded(kind, folder.clone()).await;
    let a = read(&folder, "bitcoin-days-1-a", Resolution::FiveMinutes);
    let b = read(&folder, "bitcoin-days-1-b", Resolution::FiveMinutes);
    let first = ask(&mill, &a).await.unwrap();
    assert_eq!(first.stored, a.settled.len() as u64);
    let second = ask(&mill, &b).await.unwrap();
    let common = b
        .settled
        .keys()
        .filter(|key| a.settled.contains_key(*key))
        .count();
    assert!(common > 50);
    assert_eq!(
        (second.stored, second.revisions),
        ((b.settled.len() - common) as u64, 0)
    );
    let mut union = a.settled.clone();
    union.extend(b.settled.clone());
    let view = mill.view().await;
    assert_eq!(view, union);
    // one span, from a day before the first to ten minutes before the second
    let spans = mill.covered("bitcoin", 5).await;
    let (start, end) = spans[0];
    assert_eq!(spans.len(), 1);
    assert_eq!(end, b.at.timestamp_millis() - 10 * MINUTE);
    assert!((start - (a.at - TimeDelta::days(1)).timestamp_millis()).abs() <= 5 * MINUTE);
    let stamps: Vec<i64> = view.keys().map(|key| key.2).collect();
    assert!(stamps.iter().all(|ts| (start..end).contains(ts)));
    // the widest step of the recordings themselves is 8.8 minutes
    assert!(
        stamps
            .windows(2)
            .all(|pair| pair[1] - pair[0] < 10 * MINUTE)
    );
}

async fn a_day_that_begins_before_its_24_hours_is_stored_from_its_first_point(kind: Kind) {
    let Some(folder) = folder() else { return };
    let mill = Mill::recorded(kind, folder.clone()).await;
    // its first point is 86 s older than the 24 hours before it was made, as its first step goes back that far
    let b = read(&folder, "bitcoin-days-1-b", Resolution::FiveMinutes);
    let first = b.settled.keys().next().unwrap().2;
    assert!(first < (b.at - TimeDelta::days(1)).timestamp_millis());
    ask(&mill, &b).await.unwrap();
    let view = mill.view().await;
    let lost: Vec<_> = b
        .settled
        .keys()
        .filter(|key| !view.contains_key(*key))
        .collect();
    assert!(lost.is_empty(), "not stored: {lost:?}");
    assert_eq!(view, b.settled);
}

async fn a_landing_of_recordings_gives_the_same_series_again_without_a_call(kind: Kind) {
    let Some(folder) = folder() else { return };
    let mut mill = Mill::recorded(kind, folder.clone()).await;
    let (expected, reports) = ask_all(&mill, &folder).await;
    let calls = mill.bench.sim.calls();
    let other = match kind {
        Kind::Postgres => Kind::Sqlite,
        Kind::Sqlite => Kind::Postgres,
    };
    mill.lose_series(other).await;
    for report in &reports {
        mill.bury(
            &report.run,
            report.kind,
            report.resolution,
            report.started_at,
        )
        .await;
    }
    let (start, end) = ("2021-05-14T00:00:00Z", "2021-05-15T14:00:00Z");
    let past = Reach::Between(start.parse().unwrap(), Some(end.parse().unwrap()));
    let mut recovered = 0;
    for resolution in [Resolution::Hour, Resolution::Day] {
        let report = mill.backfill(resolution, past, &["bitcoin"], &[]).await;
        recovered += report.unwrap().recovered;
    }
    recovered += mill
        .run(Resolution::FiveMinutes, &BITCOIN)
        .await
        .unwrap()
        .recovered;
    assert_eq!((recovered, mill.bench.sim.calls()), (4, calls));
    assert_eq!(mill.view().await, expected);
    assert_eq!(mill.count("price_revision").await, 0);
}

async fn ninety_days_are_the_ninety_midnights_of_a_chart_of_ninety_days(kind: Kind) {
    let Some(folder) = folder() else { return };
    let mill = Mill::recorded(kind, folder.clone()).await;
    let recorded = read(&folder, "bitcoin-days-90-daily", Resolution::Day);
    assert_eq!(recorded.settled.len(), 90);
    mill.bench.sim.set_clock(recorded.at).unwrap();
    let outcome = mill
        .backfill(Resolution::Day, Reach::Days(90), &["bitcoin"], &[])
        .await;
    let asked = mill.bench.calls();
    assert!(outcome.is_ok(), "asked for {asked:?}: {outcome:?}");
    assert_eq!(mill.view().await, recorded.settled);
}
