//! `/key`: what a paid plan's key has spent, by whomever. Pure.

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::http::Request;

/// What CoinGecko says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct KeyUse {
    /// Calls charged in the running month.
    #[serde(rename = "current_total_monthly_calls")]
    pub spent: u64,
    /// Calls that the plan has in a month.
    #[serde(rename = "monthly_call_credit")]
    pub credits: u64,
}

/// The request.
pub fn key() -> Request {
    Request {
        path: vec!["key".to_owned()],
        query: Vec::new(),
    }
}

/// Reads its body.
///
/// # Errors
/// [`Error::Data`] where it does not say what was spent.
pub fn parse_key(body: &[u8]) -> Result<KeyUse> {
    serde_json::from_slice(body)
        .map_err(|error| Error::data("/key does not say what the key has spent").because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_has_spent_is_read_and_other_fields_are_left_alone() {
        let body =
            br#"{"plan":"Analyst","rate_limit_request_per_minute":500,"monthly_call_credit":500000,
            "current_total_monthly_calls":104,"current_remaining_monthly_calls":499896}"#;
        let read = parse_key(body).unwrap();
        assert_eq!((read.spent, read.credits), (104, 500_000));
        let error = parse_key(br#"{"plan":"Analyst"}"#).unwrap_err();
        assert!(
            error.to_string().contains("what the key has spent"),
            "{error}"
        );
    }
}
