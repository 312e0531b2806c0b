//! Slots: the current one, one that is over, one to come, and a source whose clock is elsewhere.

use chrono::{TimeDelta, Utc};
use coinmill::error::Error;
use coinmill::market::Slot;
use coinmill::pipeline::RunState;

use crate::support::{Bench, Database, Kind, noon, noon_slot, on_both_databases, report_of, said};

on_both_databases!(
    each_slot_is_a_snapshot_of_its_own,
    a_past_slot_is_finished_from_its_landing_without_a_call,
    a_past_slot_that_its_landing_holds_in_part_is_committed_in_part_without_a_call,
    a_past_slot_with_nothing_landed_is_an_error_without_a_call,
    a_past_slot_that_is_complete_is_said_to_be_without_a_call,
    a_slot_to_come_is_an_argument_that_cannot_be,
    an_api_whose_clock_is_elsewhere_is_not_believed,
    an_api_whose_clock_is_seconds_behind_is_believed,
);

async fn each_slot_is_a_snapshot_of_its_own(kind: Kind) {
    let bench = Bench::new(kind, 50).await;
    let first = bench.run(&[("top", "50")]).await.unwrap();
    bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    let second = bench.run(&[("top", "50")]).await.unwrap();
    assert_eq!(second.slot.start() - first.slot.start(), Slot::LENGTH);
    assert_ne!(first.content_hash, second.content_hash);
    let sql = "select snapshot_time, state, content_hash from snapshot_now order by snapshot_time";
    let rows = bench.database.rows(sql).await;
    for (row, report) in rows.iter().zip([&first, &second]) {
        assert_eq!(row[0].int(), report.slot.start().timestamp_millis());
        assert_eq!(
            (row[1].text(), Some(row[2].text())),
            ("complete", report.content_hash.as_deref())
        );
    }
    assert_eq!(
        bench.database.number("select count(*) from quote").await,
        100
    );
    assert_eq!(bench.database.number("select count(*) from coin").await, 50);
    assert_eq!(
        bench
            .database
            .number("select count(*) from coin_name")
            .await,
        50
    );
}

async fn a_past_slot_is_finished_from_its_landing_without_a_call(kind: Kind) {
    let mut bench = Bench::new(kind, 300).await;
    let first = bench.run(&[("top", "300")]).await.unwrap();
    bench.database = Database::ready(kind).await;
    bench.sim.advance(TimeDelta::hours(3)).unwrap();
    let before = bench.sim.calls();
    let report = bench.run_for(noon_slot(), &[("top", "300")]).await.unwrap();
    assert_eq!(
        (report.state, report.slot, report.stored),
        (RunState::Complete, noon_slot(), 300)
    );
    assert_eq!(
        (report.calls, bench.sim.calls() - before, report.error),
        (0, 0, None)
    );
    assert_eq!(report.content_hash, first.content_hash);
}

async fn a_past_slot_that_its_landing_holds_in_part_is_committed_in_part_without_a_call(
    kind: Kind,
) {
    let mut bench = Bench::new(kind, 500).await;
    bench.fault("503:after=1,times=0");
    bench
        .run(&[("top", "500"), ("attempts", "1")])
        .await
        .unwrap_err();
    bench.database = Database::ready(kind).await;
    bench.sim.clear_faults();
    bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    let before = bench.sim.calls();
    let error = bench
        .run_for(noon_slot(), &[("top", "500")])
        .await
        .unwrap_err();
    assert!(said(&error).contains("is past"), "{error}");
    let report = report_of(Err(error));
    assert_eq!(
        (&report["state"], &report["stored"], &report["calls"]),
        (&"partial".into(), &250.into(), &0.into())
    );
    assert_eq!(bench.sim.calls() - before, 0);
    assert_eq!(
        bench.database.number("select count(*) from quote").await,
        250
    );
    // once more there is nothing left that could be added
    let error = bench
        .run_for(noon_slot(), &[("top", "500")])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Past { .. }), "{error:?}");
    assert_eq!(bench.database.states().await, ["partial", "failed"]);
}

async fn a_past_slot_with_nothing_landed_is_an_error_without_a_call(kind: Kind) {
    let bench = Bench::new(kind, 50).await;
    let yesterday = Slot::containing(noon() - TimeDelta::days(1));
    let error = bench
        .run_for(yesterday, &[("top", "50")])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Past { .. }) && !error.is_retryable());
    let chain = said(&error);
    assert!(
        chain.contains("slot 2026-01-13T12:00Z is past") && chain.contains("2026-01-14T12:00Z"),
        "{chain}"
    );
    assert_eq!(bench.sim.calls(), 0);
    let row = bench
        .database
        .row("select state, calls, stored, error from run")
        .await;
    assert_eq!(
        (row[0].text(), row[1].int(), row[2].int()),
        ("failed", 0, 0)
    );
    assert!(row[3].text().contains("is past"));
    assert_eq!(
        bench
            .database
            .number("select count(*) from snapshot_now")
            .await,
        0
    );
}

async fn a_past_slot_that_is_complete_is_said_to_be_without_a_call(kind: Kind) {
    let bench = Bench::new(kind, 50).await;
    let first = bench.run(&[("top", "50")]).await.unwrap();
    bench.sim.advance(TimeDelta::days(2)).unwrap();
    let report = bench.run_for(noon_slot(), &[("top", "50")]).await.unwrap();
    assert_eq!(
        (report.state, report.stored, report.calls),
        (RunState::Complete, 0, 0)
    );
    assert_eq!(report.content_hash, first.content_hash);
}

async fn a_slot_to_come_is_an_argument_that_cannot_be(kind: Kind) {
    let bench = Bench::new(kind, 50).await;
    let next = Slot::containing(noon() + TimeDelta::minutes(30));
    let error = bench.run_for(next, &[("top", "50")]).await.unwrap_err();
    assert!(matches!(error, Error::Argument { .. }), "{error:?}");
    assert!(
        said(&error).contains("slot 2026-01-14T12:30Z is still to come"),
        "{error}"
    );
    assert_eq!(
        (bench.sim.calls(), bench.database.states().await.len()),
        (0, 0)
    );
}

async fn an_api_whose_clock_is_elsewhere_is_not_believed(kind: Kind) {
    let bench = Bench::new(kind, 50).await;
    for clock in ["2026-01-14T13:10:00Z", "2026-01-14T11:10:00Z"] {
        let error = bench
            .run(&[("top", "50"), ("clock", clock)])
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Config { .. }), "{error:?}");
        let chain = said(&error);
        assert!(
            chain.contains("2026-01-14T12:10:00Z") && chain.contains("correct the clock"),
            "{chain}"
        );
        assert!(chain.contains("COINMILL_CLOCK=sim"), "{chain}");
    }
    assert_eq!(bench.database.counts().await, [0; 6]);
    assert_eq!(bench.database.states().await, ["failed", "failed"]);
    // and what was landed under the wrong slot is not recovered for it
    let clock = "2026-01-14T13:20:00Z";
    bench
        .run(&[("top", "50"), ("clock", clock)])
        .await
        .unwrap_err();
    assert_eq!(
        (bench.sim.calls(), bench.database.counts().await),
        (3, vec![0; 6])
    );
}

async fn an_api_whose_clock_is_seconds_behind_is_believed(kind: Kind) {
    let bench = Bench::new(kind, 50).await;
    bench
        .sim
        .set_clock(noon_slot().start() - TimeDelta::seconds(20))
        .unwrap();
    let report = bench
        .run(&[("top", "50"), ("clock", "2026-01-14T12:00:01Z")])
        .await
        .unwrap();
    assert_eq!(
        (report.state, report.slot),
        (RunState::Complete, noon_slot())
    );
}

/// Settings are for this machine's clock unless told otherwise: with a frozen market of the past that must not pass.
#[tokio::test]
async fn the_machine_s_clock_is_the_default() {
    let bench = Bench::new(Kind::Sqlite, 20).await;
    let error = bench
        .run(&[("top", "20"), ("clock", "system")])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error:?}");
    bench.sim.set_clock(Utc::now()).unwrap();
    assert_eq!(
        bench
            .run(&[("top", "20"), ("clock", "system")])
            .await
            .unwrap()
            .state,
        RunState::Complete
    );
}
