//! A source that refuses, breaks off or sends something else, and comes round or does not.

use std::time::{Duration, Instant};

use coinmill::error::Error;
use coinmill::pipeline::RunState;

use crate::support::{Bench, Kind, missing_of, on_both_databases, report_of, said};

on_both_databases!(
    a_passing_fault_is_tried_again_and_counted,
    every_fault_that_does_not_pass_leaves_an_error_and_nothing_else,
    every_fault_in_the_middle_leaves_what_came_and_is_healed_by_the_next_run,
    a_page_that_comes_short_is_said,
);

/// Every way in which a call can go wrong, and what is said of it.
const FAULTS: [(&str, &str); 12] = [
    ("429", "too many calls"),
    ("throttled", "Throttled"),
    ("1015", "1015"),
    ("500", "HTTP 500"),
    ("503", "HTTP 503"),
    ("html:status=403", "HTTP 403"),
    ("html:status=504", "HTTP 504"),
    ("html:status=200", "HTTP 200"),
    ("limit200", "too many calls"),
    ("stall", "stalled"),
    ("cut", "cut short"),
    ("truncate", "not a whole JSON array"),
];

/// How long to wait for a response: no longer than must be where none will come, and long enough on a busy machine.
fn patience(fault: &str) -> &'static str {
    if fault == "stall" { "2" } else { "30" }
}

async fn a_passing_fault_is_tried_again_and_counted(kind: Kind) {
    for (fault, credits) in [
        ("limit200", 2),
        ("truncate", 2),
        ("html:status=504", 1),
        ("stall", 2),
        ("cut", 2),
    ] {
        let bench = Bench::new(kind, 20).await;
        bench.fault(fault);
        let with = [
            ("top", "20"),
            ("timeout", patience(fault)),
            ("credits_per_month", "100"),
        ];
        let report = bench.run(&with).await.unwrap();
        assert_eq!(
            (report.state, report.stored),
            (RunState::Complete, 20),
            "{fault}"
        );
        assert_eq!((report.calls, bench.sim.calls()), (2, 2), "{fault}");
        let row = bench
            .database
            .row("select state, calls, error from run")
            .await;
        assert_eq!((row[0].text(), row[1].int()), ("complete", 2), "{fault}");
        assert_eq!(row[2], crate::support::Cell::Null, "{fault}");
        // the API charges for every 200, believed or not
        assert_eq!(
            bench.database.number("select credits from budget").await,
            credits,
            "{fault}"
        );
    }
}

async fn every_fault_that_does_not_pass_leaves_an_error_and_nothing_else(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    for (number, (fault, says)) in FAULTS.into_iter().enumerate() {
        bench.sim.clear_faults();
        let separator = if fault.contains(':') { ',' } else { ':' };
        bench.fault(&format!("{fault}{separator}times=0"));
        let with = [
            ("top", "20"),
            ("attempts", "1"),
            ("timeout", patience(fault)),
        ];
        let error = bench.run(&with).await.unwrap_err();
        assert!(matches!(error, Error::Source { .. }), "{fault}: {error:?}");
        let chain = said(&error);
        assert!(chain.contains(says), "{fault}: {chain}");
        let row = bench
            .database
            .row("select state, calls, stored, error from run order by id desc")
            .await;
        assert_eq!(
            (row[0].text(), row[1].int(), row[2].int()),
            ("failed", 1, 0),
            "{fault}"
        );
        assert_eq!(row[3].text(), chain, "{fault}");
        assert_eq!(bench.sim.calls(), number as u64 + 1, "{fault}");
    }
    assert_eq!(bench.database.counts().await, [0; 6]);
    // none of what was landed is believed later
    bench.sim.clear_faults();
    let report = bench.run(&[("top", "20")]).await.unwrap();
    assert_eq!(
        (report.state, report.calls, report.recovered),
        (RunState::Complete, 1, 0)
    );
}

async fn every_fault_in_the_middle_leaves_what_came_and_is_healed_by_the_next_run(kind: Kind) {
    let clean = Bench::new(Kind::Sqlite, 300).await;
    let hash = clean.run(&[("top", "300")]).await.unwrap().content_hash;
    // what each of the others leaves is the same refusal; `corruptions` mixes them all
    for (fault, says) in [FAULTS[4], FAULTS[8], FAULTS[9], FAULTS[10], FAULTS[11]] {
        let bench = Bench::new(kind, 300).await;
        let separator = if fault.contains(':') { ',' } else { ':' };
        bench.fault(&format!("{fault}{separator}after=1"));
        let with = [
            ("top", "300"),
            ("attempts", "1"),
            ("timeout", patience(fault)),
        ];
        let report = report_of(bench.run(&with).await);
        assert_eq!(
            (&report["state"], &report["stored"]),
            (&"partial".into(), &150.into()),
            "{fault}"
        );
        assert!(
            report["error"].as_str().unwrap().contains(says),
            "{fault}: {report}"
        );
        assert_eq!(
            missing_of(&report),
            ["ranks 151 to 300 (page 2 of 2)"],
            "{fault}"
        );
        let report = bench.run(&with).await.unwrap();
        assert_eq!(
            (report.state, report.stored, report.calls),
            (RunState::Complete, 150, 1),
            "{fault}"
        );
        assert_eq!(report.content_hash, hash, "{fault}");
        assert_eq!(
            bench.database.states().await,
            ["partial", "complete"],
            "{fault}"
        );
    }
}

async fn a_page_that_comes_short_is_said(kind: Kind) {
    let bench = Bench::new(kind, 300).await;
    bench.body("[]");
    let report = report_of(bench.run(&[("top", "300")]).await);
    assert_eq!(
        (&report["state"], &report["stored"]),
        (&"partial".into(), &150.into())
    );
    let missing = report["missing"].to_string();
    assert!(
        missing.contains("150 coins that are on no page"),
        "{missing}"
    );
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    for fault in ["429:retry_after=1", "503:retry_after_date=1"] {
        let bench = Bench::new(Kind::Sqlite, 20).await;
        bench.fault(fault);
        let began = Instant::now();
        let report = bench.run(&[("top", "20")]).await.unwrap();
        assert!(began.elapsed() >= Duration::from_secs(1), "{fault}");
        assert_eq!(
            (report.state, report.calls),
            (RunState::Complete, 2),
            "{fault}"
        );
    }
}

#[tokio::test]
async fn a_retry_after_beyond_the_longest_wait_gives_up_at_once() {
    let bench = Bench::new(Kind::Sqlite, 20).await;
    bench.fault("429:retry_after=119,times=0");
    let began = Instant::now();
    let error = bench
        .run(&[("top", "20"), ("max_wait", "60")])
        .await
        .unwrap_err();
    assert!(error.is_retryable() && began.elapsed() < Duration::from_secs(30));
    assert_eq!(bench.sim.calls(), 1);
}

#[tokio::test]
async fn a_short_longest_wait_shortens_the_waits_and_not_the_tries() {
    for _ in 0..3 {
        let bench = Bench::new(Kind::Sqlite, 20).await;
        bench.fault("503:times=4");
        let with = [("top", "20"), ("attempts", "5"), ("max_wait", "0.1")];
        let report = bench.run(&with).await.unwrap();
        assert_eq!((report.state, report.calls), (RunState::Complete, 5));
    }
}

#[tokio::test]
async fn a_call_is_tried_as_often_as_is_set() {
    let bench = Bench::new(Kind::Sqlite, 20).await;
    bench.fault("503:times=0");
    let error = bench
        .run(&[("top", "20"), ("attempts", "2")])
        .await
        .unwrap_err();
    assert!(said(&error).contains("tried 2 times"), "{error}");
    assert_eq!(bench.sim.calls(), 2);
}
