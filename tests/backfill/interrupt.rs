//! The command that is interrupted: it ends at once, says how to go on, and the ledger says what it stored.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::Duration;

use coinmill::pipeline::Reach;
use coinmill::series::Resolution;

use crate::series::Mill;
use crate::support::command::{code, coinmill, lines, text};
use crate::support::{Kind, assert_silent, on_both_databases};

on_both_databases!(
    a_backfill_that_is_interrupted_says_how_to_go_on_and_goes_on,
    a_snapshot_that_is_terminated_is_abandoned_and_resumed,
    both_runs_of_which_the_second_is_stopped_end_with_the_code_of_the_signal,
);

/// How many bodies all runs have landed.
fn landed(mill: &Mill) -> usize {
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let runs = folders(&mill.bench.landing());
    let runs = runs.iter().flat_map(|day| folders(day));
    let manifests = runs.filter_map(|run| std::fs::read_to_string(run.join("manifest.jsonl")).ok());
    // the first line of each is the run's own
    manifests
        .map(|text| text.matches('\n').count().saturating_sub(1))
        .sum()
}

/// Sends a signal to a command once so many bodies have been landed and the market has been asked for more, and waits for
/// its end.
async fn interrupted(mill: &Mill, mut command: Command, bodies: usize, signal: &str) -> Output {
    let child: Child = command.spawn().unwrap();
    while landed(mill) < bodies || mill.bench.sim.calls() <= bodies as u64 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let id = child.id().to_string();
    let killed = Command::new("kill").args([signal, &id]).status().unwrap();
    assert!(killed.success());
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let output = output.await.unwrap();
    assert_silent(&text(&output));
    output
}

async fn a_backfill_that_is_interrupted_says_how_to_go_on_and_goes_on(kind: Kind) {
    let mill = Mill::new(kind, 120).await;
    mill.snapshot("120").await;
    let before = usize::try_from(mill.bench.sim.calls()).unwrap();
    // the first batch is stored, then nothing comes any more
    mill.bench
        .fault("stall:path=market_chart,after=110,times=0");
    let arguments = ["backfill", "--days", "2", "--top", "120"];
    let command = coinmill(&mill.bench, Some(&mill.timeseries), &arguments, &[]);
    let output = interrupted(&mill, command, before + 110, "-INT").await;
    assert_eq!(code(&output), 130, "{}", text(&output));
    let said = text(&output);
    assert!(
        said.contains("coinmill: stopped; run it again to resume"),
        "{said}"
    );
    let row = mill
        .row("select state, expected, received, stored, calls from run order by id desc")
        .await;
    assert_eq!(row[0].text(), "abandoned");
    let stored = mill.count("price_point").await;
    assert!(stored > 0);
    assert_eq!((row[1].int(), row[3].int()), (120, stored));
    assert!(row[2].int() >= 100 && row[4].int() >= 110, "{row:?}");
    mill.bench.sim.clear_faults();
    let before = mill.bench.sim.calls();
    let with = [("top", "120")];
    mill.backfill(Resolution::Hour, Reach::Days(2), &[], &with)
        .await
        .unwrap();
    assert_eq!(
        mill.bench.sim.calls() - before,
        10,
        "nothing is paid for twice"
    );
}

async fn a_snapshot_that_is_terminated_is_abandoned_and_resumed(kind: Kind) {
    let mill = Mill::new(kind, 600).await;
    mill.bench.fault("stall:path=&page=3,times=0");
    let arguments = ["run", "snapshot", "--top", "600"];
    let command = coinmill(&mill.bench, Some(&mill.timeseries), &arguments, &[]);
    let output = interrupted(&mill, command, 2, "-TERM").await;
    assert_eq!(code(&output), 143, "{}", text(&output));
    assert!(text(&output).contains("run it again to resume"));
    let row = mill
        .bench
        .database
        .row("select state, expected, received, stored, calls from run")
        .await;
    let numbers: Vec<i64> = row[1..].iter().map(|cell| cell.int()).collect();
    assert_eq!(
        (row[0].text(), numbers),
        ("abandoned", vec![600, 400, 0, 3])
    );
    mill.bench.sim.clear_faults();
    let report = mill.bench.run(&[("top", "600")]).await.unwrap();
    assert_eq!(
        (report.calls, report.accepted, report.recovered),
        (1, 600, 2)
    );
}

async fn both_runs_of_which_the_second_is_stopped_end_with_the_code_of_the_signal(kind: Kind) {
    for (signal, exit_code) in [("-INT", 130), ("-TERM", 143)] {
        let mill = Mill::new(kind, 4).await;
        mill.bench.fault("stall:path=market_chart,times=0");
        let arguments = ["run", "all", "--top", "4", "--json"];
        let command = coinmill(&mill.bench, Some(&mill.timeseries), &arguments, &[]);
        let output = interrupted(&mill, command, 1, signal).await;
        assert_eq!(code(&output), exit_code, "{}", text(&output));
        let printed = lines(&output);
        let [both] = &printed[..] else {
            panic!("{}", text(&output))
        };
        assert_eq!(both["snapshot"]["state"], "complete");
        let stopped = &both["timeseries"];
        assert_eq!(
            (&stopped["state"], &stopped["error_kind"]),
            (&"abandoned".into(), &"stopped".into())
        );
        assert_eq!(
            (&stopped["exit_code"], &stopped["retryable"]),
            (&exit_code.into(), &true.into())
        );
        // the ledger uses the same word
        let row = mill.row("select state from run").await;
        assert_eq!(row[0].text(), "abandoned");
    }
}
