//! The coins that can be meant: those of the list of all coins and those of snapshots, the most likely first.
//! It reads what is stored, and makes no call to say what may have been meant.

use std::collections::BTreeMap;

use super::suggest::{Known, suggest};
use crate::error::Result;
use crate::market::CoinId;
use crate::store::SnapshotStore;

/// All of them: by their rank in the newest snapshot, then those without one, then the delisted.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub(super) async fn known_coins(store: &mut SnapshotStore) -> Result<Vec<Known>> {
    let named = store.names().await?.into_iter().map(Known::from);
    let mut known: BTreeMap<String, Known> = named.map(|it| (it.id.clone(), it)).collect();
    for coin in store.listed(None).await? {
        let mut listed = Known::from(coin);
        // a snapshot may have a newer symbol than the day's list: either can be meant
        if let Some(quoted) = known.remove(&listed.id) {
            listed.also = [quoted.symbol, quoted.name];
        }
        known.insert(listed.id.clone(), listed);
    }
    for (coin, rank) in store.newest_ranks().await? {
        if let Some(known) = known.get_mut(coin.as_str()) {
            known.rank = rank;
        }
    }
    let mut known: Vec<Known> = known.into_values().collect();
    // they come by id, and stay so within a rank
    known.sort_by_key(|coin| (coin.delisted_at.is_some(), coin.rank.is_none(), coin.rank));
    Ok(known)
}

/// What is said of a coin of which nothing is stored: since when it is delisted, or what may have been meant.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub(super) async fn doubt(store: &mut SnapshotStore, coin: &CoinId) -> Result<String> {
    let known = known_coins(store).await?;
    let own = known.iter().find(|known| known.id == coin.as_str());
    Ok(match own {
        Some(own) => match own.delisted() {
            Some(delisted) => format!("{coin} is {delisted}"),
            None => format!("CoinGecko knows {coin}"),
        },
        None => match suggest(coin.as_str(), &known) {
            Some(suggestion) => suggestion.to_string(),
            None => "ids are CoinGecko's own, not symbols: `coinmill search` finds them".to_owned(),
        },
    })
}
