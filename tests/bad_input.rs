//! What a user can do wrong: each gets an error that names the remedy, shows no secret, and loses nothing.
//! What a source can do wrong is in `snapshot` and `corruptions`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_wrap,
    reason = "a test that cannot go on should say where"
)]

mod support;

use std::net::TcpListener;

use chrono::TimeDelta;
use coinmill::error::Error;
use coinmill::market::Slot;
use coinmill::pipeline::{self, RunState};
use coinmill::sim::SimPlan;

use support::database::{administrator_of, postgres_url};
use support::{Bench, Database, KEY, Kind, noon, on_both_databases, said};

const TOP: (&str, &str) = ("top", "20");

on_both_databases!(
    a_schema_newer_than_the_program_asks_for_an_upgrade,
    another_currency_names_the_one_that_the_database_holds,
    a_key_for_another_host_is_explained_in_words,
    a_wrong_key_names_where_the_key_goes,
    unknown_coins_are_named_with_where_to_look,
    a_past_slot_says_so_without_a_call,
    a_landing_that_cannot_be_written_names_its_setting,
    an_api_that_is_not_there_names_its_setting,
    a_clock_that_the_api_does_not_have_names_its_setting,
    databases_named_the_wrong_way_round_are_refused,
    a_rule_that_does_not_exist_is_no_rule_of_the_quarantine,
);

/// Whatever goes wrong, what was there is there, and the run that failed is in the ledger.
struct Before {
    counts: Vec<i64>,
    runs: usize,
    calls: u64,
}

impl Before {
    /// A database with a good snapshot in it, half an hour before the one that is to fail.
    async fn of(bench: &Bench, with: &[(&str, &str)]) -> Self {
        assert_eq!(bench.run(with).await.unwrap().state, RunState::Complete);
        bench.sim.advance(TimeDelta::minutes(30)).unwrap();
        Self {
            counts: bench.database.counts().await,
            runs: bench.database.states().await.len(),
            calls: bench.sim.calls(),
        }
    }

    /// Nothing was lost or added; there are so many more runs, all failed, and so many more calls.
    async fn is_kept(&self, bench: &Bench, failed: usize, calls: u64) {
        assert_eq!(bench.database.counts().await, self.counts);
        let states = bench.database.states().await;
        assert_eq!(states[self.runs..], vec!["failed"; failed]);
        assert_eq!(bench.sim.calls() - self.calls, calls);
        let errors = bench
            .database
            .texts("select error from run where state = 'failed'")
            .await;
        errors
            .iter()
            .for_each(|error| support::assert_silent(error));
    }
}

fn says(error: &Error, words: &[&str]) {
    let chain = said(error);
    for word in words {
        assert!(chain.contains(word), "{word:?} is not in: {chain}");
    }
}

async fn a_schema_newer_than_the_program_asks_for_an_upgrade(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let before = Before::of(&bench, &[TOP]).await;
    let sql = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
               select 999, 'from the future', success, checksum, 0 from _sqlx_migrations where version = 1";
    bench.database.rows(sql).await;
    let error = bench.run(&[TOP]).await.unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error:?}");
    says(&error, &["version 999", "upgrade coinmill"]);
    let error = pipeline::init(&bench.settings(&[])).await.unwrap_err();
    says(&error, &["version 999", "upgrade coinmill"]);
    before.is_kept(&bench, 0, 0).await;
}

async fn databases_named_the_wrong_way_round_are_refused(_kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    let url = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
    let bench = Bench::new(Kind::Sqlite, 5).await;
    let settings = |snapshot: &str, timeseries: &str| {
        let (snapshot, timeseries) = (url(snapshot), url(timeseries));
        bench.settings(&[
            ("snapshot_url", &snapshot),
            ("timeseries_url", &timeseries),
            TOP,
        ])
    };
    pipeline::init(&settings("a.db", "b.db")).await.unwrap();
    for settings in [settings("b.db", "a.db"), settings("a.db", "a.db")] {
        let error = pipeline::init(&settings).await.unwrap_err();
        assert!(matches!(error, Error::Config { .. }), "{error:?}");
        says(&error, &["is the", "database, and not the", "_URL"]);
    }
    let nobody = pipeline::Observer::none();
    let error = pipeline::run_snapshot(&settings("b.db", "a.db"), None, &nobody)
        .await
        .unwrap_err();
    says(
        &error,
        &["is the timeseries database, and not the snapshot: correct COINMILL_SNAPSHOT_URL"],
    );
}

async fn a_rule_that_does_not_exist_is_no_rule_of_the_quarantine(kind: Kind) {
    let bench = Bench::new(kind, 5).await;
    bench.run(&[("top", "5")]).await.unwrap();
    let pick = |rule: &str| pipeline::Pick::Rule(rule.to_owned());
    let settings = bench.settings(&[]);
    for error in [
        pipeline::quarantine(&settings, &pick("zero_prize"))
            .await
            .unwrap_err(),
        pipeline::requeue(&settings, &pick("zero_prize"))
            .await
            .unwrap_err(),
    ] {
        says(&error, &["there is no rule zero_prize", "zero_price"]);
    }
    assert!(
        pipeline::quarantine(&settings, &pick("zero_price"))
            .await
            .unwrap()
            .is_empty()
    );
}

async fn another_currency_names_the_one_that_the_database_holds(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let before = Before::of(&bench, &[TOP]).await;
    let error = bench.run(&[TOP, ("vs_currency", "eur")]).await.unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error:?}");
    says(
        &error,
        &["prices in usd, not in eur", "COINMILL_VS_CURRENCY=usd"],
    );
    let error = pipeline::init(&bench.settings(&[("vs_currency", "eur")]))
        .await
        .unwrap_err();
    says(&error, &["COINMILL_VS_CURRENCY=usd"]);
    before.is_kept(&bench, 0, 0).await;
}

async fn a_key_for_another_host_is_explained_in_words(kind: Kind) {
    for (host, wrong, right, code, words) in [
        (
            SimPlan::demo(KEY),
            "paid",
            "demo",
            10_010,
            ["code 10010", "COINMILL_PLAN=paid"],
        ),
        (
            SimPlan::paid(KEY),
            "demo",
            "paid",
            10_011,
            ["code 10011", "COINMILL_PLAN=demo"],
        ),
    ] {
        let bench = Bench::playing(kind, 20, host).await;
        let before = Before::of(&bench, &[TOP, ("plan", right), ("api_key", KEY)]).await;
        let error = bench
            .run(&[TOP, ("plan", wrong), ("api_key", KEY)])
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::Source { code: Some(said), .. } if said == code),
            "{error:?}"
        );
        assert!(!error.is_retryable());
        says(&error, &words);
        // a paid plan is also asked what its key has spent
        let calls = if wrong == "paid" { 2 } else { 1 };
        before.is_kept(&bench, 1, calls).await;
    }
}

async fn a_wrong_key_names_where_the_key_goes(kind: Kind) {
    let bench = Bench::playing(kind, 20, SimPlan::demo("another-key")).await;
    let before = Before::of(&bench, &[TOP, ("plan", "demo"), ("api_key", "another-key")]).await;
    let error = bench
        .run(&[TOP, ("plan", "demo"), ("api_key", KEY)])
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Source {
                code: Some(10_002),
                ..
            }
        ),
        "{error:?}"
    );
    says(&error, &["code 10002", "COINMILL_API_KEY", "COINMILL_PLAN"]);
    before.is_kept(&bench, 1, 1).await;
}

async fn unknown_coins_are_named_with_where_to_look(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let before = Before::of(&bench, &[TOP]).await;
    let error = bench
        .run(&[("top", "0"), ("coins", "no-such-coin")])
        .await
        .unwrap_err();
    says(&error, &["no-such-coin", "COINMILL_COINS"]);
    before.is_kept(&bench, 1, 1).await;
    let report = bench
        .run(&[TOP, ("add_coins", "no-such-coin")])
        .await
        .unwrap();
    assert_eq!((report.state, report.accepted), (RunState::Complete, 20));
    assert_eq!(report.unknown[0].coin_id, "no-such-coin");
}

async fn a_past_slot_says_so_without_a_call(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let before = Before::of(&bench, &[TOP]).await;
    let past = Slot::containing(noon() - TimeDelta::hours(5));
    let error = bench.run_for(past, &[TOP]).await.unwrap_err();
    assert!(matches!(error, Error::Past { .. }), "{error:?}");
    says(
        &error,
        &[
            "slot 2026-01-14T07:00Z is past",
            "CoinGecko serves only the present",
        ],
    );
    before.is_kept(&bench, 1, 0).await;
}

async fn a_landing_that_cannot_be_written_names_its_setting(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let before = Before::of(&bench, &[TOP]).await;
    // a file where the landing, the day's folder or the landing's parent should be
    let file = bench.folder.path().join("a-file");
    std::fs::write(&file, b"").unwrap();
    let beside = bench.folder.path().join("beside");
    std::fs::create_dir(&beside).unwrap();
    std::fs::write(beside.join("2026-01-14"), b"").unwrap();
    for landing in [&file, &beside, &file.join("below")] {
        let landing = landing.display().to_string();
        let error = bench
            .run(&[TOP, ("landing_dir", &landing)])
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Store { .. }), "{error:?}");
        says(&error, &[landing.as_str(), "COINMILL_LANDING_DIR"]);
    }
    before.is_kept(&bench, 3, 0).await;
}

async fn an_api_that_is_not_there_names_its_setting(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let before = Before::of(&bench, &[TOP]).await;
    let url = format!("http://127.0.0.1:{}/api/v3", closed_port());
    let clock = bench.sim.now().to_rfc3339();
    let with = [TOP, ("api_url", &url), ("clock", &clock), ("attempts", "1")];
    let error = bench.run(&with).await.unwrap_err();
    assert!(
        matches!(error, Error::Source { .. }) && error.is_retryable(),
        "{error:?}"
    );
    says(
        &error,
        &["127.0.0.1", "cannot be reached", "COINMILL_API_URL"],
    );
    before.is_kept(&bench, 1, 0).await;
}

async fn a_clock_that_the_api_does_not_have_names_its_setting(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let before = Before::of(&bench, &[TOP]).await;
    let url = format!("http://127.0.0.1:{}/api/v3", closed_port());
    let error = bench.run(&[TOP, ("api_url", &url)]).await.unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error:?}");
    says(&error, &["coinmill sim", "COINMILL_CLOCK=system"]);
    before.is_kept(&bench, 0, 0).await;
}

#[tokio::test]
async fn a_postgresql_without_tables_asks_for_init_and_is_left_as_it_is() {
    let mut bench = Bench::new(Kind::Sqlite, 20).await;
    bench.database = Database::bare(Kind::Postgres).await;
    let error = bench.run(&[TOP]).await.unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error:?}");
    says(&error, &["has no coinmill tables", "coinmill init"]);
    assert_eq!(bench.sim.calls(), 0);
    let sql = "select count(*) from pg_class where relnamespace not in \
               ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'pg_toast'::regnamespace)";
    assert_eq!(bench.database.number(sql).await, 0);
    pipeline::init(&bench.settings(&[])).await.unwrap();
    pipeline::init(&bench.settings(&[])).await.unwrap();
    assert_eq!(bench.run(&[TOP]).await.unwrap().state, RunState::Complete);
}

#[tokio::test]
async fn a_postgresql_that_cannot_be_used_names_the_remedy() {
    let bench = Bench::new(Kind::Postgres, 20).await;
    let mut closed = url::Url::parse(&bench.database.url()).unwrap();
    closed.set_port(Some(closed_port())).unwrap();
    for (url, retryable, words) in [
        (
            closed.to_string(),
            true,
            ["cannot be reached", "start it, or correct its URL"],
        ),
        (
            postgres_url("postgres", "not the pass/word", "postgres"),
            false,
            ["refused the user or the password", "correct its URL"],
        ),
        (
            administrator_of("no_such_database"),
            false,
            ["does not exist", "create it"],
        ),
    ] {
        for outcome in [
            bench.run(&[TOP, ("snapshot_url", &url)]).await.map(drop),
            pipeline::init(&bench.settings(&[("snapshot_url", &url)])).await,
            pipeline::status(&bench.settings(&[("snapshot_url", &url)]))
                .await
                .map(drop),
        ] {
            let error = outcome.unwrap_err();
            assert!(matches!(error, Error::Store { .. }), "{error:?}");
            assert_eq!(error.is_retryable(), retryable, "{error:?}");
            says(&error, &words);
            assert!(!said(&error).contains("pass/word") && !said(&error).contains("pass%2Fword"));
        }
    }
    assert_eq!((bench.sim.calls(), bench.landing().exists()), (0, false));
}

#[tokio::test]
async fn a_damaged_sqlite_file_is_left_as_it_is_with_a_word_on_what_to_do() {
    let bench = Bench::new(Kind::Sqlite, 200).await;
    bench.run(&[("top", "200")]).await.unwrap();
    bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    let file = bench.database.file().clone();
    let good = std::fs::read(&file).unwrap();
    let mut torn = good.clone();
    torn[4096..].fill(0xa5);
    for damaged in [
        b"this was never a database".repeat(40),
        torn,
        good[..good.len() / 3].to_vec(),
    ] {
        for suffix in ["-wal", "-shm"] {
            let beside = format!("{}{suffix}", file.display());
            if std::fs::exists(&beside).unwrap() {
                std::fs::remove_file(beside).unwrap();
            }
        }
        std::fs::write(&file, &damaged).unwrap();
        let error = bench.run(&[("top", "200")]).await.unwrap_err();
        assert!(
            matches!(error, Error::Store { .. }) && !error.is_retryable(),
            "{error:?}"
        );
        says(&error, &["damaged", "move the file away", "landing"]);
        assert_eq!(bench.sim.calls(), 1);
    }
    // as it says: without the file, what was landed is there
    std::fs::remove_file(&file).unwrap();
    let report = bench
        .run_for(Slot::containing(noon()), &[("top", "200")])
        .await
        .unwrap();
    assert_eq!(
        (report.state, report.stored, report.calls),
        (RunState::Complete, 200, 0)
    );
}

#[tokio::test]
async fn a_sqlite_file_that_cannot_be_made_names_its_setting() {
    let bench = Bench::new(Kind::Sqlite, 20).await;
    let file = bench.folder.path().join("a-file");
    std::fs::write(&file, b"").unwrap();
    for (url, words) in [
        (file.join("below/snapshot.db"), "COINMILL_DATA_DIR"),
        (bench.folder.path().to_owned(), "cannot be opened"),
    ] {
        let url = format!("sqlite://{}", url.display());
        let error = bench.run(&[TOP, ("snapshot_url", &url)]).await.unwrap_err();
        assert!(matches!(error, Error::Store { .. }), "{error:?}");
        says(&error, &[words]);
    }
    assert_eq!(bench.sim.calls(), 0);
}

#[tokio::test]
async fn settings_that_cannot_be_name_what_would_be_right() {
    let bench = Bench::new(Kind::Sqlite, 20).await;
    for (name, value, words) in [
        ("plan", "free", "use keyless, demo, paid or unlimited"),
        ("api_key", "CG-hush0Hush1Hush2 ", ""),
        ("api_key", "CG-hush0 Hush1Hush2", "copy the key again"),
        ("vs_currency", "us dollars", "such as usd"),
        (
            "snapshot_url",
            "mysql://me:secret@h/d",
            "postgresql://user:password@host:5432/name",
        ),
        ("coins", "bit coin", "without spaces or commas"),
    ] {
        match bench.try_settings(&[(name, value)]) {
            Ok(_) => assert_eq!(words, ""),
            Err(error) => {
                assert!(matches!(error, Error::Config { .. }), "{error:?}");
                says(&error, &[words]);
            }
        }
    }
}

fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_plan_that_needs_a_key_says_so_before_a_call_and_lets_look() {
    let bench = Bench::new(Kind::Sqlite, 20).await;
    bench.run(&[TOP]).await.unwrap();
    for plan in ["demo", "paid"] {
        let kind: coinmill::provider::PlanKind = plan.parse().unwrap();
        let url = coinmill::provider::Plan::documented(kind).default_api_url();
        let with = [
            TOP,
            ("plan", plan),
            ("api_url", url),
            ("clock", "2026-01-14T12:40:00Z"),
        ];
        let error = bench.run(&with).await.unwrap_err();
        assert!(matches!(error, Error::Config { .. }), "{error:?}");
        says(&error, &["needs a key", "COINMILL_API_KEY"]);
        let settings = bench.settings(&with);
        let status = pipeline::status(&settings).await.unwrap();
        assert_eq!((status.plan, status.snapshot.snapshots), (plan, 1));
        assert_eq!(pipeline::plan(&settings).await.unwrap().plan, plan);
    }
}
