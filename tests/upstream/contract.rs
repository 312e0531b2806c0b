//! The contract with the API, frozen and not: what a run does when fields come or go, and what is left of that to read.

use coinmill::contract::Contract;
use coinmill::error::Error;
use coinmill::pipeline::{Reach, RunState};
use coinmill::series::Resolution;

use crate::series::{BITCOIN, Mill};
use crate::support::bodies::{Row, body};
use crate::support::{Bench, Kind, on_both_databases, recordings, report_of, said};

on_both_databases!(
    a_frozen_snapshot_stores_nothing_of_another_shape_and_an_evolving_one_takes_it_up,
    a_frozen_series_stores_nothing_of_another_shape_and_an_evolving_one_takes_it_up,
    a_frozen_backfill_stores_nothing_of_another_shape,
    a_chart_without_an_array_is_missing_and_its_field_is_named,
    a_frozen_run_over_what_is_known_is_like_any_other,
    names_that_an_api_invents_are_noted_up_to_a_bound,
);

const FREEZE: (&str, &str) = ("contract", "freeze");
const FIVE: Resolution = Resolution::FiveMinutes;

/// A row of `schema_drift` is the run, the endpoint, the field, how it deviates, how often, and when.
const DRIFT: &str = "select r.state, d.endpoint, d.field, d.deviation, d.records, d.first_seen, d.last_seen \
                     from schema_drift d join run r on r.id = d.run order by r.id, d.field";

async fn a_frozen_snapshot_stores_nothing_of_another_shape_and_an_evolving_one_takes_it_up(
    kind: Kind,
) {
    for (fault, says) in [
        ("set:field=mood,value=1", "unknown field mood in 20 records"),
        (
            "drop:field=ath_date",
            "missing field ath_date in 20 records",
        ),
        (
            "drop:id=bitcoin,path=,field=roi",
            "missing field roi in 1 records",
        ),
    ] {
        let bench = Bench::new(kind, 20).await;
        bench.fault(fault);
        let error = bench.run(&[("top", "20"), FREEZE]).await.unwrap_err();
        assert!(
            matches!(error, Error::Data { .. }) && !error.is_retryable(),
            "{error:?}"
        );
        let chain = said(&error);
        for words in [says, "of /coins/markets", "--contract evolve"] {
            assert!(chain.contains(words), "{words}: {chain}");
        }
        assert_eq!(bench.database.counts().await, [0; 6]);
        let run = bench
            .database
            .row("select state, error, calls from run")
            .await;
        assert_eq!(
            (run[0].text(), run[1].text(), run[2].int()),
            ("failed", &*chain, 1)
        );
        let drift = bench.database.rows(DRIFT).await;
        let now = bench.sim.now().timestamp_millis();
        let (deviation, field) = says.split_once(" field ").unwrap();
        let (field, records) = field.split_once(" in ").unwrap();
        let records: i64 = records.split_once(' ').unwrap().0.parse().unwrap();
        assert_eq!(drift.len(), 1);
        let found = (drift[0][1].text(), drift[0][2].text(), drift[0][3].text());
        assert_eq!(found, ("/coins/markets", field, deviation));
        let found = [&drift[0][4], &drift[0][5], &drift[0][6]].map(|cell| cell.int());
        assert_eq!((drift[0][0].text(), found), ("failed", [records, now, now]));

        // it is not asked for again, whether the contract is still frozen or not
        let again = bench.run(&[("top", "20"), FREEZE]).await.unwrap_err();
        assert_eq!((said(&again), bench.sim.calls()), (chain, 1));
        let report = bench.run(&[("top", "20")]).await.unwrap();
        assert_eq!(
            (report.state, report.stored, report.calls, report.recovered),
            (RunState::Complete, 20, 0, 1)
        );
        assert_eq!(
            (report.drift.len(), report.drift[0].field.as_str()),
            (1, field)
        );
        assert_eq!(bench.sim.calls(), 1);
        let states: Vec<_> = bench.database.rows(DRIFT).await;
        let states: Vec<&str> = states.iter().map(|row| row[0].text()).collect();
        assert_eq!(states, ["failed", "failed", "complete"]);
    }
}

/// Where a slot holds a part already, what comes in another shape is not added to it.
#[tokio::test]
async fn a_frozen_run_leaves_a_part_as_it_is() {
    let bench = Bench::new(Kind::Sqlite, 252).await;
    bench.fault("503:path=&page=2");
    let with = [("top", "252"), ("attempts", "1"), FREEZE];
    report_of(bench.run(&with).await);
    let before = bench.database.counts().await;
    bench.fault("set:path=&page=2,field=mood,value=1");
    let error = bench.run(&with).await.unwrap_err();
    assert!(said(&error).contains("unknown field mood in 126 records"));
    assert_eq!(bench.database.counts().await, before);
    assert_eq!(bench.run(&[("top", "252")]).await.unwrap().calls, 0);
}

async fn a_frozen_series_stores_nothing_of_another_shape_and_an_evolving_one_takes_it_up(
    kind: Kind,
) {
    let mill = Mill::new(kind, 12).await;
    mill.snapshot("12").await;
    mill.bench
        .fault("set:path=market_chart,times=0,field=mood,value=1");
    let snapshots = mill.bench.sim.calls();
    let error = mill.run(FIVE, &[FREEZE]).await.unwrap_err();
    assert!(matches!(error, Error::Data { .. }), "{error:?}");
    let chain = said(&error);
    for words in [
        "unknown field mood",
        "of /coins/{id}/market_chart",
        "--contract evolve",
    ] {
        assert!(chain.contains(words), "{words}: {chain}");
    }
    assert_eq!(mill.counts().await, [0; 6]);
    let drift = mill.rows(DRIFT).await;
    let now = mill.bench.sim.now().timestamp_millis();
    assert_eq!((drift.len(), drift[0][0].text()), (1, "failed"));
    assert!(drift[0][4].int() >= 1 && drift[0][5].int() == now && drift[0][6].int() == now);

    mill.bench.sim.clear_faults();
    let asked = mill.bench.sim.calls() - snapshots;
    let charts = bodies_in(&mill.bench.landing()) - 1;
    let report = mill.run(FIVE, &[]).await.unwrap();
    // what had come is recovered without a call; the calls that were under way were given up
    assert!(charts >= 1 && asked <= charts + 8);
    assert_eq!(
        (report.state, report.recovered, report.calls),
        (RunState::Complete, charts, 12 - charts)
    );
    assert_eq!(report.drift.len(), 1);
    assert_eq!(
        (report.drift[0].records, &*report.drift[0].field),
        (charts, "mood")
    );
    let undisturbed = Mill::new(Kind::Sqlite, 12).await;
    undisturbed.snapshot("12").await;
    undisturbed.run(FIVE, &[]).await.unwrap();
    assert_eq!(mill.view().await, undisturbed.view().await);
}

async fn a_frozen_backfill_stores_nothing_of_another_shape(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.bench.fault("drop:field=market_caps");
    // the second finds what the first has landed, and does not go on to ask
    for _ in 0..2 {
        let outcome = mill
            .backfill(Resolution::Hour, Reach::Days(3), &["bitcoin"], &[FREEZE])
            .await;
        let chain = said(&outcome.unwrap_err());
        assert!(
            chain.contains("missing field market_caps in 1 records"),
            "{chain}"
        );
        assert_eq!(
            (mill.counts().await, mill.bench.sim.calls()),
            (vec![0; 6], 1)
        );
    }
    assert_eq!(mill.states().await, ["failed", "failed"]);
}

async fn a_chart_without_an_array_is_missing_and_its_field_is_named(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.bench.fault("drop:field=total_volumes");
    let error = mill.run(FIVE, &BITCOIN).await.unwrap_err();
    assert!(said(&error).contains("no total_volumes"), "{error}");
    let drift = mill.rows(DRIFT).await;
    let found = (drift[0][0].text(), drift[0][2].text(), drift[0][3].text());
    assert_eq!(
        (drift.len(), found),
        (1, ("failed", "total_volumes", "missing"))
    );
    assert_eq!(mill.count("price_point").await, 0);
    let refused = mill.row("select rule, reason from quarantine").await;
    assert_eq!(refused[0].text(), "not_a_chart");
    assert!(
        refused[1].text().contains("no total_volumes"),
        "{refused:?}"
    );
    let report = mill.run(FIVE, &BITCOIN).await.unwrap();
    assert_eq!((report.state, report.calls), (RunState::Complete, 1));
}

async fn a_frozen_run_over_what_is_known_is_like_any_other(kind: Kind) {
    let Some(folder) = recordings::folder() else {
        return;
    };
    let mill = Mill::recorded(kind, folder).await;
    let mut snapshots = 0;
    loop {
        match mill.bench.run(&[("top", "250"), FREEZE]).await {
            Ok(report) => {
                snapshots += 1;
                assert!(report.drift.is_empty(), "{:?}", report.drift);
            }
            // what no recording of the instant answers is none of the contract's
            Err(error) => assert!(!said(&error).contains("contract"), "{error}"),
        }
        for resolution in Resolution::ALL {
            let mut with = BITCOIN.to_vec();
            with.extend([FREEZE, ("attempts", "1")]);
            if let Err(error) = mill.run(resolution, &with).await {
                assert!(!said(&error).contains("contract"), "{error}");
            }
        }
        // some from every year: a run of each costs a minute
        let skipped = (0..6).map_while(|_| mill.bench.sim.next_recording());
        if skipped.count() < 6 {
            break;
        }
    }
    assert!(snapshots > 0);
    assert_eq!(mill.count("schema_drift").await, 0);
    assert_eq!(
        mill.bench
            .database
            .number("select count(*) from schema_drift")
            .await,
        0
    );
}

async fn names_that_an_api_invents_are_noted_up_to_a_bound(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let mut row = Row::plain("bitcoin");
    for number in 0..10_000 {
        row = row.with(&format!("{number}-{}", "n".repeat(150)), "1");
    }
    mill.bench.body(&body(&[row]));
    let report = mill.bench.run(&[("top", "1")]).await.unwrap();
    assert_eq!(
        (report.state, report.drift.len()),
        (RunState::Complete, 200)
    );
    let rows = mill
        .bench
        .database
        .texts("select field from schema_drift")
        .await;
    assert!(rows.len() == 200 && rows.iter().all(|field| field.len() <= 100));

    let names: Vec<String> = (0..10_000)
        .map(|number| format!("\"{number}\":1"))
        .collect();
    let chart = mill
        .bench
        .fetch("/coins/bitcoin/market_chart?vs_currency=usd&days=1")
        .await;
    let chart = chart.replacen('{', &format!("{{{},", names.join(",")), 1);
    mill.bench.body(&chart);
    let report = mill.run(FIVE, &BITCOIN).await.unwrap();
    assert!(
        (1..=200).contains(&report.drift.len()),
        "{}",
        report.drift.len()
    );
    let noted = u64::try_from(mill.count("schema_drift").await).unwrap();
    assert_eq!(noted, report.drift.len() as u64);
}

#[test]
fn a_contract_that_is_none_names_both() {
    let error = "freezing".parse::<Contract>().unwrap_err().to_string();
    assert!(
        error.contains("evolve") && error.contains("freeze"),
        "{error}"
    );
}

/// So many packed bodies lie in a landing.
fn bodies_in(folder: &std::path::Path) -> u64 {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            count += bodies_in(&path);
        } else if path.extension().is_some_and(|extension| extension == "zst") {
            count += 1;
        }
    }
    count
}
