//! The commands `quarantine` and `replay`: what they print and how they end.

use crate::series::Mill;
use crate::support::command::{code, lines, run, text};
use crate::support::{Kind, on_both_databases};

on_both_databases!(
    the_quarantine_is_worked_from_the_command_line,
    a_replay_says_what_differs
);

async fn the_quarantine_is_worked_from_the_command_line(kind: Kind) {
    let mill = Mill::new(kind, 300).await;
    let coinmill = async |arguments: &[&str], with: &[(&str, &str)]| {
        run(&mill.bench, &mill.timeseries, arguments, with).await
    };
    let output = coinmill(&["quarantine", "list"], &[]).await;
    assert!(code(&output) == 0 && text(&output).contains("nothing is in quarantine"));
    let strict = [
        ("REFUSE", "large_change_24h"),
        ("MAX_CHANGE_24H", "5"),
        ("COMPLETENESS", "0.5"),
    ];
    let output = coinmill(&["run", "snapshot", "--top", "200", "--json"], &strict).await;
    let refused = lines(&output)[0]["rejected"].as_u64().unwrap();
    assert!(code(&output) == 0 && refused > 1, "{}", text(&output));

    let output = coinmill(&["quarantine", "list", "--limit", "1"], &[]).await;
    let said = text(&output);
    assert!(
        said.contains("large_change_24h") && said.contains("more: --limit"),
        "{said}"
    );
    let output = coinmill(&["quarantine", "list", "--json"], &[]).await;
    let records = &lines(&output)[0]["records"];
    assert_eq!(records.as_array().unwrap().len() as u64, refused);
    let output = coinmill(&["quarantine", "show", "s1"], &[]).await;
    let said = text(&output);
    assert!(
        said.contains("record ") && said.contains("{\"id\":"),
        "{said}"
    );
    for (arguments, says) in [
        (&["quarantine", "show", "s999"][..], "there is no s999"),
        (&["quarantine", "show", "12"], "no number of the quarantine"),
        (&["quarantine", "requeue"], "--all"),
        (
            &["run", "snapshot", "--refuse", "nonsense"],
            "there is no warning rule nonsense",
        ),
    ] {
        let output = coinmill(arguments, &[]).await;
        assert_ne!(code(&output), 0, "{arguments:?}");
        assert!(
            text(&output).contains(says),
            "{arguments:?}: {}",
            text(&output)
        );
    }
    // by the rules that refused it, it is refused again
    let output = coinmill(&["quarantine", "requeue", "s1"], &strict).await;
    let said = text(&output);
    assert!(
        code(&output) == 3 && said.contains("1 refused again"),
        "{said}"
    );
    let output = coinmill(&["quarantine", "requeue", "s1", "s2"], &[]).await;
    assert!(
        code(&output) == 0 && text(&output).contains("2 stored"),
        "{}",
        text(&output)
    );
    let output = coinmill(&["quarantine", "requeue", "--all", "--json"], &[]).await;
    assert_eq!(
        lines(&output)[0]["requeues"][0]["stored"].as_u64(),
        Some(refused - 2)
    );
    let output = coinmill(&["quarantine", "list", "--stored"], &[]).await;
    assert_eq!(
        text(&output).matches("stored").count() as u64,
        refused,
        "{}",
        text(&output)
    );
}

async fn a_replay_says_what_differs(kind: Kind) {
    let mill = Mill::new(kind, 300).await;
    let coinmill =
        async |arguments: &[&str]| run(&mill.bench, &mill.timeseries, arguments, &[]).await;
    let output = coinmill(&["run", "snapshot", "--top", "200", "--json"]).await;
    let report = lines(&output).remove(0);
    let id = report["run"].as_str().unwrap();
    let output = coinmill(&["replay", id]).await;
    let said = text(&output);
    assert!(code(&output) == 0 && said.contains("the same"), "{said}");
    assert_eq!(
        said.matches(report["content_hash"].as_str().unwrap())
            .count(),
        2,
        "{said}"
    );
    let output = coinmill(&[
        "replay",
        id,
        "--refuse",
        "low_volume",
        "--min-volume",
        "1e7",
    ])
    .await;
    let said = text(&output);
    assert!(
        code(&output) == 3 && said.contains("different") && said.contains("\n  - "),
        "{said}"
    );
    let output = coinmill(&[
        "replay",
        id,
        "--refuse",
        "low_volume",
        "--min-volume",
        "1e7",
        "--json",
    ])
    .await;
    assert_eq!(lines(&output)[0]["is_same"], false);
    let output = coinmill(&["replay", "nothing"]).await;
    assert!(
        code(&output) == 2 && text(&output).contains("coinmill runs"),
        "{}",
        text(&output)
    );
}
