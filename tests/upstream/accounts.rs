//! What a run reports when it received other things than it requested: refused coins, empty charts, unknown coins, and
//! several lists of coins in one slot.

use chrono::TimeDelta;
use coinmill::pipeline::{Reach, Report, RunState};
use coinmill::series::Resolution;

use crate::series::Mill;
use crate::support::tally::{Seen, Tally, is_long};
use crate::support::{Bench, Kind, named, on_both_databases, report_of, said};

on_both_databases!(
    a_refused_coin_is_never_passed_over,
    a_page_that_is_refused_whole_is_had_again,
    an_unknown_coin_hides_nothing,
    lists_of_coins_in_one_slot_add_up,
    an_empty_chart_loses_nothing,
);

const TOP: usize = 60;

/// Places of coins among the top: a few, or many where there is time.
fn places() -> impl Iterator<Item = usize> {
    (0..TOP).step_by(if is_long() { 3 } else { 25 })
}

/// How many coins of a slot are not in the database, and how many are there that should not.
async fn off(bench: &Bench, expected: &[String]) -> (u64, u64) {
    let slot = coinmill::market::Slot::containing(bench.sim.now());
    let slot = bench.database.instant(slot.start());
    let sql = format!(
        "select c.id from quote q join coin c on c.key = q.coin where q.snapshot_time = {slot}"
    );
    let stored = bench.database.texts(&sql).await;
    let lost = expected.iter().filter(|coin| !stored.contains(coin));
    let doubled = stored.iter().filter(|coin| !expected.contains(coin));
    (lost.count() as u64, doubled.count() as u64)
}

async fn a_refused_coin_is_never_passed_over(kind: Kind) {
    let mut tally = Tally::new("the API: a refused coin", kind, "snapshot");
    let bench = Bench::new(kind, TOP).await;
    for place in places() {
        let ranking = bench.ranking(TOP).await;
        let coin = &ranking[place];
        let fault = format!("set:times=0,id={coin},field=current_price,value=-5");
        bench.fault(&fault);
        let mut seen = Seen::default();
        let with = [("top", "60"), ("completeness", "0.5")];
        for calls in [2, 0] {
            let before = bench.sim.calls();
            let report = bench.run(&with).await.unwrap();
            let named = named(&report.missing) == [format!("{coin} (refused: negative_price)")];
            seen.silent |= report.state == RunState::Complete || !named;
            seen.paid_twice += (bench.sim.calls() - before).saturating_sub(calls);
        }
        // the next slot has nothing to do with it
        bench.sim.clear_faults();
        bench.sim.advance(TimeDelta::minutes(30)).unwrap();
        let report = bench.run(&with).await.unwrap();
        seen.expect(report.state == RunState::Complete, || format!("{report:?}"));
        (seen.lost, seen.doubled) = off(&bench, &ranking).await;
        tally.note(&fault, seen);
        bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    }
    tally.close();
}

async fn a_page_that_is_refused_whole_is_had_again(kind: Kind) {
    let mut tally = Tally::new("the API: a page refused whole", kind, "snapshot");
    let bench = Bench::new(kind, 300).await;
    for (page, value) in [(1, "-5"), (2, "\"dear\""), (2, "1e999")] {
        let ranking = [bench.ranking(250).await, {
            let rest = "/coins/markets?vs_currency=usd&per_page=250&page=2";
            bench.ids(rest).await
        }]
        .concat();
        let fault = format!("set:times=0,path=&page={page},field=current_price,value={value}");
        bench.fault(&fault);
        let mut seen = Seen::default();
        let with = [("top", "300")];
        for _ in 0..2 {
            let error = bench.run(&with).await.unwrap_err();
            let remedy = said(&error).contains("run it again");
            let report = report_of(Err(error));
            let missing = report["missing"].as_array().unwrap().len();
            seen.silent |= report["state"] != "partial" || missing != 150 || !remedy;
        }
        bench.sim.clear_faults();
        // what the error says helps
        let before = bench.sim.calls();
        let report = bench.run(&with).await.unwrap();
        seen.expect(report.state == RunState::Complete, || format!("{report:?}"));
        seen.paid_twice += (bench.sim.calls() - before).saturating_sub(1);
        (seen.lost, seen.doubled) = off(&bench, &ranking).await;
        tally.note(&fault, seen);
        bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    }
    tally.close();
}

async fn an_unknown_coin_hides_nothing(kind: Kind) {
    let mut tally = Tally::new("the API: an unknown coin", kind, "snapshot");
    let bench = Bench::new(kind, TOP).await;
    for coins in ["bitcon", "bitcon,etherium", "bitcon,ethereum", "BITCOIN"] {
        let ranking = bench.ranking(TOP).await;
        let with = [("top", "60"), ("add_coins", coins), ("completeness", "1")];
        let mut seen = Seen::default();
        for calls in [2, 0] {
            let before = bench.sim.calls();
            let report = bench.run(&with).await.unwrap();
            let unknown: Vec<&str> = report
                .unknown
                .iter()
                .map(|it| it.coin_id.as_str())
                .collect();
            let asked = coins.split(',').filter(|coin| *coin != "ethereum");
            seen.silent |=
                report.state != RunState::Complete || unknown != asked.collect::<Vec<_>>();
            seen.paid_twice += (bench.sim.calls() - before).saturating_sub(calls);
            seen.expect(report.expected == 60, || format!("{report:?}"));
        }
        (seen.lost, seen.doubled) = off(&bench, &ranking).await;
        tally.note(coins, seen);
        bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    }
    tally.close();
}

async fn lists_of_coins_in_one_slot_add_up(kind: Kind) {
    let mut tally = Tally::new(
        "the user: several lists of coins in one slot",
        kind,
        "snapshot",
    );
    let bench = Bench::new(kind, 400).await;
    let orders: &[[(u32, &[usize]); 3]] = &[
        [(20, &[70]), (40, &[]), (10, &[5])],
        [(40, &[]), (20, &[70]), (40, &[70])],
        [(300, &[]), (20, &[350]), (30, &[])],
        [(10, &[15, 90]), (16, &[]), (300, &[90])],
        [(0, &[3]), (2, &[9]), (9, &[])],
    ];
    for order in orders {
        let ranking = [bench.ranking(200).await, {
            let rest = "/coins/markets?vs_currency=usd&per_page=200&page=2";
            bench.ids(rest).await
        }]
        .concat();
        let mut seen = Seen::default();
        let mut expected: Vec<String> = Vec::new();
        for (top, places) in order {
            let named: Vec<&str> = places.iter().map(|at| ranking[*at].as_str()).collect();
            let (top_text, coins) = (top.to_string(), named.join(","));
            let report = bench
                .run(&[("top", &top_text), ("add_coins", &coins)])
                .await
                .unwrap();
            let top = usize::try_from(*top).unwrap();
            let asked = ranking[..top].iter().map(String::as_str).chain(named);
            for coin in asked {
                if !expected.iter().any(|known| known == coin) {
                    expected.push(coin.to_owned());
                }
            }
            let Report {
                expected: said,
                accepted,
                state,
                ..
            } = report;
            let held = expected.len() as u64;
            seen.silent |= state != RunState::Complete || (said, accepted) != (held, held);
        }
        (seen.lost, seen.doubled) = off(&bench, &expected).await;
        tally.note(&format!("{order:?}"), seen);
        bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    }
    tally.close();
}

async fn an_empty_chart_loses_nothing(kind: Kind) {
    let mut tally = Tally::new("the API: an empty chart", kind, "backfill");
    let cases = [
        (Resolution::Hour, 10),
        (Resolution::Day, 40),
        (Resolution::FiveMinutes, 1),
    ];
    for (resolution, days) in cases {
        let name = resolution.name();
        let mill = Mill::new(kind, 6).await;
        let calm = Mill::new(kind, 6).await;
        let coins = ["bitcoin", "ethereum"];
        let reach = Reach::Days(days);
        let empty = r#"{"prices":[],"market_caps":[],"total_volumes":[]}"#;
        mill.bench.fault(&format!(
            "body:status=200,times=0,path=/bitcoin/market_chart,text={empty}"
        ));
        let mut seen = Seen::default();
        let report = mill.backfill(resolution, reach, &coins, &[]).await.unwrap();
        let named = report.missing.iter().any(|it| it.what == "bitcoin");
        seen.silent |= report.state == RunState::Complete || !named;
        // within the hour it is neither asked for nor forgotten
        let again = mill.backfill(resolution, reach, &coins, &[]).await.unwrap();
        seen.silent |= again.state == RunState::Complete || again.missing.is_empty();
        seen.paid_twice += again.calls;
        mill.bench.sim.clear_faults();
        for mill in [&mill, &calm] {
            mill.bench.sim.advance(TimeDelta::minutes(61)).unwrap();
        }
        let last = mill.backfill(resolution, reach, &coins, &[]).await.unwrap();
        seen.expect(last.state == RunState::Complete, || format!("{last:?}"));
        calm.backfill(resolution, reach, &coins, &[]).await.unwrap();
        let (view, expected) = (mill.view().await, calm.view().await);
        let differs = |(key, point)| view.get(key) != Some(point);
        seen.lost = expected.iter().filter(|&row| differs(row)).count() as u64;
        tally.note(name, seen);
    }
    tally.close();
}
