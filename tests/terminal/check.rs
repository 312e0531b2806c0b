//! `coinmill check`: the exit codes that a monitor goes by.

use chrono::TimeDelta;
use serde_json::Value;

use crate::support::command::{code, coinmill, finish, json, text};
use crate::support::{Bench, Kind, on_both_databases};

on_both_databases!(
    the_newest_snapshot_has_one_verdict,
    a_time_that_cannot_be_read_is_refused
);

async fn checked(bench: &Bench, arguments: &[&str]) -> (i32, Value, String) {
    let arguments = [&["check"], arguments].concat();
    let said = finish(coinmill(bench, None, &arguments, &[])).await;
    let as_json = [&arguments[..], &["--json"]].concat();
    let output = finish(coinmill(bench, None, &as_json, &[])).await;
    assert_eq!(code(&said), code(&output), "{}", text(&said));
    let lines = String::from_utf8(said.stdout).unwrap();
    assert_eq!(lines.lines().count(), 1, "{lines}");
    (code(&output), json(&output), lines)
}

async fn the_newest_snapshot_has_one_verdict(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let (code, value, said) = checked(&bench, &[]).await;
    assert_eq!((code, &value["state"]), (1, &"missing".into()));
    assert!(said.contains("coinmill run snapshot"), "{said}");

    bench.run(&[("top", "5")]).await.unwrap();
    let (code, value, said) = checked(&bench, &[]).await;
    assert_eq!((code, &value["state"]), (0, &"complete".into()), "{said}");
    assert_eq!(value["snapshot_time"], "2026-01-14T12:00:00.000Z");
    assert_eq!(
        (&value["age_s"], &value["max_age_s"]),
        (&600.into(), &2700.into())
    );

    // 12:45 is 45 minutes after the half-hour's start, and the next second is later
    bench.sim.advance(TimeDelta::minutes(35)).unwrap();
    assert_eq!(checked(&bench, &["--max-age", "45m"]).await.0, 0);
    bench.sim.advance(TimeDelta::seconds(1)).unwrap();
    let (code, value, said) = checked(&bench, &[]).await;
    assert_eq!((code, &value["state"]), (1, &"late".into()), "{said}");
    assert!(said.contains("45 min old"), "{said}");
    assert_eq!(checked(&bench, &["--max-age", "1h"]).await.0, 0);

    let coin = &bench.ranking(3).await[2];
    bench.fault(&format!(
        "set:field=current_price,id={coin},times=0,value=-1"
    ));
    bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    let _partial = bench.run(&[("top", "5"), ("completeness", "0")]).await;
    let (code, value, said) = checked(&bench, &[]).await;
    assert_eq!((code, &value["state"]), (3, &"partial".into()), "{said}");
    assert_eq!(value["missing"][0]["coin_id"], coin.as_str());
    assert!(said.contains(coin.as_str()), "{said}");
    // what is late is late, however much of it is there
    assert_eq!(checked(&bench, &["--max-age", "1s"]).await.0, 1);
}

async fn a_time_that_cannot_be_read_is_refused(kind: Kind) {
    let bench = Bench::new(kind, 5).await;
    let output = finish(coinmill(&bench, None, &["check", "--max-age", "45"], &[])).await;
    assert_eq!(code(&output), 2);
    assert!(text(&output).contains("such as 45m"), "{}", text(&output));
}
