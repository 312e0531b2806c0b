//! Received bodies: old days go, but for what somebody may still need; who needs what is gone is told when and why it went.

use std::sync::Arc;

use chrono::TimeDelta;
use coinmill::error::Error;
use coinmill::failpoint;
use coinmill::pipeline::{self, Pick};
use coinmill::series::Resolution;

use crate::scene::{days, files, four_days, part, prune, stopped_at};
use crate::series::Mill;
use crate::support::command::{coinmill, finish};
use crate::support::{Kind, noon, on_both_databases, said};

on_both_databases!(
    old_days_go_and_their_rows_stay,
    a_replay_says_that_a_body_was_pruned,
    a_replay_of_pruned_points_says_so,
    a_requeue_says_that_a_body_was_pruned,
    bodies_that_nobody_has_recovered_stay,
    a_slot_that_can_still_be_finished_keeps_its_bodies,
    the_folder_of_an_unknown_run_stays,
    the_folder_of_a_run_at_work_stays,
);

const ONE_DAY: [(&str, &str); 1] = [("retention_days_landing", "1")];
const WHY: &str = "bodies from before 2026-01-13T00:00:00Z were pruned at 2026-01-14T12:10:00Z, by retention_days_landing = 1";

/// The run of a kind that began first.
async fn first_run(mill: &Mill, kind: &str) -> String {
    let sql = format!("select id from run where kind = '{kind}' order by started_at, id");
    match kind {
        "snapshot" => mill.bench.database.row(&sql).await[0].text().to_owned(),
        _ => mill.row(&sql).await[0].text().to_owned(),
    }
}

async fn old_days_go_and_their_rows_stay(kind: Kind) {
    let mill = four_days(kind).await;
    let all = files(&mill.bench.landing());
    let landed = "select id, path, sha256 from landing order by id";
    let rows = (
        mill.rows(landed).await,
        mill.bench.database.rows(landed).await,
    );
    let view = mill.view().await;
    assert_eq!(days(&mill).len(), 4);
    let report = prune(&mill, &ONE_DAY).await.unwrap();
    assert_eq!(days(&mill), ["2026-01-13", "2026-01-14"]);
    let left = files(&mill.bench.landing());
    let gone = all.iter().filter(|(path, _)| !left.contains_key(*path));
    let bodies = gone.clone().filter(|(path, _)| path.ends_with(".zst"));
    let done = part(&report, "landing");
    assert_eq!(done.bodies, Some(bodies.count() as u64));
    assert_eq!(done.bytes, Some(gone.map(|(_, bytes)| bytes).sum()));
    assert_eq!(
        (done.bodies, done.bodies_kept, done.points),
        // a day apart is more than a day less ten minutes: what was lost between came by the hour
        (Some(2 * 5 + 4), Some(0), None)
    );
    let after = (
        mill.rows(landed).await,
        mill.bench.database.rows(landed).await,
    );
    assert_eq!(after, rows);
    assert_eq!(mill.view().await, view);
    // each database knows of its own runs' bodies
    let sum = "select cast(sum(bodies) as bigint) from pruned where resolution is null";
    assert_eq!(mill.number(sum).await, 8 + 4);
    assert_eq!(mill.bench.database.number(sum).await, 2);
    let run = "select kind, state from run order by started_at desc, id desc";
    for row in [mill.row(run).await, mill.bench.database.row(run).await] {
        assert_eq!((row[0].text(), row[1].text()), ("prune", "complete"));
    }
    mill.counts().await;
    mill.bench.database.counts().await;
    // what is kept is of use
    let newest = "select id from run where kind = 'backfill' order by id desc";
    let newest = mill.row(newest).await[0].text().to_owned();
    let replayed = pipeline::replay(&mill.settings(&[]), &newest)
        .await
        .unwrap();
    assert!(replayed.is_same);
}

async fn a_replay_says_that_a_body_was_pruned(kind: Kind) {
    let mill = four_days(kind).await;
    prune(&mill, &ONE_DAY).await.unwrap();
    for kind in ["snapshot", "timeseries"] {
        let run = first_run(&mill, kind).await;
        let error = pipeline::replay(&mill.settings(&[]), &run)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Data { .. }), "{error:?}");
        let said = said(&error);
        assert!(said.contains(&run) && said.contains(WHY), "{said}");
        assert!(!said.contains("restore"), "{said}");
    }
    // one that is gone for another reason is said to be so
    std::fs::remove_dir_all(mill.bench.landing().join("2026-01-14")).unwrap();
    let sql = "select id from run where kind = 'backfill'";
    let run = mill.row(sql).await[0].text().to_owned();
    let error = pipeline::replay(&mill.settings(&[]), &run)
        .await
        .unwrap_err();
    assert!(said(&error).contains("restore the landing folder"));
}

async fn a_replay_of_pruned_points_says_so(kind: Kind) {
    let mill = four_days(kind).await;
    let first = first_run(&mill, "timeseries").await;
    prune(&mill, &[("retention_days_5m", "1")]).await.unwrap();
    let error = pipeline::replay(&mill.settings(&[]), &first)
        .await
        .unwrap_err();
    let why = "points at 5m before 2026-01-13T00:00:00Z were pruned at 2026-01-14T12:10:00Z, by retention_days_5m = 1";
    assert!(said(&error).contains(why), "{error}");
    // of one that stored points on both sides, those that are kept are compared
    let sql = "select id from run where kind = 'timeseries' order by id";
    let rows = mill.rows(sql).await;
    let over = rows[2][0].text();
    let replayed = pipeline::replay(&mill.settings(&[]), over).await.unwrap();
    assert!(replayed.is_same, "{:?}", replayed.differences);
    assert!(replayed.stored > 0);
}

async fn a_requeue_says_that_a_body_was_pruned(kind: Kind) {
    let mill = Mill::new(kind, 4).await;
    let clock = |days| {
        mill.bench
            .sim
            .set_clock(noon() - TimeDelta::days(days))
            .unwrap()
    };
    let wrong = "set:field=current_price,id=bitcoin,times=0,value=-1";
    mill.bench.fault(wrong);
    let with = [("top", "4"), ("completeness", "0")];
    for days in [3, 0] {
        clock(days);
        mill.bench.run(&with).await.unwrap();
    }
    let settings = mill.settings(&with);
    let refused = pipeline::quarantine(&settings, &Pick::All).await.unwrap();
    assert!(refused.len() >= 2);
    prune(&mill, &ONE_DAY).await.unwrap();
    // its text stays
    let after = pipeline::quarantine(&settings, &Pick::All).await.unwrap();
    assert_eq!(after.len(), refused.len());
    let is_old = |body: &str| body.starts_with("2026-01-11");
    let old = after.iter().find(|it| is_old(&it.body)).unwrap();
    assert!(old.raw.contains("bitcoin"));
    let error = pipeline::requeue(&settings, &Pick::Ids(vec![old.id]))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Data { .. }), "{error:?}");
    let said = said(&error);
    assert!(said.contains(&old.body) && said.contains(WHY), "{said}");
    // of all that are open, those that can be are validated again
    let reports = pipeline::requeue(&settings, &Pick::Open).await.unwrap();
    let again: u64 = reports.iter().map(|report| report.requeued).sum();
    let young = after.iter().filter(|it| !is_old(&it.body)).count() as u64;
    assert!(young > 0);
    assert_eq!(again, young);
    // nothing of it has begun a run that failed
    let states = mill.bench.database.states().await;
    assert!(!states.iter().any(|state| state == "failed"), "{states:?}");
}

/// A run of the program that dies once its bodies are landed.
async fn die(mill: &Mill, arguments: &[&str]) {
    let mut command = coinmill(&mill.bench, Some(&mill.timeseries), arguments, &[]);
    command.env("FAILPOINTS", "before-commit=return");
    let output = finish(command).await;
    assert_eq!(output.status.code(), None);
    mill.timeseries.until_deserted().await;
    mill.bench.database.until_deserted().await;
}

async fn bodies_that_nobody_has_recovered_stay(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.snapshot("3").await;
    die(&mill, &["run", "timeseries"]).await;
    let later = noon() + TimeDelta::days(5);
    mill.bench.sim.set_clock(later).unwrap();
    let all = files(&mill.bench.landing()).len();
    for _ in 0..2 {
        let report = prune(&mill, &ONE_DAY).await.unwrap();
        let done = part(&report, "landing");
        assert_eq!(done.bodies_kept, Some(3));
    }
    assert_eq!(files(&mill.bench.landing()).len(), all - 2);
    // the next run has them for nothing
    mill.snapshot("3").await;
    let report = mill.run(Resolution::FiveMinutes, &[]).await.unwrap();
    assert_eq!(report.recovered, 3);
    let report = prune(&mill, &ONE_DAY).await.unwrap();
    let done = part(&report, "landing");
    assert_eq!((done.bodies, done.bodies_kept), (Some(3), Some(0)));
    assert_eq!(days(&mill), ["2026-01-19"]);
}

async fn a_slot_that_can_still_be_finished_keeps_its_bodies(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.bench.run(&[("top", "3")]).await.unwrap();
    let slot = mill.bench.sim.advance(TimeDelta::minutes(30));
    slot.unwrap();
    die(&mill, &["run", "snapshot", "--top", "3"]).await;
    mill.bench
        .sim
        .set_clock(noon() + TimeDelta::days(5))
        .unwrap();
    // a run that is at work marks the dead one, and so does a prune
    let report = prune(&mill, &ONE_DAY).await.unwrap();
    let done = part(&report, "landing");
    assert_eq!((done.bodies, done.bodies_kept), (Some(1), Some(1)));
    let slot = "2026-01-14T12:30Z".parse().unwrap();
    let finished = mill.bench.run_for(slot, &[("top", "3")]).await.unwrap();
    assert_eq!((finished.calls, finished.stored), (0, 3));
    let report = prune(&mill, &ONE_DAY).await.unwrap();
    let done = part(&report, "landing");
    assert_eq!((done.bodies, done.bodies_kept), (Some(1), Some(0)));
}

async fn the_folder_of_a_run_at_work_stays(kind: Kind) {
    let _alone = fail::FailScenario::setup();
    let mill = Arc::new(Mill::new(kind, 3).await);
    mill.snapshot("3").await;
    // it has committed all that it has landed so far
    let (mut there, let_go) = stopped_at(failpoint::COMMIT_STAMPED);
    let running = tokio::spawn({
        let mill = Arc::clone(&mill);
        async move { mill.run(Resolution::FiveMinutes, &[]).await }
    });
    there.recv().await.unwrap();
    fail::remove(failpoint::COMMIT_STAMPED);
    let later = noon() + TimeDelta::days(5);
    mill.bench.sim.set_clock(later).unwrap();
    for is_dry_run in [true, false] {
        let settings = mill.settings(&ONE_DAY);
        let report = pipeline::prune(&settings, is_dry_run).await.unwrap();
        let done = part(&report, "landing");
        assert_eq!((done.bodies, done.bodies_kept), (Some(1), Some(3)));
    }
    let_go.send(()).unwrap();
    running.await.unwrap().unwrap();
    let report = prune(&mill, &ONE_DAY).await.unwrap();
    assert_eq!(part(&report, "landing").bodies, Some(3));
}

async fn the_folder_of_an_unknown_run_stays(kind: Kind) {
    let mut mill = four_days(kind).await;
    let other = mill.bench.landing().join("2026-01-11/somebody-else-s");
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(other.join("0001-x.zst"), "mine").unwrap();
    let elsewhere = mill.bench.landing().join("2026-01-11-notes");
    std::fs::create_dir_all(&elsewhere).unwrap();
    let report = prune(&mill, &ONE_DAY).await.unwrap();
    assert_eq!(part(&report, "landing").bodies_kept, Some(1));
    assert!(other.join("0001-x.zst").exists() && elsewhere.exists());
    // of a database that is not there no run is known, and nothing of it goes
    let folder = mill.bench.landing().join("2026-01-13");
    mill.bench
        .sim
        .set_clock(noon() + TimeDelta::days(5))
        .unwrap();
    mill.lose_series(kind).await;
    let report = prune(&mill, &ONE_DAY).await.unwrap();
    let kept = part(&report, "landing").bodies_kept.unwrap();
    assert!(kept > 8 && folder.exists(), "{kept}");
}
