//! A slot as a run finds it: what it holds already, and what is landed for it.
//! What comes of the run is taken in by `intake`.

use std::collections::HashSet;

use super::in_time::is_in_time;
use super::terms::{RunSettings, Terms, Wanted};
use crate::coingecko;
use crate::error::Result;
use crate::landing::{self, Landed};
use crate::market::{CoinId, Quote, Slot};
use crate::store::{Account, SlotState, SnapshotStore};

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
    pub(super) async fn of(store: &mut SnapshotStore, slot: Slot, wanted: &Wanted) -> Result<Self> {
        let state = store.slot_state(slot, None).await?;
        let named = wanted.with_earlier(state.as_ref()).coins;
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

    /// True where the slot holds all that is asked for now, which may be more than it was asked for before.
    pub(super) fn is_done(&self, state: &SlotState, run_settings: &RunSettings) -> bool {
        let Account {
            unknown, refused, ..
        } = &state.account;
        // what was left out by other settings may be taken by these
        let still_refused = refused.iter().all(|refused| {
            let mut rules = refused.rules.iter();
            rules.any(|rule| run_settings.refuse.contains(rule))
        });
        let is_settled = |coin: &CoinId| {
            self.quotes.iter().any(|quote| quote.id == *coin)
                || unknown.iter().any(|id| id == coin.as_str())
                || refused
                    .iter()
                    .any(|refused| refused.coin_id == coin.as_str())
        };
        state.is_complete()
            && still_refused
            && u64::from(run_settings.wanted.top) <= state.top
            && run_settings.wanted.coins.iter().all(is_settled)
    }
}

/// The bodies that earlier runs of a kind have landed for a slot, stored or not.
///
/// # Errors
/// [`crate::error::Error::Store`] when the landing cannot be read.
pub(super) fn landed(slot: Slot, kind: &str, terms: &Terms) -> Result<Vec<Landed>> {
    let page = String::from(coingecko::markets(vec![]).url(&terms.api_url));
    let (endpoint, _) = page.split_once('?').unwrap_or((page.as_str(), ""));
    let ours = format!("GET {endpoint}?");
    let runs = landing::runs_of(&terms.landing_dir, slot.start().date_naive())?.into_iter();
    let name = Some(slot.to_string());
    Ok(runs
        .filter(|(header, _)| {
            header.kind == kind && header.slot == name && header.vs_currency == terms.vs_currency
        })
        .flat_map(|(_, bodies)| bodies)
        .filter(|landed| {
            landed.status == 200
                && landed.request.starts_with(&ours)
                && is_in_time(slot, landed.sent_at())
                && is_in_time(slot, landed.made_at())
        })
        .collect())
}
