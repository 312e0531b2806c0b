//! The status: the databases made ready, what they hold, and the runs that filled them.
//! Nothing here calls CoinGecko.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::terms::outlook;
use crate::config::{DatabaseUrl, Settings};
use crate::contract::Drift;
use crate::error::Result;
use crate::http;
use crate::market::{Quote, Slot};
use crate::store::{
    Budget, Database, Holdings, RunRow, SeriesHoldings, SnapshotStore, StoredListing, Tables,
    TimeseriesStore, Warnings,
};

/// Makes or migrates the databases, as their owner where one is named. Repeating it changes nothing.
///
/// # Errors
/// [`crate::error::Error::Config`] and [`crate::error::Error::Store`], as the database gives them.
pub async fn init(settings: &Settings) -> Result<()> {
    SnapshotStore::init(settings.snapshot_owner(), &settings.vs_currency).await?;
    TimeseriesStore::init(settings.timeseries_owner(), &settings.vs_currency).await?;
    Budget::init(&settings.budget_owner_url).await
}

/// Calls charged or reserved in the month of an instant; none are counted under a plan without limits.
pub(super) async fn spent(settings: &Settings, now: DateTime<Utc>) -> Result<u64> {
    let plan = &settings.plan;
    if plan.credits_per_month.is_none() && plan.calls_per_minute.is_none() {
        return Ok(0);
    }
    let account = settings.account();
    let Some(mut budget) = Budget::open_existing(&settings.budget_url, account).await? else {
        return Ok(0);
    };
    let spent = match settings.api_key {
        Some(_) => budget.spent(now).await?,
        None => budget.spent_by_any(now).await?,
    };
    budget.close().await?;
    Ok(spent)
}

/// The newest runs of both databases, newest first.
///
/// # Errors
/// As [`init`].
pub async fn runs(settings: &Settings, limit: u32) -> Result<Vec<RunRow>> {
    let mut store =
        SnapshotStore::open_existing(&settings.snapshot_url, &settings.vs_currency).await?;
    let mut runs = store.runs(limit).await?;
    store.close().await?;
    if let Some(mut store) = timeseries(settings).await? {
        runs.extend(store.runs(limit).await?);
        store.close().await?;
    }
    runs.sort_by(|a, b| (b.started_at, &b.id).cmp(&(a.started_at, &a.id)));
    runs.truncate(limit as usize);
    Ok(runs)
}

/// The time series database; none where it is a SQLite file that no run has made yet.
pub(super) async fn timeseries(settings: &Settings) -> Result<Option<TimeseriesStore>> {
    if_there(&settings.timeseries_url, &settings.vs_currency).await
}

/// Either database at a URL; none where it is a SQLite file that no run has made yet.
pub(super) async fn if_there<T: Tables>(
    url: &DatabaseUrl,
    vs_currency: &str,
) -> Result<Option<Database<T>>> {
    if url.file().is_some_and(|file| !file.exists()) {
        return Ok(None);
    }
    Database::open_existing(url, vs_currency).await.map(Some)
}

/// The quotes of the newest slot, by market cap, the largest first.
///
/// # Errors
/// As [`init`].
pub async fn latest_quotes(settings: &Settings) -> Result<Vec<Quote>> {
    let mut store =
        SnapshotStore::open_existing(&settings.snapshot_url, &settings.vs_currency).await?;
    let quotes = match store.newest_slot(None, None).await? {
        Some(slot) => store.quotes(slot).await?,
        None => Vec::new(),
    };
    store.close().await?;
    Ok(quotes)
}

/// The status.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The snapshot database, without its password.
    pub snapshot_url: String,
    /// What it holds.
    pub snapshot: Holdings,
    /// The quotes of the newest snapshot, and how many of them have a warning; null where there is none.
    pub newest: Option<Warned>,
    /// The newest list of all coins; null where none was ever stored.
    pub listing: Option<StoredListing>,
    /// The time series database, without its password.
    pub timeseries_url: String,
    /// What it holds, by resolution.
    pub timeseries: Vec<SeriesHoldings>,
    /// The current slot.
    #[serde(rename = "snapshot_time")]
    pub slot: Slot,
    /// Its state: `complete`, `partial` or `not fetched yet`.
    pub snapshot_state: String,
    /// True where neither the current slot nor the one before it holds anything: nothing runs, or nothing comes.
    pub is_stale: bool,
    /// The plan.
    pub plan: &'static str,
    /// The current month (UTC), such as `2026-01`.
    pub month: String,
    /// Calls charged or reserved this month.
    pub credits: u64,
    /// The plan's calls a month; null is no limit.
    pub credits_per_month: Option<u64>,
    /// What of the settings the plan cannot give, in words.
    pub advice: Option<String>,
    /// Where received bytes are kept.
    pub landing_dir: String,
    /// Fields of CoinGecko's bodies that are not as they are known to be, over all runs.
    pub drift: Vec<Drift>,
}

/// How many quotes there are, and how many of them have a warning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Warned {
    /// Quotes.
    pub quotes: u64,
    /// Quotes with any warning.
    pub warned: u64,
}

impl From<Warnings> for Warned {
    fn from(found: Warnings) -> Self {
        Self {
            quotes: found.quotes,
            warned: found.warned,
        }
    }
}

/// Looks at what stands.
///
/// # Errors
/// As [`init`].
pub async fn status(settings: &Settings) -> Result<Status> {
    let now = http::now(settings).await;
    let slot = Slot::containing(now);
    let mut store =
        SnapshotStore::open_existing(&settings.snapshot_url, &settings.vs_currency).await?;
    let state = store.slot_state(slot, None).await?;
    let (mut timeseries, mut drift) = (Vec::new(), Vec::new());
    if let Some(mut series) = self::timeseries(settings).await? {
        timeseries = series.holdings().await?;
        drift = series.drift().await?;
        series.close().await?;
    }
    drift.extend(store.drift().await?);
    let holdings = store.holdings().await?;
    let newest = match store.newest_slot(None, None).await? {
        Some(slot) => {
            let end = slot.start() + Slot::LENGTH;
            let found = store.warnings_between(slot.start(), end).await?;
            Some(Warned::from(found))
        }
        None => None,
    };
    let is_stale = holdings
        .newest_slot
        .is_none_or(|newest| newest + Slot::LENGTH < slot.start());
    let status = Status {
        is_stale,
        snapshot_url: settings.snapshot_url.to_string(),
        snapshot: holdings,
        newest,
        listing: store.newest_listing(None).await?,
        timeseries_url: settings.timeseries_url.to_string(),
        timeseries,
        slot,
        snapshot_state: state.map_or_else(|| "not fetched yet".to_owned(), |state| state.state),
        plan: settings.plan.kind.name(),
        month: now.format("%Y-%m").to_string(),
        credits: spent(settings, now).await?,
        credits_per_month: settings.plan.credits_per_month,
        advice: outlook(settings, now).advice,
        landing_dir: settings.landing_dir.display().to_string(),
        drift,
    };
    store.close().await?;
    Ok(status)
}
