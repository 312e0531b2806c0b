//! The seeded market: answers lists, pages and charts from prices that are a function of seed and time.
//! It refuses what is not there; keys, limits, history depth and faults are handled before it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::bodies;
use super::changes::{Changes, CoinChange};
use super::chart;
use super::currency::Currency;
use super::extremes::Extremes;
use super::listing::{Standing, standings};
use super::lock::lock;
use super::pages::{Key, Upset, page};
use super::price::Prices;
use super::query::{ChartQuery, MarketsQuery};
use super::quote;
use super::response::Response;
use super::universe::{self, Coin};

// A page's order holds this long, as a cache's does: the pages that a client reads at once are of one market.
const HOLD: i64 = 30_000;

/// A market that a seed determines.
#[derive(Debug)]
pub struct SeededMarket {
    seed: u64,
    prices: Prices,
    index: HashMap<String, usize>,
    // Both only spare work: what they hold is the same whenever it is computed.
    newest: Mutex<Option<Listing>>,
    extremes: Mutex<HashMap<usize, Extremes>>,
    changes: Mutex<Changes>,
}

type Listing = (i64, Arc<Vec<Standing>>);

impl SeededMarket {
    /// The market of this seed with so many coins.
    pub fn new(seed: u64, count: usize) -> Self {
        let prices = Prices::new(seed, universe::coins(seed, count));
        let index = prices
            .coins()
            .iter()
            .enumerate()
            .map(|(n, coin)| (coin.id.clone(), n))
            .collect();
        Self {
            seed,
            prices,
            index,
            newest: Mutex::default(),
            extremes: Mutex::default(),
            changes: Mutex::default(),
        }
    }

    /// Changes a coin from now on; false where there is none of this id.
    pub fn change(&self, id: &str, change: CoinChange) -> bool {
        let is_there = self.index.contains_key(id);
        if is_there {
            lock(&self.changes).make(id, change);
        }
        is_there
    }

    /// `/coins/list`: every coin that has begun and is not delisted, by id.
    ///
    /// # Errors
    /// The refusal, as a response.
    pub fn list(&self, now: DateTime<Utc>) -> Result<Response, Response> {
        let changes = lock(&self.changes);
        let coins: Vec<Cow<'_, Coin>> = self
            .prices
            .coins()
            .iter()
            .filter(|coin| coin.genesis <= now.timestamp_millis())
            .filter_map(|coin| changes.applied(coin))
            .collect();
        let mut rows: Vec<Named<'_>> = coins
            .iter()
            .map(|coin| Named {
                id: &coin.id,
                symbol: &coin.symbol,
                name: &coin.name,
            })
            .collect();
        rows.sort_by_key(|row| row.id);
        json(&rows)
    }

    /// A page of `/coins/markets`.
    ///
    /// # Errors
    /// The refusal, as a response.
    pub fn markets(
        &self,
        query: &MarketsQuery,
        upset: &Upset,
        now: DateTime<Utc>,
    ) -> Result<Response, Response> {
        let currency = self.currency(&query.vs_currency)?;
        let all = self.standings(now.timestamp_millis().div_euclid(HOLD) * HOLD);
        let changes = lock(&self.changes);
        let named = all.iter().filter_map(|standing| {
            let coin = changes.applied(self.prices.coin(standing.coin)?)?;
            Some((coin, standing))
        });
        let page = page(
            named.collect(),
            query,
            upset,
            |(coin, standing): &(Cow<'_, Coin>, &Standing)| Key {
                id: &coin.id,
                cap: standing.cap,
                volume: standing.volume,
            },
        );
        let rows: Vec<quote::Row<'_>> = page
            .rows
            .iter()
            .map(|(coin, standing)| {
                let extremes = self.extremes(standing);
                quote::row(
                    &self.prices,
                    coin,
                    standing,
                    extremes.as_ref(),
                    currency,
                    query,
                )
            })
            .collect();
        Ok(json(&rows)?
            .with("total", page.total.to_string())
            .with("per-page", query.per_page.to_string()))
    }

    /// A chart.
    ///
    /// # Errors
    /// The refusal, as a response: an unknown coin or currency.
    pub fn chart(&self, query: &ChartQuery, now: DateTime<Utc>) -> Result<Response, Response> {
        let index = self
            .index
            .get(&query.id)
            .filter(|index| {
                let coin = self.prices.coin(**index);
                let coin = coin.filter(|coin| coin.genesis <= now.timestamp_millis());
                coin.is_some_and(|coin| lock(&self.changes).applied(coin).is_some())
            })
            .ok_or_else(|| Response::refused(404, bodies::COIN_NOT_FOUND))?;
        let currency = self.currency(&query.vs_currency)?;
        json(&chart::series(&self.prices, *index, currency, query, now))
    }

    fn currency(&self, name: &str) -> Result<Currency, Response> {
        Currency::find(name, &self.prices)
            .ok_or_else(|| Response::refused(400, bodies::INVALID_CURRENCY))
    }

    fn standings(&self, at: i64) -> Arc<Vec<Standing>> {
        let mut newest = lock(&self.newest);
        if let Some((of, listing)) = newest.as_ref()
            && *of == at
        {
            return Arc::clone(listing);
        }
        let listing = Arc::new(standings(&self.prices, self.seed, at));
        *newest = Some((at, Arc::clone(&listing)));
        listing
    }

    fn extremes(&self, standing: &Standing) -> Option<Extremes> {
        let mut known = lock(&self.extremes);
        let begin = match known.get(&standing.coin) {
            Some(extremes) if extremes.reached() <= standing.observed => *extremes,
            _ => Extremes::begin(&self.prices, standing.coin)?,
        };
        let extremes = begin.extend(&self.prices, standing.coin, standing.observed);
        known.insert(standing.coin, extremes);
        Some(extremes.up_to(&self.prices, standing.coin, standing.observed))
    }
}

#[derive(Serialize)]
struct Named<'a> {
    id: &'a str,
    symbol: &'a str,
    name: &'a str,
}

fn json(value: &impl Serialize) -> Result<Response, Response> {
    serde_json::to_vec(value)
        .map(Response::ok)
        .map_err(|_| Response::refused(500, bodies::of_status(500)))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::query::{chart, markets, parameters};
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-01-14T12:00:00Z".parse().unwrap()
    }

    fn rows(market: &SeededMarket, text: &str) -> Vec<Value> {
        let query = markets(&parameters(&format!("vs_currency=usd&{text}"))).unwrap();
        let response = market.markets(&query, &Upset::default(), now()).unwrap();
        serde_json::from_slice(&response.body).unwrap()
    }

    fn all_rows(market: &SeededMarket) -> Vec<Value> {
        (1..=market.index.len().div_ceil(250))
            .flat_map(|page| rows(market, &format!("per_page=250&page={page}")))
            .collect()
    }

    #[test]
    fn a_response_is_the_same_for_the_same_seed_and_clock() {
        let bytes = |market: &SeededMarket| {
            let query = markets(&parameters("vs_currency=usd&per_page=250")).unwrap();
            market
                .markets(&query, &Upset::default(), now())
                .unwrap()
                .body
        };
        let market = SeededMarket::new(3, 300);
        let first = bytes(&market);
        assert_eq!(first, bytes(&market));
        assert_eq!(first, bytes(&SeededMarket::new(3, 300)));
        assert_ne!(first, bytes(&SeededMarket::new(4, 300)));
    }

    #[test]
    fn rows_have_the_faults_of_real_ones_and_no_others() {
        let all = all_rows(&SeededMarket::new(1, 3000));
        assert_eq!(all.len(), 3000);
        let count = |test: &dyn Fn(&Value) -> bool| all.iter().filter(|row| test(row)).count();
        for row in &all {
            for name in [
                "current_price",
                "market_cap",
                "total_volume",
                "high_24h",
                "low_24h",
            ] {
                assert!(
                    row[name].is_null() || row[name].as_f64().is_some_and(|number| number >= 0.0),
                    "{row}"
                );
            }
        }
        let without_max = count(&|row| row["max_supply"].is_null());
        assert!((1100..1700).contains(&without_max), "{without_max}");
        for name in [
            "market_cap_rank",
            "total_supply",
            "high_24h",
            "fully_diluted_valuation",
            "last_updated",
            "current_price",
        ] {
            let nulls = count(&|row| row[name].is_null());
            assert!((1..300).contains(&nulls), "{name}: {nulls}");
        }
        let number = |row: &Value, name: &str| row[name].as_f64();
        let outside = count(&|row| {
            number(row, "current_price")
                .zip(number(row, "high_24h"))
                .is_some_and(|(price, high)| price > high)
        });
        assert!((10..150).contains(&outside), "{outside}");
        let below = count(&|row| {
            number(row, "fully_diluted_valuation")
                .zip(number(row, "market_cap"))
                .is_some_and(|(fdv, cap)| fdv < cap - 2.0)
        });
        assert!((10..150).contains(&below), "{below}");
        let above_ath = count(&|row| {
            number(row, "current_price")
                .zip(number(row, "ath"))
                .is_some_and(|(price, ath)| price > ath)
        });
        assert!(above_ath < 150, "{above_ath}");
        assert!(count(&|row| row["roi"].is_object()) > 50);
    }

    /// Quotes that break a warning rule, and prices below a millionth of a dollar, of the 1,000 coins of a seed.
    fn warned(seed: u64) -> (usize, usize) {
        let market = SeededMarket::new(seed, 1000);
        let rules = crate::quality::Rules::default();
        let context = crate::quality::Context {
            sent_at: now(),
            rules: &rules,
        };
        let (mut warned, mut tiny) = (0, 0);
        for page in 1..=4 {
            let text = format!("vs_currency=usd&per_page=250&page={page}&precision=full");
            let query = markets(&parameters(&text)).unwrap();
            let body = market
                .markets(&query, &Upset::default(), now())
                .unwrap()
                .body;
            for record in crate::coingecko::parse(&body).unwrap() {
                let quote = record.quote.unwrap();
                warned += usize::from(!crate::quality::validate(&quote, &context).is_empty());
                let price = quote.measure(crate::market::Measure::CurrentPrice);
                tiny += usize::from(price.is_some_and(|price| price < 1e-6));
            }
        }
        (warned, tiny)
    }

    /// As on recorded pages: a warning is news, and a price below a millionth of a dollar is rare, but there are both.
    #[test]
    fn few_quotes_are_warned_about() {
        for seed in [1, 2] {
            let (warned, tiny) = warned(seed);
            assert!((1..20).contains(&warned), "{warned} of 1000");
            assert!((2..40).contains(&tiny), "{tiny} of 1000");
        }
    }

    #[test]
    fn a_quote_and_the_chart_agree_at_each_instant() {
        let market = SeededMarket::new(9, 5);
        let query = chart("bitcoin", &parameters("vs_currency=usd&days=1"), now()).unwrap();
        let body: Value =
            serde_json::from_slice(&market.chart(&query, now()).unwrap().body).unwrap();
        let live = body["prices"].as_array().unwrap().last().unwrap()[1]
            .as_f64()
            .unwrap();
        let quoted = rows(&market, "ids=bitcoin")[0]["current_price"]
            .as_f64()
            .unwrap();
        assert!((live / quoted - 1.0).abs() < 1e-3, "{live} {quoted}");
    }

    #[test]
    fn numbers_are_rounded_unless_all_digits_are_asked_for() {
        let market = SeededMarket::new(9, 5);
        let digits = |query: &str| rows(&market, query)[0]["current_price"].to_string().len();
        assert!(digits("ids=bitcoin") < 7 && digits("ids=bitcoin&precision=full") > 9);
    }

    #[test]
    fn further_changes_come_only_when_asked_for() {
        let market = SeededMarket::new(9, 5);
        let row = &rows(
            &market,
            "ids=bitcoin&price_change_percentage=1h,7d,nonsense",
        )[0];
        assert!(row["price_change_percentage_7d_in_currency"].is_number());
        assert!(row["price_change_percentage_1h_in_currency"].is_number());
        assert_eq!(row.as_object().unwrap().len(), 28);
        assert_eq!(
            rows(&market, "ids=bitcoin")[0].as_object().unwrap().len(),
            26
        );
    }
}
