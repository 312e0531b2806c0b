//! What has been changed of a seeded market's coins: delisted, listed again, renamed. It holds from then on, whatever the clock says.
//! The market applies it where it names its coins.

use std::borrow::Cow;
use std::collections::HashMap;

use super::universe::Coin;

/// A change of one coin. What is not given stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CoinChange {
    /// False takes it off the market, as CoinGecko does with a dead coin; true brings it back.
    pub listed: Option<bool>,
    /// Another symbol.
    pub symbol: Option<String>,
    /// Another name.
    pub name: Option<String>,
}

/// The changes so far, by coin.
#[derive(Debug, Default)]
pub struct Changes(HashMap<String, CoinChange>);

impl Changes {
    /// Makes a change, after those before it.
    pub fn make(&mut self, id: &str, change: CoinChange) {
        let sum = self.0.entry(id.to_owned()).or_default();
        sum.listed = change.listed.or(sum.listed);
        sum.symbol = change.symbol.or(sum.symbol.take());
        sum.name = change.name.or(sum.name.take());
    }

    /// The coin as it is by now; none where it is delisted.
    pub fn applied<'a>(&self, coin: &'a Coin) -> Option<Cow<'a, Coin>> {
        let Some(change) = self.0.get(&coin.id) else {
            return Some(Cow::Borrowed(coin));
        };
        let now = Coin {
            symbol: change.symbol.as_ref().unwrap_or(&coin.symbol).clone(),
            name: change.name.as_ref().unwrap_or(&coin.name).clone(),
            ..coin.clone()
        };
        (change.listed != Some(false)).then_some(Cow::Owned(now))
    }
}
