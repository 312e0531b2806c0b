//! Coins by name: those that CoinGecko does not know, and those that only one of a slot's runs asked for.

use chrono::TimeDelta;
use coinmill::pipeline::RunState;

use crate::support::{Bench, Kind, on_both_databases, report_of};

on_both_databases!(
    a_slot_of_which_only_an_unknown_coin_is_absent_is_complete,
    a_slot_never_becomes_less_than_it_was,
    a_slot_of_which_part_is_missing_stays_so_when_less_is_asked_for,
    a_coin_that_another_run_asked_for_by_name_displaces_no_other,
    an_unknown_coin_is_asked_for_once_a_slot_even_if_the_landing_is_lost,
    an_unknown_coin_does_not_excuse_one_that_was_not_received,
    a_coin_that_was_stored_before_and_is_gone_now_is_missing,
);

async fn counts(bench: &Bench) -> (String, Vec<i64>) {
    let sql = "select state, top, expected, received from snapshot_now";
    let row = bench.database.row(sql).await;
    let numbers = row[1..].iter().map(|cell| cell.int()).collect();
    (row[0].text().to_owned(), numbers)
}

async fn a_slot_of_which_only_an_unknown_coin_is_absent_is_complete(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let with = [
        ("top", "10"),
        ("add_coins", "bitcon"),
        ("completeness", "1"),
    ];
    for calls in [2, 0] {
        let report = bench.run(&with).await.unwrap();
        assert_eq!(
            (report.state, report.expected, report.accepted, report.calls),
            (RunState::Complete, 10, 10, calls)
        );
        let unknown: Vec<_> = report
            .unknown
            .iter()
            .map(|it| it.coin_id.as_str())
            .collect();
        assert_eq!((unknown, report.missing), (vec!["bitcon"], vec![]));
        assert_eq!(
            report.unknown[0].did_you_mean.as_deref(),
            Some("bitcoin"),
            "a suggestion from the stored coins"
        );
    }
    assert_eq!(
        counts(&bench).await,
        ("complete".to_owned(), vec![10, 10, 10])
    );
}

async fn a_slot_never_becomes_less_than_it_was(kind: Kind) {
    let bench = Bench::new(kind, 60).await;
    bench.run(&[("top", "50")]).await.unwrap();
    let report = bench
        .run(&[("top", "10"), ("add_coins", "bitcon")])
        .await
        .unwrap();
    assert_eq!(
        (
            report.state,
            report.expected,
            report.accepted,
            report.received
        ),
        (RunState::Complete, 50, 50, 50)
    );
    assert_eq!(
        counts(&bench).await,
        ("complete".to_owned(), vec![50, 50, 50])
    );
    let status = coinmill::pipeline::status(&bench.settings(&[]))
        .await
        .unwrap();
    assert_eq!((status.snapshot.complete, status.snapshot.quotes), (1, 50));
}

async fn a_slot_of_which_part_is_missing_stays_so_when_less_is_asked_for(kind: Kind) {
    let bench = Bench::new(kind, 600).await;
    bench.fault("503:after=1,times=2");
    let with = [("top", "600"), ("attempts", "1")];
    report_of(bench.run(&with).await);
    let less = [("top", "100"), ("attempts", "1")];
    bench.run(&less).await.unwrap_err();
    assert_eq!(counts(&bench).await.0, "partial");
    let report = bench.run(&less).await.unwrap();
    assert_eq!(
        (report.state, report.expected, report.accepted),
        (RunState::Complete, 600, 600)
    );
}

async fn a_coin_that_another_run_asked_for_by_name_displaces_no_other(kind: Kind) {
    let bench = Bench::new(kind, 80).await;
    let ranking = bench.ranking(80).await;
    bench
        .run(&[("top", "20"), ("add_coins", &ranking[70])])
        .await
        .unwrap();
    let report = bench.run(&[("top", "40")]).await.unwrap();
    assert_eq!(
        (report.state, report.expected, report.accepted),
        (RunState::Complete, 41, 41)
    );
    let stored = bench
        .database
        .texts("select c.id from quote q join coin c on c.key = q.coin")
        .await;
    assert!(ranking[..40].iter().all(|coin| stored.contains(coin)));
    assert!(stored.contains(&ranking[70]));
    // a coin that was once asked for by name and is among the top now counts once
    let report = bench.run(&[("top", "75")]).await.unwrap();
    assert_eq!(
        (report.state, report.expected, report.accepted),
        (RunState::Complete, 75, 75)
    );
}

async fn an_unknown_coin_is_asked_for_once_a_slot_even_if_the_landing_is_lost(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let with = [("top", "10"), ("add_coins", "bitcon")];
    bench.run(&with).await.unwrap();
    std::fs::remove_dir_all(bench.landing()).unwrap();
    let report = bench.run(&with).await.unwrap();
    assert_eq!((report.state, report.calls), (RunState::Complete, 0));
    // one more coin by name does not ask for the unknown one again
    let ranking = bench.ranking(20).await;
    let coins = format!("bitcon,{}", ranking[15]);
    bench
        .run(&[("top", "10"), ("add_coins", &coins)])
        .await
        .unwrap();
    let asked = bench.calls();
    let by_id: Vec<_> = asked
        .iter()
        .filter(|(path, _)| path.contains("bitcon&"))
        .collect();
    assert_eq!(by_id.len(), 1, "{asked:?}");
}

async fn an_unknown_coin_does_not_excuse_one_that_was_not_received(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    bench.fault("503:path=ids=,times=0");
    let with = [("top", "10"), ("add_coins", "bitcon"), ("attempts", "1")];
    let report = report_of(bench.run(&with).await);
    assert_eq!(
        (&report["state"], &report["missing"], &report["unknown"]),
        (
            &"partial".into(),
            &serde_json::json!([
                {"coin_id": "bitcon", "what": "bitcon", "reason": "not received"}
            ]),
            &serde_json::json!([])
        )
    );
}

async fn a_coin_that_was_stored_before_and_is_gone_now_is_missing(kind: Kind) {
    let bench = Bench::new(kind, 40).await;
    let coin = bench.ranking(40).await.remove(35);
    let with = [
        ("top", "10"),
        ("add_coins", coin.as_str()),
        ("completeness", "0.5"),
    ];
    bench.run(&with).await.unwrap();
    bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    bench.fault(&format!("vanish:times=0,id={coin}"));
    for calls in [2, 0] {
        let before = bench.sim.calls();
        let report = bench.run(&with).await.unwrap();
        assert_eq!(
            (report.state, report.expected, report.accepted),
            (RunState::Partial, 11, 10)
        );
        assert!(report.unknown.is_empty());
        assert_eq!(report.missing[0].coin_id.as_ref(), Some(&coin));
        assert_eq!(bench.sim.calls() - before, calls);
    }
}
