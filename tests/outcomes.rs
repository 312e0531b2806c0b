//! What a script reads: the exit code of every outcome, and with `--json` one JSON value on stdout for each, failures too.

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

use std::process::Output;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use support::command::{code, coinmill, finish, text};
use support::{Bench, Kind, on_both_databases};

on_both_databases!(
    every_outcome_has_its_code_and_is_one_value,
    a_status_is_stale_when_nothing_has_come_for_more_than_half_an_hour,
    only_these_and_these_too_are_two_settings,
);

/// The one value that a command printed for machines.
fn value(output: &Output) -> Value {
    let out = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(out.matches('\n').count(), 1, "{}", text(output));
    let value = serde_json::from_str(&out).unwrap();
    stamps_are_of_one_form(&value);
    value
}

/// Every text that is an instant is RFC 3339 in UTC with milliseconds.
fn stamps_are_of_one_form(value: &Value) {
    match value {
        Value::String(text) => {
            let read = DateTime::parse_from_rfc3339(text);
            if let Ok(instant) = read {
                assert_eq!(
                    instant
                        .to_utc()
                        .format("%Y-%m-%dT%H:%M:%S%.3fZ")
                        .to_string(),
                    *text
                );
            } else {
                let looks = text.len() < 30 && text.starts_with("20") && text.contains('T');
                assert!(!looks, "{text} is no RFC 3339");
            }
        }
        Value::Array(values) => values.iter().for_each(stamps_are_of_one_form),
        Value::Object(fields) => fields.values().for_each(stamps_are_of_one_form),
        _ => {}
    }
}

async fn run(bench: &Bench, arguments: &[&str], with: &[(&str, &str)]) -> Output {
    let arguments = [arguments, &["--json"]].concat();
    finish(coinmill(bench, None, &arguments, with)).await
}

/// Arguments, variables, the exit code and the kind of error.
type Refused<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], i32, &'a str);

async fn every_outcome_has_its_code_and_is_one_value(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let snapshot = &["run", "snapshot", "--top", "5"][..];
    let complete = run(&bench, snapshot, &[]).await;
    assert_eq!(
        (code(&complete), &value(&complete)["state"]),
        (0, &"complete".into())
    );
    for arguments in [
        &["status"][..],
        &["runs"],
        &["quarantine", "list"],
        &["init"],
    ] {
        let output = run(&bench, arguments, &[]).await;
        assert_eq!(code(&output), 0, "{}", text(&output));
        value(&output);
    }
    bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    let now: DateTime<Utc> = bench.sim.now();
    let past = (now - TimeDelta::hours(5))
        .format("%Y-%m-%dT%H:00Z")
        .to_string();
    let refused: [Refused<'_>; 8] = [
        (&["run", "snapshot", "--tops", "5"], &[], 2, "argument"),
        (&["run", "snapshot", "--slot", "noon"], &[], 2, "argument"),
        (&["run", "snapshot", "--top", "many"], &[], 2, "config"),
        (
            &["run", "snapshot", "--refuse", "zero_prize"],
            &[],
            2,
            "config",
        ),
        (
            &["run", "snapshot", "--top", "5", "--coins", "bitcoin"],
            &[],
            2,
            "config",
        ),
        (
            &["status"],
            &[("SNAPSHOT_URL", "sqlite:///nowhere/at/all.db")],
            2,
            "config",
        ),
        (&["run", "snapshot", "--slot", &past], &[], 4, "past"),
        (&["replay", "no-such-run"], &[], 2, "argument"),
    ];
    for (arguments, with, expected, kind) in refused {
        let output = run(&bench, arguments, with).await;
        assert_eq!(code(&output), expected, "{arguments:?}: {}", text(&output));
        let failure = value(&output);
        assert_eq!(failure["state"], "failed", "{failure}");
        assert_eq!(
            (&failure["kind"], &failure["exit_code"]),
            (&kind.into(), &expected.into())
        );
        assert_eq!(failure["retryable"], false);
        let said = failure["error"].as_str().unwrap();
        assert!(
            text(&output).contains(&format!(": {said}")),
            "{}",
            text(&output)
        );
    }
    bench.fault("503:times=0");
    let failed = run(&bench, snapshot, &[]).await;
    assert_eq!(
        (code(&failed), &value(&failed)["retryable"]),
        (1, &true.into())
    );
    let both = run(&bench, &["run", "all", "--top", "5"], &[]).await;
    assert_eq!((code(&both), &value(&both)["kind"]), (1, &"source".into()));
}

async fn a_status_is_stale_when_nothing_has_come_for_more_than_half_an_hour(kind: Kind) {
    let bench = Bench::new(kind, 5).await;
    assert_eq!(
        code(&run(&bench, &["run", "snapshot", "--top", "5"], &[]).await),
        0
    );
    for (minutes, exit_code, is_stale) in [(0, 0, false), (30, 0, false), (30, 3, true)] {
        bench.sim.advance(TimeDelta::minutes(minutes)).unwrap();
        let output = run(&bench, &["status"], &[]).await;
        assert_eq!(
            (code(&output), &value(&output)["is_stale"]),
            (exit_code, &is_stale.into())
        );
    }
    let output = finish(coinmill(&bench, None, &["status"], &[])).await;
    assert!(text(&output).contains("stale"), "{}", text(&output));
}

async fn only_these_and_these_too_are_two_settings(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let ranking = bench.ranking(20).await;
    let expected = async |arguments: &[&str], with: &[(&str, &str)]| {
        let output = run(&bench, &[&["run", "snapshot"], arguments].concat(), with).await;
        bench.sim.advance(TimeDelta::minutes(30)).unwrap();
        value(&output)["expected"].as_u64().unwrap()
    };
    let (first, last) = (ranking[0].as_str(), ranking[19].as_str());
    assert_eq!(expected(&["--coins", last], &[]).await, 1);
    assert_eq!(expected(&["--top", "3", "--add-coins", last], &[]).await, 4);
    assert_eq!(
        expected(&["--coins", last, "--add-coins", first], &[]).await,
        2
    );
    // a number on the command line overrules a list in the environment; a list overrules a number there
    assert_eq!(expected(&["--top", "3"], &[("COINS", last)]).await, 3);
    assert_eq!(expected(&["--coins", last], &[("TOP", "3")]).await, 1);
}
