//! A refusal as this crate's error, without the key, and how long it asks us to wait. Pure.
//! What it says and means is the provider's to know; waiting and trying again is the client's work.

use std::time::{Duration, SystemTime};

use super::{Request, Response};
use crate::error::Error;
use crate::provider::{Meaning, meaning};

/// A response that refuses the request.
#[derive(Debug)]
pub struct Refusal {
    /// The refusal as this crate's error.
    pub error: Error,
    /// How long the API asks us to wait.
    pub retry_after: Option<Duration>,
}

/// The refusal that a response is, or `None` where it is none. The key is starred out should the API repeat it.
pub fn refusal(request: &Request, response: &Response, key: Option<&str>) -> Option<Refusal> {
    let Meaning {
        code,
        mut message,
        remedy,
        is_retryable,
    } = meaning(response.status, &response.body)?;
    if let Some(key) = key.filter(|key| !key.is_empty()) {
        message = starred(&message, key);
    }
    let status = response.status;
    let number = code
        .filter(|&code| code != i64::from(status))
        .map(|code| format!(", code {code}"))
        .unwrap_or_default();
    let remedy = remedy
        .map(|remedy| format!(": {remedy}"))
        .unwrap_or_default();
    let error = Error::Source {
        message: format!(
            "the API refused {request} (HTTP {status}{number}): {}{remedy}",
            message.trim_end_matches('.')
        ),
        status: Some(status),
        code,
        retryable: is_retryable,
        cause: None,
    };
    Some(Refusal {
        error,
        retry_after: retry_after(response),
    })
}

/// What was said without the key; nor with the part of it that the end of a message has left over.
fn starred(said: &str, key: &str) -> String {
    let starred = said.replace(key, "***");
    let part = key
        .char_indices()
        .rev()
        .filter_map(|(end, _)| key.get(..end))
        .find(|part| part.len() > 3 && starred.ends_with(part));
    match part.and_then(|part| starred.strip_suffix(part)) {
        Some(rest) => format!("{rest}***"),
        None => starred,
    }
}

/// `Retry-After` in either of its forms (RFC 9110, section 10.2.3): seconds, or a date, which is measured from `Date`.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers.get("retry-after")?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let now = response
        .date()
        .map_or_else(|| response.received_at.into(), SystemTime::from);
    Some(until.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::DateTime;

    use super::*;

    fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
        Response {
            url: String::new(),
            status,
            headers: headers
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect::<BTreeMap<_, _>>(),
            body: body.to_owned().into(),
            received_at: DateTime::UNIX_EPOCH,
        }
    }

    fn refused(status: u16, body: &str) -> Option<Refusal> {
        let request = Request {
            path: vec!["coins".into(), "markets".into()],
            query: vec![],
        };
        refusal(&request, &response(status, &[], body), Some("CG-hunter2"))
    }

    #[test]
    fn a_refusal_says_its_numbers_its_words_and_the_remedy() {
        let body = r#"{"error_code":10005,"status":{"error_message":"This request is limited"}}"#;
        let error = refused(401, body).unwrap().error;
        assert!(!error.is_retryable());
        assert_eq!(
            error.to_string(),
            "the API refused /coins/markets (HTTP 401, code 10005): This request is limited: the plan does not include this"
        );
        assert!(refused(200, "[]").is_none());
    }

    #[test]
    fn a_key_that_the_api_repeats_is_starred_out() {
        let error = refused(401, r#"{"error":"CG-hunter2 is not a key"}"#)
            .unwrap()
            .error;
        assert!(!error.chain().contains("hunter2"), "{error}");
    }

    #[test]
    fn a_key_that_the_end_of_a_message_cuts_is_starred_out_too() {
        for length in 0..=400 {
            let body = format!("{}CG-hunter2", "a".repeat(length));
            let error = refused(401, &body).unwrap().error;
            assert!(!error.chain().contains("CG-h"), "{length}: {error}");
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let date = ("date", "Thu, 01 Jan 1970 00:00:10 GMT");
        assert_eq!(
            retry_after(&response(429, &[("retry-after", "119")], "")),
            Some(Duration::from_secs(119))
        );
        let until = ("retry-after", "Thu, 01 Jan 1970 00:01:10 GMT");
        assert_eq!(
            retry_after(&response(429, &[until, date], "")),
            Some(Duration::from_secs(60))
        );
        assert_eq!(
            retry_after(&response(429, &[("retry-after", "soon")], "")),
            None
        );
        assert_eq!(retry_after(&response(429, &[], "")), None);
    }
}
