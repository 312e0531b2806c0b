//! `/coins/list`: the request for the list of all coins, and its body as records. Pure.
//! What a list says of a coin that is not in it is not decided here.

use std::sync::LazyLock;

use serde_json::value::RawValue;

use super::bounded::records;
use super::fields::{Fields, Known};
use crate::contract::Deviation;
use crate::error::Result;
use crate::http::Request;
use crate::market::CoinId;
use crate::quality::{Finding, record};

/// The endpoint, as reports name it.
pub const ENDPOINT: &str = "/coins/list";

/// The most records of a list: five times what the real one has.
const LONGEST_LIST: usize = 100_000;

/// The fields of a record; `platforms` come only when they are asked for.
static KNOWN: LazyLock<Known> = LazyLock::new(|| Known {
    required: vec!["id", "symbol", "name"],
    optional: vec!["platforms"],
});

/// The request.
pub fn list() -> Request {
    Request {
        path: vec!["coins".to_owned(), "list".to_owned()],
        query: Vec::new(),
    }
}

/// A coin of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The coin.
    pub id: CoinId,
    /// Its symbol, which others may share.
    pub symbol: String,
    /// Its name.
    pub name: Option<String>,
}

/// One record of a list.
#[derive(Debug)]
pub struct ListRecord<'a> {
    /// The record's own bytes.
    pub raw: &'a str,
    /// The coin that it names, even where the rest cannot be read.
    pub id: Option<CoinId>,
    /// The coin, or every reason why it is none.
    pub entry: std::result::Result<Entry, Vec<Finding>>,
    /// Its fields that are not as they are known to be.
    pub drift: Vec<(Deviation, String)>,
}

/// The records of a list, in its order.
///
/// # Errors
/// [`Error::Source`], retryable, when the body is not a JSON array, or a longer one than a list can be.
pub fn parse_list(body: &[u8]) -> Result<Vec<ListRecord<'_>>> {
    let records = records::<LONGEST_LIST>(body, ENDPOINT)?;
    Ok(records.into_iter().map(read).collect())
}

fn read(raw: &RawValue) -> ListRecord<'_> {
    let Some(mut fields) = Fields::of(raw) else {
        return ListRecord {
            raw: raw.get(),
            id: None,
            entry: Err(vec![Finding::new(&record::NOT_AN_OBJECT, "record", "")]),
            drift: Vec::new(),
        };
    };
    let (id, symbol) = fields.id_and_symbol();
    let name = fields.text("name");
    let id = id.map(CoinId::from_source);
    let findings = std::mem::take(&mut fields.findings);
    let entry = match (id.clone(), symbol) {
        (Some(id), Some(symbol)) if findings.is_empty() => Ok(Entry { id, symbol, name }),
        _ => Err(findings),
    };
    ListRecord {
        raw: raw.get(),
        id,
        entry,
        drift: fields.deviations(&KNOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_is_a_coin_or_says_why_it_is_none() {
        let body = br#"[{"id":"bitcoin","symbol":"btc","name":"Bitcoin"},{"id":"x","symbol":"x","name":null},
            {"id":"","symbol":"a","name":"A"},{"id":"y","symbol":"","name":"Y"},{"id":7,"symbol":"b","name":"B"},5,
            {"id":"z","symbol":"z","name":"Z","rank":1}]"#;
        let records = parse_list(body).unwrap();
        let rules: Vec<Option<&str>> = records
            .iter()
            .map(|record| Some(record.entry.as_ref().err()?.first()?.rule.name))
            .collect();
        let (none, id, symbol) = (None, Some("missing_id"), Some("missing_symbol"));
        let (wrong, no_object) = (Some("wrong_type"), Some("not_an_object"));
        assert_eq!(rules, [none, none, id, symbol, wrong, no_object, none]);
        let named: Vec<Option<&str>> = records
            .iter()
            .map(|it| it.id.as_ref().map(CoinId::as_str))
            .collect();
        let (bitcoin, x, y, z) = (Some("bitcoin"), Some("x"), Some("y"), Some("z"));
        assert_eq!(named, [bitcoin, x, None, y, None, None, z]);
        let drift = records.last().map(|record| record.drift.clone());
        assert_eq!(drift, Some(vec![(Deviation::Unknown, "rank".to_owned())]));
    }

    #[test]
    fn what_is_no_list_may_come_whole_later() {
        for body in [&b"{}"[..], b"[{\"id\":\"bit", b"", b"null"] {
            assert!(parse_list(body).unwrap_err().is_retryable());
        }
        let long = format!("[{}1]", "1,".repeat(LONGEST_LIST));
        assert!(parse_list(long.as_bytes()).is_err());
        assert_eq!(parse_list(b"[]").unwrap().len(), 0);
    }
}
