//! `coinmill replay` with a part of an id, as people copy it from `coinmill runs`.

use serde_json::Value;

use crate::series::Mill;
use crate::support::command::{code, json, run, text};
use crate::support::{Kind, on_both_databases};

on_both_databases!(a_part_of_an_id_names_its_run_and_several_are_listed);

async fn a_part_of_an_id_names_its_run_and_several_are_listed(kind: Kind) {
    let mill = Mill::new(kind, 20).await;
    let coinmill =
        async |arguments: &[&str]| run(&mill.bench, &mill.timeseries, arguments, &[]).await;
    coinmill(&["run", "all", "--top", "3"]).await;
    let ledger = json(&coinmill(&["runs", "--json"]).await);
    let ids: Vec<&str> = ledger["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["run"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 3, "{ledger}");
    for id in &ids {
        let end = id.get(id.len() - 12..).unwrap();
        for name in [*id, end, &end.to_uppercase()] {
            let output = coinmill(&["replay", name, "--json"]).await;
            assert_eq!(code(&output), 0, "{name}: {}", text(&output));
            assert_eq!(json(&output)["run"], Value::from(*id));
        }
    }
    // ids begin with their time, so all begin alike
    let start = ids[0].get(..4).unwrap();
    let output = coinmill(&["replay", start]).await;
    let said = text(&output);
    assert_eq!(code(&output), 2, "{said}");
    assert!(ids.iter().all(|id| said.contains(id)), "{said}");
    for name in ["ffffffffffff", "%", "", "no such run", "_"] {
        let output = coinmill(&["replay", name]).await;
        assert_eq!(code(&output), 2, "{name}: {}", text(&output));
        assert!(text(&output).contains("coinmill runs"), "{}", text(&output));
    }
}
