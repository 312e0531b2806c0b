//! The rules: what is refused, what is warned about, and what each rests on.
//! Each is a line of data with a small pure check; counting and scoring are the parent's.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Bound, Context, Limit, Rule, Verdict};
use crate::market::{Measure, Quote};

const MEASURED: &str = "113,500 recorded rows of 2023 to 2026: never seen";
const SEEN: &str = "113,500 recorded rows of 2023 to 2026: seen, and real";
/// The pages whose warnings were counted, one by one, to choose the bounds.
const PAGES: &str = "41 recorded pages of the top 100, one a month";
const FORMAT: &str = "CoinGecko's OpenAPI of /coins/markets";

/// How far two numbers of one quote may contradict each other before it is news, as a share of the bound. CoinGecko renews
/// the fields of a quote at different moments and rounds them each for itself: of 304 contradictions in 4,100 recorded quotes
/// 284 are smaller.
pub const TOLERANCE: f64 = 0.01;

/// How far a stamp may lie after the response's own `Date`.
pub const FUTURE_TOLERANCE: TimeDelta = TimeDelta::minutes(10);

/// 2009-01-01T00:00:00Z, two days before Bitcoin's first block.
const FIRST_STAMP: i64 = 1_230_768_000;

/// The rules that a record can break before it is a quote.
pub mod record {
    use super::{Bound, FORMAT, Rule, Verdict};

    const fn reject(name: &'static str, reason: &'static str) -> Rule {
        Rule {
            name,
            version: 1,
            verdict: Verdict::Reject,
            bound: Bound::None,
            reason,
            source: FORMAT,
        }
    }

    /// Not a JSON object.
    pub static NOT_AN_OBJECT: Rule = reject("not_an_object", "the record is not a JSON object");
    /// No coin to store it under.
    pub static MISSING_ID: Rule = reject("missing_id", "a record without its coin");
    /// No symbol.
    pub static MISSING_SYMBOL: Rule = reject("missing_symbol", "a record without its symbol");
    /// A text where a number must be, and the like.
    pub static WRONG_TYPE: Rule = reject("wrong_type", "not of the documented type");
    /// A number beyond what a double holds.
    pub static NON_FINITE: Rule = reject("non_finite", "a number beyond all bounds");
    /// A text with a NUL, or an id of more than 1,000 bytes (real ones have 60): PostgreSQL cannot hold or index them.
    pub static UNSTORABLE_TEXT: Rule = reject(
        "unstorable_text",
        "a text with a NUL or a very long id, which PostgreSQL cannot hold",
    );
}

/// Every rule of [`record`].
pub static RECORD_RULES: [&Rule; 6] = [
    &record::NOT_AN_OBJECT,
    &record::MISSING_ID,
    &record::MISSING_SYMBOL,
    &record::WRONG_TYPE,
    &record::NON_FINITE,
    &record::UNSTORABLE_TEXT,
];

/// The rules that a chart, or a point of one, can break.
pub mod chart {
    use super::{Bound, FORMAT, MEASURED, Rule, Verdict};

    const fn reject(name: &'static str, reason: &'static str, source: &'static str) -> Rule {
        Rule {
            name,
            version: 1,
            verdict: Verdict::Reject,
            bound: Bound::None,
            reason,
            source,
        }
    }

    /// Not the three arrays of stamps and numbers.
    pub static NOT_A_CHART: Rule = reject("not_a_chart", "the body is no chart", FORMAT);
    /// Prices, caps and volumes that do not belong together.
    pub static UNEVEN_ARRAYS: Rule = reject(
        "uneven_arrays",
        "the three arrays do not have the same stamps",
        FORMAT,
    );
    /// Hourly where five-minutely was asked for, and the like.
    pub static WRONG_GRANULARITY: Rule = reject(
        "wrong_granularity",
        "the spacing is not the resolution asked for",
        FORMAT,
    );
    /// Two values for one instant.
    pub static CONTRADICTORY_STAMP: Rule = reject(
        "contradictory_stamp",
        "a second value for the same stamp in one body",
        MEASURED,
    );
    /// A daily point off midnight that is not the live one.
    pub static OFF_MIDNIGHT: Rule = reject(
        "off_midnight",
        "a daily point that is not at 00:00 UTC",
        FORMAT,
    );
    /// A price below 0.
    pub static NEGATIVE_PRICE: Rule = reject("negative_price", "a price below 0", MEASURED);
    /// A cap below 0.
    pub static NEGATIVE_MARKET_CAP: Rule =
        reject("negative_market_cap", "a market cap below 0", MEASURED);
    /// A volume below 0.
    pub static NEGATIVE_VOLUME: Rule = reject("negative_volume", "a volume below 0", MEASURED);
}

/// Every rule of [`chart`].
pub static CHART_RULES: [&Rule; 8] = [
    &chart::NOT_A_CHART,
    &chart::UNEVEN_ARRAYS,
    &chart::WRONG_GRANULARITY,
    &chart::CONTRADICTORY_STAMP,
    &chart::OFF_MIDNIGHT,
    &chart::NEGATIVE_PRICE,
    &chart::NEGATIVE_MARKET_CAP,
    &chart::NEGATIVE_VOLUME,
];

/// A check: the field that breaks the rule and what stood there.
type Check = fn(&Quote, &Context<'_>) -> Option<(&'static str, String)>;

const fn reject(name: &'static str, reason: &'static str) -> Rule {
    Rule {
        name,
        version: 1,
        verdict: Verdict::Reject,
        bound: Bound::None,
        reason,
        source: MEASURED,
    }
}

const fn warn(name: &'static str, reason: &'static str) -> Rule {
    Rule {
        name,
        version: 1,
        verdict: Verdict::Warn,
        bound: Bound::None,
        reason,
        source: SEEN,
    }
}

impl Rule {
    /// The same rule with a bound.
    const fn bound(self, bound: Bound) -> Self {
        Self { bound, ..self }
    }

    /// The same rule, for which its check has this version by now.
    const fn version(self, version: u32) -> Self {
        Self { version, ..self }
    }
}

/// Tolerated up to [`TOLERANCE`].
const fn tolerant(name: &'static str, reason: &'static str) -> Rule {
    let rule = Rule {
        source: PAGES,
        ..warn(name, reason)
    };
    rule.bound(Bound::Fixed("1 %")).version(2)
}

/// Bounded by settings.
const fn set(name: &'static str, reason: &'static str, settings: &'static [Limit]) -> Rule {
    let rule = Rule {
        source: PAGES,
        ..warn(name, reason)
    };
    rule.bound(Bound::Set(settings))
}

/// The rules that a quote is held against, refusals first.
pub static QUOTE_RULES: [(Rule, Check); 19] = [
    (reject("negative_price", "a price below 0"), |q, _| {
        below_zero(q, Measure::CurrentPrice)
    }),
    (
        reject("negative_market_cap", "a market cap below 0"),
        |q, _| below_zero(q, Measure::MarketCap),
    ),
    (reject("negative_volume", "a volume below 0"), |q, _| {
        below_zero(q, Measure::TotalVolume)
    }),
    (
        reject(
            "future_stamp",
            "more than 10 minutes after the response itself",
        )
        .bound(Bound::Fixed("10 min")),
        |q, c| stamp(q, |observed| observed > c.sent_at + FUTURE_TOLERANCE),
    ),
    (
        reject("ancient_stamp", "before 2009, when there were no coins")
            .bound(Bound::Fixed("2009")),
        |q, _| stamp(q, |observed| observed.timestamp() < FIRST_STAMP),
    ),
    (warn("null_price", "no price"), |q, _| {
        is_null(q, Measure::CurrentPrice)
    }),
    (warn("zero_price", "a price of 0"), |q, _| {
        measure(q, Measure::CurrentPrice, |price| price == 0.0)
    }),
    (
        set(
            "price_out_of_bounds",
            "a price outside the set bounds",
            &[Limit::Below("min_price"), Limit::Above("max_price")],
        )
        .version(2),
        |q, c| {
            let bounds = c.rules.thresholds.min_price..=c.rules.thresholds.max_price;
            measure(q, Measure::CurrentPrice, |price| {
                price > 0.0 && !bounds.contains(&price)
            })
        },
    ),
    (
        set(
            "low_market_cap",
            "a market cap below the set bound, of coins with a known supply",
            &[Limit::Below("min_market_cap")],
        )
        .version(2),
        |q, c| {
            // CoinGecko writes 0 for the cap of a coin whose supply nobody reports: not low, but unknown
            let is_known = q
                .measure(Measure::CirculatingSupply)
                .is_some_and(|supply| supply > 0.0);
            measure(q, Measure::MarketCap, |cap| {
                cap < c.rules.thresholds.min_market_cap && (cap != 0.0 || is_known)
            })
        },
    ),
    (
        set(
            "low_volume",
            "a 24 h volume below the set bound; 0 only where the price moved by over 1 %",
            &[Limit::Below("min_volume")],
        )
        .version(2),
        |q, c| {
            // funds have a price of their own and no market: always 0, and no news as long as the price stands
            let stands = q
                .measure(Measure::PriceChangePct24h)
                .is_some_and(|change| change.abs() <= 100.0 * TOLERANCE);
            measure(q, Measure::TotalVolume, |volume| {
                volume < c.rules.thresholds.min_volume && (volume != 0.0 || !stands)
            })
        },
    ),
    (
        set(
            "large_change_24h",
            "a 24 h change above the set bound, in percent either way",
            &[Limit::Above("max_change_24h")],
        ),
        |q, c| {
            measure(q, Measure::PriceChangePct24h, |change| {
                change.abs() > c.rules.thresholds.max_change_24h
            })
        },
    ),
    (
        tolerant(
            "outside_24h_range",
            "a price more than 1 % outside its own 24 h range",
        ),
        |q, _| {
            below(q, Measure::CurrentPrice, Measure::Low24h)
                .or_else(|| above(q, Measure::CurrentPrice, Measure::High24h))
        },
    ),
    (
        set(
            "stale_quote",
            "a stamp older than the set bound, in seconds before the response",
            &[Limit::Above("stale_after")],
        ),
        |q, c| {
            stamp(q, |observed| {
                let age = c.sent_at - observed;
                age.as_seconds_f64() > c.rules.thresholds.stale_after
            })
        },
    ),
    (warn("missing_stamp", "no last_updated"), |q, _| {
        q.last_updated
            .is_none()
            .then(|| ("last_updated", "null".to_owned()))
    }),
    (
        tolerant(
            "circulating_above_total",
            "over 1 % more coins in circulation than exist",
        ),
        |q, _| above(q, Measure::CirculatingSupply, Measure::TotalSupply),
    ),
    (
        tolerant(
            "supply_above_max",
            "over 1 % more coins than there can ever be",
        ),
        |q, _| {
            above(q, Measure::CirculatingSupply, Measure::MaxSupply)
                .or_else(|| above(q, Measure::TotalSupply, Measure::MaxSupply))
        },
    ),
    (
        tolerant(
            "valuation_below_cap",
            "a market cap more than 1 % above the fully diluted valuation",
        ),
        |q, _| above(q, Measure::MarketCap, Measure::FullyDilutedValuation),
    ),
    (
        tolerant(
            "above_ath",
            "a price more than 1 % above its own all-time high",
        ),
        |q, _| above(q, Measure::CurrentPrice, Measure::Ath),
    ),
    (
        warn("negative_measure", "below 0, where only changes may be"),
        |q, _| {
            [
                Measure::FullyDilutedValuation,
                Measure::High24h,
                Measure::Low24h,
                Measure::CirculatingSupply,
                Measure::TotalSupply,
                Measure::MaxSupply,
                Measure::Ath,
                Measure::Atl,
            ]
            .into_iter()
            .find_map(|field| below_zero(q, field))
        },
    ),
];

fn measure(
    quote: &Quote,
    measure: Measure,
    breaks: impl FnOnce(f64) -> bool,
) -> Option<(&'static str, String)> {
    let value = quote.measure(measure)?;
    breaks(value).then(|| (measure.name(), value.to_string()))
}

fn below_zero(quote: &Quote, field: Measure) -> Option<(&'static str, String)> {
    measure(quote, field, |value| value < 0.0)
}

fn is_null(quote: &Quote, field: Measure) -> Option<(&'static str, String)> {
    quote
        .measure(field)
        .is_none()
        .then(|| (field.name(), "null".to_owned()))
}

/// True of a value above another one by more than [`TOLERANCE`].
fn above(quote: &Quote, field: Measure, bound: Measure) -> Option<(&'static str, String)> {
    let bound = quote.measure(bound)?;
    measure(quote, field, |value| {
        value > bound + TOLERANCE * bound.abs()
    })
}

/// True of a value below another one by more than [`TOLERANCE`].
fn below(quote: &Quote, field: Measure, bound: Measure) -> Option<(&'static str, String)> {
    let bound = quote.measure(bound)?;
    measure(quote, field, |value| {
        value < bound - TOLERANCE * bound.abs()
    })
}

fn stamp(
    quote: &Quote,
    breaks: impl FnOnce(DateTime<Utc>) -> bool,
) -> Option<(&'static str, String)> {
    let observed = quote.last_updated?;
    breaks(observed).then(|| {
        (
            "last_updated",
            observed.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        )
    })
}
