//! A prune that is killed at any place: what is there is whole, what is gone is said, and the next one finishes it.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Output;

use coinmill::failpoint as place;
use coinmill::pipeline::{self, Prices};
use coinmill::series::Resolution;

use crate::scene::{days, four_days, yesterday};
use crate::series::{HOUR, Mill, View};
use crate::support::command::{code, coinmill, finish, text};
use crate::support::{Database, Kind, noon, on_both_databases};

on_both_databases!(a_prune_killed_at_any_place_is_finished_by_the_next);

const SETTINGS: [(&str, &str); 3] = [
    ("RETENTION_DAYS_5M", "1"),
    ("RETENTION_DAYS_LANDING", "1"),
    // a batch for each coin
    ("TEST_BATCH", "1"),
];

async fn run(mill: &Mill, failpoints: Option<&str>) -> Output {
    let arguments = ["prune", "--json"];
    let mut command = coinmill(&mill.bench, Some(&mill.timeseries), &arguments, &SETTINGS);
    if let Some(failpoints) = failpoints {
        command.env("FAILPOINTS", failpoints);
    }
    finish(command).await
}

/// The same databases and landing as another mill's, as they stand.
async fn copy(of: &Mill) -> Mill {
    let mut bench = crate::support::Bench::market(crate::scene::COINS).await;
    bench.database = of.bench.database.copy().await;
    let (from, to) = (of.bench.landing(), bench.landing());
    copy_folder(&from, &to);
    Mill {
        bench,
        timeseries: of.timeseries.copy().await,
    }
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A kept point is where it was, and one that is gone is said to be.
async fn is_whole(mill: &Mill, before: &View, after: &View) {
    mill.counts().await;
    let view = mill.view().await;
    let is_between = view
        .iter()
        .all(|(key, numbers)| before.get(key) == Some(numbers));
    assert!(is_between && after.keys().all(|key| view.contains_key(key)));
    // no point is outside of what its body covers, and where points are gone nothing is covered
    let outside = "select count(*) from price_point p where not exists (select 1 from coverage v where v.coin = p.coin \
                   and v.resolution = p.resolution and v.landing = p.landing and p.ts >= v.starts_at and p.ts < v.ends_at)";
    assert_eq!(mill.number(outside).await, 0);
    let gone: Vec<_> = before
        .keys()
        .filter(|key| !view.contains_key(*key))
        .collect();
    let covered = mill.coverage().await;
    for (coin, minutes, ts) in gone.iter().copied() {
        let spans = covered.get(&(coin.clone(), *minutes)).into_iter().flatten();
        let is_covered = spans.clone().any(|(start, end)| start <= ts && ts < end);
        assert!(!is_covered, "{coin} {ts}");
    }
    if !gone.is_empty() {
        let wanted = Prices {
            coins: Vec::new(),
            start: Some(yesterday() - chrono::TimeDelta::days(1)),
            end: None,
            resolution: Resolution::FiveMinutes,
            as_of: None,
        };
        let read = pipeline::prices(&mill.settings(&[]), &wanted)
            .await
            .unwrap();
        assert!(
            read.missing[0].reason.contains("by retention_days_5m = 1"),
            "{:?}",
            read.missing
        );
    }
}

async fn a_prune_killed_at_any_place_is_finished_by_the_next(kind: Kind) {
    let scene = four_days(kind).await;
    let before = scene.view().await;
    let mut after = before.clone();
    after.retain(|key, _| key.1 != 5 || key.2 >= yesterday().timestamp_millis());
    // the snapshot database's horizon, then points, then bodies by day: each in several commits
    for (place, passes) in [
        (place::RUN_BEGUN, &[1, 2][..]),
        (place::HORIZON_RECORDED, &[1, 2]),
        (place::POINTS_HALF_PRUNED, &[1, 3]),
        (place::COMMIT_BEGUN, &[1, 4]),
        (place::COMMIT_NOT_SENT, &[2, 6]),
        (place::COMMITTED, &[1, 2, 7]),
        (place::COMMIT_STAMPED, &[3]),
        (place::BODIES_HALF_PRUNED, &[1, 2]),
        (place::RUN_ENDED, &[1]),
    ] {
        for pass in passes {
            let mill = copy(&scene).await;
            let harm = format!("{place}={}*off->return", pass - 1);
            let killed = run(&mill, Some(&harm)).await;
            assert_eq!(
                killed.status.signal(),
                Some(9),
                "{place} {pass}: {}",
                text(&killed)
            );
            for database in [&mill.timeseries, &mill.bench.database] {
                Database::until_deserted(database).await;
            }
            is_whole(&mill, &before, &after).await;
            let done = run(&mill, None).await;
            assert_eq!(code(&done), 0, "{place} {pass}: {}", text(&done));
            assert_eq!(mill.view().await, after, "{place} {pass}");
            is_whole(&mill, &before, &after).await;
            assert_eq!(days(&mill), ["2026-01-13", "2026-01-14"]);
            let states = "select state from run where kind = 'prune' order by id";
            let rows = mill.rows(states).await;
            let last = rows.last().unwrap();
            assert_eq!(last[0].text(), "complete");
            assert!(rows.iter().all(|row| row[0].text() != "running"));
            let stamped = r#"select count(*) from "commit" where at is null"#;
            assert_eq!(mill.number(stamped).await, 0);
            mill.timeseries.remove().await;
            mill.bench.database.remove().await;
        }
    }
    assert!(noon().timestamp_millis() - yesterday().timestamp_millis() > 24 * HOUR);
}
