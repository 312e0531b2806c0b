//! A refused coin is missing, by name; it is asked for again, but not again and again.

use chrono::TimeDelta;
use coinmill::pipeline::{self, Pick, Report, RunState};

use crate::support::{Bench, Kind, named, noon_slot, on_both_databases, report_of, said};

on_both_databases!(
    a_refused_coin_is_missing_by_name_and_a_run_after_that_costs_no_call_and_no_row,
    a_coin_that_is_refused_once_is_healed_by_asking_again,
    a_refused_coin_that_was_asked_for_by_name_is_asked_for_twice_at_most,
    a_page_of_which_every_record_is_refused_is_asked_for_again_by_every_run,
    a_record_without_an_id_has_its_page_read_again,
    a_coin_that_the_settings_refuse_is_listed_and_is_not_missing,
    a_requeue_takes_what_it_stores_off_the_list_of_the_missing,
    a_slot_keeps_what_it_said_of_a_refused_coin_when_the_landing_is_lost,
);

/// Bitcoin costs less than nothing, in every response.
const NEGATIVE: &str = "set:times=0,id=bitcoin,field=current_price,value=-5";

const NAMED: &str = "bitcoin (refused: negative_price)";

async fn accounts(bench: &Bench) -> Vec<String> {
    let sql = "select missing, retried from snapshot_now";
    let row = bench.database.row(sql).await;
    row.iter().map(|cell| cell.text().to_owned()).collect()
}

async fn a_refused_coin_is_missing_by_name_and_a_run_after_that_costs_no_call_and_no_row(
    kind: Kind,
) {
    let bench = Bench::new(kind, 40).await;
    bench.fault(NEGATIVE);
    let report = bench.run(&[("top", "40")]).await.unwrap();
    assert_eq!(report.state, RunState::Partial);
    assert_eq!(named(&report.missing), [NAMED]);
    let Report {
        expected,
        received,
        accepted,
        rejected,
        calls,
        ..
    } = report;
    // once on its page, and once by its id
    assert_eq!(
        (expected, received, accepted, rejected, calls),
        (40, 40, 39, 2, 2)
    );
    assert_eq!(bench.pages_requested(), [1, 0]);
    assert_eq!(
        accounts(&bench).await,
        [
            r#"[{"coin_id":"bitcoin","what":"bitcoin","reason":"refused: negative_price"}]"#,
            r#"["bitcoin"]"#
        ]
    );
    let counts = bench.database.counts().await;
    let again = bench.run(&[("top", "40")]).await.unwrap();
    assert_eq!(named(&again.missing), [NAMED]);
    assert_eq!(
        (again.state, again.calls, again.stored, again.rejected),
        (RunState::Partial, 0, 0, 0)
    );
    assert_eq!(again.content_hash, report.content_hash);
    assert_eq!(bench.database.counts().await, counts);
    assert_eq!(bench.database.states().await, ["partial", "partial"]);
}

async fn a_coin_that_is_refused_once_is_healed_by_asking_again(kind: Kind) {
    let bench = Bench::new(kind, 40).await;
    bench.fault(&NEGATIVE.replace("times=0", "times=1"));
    let report = bench.run(&[("top", "40")]).await.unwrap();
    assert_eq!(
        (report.state, report.accepted, report.calls),
        (RunState::Complete, 40, 2)
    );
    assert_eq!((report.rejected, report.missing.len()), (1, 0));
    let clean = Bench::new(Kind::Sqlite, 40).await;
    let hash = clean.run(&[("top", "40")]).await.unwrap().content_hash;
    assert_eq!(report.content_hash, hash);
}

async fn a_refused_coin_that_was_asked_for_by_name_is_asked_for_twice_at_most(kind: Kind) {
    let bench = Bench::new(kind, 40).await;
    bench.fault(NEGATIVE);
    let with = [("top", "0"), ("coins", "bitcoin")];
    let error = bench.run(&with).await.unwrap_err();
    let chain = said(&error);
    assert!(
        chain.contains("0 of 1") && chain.contains(NAMED) && chain.contains("quarantine list"),
        "{chain}"
    );
    assert!(!chain.contains("run it again") && !error.is_retryable());
    assert_eq!(bench.sim.calls(), 2);
    report_of(bench.run(&with).await);
    assert_eq!(bench.sim.calls(), 2);
}

async fn a_page_of_which_every_record_is_refused_is_asked_for_again_by_every_run(kind: Kind) {
    let bench = Bench::new(kind, 40).await;
    bench.fault("set:times=0,field=current_price,value=-5");
    let with = [("top", "30")];
    let error = bench.run(&with).await.unwrap_err();
    let chain = said(&error);
    assert!(
        chain.contains("0 of 30") && chain.contains("and 10 more"),
        "{chain}"
    );
    assert!(chain.contains("run it again") && error.is_retryable());
    assert_eq!(bench.sim.calls(), 2);
    let report = report_of(bench.run(&with).await);
    assert_eq!(
        (
            &report["calls"],
            report["missing"].as_array().unwrap().len()
        ),
        (&1.into(), 30)
    );
    bench.sim.clear_faults();
    let report = bench.run(&with).await.unwrap();
    assert_eq!(
        (report.state, report.stored, report.calls),
        (RunState::Complete, 30, 1)
    );
}

async fn a_record_without_an_id_has_its_page_read_again(kind: Kind) {
    let bench = Bench::new(kind, 300).await;
    let dropped = "drop:times=1,id=bitcoin,field=id,path=&page=1";
    bench.fault(dropped);
    let report = bench.run(&[("top", "300")]).await.unwrap();
    assert_eq!(
        (report.state, report.accepted, report.calls),
        (RunState::Complete, 300, 3)
    );
    assert_eq!(bench.pages_requested(), [1, 2, 1]);

    let bench = Bench::new(kind, 300).await;
    bench.fault(&dropped.replace("times=1", "times=0"));
    let report = bench.run(&[("top", "300")]).await.unwrap();
    assert_eq!(
        (report.state, report.received, report.accepted),
        (RunState::Partial, 300, 299)
    );
    let missing = named(&report.missing).join("; ");
    assert!(
        missing.contains("page 1 of 2") && missing.contains("refused: missing_id"),
        "{missing}"
    );
    let again = bench.run(&[("top", "300")]).await.unwrap();
    assert_eq!((again.calls, again.missing), (0, report.missing));
}

async fn a_coin_that_the_settings_refuse_is_listed_and_is_not_missing(kind: Kind) {
    let bench = Bench::new(kind, 40).await;
    bench.fault("set:times=0,id=bitcoin,field=current_price,value=0");
    // even where every coin has to be there
    let with = [
        ("top", "40"),
        ("refuse", "zero_price"),
        ("completeness", "1"),
    ];
    for calls in [1, 0] {
        let report = bench.run(&with).await.unwrap();
        assert_eq!(
            (report.state, report.accepted, report.expected, report.calls),
            (RunState::Complete, 39, 40, calls)
        );
        assert!(report.missing.is_empty());
        let refused: Vec<_> = report
            .refused
            .iter()
            .map(|refused| (refused.coin_id.as_str(), refused.rules.join("; ")))
            .collect();
        assert_eq!(refused, [("bitcoin", "zero_price".to_owned())]);
    }
    // other settings take it, from what has been landed
    let report = bench.run(&[("top", "40")]).await.unwrap();
    assert_eq!(
        (report.state, report.accepted, report.calls, report.stored),
        (RunState::Complete, 40, 0, 1)
    );
    assert!(report.refused.is_empty());
}

async fn a_requeue_takes_what_it_stores_off_the_list_of_the_missing(kind: Kind) {
    let bench = Bench::new(kind, 40).await;
    bench.fault("set:times=0,id=bitcoin,field=current_price,value=0");
    bench
        .run(&[("top", "40"), ("refuse", "zero_price")])
        .await
        .unwrap();
    let settings = bench.settings(&[("top", "40")]);
    pipeline::requeue(&settings, &Pick::Open).await.unwrap();
    let report = bench.run(&[("top", "40")]).await.unwrap();
    assert_eq!(
        (report.state, report.accepted, report.refused.len()),
        (RunState::Complete, 40, 0)
    );
}

async fn a_slot_keeps_what_it_said_of_a_refused_coin_when_the_landing_is_lost(kind: Kind) {
    let bench = Bench::new(kind, 40).await;
    bench.fault(NEGATIVE);
    let with = [("top", "40")];
    bench.run(&with).await.unwrap();
    std::fs::remove_dir_all(bench.landing()).unwrap();
    let report = bench.run(&with).await.unwrap();
    // the page is gone and has to be asked for; the coin has had its second chance
    assert_eq!(
        (report.state, report.calls, named(&report.missing)),
        (RunState::Partial, 1, vec![NAMED.to_owned()])
    );
}

/// A stubborn coin costs three calls, then one a day: never one in each of the month's 1,440 slots.
#[tokio::test]
async fn a_coin_that_is_always_refused_is_soon_asked_for_again_only_once_a_day() {
    let bench = Bench::new(Kind::Sqlite, 20).await;
    bench.fault(NEGATIVE);
    let slots = 60;
    for _ in 0..slots {
        let report = bench.run(&[("top", "20")]).await.unwrap();
        assert_eq!(named(&report.missing), [NAMED]);
        bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    }
    let asked = bench.pages_requested();
    // nothing more can come of such a slot, and it says so
    let error = bench
        .run(&[("top", "20"), ("completeness", "1")])
        .await
        .unwrap_err();
    assert!(!error.is_retryable() && said(&error).contains("quarantine list"));
    let by_id: Vec<usize> = asked
        .split(|page| *page == 1)
        .enumerate()
        .filter(|(_, between)| !between.is_empty())
        .map(|(slot, _)| slot)
        .collect();
    assert_eq!(by_id, [1, 2, 3, 3 + 48]);
    assert_eq!(asked.len(), slots + by_id.len());
    // and once it is good again, nothing is held against it
    bench.sim.clear_faults();
    bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    let report = bench.run(&[("top", "20")]).await.unwrap();
    assert_eq!((report.state, report.calls), (RunState::Complete, 1));
    let first = bench.run_for(noon_slot(), &[("top", "20")]).await;
    assert!(said(&first.unwrap_err()).contains("is past"));
}
