//! Keys and passwords: whatever a run does and however it ends, neither shows in anything that it leaves behind or says.
//! That what is said is also of use is tested in `bad_input`.

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

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use coinmill::config::{DatabaseUrl, Settings};
use coinmill::pipeline;
use coinmill::sim::SimPlan;
use tracing_subscriber::filter::LevelFilter;

use support::database::postgres_url;
use support::{Bench, KEY, Kind, assert_silent, on_both_databases, resolve, said, secrets};

on_both_databases!(
    no_run_leaves_a_secret_in_landing_ledger_error_or_log,
    the_command_never_says_a_secret,
);

/// A source that repeats the key in its refusal.
const ECHO: &str = r#"{"error":"no such key: "#;
const ECHO_FAULT: &str = r#"body:status=401,text={"error":"no such key: CG-hush0Hush1Hush2"}"#;

/// Everything that was logged, by whomever and at every level.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl log::Log for Logged {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        writeln!(
            self.clone(),
            "{} {} {}",
            record.level(),
            record.target(),
            record.args()
        )
        .unwrap();
    }

    fn flush(&self) {}
}

impl Logged {
    /// Listens from here on, to `tracing` and to `log`.
    fn listen() -> Self {
        let logged = Self::default();
        let writer = logged.clone();
        tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .init();
        log::set_logger(Box::leak(Box::new(logged.clone()))).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        logged
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// The ways in which a run can end: settings over those of the bench, and what is wrong with the API.
fn ways(kind: Kind) -> Vec<(Vec<(&'static str, String)>, &'static str)> {
    let own = |pairs: &[(&'static str, &str)]| {
        pairs
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect()
    };
    let mut ways = vec![
        (own(&[]), ""),
        (own(&[("add_coins", "no-such-coin")]), ""),
        (own(&[("plan", "paid")]), ""),
        (own(&[("vs_currency", "eur")]), ""),
        (own(&[("vs_currency", "nothing")]), ""),
        (own(&[("clock", "2026-01-14T20:00:00Z")]), ""),
        (own(&[("landing_dir", "/dev/null/landing")]), ""),
        (
            own(&[
                ("api_url", "http://127.0.0.1:1/api/v3"),
                ("clock", "2026-01-14T12:10:00Z"),
            ]),
            "",
        ),
        (own(&[("credits_per_month", "0")]), ""),
        (own(&[]), "cut"),
        (own(&[]), "stall"),
        (own(&[]), "truncate"),
        (own(&[]), "limit200"),
        (own(&[]), "503"),
        (own(&[]), ECHO_FAULT),
        (own(&[]), "body:status=302,text=moved"),
    ];
    if kind == Kind::Postgres {
        let url =
            |user: &str, password: &str, database: &str| postgres_url(user, password, database);
        let [_, plain, _] = secrets().try_into().unwrap();
        ways.push((
            vec![("snapshot_url", url("nobody", &plain, "postgres"))],
            "",
        ));
        ways.push((
            vec![("snapshot_url", url("postgres", &plain, "no_such_database"))],
            "",
        ));
        ways.push((
            vec![("snapshot_url", url("postgres", &plain, "postgres"))],
            "",
        ));
        ways.push((
            vec![(
                "snapshot_url",
                url("postgres", &plain, "postgres").replace("127.0.0.1", "127.0.0.2"),
            )],
            "",
        ));
        let odd = format!(
            "{}?sslmode=verify-full",
            url("postgres", &plain, "postgres")
        );
        ways.push((vec![("snapshot_url", odd)], ""));
    }
    ways
}

async fn no_run_leaves_a_secret_in_landing_ledger_error_or_log(kind: Kind) {
    let logged = Logged::listen();
    let bench = Bench::playing(kind, 20, SimPlan::demo(KEY)).await;
    let (mut good, mut bad) = (0, 0);
    for (with, fault) in ways(kind) {
        bench.sim.clear_faults();
        bench.sim.advance(TimeDelta::minutes(30)).unwrap();
        if !fault.is_empty() {
            bench.fault(fault);
        }
        let mut all = vec![
            ("top", "20"),
            ("plan", "demo"),
            ("api_key", KEY),
            ("attempts", "1"),
            ("timeout", "2"),
        ];
        all.extend(with.iter().map(|(name, value)| (*name, value.as_str())));
        let settings = bench.settings(&all);
        assert_silent(&format!("{settings:?} {settings:#?}"));
        match pipeline::run_snapshot(&settings, None, &pipeline::Observer::none()).await {
            Ok(report) => {
                good += 1;
                assert_silent(&format!("{report:?}"));
            }
            Err(error) => {
                bad += 1;
                said(&error);
            }
        }
        for outcome in [
            pipeline::init(&settings).await,
            pipeline::runs(&settings, 100)
                .await
                .map(|runs| assert_silent(&format!("{runs:?}"))),
            pipeline::status(&settings)
                .await
                .map(|status| assert_silent(&format!("{status:?}"))),
        ] {
            if let Err(error) = outcome {
                said(&error);
            }
        }
    }
    assert!(good >= 2 && bad >= 13, "{good} {bad}");
    for table in [
        "run",
        "landing",
        "quarantine",
        "setting",
        "budget",
        "snapshot",
    ] {
        let sql = match kind {
            Kind::Postgres => format!("select t::text from {table} t"),
            Kind::Sqlite => format!("select * from {table}"),
        };
        assert_silent(&format!("{:?}", bench.database.rows(&sql).await));
    }
    let searched = search(&bench.landing());
    assert!(searched >= 10, "{searched}");
    let log = logged.text();
    for said in ["coinmill", "TRACE", "DEBUG", "hyper", "sqlx"] {
        assert!(log.contains(said), "no log of {said}");
    }
    // the market server runs in this process too, and is told the key in a header that it must not log
    assert_silent(&log);
}

/// Looks through every file of a folder, packed ones unpacked as well, and says how many there were.
fn search(folder: &Path) -> usize {
    let mut searched = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert_silent(&path.display().to_string());
        if path.is_dir() {
            searched += search(&path);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        if path.extension().is_some_and(|extension| extension == "zst") {
            let body = zstd::decode_all(bytes.as_slice()).unwrap();
            // a body is kept as it was received, so a key that the API itself repeats is in it, and nowhere else
            if !body.starts_with(ECHO.as_bytes()) {
                assert_silent(&String::from_utf8_lossy(&body));
            }
        } else {
            assert_silent(&String::from_utf8_lossy(&bytes));
        }
        searched += 1;
    }
    searched
}

async fn the_command_never_says_a_secret(kind: Kind) {
    let bench = Bench::playing(kind, 20, SimPlan::demo(KEY)).await;
    let mut failed = 0;
    for (with, fault) in ways(kind) {
        bench.sim.clear_faults();
        bench.sim.advance(TimeDelta::minutes(30)).unwrap();
        if !fault.is_empty() {
            bench.fault(fault);
        }
        for arguments in [
            &["run", "snapshot", "-vv"][..],
            &["status", "--json"],
            &["runs"],
            &["init"],
        ] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_coinmill"));
            command
                .current_dir(bench.folder.path())
                .args(arguments)
                .env("COINMILL_LOG", "trace");
            for (name, value) in [
                ("API_URL", bench.sim.url()),
                ("API_KEY", KEY.to_owned()),
                ("PLAN", "demo".to_owned()),
                ("CLOCK", "sim".to_owned()),
                ("TOP", "20".to_owned()),
                ("ATTEMPTS", "1".to_owned()),
                ("TIMEOUT", "2".to_owned()),
                ("SNAPSHOT_URL", bench.database.url()),
                ("LANDING_DIR", bench.landing().display().to_string()),
            ] {
                command.env(format!("COINMILL_{name}"), value);
            }
            for (name, value) in &with {
                command.env(format!("COINMILL_{}", name.to_uppercase()), value);
            }
            let output = tokio::task::spawn_blocking(move || command.output().unwrap())
                .await
                .unwrap();
            failed += usize::from(!output.status.success());
            assert_silent(&both(&output));
        }
    }
    assert!(failed >= 10, "{failed}");
}

fn both(output: &Output) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    format!("{out}\n{err}")
}

/// People paste passwords without percent-encoding them. Then a URL means something else, which must not be shown.
#[test]
fn a_password_that_was_not_encoded_does_not_show() {
    for url in [
        "postgresql://me:123/hunter2@h/db",
        "postgresql://me:123#hunter2@h/db",
        "postgresql://me:123?hunter2@h/db",
        "postgresql://me:hunter2@x@h/db",
        "postgresql://me:hunter2/x@h/db",
        "postgresql://me:hunter2 x@h/db",
        "postgresql://h/db?PASSWORD=hunter2",
        "postgresql://h/db?pass=hunter2",
    ] {
        let shown = match DatabaseUrl::parse(url) {
            Ok(read) => format!("{read} {read:?}"),
            Err(error) => error.chain(),
        };
        assert!(!shown.contains("hunter2"), "{url} shows as {shown}");
    }
}

/// sqlx warns of parameters that it does not know, with their values.
#[tokio::test]
async fn a_password_in_a_parameter_that_the_driver_does_not_know_is_not_logged() {
    let logged = Logged::listen();
    for name in ["sslpassword", "PASSWORD", "passwd"] {
        let url = format!("postgresql://postgres@127.0.0.1:1/db?{name}={KEY}");
        // whether such a URL is refused at once or tried does not matter here
        let settings: Option<Settings> = resolve([("snapshot_url", url)]).ok();
        if let Some(settings) = settings {
            let error = pipeline::status(&settings).await.unwrap_err();
            said(&error);
            assert_silent(&format!("{settings:?}"));
        }
    }
    assert_silent(&logged.text());
}
