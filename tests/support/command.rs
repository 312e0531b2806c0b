//! The command itself as the tests run it: a process of its own over a test's market and databases.
//! No secret of the tests may be in what it prints.

use std::process::{Command, Output};

use serde_json::Value;

use super::{Bench, Database, assert_silent};

/// The command over a market and its databases, with these settings over them, each call tried once.
pub async fn run(
    bench: &Bench,
    timeseries: &Database,
    arguments: &[&str],
    with: &[(&str, &str)],
) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coinmill"));
    command.current_dir(bench.folder.path()).args(arguments);
    let landing = bench.landing().display().to_string();
    for (name, value) in [
        ("API_URL", bench.sim.url()),
        ("PLAN", "unlimited".to_owned()),
        ("CLOCK", "sim".to_owned()),
        ("ATTEMPTS", "1".to_owned()),
        ("SNAPSHOT_URL", bench.database.url()),
        ("TIMESERIES_URL", timeseries.url()),
        ("LANDING_DIR", landing),
    ] {
        command.env(format!("COINMILL_{name}"), value);
    }
    for (name, value) in with {
        command.env(format!("COINMILL_{name}"), value);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert_silent(&text(&output));
    output
}

/// All that it printed.
pub fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}\n{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// Its exit code.
pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// Every line of what it printed, as JSON.
pub fn json(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
