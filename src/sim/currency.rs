//! The currencies that amounts can be asked in, as factors to the US dollar.
//! Fiat rates do not move here; what moves is left to the coins.

use super::price::Prices;

const FIAT: [(&str, f64); 16] = [
    ("usd", 1.0),
    ("eur", 1.17),
    ("gbp", 1.34),
    ("jpy", 0.0064),
    ("chf", 1.26),
    ("aud", 0.67),
    ("cad", 0.73),
    ("cny", 0.143),
    ("inr", 0.0111),
    ("krw", 0.00069),
    ("brl", 0.181),
    ("mxn", 0.0556),
    ("sgd", 0.778),
    ("hkd", 0.128),
    ("myr", 0.246),
    ("sek", 0.108),
];
const COINS: [(&str, &str); 3] = [
    ("btc", "bitcoin"),
    ("eth", "ethereum"),
    ("bnb", "binancecoin"),
];

/// A currency that amounts are served in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Currency {
    /// So many US dollars for one.
    Fiat(f64),
    /// The coin of this index.
    Coin(usize),
}

impl Currency {
    /// The currency of this name among these coins, or `None` where it is not served.
    pub fn find(name: &str, prices: &Prices) -> Option<Self> {
        if let Some((_, dollars)) = FIAT.iter().find(|(known, _)| *known == name) {
            return Some(Self::Fiat(*dollars));
        }
        let (_, id) = COINS.iter().find(|(known, _)| *known == name)?;
        prices
            .coins()
            .iter()
            .position(|coin| coin.id == *id)
            .map(Self::Coin)
    }

    /// US dollars for one of it at `at` (milliseconds); 1 where its coin had no price yet.
    pub fn dollars(self, prices: &Prices, at: i64) -> f64 {
        match self {
            Self::Fiat(dollars) => dollars,
            Self::Coin(index) => prices.price(index, at).unwrap_or(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::universe;
    use super::*;

    #[test]
    fn tether_is_no_currency_but_bitcoin_is() {
        let prices = Prices::new(1, universe::coins(1, 10));
        assert_eq!(Currency::find("usd", &prices), Some(Currency::Fiat(1.0)));
        assert_eq!(Currency::find("usdt", &prices), None);
        assert!(matches!(
            Currency::find("btc", &prices),
            Some(Currency::Coin(0))
        ));
    }
}
