//! One point of a chart: its three numbers read and judged.
//! What a chart as a whole must be is the parent's to say.

use serde_json::value::RawValue;

use crate::quality::{Finding, Rule, chart as rules, record};
use crate::series::PricePoint;

/// A point, or the first reason why it is none.
pub(super) fn point(
    ts: i64,
    price: &RawValue,
    market_cap: &RawValue,
    volume: &RawValue,
) -> Result<PricePoint, Finding> {
    Ok(PricePoint {
        ts,
        price: number("price", price, &rules::NEGATIVE_PRICE)?,
        market_cap: number("market_cap", market_cap, &rules::NEGATIVE_MARKET_CAP)?,
        volume: number("volume", volume, &rules::NEGATIVE_VOLUME)?,
    })
}

fn number(
    field: &'static str,
    raw: &RawValue,
    negative: &'static Rule,
) -> Result<Option<f64>, Finding> {
    let text = raw.get();
    if text == "null" {
        return Ok(None);
    }
    let refuse = |rule| Finding::new(rule, field, text.chars().take(80).collect::<String>());
    if !text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return Err(refuse(&record::WRONG_TYPE));
    }
    match text.parse::<f64>() {
        Ok(number) if number < 0.0 => Err(refuse(negative)),
        // negative zero becomes zero, as SQLite would make it
        Ok(number) if number.is_finite() => Ok(Some(number + 0.0)),
        _ => Err(refuse(&record::NON_FINITE)),
    }
}
