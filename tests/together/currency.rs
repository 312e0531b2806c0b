//! The currency of a database: bound by the first rows that are stored in it, and never by a run that stored nothing.

use crate::readers::ended;
use crate::series::Mill;
use crate::slot::until_refused;
use crate::support::command::{code, coinmill, finish, run, text};
use crate::support::{Bench, Database, Kind, noon, on_both_databases};

on_both_databases!(
    init_may_change_the_currency_until_something_is_stored,
    a_run_whose_currency_was_taken_meanwhile_stores_nothing,
);

const EUROS: (&str, &str) = ("VS_CURRENCY", "eur");
const BACKFILL: [&str; 5] = ["backfill", "--days", "2", "--coins", "bitcoin"];
const SNAPSHOT: [&str; 4] = ["run", "snapshot", "--top", "5"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_stores_nothing_binds_no_currency() {
    let bench = Bench::market(5).await;
    let series = Database::bare(Kind::Sqlite).await;
    let now = noon().to_rfc3339();
    let offline = [
        ("VS_CURRENCY", "xyz"),
        ("API_URL", "http://127.0.0.1:1/api/v3"),
        ("CLOCK", &*now),
    ];
    for arguments in [&SNAPSHOT[..], &BACKFILL] {
        // offline, then by the market's own word
        for with in [&offline[..], &offline[..1]] {
            let failed = run(&bench, &series, arguments, with).await;
            assert!([1, 2].contains(&code(&failed)), "{}", text(&failed));
        }
        let output = run(&bench, &series, arguments, &[]).await;
        assert_eq!(code(&output), 0, "{}", text(&output));
    }
    for database in [&bench.database, &series] {
        assert_eq!(database.texts("select value from setting").await, ["usd"]);
    }
    let other = run(&bench, &series, &SNAPSHOT, &[EUROS]).await;
    let words = "prices in usd, not in eur";
    assert!(
        code(&other) == 2 && text(&other).contains(words),
        "{}",
        text(&other)
    );
}

async fn init_may_change_the_currency_until_something_is_stored(kind: Kind) {
    let mut mill = Mill::new(kind, 5).await;
    mill.bench.database = Database::bare(kind).await;
    mill.timeseries = Database::bare(kind).await;
    let coinmill = async |arguments: &[&str], with: &[(&str, &str)]| {
        run(&mill.bench, &mill.timeseries, arguments, with).await
    };
    for currency in ["xyz", "usd"] {
        let output = coinmill(&["init"], &[("VS_CURRENCY", currency)]).await;
        assert_eq!(code(&output), 0, "{}", text(&output));
    }
    if kind == Kind::Postgres {
        let other = coinmill(&SNAPSHOT, &[EUROS]).await;
        let words = "run `coinmill init`, which changes it as long as nothing is stored";
        assert!(text(&other).contains(words), "{}", text(&other));
    }
    for arguments in [&SNAPSHOT[..], &BACKFILL] {
        let output = coinmill(arguments, &[]).await;
        assert_eq!(code(&output), 0, "{}", text(&output));
    }
    let again = coinmill(&["init"], &[]).await;
    assert_eq!(code(&again), 0, "{}", text(&again));
    let other = coinmill(&["init"], &[EUROS]).await;
    assert!(
        code(&other) == 2 && text(&other).contains("prices in usd, not in eur"),
        "{}",
        text(&other)
    );
    assert!(!text(&other).contains("init`"), "{}", text(&other));
    let sql = "select value from setting";
    assert_eq!(mill.bench.database.texts(sql).await, ["usd"]);
    assert_eq!(mill.rows(sql).await[0][0].text(), "usd");
}

async fn a_run_whose_currency_was_taken_meanwhile_stores_nothing(kind: Kind) {
    for arguments in [&SNAPSHOT[..], &BACKFILL] {
        let mill = Mill::new(kind, 5).await;
        mill.bench.fault("429:times=1,retry_after=3");
        let run = |arguments: &[&str], with: &[(&str, &str)]| {
            let mut all = vec![("ATTEMPTS", "2")];
            all.extend(with);
            coinmill(&mill.bench, Some(&mill.timeseries), arguments, &all)
        };
        let other = async {
            until_refused(&mill.bench).await;
            match kind {
                // no run of the writer's may bind it there
                Kind::Postgres => finish(run(&["init"], &[EUROS])).await,
                Kind::Sqlite if arguments == BACKFILL => {
                    let days = ["backfill", "--days", "9", "--resolution", "1d"];
                    let days = [&days[..], &["--coins", "ethereum"]].concat();
                    finish(run(&days, &[EUROS])).await
                }
                // of a slot there is only one run at a time: what another would bind is written here
                Kind::Sqlite => {
                    let sql = "insert into setting (name, value) values ('vs_currency', 'eur')";
                    mill.bench.database.rows(sql).await;
                    finish(run(&["status"], &[EUROS])).await
                }
            }
        };
        let (late, other) = tokio::join!(ended(run(arguments, &[])), other);
        // a status is stale: nothing was stored yet
        assert!([0, 3].contains(&code(&other)), "{}", text(&other));
        assert!(
            code(&late) == 2 && text(&late).contains("prices in eur, not in usd"),
            "{}",
            text(&late)
        );
        let database = &mill.bench.database;
        assert_eq!(database.number("select count(*) from landing").await, 0);
        let dollars = "select count(*) from landing where request not like '%vs_currency=eur%'";
        assert_eq!(mill.number(dollars).await, 0);
        let states = if arguments == BACKFILL {
            mill.states().await
        } else {
            database.states().await
        };
        assert!(states.contains(&"failed".to_owned()), "{states:?}");
    }
}
