//! The newest stored price of coins: how old it is, and from which snapshot.
//! It reads what is stored; nothing here calls CoinGecko.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::check::in_words;
use super::coins::known_coins;
use super::suggest::{Known, Meant, suggest};
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::http;
use crate::market::{CoinId, Measure, Quote, Slot};
use crate::store::SnapshotStore;

/// The age from which a price is warned about: one and a half times the schedule's half-hour.
const OLD: Duration = Duration::from_secs(45 * 60);

/// The most coins that one error names.
const NAMED: usize = 5;

/// The newest stored prices, in the order in which they were asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PriceReport {
    /// The currency of the prices.
    pub vs_currency: String,
    /// A price for each coin.
    pub prices: Vec<LatestPrice>,
}

/// A coin's newest stored price. Fields have the names of their columns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LatestPrice {
    /// The coin.
    pub coin_id: CoinId,
    /// Its symbol, which other coins may share.
    pub symbol: String,
    /// Its name.
    pub name: Option<String>,
    /// The price; null where CoinGecko gave none.
    pub current_price: Option<f64>,
    /// The price's change over 24 hours, in percent.
    pub price_change_pct_24h: Option<f64>,
    /// When CoinGecko last updated it; null where it did not say.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub last_updated: Option<DateTime<Utc>>,
    /// The half-hour whose snapshot it is of.
    #[serde(rename = "snapshot_time")]
    pub slot: Slot,
    /// How old it is, in seconds: since `last_updated`, else since the half-hour began. Never below 0.
    pub age_s: u64,
    /// Why it should not be taken for the present price, with the remedy; null where it is less than 45 minutes old.
    pub warning: Option<String>,
}

/// Reads the newest stored price of each coin.
///
/// # Errors
/// [`Error::Data`] naming each coin of which none is stored, with what may have been meant; otherwise as the database gives them.
pub async fn price(settings: &Settings, coins: &[CoinId]) -> Result<PriceReport> {
    let now = http::now(settings).await;
    let mut store =
        SnapshotStore::open_existing(&settings.snapshot_url, &settings.vs_currency).await?;
    let (mut prices, mut absent): (Vec<LatestPrice>, Vec<&CoinId>) = (Vec::new(), Vec::new());
    for coin in coins {
        if prices.iter().any(|price| price.coin_id == *coin) || absent.contains(&coin) {
            continue;
        }
        match store.newest_quote(coin).await? {
            Some((slot, quote)) => prices.push(of_quote(quote, slot, now)),
            None => absent.push(coin),
        }
    }
    if !absent.is_empty() {
        let known = known_coins(&mut store).await?;
        return Err(Error::data(said(&absent, &known)));
    }
    store.close().await?;
    Ok(PriceReport {
        vs_currency: settings.vs_currency.clone(),
        prices,
    })
}

fn of_quote(quote: Quote, slot: Slot, now: DateTime<Utc>) -> LatestPrice {
    let since = quote.last_updated.unwrap_or_else(|| slot.start());
    let age = (now - since).to_std().unwrap_or_default();
    let is_late = (now - slot.start()).to_std().unwrap_or_default() > OLD;
    let remedy = match is_late {
        true => "no newer snapshot has it, `coinmill run snapshot` takes one",
        false => "CoinGecko itself had none that was newer",
    };
    LatestPrice {
        current_price: quote.measure(Measure::CurrentPrice),
        price_change_pct_24h: quote.measure(Measure::PriceChangePct24h),
        last_updated: quote.last_updated,
        slot,
        age_s: age.as_secs(),
        warning: (age > OLD).then(|| {
            format!(
                "the price of {} is {} old: {remedy}",
                quote.id,
                in_words(age)
            )
        }),
        coin_id: quote.id,
        symbol: quote.symbol,
        name: quote.name,
    }
}

/// What is said of coins without a stored price. Pure.
fn said(absent: &[&CoinId], known: &[Known]) -> String {
    if known.is_empty() {
        return "no prices are stored yet: run `coinmill run snapshot`".to_owned();
    }
    let fetched = |coin: &CoinId| {
        format!(
            "no price of {coin} is stored: `coinmill run snapshot --add-coins {coin}` fetches it"
        )
    };
    let by_id = |coin: &CoinId| known.iter().find(|known| known.id == coin.as_str());
    let line = |coin: &&CoinId| match suggest(coin.as_str(), known) {
        // a coin of the list of all coins is meant as it is written
        Some(_) if by_id(coin).is_some() => match by_id(coin).and_then(Known::delisted) {
            Some(delisted) => format!("no price of {coin} is stored, and it is {delisted}"),
            None => fetched(coin),
        },
        Some(suggestion) if matches!(suggestion.meant, Meant::Id(_)) => {
            format!("no price of {coin} is stored: {suggestion}")
        }
        Some(suggestion) => format!("{suggestion}: give the id"),
        None => format!("{}, if that is CoinGecko's id", fetched(coin)),
    };
    let mut lines: Vec<String> = absent.iter().take(NAMED).map(line).collect();
    if absent.len() > NAMED {
        lines.push(format!("and {} more", absent.len() - NAMED));
    }
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coin_without_a_price_is_named_with_what_may_have_been_meant() {
        let known: Vec<Known> = [("bitcoin", "btc"), ("wrapped-bitcoin", "wbtc")]
            .map(|(id, symbol)| Known::new(id, symbol, id))
            .into();
        let said = |coin: &str| said(&[&coin.parse().unwrap()], &known);
        assert_eq!(said("btc"), "btc is the symbol of bitcoin: give the id");
        assert!(said("bitcion").ends_with("did you mean bitcoin?"));
        assert!(said("monero").contains("--add-coins monero"));
        assert!(super::said(&[&"x".parse().unwrap()], &[]).contains("run snapshot"));
    }
}
