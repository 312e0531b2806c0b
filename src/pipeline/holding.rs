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
    /// Coins asked for by name that are stored from earlier slots.
    pub(super) seen_before: HashSet<CoinId>,
}

impl Stored {
    /// Reads it.
    pub(super) async fn of(
        store: &mut SnapshotStore,
        slot: Slot,
        settings: &Settings,
    ) -> Result<Self> {
        let state = store.slot_state(slot, None).await?;
        let named = Wanted::of(settings, state.as_ref()).coins;
        let seen_before = store.coins_before(slot, &named).await?;
        let (quotes, quarantined) = if state.is_some() {
            (store.quotes(slot).await?, store.refused_of(slot).await?)
        } else {
            Default::default()
        };
        Ok(Self {
            state,
            quotes,
            quarantined,
            seen_before,
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
