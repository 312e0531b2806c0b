//! The coins whose charts are followed: those of a snapshot, those that the snapshot should have held, and those by name.
//! Which of their charts are due is decided by the runs.

use super::terms::Wanted;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::market::{CoinId, Slot};
use crate::store::{Absent, SnapshotStore};

/// Coins to follow, and what of the snapshot cannot be followed.
#[derive(Debug, Default)]
pub(super) struct Universe {
    pub(super) coins: Vec<CoinId>,
    pub(super) missing: Vec<Absent>,
    /// Coins by name that CoinGecko is known not to know.
    pub(super) unknown: Vec<String>,
}

impl Universe {
    /// The coins of the newest snapshot, as many as that was asked for, and those by name; or those by name alone.
    ///
    /// # Errors
    /// [`Error::Config`] where there is no coin to follow.
    pub(super) async fn newest(
        store: &mut SnapshotStore,
        wanted: &Wanted,
        has_only_these: bool,
    ) -> Result<Self> {
        let slot = store.newest_slot(None, None).await?;
        let mut universe = Self::default();
        let mut unknown = Vec::new();
        if let Some(slot) = slot {
            let top = has_only_these.then_some(0);
            unknown = universe.add_slot(store, slot, top).await?;
        } else if wanted.top > 0 {
            universe.missing.push(Absent::other(
                format!("the top {} coins", wanted.top),
                "there is no snapshot yet: run `coinmill run snapshot`",
            ));
        }
        universe.with_named(slot, &unknown, wanted)
    }

    /// The largest coins of a snapshot, as many as are wanted.
    ///
    /// # Errors
    /// As [`Self::newest`].
    pub(super) async fn largest(
        store: &mut SnapshotStore,
        slot: Option<Slot>,
        wanted: &Wanted,
    ) -> Result<Self> {
        let mut universe = Self::default();
        let mut unknown = Vec::new();
        if let Some(slot) = slot {
            unknown = universe.add_slot(store, slot, Some(wanted.top)).await?;
        }
        universe.with_named(slot, &unknown, wanted)
    }

    /// Adds the coins of a snapshot, and returns those by name that CoinGecko is known not to know.
    async fn add_slot(
        &mut self,
        store: &mut SnapshotStore,
        slot: Slot,
        top: Option<u32>,
    ) -> Result<Vec<String>> {
        let quotes = store.quotes(slot).await?.into_iter();
        let most = top.map_or(usize::MAX, |top| top as usize);
        self.coins.extend(quotes.map(|quote| quote.id).take(most));
        let Some(state) = store.slot_state(slot, None).await? else {
            return Ok(Vec::new());
        };
        // of fewer coins than the snapshot was asked for, it is not known whether the missing are among them
        if top.is_some_and(|top| u64::from(top) < state.top) {
            return Ok(state.account.unknown);
        }
        for absent in state.account.missing {
            match absent.coin_id {
                Some(coin) => self.add(CoinId::from_source(coin)),
                None => self.missing.push(Absent::other(
                    format!("{} of the snapshot {slot}", absent.what),
                    absent.reason,
                )),
            }
        }
        Ok(state.account.unknown)
    }

    /// Adds those that are wanted by name, but those that CoinGecko is known not to know.
    fn with_named(
        mut self,
        slot: Option<Slot>,
        unknown: &[String],
        wanted: &Wanted,
    ) -> Result<Self> {
        for coin in &wanted.coins {
            if unknown.iter().any(|id| id == coin.as_str()) {
                self.unknown.push(coin.to_string());
            } else {
                self.add(coin.clone());
            }
        }
        if !self.coins.is_empty() {
            return Ok(self);
        }
        if !self.unknown.is_empty() {
            return Err(Error::config(format!(
                "CoinGecko knows no {}: correct COINMILL_COINS, ids are not symbols",
                self.unknown.join(", ")
            )));
        }
        let named = "or name coins in COINMILL_COINS";
        Err(Error::config(match slot {
            None => format!(
                "there is no snapshot yet, so no coins to follow: run `coinmill run snapshot` (or `run all`) first, {named}"
            ),
            Some(slot) => format!(
                "the newest snapshot, slot {slot}, holds no coin to follow: `coinmill quarantine list` says what was \
                 refused; take another snapshot in the next half-hour, {named}"
            ),
        }))
    }

    /// The coins whose charts are wanted, the dearest first: those by name, then the largest.
    pub(super) fn for_charts(&self, settings: &Settings) -> Vec<CoinId> {
        let named = |coin: &&CoinId| settings.coins.contains(coin);
        let most = settings.chart_top.map_or(usize::MAX, |top| top as usize);
        let largest = self.coins.iter().filter(|coin| !named(coin)).take(most);
        let by_name = self.coins.iter().filter(named);
        by_name.chain(largest).cloned().collect()
    }

    fn add(&mut self, coin: CoinId) {
        if !self.coins.contains(&coin) {
            self.coins.push(coin);
        }
    }
}
