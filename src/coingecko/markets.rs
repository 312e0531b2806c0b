//! `/coins/markets`: the requests for the top coins and for coins by name, and its body as records.
//! Records are validated in `quality`; here they are only read.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::bounded::records;
use super::fields::{Fields, Known, LONGEST_ID};
use crate::contract::Deviation;
use crate::error::Result;
use crate::http::Request;
use crate::market::{CoinId, MEASURES, Measure, Origin, Quote, quote_columns};
use crate::quality::{Finding, record};

/// The most rows that CoinGecko serves on one page.
const LONGEST_PAGE: u32 = 250;

/// The longest list of ids in one request, in bytes: a URL of about 8 kB gets a 414.
const LONGEST_LIST: usize = 4_000;

/// True for an id under which a coin can be stored and asked for.
pub fn is_usable(id: &str) -> bool {
    id.len() <= LONGEST_ID && !id.contains('\0')
}

/// The endpoint, as reports name it.
pub const ENDPOINT: &str = "/coins/markets";

/// The spans of price changes that are asked for: they cost nothing more.
const CHANGES: &str = "1h,24h,7d,14d,30d,200d,1y";

/// The fields of a record, as CoinGecko's OpenAPI documents them and as they have come since 2023. Those of [`CHANGES`] come
/// only when they are asked for, so a body that was landed before may lack them.
static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let fields = quote_columns().filter_map(|column| match column.origin {
        Origin::Source(field) => field.split('.').next(),
        Origin::Key | Origin::Derived | Origin::Read => None,
    });
    let (mut optional, mut required): (Vec<_>, Vec<_>) =
        fields.partition(|field| field.ends_with("_in_currency"));
    required.extend(["id", "image"]);
    // the same number as price_change_percentage_24h
    optional.push("price_change_percentage_24h_in_currency");
    required.sort_unstable();
    required.dedup();
    Known { required, optional }
});

/// A page of the coins by market cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Page {
    /// Counted from 1.
    pub number: u32,
    /// Rows a page.
    pub rows: u32,
}

impl Page {
    /// The ranks that it covers, by its place.
    pub fn ranks(self) -> (u32, u32) {
        let last = self.number.saturating_mul(self.rows);
        (last.saturating_sub(self.rows).saturating_add(1), last)
    }
}

/// The fewest pages that hold the top coins, all of one length and as short as that allows.
pub fn pages(top: u32) -> Vec<Page> {
    let count = top.div_ceil(LONGEST_PAGE);
    (1..=count)
        .map(|number| Page {
            number,
            rows: top.div_ceil(count),
        })
        .collect()
}

/// The request for one page.
pub fn page(vs_currency: &str, page: Page) -> Request {
    markets(vec![
        ("vs_currency", vs_currency.to_owned()),
        ("order", "market_cap_desc".to_owned()),
        ("per_page", page.rows.to_string()),
        ("page", page.number.to_string()),
    ])
}

/// The requests for coins by name, each with the coins it asks for.
pub fn by_ids(vs_currency: &str, coins: &[CoinId]) -> Vec<(Request, Vec<CoinId>)> {
    let mut lists: Vec<Vec<CoinId>> = Vec::new();
    let mut length = 0;
    for coin in coins {
        // a comma becomes %2C, and any byte of an id may become three
        let cost = 3 * (coin.as_str().len() + 1);
        let full = lists
            .last()
            .is_none_or(|list| list.len() >= LONGEST_PAGE as usize || length + cost > LONGEST_LIST);
        if full {
            lists.push(Vec::new());
            length = 0;
        }
        length += cost;
        if let Some(list) = lists.last_mut() {
            list.push(coin.clone());
        }
    }
    let request = |list: &[CoinId]| {
        let ids = list
            .iter()
            .map(CoinId::as_str)
            .collect::<Vec<_>>()
            .join(",");
        markets(vec![
            ("vs_currency", vs_currency.to_owned()),
            ("ids", ids),
            ("per_page", LONGEST_PAGE.to_string()),
            ("page", "1".to_owned()),
        ])
    };
    lists
        .into_iter()
        .map(|list| (request(&list), list))
        .collect()
}

/// The endpoint with a query: every number with all its digits, which are rounded otherwise.
pub fn markets(mut query: Vec<(&'static str, String)>) -> Request {
    query.push(("precision", "full".to_owned()));
    query.push(("price_change_percentage", CHANGES.to_owned()));
    Request {
        path: vec!["coins".to_owned(), "markets".to_owned()],
        query,
    }
}

/// The coins that a landed URL asked for by name, or `None` where it asked for a page.
pub fn requested_ids(url: &str) -> Option<Vec<CoinId>> {
    let url = Url::parse(url).ok()?;
    let (_, ids) = url.query_pairs().find(|(name, _)| name == "ids")?;
    Some(
        ids.split(',')
            .map(|id| CoinId::from_source(id.to_owned()))
            .collect(),
    )
}

/// One record of a body.
#[derive(Debug)]
pub struct Record<'a> {
    /// The record's own bytes.
    pub raw: &'a str,
    /// The coin that it names, even where the rest cannot be read.
    pub id: Option<String>,
    /// The quote, or every reason why it is none.
    pub quote: std::result::Result<Quote, Vec<Finding>>,
    /// Its fields that are not as they are known to be.
    pub drift: Vec<(Deviation, String)>,
}

/// The records of a body of `/coins/markets`, in its order.
///
/// # Errors
/// [`Error::Source`], retryable, when the body is not a JSON array, or a longer one than a page can be: it was cut, or it
/// is no response at all.
pub fn parse(body: &[u8]) -> Result<Vec<Record<'_>>> {
    let records = records::<{ LONGEST_PAGE as usize }>(body, ENDPOINT)?;
    Ok(records.into_iter().map(read).collect())
}

#[derive(Deserialize)]
struct Roi {
    times: Option<Box<RawValue>>,
    currency: Option<String>,
    percentage: Option<Box<RawValue>>,
}

fn read(raw: &RawValue) -> Record<'_> {
    let Some(mut fields) = Fields::of(raw) else {
        let finding = Finding::new(&record::NOT_AN_OBJECT, "record", "");
        return Record {
            raw: raw.get(),
            id: None,
            quote: Err(vec![finding]),
            drift: Vec::new(),
        };
    };
    let (id, symbol) = fields.id_and_symbol();
    let quote = quote(&mut fields, id.as_deref(), symbol);
    let findings = std::mem::take(&mut fields.findings);
    Record {
        raw: raw.get(),
        drift: fields.deviations(&KNOWN),
        id,
        quote: quote.filter(|_| findings.is_empty()).ok_or(findings),
    }
}

fn quote(fields: &mut Fields<'_>, id: Option<&str>, symbol: Option<String>) -> Option<Quote> {
    let roi: Option<Roi> = fields.object("roi");
    let roi = roi.as_ref();
    let roi_currency = roi.and_then(|roi| roi.currency.clone());
    if roi_currency
        .as_ref()
        .is_some_and(|text| text.contains('\0'))
    {
        fields.find(&record::UNSTORABLE_TEXT, "roi", "");
    }
    let mut part = |raw: Option<&RawValue>| fields.double("roi", raw?.get());
    let roi_times = part(roi.and_then(|roi| roi.times.as_deref()));
    let roi_pct = part(roi.and_then(|roi| roi.percentage.as_deref()));
    let mut measures = [None; MEASURES];
    for (place, measure) in measures.iter_mut().zip(Measure::ALL) {
        *place = match measure {
            Measure::RoiTimes => roi_times,
            Measure::RoiPct => roi_pct,
            _ => fields.number(measure.field()),
        };
    }
    let name = fields.text("name");
    let market_cap_rank = fields.integer("market_cap_rank");
    let ath_date = fields.instant("ath_date");
    let atl_date = fields.instant("atl_date");
    let last_updated = fields.instant("last_updated");
    let id = id.map(|id| CoinId::from_source(id.to_owned()));
    Some(Quote {
        id: id?,
        symbol: symbol?,
        name,
        market_cap_rank,
        measures,
        ath_date,
        atl_date,
        roi_currency,
        last_updated,
    })
}

#[cfg(test)]
mod tests;
