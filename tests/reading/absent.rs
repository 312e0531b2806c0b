//! SQLite files that are not there: a command that reads says so, and never answers as if they were empty.

use crate::support::command::{code, json, run, text};
use crate::support::{Bench, Database, Kind};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reading_command_says_that_there_is_no_snapshot_database() {
    let bench = Bench::market(5).await;
    let series = Database::bare(Kind::Sqlite).await;
    for arguments in [
        &["status"][..],
        &["runs"],
        &["quarantine", "list"],
        &["quarantine", "list", "--stored", "--json"],
        &["quarantine", "show", "s1"],
        &["quarantine", "show", "t1"],
        &["quarantine", "requeue", "--all"],
        &["replay", "some-run"],
        &["export", "--to", "lake"],
    ] {
        let output = run(&bench, &series, arguments, &[]).await;
        let said = text(&output);
        assert_eq!(code(&output), 2, "{arguments:?}: {said}");
        let for_machines = arguments.contains(&"--json");
        assert_eq!(
            output.stdout.is_empty(),
            !for_machines,
            "{arguments:?}: {said}"
        );
        let place = bench.database.url();
        assert!(
            said.contains(&format!("there is no database {place} yet"))
                && said.contains("`coinmill run snapshot` makes it"),
            "{arguments:?}: {said}"
        );
    }
    assert!(!bench.database.file().exists() && !series.file().exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_series_database_that_is_not_there_yet_is_no_error_and_an_export_names_it() {
    let bench = Bench::market(5).await;
    let series = Database::bare(Kind::Sqlite).await;
    let coinmill = async |arguments: &[&str]| run(&bench, &series, arguments, &[]).await;
    let snapshot = coinmill(&["run", "snapshot", "--top", "5", "--json"]).await;
    let id = json(&snapshot)["run"].as_str().unwrap().to_owned();
    for arguments in [
        &["status"][..],
        &["runs"],
        &["quarantine", "list"],
        &["quarantine", "requeue", "--all"],
        &["replay", &id],
    ] {
        let output = coinmill(arguments).await;
        assert_eq!(code(&output), 0, "{arguments:?}: {}", text(&output));
    }
    let export = ["export", "--to", "lake", "--json"];
    let output = coinmill(&export[..3]).await;
    assert_eq!(code(&output), 0, "{}", text(&output));
    let words = format!("there is no database {} yet", series.url());
    assert!(text(&output).contains(&words), "{}", text(&output));
    let output = coinmill(&export).await;
    assert_eq!(json(&output)["absent"], series.url(), "{}", text(&output));
    assert!(!series.file().exists());

    let backfill = coinmill(&["backfill", "--days", "2", "--coins", "bitcoin"]).await;
    assert_eq!(code(&backfill), 0, "{}", text(&backfill));
    let output = coinmill(&export).await;
    assert!(json(&output)["absent"].is_null(), "{}", text(&output));
    assert!(json(&output)["points"].as_u64() > Some(40));
}
