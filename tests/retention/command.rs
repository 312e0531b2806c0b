//! The command: a table for people, one object for scripts, and in batches what one would do.

use crate::scene::{four_days, yesterday};
use crate::support::command::{code, json, run, text};
use crate::support::{Kind, on_both_databases};

on_both_databases!(
    the_command_says_what_it_deletes,
    many_batches_are_as_good_as_one
);

async fn the_command_says_what_it_deletes(kind: Kind) {
    let mill = four_days(kind).await;
    let (bench, series) = (&mill.bench, &mill.timeseries);
    let none = run(bench, series, &["prune"], &[]).await;
    assert_eq!(code(&none), 0, "{}", text(&none));
    let said = text(&none);
    assert!(said.contains("no retention is set") && said.contains("nothing is pruned"));
    let with = [("RETENTION_DAYS_5M", "1")];
    let landing = ["--retention-days-landing", "2"];
    let dry = run(
        bench,
        series,
        &[&["prune", "--dry-run"], &landing[..]].concat(),
        &with,
    )
    .await;
    assert_eq!(code(&dry), 0, "{}", text(&dry));
    let table = text(&dry);
    assert!(table.contains("nothing was"), "{table}");
    let rows = |table: &str| -> Vec<Vec<String>> {
        let rows = table.lines().filter(|line| line.contains("T00:00Z"));
        rows.map(|row| row.split_whitespace().map(str::to_owned).collect())
            .collect()
    };
    let wet = run(bench, series, &[&["prune"], &landing[..]].concat(), &with).await;
    assert_eq!(code(&wet), 0, "{}", text(&wet));
    assert_eq!(rows(&table), rows(&text(&wet)));
    let [points, bodies] = &rows(&table)[..] else {
        panic!("{table}")
    };
    assert_eq!(
        (points[0].as_str(), points[1].as_str()),
        ("5m", "2026-01-13T00:00Z")
    );
    assert_eq!(
        (bodies[0].as_str(), bodies[1].as_str()),
        ("landing", "2026-01-12T00:00Z")
    );
    let again = run(bench, series, &["prune", "--json"], &with).await;
    let report = json(&again);
    assert_eq!(
        (&report["kind"], &report["state"]),
        (&"prune".into(), &"complete".into())
    );
    assert_eq!(report["pruned"][0]["before"], "2026-01-13T00:00:00.000Z");
    assert_eq!(report["pruned"][0]["points"], 0);
    let runs = text(&run(bench, series, &["runs"], &[]).await);
    assert!(runs.contains("prune"), "{runs}");
    let status = run(bench, series, &["status", "--json"], &[]).await;
    assert_eq!(
        json(&status)["timeseries"][0]["first"].as_str().unwrap()[..10],
        *"2026-01-13"
    );
    let nonsense = run(bench, series, &["prune"], &[("RETENTION_DAYS_1D", "never")]).await;
    assert_eq!(code(&nonsense), 2, "{}", text(&nonsense));
    let line = "COINMILL_RETENTION_DAYS_1D: \"never\" is not a whole number of at least 1";
    assert!(text(&nonsense).contains(line), "{}", text(&nonsense));
}

async fn many_batches_are_as_good_as_one(kind: Kind) {
    let mill = four_days(kind).await;
    let view = mill.since(5, yesterday()).await;
    let with = [("RETENTION_DAYS_5M", "1"), ("TEST_BATCH", "1")];
    let output = run(&mill.bench, &mill.timeseries, &["prune"], &with).await;
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert_eq!(mill.view().await, view);
    // the horizon, and a commit for each coin
    assert_eq!(mill.count("pruned").await, 5);
    mill.counts().await;
}
