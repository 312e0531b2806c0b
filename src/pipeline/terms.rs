//! What the settings come to for the steps of a run, as values: which coins, by which bounds, and how bodies are read.
//! Databases, clients and clocks are made by the runs themselves.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::coingecko;
use crate::config::{Settings, Thresholds};
use crate::contract::Contract;
use crate::error::Result;
use crate::market::{CoinId, Slot};
use crate::planner::{Demand, Means, Outlook};
use crate::quality::Rules;
use crate::store::SlotState;

/// Which coins are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// How many coins by market cap.
    pub(super) top: u32,
    /// Coins by name as well.
    pub(super) coins: Vec<CoinId>,
}

impl Wanted {
    /// What the settings ask for.
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            top: settings.top,
            coins: settings.coins.clone(),
        }
    }

    /// The same, and what earlier runs of a slot have asked for: a slot never becomes less than it was.
    pub(super) fn with_earlier(&self, state: Option<&SlotState>) -> Self {
        let mut wanted = self.clone();
        if let Some(state) = state {
            let top = u32::try_from(state.top).unwrap_or(u32::MAX);
            wanted.top = wanted.top.max(top);
            let named = state.account.named.iter().cloned();
            for coin in named.map(CoinId::from_source) {
                if !wanted.coins.contains(&coin) {
                    wanted.coins.push(coin);
                }
            }
        }
        wanted
    }
}

/// What a run is to fetch, and the bounds of its rules: with its landed bodies, all that its rows follow from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RunSettings {
    #[serde(flatten)]
    pub(super) wanted: Wanted,
    pub(super) thresholds: Thresholds,
    pub(super) refuse: Vec<String>,
}

impl RunSettings {
    /// What the settings ask for.
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            wanted: Wanted::of(settings),
            thresholds: settings.thresholds,
            refuse: settings.refuse.clone(),
        }
    }

    /// As it was written into the ledger.
    pub(super) fn from_ledger(text: Option<&str>) -> Option<Self> {
        serde_json::from_str(text?).ok()
    }

    /// The rules with these bounds.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`] for a name that is no warning rule.
    pub(super) fn rules(&self) -> Result<Rules> {
        Rules::new(self.thresholds, &self.refuse)
    }
}

/// How the bodies of a run are read.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    /// The API that they are from.
    pub(super) api_url: Url,
    /// The currency of their prices.
    pub(super) vs_currency: String,
    /// Where they are kept.
    pub(super) landing_dir: PathBuf,
    /// What follows when their fields are not the known ones.
    pub(super) contract: Contract,
    /// What their records are held against.
    pub(super) rules: Rules,
}

impl Terms {
    /// As the settings say.
    ///
    /// # Errors
    /// As [`RunSettings::rules`].
    pub(super) fn of(settings: &Settings) -> Result<Self> {
        Ok(Self {
            api_url: settings.api_url.clone(),
            vs_currency: settings.vs_currency.clone(),
            landing_dir: settings.landing_dir.clone(),
            contract: settings.contract,
            rules: Rules::new(settings.thresholds, &settings.refuse)?,
        })
    }
}

/// What the settings ask of the plan in every half-hour.
pub(super) fn demand(settings: &Settings) -> Demand {
    let named = settings.coins.len() as u64;
    let top = u64::from(settings.top);
    let largest = settings.chart_top.map_or(top, |most| top.min(most.into()));
    Demand {
        top,
        named,
        pages: coingecko::pages(settings.top).len() as u64,
        lists: coingecko::by_ids(&settings.vs_currency, &settings.coins).len() as u64,
        charts: largest + named,
    }
}

/// What the plan has for charts at an instant, when so many calls of the month are spent and that is the newest slot.
pub(super) fn means(
    settings: &Settings,
    spent: u64,
    newest: Option<Slot>,
    now: DateTime<Utc>,
) -> Means {
    let is_taken = newest.is_some_and(|newest| newest >= Slot::containing(now));
    let snapshot = demand(settings).snapshot();
    Means::of(&settings.plan, spent, snapshot, is_taken, now)
}

/// What the settings ask of the plan, month after month, and what of it cannot be had.
pub fn outlook(settings: &Settings, now: DateTime<Utc>) -> Outlook {
    demand(settings).outlook(&settings.plan, now)
}
