//! Looking for coins by what people know of them: candidates, and the one id that a text can mean.
//! It never chooses: where several can be meant, whoever asked is shown them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::coins::known_coins;
use super::suggest::{ALIKE, Known, suggest};
use crate::config::Settings;
use crate::error::{Error, Result, shortened};
use crate::market::CoinId;
use crate::store::SnapshotStore;

/// How many candidates an error names.
const NAMED: usize = 4;

/// What is said where no list was ever stored.
const NO_LIST: &str = "only coins of stored snapshots are known: `coinmill run listing` fetches the list of all coins, in one call";

/// What to look for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Search {
    /// An id, a symbol, a name, or a part of one.
    pub text: String,
    /// The most coins to give.
    pub limit: usize,
}

/// How a coin fits a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// It is the id.
    Id,
    /// It is the symbol.
    Symbol,
    /// It is the name.
    Name,
    /// It is a part of one of them.
    Part,
    /// The id or the name is nearly so.
    Alike,
}

impl Match {
    /// The name in frames.
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Symbol => "symbol",
            Self::Name => "name",
            Self::Part => "part",
            Self::Alike => "alike",
        }
    }
}

/// A coin that can be meant. Fields have the names of their columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The coin.
    pub coin_id: String,
    /// Its symbol, which others may share.
    pub symbol: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its rank in the newest snapshot.
    pub market_cap_rank: Option<i64>,
    /// How it fits.
    #[serde(rename = "match")]
    pub fits: Match,
    /// Since when it is delisted; null where it is not.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub delisted_at: Option<DateTime<Utc>>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SearchReport {
    /// The candidates, the likeliest first.
    pub coins: Vec<Candidate>,
    /// How many there are, also beyond the limit.
    pub found: u64,
    /// What was not searched, with the remedy; null where a list of all coins is stored.
    pub warning: Option<String>,
}

/// Looks for coins: first exact ids, symbols and names, then parts, then what is alike; of each kind those that are listed, by
/// their rank in the newest snapshot.
///
/// # Errors
/// [`Error::Argument`] for a blank text; otherwise as the database gives them.
pub async fn search(settings: &Settings, wanted: &Search) -> Result<SearchReport> {
    let (known, has_list) = read(settings, &wanted.text).await?;
    let found = found(&wanted.text, &known);
    Ok(SearchReport {
        found: found.len() as u64,
        coins: found
            .into_iter()
            .take(wanted.limit)
            .map(candidate)
            .collect(),
        warning: (!has_list).then(|| NO_LIST.to_owned()),
    })
}

/// The one coin that a text means: by its id, or by a symbol or a name that no other coin has. A delisted coin counts by its id, and
/// where nothing that is listed has the symbol or the name.
///
/// # Errors
/// [`Error::Data`] naming the candidates, where there are several or none; otherwise as [`search`].
pub async fn resolve(settings: &Settings, text: &str) -> Result<CoinId> {
    let (known, has_list) = read(settings, text).await?;
    let coin = meant(text, &known, has_list)?;
    if let Some(delisted) = coin.delisted() {
        tracing::warn!("{} is {delisted}", coin.id);
    }
    Ok(CoinId::from_source(coin.id.clone()))
}

/// The known coins, and whether a list of all coins is among what they are from.
async fn read(settings: &Settings, text: &str) -> Result<(Vec<Known>, bool)> {
    if text.trim().is_empty() {
        return Err(Error::argument(
            "there is nothing to look for: give an id, a symbol or a name, such as usdc",
        ));
    }
    let mut store =
        SnapshotStore::open_existing(&settings.snapshot_url, &settings.vs_currency).await?;
    let has_list = store.newest_listing(None).await?.is_some();
    let known = known_coins(&mut store).await?;
    store.close().await?;
    Ok((known, has_list))
}

/// The coins that fit a text, the likeliest first. Coins come in the order of their likelihood.
fn found<'a>(text: &str, known: &'a [Known]) -> Vec<(Match, &'a Known)> {
    let exact = text.trim();
    let wanted = exact.to_lowercase();
    let mut found: Vec<(Match, &Known)> = known
        .iter()
        .filter_map(|coin| Some((fit(&wanted, coin)?, coin)))
        .collect();
    // `bitCNY` is another coin than `bitcny`
    found.sort_by_key(|(fits, coin)| (*fits, *fits == Match::Id && coin.id != exact));
    found
}

fn fit(wanted: &str, coin: &Known) -> Option<Match> {
    let lower = |text: &Option<String>| text.as_deref().unwrap_or_default().to_lowercase();
    let (id, symbol, name) = (
        coin.id.to_lowercase(),
        lower(&coin.symbol),
        lower(&coin.name),
    );
    let [other_symbol, other_name] = coin.also.each_ref().map(lower);
    let texts = [
        (Match::Id, &id),
        (Match::Symbol, &symbol),
        (Match::Symbol, &other_symbol),
        (Match::Name, &name),
        (Match::Name, &other_name),
    ];
    if let Some((fits, _)) = texts.iter().find(|(_, text)| *text == wanted) {
        return Some(*fits);
    }
    if texts.iter().any(|(_, text)| text.contains(wanted)) {
        return Some(Match::Part);
    }
    let is_alike = |text: &str| strsim::jaro_winkler(text, wanted) > ALIKE;
    (is_alike(&id) || is_alike(&name)).then_some(Match::Alike)
}

fn candidate((fits, coin): (Match, &Known)) -> Candidate {
    Candidate {
        coin_id: coin.id.clone(),
        symbol: coin.symbol.clone(),
        name: coin.name.clone(),
        market_cap_rank: coin.rank,
        fits,
        delisted_at: coin.delisted_at,
    }
}

fn meant<'a>(text: &str, known: &'a [Known], has_list: bool) -> Result<&'a Known> {
    let exact = text.trim();
    if let Some(coin) = known.iter().find(|coin| coin.id == exact) {
        return Ok(coin);
    }
    let same = found(exact, known).into_iter();
    let same: Vec<&Known> = same
        .filter(|(fits, _)| *fits <= Match::Name)
        .map(|(_, coin)| coin)
        .collect();
    let listed: Vec<&Known> = same
        .iter()
        .copied()
        .filter(|coin| coin.delisted_at.is_none())
        .collect();
    let candidates = if listed.is_empty() { same } else { listed };
    match candidates.as_slice() {
        [one] => Ok(one),
        [] => Err(Error::data(unknown(exact, known, has_list))),
        several => {
            let mut several = several.to_vec();
            several.sort_by_key(|coin| (coin.rank.is_none(), coin.rank));
            let mut named: Vec<String> = several
                .iter()
                .take(NAMED)
                .map(|coin| coin.to_string())
                .collect();
            if let more @ 1.. = several.len() - named.len() {
                named.push(format!("… and {more} more"));
            }
            Err(Error::data(format!(
                "{exact} can be any of {} coins: {}; give the id",
                several.len(),
                named.join(", ")
            )))
        }
    }
}

/// What is said of a text that is no coin's id, symbol or name.
fn unknown(text: &str, known: &[Known], has_list: bool) -> String {
    if known.is_empty() {
        return "no coins are known yet: `coinmill run listing` fetches the list of all coins, in one call".to_owned();
    }
    let hint = match suggest(text, known) {
        Some(suggestion) => suggestion.to_string(),
        None => "`coinmill search` looks for parts of them".to_owned(),
    };
    let mut said = format!(
        "no coin has the id, symbol or name {}: {hint}",
        shortened(text)
    );
    if !has_list {
        said = format!("{said}; {NO_LIST}");
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coin(id: &str, symbol: &str, name: &str, rank: Option<i64>) -> Known {
        Known {
            rank,
            ..Known::new(id, symbol, name)
        }
    }

    fn gone(id: &str, symbol: &str, name: &str) -> Known {
        Known {
            delisted_at: Some("2026-01-02T00:00:00Z".parse().unwrap()),
            ..Known::new(id, symbol, name)
        }
    }

    fn known() -> Vec<Known> {
        let mut known = vec![
            coin("usd-coin", "usdc", "USDC", Some(6)),
            coin("ethereum", "eth", "Ethereum", Some(2)),
            coin("bitcny", "bitcny", "bitCNY", Some(900)),
            coin("bitCNY", "bitcny", "bitCNY (BitShares)", None),
        ];
        known.extend(
            (0..5).map(|n| coin(&format!("bridged-usdc-{n}"), "usdc", "Bridged USDC", None)),
        );
        known.push(gone("usd-coin-old", "usdc", "USD Coin"));
        known.push(gone("dead", "ded", "Dead Coin"));
        known
    }

    fn ids(text: &str) -> Vec<(&'static str, String)> {
        let known = known();
        let found = found(text, &known);
        found
            .into_iter()
            .map(|(fits, coin)| (fits.name(), coin.id.clone()))
            .collect()
    }

    #[test]
    fn candidates_come_by_how_they_fit_then_by_rank() {
        let usdc = ids(" UsdC ");
        assert_eq!(usdc[0], ("symbol", "usd-coin".to_owned()));
        assert_eq!(usdc[6], ("symbol", "usd-coin-old".to_owned()));
        assert_eq!(ids("bitCNY")[0], ("id", "bitCNY".to_owned()));
        assert_eq!(ids("bitCNY")[1], ("id", "bitcny".to_owned()));
        assert_eq!(ids("bridged usdc").len(), 5);
        assert_eq!(ids("ethereun"), [("alike", "ethereum".to_owned())]);
        assert_eq!(ids("nothing-like-it"), []);
    }

    #[test]
    fn what_only_one_coin_has_is_that_coin() {
        let known = known();
        for (text, id) in [
            ("usd-coin", "usd-coin"),
            ("ETH", "ethereum"),
            ("Ethereum", "ethereum"),
            ("bitcny", "bitcny"),
            ("usd-coin-old", "usd-coin-old"),
            ("ded", "dead"),
        ] {
            assert_eq!(meant(text, &known, true).unwrap().id, id, "{text}");
        }
    }

    #[test]
    fn a_symbol_that_only_a_snapshot_has_counts_as_well() {
        let renamed = Known {
            also: [Some("btc".to_owned()), Some("Tether".to_owned())],
            ..coin("tether", "usdt", "Tether", Some(3))
        };
        let known = [coin("bitcoin", "btc", "Bitcoin", Some(1)), renamed];
        let said = meant("btc", &known, true).unwrap_err().to_string();
        assert!(said.starts_with("btc can be any of 2 coins"), "{said}");
        assert_eq!(meant("usdt", &known, true).unwrap().id, "tether");
    }

    #[test]
    fn what_several_have_or_none_is_an_error_with_candidates() {
        let known = known();
        let said = |text: &str, has_list| meant(text, &known, has_list).unwrap_err().to_string();
        let usdc = said("usdc", true);
        let begin = "usdc can be any of 6 coins: usd-coin (USDC, rank 6), bridged-usdc-0 (Bridged USDC, no rank)";
        assert!(
            usdc.starts_with(begin) && usdc.ends_with("… and 2 more; give the id"),
            "{usdc}"
        );
        assert!(said("ethereun", true).ends_with("did you mean ethereum?"));
        assert!(said("nothing-like-it", true).contains("coinmill search"));
        let long = said(&"ж".repeat(5_000), true);
        assert!(
            long.contains("жж…: `coinmill search`") && long.chars().count() < 160,
            "{long}"
        );
        assert!(said("nothing-like-it", false).contains("coinmill run listing"));
        assert!(
            meant("x", &[], false)
                .unwrap_err()
                .to_string()
                .contains("run listing")
        );
    }
}
