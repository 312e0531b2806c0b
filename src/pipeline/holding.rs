//! A slot as a run finds it: what it is to hold, and what it holds already.
//! What comes of the run is taken in by `intake`.

use std::collections::HashSet;

use crate::config::Settings;
use crate::error::Result;
use crate::market::{CoinId, Quote, Slot};
use crate::store::{SlotState, SnapshotStore};

/// What a slot holds when a run begins.
pub(super) struct Stored {
    pub(super) state: Option<SlotState>,
    pub(super) quotes: Vec<Quote>,
    /// Its records in quarantine, as body and place.
    pub(super) quarantined: HashSet<(String, u64)>,
}

impl Stored {
    /// Reads it.
    pub(super) async fn of(store: &mut SnapshotStore, slot: Slot) -> Result<Self> {
        let state = store.slot_state(slot).await?;
        if state.is_none() {
            return Ok(Self {
                state,
                quotes: Vec::new(),
                quarantined: HashSet::new(),
            });
        }
        Ok(Self {
            state,
            quotes: store.quotes(slot).await?,
            quarantined: store.refused_of(slot).await?,
        })
    }
}

/// What a slot is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// How many coins by market cap.
    pub(super) top: u32,
    /// Coins by name as well.
    pub(super) coins: Vec<CoinId>,
}

impl Wanted {
    /// What these settings ask for, and what earlier runs of the slot have asked for: a slot never becomes less than it was.
    pub(super) fn of(settings: &Settings, state: Option<&SlotState>) -> Self {
        let mut wanted = Self {
            top: settings.top,
            coins: settings.coins.clone(),
        };
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
