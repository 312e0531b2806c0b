//! A run's share of the plan: whose turn it is, who has to wait, and what the month's account says afterwards.

use chrono::TimeDelta;
use coinmill::pipeline::{Reach, RunState};
use coinmill::series::Resolution;

use crate::series::{Mill, partial};
use crate::support::{Kind, missing_of, on_both_databases};

on_both_databases!(
    coins_take_turns_where_the_share_is_small,
    a_spent_month_postpones_all_and_asks_nothing,
    what_the_api_charges_is_counted_and_the_rest_is_given_back,
    a_budget_that_ends_in_a_backfill_leaves_what_came_and_says_so,
);

const FIVE: Resolution = Resolution::FiveMinutes;

/// At noon of 14 January 840 half-hours of the month are left: so many credits are two calls a run.
const TWO_A_RUN: &str = "1700";

async fn coins_take_turns_where_the_share_is_small(kind: Kind) {
    let mill = Mill::new(kind, 5).await;
    let ranking = mill.bench.ranking(5).await;
    mill.snapshot("5").await;
    let with = [("credits_per_month", TWO_A_RUN)];
    let mut turns = Vec::new();
    let mut before = 0;
    for _ in 0..6 {
        let report = mill.run(FIVE, &with).await.unwrap();
        assert_eq!(
            (report.state, report.expected, report.postponed),
            (RunState::Complete, 2, 3)
        );
        let mut turn = mill.requested().split_off(before);
        before += turn.len();
        // the two of one run are under way at once
        turn.sort();
        turns.push(turn);
        mill.bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    }
    // who was never asked for comes first, in the order of rank; then who was asked for longest ago
    let pair = |a: usize, b: usize| {
        let mut pair = vec![ranking[a].clone(), ranking[b].clone()];
        pair.sort();
        pair
    };
    assert_eq!(turns[0], pair(0, 1));
    assert_eq!(turns[1], pair(2, 3));
    assert!(turns[2].contains(&ranking[4]));
    let third = turns[2].iter().find(|coin| **coin != ranking[4]).unwrap();
    assert!(*third == ranking[0] || *third == ranking[1]);
    let asked = turns.concat();
    for coin in &ranking {
        assert!(
            asked.iter().filter(|other| *other == coin).count() >= 2,
            "{turns:?}"
        );
    }
}

async fn a_spent_month_postpones_all_and_asks_nothing(kind: Kind) {
    let mill = Mill::new(kind, 4).await;
    mill.snapshot("4").await;
    let calls = mill.bench.sim.calls();
    let report = mill.run(FIVE, &[("credits_per_month", "0")]).await.unwrap();
    assert_eq!((report.expected, report.postponed, report.calls), (0, 4, 0));
    assert_eq!(mill.bench.sim.calls(), calls);
    // the last half-hour of a month may have all that is left
    let late = "2026-01-31T23:45:00Z".parse().unwrap();
    mill.bench.sim.set_clock(late).unwrap();
    let report = mill.run(FIVE, &[("credits_per_month", "3")]).await.unwrap();
    assert_eq!((report.received, report.postponed, report.calls), (3, 1, 3));
    let report = mill.run(FIVE, &[("credits_per_month", "3")]).await.unwrap();
    assert_eq!((report.received, report.postponed, report.calls), (0, 1, 0));
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
