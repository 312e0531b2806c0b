//! Settings: from arguments, then the environment, then `coinmill.toml`, then defaults that work with nothing set.
//! One table names them all; the command line, Python and the docs are made from it. Nothing here connects to anything.

mod database_url;
mod layers;
mod portable;
mod retention;
mod shown;

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

pub use database_url::DatabaseUrl;
#[cfg(feature = "python")]
pub(crate) use layers::in_words;
pub use layers::{Layers, SETTINGS, Setting, Source};
pub use portable::{Portable, resolve_with, settled};
pub use retention::{Kept, Retention};
pub use shown::{ShownSetting, ShownSettings, shown};

use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::market::CoinId;
use crate::provider::{PUBLIC_URL, Plan, PlanKind};

/// The folder of the default databases and of the landing.
const DATA_DIR: &str = "coinmill-data";

/// How to know the present instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockSetting {
    /// The machine's clock.
    System,
    /// The clock of the `coinmill sim` at the API's address.
    Sim,
    /// One instant for ever.
    Frozen(DateTime<Utc>),
}

/// Bounds beyond which a quote is kept but warned about. Prices, caps and volumes are in `vs_currency`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Thresholds {
    /// The lowest price that is not remarkable.
    pub min_price: f64,
    /// The highest price that is not remarkable.
    pub max_price: f64,
    /// The lowest market cap that is not remarkable.
    pub min_market_cap: f64,
    /// The lowest 24 h volume that is not remarkable.
    pub min_volume: f64,
    /// The largest 24 h change, in percent either way, that is not remarkable.
    pub max_change_24h: f64,
    /// The oldest `last_updated`, in seconds before the response, that is not remarkable.
    pub stale_after: f64,
}

impl Default for Thresholds {
    /// Those of prices in US dollars.
    fn default() -> Self {
        Self {
            min_price: 1e-12,
            max_price: 1e6,
            min_market_cap: 1e4,
            min_volume: 1e3,
            max_change_24h: 50.0,
            stale_after: 3600.0,
        }
    }
}

impl Thresholds {
    /// The bound that a setting of this name gives.
    pub fn get(&self, setting: &str) -> Option<f64> {
        Some(match setting {
            "min_price" => self.min_price,
            "max_price" => self.max_price,
            "min_market_cap" => self.min_market_cap,
            "min_volume" => self.min_volume,
            "max_change_24h" => self.max_change_24h,
            "stale_after" => self.stale_after,
            _ => return None,
        })
    }

    /// The defaults for a currency: in any but US dollars no amount is remarkable, since the bounds are dollars.
    fn of_currency(vs_currency: &str) -> Self {
        if vs_currency == "usd" {
            return Self::default();
        }
        Self {
            min_price: 0.0,
            max_price: f64::MAX,
            min_market_cap: 0.0,
            min_volume: 0.0,
            ..Self::default()
        }
    }
}

/// A key for the API, which never prints.
#[derive(Clone)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// The key itself, for the request header alone.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Everything that a run can be told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The API's base URL, without a trailing slash.
    pub api_url: Url,
    /// The API key, where the plan has one.
    pub api_key: Option<ApiKey>,
    /// The API tier and its numbers.
    pub plan: Plan,
    /// The snapshot database.
    pub snapshot_url: DatabaseUrl,
    /// The time series database.
    pub timeseries_url: DatabaseUrl,
    /// The snapshot database as its owner, for `init` and `prune`.
    pub snapshot_owner_url: Option<DatabaseUrl>,
    /// The time series database as its owner, for `init` and `prune`.
    pub timeseries_owner_url: Option<DatabaseUrl>,
    /// Where the calls of the key are accounted for: the month's and the minute's.
    pub budget_url: DatabaseUrl,
    /// The same as its owner, for `init`.
    pub budget_owner_url: DatabaseUrl,
    /// Where received bytes are kept.
    pub landing_dir: PathBuf,
    /// How many coins a snapshot asks for, by market cap.
    pub top: u32,
    /// Of how many of them five-minute charts are kept, the largest first; `None` is all.
    pub chart_top: Option<u32>,
    /// Coins that are asked for by name: beside the largest, or alone.
    pub coins: Vec<CoinId>,
    /// True where the coins by name are the only ones.
    pub has_only_these: bool,
    /// The currency of prices, caps and volumes.
    pub vs_currency: String,
    /// How to know the present instant.
    pub clock: ClockSetting,
    /// The share of what was expected, in \[0, 1\], below which a run also returns an error.
    pub completeness: f64,
    /// The longest one HTTP call may take.
    pub timeout: Duration,
    /// How often a call is tried before it is given up.
    pub attempts: usize,
    /// The longest wait between two tries; a `Retry-After` beyond it gives the call up.
    pub max_wait: Duration,
    /// When a quote is warned about.
    pub thresholds: Thresholds,
    /// Warning rules whose quotes are refused, by name.
    pub refuse: Vec<String>,
    /// What follows when the API's bodies have other fields than are known.
    pub contract: Contract,
    /// How long points and received bodies are kept.
    pub retention: Retention,
}

impl Settings {
    /// Where the snapshot database is for what only its owner may do.
    pub fn snapshot_owner(&self) -> &DatabaseUrl {
        let owner = self.snapshot_owner_url.as_ref();
        owner.unwrap_or(&self.snapshot_url)
    }

    /// The same of the time series database.
    pub fn timeseries_owner(&self) -> &DatabaseUrl {
        let owner = self.timeseries_owner_url.as_ref();
        owner.unwrap_or(&self.timeseries_url)
    }

    /// Reads the environment and `coinmill.toml`, and lays the arguments over them.
    ///
    /// # Errors
    /// [`Error::Config`] naming the setting, where its value came from, and what would be right.
    pub fn load(arguments: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        Self::resolve(&Layers::gather(arguments)?)
    }

    /// The settings that these layers give. Pure.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn resolve(layers: &Layers) -> Result<Self> {
        let api_key = layers
            .get("api_key")
            .map(|key| ApiKey(SecretString::from(key.trim())));
        if api_key
            .as_ref()
            .is_some_and(|key| key.expose().chars().any(|c| !c.is_ascii_graphic()))
        {
            return Err(Error::config(
                "api_key holds white space or characters that no key has: copy the key again",
            ));
        }
        let default_kind = if api_key.is_some() {
            PlanKind::Demo
        } else {
            PlanKind::Keyless
        };
        let mut plan = Plan::documented(layers.read("plan")?.unwrap_or(default_kind));
        plan.calls_per_minute = layers
            .read_in("calls_per_minute", NonZeroU32::MIN..=NonZeroU32::MAX)?
            .or(plan.calls_per_minute);
        plan.credits_per_month = layers
            .read_in("credits_per_month", 0..=u64::MAX)?
            .or(plan.credits_per_month);
        plan.history_days = layers
            .read_in("history_days", 0..=u32::MAX)?
            .or(plan.history_days);

        let data_dir = layers
            .read_with("data_dir", folder)?
            .unwrap_or_else(|| PathBuf::from(DATA_DIR));
        let database = |name: &str| layers.read_with(name, DatabaseUrl::parse);
        let vs_currency = layers
            .read_with("vs_currency", currency)?
            .unwrap_or_else(|| "usd".to_owned());
        let top = layers.read_in("top", 0..=20_000)?.unwrap_or(250);
        let mut coins = layers.read_with("coins", coin_list)?.unwrap_or_default();
        let has_only_these = !coins.is_empty();
        for coin in layers
            .read_with("add_coins", coin_list)?
            .unwrap_or_default()
        {
            if !coins.contains(&coin) {
                coins.push(coin);
            }
        }
        let snapshot_url = database("snapshot_url")?
            .unwrap_or_else(|| DatabaseUrl::Sqlite(data_dir.join("snapshot.db")));
        let snapshot_owner_url = database("snapshot_owner_url")?;
        let own_budget = database("budget_url")?;
        let budget_owner_url = database("budget_owner_url")?
            .or_else(|| own_budget.clone())
            .or_else(|| snapshot_owner_url.as_ref().map(budget_beside))
            .unwrap_or_else(|| budget_beside(&snapshot_url));
        let default = Thresholds::of_currency(&vs_currency);
        let number = |name: &str, default: f64| {
            layers
                .read_in(name, 0.0..=f64::MAX)
                .map(|n| n.unwrap_or(default))
        };
        let settings = Self {
            api_url: layers
                .read_with("api_url", base_url)?
                .map_or_else(|| base_url(plan.default_api_url()), Ok)?,
            api_key,
            budget_url: own_budget.unwrap_or_else(|| budget_beside(&snapshot_url)),
            budget_owner_url,
            snapshot_url,
            timeseries_url: database("timeseries_url")?
                .unwrap_or_else(|| DatabaseUrl::Sqlite(data_dir.join("timeseries.db"))),
            snapshot_owner_url,
            timeseries_owner_url: database("timeseries_owner_url")?,
            landing_dir: layers
                .read_with("landing_dir", folder)?
                .unwrap_or_else(|| data_dir.join("landing")),
            top: if has_only_these { 0 } else { top },
            chart_top: layers.read_in("chart_top", 0..=20_000)?,
            coins,
            has_only_these,
            vs_currency,
            clock: layers
                .read_with("clock", clock)?
                .unwrap_or(ClockSetting::System),
            completeness: layers.read_in("completeness", 0.0..=1.0)?.unwrap_or(0.95),
            timeout: seconds(layers, "timeout", 30.0)?,
            attempts: layers.read_in("attempts", 1..=100)?.unwrap_or(5),
            max_wait: seconds(layers, "max_wait", 130.0)?,
            thresholds: Thresholds {
                min_price: number("min_price", default.min_price)?,
                max_price: number("max_price", default.max_price)?,
                min_market_cap: number("min_market_cap", default.min_market_cap)?,
                min_volume: number("min_volume", default.min_volume)?,
                max_change_24h: number("max_change_24h", default.max_change_24h)?,
                stale_after: number("stale_after", default.stale_after)?,
            },
            refuse: layers.read_with("refuse", names)?.unwrap_or_default(),
            contract: layers
                .read_with("contract", str::parse)?
                .unwrap_or_default(),
            retention: Retention::read(layers)?,
            plan,
        };
        if settings.top == 0 && settings.coins.is_empty() {
            return Err(Error::config(
                "no coins are chosen: set COINMILL_TOP above 0, or name coins in COINMILL_COINS",
            ));
        }
        Ok(settings)
    }

    /// Makes sure that the plan's host will let calls in. What makes no call needs no key.
    ///
    /// # Errors
    /// [`Error::Config`] where it wants a key and there is none.
    pub fn check_key(&self) -> Result<()> {
        let is_the_plan_s =
            self.api_url.as_str().trim_end_matches('/') == self.plan.default_api_url();
        let wants_one = matches!(self.plan.kind, PlanKind::Demo | PlanKind::Paid);
        if self.api_key.is_none() && wants_one && is_the_plan_s {
            return Err(Error::config(format!(
                "the plan {} needs a key: set COINMILL_API_KEY, or COINMILL_PLAN=keyless to go without",
                self.plan.kind
            )));
        }
        Ok(())
    }

    /// The name of the account of calls: a hash of the key, or of the API's address where there is no key.
    pub fn account(&self) -> String {
        let (kind, text) = match &self.api_key {
            Some(key) => ("key", key.expose()),
            None => ("address", self.api_url.as_str()),
        };
        let text = format!("coinmill {kind} {text}");
        let hash = hex::encode(digest(&SHA256, text.as_bytes()));
        hash.chars().take(16).collect()
    }
}

/// Where calls are accounted for unless a setting says so: in the snapshot database, or in a file beside a SQLite one.
fn budget_beside(snapshot: &DatabaseUrl) -> DatabaseUrl {
    match snapshot {
        DatabaseUrl::Sqlite(path) => DatabaseUrl::Sqlite(path.with_file_name("budget.db")),
        postgres @ DatabaseUrl::Postgres { .. } => postgres.clone(),
    }
}

fn folder(text: &str) -> Result<PathBuf> {
    match text.trim() {
        // it would be the folder in which the program happens to run
        "" => Err(Error::argument(
            "it is empty: name a folder, such as coinmill-data, or leave it out; . is the current one",
        )),
        path => Ok(PathBuf::from(path)),
    }
}

fn base_url(text: &str) -> Result<Url> {
    let shape = || Error::argument(format!("write the API's base URL like {PUBLIC_URL}"));
    let url = Url::parse(text.trim_end_matches('/')).map_err(|_| shape())?;
    let usable =
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none();
    if !usable {
        return Err(shape());
    }
    if url.password().is_some() || !url.username().is_empty() {
        return Err(Error::argument(
            "the API's URL must not hold a user or password: a key goes into COINMILL_API_KEY",
        ));
    }
    Ok(url)
}

fn coin_list(text: &str) -> Result<Vec<CoinId>> {
    // CoinGecko drops, without an error, what follows a space in its list, so spaces are ours to remove
    let mut coins = Vec::new();
    for id in text.split(',').map(str::trim).filter(|id| !id.is_empty()) {
        let id: CoinId = id.parse()?;
        if !coins.contains(&id) {
            coins.push(id);
        }
    }
    Ok(coins)
}

fn names(text: &str) -> Result<Vec<String>> {
    let names = text.split(',').map(str::trim);
    Ok(names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect())
}

fn currency(text: &str) -> Result<String> {
    let code = text.trim().to_ascii_lowercase();
    if code.is_empty() || code.len() > 12 || !code.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(Error::argument(
            "write the currency as its code, such as usd, eur or btc",
        ));
    }
    Ok(code)
}

fn clock(text: &str) -> Result<ClockSetting> {
    match text {
        "system" => Ok(ClockSetting::System),
        "sim" => Ok(ClockSetting::Sim),
        _ => DateTime::parse_from_rfc3339(text)
            .map(|instant| ClockSetting::Frozen(instant.to_utc()))
            .map_err(|_| {
                Error::argument("write system, sim, or an instant like 2026-01-31T00:30:00Z")
            }),
    }
}

fn seconds(layers: &Layers, name: &str, default: f64) -> Result<Duration> {
    let value = layers.read_in(name, 0.001..=86_400.0)?.unwrap_or(default);
    Ok(Duration::from_secs_f64(value))
}
