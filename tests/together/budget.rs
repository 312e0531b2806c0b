//! One key in many hands: the month's calls and the minute's are counted in one place.

use std::path::Path;
use std::process::Output;

use coinmill::sim::SimPlan;
use coinmill::store::Budget;

use crate::support::command::{code, coinmill, finish, json, text};
use crate::support::{Bench, Database, KEY, Kind, on_both_databases};

on_both_databases!(
    ten_processes_never_spend_more_than_the_month_has,
    ten_processes_keep_the_pace_of_one,
    a_backfill_makes_way_for_a_run_of_the_half_hour,
    a_budget_that_cannot_be_reached_is_said_before_any_call,
    each_key_has_an_account_of_its_own,
    what_a_paid_key_has_spent_elsewhere_counts,
);

/// Where calls are counted, in a database of a kind.
async fn place(kind: Kind) -> Database {
    let database = Database::bare(kind).await;
    Budget::init(&database.database_url()).await.unwrap();
    database
}

/// Snapshots by so many processes at once, each with a database of its own.
async fn snapshots(bench: &Bench, count: usize, with: &[(&str, &str)]) -> Vec<Output> {
    let mut running = Vec::new();
    for place in 0..count {
        let folder = bench.folder.path().join(place.to_string());
        let own = |name: &str| format!("sqlite://{}", folder.join(name).display());
        let landing = folder.join("landing").display().to_string();
        let urls = [own("snapshot.db"), own("timeseries.db")];
        let mut with = with.to_vec();
        with.extend([
            ("SNAPSHOT_URL", urls[0].as_str()),
            ("TIMESERIES_URL", urls[1].as_str()),
            ("LANDING_DIR", landing.as_str()),
        ]);
        let command = coinmill(bench, None, &["run", "snapshot", "--json"], &with);
        running.push(tokio::spawn(finish(command)));
    }
    let mut outputs = Vec::new();
    for run in running {
        outputs.push(run.await.unwrap());
    }
    outputs
}

async fn credits(place: &Database) -> i64 {
    let sql = "select coalesce(cast(sum(credits) as bigint), 0) from budget";
    place.number(sql).await
}

async fn ten_processes_never_spend_more_than_the_month_has(kind: Kind) {
    let bench = Bench::market(600).await;
    let place = place(kind).await;
    let url = place.url();
    let with = [
        ("TOP", "600"),
        ("PLAN", "keyless"),
        ("CALLS_PER_MINUTE", "1000"),
        ("CREDITS_PER_MONTH", "20"),
        ("BUDGET_URL", url.as_str()),
    ];
    let outputs = snapshots(&bench, 10, &with).await;
    let calls: u64 = outputs
        .iter()
        .filter_map(|output| json(output)["calls"].as_u64())
        .sum();
    assert_eq!(
        (bench.sim.calls(), credits(&place).await),
        (20, 20),
        "{calls}"
    );
    // six have all three pages, and who has none says why
    let codes: Vec<i32> = outputs.iter().map(code).collect();
    assert!(
        codes.iter().all(|code| [0, 1, 3].contains(code)),
        "{codes:?}"
    );
    let short = outputs.iter().filter(|output| code(output) != 0);
    for output in short {
        assert!(
            text(output).contains("of the plan's 20 calls"),
            "{}",
            text(output)
        );
    }
}

async fn ten_processes_keep_the_pace_of_one(kind: Kind) {
    let plan = SimPlan {
        calls_per_minute: Some(30),
        ..SimPlan::default()
    };
    let bench = Bench::playing(Kind::Sqlite, 1_000, plan).await;
    let place = place(kind).await;
    let url = place.url();
    let with = [
        ("TOP", "1000"),
        ("PLAN", "keyless"),
        ("CALLS_PER_MINUTE", "30"),
        ("BUDGET_URL", url.as_str()),
    ];
    let outputs = snapshots(&bench, 10, &with).await;
    // the market refuses the thirty-first call of any minute, and no call is tried twice here
    for output in &outputs {
        assert_eq!(code(output), 0, "{}", text(output));
    }
    assert_eq!(bench.sim.calls(), 40);
}

async fn a_backfill_makes_way_for_a_run_of_the_half_hour(kind: Kind) {
    let place = place(kind).await;
    let mut account = Budget::open(&place.database_url(), "one key".to_owned())
        .await
        .unwrap();
    let pace = 2.try_into().unwrap();
    account.make_places(pace).await.unwrap();
    use coinmill::store::Turn;
    assert_eq!(account.turn(pace, false).await.unwrap(), Turn::Begin(1));
    assert_eq!(account.turn(pace, true).await.unwrap(), Turn::Begin(1));
    let full = account.turn(pace, true).await.unwrap();
    assert!(matches!(full, Turn::Wait(_)), "{full:?}");
    // another key has places of its own, and one that is used by the schedule none for a backfill
    let mut other = Budget::open(&place.database_url(), "another".to_owned())
        .await
        .unwrap();
    other.make_places(pace).await.unwrap();
    assert_eq!(other.turn(pace, true).await.unwrap(), Turn::Begin(1));
    let waits = other.turn(pace, false).await.unwrap();
    assert!(matches!(waits, Turn::Wait(_)), "{waits:?}");
    assert_eq!(other.turn(pace, true).await.unwrap(), Turn::Begin(1));
    // a silence that CoinGecko asked for is everybody's
    let mut silent = Budget::open(&place.database_url(), "silent".to_owned())
        .await
        .unwrap();
    silent.make_places(pace).await.unwrap();
    silent
        .hold(std::time::Duration::from_secs(60))
        .await
        .unwrap();
    let held = silent.turn(pace, true).await.unwrap();
    assert!(matches!(held, Turn::Wait(_)), "{held:?}");
    // where a plan has many calls a minute, a place is for several
    let many = 600.try_into().unwrap();
    let mut fast = Budget::open(&place.database_url(), "fast".to_owned())
        .await
        .unwrap();
    fast.make_places(many).await.unwrap();
    assert_eq!(fast.turn(many, true).await.unwrap(), Turn::Begin(5));
}

async fn a_budget_that_cannot_be_reached_is_said_before_any_call(kind: Kind) {
    let bench = Bench::new(kind, 5).await;
    let nowhere = match kind {
        Kind::Postgres => "postgresql://nobody@127.0.0.1:1/nowhere".to_owned(),
        Kind::Sqlite => {
            let file = bench.folder.path().join("a-file");
            std::fs::write(&file, "no folder").unwrap();
            format!("sqlite://{}", Path::new(&file).join("budget.db").display())
        }
    };
    let with = [("PLAN", "keyless"), ("BUDGET_URL", nowhere.as_str())];
    let output = finish(coinmill(&bench, None, &["run", "snapshot"], &with)).await;
    assert_eq!(code(&output), 1, "{}", text(&output));
    assert_eq!(bench.sim.calls(), 0);
    let said = text(&output);
    let place = match kind {
        Kind::Postgres => "127.0.0.1:1",
        Kind::Sqlite => "a-file",
    };
    assert!(said.contains(place), "{said}");
    // a plan without limits counts nothing, so it needs no place either
    let with = [("BUDGET_URL", nowhere.as_str()), ("TOP", "5")];
    let output = finish(coinmill(&bench, None, &["run", "snapshot"], &with)).await;
    assert_eq!(code(&output), 0, "{}", text(&output));
}

async fn each_key_has_an_account_of_its_own(kind: Kind) {
    let bench = Bench::new(kind, 5).await;
    let place = place(kind).await;
    let url = place.url();
    for (key, currency) in [("CG-one", "usd"), ("CG-two", "eur"), ("CG-one", "eur")] {
        let own = bench.folder.path().join(format!("{key}-{currency}"));
        let landing = own.join("landing").display().to_string();
        let own = format!("sqlite://{}", own.join("snapshot.db").display());
        let with = [
            ("PLAN", "demo"),
            ("API_KEY", key),
            ("TOP", "5"),
            ("VS_CURRENCY", currency),
            ("SNAPSHOT_URL", own.as_str()),
            ("LANDING_DIR", landing.as_str()),
            ("BUDGET_URL", url.as_str()),
        ];
        let output = finish(coinmill(&bench, None, &["run", "snapshot"], &with)).await;
        assert_eq!(code(&output), 0, "{}", text(&output));
    }
    let counts = place
        .texts("select cast(credits as text) from budget order by credits")
        .await;
    assert_eq!(counts, ["1", "2"]);
    let accounts = place.texts("select account from budget").await;
    assert!(accounts.iter().all(|account| !account.contains("CG-")));
}

async fn what_a_paid_key_has_spent_elsewhere_counts(kind: Kind) {
    let bench = Bench::playing(Kind::Sqlite, 5, SimPlan::paid(KEY)).await;
    let place = place(kind).await;
    let url = place.url();
    // somebody else spends seven calls, in no account of ours
    for _ in 0..7 {
        bench.fetch(&format!("/ping?x_cg_pro_api_key={KEY}")).await;
    }
    let with = [
        ("PLAN", "paid"),
        ("API_KEY", KEY),
        ("TOP", "5"),
        ("BUDGET_URL", url.as_str()),
    ];
    let output = finish(coinmill(
        &bench,
        None,
        &["run", "snapshot", "--json"],
        &with,
    ))
    .await;
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert_eq!(json(&output)["calls"], 1, "asking is no call of the run's");
    assert_eq!(credits(&place).await, 7 + 1);
    // within the hour it is not asked again, and a key that cannot say it keeps no run from beginning
    bench.sim.advance(chrono::TimeDelta::minutes(30)).unwrap();
    let calls = bench.sim.calls();
    let output = finish(coinmill(&bench, None, &["run", "snapshot"], &with)).await;
    assert_eq!(
        (code(&output), bench.sim.calls()),
        (0, calls + 1),
        "{}",
        text(&output)
    );
    bench.sim.advance(chrono::TimeDelta::minutes(60)).unwrap();
    bench.fault("503:path=/key,times=0");
    let output = finish(coinmill(&bench, None, &["run", "snapshot"], &with)).await;
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert!(
        text(&output).contains("what the key has spent is not known"),
        "{}",
        text(&output)
    );
}
