//! The bytes that stored rows name, read without the product: what the API really sent.
//! Numbers are the API's tokens; a double is made of them only to be compared.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::DateTime;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::series::Numbers;
use crate::support::Cell;

/// The fields of a record as raw JSON.
pub type Row = BTreeMap<String, Box<RawValue>>;

/// A landed body by the path that the database has of it.
pub fn body(landing: &Path, path: &str) -> String {
    let packed = std::fs::read(landing.join(path)).unwrap();
    String::from_utf8(zstd::decode_all(packed.as_slice()).unwrap()).unwrap()
}

/// The records of a page, each as its own text.
pub fn records(body: &str) -> Vec<&str> {
    let records: Vec<&RawValue> = serde_json::from_str(body).unwrap();
    records.into_iter().map(RawValue::get).collect()
}

/// The rows of a page that name a coin, in order.
pub fn rows(body: &str) -> Vec<(String, Row)> {
    let row = |text: &&str| serde_json::from_str::<Row>(text).ok();
    let records = records(body);
    let rows = records.iter().filter_map(row);
    let named = rows.filter_map(|row| {
        let id = serde_json::from_str(row.get("id")?.get()).ok()?;
        Some((id, row))
    });
    named.collect()
}

/// The columns of a quote that hold a number of the API's.
pub const NUMBERS: [&str; 18] = [
    "current_price",
    "market_cap",
    "fully_diluted_valuation",
    "total_volume",
    "high_24h",
    "low_24h",
    "price_change_24h",
    "price_change_percentage_24h",
    "market_cap_change_24h",
    "market_cap_change_percentage_24h",
    "circulating_supply",
    "total_supply",
    "max_supply",
    "ath",
    "ath_change_percentage",
    "atl",
    "atl_change_percentage",
    "market_cap_rank",
];

/// The columns that hold an instant, by the API's names for them.
pub const INSTANTS: [(&str, &str); 3] = [
    ("ath_date", "ath_date"),
    ("atl_date", "atl_date"),
    ("last_updated", "last_updated"),
];

/// What a quote's columns must hold, in the order of [`NUMBERS`] and [`INSTANTS`]; a token that no column can hold stays one.
pub fn cells(row: &Row) -> Vec<Cell> {
    let token = |name: &str| {
        row.get(name)
            .map(|raw| raw.get())
            .filter(|text| *text != "null")
    };
    let cell = |text: &str, read: Option<Cell>| read.unwrap_or_else(|| Cell::Text(text.to_owned()));
    let number = |name: &str| match token(name) {
        None => Cell::Null,
        Some(digits) if name == "market_cap_rank" => {
            cell(digits, digits.parse().ok().map(Cell::Int))
        }
        Some(digits) => {
            // -0.0 becomes 0.0, as SQLite would make it
            let number = digits.parse::<f64>().ok();
            cell(digits, number.map(|number| Cell::Float(number + 0.0)))
        }
    };
    let instant = |(_, name): (&str, &str)| {
        token(name).map_or(Cell::Null, |token| {
            let text = serde_json::from_str::<String>(token).ok();
            let instant = text.and_then(|text| DateTime::parse_from_rfc3339(&text).ok());
            cell(token, instant.map(|at| Cell::Int(at.timestamp_millis())))
        })
    };
    let numbers = NUMBERS.into_iter().map(number);
    numbers.chain(INSTANTS.into_iter().map(instant)).collect()
}

/// The points of a chart by stamp. A token that is no number, or a number that cannot be, is left out.
pub fn points(body: &str) -> BTreeMap<i64, Numbers> {
    #[derive(Deserialize)]
    struct Chart<'a> {
        #[serde(borrow)]
        prices: Vec<(i64, &'a RawValue)>,
        #[serde(borrow)]
        market_caps: Vec<(i64, &'a RawValue)>,
        #[serde(borrow)]
        total_volumes: Vec<(i64, &'a RawValue)>,
    }
    let Ok(chart) = serde_json::from_str::<Chart<'_>>(body) else {
        return BTreeMap::new();
    };
    let number = |raw: &RawValue| match raw.get() {
        "null" => Some(None),
        text => {
            let number = text.parse::<f64>().ok()?;
            (number >= 0.0 && number.is_finite()).then(|| Some((number + 0.0).to_bits()))
        }
    };
    let all = chart
        .prices
        .iter()
        .zip(&chart.market_caps)
        .zip(&chart.total_volumes);
    let points = all.filter_map(|((price, cap), volume)| {
        Some((
            price.0,
            [number(price.1)?, number(cap.1)?, number(volume.1)?],
        ))
    });
    // the first of two values for a stamp is the one that counts
    let mut found = BTreeMap::new();
    for (ts, numbers) in points {
        found.entry(ts).or_insert(numbers);
    }
    found
}

/// The stamp that a chart ends with, in the order in which it was sent.
pub fn last_stamp(body: &str) -> i64 {
    let chart: serde_json::Value = serde_json::from_str(body).unwrap();
    let prices = chart["prices"].as_array().unwrap();
    prices.last().unwrap()[0].as_i64().unwrap()
}
