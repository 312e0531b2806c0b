//! `coinmill rules`: what each rule flagged, counted from what is stored; and what a report says of its warnings.

use chrono::TimeDelta;
use coinmill::error::Error;
use coinmill::pipeline::{self, RuleInForce, RulesReport};
use coinmill::quality::{Verdict, all_rules};

use crate::series::Mill;
use crate::support::bodies::{Row, body};
use crate::support::command::{code, lines, run, text};
use crate::support::{Kind, on_both_databases};

on_both_databases!(
    each_rule_is_listed_with_what_it_flagged,
    the_list_is_for_people_and_for_scripts,
);

fn of<'a>(report: &'a RulesReport, name: &str) -> &'a RuleInForce {
    let mut rules = report.rules.iter();
    rules
        .find(|rule| rule.rule == name && rule.of != "chart")
        .unwrap()
}

async fn each_rule_is_listed_with_what_it_flagged(kind: Kind) {
    let mill = Mill::new(kind, 60).await;
    let with = [("top", "4"), ("completeness", "0"), ("stale_after", "1e9")];
    let settings = mill.settings(&with);
    let rules = async |days| pipeline::rules(&settings, days).await.unwrap();
    let empty = rules(7).await;
    assert_eq!(empty.rules.len(), all_rules().count());
    let is_empty = |rule: &RuleInForce| rule.newest.is_none() && rule.recent == Some(0);
    assert!(empty.rules.iter().all(is_empty));
    let nowhere = format!(
        "sqlite://{}",
        mill.bench.folder.path().join("none.db").display()
    );
    let nowhere = mill.settings(&[("snapshot_url", &nowhere)]);
    let none = pipeline::rules(&nowhere, 7).await.unwrap();
    assert!(none.recent.is_none() && none.rules.iter().all(|rule| rule.recent.is_none()));

    // in each of two slots two quotes break one rule, one of them a second one, and a third record is refused
    let strange = Row::plain("a").with("ath", "1");
    let stranger = Row::plain("b")
        .with("ath", "1")
        .with("circulating_supply", "5")
        .with("max_supply", "1");
    let refused = Row::plain("c").with("current_price", "-1");
    let page = body(&[strange, stranger, refused, Row::plain("d")]);
    mill.bench
        .fault(&format!("body:times=0,status=200,text={page}"));
    let mut warned = 0;
    for _ in 0..2 {
        let report = mill.bench.run(&with).await.unwrap();
        assert_eq!(
            (
                report.warnings["above_ath"],
                report.warnings["supply_above_max"]
            ),
            (2, 1)
        );
        assert_eq!(report.warned, 2);
        warned += report.warned;
        mill.bench.sim.advance(TimeDelta::days(1)).unwrap();
    }
    let week = rules(7).await;
    let counts = |report: &RulesReport, name| {
        let rule = of(report, name);
        (rule.newest, rule.recent)
    };
    assert_eq!(counts(&week, "above_ath"), (Some(2), Some(4)));
    assert_eq!(counts(&week, "supply_above_max"), (Some(1), Some(2)));
    assert_eq!(counts(&week, "zero_price"), (Some(0), Some(0)));
    let (newest, refused) = counts(&week, "negative_price");
    assert!(
        newest > Some(0) && refused > newest,
        "{newest:?} {refused:?}"
    );
    assert_eq!(week.recent.unwrap().quotes, 6);
    assert_eq!(week.recent.unwrap().warned, warned);
    assert_eq!(
        pipeline::status(&settings).await.unwrap().newest,
        week.newest
    );
    // now is a day after the second one
    let day = rules(1).await;
    assert_eq!(counts(&day, "above_ath"), (Some(2), Some(0)));
    let two = rules(2).await;
    assert_eq!(counts(&two, "above_ath"), (Some(2), Some(2)));

    let chart = week
        .rules
        .iter()
        .find(|rule| (rule.rule, rule.of) == ("negative_price", "chart"));
    assert_eq!(
        chart.map(|rule| (rule.newest, rule.recent)),
        Some((None, Some(0)))
    );

    let strict = mill.settings(&[("refuse", "zero_price"), ("min_volume", "5")]);
    let strict = pipeline::rules(&strict, 7).await.unwrap();
    assert_eq!(of(&strict, "zero_price").verdict, Verdict::Reject);
    assert_eq!(of(&strict, "low_volume").bound.as_deref(), Some("< 5"));
    assert_ne!(strict.rule_set, week.rule_set);
    for days in [0, 40_000] {
        let error = pipeline::rules(&settings, days).await.unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error:?}");
    }
}

async fn the_list_is_for_people_and_for_scripts(kind: Kind) {
    let mill = Mill::new(kind, 60).await;
    let coinmill =
        async |arguments: &[&str]| run(&mill.bench, &mill.timeseries, arguments, &[]).await;
    mill.bench.fault("set:times=0,id=bitcoin,field=ath,value=1");
    let output = coinmill(&["run", "snapshot", "--top", "50"]).await;
    let said = text(&output);
    assert!(
        code(&output) == 0 && said.contains("1 of 50 quotes has a warning (above_ath 1)"),
        "{said}"
    );
    let output = coinmill(&["status"]).await;
    assert!(
        text(&output).contains("newest snapshot: 1 of 50 quotes has a warning"),
        "{}",
        text(&output)
    );
    let output = coinmill(&["rules"]).await;
    let said = text(&output);
    for part in [
        "above_ath",
        "newest: snapshot 2026-01-14T12:00Z, 1 of 50",
        "set by min_volume",
        "score: 1 - ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let output = coinmill(&["rules", "--days", "30", "--json"]).await;
    let report = lines(&output).remove(0);
    assert_eq!(
        (code(&output), &report["days"]),
        (0, &serde_json::json!(30))
    );
    assert_eq!(
        report["rules"].as_array().unwrap().len(),
        all_rules().count()
    );
    let output = coinmill(&["rules", "--days", "0"]).await;
    assert_eq!(code(&output), 2);
}
