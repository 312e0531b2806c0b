//! What a script reads: the exit code of every outcome, and with `--json` one JSON object on stdout for each, failures too.

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
use serde_json::{Value, json};

use support::command::{code, coinmill, finish, text};
use support::{Bench, Kind, on_both_databases};

on_both_databases!(
    every_outcome_has_its_code_and_is_one_object,
    every_subcommand_prints_one_object_whether_it_succeeds_or_fails,
    what_is_missing_is_an_object_with_its_reason_apart,
    a_status_is_stale_when_nothing_has_come_for_more_than_half_an_hour,
    only_these_and_these_too_are_two_settings,
);

/// The one object that a command printed for scripts.
fn value(output: &Output) -> Value {
    let out = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(out.matches('\n').count(), 1, "{}", text(output));
    let value: Value = serde_json::from_str(&out).unwrap();
    assert!(value.is_object(), "{value}");
    stamps_are_of_one_form(&value);
    names_are_the_one_for_each_thing(&value);
    value
}

/// A coin's id is `coin_id`, a half-hour of data `snapshot_time`, the folder of the received bytes `landing_folder`.
fn names_are_the_one_for_each_thing(value: &Value) {
    match value {
        Value::Array(values) => values.iter().for_each(names_are_the_one_for_each_thing),
        Value::Object(fields) => {
            for name in ["coin", "slot", "landing", "observed_at"] {
                assert!(!fields.contains_key(name), "{name}: {value}");
            }
            let is_error = fields.contains_key("error_kind");
            assert!(!(is_error && fields.contains_key("kind")), "{value}");
            fields.values().for_each(names_are_the_one_for_each_thing);
        }
        _ => {}
    }
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

async fn every_outcome_has_its_code_and_is_one_object(kind: Kind) {
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
        &["prune"],
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
    let refused: [Refused<'_>; 11] = [
        (&["run", "snapshot", "--tops", "5"], &[], 2, "argument"),
        (&["run", "snapshot", "--slot", "noon"], &[], 2, "argument"),
        (&["run", "snapshot", "--top", "many"], &[], 2, "config"),
        (
            &["run", "snapshot", "--refuse", "zero_prize"],
            &[],
            2,
            "config",
        ),
        (&["status", "--refuse", "zero_prize"], &[], 2, "config"),
        (&["init"], &[("REFUSE", "zero_prize")], 2, "config"),
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
        (&["prune"], &[("RETENTION_DAYS_5M", "0")], 2, "config"),
    ];
    for (arguments, with, expected, kind) in refused {
        let output = run(&bench, arguments, with).await;
        assert_eq!(code(&output), expected, "{arguments:?}: {}", text(&output));
        let failure = value(&output);
        assert_eq!(failure["state"], "failed", "{failure}");
        assert_eq!(
            (&failure["error_kind"], &failure["exit_code"]),
            (&kind.into(), &expected.into())
        );
        assert_eq!(failure["retryable"], false);
        let said = failure["error"].as_str().unwrap();
        assert!(
            one_line(&text(&output)).contains(&format!(": {said}")),
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
    // the snapshot comes, and the time series do not: the keys of a failure stand beside both
    bench.sim.clear_faults();
    bench.fault("503:times=0,path=market_chart");
    let half = run(&bench, &["run", "all", "--top", "5"], &[]).await;
    assert_eq!((code(&half), &value(&half)["exit_code"]), (1, &1.into()));
    assert_eq!(value(&half)["snapshot"]["state"], "complete");
    assert_eq!(
        value(&half)["error_kind"],
        value(&half)["timeseries"]["error_kind"]
    );
    // and the other way round: a snapshot that fails keeps no chart from being fetched
    bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    bench.sim.clear_faults();
    bench.fault("503:times=0,path=markets");
    let half = run(&bench, &["run", "all", "--top", "5"], &[]).await;
    assert_eq!((code(&half), &value(&half)["exit_code"]), (1, &1.into()));
    assert_eq!(value(&half)["timeseries"]["received"], 5);
    assert_eq!(
        value(&half)["error_kind"],
        value(&half)["snapshot"]["error_kind"]
    );
    bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    bench.fault("503:times=0");
    let both = run(&bench, &["run", "all", "--top", "5"], &[]).await;
    assert_eq!(
        (code(&both), &value(&both)["error_kind"]),
        (1, &"source".into())
    );
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

async fn what_is_missing_is_an_object_with_its_reason_apart(kind: Kind) {
    let bench = Bench::new(kind, 300).await;
    bench.fault("503:path=&page=2,times=0");
    bench.fault("set:times=0,path=/coins/markets,id=bitcoin,field=current_price,value=-5");
    let snapshot = ["run", "snapshot", "--top", "300"];
    let report = value(&run(&bench, &snapshot, &[("COMPLETENESS", "0")]).await);
    let of_snapshot = json!([
        {"coin_id": null, "what": "ranks 151 to 300", "reason": "page 2 of 2"},
        {"coin_id": "bitcoin", "what": "bitcoin", "reason": "refused: negative_price"},
    ]);
    assert_eq!(report["missing"], of_snapshot);
    bench.fault("500:path=/coins/ethereum/,times=0");
    let series = ["backfill", "--days", "1", "--coins", "ethereum,dogecoin"];
    let report = value(&run(&bench, &series, &[("COMPLETENESS", "0")]).await);
    let of_series = report["missing"].as_array().unwrap();
    let [missing] = &of_series[..] else {
        panic!("{report}")
    };
    assert_eq!(
        (&missing["coin_id"], &missing["what"]),
        (&"ethereum".into(), &"ethereum".into())
    );
    assert!(missing["reason"].as_str().unwrap().contains("500"));
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(keys(missing), keys(&of_snapshot[0]));
    // people read a line, and the rules of a coin that the settings refuse are a list
    bench.sim.clear_faults();
    bench.fault("set:times=0,path=/coins/markets,id=bitcoin,field=current_price,value=-5");
    let said = finish(coinmill(&bench, None, &snapshot, &[("COMPLETENESS", "0")])).await;
    let line = "missing   bitcoin (refused: negative_price)";
    assert!(text(&said).contains(line), "{}", text(&said));
    bench.sim.clear_faults();
    bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    bench.fault("set:times=0,id=bitcoin,field=current_price,value=0");
    let strict = [
        "run",
        "snapshot",
        "--refuse",
        "zero_price,outside_24h_range",
    ];
    let report = value(&run(&bench, &strict, &[("MAX_CHANGE_24H", "1e9")]).await);
    let refused = report["refused"].as_array().unwrap();
    let bitcoin = refused
        .iter()
        .find(|it| it["coin_id"] == "bitcoin")
        .unwrap();
    assert_eq!(bitcoin["rules"], json!(["zero_price", "outside_24h_range"]));
}

/// The subcommands that a help lists.
async fn listed(bench: &Bench, command: &[&str]) -> Vec<String> {
    let output = finish(coinmill(bench, None, &[command, &["--help"]].concat(), &[])).await;
    let help = text(&output);
    let (_, after) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = after.split_once("\n\n").unwrap();
    let names = commands.lines().filter(|line| !line.starts_with("   "));
    names
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .filter(|name| name != "help")
        .collect()
}

async fn every_subcommand_prints_one_object_whether_it_succeeds_or_fails(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    // of twenty coins one is refused for good
    bench.fault("set:times=0,id=bitcoin,field=current_price,value=-5");
    let mut done: Vec<String> = Vec::new();
    for (arguments, exit_code) in [
        (&["init"][..], 0),
        (&["run", "snapshot", "--top", "20"], 3),
        (&["run", "timeseries"], 0),
        (&["run", "all", "--top", "20"], 3),
        (&["backfill", "--days", "1", "--coins", "bitcoin"], 0),
        (&["export", "--to", "lake"], 0),
        (&["runs"], 0),
        (&["status"], 0),
        (&["check"], 3),
        (&["price", "ethereum"], 0),
        (&["run", "listing"], 0),
        (&["universe", "--top", "3"], 3),
        (&["search", "weth"], 0),
        (&["resolve", "ETH"], 0),
        (&["config"], 0),
        (&["doctor"], 0),
        (&["plan"], 0),
        (&["candles", "bitcoin", "--every", "4h"], 0),
        (&["pin"], 0),
        (&["explain", "bitcoin", "2026-01-14T12:10:00Z"], 0),
        (&["rules"], 0),
        (&["gaps"], 0),
        (&["heal"], 0),
        (&["quarantine", "list"], 0),
        (&["quarantine", "show", "s1"], 0),
        (&["quarantine", "requeue", "s1"], 3),
        (&["prune", "--dry-run", "--retention-days-5m", "1"], 0),
    ] {
        let output = run(&bench, arguments, &[]).await;
        assert_eq!(code(&output), exit_code, "{arguments:?}: {}", text(&output));
        let printed = value(&output);
        assert!(!text(&output).contains("error_kind"), "{printed}");
        let wrong = run(&bench, arguments, &[("PLAN", "free")]).await;
        assert_eq!(code(&wrong), 2, "{arguments:?}: {}", text(&wrong));
        assert_eq!(value(&wrong)["error_kind"], "config");
        let unknown = run(&bench, &[arguments, &["--no-such-flag"]].concat(), &[]).await;
        assert_eq!(code(&unknown), 2, "{arguments:?}: {}", text(&unknown));
        assert_eq!(value(&unknown)["error_kind"], "argument");
        done.push(arguments[..2.min(arguments.len())].join(" "));
    }
    let runs = value(&run(&bench, &["runs"], &[]).await);
    let newest = runs["runs"][0]["run"].as_str().unwrap();
    let of_quotes = runs["runs"].as_array().unwrap().iter();
    let stored = of_quotes
        .clone()
        .find(|it| it["kind"] == "backfill")
        .unwrap();
    for (id, exit_code) in [
        (stored["run"].as_str().unwrap(), 0),
        (newest, 2),
        ("none", 2),
    ] {
        let output = run(&bench, &["replay", id], &[]).await;
        assert_eq!(code(&output), exit_code, "{id}: {}", text(&output));
        value(&output);
    }
    let fault = run(&bench, &["sim", "--fault", "nonsense"], &[]).await;
    assert_eq!(
        (code(&fault), &value(&fault)["state"]),
        (2, &"failed".into())
    );
    let port = bench.sim.address().port().to_string();
    let taken = run(&bench, &["sim", "--port", &port], &[]).await;
    assert_ne!(code(&taken), 0);
    value(&taken);
    std::fs::write(bench.folder.path().join("file"), "").unwrap();
    let demo = run(&bench, &["demo", "--data-dir", "file"], &[]).await;
    assert_ne!(code(&demo), 0);
    value(&demo);
    if kind == Kind::Sqlite {
        let demo = run(&bench, &["demo", "--data-dir", "demo"], &[]).await;
        assert_eq!(code(&demo), 0, "{}", text(&demo));
        assert_eq!(value(&demo)["timeseries"]["kind"], "timeseries");
    }
    let script = run(&bench, &["completions", "fish"], &[]).await;
    assert_eq!(
        (code(&script), &value(&script)["shell"]),
        (0, &"fish".into())
    );
    let nowhere = run(
        &bench,
        &["db-init", "--url", "postgresql://127.0.0.1:1"],
        &[],
    )
    .await;
    assert_eq!(code(&nowhere), 1, "{}", text(&nowhere));
    assert_eq!(value(&nowhere)["error_kind"], "store");
    done.extend(["replay", "sim", "demo", "completions", "db-init"].map(str::to_owned));
    for command in listed(&bench, &[]).await {
        let below = match command.as_str() {
            "run" | "quarantine" => listed(&bench, &[&command]).await,
            _ => vec![String::new()],
        };
        for name in below {
            let name = format!("{command} {name}");
            let is_done = |it: &String| it.starts_with(name.trim_end());
            assert!(done.iter().any(is_done), "{name} is not in the table");
        }
    }
    // what is wrong is said whole
    let until = run(&bench, &["backfill", "--until", "2026-01-02"], &[]).await;
    let said = value(&until)["error"].as_str().unwrap().to_owned();
    assert!(
        said.contains("--from") && !said.contains("--days") && !said.contains("Usage"),
        "{said}"
    );
    // no command, or half of one, is a failure of usage too
    for arguments in [&[][..], &["run"], &["quarantine"], &["fly"]] {
        let output = run(&bench, arguments, &[]).await;
        assert_eq!(code(&output), 2, "{arguments:?}: {}", text(&output));
        assert_eq!(value(&output)["error_kind"], "argument");
    }
}

/// A script would take nothing for the answer.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_cannot_be_written_is_an_error() {
    let bench = Bench::new(Kind::Sqlite, 5).await;
    for arguments in [&["status"][..], &["status", "--json"], &["run", "snapshot"]] {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let mut command = coinmill(&bench, None, arguments, &[]);
        command.stdout(full.unwrap());
        let output = finish(command).await;
        assert_eq!(code(&output), 1, "{arguments:?}: {}", text(&output));
        assert!(
            text(&output).contains("the output cannot be written"),
            "{}",
            text(&output)
        );
    }
}

/// A text with its lines joined, as an error is in JSON.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
