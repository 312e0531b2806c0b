//! What a run stores of a market that answers: the top coins, and coins by name.

use std::collections::HashSet;
use std::sync::Mutex;

use coinmill::pipeline::{self, RunState};

use crate::support::{Bench, Kind, on_both_databases, report_of};

on_both_databases!(
    a_thousand_coins_are_each_stored_once_while_ranks_move_between_the_pages,
    a_market_smaller_than_the_top_is_complete_with_all_it_has,
    a_top_that_no_page_length_divides_is_stored_exactly,
    coins_by_name_are_stored_within_and_outside_the_top,
    a_named_coin_that_the_api_does_not_know_is_said_by_its_name,
    coins_by_name_alone_need_no_page,
    a_coin_that_vanished_from_its_page_is_missed_and_said,
    a_coin_that_vanished_from_its_page_is_found_by_the_next_run,
    the_observer_sees_the_run_go_from_nothing_to_all,
    every_row_leads_to_its_body_and_its_request,
);

async fn a_thousand_coins_are_each_stored_once_while_ranks_move_between_the_pages(kind: Kind) {
    let bench = Bench::new(kind, 1200).await;
    bench.fault("shift:times=3");
    let report = bench.run(&[("top", "1000")]).await.unwrap();
    assert_eq!(report.state, RunState::Complete);
    assert_eq!(
        (report.expected, report.received, report.accepted),
        (1000, 1000, 1000)
    );
    assert_eq!((report.stored, report.rejected), (1000, 0));
    // each of the three moves hides a coin behind a page that was read, and costs one page more
    assert_eq!((report.calls, bench.sim.calls()), (7, 7));
    assert!(report.repeated >= 3);
    let stored = bench
        .database
        .texts("select c.id from quote q join coin c on c.key = q.coin")
        .await;
    assert_eq!(stored.len(), 1000);
    bench.sim.clear_faults();
    let mut top = Vec::new();
    for page in 1..=4 {
        let url = format!("/coins/markets?vs_currency=usd&per_page=250&page={page}");
        top.extend(bench.ids(&url).await);
    }
    assert_eq!(
        HashSet::<String>::from_iter(stored),
        HashSet::from_iter(top)
    );
}

async fn a_market_smaller_than_the_top_is_complete_with_all_it_has(kind: Kind) {
    let bench = Bench::new(kind, 60).await;
    let report = bench.run(&[("top", "600")]).await.unwrap();
    assert_eq!(
        (report.state, report.expected, report.stored),
        (RunState::Complete, 60, 60)
    );
    assert_eq!((report.calls, report.missing.len()), (1, 0));
}

async fn a_top_that_no_page_length_divides_is_stored_exactly(kind: Kind) {
    let bench = Bench::new(kind, 400).await;
    let report = bench.run(&[("top", "301")]).await.unwrap();
    assert_eq!(
        (report.state, report.expected, report.stored),
        (RunState::Complete, 301, 301)
    );
    assert_eq!(
        (
            report.calls,
            bench.database.number("select count(*) from quote").await
        ),
        (2, 301)
    );
}

async fn coins_by_name_are_stored_within_and_outside_the_top(kind: Kind) {
    let bench = Bench::new(kind, 120).await;
    let ranking = bench.ranking(120).await;
    let before = bench.sim.calls();
    let (inside, outside) = (&ranking[3], &ranking[100]);
    let coins = format!("{inside}, {outside}");
    let with = [("top", "50"), ("add_coins", coins.as_str())];
    let report = bench.run(&with).await.unwrap();
    assert_eq!(report.state, RunState::Complete);
    // the one inside is expected once, not twice
    assert_eq!(
        (report.expected, report.received, report.accepted),
        (51, 51, 51)
    );
    assert_eq!(bench.sim.calls() - before, 2);
    let asked = bench.calls().pop().unwrap().0;
    assert!(asked.contains(&format!("ids={outside}&")), "{asked}");
    let stored = bench
        .database
        .texts("select c.id from quote q join coin c on c.key = q.coin")
        .await;
    assert!(stored.contains(inside) && stored.contains(outside));
    let again = bench.run(&with).await.unwrap();
    assert_eq!(
        (again.calls, again.stored, again.content_hash),
        (0, 0, report.content_hash)
    );
}

async fn a_named_coin_that_the_api_does_not_know_is_said_by_its_name(kind: Kind) {
    let bench = Bench::new(kind, 80).await;
    let ranking = bench.ranking(80).await;
    let before = bench.sim.calls();
    let coins = format!("not-a-coin,{}", ranking[70]);
    let with = [("top", "50"), ("add_coins", coins.as_str())];
    let report = bench.run(&with).await.unwrap();
    assert_eq!(report.state, RunState::Complete);
    assert_eq!(
        (report.expected, report.received, report.accepted),
        (51, 51, 51)
    );
    assert!(report.missing.is_empty());
    assert_eq!(report.unknown[0].coin_id, "not-a-coin");
    assert_eq!(bench.sim.calls() - before, 2);
    let ledger = bench
        .database
        .row("select state, expected, received, accepted, calls from run")
        .await;
    assert_eq!(ledger[0].text(), "complete");
    assert_eq!(
        ledger[1..]
            .iter()
            .map(|cell| cell.int())
            .collect::<Vec<_>>(),
        [51, 51, 51, 2]
    );
    // the API has been asked about it in this slot: asking again would be paying twice
    let again = bench.run(&with).await.unwrap();
    assert_eq!(
        (again.state, again.stored, again.calls),
        (RunState::Complete, 0, 0)
    );
}

async fn coins_by_name_alone_need_no_page(kind: Kind) {
    let bench = Bench::new(kind, 80).await;
    let with = [("top", "0"), ("coins", "bitcoin,ethereum")];
    let report = bench.run(&with).await.unwrap();
    assert_eq!(
        (report.state, report.expected, report.stored),
        (RunState::Complete, 2, 2)
    );
    assert_eq!(bench.pages_requested(), [0]);
    assert_eq!(bench.run(&with).await.unwrap().calls, 0);
}

async fn a_coin_that_vanished_from_its_page_is_missed_and_said(kind: Kind) {
    let bench = Bench::new(kind, 300).await;
    bench.fault("vanish:id=bitcoin");
    let report = bench.run(&[("top", "300")]).await.unwrap();
    assert_eq!(
        (report.state, report.expected, report.stored),
        (RunState::Partial, 300, 299)
    );
    assert!(
        report.missing[0].what.contains("1 coin that is on no page"),
        "{:?}",
        report.missing
    );
    let row = bench
        .database
        .row("select state, expected, received from snapshot_now")
        .await;
    assert_eq!(
        (row[0].text(), row[1].int(), row[2].int()),
        ("partial", 300, 299)
    );
    assert_eq!(bench.database.states().await, ["partial"]);
}

async fn a_coin_that_vanished_from_its_page_is_found_by_the_next_run(kind: Kind) {
    let bench = Bench::new(kind, 300).await;
    bench.fault("vanish:id=bitcoin");
    bench.run(&[("top", "300")]).await.unwrap();
    let report = bench.run(&[("top", "300")]).await.unwrap();
    assert_eq!((report.state, report.stored), (RunState::Complete, 1));
}

async fn the_observer_sees_the_run_go_from_nothing_to_all(kind: Kind) {
    let bench = Bench::new(kind, 600).await;
    let seen = Mutex::new(Vec::new());
    let settings = bench.settings(&[("top", "600")]);
    let note = |progress: pipeline::Progress| {
        seen.lock()
            .unwrap()
            .push((progress.received, progress.expected));
    };
    pipeline::run_snapshot(&settings, None, &pipeline::Observer::new(&note))
        .await
        .unwrap();
    assert_eq!(
        seen.into_inner().unwrap(),
        [(0, 600), (200, 600), (400, 600), (600, 600)]
    );
}

async fn every_row_leads_to_its_body_and_its_request(kind: Kind) {
    let bench = Bench::new(kind, 60).await;
    let report = bench.run(&[("top", "60")]).await.unwrap();
    let sql = "select distinct l.run, l.path, l.request, l.sha256 from quote q join landing l on l.id = q.landing";
    let rows = bench.database.rows(sql).await;
    assert_eq!(rows.len(), 1);
    let cells: Vec<&str> = rows[0].iter().map(|cell| cell.text()).collect();
    let compressed = std::fs::read(bench.landing().join(cells[1])).unwrap();
    let body = zstd::decode_all(compressed.as_slice()).unwrap();
    assert_eq!(cells[0], report.run);
    assert_eq!(
        cells[2],
        format!("GET {}{}", bench.sim.url(), bench.calls()[0].0)
    );
    assert_eq!(cells[3], coinmill::landing::sha256(&body));
    let version = bench
        .database
        .row("select version, rule_set, api_url from run")
        .await;
    assert_eq!(
        (version[0].text(), version[2].text()),
        (env!("CARGO_PKG_VERSION"), bench.sim.url().as_str())
    );
    assert_eq!(version[1].text().len(), 12);
}

/// An incomplete run is an error that carries its report; this is here so that the other tests need not say it.
#[tokio::test]
async fn a_run_below_the_set_completeness_is_an_error_with_the_report() {
    let bench = Bench::new(Kind::Sqlite, 100).await;
    bench.fault("set:times=0,id=bitcoin,field=current_price,value=-1");
    let with = |completeness| [("top", "10"), ("completeness", completeness)];
    let report = report_of(bench.run(&with("0.99")).await);
    assert_eq!(
        (&report["state"], &report["stored"]),
        (&"partial".into(), &9.into())
    );
    assert!(bench.run(&with("0.9")).await.is_ok());
}
