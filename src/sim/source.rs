//! The market behind the server, seeded or recorded, with one face for both.
//! It adds nothing of its own to what they answer.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::changes::CoinChange;
use super::clock::ClockSetting;
use super::pages::Upset;
use super::query::{ChartQuery, MarketsQuery};
use super::recorded::RecordedMarket;
use super::recording::Recording;
use super::response::Response;
use super::seeded::SeededMarket;
use crate::error::{Error, Result};

/// The most coins that a seeded market can have: about as many as the real one.
pub const MOST_COINS: usize = 20_000;

/// Where the market's figures come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Market {
    /// Invented from a seed, for coins real and (beyond about 150) invented.
    Seeded {
        /// The seed: the same one gives the same market.
        seed: u64,
        /// How many coins, up to 20,000.
        coins: usize,
    },
    /// Served from a folder of recorded responses.
    Recorded {
        /// The folder, with `markets/`, `chart/` and `list/` in it.
        folder: PathBuf,
    },
}

impl Default for Market {
    fn default() -> Self {
        Self::Seeded {
            seed: 1,
            coins: 1000,
        }
    }
}

/// An opened market.
#[derive(Debug)]
pub enum Source {
    /// See [`SeededMarket`].
    Seeded(SeededMarket),
    /// See [`RecordedMarket`].
    Recorded(RecordedMarket),
}

impl Source {
    /// Opens a market; that of a folder reads its files.
    ///
    /// # Errors
    /// [`Error::Argument`] for too many coins, [`Error::Config`] where the folder is of no use.
    pub fn open(market: &Market) -> Result<Self> {
        match market {
            Market::Seeded { coins, .. } if !(1..=MOST_COINS).contains(coins) => {
                Err(Error::argument(format!(
                    "a seeded market cannot have {coins} coins: give a number from 1 to {MOST_COINS}"
                )))
            }
            Market::Seeded { seed, coins } => Ok(Self::Seeded(SeededMarket::new(*seed, *coins))),
            Market::Recorded { folder } => RecordedMarket::open(folder).map(Self::Recorded),
        }
    }

    /// The clock for a setting: a recorded market's own begins at its first recording and stands still.
    pub fn clock(&self, setting: ClockSetting) -> ClockSetting {
        match (self, setting) {
            (Self::Recorded(market), ClockSetting::System) => {
                market.first().map_or(setting, ClockSetting::Frozen)
            }
            _ => setting,
        }
    }

    /// `seeded` or `recorded`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Seeded(_) => "seeded",
            Self::Recorded(_) => "recorded",
        }
    }

    /// The recordings with a known instant, oldest first; none for a seeded market.
    pub fn recordings(&self) -> &[Recording] {
        match self {
            Self::Seeded(_) => &[],
            Self::Recorded(market) => market.recordings(),
        }
    }

    /// The instant of the next recording after `now`.
    pub fn next(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Seeded(_) => None,
            Self::Recorded(market) => market.next(now),
        }
    }

    /// Changes a coin from now on.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is none of this id, or the market is recorded.
    pub fn change(&self, id: &str, change: CoinChange) -> Result<()> {
        match self {
            Self::Seeded(market) if market.change(id, change) => Ok(()),
            Self::Seeded(_) => Err(Error::argument(format!(
                "the market has no coin {id}: give an id of its /coins/list"
            ))),
            Self::Recorded(_) => Err(Error::argument(
                "a recorded market is as it was: change a coin of a seeded one",
            )),
        }
    }

    /// `/coins/list`.
    ///
    /// # Errors
    /// The refusal, as a response.
    pub fn list(&self, now: DateTime<Utc>) -> Result<Response, Response> {
        match self {
            Self::Seeded(market) => market.list(now),
            Self::Recorded(market) => market.list(now),
        }
    }

    /// `/coins/markets`.
    ///
    /// # Errors
    /// The refusal, as a response.
    pub fn markets(
        &self,
        query: &MarketsQuery,
        upset: &Upset,
        now: DateTime<Utc>,
    ) -> Result<Response, Response> {
        match self {
            Self::Seeded(market) => market.markets(query, upset, now),
            Self::Recorded(market) => market.markets(query, upset, now),
        }
    }

    /// `/coins/{id}/market_chart` and `/coins/{id}/market_chart/range`.
    ///
    /// # Errors
    /// The refusal, as a response.
    pub fn chart(&self, query: &ChartQuery, now: DateTime<Utc>) -> Result<Response, Response> {
        match self {
            Self::Seeded(market) => market.chart(query, now),
            Self::Recorded(market) => market.chart(query, now),
        }
    }
}
