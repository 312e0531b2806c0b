//! What the tests of the pipeline share: a market, a landing and a fresh database for each, on either kind of database.
//! Everything is real: the server, the files, PostgreSQL. It asserts nothing about the product but that no secret shows.

#![allow(
    dead_code,
    unused_macros,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_wrap,
    reason = "each test takes what it needs, and one that cannot go on should say where"
)]

pub mod bodies;
pub mod chaos;
pub mod command;
pub mod database;
pub mod random;
pub mod recordings;
pub mod tally;

use std::path::PathBuf;
use std::sync::OnceLock;

use chrono::{DateTime, Utc};
use coinmill::config::{Layers, Settings};
use coinmill::error::{Error, Result};
use coinmill::market::Slot;
use coinmill::pipeline::{self, Report};
use coinmill::sim::{ClockSetting, Market, Sim, SimOptions, SimPlan};
use coinmill::store::Absent;
use tempfile::TempDir;

pub use database::{Cell, Database, Kind};

/// Makes one test of each function for each kind of database: `postgresql::NAME` and `sqlite::NAME`.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        mod postgresql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::support::Kind::Postgres).await;
            })+
        }
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::support::Kind::Sqlite).await;
            })+
        }
    };
}
pub(crate) use on_both_databases;

/// The key of the tests: nothing may ever show it.
pub const KEY: &str = "CG-hush0Hush1Hush2";

/// An instant within the slot that the seeded markets stand in.
pub fn noon() -> DateTime<Utc> {
    "2026-01-14T12:10:00Z".parse().unwrap()
}

/// What is missing, in words.
pub fn named(missing: &[Absent]) -> Vec<String> {
    missing.iter().map(ToString::to_string).collect()
}

/// What a report says is missing, in words.
pub fn missing_of(report: &serde_json::Value) -> Vec<String> {
    let missing = report["missing"].as_array().into_iter().flatten();
    let named = missing.map(|it| format!("{} ({})", text_of(&it["what"]), text_of(&it["reason"])));
    named.collect()
}

fn text_of(value: &serde_json::Value) -> &str {
    value.as_str().unwrap()
}

/// That slot.
pub fn noon_slot() -> Slot {
    Slot::containing(noon())
}

/// A market, a landing and a database.
pub struct Bench {
    pub sim: Sim,
    pub database: Database,
    pub folder: TempDir,
}

impl Bench {
    /// A seeded market of so many coins, its clock standing still at [`noon`].
    pub async fn new(kind: Kind, coins: usize) -> Self {
        Self::playing(kind, coins, SimPlan::default()).await
    }

    /// The same, playing a host of the real API.
    pub async fn playing(kind: Kind, coins: usize, plan: SimPlan) -> Self {
        let market = Market::Seeded { seed: 1, coins };
        let clock = ClockSetting::Frozen(noon());
        Self::of(kind, market, clock, plan).await
    }

    /// A market of a folder of recordings, its clock standing still at the first.
    pub async fn recorded(kind: Kind, folder: PathBuf) -> Self {
        let market = Market::Recorded { folder };
        Self::of(kind, market, ClockSetting::System, SimPlan::default()).await
    }

    /// A seeded market at [`noon`] with a SQLite file that is not there yet, for a test that brings its own database.
    pub async fn market(coins: usize) -> Self {
        let options = SimOptions {
            market: Market::Seeded { seed: 1, coins },
            clock: ClockSetting::Frozen(noon()),
            ..SimOptions::default()
        };
        Self {
            sim: Sim::start(options).await.unwrap(),
            database: Database::bare(Kind::Sqlite).await,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    async fn of(kind: Kind, market: Market, clock: ClockSetting, plan: SimPlan) -> Self {
        let options = SimOptions {
            market,
            clock,
            plan,
            ..SimOptions::default()
        };
        let (sim, database) = tokio::join!(Sim::start(options), Database::ready(kind));
        Self {
            sim: sim.unwrap(),
            database,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn landing(&self) -> PathBuf {
        self.folder.path().join("landing")
    }

    /// Settings for this market and database, with these over them.
    pub fn settings(&self, with: &[(&str, &str)]) -> Settings {
        self.try_settings(with).unwrap()
    }

    /// As [`Bench::settings`], for those that cannot be.
    pub fn try_settings(&self, with: &[(&str, &str)]) -> Result<Settings> {
        let mut all = vec![
            ("api_url", self.sim.url()),
            ("plan", "unlimited".to_owned()),
            ("clock", "sim".to_owned()),
            ("data_dir", self.folder.path().display().to_string()),
            ("snapshot_url", self.database.url()),
            ("landing_dir", self.landing().display().to_string()),
        ];
        all.extend(
            with.iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        resolve(all)
    }

    /// One run, for the current slot.
    pub async fn run(&self, with: &[(&str, &str)]) -> Result<Report> {
        pipeline::run_snapshot(&self.settings(with), None, &pipeline::Observer::none()).await
    }

    /// One run, for this slot.
    pub async fn run_for(&self, slot: Slot, with: &[(&str, &str)]) -> Result<Report> {
        pipeline::run_snapshot(
            &self.settings(with),
            Some(slot),
            &pipeline::Observer::none(),
        )
        .await
    }

    pub fn fault(&self, text: &str) {
        self.sim.add_fault(text.parse().unwrap());
    }

    /// Answers the next call with this body, under 200.
    pub fn body(&self, text: &str) {
        self.fault(&format!("body:status=200,text={text}"));
    }

    /// The calls that the market has answered, as path and status.
    pub fn calls(&self) -> Vec<(String, u16)> {
        let log = self.sim.call_log();
        log.into_iter()
            .map(|call| (call.path, call.status))
            .collect()
    }

    /// The pages that the market was asked for, in order; 0 for coins by name.
    pub fn pages_requested(&self) -> Vec<u32> {
        let page = |path: &str| {
            let query = path.split_once('?').unwrap().1;
            let number = query.split('&').find_map(|part| part.strip_prefix("page="));
            if query.contains("ids=") {
                0
            } else {
                number.unwrap().parse().unwrap()
            }
        };
        self.calls().iter().map(|(path, _)| page(path)).collect()
    }

    /// The coins by market cap, as the market has them now.
    pub async fn ranking(&self, count: usize) -> Vec<String> {
        self.ids(&format!("/coins/markets?vs_currency=usd&per_page={count}"))
            .await
    }

    /// The coins of a page of the market. It is a call like any other.
    pub async fn ids(&self, target: &str) -> Vec<String> {
        let rows: Vec<serde_json::Value> = serde_json::from_str(&self.fetch(target).await).unwrap();
        let id = |row: &serde_json::Value| row["id"].as_str().unwrap().to_owned();
        rows.iter().map(id).collect()
    }

    /// What the market says, not through the product. It is a call like any other.
    pub async fn fetch(&self, target: &str) -> String {
        static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
        let client = CLIENT.get_or_init(|| {
            let _already_installed = rustls::crypto::ring::default_provider().install_default();
            // a connection that is kept would outlive the runtime of its test
            reqwest::Client::builder()
                .user_agent("a test")
                .pool_max_idle_per_host(0)
                .build()
                .unwrap()
        });
        let url = format!("{}{target}", self.sim.url());
        let response = client.get(url).send().await.unwrap();
        response.text().await.unwrap()
    }
}

/// Settings from these alone: neither the environment nor a file is read. A later value wins.
pub fn resolve<'a>(all: impl IntoIterator<Item = (&'a str, String)>) -> Result<Settings> {
    let all = all
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    Settings::resolve(&Layers::default().with_arguments(all)?)
}

/// The report within an [`Error::Incomplete`].
pub fn report_of(outcome: Result<Report>) -> serde_json::Value {
    match outcome {
        Err(Error::Incomplete { report, .. }) => *report,
        other => panic!("not incomplete: {other:?}"),
    }
}

/// What an error says, causes included; no secret of the tests is in it.
pub fn said(error: &Error) -> String {
    let chain = error.chain();
    assert_silent(&chain);
    assert_silent(&format!("{error:?}"));
    chain
}

/// Fails where a text holds the tests' key or the database's password.
pub fn assert_silent(text: &str) {
    for secret in secrets() {
        assert!(!text.contains(&secret), "a secret shows in: {text}");
    }
}

/// The key, and the administrator's password both plain and as it stands in the URL.
pub fn secrets() -> Vec<String> {
    let mut secrets = vec![KEY.to_owned()];
    if let Ok(url) = std::env::var(database::POSTGRES) {
        let url = url::Url::parse(&url).unwrap();
        let quoted = url.password().unwrap().to_owned();
        let plain = percent_encoding::percent_decode_str(&quoted);
        secrets.push(plain.decode_utf8().unwrap().into_owned());
        secrets.push(quoted);
    }
    secrets
}
