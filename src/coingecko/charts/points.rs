//! One point of a chart: its three numbers, read and validated.
//! What a chart as a whole must be is the parent's to say.

use serde_json::value::RawValue;

use crate::coingecko::number::double;
use crate::quality::{Finding, Rule, chart as rules};
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
    match double(text) {
        Ok(number) if number < 0.0 => Err(refuse(negative)),
        number => number.map(Some).map_err(refuse),
    }
}
