//! What may have been meant by a coin that is not known: a symbol, a name, or an id written a little differently.
//! Pure. A suggestion is said, and never used in place of what was asked for.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::market::Quote;
use crate::store::{ListedCoin, Named};

/// A coin that can be meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) symbol: Option<String>,
    pub(super) name: Option<String>,
    /// Its symbol and name in the newest snapshot, where a list has others.
    pub(super) also: [Option<String>; 2],
    /// Its rank in the newest snapshot.
    pub(super) rank: Option<i64>,
    /// Since when it is delisted; none where it is not, or nobody knows.
    pub(super) delisted_at: Option<DateTime<Utc>>,
}

/// What may have been meant, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Suggestion {
    wanted: String,
    /// What it is.
    pub(super) meant: Meant,
}

/// What a wanted text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meant {
    /// The symbol of these coins.
    Symbol(Vec<String>),
    /// The name of these coins.
    Name(Vec<String>),
    /// Nearly this id.
    Id(String),
}

/// How alike two ids have to be, from 0 to 1 (Jaro-Winkler).
pub(super) const ALIKE: f64 = 0.9;

/// The most coins that a suggestion names: 74 coins share one symbol.
const NAMED: usize = 3;

impl From<Named> for Known {
    fn from((coin, symbol, name): Named) -> Self {
        Self {
            id: coin.to_string(),
            symbol: Some(symbol),
            name,
            ..Self::default()
        }
    }
}

impl From<ListedCoin> for Known {
    fn from(coin: ListedCoin) -> Self {
        Self {
            id: coin.id.to_string(),
            delisted_at: coin.delisted_at(),
            symbol: Some(coin.symbol),
            name: coin.name,
            ..Self::default()
        }
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, rank, .. } = self;
        write!(f, "{id} ({}, ", name.as_deref().unwrap_or("no name"))?;
        match (self.delisted(), rank) {
            (Some(delisted), _) => write!(f, "{delisted})"),
            (None, Some(rank)) => write!(f, "rank {rank})"),
            (None, None) => f.write_str("no rank)"),
        }
    }
}

impl Known {
    /// A coin that is delisted, in words.
    pub(super) fn delisted(&self) -> Option<String> {
        let at = self.delisted_at?;
        Some(format!("delisted since {}", at.format("%Y-%m-%d")))
    }

    /// The coin of a quote.
    pub(super) fn of(quote: &Quote) -> Self {
        Self {
            id: quote.id.to_string(),
            symbol: Some(quote.symbol.clone()),
            name: quote.name.clone(),
            rank: quote.market_cap_rank,
            ..Self::default()
        }
    }
}

impl Suggestion {
    /// The coin that is most likely meant: of several with one symbol, the first that is known.
    pub(super) fn coin(self) -> Option<String> {
        match self.meant {
            Meant::Id(id) => Some(id),
            Meant::Symbol(coins) | Meant::Name(coins) => coins.into_iter().next(),
        }
    }
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, coins) = match &self.meant {
            Meant::Id(id) => return write!(f, "did you mean {id}?"),
            Meant::Symbol(coins) => ("symbol", coins),
            Meant::Name(coins) => ("name", coins),
        };
        let named: Vec<&str> = coins.iter().take(NAMED).map(String::as_str).collect();
        write!(f, "{} is the {what} of {}", self.wanted, named.join(", "))?;
        match coins.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// What may have been meant: an id in other letters, a symbol, a name, or else the id that is most alike. Coins of one symbol
/// stay in the order in which they are known; a delisted one counts where nothing that is listed has the symbol, or by its id.
pub(super) fn suggest(wanted: &str, known: &[Known]) -> Option<Suggestion> {
    let text = wanted.to_lowercase();
    let same = |other: &str| other.to_lowercase() == text;
    let with = |field: fn(&Known) -> Option<&str>| -> Option<Vec<String>> {
        let coins = || known.iter().filter(|coin| field(coin).is_some_and(same));
        let is_listed = |coin: &&Known| coin.delisted_at.is_none();
        let any_listed = coins().any(|coin| is_listed(&coin));
        let coins = coins().filter(|coin| !any_listed || is_listed(coin));
        let ids: Vec<String> = coins.map(|coin| coin.id.clone()).collect();
        (!ids.is_empty()).then_some(ids)
    };
    let alike = || {
        let ids = known.iter().map(|coin| coin.id.as_str());
        ids.map(|id| (id, strsim::jaro_winkler(&id.to_lowercase(), &text)))
            .filter(|&(_, likeness)| likeness > ALIKE)
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(id, _)| Meant::Id(id.to_owned()))
    };
    let meant = known
        .iter()
        .find(|coin| same(&coin.id))
        .map(|coin| Meant::Id(coin.id.clone()))
        .or_else(|| with(|coin| coin.symbol.as_deref()).map(Meant::Symbol))
        .or_else(|| with(|coin| coin.name.as_deref()).map(Meant::Name))
        .or_else(alike)?;
    Some(Suggestion {
        wanted: wanted.to_owned(),
        meant,
    })
}

#[cfg(test)]
impl Known {
    /// A coin without a rank.
    pub(super) fn new(id: &str, symbol: &str, name: &str) -> Self {
        Self {
            id: id.to_owned(),
            symbol: Some(symbol.to_owned()),
            name: Some(name.to_owned()),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<Known> {
        let coin = Known::new;
        let mut known = vec![
            coin("bitcoin", "btc", "Bitcoin"),
            coin("bitcoin-cash", "bch", "Bitcoin Cash"),
        ];
        known.extend((0..5).map(|chain| coin(&format!("weth-{chain}"), "weth", "WETH")));
        known
    }

    #[test]
    fn a_symbol_a_name_and_a_slip_are_each_recognised() {
        for (wanted, said) in [
            ("BTC", "BTC is the symbol of bitcoin"),
            ("Bitcoin Cash", "Bitcoin Cash is the name of bitcoin-cash"),
            ("Bitcoin", "did you mean bitcoin?"),
            ("bitcon", "did you mean bitcoin?"),
            ("bitcoin_cash", "did you mean bitcoin-cash?"),
            (
                "weth",
                "weth is the symbol of weth-0, weth-1, weth-2 and 2 more",
            ),
        ] {
            let suggestion = suggest(wanted, &known());
            assert_eq!(suggestion.unwrap().to_string(), said);
        }
    }

    #[test]
    fn what_is_like_nothing_suggests_nothing() {
        assert_eq!(suggest("no-such-coin", &known()), None);
        assert_eq!(suggest("", &known()), None);
        assert_eq!(suggest("bitcoin", &[]), None);
    }
}
