//! What of the plan a run takes: whose turn it is, who has to wait, and what the month's account says afterwards.

use chrono::TimeDelta;
use coinmill::pipeline::{Reach, RunState};
use coinmill::series::Resolution;
use coinmill::store::Budget;

use crate::series::{Mill, partial};
use crate::support::{Kind, missing_of, on_both_databases};

on_both_databases!(
    coins_are_taken_up_one_by_one_and_fetched_again_after_23_hours,
    a_month_that_is_short_keeps_the_largest_and_names_what_the_others_lose,
    a_plan_too_small_for_any_chart_says_so_and_asks_nothing,
    what_the_api_charges_is_counted_and_the_rest_is_given_back,
    a_budget_that_ends_in_a_backfill_leaves_what_came_and_says_so,
);

const FIVE: Resolution = Resolution::FiveMinutes;

/// At noon of 14 January 840 half-hours of the month are left, each with its snapshot, and 18 days, each with its list: of what so many credits leave nothing is spent on
/// charts that could wait.
const TIGHT: (&str, &str) = ("credits_per_month", "1700");

async fn coins_are_taken_up_one_by_one_and_fetched_again_after_23_hours(kind: Kind) {
    let mill = Mill::new(kind, 5).await;
    let ranking = mill.bench.ranking(5).await;
    mill.snapshot("5").await;
    let mut turns: Vec<Vec<String>> = Vec::new();
    for _ in 0..(2 * 46 + 5) {
        let before = mill.requested().len();
        let report = mill.run(FIVE, &[TIGHT]).await.unwrap();
        assert_eq!((report.state, report.missing), (RunState::Complete, vec![]));
        turns.push(mill.requested().split_off(before));
        mill.bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    }
    for (place, turn) in turns.iter().enumerate() {
        // the largest first
        let expected = ranking.get(place % 46).map(std::slice::from_ref);
        assert_eq!(turn.as_slice(), expected.unwrap_or_default(), "run {place}");
    }
    assert_eq!(mill.count("lost").await, 0);
    assert_eq!(mill.count("followed").await, 5);
}

async fn a_month_that_is_short_keeps_the_largest_and_names_what_the_others_lose(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let ranking = mill.bench.ranking(3).await;
    mill.snapshot("3").await;
    for _ in 0..3 {
        mill.run(FIVE, &[TIGHT]).await.unwrap();
        mill.bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    }
    // somebody spends all but one coin's charts, and the snapshots and lists of all coins from 22 hours later on
    let settings = mill.settings(&[TIGHT]);
    let mut account = Budget::open(&settings.budget_url, settings.account())
        .await
        .unwrap();
    let now = mill.bench.sim.now();
    let (spent, left) = (account.spent(now).await.unwrap(), 793 + 17 + 18);
    let taken = 1700 - left - spent;
    account.reserve(now, taken, 1700).await.unwrap();
    mill.bench.sim.advance(TimeDelta::hours(22)).unwrap();
    let report = mill.run(FIVE, &[TIGHT]).await.unwrap();
    assert_eq!((report.received, report.postponed), (1, 2));
    // it is said before anything falls off
    assert_eq!(report.state, RunState::Partial);
    let said: Vec<String> = report.missing.iter().map(ToString::to_string).collect();
    assert!(
        said.len() == 1 && said[0].contains("the month has no calls left for them"),
        "{said:?}"
    );
    mill.bench.sim.advance(TimeDelta::hours(3)).unwrap();
    // without a response it is the clock alone that says that something is lost
    let report = mill.run(FIVE, &[TIGHT]).await.unwrap();
    assert_eq!((report.state, report.calls), (RunState::Partial, 0));
    assert_eq!(mill.count("lost").await, 0);
    mill.snapshot("3").await;
    let report = mill.run(FIVE, &[TIGHT]).await.unwrap();
    assert_eq!((report.state, report.calls), (RunState::Partial, 0));
    assert_eq!(report.postponed, 2);
    assert!(report.heal.is_none(), "five-minute points go before hours");
    let said: Vec<String> = report.missing.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    for coin in &ranking[1..] {
        let of_coin = said.iter().find(|said| said.starts_with(coin)).unwrap();
        assert!(
            of_coin.contains("are lost") && of_coin.contains("fell off from"),
            "{of_coin}"
        );
    }
    // a loss is said once
    let report = mill.run(FIVE, &[TIGHT]).await.unwrap();
    assert_eq!((report.missing.len(), report.calls), (1, 0));
    assert_eq!(mill.count("lost").await, 2);
    let plan = coinmill::pipeline::plan(&mill.settings(&[TIGHT]))
        .await
        .unwrap();
    assert!(plan.short.unwrap() > 10, "{plan:?}");
}

async fn a_plan_too_small_for_any_chart_says_so_and_asks_nothing(kind: Kind) {
    let mill = Mill::new(kind, 4).await;
    mill.snapshot("4").await;
    let calls = mill.bench.sim.calls();
    let report = mill.run(FIVE, &[("credits_per_month", "0")]).await.unwrap();
    assert_eq!((report.expected, report.postponed, report.calls), (0, 0, 0));
    let advice = report.advice.unwrap();
    assert!(
        advice.contains("the month runs dry after 0 days"),
        "{advice}"
    );
    assert_eq!(mill.bench.sim.calls(), calls);
}

async fn what_the_api_charges_is_counted_and_the_rest_is_given_back(kind: Kind) {
    let mill = Mill::new(kind, 5).await;
    mill.snapshot("5").await;
    let with = [
        ("credits_per_month", "100000"),
        ("add_coins", "no-such-coin"),
    ];
    let report = partial(mill.run(FIVE, &with).await);
    assert_eq!(
        (&report["calls"], &report["received"]),
        (&6.into(), &5.into())
    );
    assert_eq!(credits(&mill).await, 5);
    // a cut body is charged for, and again when it is asked for again
    mill.bench.fault("cut:path=market_chart");
    let with = [("credits_per_month", "100000")];
    let report = mill
        .backfill(Resolution::Hour, Reach::Days(3), &["bitcoin"], &with)
        .await
        .unwrap();
    assert_eq!((report.calls, credits(&mill).await), (2, 7));
    mill.bench.fault("500:path=market_chart,times=0");
    let with = [("credits_per_month", "100000"), ("attempts", "1")];
    mill.backfill(Resolution::Day, Reach::Days(9), &["bitcoin"], &with)
        .await
        .unwrap_err();
    assert_eq!(credits(&mill).await, 7);
}

async fn a_budget_that_ends_in_a_backfill_leaves_what_came_and_says_so(kind: Kind) {
    let mill = Mill::new(kind, 6).await;
    mill.snapshot("6").await;
    let calls = mill.bench.sim.calls();
    let backfill = async |credits| {
        let with = [("credits_per_month", credits), ("top", "6")];
        mill.backfill(Resolution::Hour, Reach::Days(3), &[], &with)
            .await
    };
    let report = partial(backfill("4").await);
    assert_eq!(
        (&report["expected"], &report["received"]),
        (&6.into(), &4.into())
    );
    assert!(
        report["error"].as_str().unwrap().contains("are spent"),
        "{report}"
    );
    let missing = missing_of(&report).join("; ");
    assert!(
        missing.contains("2 charts of 2 coins (not fetched)"),
        "{missing}"
    );
    assert_eq!(
        (mill.bench.sim.calls() - calls, credits(&mill).await),
        (4, 4)
    );
    let error = backfill("4").await.unwrap_err();
    assert!(
        matches!(error, coinmill::error::Error::Budget { .. }),
        "{error:?}"
    );
    assert_eq!(mill.bench.sim.calls() - calls, 4);
    let report = backfill("6").await.unwrap();
    assert_eq!(
        (report.state, report.received, report.calls),
        (RunState::Complete, 2, 2)
    );
    assert_eq!(mill.states().await, ["partial", "failed", "complete"]);
}

async fn credits(mill: &Mill) -> i64 {
    let sql = "select coalesce(cast(sum(credits) as bigint), 0) from budget";
    mill.bench.database.number(sql).await
}
