//! The words of the market as types: coins, quotes and slots.
//! They hold what CoinGecko said; nothing here fetches, validates or stores.

mod column;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, DurationRound, NaiveDate, NaiveDateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result, shortened};
pub use column::{Column, Kind, Origin, beside_keys, quote_columns, stored_columns};

/// A coin's id at CoinGecko, such as `bitcoin`. The only key of a coin: symbols and names are shared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CoinId(String);

impl CoinId {
    /// An id from CoinGecko, which is taken as it is: what we would refuse from a user may still be a coin.
    pub fn from_source(id: String) -> Self {
        Self(id)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CoinId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CoinId {
    type Err = Error;

    /// Any text without commas, white space or control characters: real ids include `boringdao-[old]`, `_` and `bitCNY`.
    fn from_str(text: &str) -> Result<Self> {
        let unusable = |c: char| c == ',' || c.is_whitespace() || c.is_control();
        if text.is_empty() || text.chars().any(unusable) {
            return Err(Error::argument(format!(
                "{:?} cannot be a coin's id: give CoinGecko's, such as bitcoin, without spaces or commas",
                shortened(text)
            )));
        }
        Ok(Self(text.to_owned()))
    }
}

macro_rules! measures {
    ($($(#[$doc:meta])* $variant:ident = $column:literal $(from $field:literal)?,)+) => {
        /// A number of a quote.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Measure { $($(#[$doc])* $variant,)+ }

        impl Measure {
            /// Every measure, in column order.
            pub const ALL: &'static [Measure] = &[$(Measure::$variant,)+];

            /// The name of its column.
            pub const fn name(self) -> &'static str {
                match self { $(Measure::$variant => $column,)+ }
            }

            /// The name of its field at CoinGecko, which is its column's where the two do not differ.
            pub const fn field(self) -> &'static str {
                match self { $(Measure::$variant => either!($($field)?, $column),)+ }
            }
        }

        /// How many measures a quote has.
        pub const MEASURES: usize = [$(Measure::$variant,)+].len();
    };
}

macro_rules! either {
    (, $column:literal) => {
        $column
    };
    ($field:literal, $column:literal) => {
        $field
    };
}

measures! {
    /// Price of one coin, in `vs_currency`.
    CurrentPrice = "current_price",
    /// Price times circulating supply, in `vs_currency`.
    MarketCap = "market_cap",
    /// Price times maximum (or total) supply, in `vs_currency`.
    FullyDilutedValuation = "fully_diluted_valuation",
    /// Traded value of the last 24 hours, in `vs_currency`.
    TotalVolume = "total_volume",
    /// Highest price of the last 24 hours.
    High24h = "high_24h",
    /// Lowest price of the last 24 hours.
    Low24h = "low_24h",
    /// Price change over 24 hours, in `vs_currency`.
    PriceChange24h = "price_change_24h",
    /// Price change over an hour, in percent.
    PriceChangePct1h = "price_change_pct_1h" from "price_change_percentage_1h_in_currency",
    /// Price change over 24 hours, in percent.
    PriceChangePct24h = "price_change_pct_24h" from "price_change_percentage_24h",
    /// Price change over 7 days, in percent.
    PriceChangePct7d = "price_change_pct_7d" from "price_change_percentage_7d_in_currency",
    /// Price change over 14 days, in percent.
    PriceChangePct14d = "price_change_pct_14d" from "price_change_percentage_14d_in_currency",
    /// Price change over 30 days, in percent.
    PriceChangePct30d = "price_change_pct_30d" from "price_change_percentage_30d_in_currency",
    /// Price change over 200 days, in percent.
    PriceChangePct200d = "price_change_pct_200d" from "price_change_percentage_200d_in_currency",
    /// Price change over a year, in percent.
    PriceChangePct1y = "price_change_pct_1y" from "price_change_percentage_1y_in_currency",
    /// Market cap change over 24 hours, in `vs_currency`.
    MarketCapChange24h = "market_cap_change_24h",
    /// Market cap change over 24 hours, in percent.
    MarketCapChangePct24h = "market_cap_change_pct_24h" from "market_cap_change_percentage_24h",
    /// Coins in circulation.
    CirculatingSupply = "circulating_supply",
    /// Coins that exist, less those burned.
    TotalSupply = "total_supply",
    /// The most coins that can ever exist.
    MaxSupply = "max_supply",
    /// All-time high price.
    Ath = "ath",
    /// Distance of the price from the all-time high, in percent, by CoinGecko.
    AthChangePct = "ath_change_pct" from "ath_change_percentage",
    /// All-time low price.
    Atl = "atl",
    /// Distance of the price from the all-time low, in percent, by CoinGecko.
    AtlChangePct = "atl_change_pct" from "atl_change_percentage",
    /// Return on investment since the coin's sale, as a multiple.
    RoiTimes = "roi_times" from "roi.times",
    /// Return on investment since the coin's sale, in percent.
    RoiPct = "roi_pct" from "roi.percentage",
}

/// One coin's row of `/coins/markets`, every number as CoinGecko gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Quote {
    /// The coin.
    pub id: CoinId,
    /// Ticker symbol, as written by CoinGecko.
    pub symbol: String,
    /// Name for people.
    pub name: Option<String>,
    /// Rank by market cap, as CoinGecko has it: it lags, can be shared and can be null.
    pub market_cap_rank: Option<i64>,
    /// The numbers, by [`Measure`].
    pub measures: [Option<f64>; MEASURES],
    /// When the all-time high was.
    pub ath_date: Option<DateTime<Utc>>,
    /// When the all-time low was.
    pub atl_date: Option<DateTime<Utc>>,
    /// The currency of `roi_times` and `roi_percentage`.
    pub roi_currency: Option<String>,
    /// When CoinGecko last updated it, to the millisecond.
    pub last_updated: Option<DateTime<Utc>>,
}

impl Quote {
    /// One of the quote's numbers; `None` where CoinGecko had null or nothing.
    #[expect(
        clippy::indexing_slicing,
        reason = "the array has one place for each measure"
    )]
    pub fn measure(&self, measure: Measure) -> Option<f64> {
        self.measures[measure as usize]
    }
}

/// An instant to the millisecond, which is all that CoinGecko gives and all that both databases keep alike.
pub fn to_millisecond(instant: DateTime<Utc>) -> DateTime<Utc> {
    instant.trunc_subsecs(3)
}

/// An instant as people write it: RFC 3339, or a plain date, or a date and time, taken as UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instant(pub DateTime<Utc>);

impl FromStr for Instant {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let plain = || {
            [
                "%Y-%m-%dT%H:%M:%S%.f",
                "%Y-%m-%d %H:%M:%S%.f",
                "%Y-%m-%dT%H:%M",
                "%Y-%m-%d %H:%M",
                "%Y-%m-%dT%H:%MZ",
            ]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
            .or_else(|| text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0))
            .map(|naive| naive.and_utc())
        };
        DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|instant| instant.to_utc())
            .or_else(plain)
            .map(Self)
            .ok_or_else(|| {
                let given = shortened(text);
                // as a pin is written
                let is_not = match text.contains('@') {
                    true => "looks like a pin, which goes into as_of= (--as-of); a time is written",
                    false => "is not a time: write it",
                };
                Error::argument(format!(
                    "{given:?} {is_not} like 2026-01-31 or 2026-01-31T00:30Z"
                ))
            })
    }
}

/// A half-hour, named by its start in UTC: \[00:30, 01:00) is the slot `00:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(DateTime<Utc>);

/// The first coins of some by name, and how many more there are.
pub fn named(coins: &[CoinId], most: usize) -> String {
    let names: Vec<&str> = coins.iter().take(most).map(CoinId::as_str).collect();
    let names = names.join(", ");
    match coins.len().saturating_sub(most) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

impl Slot {
    /// How long a slot lasts.
    pub const LENGTH: TimeDelta = TimeDelta::minutes(30);

    /// The slot that an instant lies in.
    pub fn containing(instant: DateTime<Utc>) -> Self {
        Self(instant.duration_trunc(Self::LENGTH).unwrap_or(instant))
    }

    /// Its first instant.
    pub fn start(self) -> DateTime<Utc> {
        self.0
    }

    /// The first instant after it.
    pub fn end(self) -> DateTime<Utc> {
        self.0 + Self::LENGTH
    }

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.end())
    }

    /// Half-hours since 1970: the slot as a number, for locks.
    pub fn number(self) -> i64 {
        self.0.timestamp().div_euclid(Self::LENGTH.num_seconds())
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%dT%H:%MZ"))
    }
}

impl Serialize for Slot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::stamp::stamp(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Slot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for Slot {
    type Err = Error;

    /// RFC 3339, or a plain date and time taken as UTC; on the hour or the half-hour.
    fn from_str(text: &str) -> Result<Self> {
        let Instant(instant) = text
            .parse()
            .map_err(|error| Error::argument(format!("the slot {error}")))?;
        let slot = Self::containing(instant);
        if slot.0 != instant {
            return Err(Error::argument(format!(
                "slot {text:?} is not on a half-hour: that instant lies in the slot {slot}"
            )));
        }
        Ok(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_where_a_time_is_meant_is_told_where_it_goes() {
        let said = |text: &str| text.parse::<Instant>().unwrap_err().to_string();
        let pin = said("s1-0123456789abcdef@2026-01-14T12:00:00.000Z");
        assert!(pin.contains("goes into as_of= (--as-of)"), "{pin}");
        assert!(!said("noon").contains("as_of"));
        assert!(said(&"x".repeat(5_000)).chars().count() < 160);
    }

    #[test]
    fn a_slot_is_named_by_its_start() {
        let t = "2026-04-08T01:59:59.999Z".parse::<DateTime<Utc>>().unwrap();
        assert_eq!(Slot::containing(t).to_string(), "2026-04-08T01:30Z");
        assert_eq!(
            Slot::containing(t).end().to_rfc3339(),
            "2026-04-08T02:00:00+00:00"
        );
    }

    #[test]
    fn a_slot_reads_what_people_write() {
        for text in [
            "2026-04-08T01:30Z",
            "2026-04-08 01:30",
            "2026-04-08T03:30:00+02:00",
            "2026-04-08T01:30:00",
        ] {
            assert_eq!(
                text.parse::<Slot>().unwrap().to_string(),
                "2026-04-08T01:30Z",
                "{text}"
            );
        }
    }

    #[test]
    fn a_slot_off_the_half_hour_is_refused_with_the_right_one() {
        let error = "2026-04-08T01:31Z".parse::<Slot>().unwrap_err().to_string();
        assert!(error.contains("2026-04-08T01:30Z"), "{error}");
        assert!("noon".parse::<Slot>().is_err());
    }

    #[test]
    fn awkward_real_ids_are_ids_and_lists_are_not() {
        for id in ["boringdao-[old]", "_", "bitCNY", "0-5x-long"] {
            assert_eq!(id.parse::<CoinId>().unwrap().as_str(), id);
        }
        for text in ["", "a,b", "a b", "a\n"] {
            assert!(text.parse::<CoinId>().is_err(), "{text:?}");
        }
    }
}
