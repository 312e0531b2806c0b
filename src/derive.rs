//! Columns derived from a quote: pure arithmetic, stored beside it and never part of its content hash.
//! Nothing is guessed: where an input is missing, the column is null.

use serde::Serialize;

use crate::market::{CoinId, Measure, Quote};

/// What is derived from one quote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Derived {
    /// See [`market_cap_category`].
    pub market_cap_category: Option<&'static str>,
    /// See [`volume_to_cap`]. A ratio.
    pub volume_to_cap: Option<f64>,
    /// See [`ath_distance`]. Percent, 0 at the all-time high and negative below it.
    pub ath_distance_pct: Option<f64>,
    /// See [`range_volatility`]. Percent a day.
    pub range_volatility_24h_pct: Option<f64>,
    /// See [`liquidity_category`].
    pub liquidity_category: Option<&'static str>,
    /// See [`trend_category`].
    pub trend_category: Option<&'static str>,
}

/// All derived columns of one quote in `vs_currency`.
pub fn derive(quote: &Quote, vs_currency: &str) -> Derived {
    let price = quote.measure(Measure::CurrentPrice);
    let cap = quote.measure(Measure::MarketCap);
    let turnover = cap
        .zip(quote.measure(Measure::TotalVolume))
        .and_then(|(cap, volume)| volume_to_cap(volume, cap));
    let high_low = quote
        .measure(Measure::High24h)
        .zip(quote.measure(Measure::Low24h));
    Derived {
        market_cap_category: cap
            .filter(|_| vs_currency == "usd")
            .map(market_cap_category),
        volume_to_cap: turnover,
        ath_distance_pct: price
            .zip(quote.measure(Measure::Ath))
            .and_then(|(price, ath)| ath_distance(price, ath)),
        range_volatility_24h_pct: high_low.and_then(|(high, low)| range_volatility(high, low)),
        liquidity_category: turnover.map(liquidity_category),
        trend_category: quote
            .measure(Measure::PriceChangePct24h)
            .map(trend_category),
    }
}

/// The size class of a market cap in US dollars: `mega` from 200 billion, `large` from 10, `mid` from 2, `small` from
/// 250 million, else `micro`.
///
/// Source: FINRA, "Market Cap Explained", <https://www.finra.org/investors/insights/market-cap>.
pub fn market_cap_category(cap: f64) -> &'static str {
    match cap {
        _ if cap >= 200e9 => "mega",
        _ if cap >= 10e9 => "large",
        _ if cap >= 2e9 => "mid",
        _ if cap >= 250e6 => "small",
        _ => "micro",
    }
}

/// The sum of the market caps of a slot's quotes, in the order of their ids, so that it is the same sum wherever they are
/// stored. A coin's `dominance_pct` is its cap in percent of it, computed on reading: the sum is that of the slot's own
/// accepted quotes, not of all coins that exist. `None` where no cap counts.
///
/// Source: CoinGecko, "Bitcoin dominance", <https://www.coingecko.com/en/charts/bitcoin-dominance>.
pub fn total_market_cap<'a>(quotes: impl IntoIterator<Item = &'a Quote>) -> Option<f64> {
    let mut caps: Vec<(&CoinId, f64)> = quotes
        .into_iter()
        .filter_map(|quote| Some((&quote.id, quote.measure(Measure::MarketCap)?)))
        .collect();
    caps.sort_by(|a, b| a.0.cmp(b.0));
    let total = caps.iter().map(|(_, cap)| cap).sum::<f64>();
    finite((total > 0.0).then_some(total))
}

/// Turnover: the volume of 24 hours over the market cap. `None` for a cap that is not above 0.
///
/// Source: CoinGecko, glossary, "volume / market cap ratio".
pub fn volume_to_cap(volume: f64, cap: f64) -> Option<f64> {
    finite((cap > 0.0).then(|| volume / cap))
}

/// The distance of the price from the all-time high, in percent: `100 · (price / ath - 1)`. `None` for a high that is
/// not above 0. Unlike the API's own `ath_change_percentage` it goes with the price beside it.
pub fn ath_distance(price: f64, ath: f64) -> Option<f64> {
    finite((ath > 0.0).then(|| 100.0 * (price / ath - 1.0)))
}

/// The volatility of one day estimated from its range, in percent: `100 · ln(high / low) / (2 · sqrt(ln 2))`. `None`
/// unless `high >= low > 0`.
///
/// Source: M. Parkinson, "The Extreme Value Method for Estimating the Variance of the Rate of Return", The Journal of
/// Business 53 (1980), p. 61.
pub fn range_volatility(high: f64, low: f64) -> Option<f64> {
    finite(
        (low > 0.0 && high >= low)
            .then(|| 100.0 * (high / low).ln() / (2.0 * std::f64::consts::LN_2.sqrt())),
    )
}

/// How easily a coin is traded, by its [`volume_to_cap`]: `high` from 0.1, `medium` from 0.01, else `low`.
///
/// The bounds are this project's own: a tenth and a hundredth of the cap traded in a day.
pub fn liquidity_category(volume_to_cap: f64) -> &'static str {
    match volume_to_cap {
        _ if volume_to_cap >= 0.1 => "high",
        _ if volume_to_cap >= 0.01 => "medium",
        _ => "low",
    }
}

/// Where the price went in 24 hours, by its change in percent: `strong_up` above 5, `up` above 1, `flat` within 1 either
/// way, `down`, `strong_down` below -5.
///
/// The bounds are this project's own.
pub fn trend_category(change_pct: f64) -> &'static str {
    match change_pct {
        _ if change_pct > 5.0 => "strong_up",
        _ if change_pct > 1.0 => "up",
        _ if change_pct >= -1.0 => "flat",
        _ if change_pct >= -5.0 => "down",
        _ => "strong_down",
    }
}

/// A quotient of two extreme numbers can overflow; a column holds a number or null.
fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formulas_give_their_textbook_values() {
        assert_eq!(volume_to_cap(5.0, 50.0), Some(0.1));
        assert_eq!(ath_distance(75.0, 100.0), Some(-25.0));
        // ln 2 / (2 sqrt(ln 2)) = sqrt(ln 2) / 2
        assert!((range_volatility(2.0, 1.0).unwrap() - 41.627_73).abs() < 1e-4);
        assert_eq!(range_volatility(3.0, 3.0), Some(0.0));
    }

    #[test]
    fn what_cannot_be_computed_is_null() {
        assert_eq!(volume_to_cap(1.0, 0.0), None);
        assert_eq!(volume_to_cap(1e308, 1e-308), None);
        assert_eq!(ath_distance(1.0, 0.0), None);
        assert_eq!(range_volatility(1.0, 2.0), None);
        assert_eq!(range_volatility(1.0, 0.0), None);
    }

    #[test]
    fn the_classes_begin_where_they_say() {
        for (cap, class) in [
            (200e9, "mega"),
            (199e9, "large"),
            (2e9, "mid"),
            (250e6, "small"),
            (0.0, "micro"),
        ] {
            assert_eq!(market_cap_category(cap), class, "{cap}");
        }
        for (change, class) in [
            (5.1, "strong_up"),
            (5.0, "up"),
            (1.0, "flat"),
            (-1.0, "flat"),
            (-5.1, "strong_down"),
        ] {
            assert_eq!(trend_category(change), class, "{change}");
        }
        assert_eq!(
            (
                liquidity_category(0.1),
                liquidity_category(0.05),
                liquidity_category(0.0)
            ),
            ("high", "medium", "low")
        );
    }
}
