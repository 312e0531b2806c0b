//! Whatever is corrupted in whichever row, that row is refused with its rule and kept raw, and every other one is stored.
//! And whatever befalls the runs of a slot, once they complete it holds what one undisturbed run would have stored.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_wrap,
    reason = "a test that cannot go on should say where"
)]

mod support;

#[path = "corruptions/corruption.rs"]
mod corruption;
#[path = "corruptions/history.rs"]
mod history;
#[path = "corruptions/oddities.rs"]
mod oddities;

use std::collections::{BTreeMap, HashSet};

use coinmill::error::{Error, Result};
use coinmill::pipeline::Report;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use corruption::{Corruption, corruption, every_corruption};
use support::bodies::{Row, body, quoted};
use support::{Bench, Cell, Kind};

/// A runtime for the cases of one property.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Runs a property over so many cases. The seed is the operating system's; a case that fails is printed whole.
fn check<S: Strategy>(
    cases: u32,
    strategy: &S,
    property: impl Fn(S::Value) -> std::result::Result<(), TestCaseError>,
) {
    let config = Config {
        cases,
        max_shrink_iters: 40,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(strategy, property)
        .unwrap_or_else(|failure| panic!("{failure}"));
}

/// The measures of a generated row: those that may be negative are last.
const MEASURES: [&str; 8] = [
    "current_price",
    "market_cap",
    "total_volume",
    "high_24h",
    "max_supply",
    "ath",
    "price_change_24h",
    "atl_change_percentage",
];

/// A valid row without its id: any numbers, any of them null or absent.
fn row() -> impl Strategy<Value = Row> {
    let number = prop_oneof![
        3 => (0.0..1e15).prop_map(Some),
        2 => any::<f64>().prop_map(|number| number.is_finite().then_some(number.abs())),
        1 => Just(None),
    ];
    let name = prop_oneof![
        Just("null".to_owned()),
        "[ -~äß€🪙]{1,20}".prop_map(|text| quoted(&text))
    ];
    (
        prop::collection::vec(number, MEASURES.len()),
        name,
        prop::option::of(1..600_000_i64),
    )
        .prop_map(|(numbers, name, rank)| {
            let mut row = Row::plain("x").with("name", name);
            for (index, (field, number)) in MEASURES.into_iter().zip(numbers).enumerate() {
                let token = |number: f64| {
                    serde_json::to_string(&if index < 6 { number } else { -number }).unwrap()
                };
                row = match number {
                    Some(number) => row.with(field, token(number)),
                    None if index % 2 == 0 => row.without(field),
                    None => row.with(field, "null"),
                };
            }
            row.with(
                "market_cap_rank",
                rank.map_or("null".to_owned(), |rank| rank.to_string()),
            )
        })
}

/// A page of valid rows, some of which are to be corrupted.
fn page() -> impl Strategy<Value = Vec<(Row, Option<Corruption>)>> {
    let maybe = prop_oneof![2 => Just(None), 1 => corruption().prop_map(Some)];
    prop::collection::vec((row(), maybe), 1..25).prop_map(|rows| {
        let named = |(place, (row, corruption)): (usize, (Row, _))| {
            (row.with("id", quoted(&format!("coin-{place}"))), corruption)
        };
        rows.into_iter().enumerate().map(named).collect()
    })
}

/// The report of a run, where it is an incomplete one too.
fn report(outcome: Result<Report>) -> serde_json::Value {
    match outcome {
        Ok(report) => serde_json::to_value(report).unwrap(),
        Err(Error::Incomplete { report, .. }) => *report,
        Err(error) => panic!("{}", error.chain()),
    }
}

/// Serves a page with its corruptions and compares the result with what it must be.
async fn serve(kind: Kind, page: &[(Row, Option<Corruption>)]) {
    let bench = Bench::new(kind, 1).await;
    let served: Vec<Row> = page
        .iter()
        .map(|(row, corruption)| {
            corruption
                .as_ref()
                .map_or_else(|| row.clone(), |corruption| corruption.applied_to(row))
        })
        .collect();
    // what is refused is asked for once more, and comes as it came
    let text = body(&served);
    bench.fault(&format!("body:status=200,times=0,text={text}"));
    let top = page.len().to_string();
    let report = report(bench.run(&[("top", &top)]).await);
    let bad = page
        .iter()
        .filter(|(_, corruption)| corruption.is_some())
        .count();
    let good = page.len() - bad;

    for (name, count) in [
        ("expected", page.len()),
        ("received", page.len()),
        ("accepted", good),
        ("stored", good),
        ("rejected", 2 * bad),
    ] {
        assert_eq!(report[name], count, "{name}: {report}");
        let sql = format!("select {name} from run");
        assert_eq!(
            bench.database.number(&sql).await,
            count as i64,
            "{name} in the ledger"
        );
    }
    let nameless = page.iter().filter(|(_, corruption)| {
        let field = corruption.as_ref().map(|corruption| corruption.field);
        matches!(field, Some("id" | "record"))
    });
    let nameless = nameless.count();
    let missing = bad - nameless + usize::from(nameless > 0);
    assert_eq!(report["missing"].as_array().unwrap().len(), missing);
    let by_rule: BTreeMap<String, u64> =
        serde_json::from_value(report["rejections"].clone()).unwrap();
    assert_eq!(by_rule.values().sum::<u64>(), 2 * bad as u64);

    let kept = bench
        .database
        .rows(
            "select record, coin, rule, reason, raw from quarantine \
             where body = (select min(body) from quarantine) order by record",
        )
        .await;
    assert_eq!(kept.len(), bad);
    let corrupted = page.iter().zip(&served).enumerate();
    let corrupted = corrupted
        .filter_map(|(place, ((_, corruption), row))| Some((place, corruption.as_ref()?, row)));
    for ((place, corruption, row), kept) in corrupted.zip(&kept) {
        let said = format!("{corruption:?} {kept:?}");
        assert_eq!(kept[0], Cell::Int(place as i64), "{said}");
        assert_eq!(
            (kept[2].text(), kept[4].text()),
            (corruption.rule, row.text().as_str()),
            "{said}"
        );
        assert!(kept[3].text().starts_with(corruption.field), "{said}");
        let names_its_coin = !matches!(corruption.field, "id" | "record");
        assert_eq!(
            kept[1],
            if names_its_coin {
                Cell::Text(format!("coin-{place}"))
            } else {
                Cell::Null
            },
            "{said}"
        );
    }

    let columns = MEASURES.join(", ").replace("percentage", "pct");
    let sql = format!(
        "select c.id, market_cap_rank, {columns} from quote q join coin c on c.key = q.coin"
    );
    let stored = bench.database.rows(&sql).await;
    let ids: HashSet<&str> = stored.iter().map(|row| row[0].text()).collect();
    assert_eq!((stored.len(), ids.len()), (good, good));
    for stored in &stored {
        let place: usize = stored[0]
            .text()
            .trim_start_matches("coin-")
            .parse()
            .unwrap();
        let (row, corruption) = &page[place];
        assert_eq!(*corruption, None);
        let token = |name: &str| row.get(name).filter(|token| *token != "null");
        assert_eq!(
            stored[1],
            token("market_cap_rank").map_or(Cell::Null, |token| Cell::Int(token.parse().unwrap()))
        );
        for (name, found) in MEASURES.into_iter().zip(&stored[2..]) {
            // -0.0 becomes 0.0, as SQLite would make it
            let expected = token(name).map_or(Cell::Null, |token| {
                Cell::Float(token.parse::<f64>().unwrap() + 0.0)
            });
            assert!(
                found.is_same(&expected),
                "{name}: {expected:?} became {found:?}"
            );
        }
    }
    let state = bench.database.texts("select state from snapshot_now").await;
    assert_eq!(state, [if bad == 0 { "complete" } else { "partial" }]);
}

#[test]
fn every_corrupted_row_is_refused_with_its_rule_and_every_other_one_is_stored() {
    let runtime = runtime();
    check(24, &page(), |page| {
        runtime.block_on(serve(Kind::Sqlite, &page));
        Ok(())
    });
}

#[test]
fn every_corrupted_row_is_refused_with_its_rule_and_every_other_one_is_stored_on_postgresql() {
    let runtime = runtime();
    check(4, &page(), |page| {
        runtime.block_on(serve(Kind::Postgres, &page));
        Ok(())
    });
}

#[test]
fn every_rule_is_broken_in_every_field_that_it_covers() {
    let all = every_corruption();
    let rules: HashSet<&str> = all.iter().map(|corruption| corruption.rule).collect();
    let refusing = coinmill::quality::RECORD_RULES
        .into_iter()
        .chain(coinmill::quality::QUOTE_RULES.iter().map(|(rule, _)| rule));
    let refusing: HashSet<&str> = refusing
        .filter(|rule| rule.verdict == coinmill::quality::Verdict::Reject)
        .map(|rule| rule.name)
        .collect();
    assert_eq!(rules, refusing);
    for kind in [Kind::Sqlite, Kind::Postgres] {
        // one good row between each two bad ones
        let pair = |(place, corruption): (usize, &Corruption)| {
            let named = |place: usize| Row::plain("x").with("id", quoted(&format!("coin-{place}")));
            [
                (named(2 * place), Some(corruption.clone())),
                (named(2 * place + 1), None),
            ]
        };
        let page: Vec<_> = all.iter().enumerate().flat_map(pair).collect();
        for page in page.chunks(240) {
            let renamed = page.iter().enumerate().map(|(place, (row, corruption))| {
                (
                    row.clone().with("id", quoted(&format!("coin-{place}"))),
                    corruption.clone(),
                )
            });
            runtime().block_on(serve(kind, &renamed.collect::<Vec<_>>()));
        }
    }
}
