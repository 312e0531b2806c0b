//! The real program as a process of its own, over a test's market, databases and landing.
//! What it says is for the test to check; that it says no secret is looked at here.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::{Bench, Database, assert_silent};

/// The program with these arguments, and with these settings over those of the bench.
pub fn coinmill(
    bench: &Bench,
    timeseries: Option<&Database>,
    arguments: &[&str],
    with: &[(&str, &str)],
) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coinmill"));
    command
        .current_dir(bench.folder.path())
        .args(arguments)
        .env_remove("FAILPOINTS")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, value) in [
        ("API_URL", bench.sim.url()),
        ("PLAN", "unlimited".to_owned()),
        ("CLOCK", "sim".to_owned()),
        ("ATTEMPTS", "1".to_owned()),
        ("SNAPSHOT_URL", bench.database.url()),
        ("LANDING_DIR", bench.landing().display().to_string()),
    ] {
        command.env(format!("COINMILL_{name}"), value);
    }
    if let Some(timeseries) = timeseries {
        command.env("COINMILL_TIMESERIES_URL", timeseries.url());
    }
    for (name, value) in with {
        command.env(format!("COINMILL_{name}"), value);
    }
    command
}

/// Runs it to its end.
pub async fn finish(mut command: Command) -> Output {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert_silent(&text(&output));
    output
}

/// Everything that it printed.
pub fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}\n{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// The first line that it printed, as JSON; null where there is none.
pub fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let first = text.lines().next().unwrap_or("null");
    serde_json::from_str(first).unwrap_or(Value::Null)
}

/// Every line that it printed, as JSON.
pub fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    let parse = |line| serde_json::from_str(line).unwrap();
    text.lines().map(parse).collect()
}

/// Its exit code.
pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// The program over a bench and a time series database, to its end.
pub async fn run(
    bench: &Bench,
    timeseries: &Database,
    arguments: &[&str],
    with: &[(&str, &str)],
) -> Output {
    finish(coinmill(bench, Some(timeseries), arguments, with)).await
}
