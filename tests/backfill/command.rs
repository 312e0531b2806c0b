//! The command line of time series: what it asks for, what it prints for machines, and its exit codes.

use std::process::Output;

use crate::series::Mill;
use crate::support::command::{code, lines, run, text};
use crate::support::{Kind, on_both_databases};

on_both_databases!(
    a_backfill_of_named_coins_asks_for_those_alone,
    a_backfill_of_the_top_asks_for_the_top,
    both_runs_follow_each_other,
    exit_codes_say_how_it_ended,
);

async fn coinmill(mill: &Mill, arguments: &[&str], with: &[(&str, &str)]) -> Output {
    run(&mill.bench, &mill.timeseries, arguments, with).await
}

async fn a_backfill_of_named_coins_asks_for_those_alone(kind: Kind) {
    let mill = Mill::new(kind, 10).await;
    let arguments = ["backfill", "--days", "30", "--coins", "bitcoin", "--json"];
    let output = coinmill(&mill, &arguments, &[]).await;
    assert_eq!(code(&output), 0, "{}", text(&output));
    let [report] = &lines(&output)[..] else {
        panic!("{}", text(&output))
    };
    assert_eq!(
        (&report["kind"], &report["resolution"]),
        (&"backfill".into(), &"1h".into())
    );
    assert_eq!(
        (&report["state"], &report["calls"]),
        (&"complete".into(), &1.into())
    );
    assert_eq!(mill.requested(), ["bitcoin"]);
    assert_eq!((mill.bench.sim.calls(), mill.count("coin").await), (1, 1));
    // at once again it says that nothing was due
    let output = coinmill(&mill, &arguments[..5], &[]).await;
    assert_eq!(code(&output), 0);
    assert!(text(&output).contains("no call made"), "{}", text(&output));
    assert_eq!(mill.bench.sim.calls(), 1);
    let arguments = [
        "backfill",
        "--from",
        "2026-01-01",
        "--until",
        "2026-01-05T12:00:00Z",
        "--resolution",
        "1d",
    ];
    let output = coinmill(&mill, &arguments, &[("COINS", "bitcoin"), ("TOP", "0")]).await;
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert_eq!(mill.requested(), ["bitcoin", "bitcoin"]);
}

async fn a_backfill_of_the_top_asks_for_the_top(kind: Kind) {
    let mill = Mill::new(kind, 10).await;
    let mut wanted = mill.bench.ranking(5).await;
    let arguments = ["backfill", "--days", "2", "--top", "5", "--json"];
    let output = coinmill(&mill, &arguments, &[]).await;
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert_eq!(lines(&output)[0]["received"], 5);
    let mut asked = mill.requested();
    asked.sort();
    wanted.sort();
    assert_eq!(asked, wanted);
    let output = coinmill(&mill, &["backfill", "--days", "2", "--top", "5"], &[]).await;
    assert!(
        code(&output) == 0 && text(&output).contains("backfill 1h  complete"),
        "{}",
        text(&output)
    );
}

async fn both_runs_follow_each_other(kind: Kind) {
    let mill = Mill::new(kind, 6).await;
    let output = coinmill(&mill, &["run", "all", "--top", "4", "--json"], &[]).await;
    assert_eq!(code(&output), 0, "{}", text(&output));
    let reports = lines(&output);
    assert_eq!(reports.len(), 1, "one object");
    let (snapshot, timeseries) = (&reports[0]["snapshot"], &reports[0]["timeseries"]);
    assert_eq!(
        (&snapshot["state"], &snapshot["stored"]),
        (&"complete".into(), &4.into())
    );
    assert_eq!(
        (&timeseries["kind"], &timeseries["received"]),
        (&"timeseries".into(), &4.into())
    );
    let calls = mill.bench.sim.calls();
    let output = coinmill(&mill, &["run", "all", "--top", "4"], &[]).await;
    assert_eq!(
        (code(&output), mill.bench.sim.calls()),
        (0, calls),
        "{}",
        text(&output)
    );
    let output = coinmill(
        &mill,
        &["run", "timeseries", "--resolution", "1h", "--json"],
        &[],
    )
    .await;
    assert_eq!(
        (code(&output), &lines(&output)[0]["resolution"]),
        (0, &"1h".into())
    );
    // the ledgers of both databases, as one list
    let output = coinmill(&mill, &["runs", "--json"], &[]).await;
    let kinds: Vec<String> = lines(&output)[0]["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        kinds.iter().filter(|kind| *kind == "timeseries").count(),
        3,
        "{kinds:?}"
    );
    assert_eq!(
        kinds.iter().filter(|kind| *kind == "snapshot").count(),
        2,
        "{kinds:?}"
    );
    let output = coinmill(&mill, &["status", "--json"], &[]).await;
    let held = lines(&output)[0]["timeseries"].as_array().unwrap().clone();
    assert_eq!(
        (held.len(), &held[0]["resolution"], &held[1]["coins"]),
        (2, &"5m".into(), &4.into())
    );
}

async fn exit_codes_say_how_it_ended(kind: Kind) {
    let mill = Mill::new(kind, 6).await;
    let one = ["--coins", "bitcoin"];
    for (arguments, words) in [
        (
            &["backfill", "--days", "2", "--resolution", "7m"][..],
            "5m, 1h or 1d",
        ),
        (
            &["backfill", "--days", "3", "--resolution", "5m"],
            "--resolution 1h",
        ),
        (
            &["backfill", "--from", "2026-01-09", "--until", "2026-01-08"],
            "--from must be before --until",
        ),
        (
            &["backfill", "--from", "2027-01-09", "--until", "2027-02-08"],
            "still to come",
        ),
        (&["backfill"], "--days"),
        (
            &["backfill", "--days", "2", "--from", "2026-01-01"],
            "--from",
        ),
        (&["backfill", "--from", "yesterday"], "yesterday"),
        (&["run", "timeseries", "--resolution", "2h"], "5m, 1h or 1d"),
    ] {
        let arguments = [arguments, &one].concat();
        let output = coinmill(&mill, &arguments, &[]).await;
        assert_eq!(code(&output), 2, "{arguments:?}: {}", text(&output));
        assert!(
            text(&output).contains(words),
            "{arguments:?}: {}",
            text(&output)
        );
        assert!(output.stdout.is_empty());
    }
    let output = coinmill(
        &mill,
        &["backfill", "--days", "400", "--coins", "bitcoin"],
        &[("PLAN", "keyless")],
    )
    .await;
    assert!(
        code(&output) == 2 && text(&output).contains("--days 365"),
        "{}",
        text(&output)
    );
    assert_eq!(mill.bench.sim.calls(), 0);
    // failed: nothing came
    let output = coinmill(&mill, &["run", "timeseries"], &[]).await;
    assert!(
        code(&output) == 2 && text(&output).contains("coinmill run snapshot"),
        "{}",
        text(&output)
    );
    let output = coinmill(
        &mill,
        &["backfill", "--days", "2", "--coins", "no-such-coin"],
        &[],
    )
    .await;
    assert!(
        code(&output) == 1 && text(&output).contains("coin not found"),
        "{}",
        text(&output)
    );
    // partial: what came is stored, whether that much may be missing or not
    let arguments = [
        "backfill",
        "--days",
        "2",
        "--coins",
        "bitcoin,no-such-coin",
        "--json",
    ];
    let output = coinmill(&mill, &arguments, &[]).await;
    assert_eq!(
        (code(&output), &lines(&output)[0]["state"]),
        (3, &"partial".into()),
        "{}",
        text(&output)
    );
    assert!(text(&output).contains("run it again"), "{}", text(&output));
    let arguments = [
        "backfill",
        "--days",
        "3",
        "--coins",
        "bitcoin,no-such-coin",
        "--json",
    ];
    let output = coinmill(&mill, &arguments, &[("COMPLETENESS", "0")]).await;
    assert_eq!(
        (code(&output), &lines(&output)[0]["state"]),
        (3, &"partial".into()),
        "{}",
        text(&output)
    );
}
