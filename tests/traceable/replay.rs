//! A run rebuilt from its landing: the same hash by the same rules, each row that differs by others, and what was changed
//! behind the product's back.

use chrono::TimeDelta;
use coinmill::error::Error;
use coinmill::pipeline::{self, Change, Pick, Reach};
use coinmill::series::Resolution;
use coinmill::sim::RecordingKind;

use crate::series::{BITCOIN, HOUR, MINUTE, Mill, prices};
use crate::support::{Bench, Kind, noon, on_both_databases, recordings, report_of};

on_both_databases!(
    a_snapshot_is_rebuilt_to_the_same_hash,
    a_slot_of_several_runs_is_rebuilt_as_far_as_each_of_them,
    a_record_that_the_first_of_several_runs_refused_is_refused_once,
    a_requeue_is_rebuilt_with_what_it_built_on,
    other_rules_show_each_row_that_differs,
    series_are_rebuilt_to_the_same_hash_with_their_revisions,
    a_changed_row_is_found,
    what_stored_nothing_cannot_be_rebuilt,
    a_damaged_landing_is_said,
);

async fn a_snapshot_is_rebuilt_to_the_same_hash(kind: Kind) {
    let bench = Bench::new(kind, 600).await;
    bench.fault("shift");
    let with = [("top", "500"), ("add_coins", "dogecoin,sim-coin-0590")];
    let report = bench.run(&with).await.unwrap();
    let (counts, calls) = (bench.database.counts().await, bench.sim.calls());
    // the settings of the moment do not matter, but for the rules
    let settings = bench.settings(&[
        ("top", "7"),
        ("api_url", "http://localhost:1/api/v3"),
        ("clock", "system"),
    ]);
    let replayed = pipeline::replay(&settings, &report.run).await.unwrap();
    assert!(replayed.is_same, "{:?}", replayed.differences);
    assert_eq!(Some(&replayed.rebuilt_hash), report.content_hash.as_ref());
    assert_eq!(
        (replayed.stored, replayed.rebuilt),
        (report.accepted, report.accepted)
    );
    assert_eq!(
        (bench.database.counts().await, bench.sim.calls()),
        (counts, calls)
    );
}

async fn a_slot_of_several_runs_is_rebuilt_as_far_as_each_of_them(kind: Kind) {
    let bench = Bench::new(kind, 400).await;
    bench.fault("503:after=1");
    let with = [("top", "300"), ("attempts", "1")];
    let first = report_of(bench.run(&with).await);
    let second = bench.run(&with).await.unwrap();
    let third = bench.run(&[("top", "400")]).await.unwrap();
    let settings = bench.settings(&[]);
    for (run, stored) in [
        (first["run"].as_str().unwrap(), 150),
        (&*second.run, 300),
        (&*third.run, 400),
    ] {
        let replayed = pipeline::replay(&settings, run).await.unwrap();
        assert!(replayed.is_same, "{stored}: {:?}", replayed.differences);
        assert_eq!((replayed.stored, replayed.rebuilt), (stored, stored));
    }
}

async fn a_record_that_the_first_of_several_runs_refused_is_refused_once(kind: Kind) {
    let bench = Bench::new(kind, 400).await;
    bench.fault("503:after=1");
    let with = [
        ("top", "300"),
        ("attempts", "1"),
        ("refuse", "large_change_24h"),
        ("max_change_24h", "5"),
        ("completeness", "0"),
    ];
    let first = bench.run(&with).await.unwrap();
    assert!(first.rejected > 0);
    let second = bench.run(&with).await.unwrap();
    let settings = bench.settings(&with);
    for (run, stored) in [(first.run, first.accepted), (second.run, second.accepted)] {
        let replayed = pipeline::replay(&settings, &run).await.unwrap();
        assert!(replayed.is_same, "{stored}: {:?}", replayed.differences);
        assert_eq!((replayed.stored, replayed.rebuilt), (stored, stored));
    }
}

async fn a_requeue_is_rebuilt_with_what_it_built_on(kind: Kind) {
    let bench = Bench::new(kind, 300).await;
    let strict = [
        ("top", "200"),
        ("refuse", "large_change_24h"),
        ("max_change_24h", "5"),
        ("completeness", "0.5"),
    ];
    let run = bench.run(&strict).await.unwrap().run;
    let settings = bench.settings(&[]);
    let requeue = pipeline::requeue(&settings, &Pick::Open)
        .await
        .unwrap()
        .remove(0);
    let replayed = pipeline::replay(&settings, &requeue.run).await.unwrap();
    assert!(replayed.is_same, "{:?}", replayed.differences);
    assert_eq!(
        (replayed.rebuilt, Some(replayed.rebuilt_hash)),
        (200, requeue.content_hash)
    );
    // and the run before it is what it was
    let replayed = pipeline::replay(&bench.settings(&strict), &run)
        .await
        .unwrap();
    assert!(replayed.is_same, "{:?}", replayed.differences);
}

async fn other_rules_show_each_row_that_differs(kind: Kind) {
    let bench = Bench::new(kind, 300).await;
    let bound = ("min_volume", "1e7");
    let report = bench.run(&[("top", "200"), bound]).await.unwrap();
    let broken = report.warnings["low_volume"];
    let settings = bench.settings(&[("refuse", "low_volume"), bound]);
    let replayed = pipeline::replay(&settings, &report.run).await.unwrap();
    assert!(!replayed.is_same && replayed.rule_set != replayed.rule_set_now);
    assert_eq!(replayed.rebuilt + broken, replayed.stored);
    let sql = "select c.id from quote q join coin c on c.key = q.coin where q.warnings like '%low_volume%' order by c.id";
    let expected = bench.database.texts(sql).await;
    let removed = replayed.differences.iter();
    let removed = removed.filter(|difference| difference.change == Change::Removed);
    let removed: Vec<_> = removed.map(|difference| difference.row.clone()).collect();
    assert_eq!(removed, expected);
    // all others have their part of a smaller whole
    let changed = replayed.differences.iter();
    let mut changed = changed.filter(|difference| difference.change == Change::Changed);
    assert!(changed.all(|difference| difference.column == Some("dominance_pct")));

    let settings = bench.settings(&[("max_change_24h", "0.5"), bound]);
    let replayed = pipeline::replay(&settings, &report.run).await.unwrap();
    assert_eq!(replayed.stored_hash, replayed.rebuilt_hash);
    let first = &replayed.differences[0];
    assert_eq!(
        (first.change, first.column),
        (Change::Changed, Some("warnings"))
    );
    assert!(first.rebuilt.as_ref().unwrap().contains("large_change_24h"));
}

async fn series_are_rebuilt_to_the_same_hash_with_their_revisions(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let mut runs = Vec::new();
    // the second answer changes a point, leaves one out and adds one
    let first = noon().timestamp_millis() - 20 * HOUR;
    for (start, values) in [(0, ["1", "2", "3", "4"]), (1, ["2.5", "3", "4", "5"])] {
        mill.bench
            .body(&prices(first + start * 5 * MINUTE, 5 * MINUTE, &values));
        runs.push(mill.bitcoin().await.unwrap());
        mill.bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    }
    let reach = Reach::Days(200);
    runs.push(
        mill.backfill(Resolution::Hour, reach, &["bitcoin", "ethereum"], &[])
            .await
            .unwrap(),
    );
    runs.push(
        mill.backfill(Resolution::Day, reach, &["bitcoin"], &[])
            .await
            .unwrap(),
    );
    assert!(mill.count("price_revision").await > 0);
    let settings = mill.settings(&BITCOIN);
    for report in runs {
        let replayed = pipeline::replay(&settings, &report.run).await.unwrap();
        assert!(replayed.is_same, "{report:?}: {:?}", replayed.differences);
        assert!(replayed.stored >= report.stored && replayed.rebuilt == replayed.stored);
        assert_eq!(replayed.resolution, Some(report.resolution));
    }
}

async fn a_changed_row_is_found(kind: Kind) {
    let mill = Mill::new(kind, 20).await;
    let bench = &mill.bench;
    let report = bench.run(&[("top", "20")]).await.unwrap();
    bench
        .database
        .rows("update quote set current_price = 1 where coin = 3")
        .await;
    let replayed = pipeline::replay(&bench.settings(&[]), &report.run)
        .await
        .unwrap();
    assert!(!replayed.is_same && replayed.stored_hash != replayed.rebuilt_hash);
    let price = replayed.differences.iter();
    let price = price.filter(|difference| difference.column == Some("current_price"));
    let price: Vec<_> = price.map(|difference| difference.stored.clone()).collect();
    assert_eq!(price, [Some("1".to_owned())]);

    let report = mill.bitcoin().await.unwrap();
    let (first, last) = (
        "(select min(ts) from price_point)",
        "(select max(ts) from price_point)",
    );
    mill.rows(&format!(
        "update price_point set volume = 5 where ts = {first}"
    ))
    .await;
    mill.rows(&format!("delete from price_point where ts = {last}"))
        .await;
    let replayed = pipeline::replay(&mill.settings(&BITCOIN), &report.run)
        .await
        .unwrap();
    let found: Vec<_> = replayed
        .differences
        .iter()
        .map(|found| (found.change, found.column))
        .collect();
    assert_eq!(
        found,
        [(Change::Added, None), (Change::Changed, Some("volume"))]
    );
}

async fn what_stored_nothing_cannot_be_rebuilt(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    bench.fault("503");
    bench
        .run(&[("top", "20"), ("attempts", "1")])
        .await
        .unwrap_err();
    let failed = bench.database.texts("select id from run").await.remove(0);
    for run in [&*failed, "no-such-run"] {
        let error = pipeline::replay(&bench.settings(&[]), run)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error:?}");
        assert!(error.to_string().contains("coinmill runs"), "{error}");
    }
}

async fn a_damaged_landing_is_said(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let report = bench.run(&[("top", "20")]).await.unwrap();
    let path = bench
        .database
        .texts("select path from landing")
        .await
        .remove(0);
    std::fs::write(bench.landing().join(&path), b"no longer what it was").unwrap();
    let error = pipeline::replay(&bench.settings(&[]), &report.run)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Data { .. }) && error.to_string().contains(&path),
        "{error:?}"
    );
}

#[tokio::test]
async fn real_recordings_are_rebuilt_to_the_same_hash() {
    let Some(folder) = recordings::folder() else {
        return;
    };
    let bench = Bench::recorded(Kind::Sqlite, folder).await;
    let recordings = bench.sim.recordings().to_vec();
    let pages = recordings
        .iter()
        .filter(|recording| recording.kind == RecordingKind::Markets);
    let mut rebuilt = 0;
    for page in pages {
        bench.sim.set_clock(page.instant).unwrap();
        let run = bench.run(&[]).await.unwrap().run;
        let replayed = pipeline::replay(&bench.settings(&[]), &run).await.unwrap();
        assert!(
            replayed.is_same,
            "{}: {:?}",
            page.name, replayed.differences
        );
        rebuilt += replayed.rebuilt;
    }
    assert!(rebuilt > 4_000, "{rebuilt}");
}
