//! Backfills of disjoint coins beside each other, and what happens where two runs want the same coin.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use coinmill::failpoint;
use coinmill::series::Resolution;
use futures_util::future::join_all;

use crate::readers::ended;
use crate::series::{Claimant, Mill};
use crate::slot::until_refused;
use crate::support::command::{coinmill, json, text};
use crate::support::{Database, Kind, on_both_databases};

on_both_databases!(
    twelve_backfills_of_disjoint_coins_run_beside_each_other,
    twelve_backfills_of_the_same_coins_are_one,
    twelve_killed_backfills_resume_beside_each_other,
    a_backfill_of_coins_that_another_run_has_is_held,
    a_scheduled_run_goes_on_with_the_coins_that_no_other_has,
    the_coins_of_a_killed_backfill_are_free_at_once,
    two_recover_each_its_own_of_what_a_killed_backfill_had,
);

/// Twelve processes, each with so many coins.
const PROCESSES: usize = 12;
const EACH: usize = 3;

fn backfill(mill: &Mill, coins: &[String], with: &[(&str, &str)]) -> Command {
    let coins = coins.join(",");
    let arguments = ["backfill", "--days", "3", "--coins", &*coins, "--json"];
    let mut all = vec![("ATTEMPTS", "2")];
    all.extend(with);
    coinmill(&mill.bench, Some(&mill.timeseries), &arguments, &all)
}

/// The first chart of each of these coins is refused, and its run waits.
fn refuse_once(mill: &Mill, coins: &[String], seconds: u32) {
    for coin in coins {
        let fault = format!("429:path=/{coin}/market_chart,times=1,retry_after={seconds}");
        mill.bench.fault(&fault);
    }
}

/// The locks that runs have left beside a SQLite file.
fn locks_of_runs(database: &Database) -> Vec<String> {
    if database.kind() == Kind::Postgres {
        return Vec::new();
    }
    let folder: &Path = database.file().parent().unwrap();
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".lock")).collect()
}

async fn completed(mill: &Mill, outputs: &[Output]) {
    for output in outputs {
        assert_eq!(output.status.code(), Some(0), "{}", text(output));
        assert_eq!(json(output)["state"], "complete", "{}", text(output));
    }
    assert_eq!(locks_of_runs(&mill.timeseries), [""; 0]);
    assert_eq!(mill.torn().await, 0);
}

async fn twelve_backfills_of_disjoint_coins_run_beside_each_other(kind: Kind) {
    let mut mill = Mill::new(kind, PROCESSES * EACH).await;
    if kind == Kind::Sqlite {
        // the file is made by whoever comes first
        mill.timeseries = Database::bare(kind).await;
    }
    let coins = mill.bench.ranking(PROCESSES * EACH).await;
    let firsts: Vec<String> = coins.iter().step_by(EACH).cloned().collect();
    refuse_once(&mill, &firsts, 6);
    let runs = coins.chunks(EACH);
    let runs = join_all(runs.map(|coins| ended(backfill(&mill, coins, &[]))));
    // each waits after its refusal, until all of them are at work
    let beside = async {
        let refused = || {
            mill.bench
                .calls()
                .iter()
                .filter(|call| call.1 == 429)
                .count()
        };
        let all = async {
            while refused() < PROCESSES {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let limit = Duration::from_secs(60);
        tokio::time::timeout(limit, all)
            .await
            .expect("not all began");
        mill.states().await
    };
    let (outputs, beside) = tokio::join!(runs, beside);
    completed(&mill, &outputs).await;
    assert_eq!(beside, vec!["running"; PROCESSES]);
    let mut paid: Vec<String> = mill.requested();
    assert_eq!(
        paid.len(),
        (EACH + 1) * PROCESSES,
        "each once, and twelve refused"
    );
    paid.sort();
    paid.dedup();
    assert_eq!(paid.len(), EACH * PROCESSES);

    let calm = Mill::new(kind, PROCESSES * EACH).await;
    let output = ended(backfill(&calm, &coins, &[])).await;
    completed(&calm, &[output]).await;
    assert_eq!(mill.view().await, calm.view().await);
    assert_eq!(mill.coverage().await, calm.coverage().await);
    assert_eq!(mill.counts().await, calm.counts().await);
}

/// One of them has the coins; the others are held, or find them stored.
async fn twelve_backfills_of_the_same_coins_are_one(kind: Kind) {
    let mill = Mill::new(kind, EACH).await;
    let coins = mill.bench.ranking(EACH).await;
    refuse_once(&mill, &coins, 2);
    let outputs = join_all((0..PROCESSES).map(|_| ended(backfill(&mill, &coins, &[])))).await;
    let (held, done): (Vec<Output>, Vec<Output>) = outputs
        .into_iter()
        .partition(|output| output.status.code() == Some(4));
    completed(&mill, &done).await;
    assert!(!done.is_empty());
    assert_eq!(mill.states().await, vec!["complete"; done.len()]);
    assert_eq!(done.len() + held.len(), PROCESSES);
    assert_eq!(mill.requested().len(), 2 * EACH, "once refused, once paid");
}

async fn a_backfill_of_coins_that_another_run_has_is_held(kind: Kind) {
    let mill = Mill::new(kind, 8).await;
    let coins = mill.bench.ranking(8).await;
    refuse_once(&mill, &coins[..1], 4);
    let first = ended(backfill(&mill, &coins[..5], &[]));
    let others = async {
        until_refused(&mill.bench).await;
        let other = ended(backfill(&mill, &coins[4..], &[])).await;
        (other, ended(backfill(&mill, &coins, &[])).await)
    };
    let (first, (one, five)) = tokio::join!(first, others);
    completed(&mill, &[first]).await;
    let words = format!(
        "another run is at work on the 1h series of {}: let it finish, or name other coins",
        coins[4]
    );
    assert_eq!(one.status.code(), Some(4), "{}", text(&one));
    assert!(text(&one).contains(&words), "{}", text(&one));
    assert_eq!(five.status.code(), Some(4), "{}", text(&five));
    assert!(
        text(&five).contains(" and 2 more: let it"),
        "{}",
        text(&five)
    );
    let asked: BTreeSet<String> = mill.requested().into_iter().collect();
    assert_eq!(asked, coins[..5].iter().cloned().collect());
    assert_eq!(mill.states().await, ["complete"]);
}

async fn a_scheduled_run_goes_on_with_the_coins_that_no_other_has(kind: Kind) {
    let mill = Mill::new(kind, 6).await;
    mill.snapshot("6").await;
    let coins = mill.bench.ranking(6).await;
    refuse_once(&mill, &coins[..1], 5);
    let backfill = ended(backfill(&mill, &coins[..2], &[]));
    let scheduled = || {
        let arguments = ["run", "timeseries", "--resolution", "1h", "--json"];
        ended(coinmill(
            &mill.bench,
            Some(&mill.timeseries),
            &arguments,
            &[],
        ))
    };
    let beside = async {
        until_refused(&mill.bench).await;
        scheduled().await
    };
    let (backfill, beside) = tokio::join!(backfill, beside);
    let report = json(&beside);
    completed(&mill, &[backfill, beside]).await;
    assert_eq!(
        (&report["postponed"], &report["calls"]),
        (&2.into(), &4.into())
    );
    assert_eq!(report["expected"], 4);
    let last = scheduled().await;
    assert_eq!(json(&last)["postponed"], 0, "{}", text(&last));
}

/// A backfill of these coins that dies when all of them have landed and none is stored.
async fn killed(mill: &Mill, coins: &[String]) {
    let mut command = backfill(mill, coins, &[]);
    command.env("FAILPOINTS", format!("{}=return", failpoint::BEFORE_COMMIT));
    let output = ended(command).await;
    assert_eq!(output.status.code(), None, "{}", text(&output));
    mill.timeseries.until_deserted().await;
    assert_eq!(mill.states().await, ["running"]);
    let left = usize::from(mill.timeseries.kind() == Kind::Sqlite);
    assert_eq!(locks_of_runs(&mill.timeseries).len(), left);
}

async fn the_coins_of_a_killed_backfill_are_free_at_once(kind: Kind) {
    let mill = Mill::new(kind, 4).await;
    let coins = mill.bench.ranking(4).await;
    killed(&mill, &coins[..3]).await;
    let next = ended(backfill(&mill, &coins[2..], &[])).await;
    let report = json(&next);
    completed(&mill, &[next]).await;
    assert_eq!(
        (&report["recovered"], &report["calls"]),
        (&3.into(), &1.into())
    );
    assert_eq!(mill.states().await, ["abandoned", "complete"]);
    let third = ended(backfill(&mill, &coins, &[])).await;
    assert_eq!(json(&third)["calls"], 0, "{}", text(&third));
    assert_eq!(mill.requested().len(), 4);
}

/// After a power cut all begin at once, and each finds what others' coins had landed. The coins are dealt anew.
async fn twelve_killed_backfills_resume_beside_each_other(kind: Kind) {
    let mill = Mill::new(kind, PROCESSES * EACH).await;
    let coins = mill.bench.ranking(PROCESSES * EACH).await;
    // so that none begins when another has died
    let firsts: Vec<String> = coins.iter().step_by(EACH).cloned().collect();
    refuse_once(&mill, &firsts, 5);
    let killed = |coins| {
        let mut command = backfill(&mill, coins, &[]);
        command.env("FAILPOINTS", format!("{}=return", failpoint::BEFORE_COMMIT));
        ended(command)
    };
    let outputs = join_all(coins.chunks(EACH).map(killed)).await;
    assert!(outputs.iter().all(|output| output.status.code().is_none()));
    mill.timeseries.until_deserted().await;
    assert_eq!(mill.states().await, vec!["running"; PROCESSES]);
    let dealt = |first| {
        coins
            .iter()
            .skip(first)
            .step_by(PROCESSES)
            .cloned()
            .collect()
    };
    let dealt: Vec<Vec<String>> = (0..PROCESSES).map(dealt).collect();
    let outputs = join_all(dealt.iter().map(|coins| ended(backfill(&mill, coins, &[])))).await;
    completed(&mill, &outputs).await;
    let recovered = outputs
        .iter()
        .map(|output| json(output)["recovered"].as_u64().unwrap());
    assert_eq!(recovered.sum::<u64>(), (PROCESSES * EACH) as u64);
    assert_eq!(mill.requested().len(), (EACH + 1) * PROCESSES);
    assert_eq!(mill.count("coverage").await, (PROCESSES * EACH) as i64);
    let unrecovered = "select count(*) from run where state = 'abandoned' and recovered_by is null";
    let last = ended(backfill(&mill, &coins, &[])).await;
    assert_eq!(json(&last)["calls"], 0, "{}", text(&last));
    assert_eq!(mill.number(unrecovered).await, 0);
}

/// What a run of some coins finds of others is stored too, unless a run that lives has them.
async fn two_recover_each_its_own_of_what_a_killed_backfill_had(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let coins = mill.bench.ranking(3).await;
    killed(&mill, &coins).await;
    let named: Vec<&str> = coins[..1].iter().map(String::as_str).collect();
    let other = Claimant::of(&mill, "backfill", Resolution::Hour, &named).await;
    let next = ended(backfill(&mill, &coins[1..2], &[])).await;
    let report = json(&next);
    assert_eq!(
        (&report["recovered"], &report["calls"]),
        (&2.into(), &0.into())
    );
    let unrecovered = "select count(*) from run where state = 'abandoned' and recovered_by is null";
    assert_eq!(mill.number(unrecovered).await, 1);
    other.end().await;
    let last = ended(backfill(&mill, &coins, &[])).await;
    let report = json(&last);
    completed(&mill, &[next, last]).await;
    assert_eq!(
        (&report["recovered"], &report["calls"]),
        (&1.into(), &0.into())
    );
    assert_eq!(mill.number(unrecovered).await, 0);
    assert_eq!(mill.requested().len(), 3);
}
