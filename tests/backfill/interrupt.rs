//! The command that is interrupted: it ends at once, says how to go on, and the ledger says what it stored.

use std::process::{Child, Command, Output};

use coinmill::pipeline::Reach;
use coinmill::series::Resolution;

use crate::series::Mill;
use crate::support::command::{code, coinmill, text};
use crate::support::{Kind, assert_silent, on_both_databases};

on_both_databases!(
    a_backfill_that_is_interrupted_says_how_to_go_on_and_goes_on,
    a_snapshot_that_is_terminated_is_abandoned_and_resumed,
);

/// Sends a signal to a command once the market has been asked so often, and waits for its end.
async fn interrupted(mill: &Mill, mut command: Command, calls: u64, signal: &str) -> Output {
    let child: Child = command.spawn().unwrap();
    while mill.bench.sim.calls() < calls {
        tokio::task::yield_now().await;
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
    let before = mill.bench.sim.calls();
    // the first batch is stored, then nothing comes any more
    mill.bench
        .fault("stall:path=market_chart,after=110,times=0");
    let arguments = ["backfill", "--days", "2", "--top", "120"];
    let command = coinmill(&mill.bench, Some(&mill.timeseries), &arguments, &[]);
    let output = interrupted(&mill, command, before + 112, "-INT").await;
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
    let output = interrupted(&mill, command, 3, "-TERM").await;
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
    assert_eq!((report.calls, report.accepted, report.reused), (1, 600, 2));
}
