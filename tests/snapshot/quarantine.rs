//! Records that are refused: each with its rule, its reason and its own bytes, once, and never in the way of the others.

use coinmill::pipeline::RunState;

use crate::support::bodies::{Row, body, quoted};
use crate::support::{Bench, Database, Kind, named, on_both_databases, report_of, said};

on_both_databases!(
    a_refused_record_is_kept_with_its_rule_its_reason_and_its_bytes,
    a_refused_record_is_not_kept_twice,
    a_page_that_is_read_twice_counts_its_nameless_records_once,
    a_refused_record_in_a_response_by_name_is_kept_too,
    a_slot_whose_records_are_all_there_but_refused_does_not_ask_for_another_run,
);

async fn a_refused_record_is_kept_with_its_rule_its_reason_and_its_bytes(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let broken = Row::plain("b")
        .with("current_price", "-1.50")
        .with("total_volume", "\"much\"");
    let rows = [
        Row::plain("a"),
        broken.clone(),
        Row::plain("c"),
        Row::Token("[ 1,2 ]".to_owned()),
    ];
    // the page is read again, since one of its records has no coin
    for _ in 0..2 {
        bench.body(&body(&rows));
    }
    let report = bench
        .run(&[("top", "4"), ("completeness", "0.5")])
        .await
        .unwrap();
    assert_eq!(report.state, RunState::Partial);
    assert_eq!(
        (
            report.expected,
            report.received,
            report.accepted,
            report.rejected
        ),
        (4, 4, 2, 4)
    );
    let rejections: Vec<_> = report.rejections.into_iter().collect();
    assert_eq!(rejections, [("not_an_object", 2), ("wrong_type", 2)]);
    let sql = "select q.record, q.coin, q.rule, q.reason, q.raw, q.body, l.path from quarantine q \
               join landing l on l.id = q.landing order by l.path, q.record";
    let kept = bench.database.rows(sql).await;
    assert_eq!(kept.len(), 4);
    assert_eq!(
        (kept[0][0].int(), kept[0][1].text(), kept[0][2].text()),
        (1, "b", "wrong_type")
    );
    let reason = kept[0][3].text();
    assert!(
        reason.contains("total_volume") && reason.contains("much"),
        "{reason}"
    );
    assert_eq!(kept[0][4].text(), broken.text());
    assert_eq!(
        (kept[1][0].int(), kept[1][2].text(), kept[1][4].text()),
        (3, "not_an_object", "[ 1,2 ]")
    );
    assert!(kept.iter().all(|row| row[5] == row[6]));
    let ledger = bench
        .database
        .row("select expected, received, accepted, rejected, stored from run")
        .await;
    assert_eq!(
        ledger.iter().map(|cell| cell.int()).collect::<Vec<_>>(),
        [4, 4, 2, 4, 2]
    );
}

async fn a_refused_record_is_not_kept_twice(kind: Kind) {
    let mut bench = Bench::new(kind, 300).await;
    let mut rows: Vec<Row> = (0..149)
        .map(|number| Row::plain(&format!("coin-{number}")))
        .collect();
    rows.push(Row::plain("broken").with("market_cap", "-1"));
    bench.body(&body(&rows));
    bench.fault("503:times=2");
    let with = [("top", "300"), ("attempts", "1")];
    for run in 0..2 {
        let outcome = bench.run(&with).await;
        if run == 0 {
            report_of(outcome);
        } else {
            assert!(said(&outcome.unwrap_err()).contains("503"));
        }
        assert_eq!(
            bench
                .database
                .number("select count(*) from quarantine")
                .await,
            1
        );
    }
    let report = bench.run(&with).await.unwrap();
    assert_eq!((report.state, report.accepted), (RunState::Partial, 299));
    assert_eq!(
        named(&report.missing),
        ["broken (refused: negative_market_cap)"]
    );
    assert_eq!(
        bench
            .database
            .number("select count(*) from quarantine")
            .await,
        1
    );
    // and a database that is new learns it from the landing, once as well
    bench.database = Database::ready(kind).await;
    let report = bench.run(&with).await.unwrap();
    assert_eq!((report.rejected, report.calls), (1, 0));
    assert_eq!(
        bench
            .database
            .number("select count(*) from quarantine")
            .await,
        1
    );
}

async fn a_page_that_is_read_twice_counts_its_nameless_records_once(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let coin = |number: usize| Row::plain(&format!("coin-{number}"));
    let nameless = Row::plain("x").without("id");
    // coin 148 comes again on the second page, so the first is read again; it has not changed, and a coin is missing
    let first: Vec<Row> = (0..149).map(coin).chain([nameless]).collect();
    let second: Vec<Row> = (148..298).map(coin).collect();
    for page in [&first, &second, &first] {
        bench.body(&body(page));
    }
    let report = bench.run(&[("top", "300")]).await.unwrap();
    assert_eq!((report.accepted, report.received), (298, 299));
    assert_eq!(report.state, RunState::Partial);
    assert_eq!(report.missing.len(), 2, "{:?}", report.missing);
}

async fn a_refused_record_in_a_response_by_name_is_kept_too(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    bench.body(&body(&[Row::plain("a")]));
    bench.body(&body(&[Row::plain("b").with("id", "7")]));
    let with = [("top", "1"), ("add_coins", "b"), ("completeness", "0")];
    let report = bench.run(&with).await.unwrap();
    assert_eq!((report.state, report.rejected), (RunState::Partial, 1));
    assert_eq!(
        bench.database.texts("select rule from quarantine").await,
        ["wrong_type"]
    );
}

async fn a_slot_whose_records_are_all_there_but_refused_does_not_ask_for_another_run(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let rows = [Row::plain("a"), Row::plain("b").with("symbol", quoted(""))];
    bench.body(&body(&rows));
    let error = bench.run(&[("top", "2")]).await.unwrap_err();
    // half of what was expected is not in the database, so an error it is; but a second run could change nothing
    let chain = said(&error);
    assert!(
        chain.contains("1 of 2") && chain.contains("quarantine"),
        "{chain}"
    );
    assert!(!chain.contains("run it again"), "{chain}");
}
