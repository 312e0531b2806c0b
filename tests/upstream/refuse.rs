//! The setting `refuse`: warnings that become refusals, and what tells that they were.

use coinmill::error::Error;
use coinmill::pipeline::RunState;

use crate::support::{Bench, Kind, on_both_databases, said};

on_both_databases!(
    a_warning_that_is_refused_sends_its_quotes_to_quarantine_under_its_own_name,
    several_rules_can_be_refused_at_once,
);

async fn a_warning_that_is_refused_sends_its_quotes_to_quarantine_under_its_own_name(kind: Kind) {
    let bench = Bench::new(kind, 40).await;
    let sets = bench.database.texts("select rule_set from run").await;
    assert_eq!(sets.len(), 0);
    for with in [vec![], vec![("refuse", "zero_price")]] {
        bench.fault("set:field=current_price,id=bitcoin,value=0");
        let mut all = vec![("top", "40")];
        all.extend(&with);
        let report = bench.run(&all).await.unwrap();
        let refused = u64::from(!with.is_empty());
        assert_eq!(
            (
                report.state,
                report.received,
                report.accepted,
                report.rejected
            ),
            (RunState::Complete, 40, 40 - refused, refused)
        );
        assert_eq!(
            report.rejections.get("zero_price").copied(),
            Some(1).filter(|_| refused > 0)
        );
        assert_eq!(
            report.warnings.get("zero_price").copied(),
            Some(1).filter(|_| refused == 0)
        );
        bench.sim.advance(chrono::TimeDelta::minutes(30)).unwrap();
    }
    let row = bench
        .database
        .rows("select coin, rule, reason, raw from quarantine")
        .await;
    assert_eq!(row.len(), 1);
    assert_eq!(
        (row[0][0].text(), row[0][1].text()),
        ("bitcoin", "zero_price")
    );
    assert!(
        row[0][2].text().starts_with("current_price: a price of 0"),
        "{row:?}"
    );
    assert!(
        row[0][3].text().contains(r#""current_price":0,"#),
        "{row:?}"
    );
    let sets = bench
        .database
        .texts("select rule_set from run order by id")
        .await;
    assert!(sets.len() == 2 && sets[0] != sets[1], "{sets:?}");
    let asked = bench
        .database
        .texts("select settings from run order by id desc")
        .await;
    assert!(asked[0].contains(r#""refuse":["zero_price"]"#), "{asked:?}");
}

async fn several_rules_can_be_refused_at_once(kind: Kind) {
    let bench = Bench::new(kind, 40).await;
    bench.fault("set:field=last_updated,path=/coins/markets,value=null");
    let with = [("top", "40"), ("refuse", "zero_price, missing_stamp")];
    let report = bench.run(&with).await.unwrap();
    assert_eq!((report.accepted, report.refused.len()), (0, 40));
    let rules = "select rule from quarantine group by rule";
    assert_eq!(bench.database.texts(rules).await, ["missing_stamp"]);
    let quotes = "select count(*) from quote";
    assert_eq!(bench.database.number(quotes).await, 0);
}

#[tokio::test]
async fn a_rule_that_does_not_exist_is_refused_with_those_that_do() {
    let bench = Bench::new(Kind::Sqlite, 3).await;
    // a rule that refuses anyway is no warning
    for name in ["no_such_rule", "negative_price", "ZERO_PRICE"] {
        let error = bench
            .run(&[("top", "3"), ("refuse", name)])
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Config { .. }), "{error:?}");
        let chain = said(&error);
        for words in [
            name,
            "zero_price",
            "null_price",
            "stale_quote",
            "negative_measure",
        ] {
            assert!(chain.contains(words), "{words}: {chain}");
        }
    }
    assert_eq!(bench.sim.calls(), 0);
    assert_eq!(bench.database.number("select count(*) from run").await, 0);
}
