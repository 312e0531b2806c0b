//! When a reply is a refusal, what it means and whether trying again can help. Pure.
//! The words come from `error_body`; waiting and trying again is the client's work.

use std::time::{Duration, SystemTime};

use super::{Reply, Request, words};
use crate::error::Error;

/// A reply that is not an answer.
#[derive(Debug)]
pub struct Refusal {
    /// The refusal as this crate's error.
    pub error: Error,
    /// How long the source asks us to wait.
    pub retry_after: Option<Duration>,
}

/// The refusal that a reply is, or `None` for an answer. A 200 is not believed unless its body looks like an answer:
/// limit notices and web pages have been seen under 200. The key is starred out should the source repeat it.
pub fn refusal(request: &Request, reply: &Reply, key: Option<&str>) -> Option<Refusal> {
    let notice = reply.status == 200;
    if notice && !looks_refused(&reply.body) {
        return None;
    }
    let words = words(&reply.body);
    let code = words.as_ref().and_then(|words| words.code);
    let mut said = words.map_or_else(|| "without a word".to_owned(), |words| words.message);
    if let Some(key) = key.filter(|key| !key.is_empty()) {
        said = starred(&said, key);
    }
    let status = reply.status;
    let number = code
        .filter(|&code| code != i64::from(status))
        .map(|code| format!(", code {code}"))
        .unwrap_or_default();
    let remedy = remedy(status, code, &said)
        .map(|remedy| format!(": {remedy}"))
        .unwrap_or_default();
    let error = Error::Source {
        message: format!("the source refused {request} (HTTP {status}{number}): {said}{remedy}"),
        status: Some(status),
        code,
        retryable: retryable(status, code, &said),
        cause: None,
    };
    Some(Refusal {
        error,
        retry_after: retry_after(reply),
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

/// True for a body that no endpoint of ours answers with: not JSON at all, or an object that leads with an error.
fn looks_refused(body: &[u8]) -> bool {
    let text = body.trim_ascii_start();
    match text.first() {
        Some(b'[') => false,
        Some(b'{') => {
            let head = text.get(..200).unwrap_or(text);
            let holds = |name: &[u8]| head.windows(name.len()).any(|window| window == name);
            [&b"\"error\""[..], b"\"error_code\"", b"\"error_message\""]
                .into_iter()
                .any(holds)
        }
        _ => true,
    }
}

fn retryable(status: u16, code: Option<i64>, said: &str) -> bool {
    match code {
        Some(429 | 1015) => return true,
        Some(1020 | 10_000..=10_999) => return false,
        _ => {}
    }
    match status {
        // under 200 only a notice or a passing page comes here
        200 | 408 | 425 | 429 | 500 | 502..=504 | 520..=527 => true,
        403 => said.contains("temporarily unavailable"),
        _ => false,
    }
}

fn remedy(status: u16, code: Option<i64>, said: &str) -> Option<&'static str> {
    Some(match (code, status) {
        (Some(10_002), _) => {
            "the key is missing or wrong: set COINMILL_API_KEY, and COINMILL_PLAN to the key's plan"
        }
        (Some(10_005), _) => "the plan does not include this",
        (Some(10_010), _) => {
            "the key is a paid one, but it was sent to the public host: set COINMILL_PLAN=paid and leave COINMILL_API_URL unset"
        }
        (Some(10_011), _) => {
            "the key is a demo one, but it was sent to the paid host: set COINMILL_PLAN=demo and leave COINMILL_API_URL unset"
        }
        (Some(10_012), _) if said.contains("time range") => {
            "the plan does not reach so far back: ask for a shorter span"
        }
        (Some(1020), _) => "Cloudflare blocks this address: try another network, or ask CoinGecko",
        (Some(429 | 1015), _) | (_, 429) => {
            "too many calls: lower COINMILL_CALLS_PER_MINUTE, or use a key of your own"
        }
        (_, 401) => "check COINMILL_API_KEY and COINMILL_PLAN",
        (_, 403) if said.contains("User-Agent") => {
            "something between here and there removes the User-Agent: check the proxy"
        }
        (_, 300..=399) => {
            "it redirects, which is not followed since the key would go with it: correct COINMILL_API_URL"
        }
        (_, 404) if said.contains("coin not found") => {
            "check the coin's id against /coins/list: ids are not symbols"
        }
        (_, 404) => {
            "correct COINMILL_API_URL: it is the API's base, such as https://api.coingecko.com/api/v3"
        }
        (_, 414) => "the list of coins is too long for one request",
        _ => return None,
    })
}

/// `Retry-After` in either of its forms (RFC 9110, section 10.2.3): seconds, or a date, which is measured from `Date`.
fn retry_after(reply: &Reply) -> Option<Duration> {
    let text = reply.headers.get("retry-after")?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let now = reply
        .date()
        .map_or_else(|| reply.received_at.into(), SystemTime::from);
    Some(until.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::DateTime;

    use super::*;

    fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
        Reply {
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
        refusal(&request, &reply(status, &[], body), Some("CG-hunter2"))
    }

    #[test]
    fn answers_are_answers() {
        for body in [
            "[]",
            "  [{\"id\":\"error\"}]",
            "{\"prices\":[],\"market_caps\":[]}",
            "{\"gecko_says\":\"(V3)\"}",
        ] {
            assert!(refused(200, body).is_none(), "{body}");
        }
    }

    #[test]
    fn a_notice_under_200_is_a_refusal_that_may_pass() {
        for body in [
            r#"{"status":{"error_code":429,"error_message":"You've exceeded the Rate Limit."}}"#,
            "Throttled",
            "<html><title>Just a moment</title></html>",
            "",
        ] {
            assert!(refused(200, body).unwrap().error.is_retryable(), "{body}");
        }
    }

    #[test]
    fn what_cannot_pass_is_not_tried_again() {
        for (status, code) in [
            (401, 10_002),
            (400, 10_010),
            (400, 10_011),
            (401, 10_012),
            (401, 10_005),
        ] {
            let body = format!(r#"{{"status":{{"error_code":{code},"error_message":"no"}}}}"#);
            let error = refused(status, &body).unwrap().error;
            assert!(!error.is_retryable(), "{error}");
        }
        assert!(
            !refused(404, r#"{"error":"coin not found"}"#)
                .unwrap()
                .error
                .is_retryable()
        );
        assert!(!refused(302, "").unwrap().error.is_retryable());
    }

    #[test]
    fn a_key_on_the_wrong_host_is_explained_in_words() {
        let body = r#"{"error_code":10011,"status":{"error_message":"If you are using Demo API key, please change your root URL"}}"#;
        let error = refused(400, body).unwrap().error.to_string();
        assert!(error.contains("COINMILL_PLAN=demo"), "{error}");
    }

    #[test]
    fn a_wrong_path_is_no_wrong_coin() {
        let said = |body| refused(404, body).unwrap().error.to_string();
        let path = r#"{"error":"Incorrect path. Please check https://www.coingecko.com/api/"}"#;
        assert!(said(path).contains("correct COINMILL_API_URL"));
        assert!(said(r#"{"error":"coin not found"}"#).contains("ids are not symbols"));
    }

    #[test]
    fn a_key_that_the_source_repeats_is_starred_out() {
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
            retry_after(&reply(429, &[("retry-after", "119")], "")),
            Some(Duration::from_secs(119))
        );
        let until = ("retry-after", "Thu, 01 Jan 1970 00:01:10 GMT");
        assert_eq!(
            retry_after(&reply(429, &[until, date], "")),
            Some(Duration::from_secs(60))
        );
        assert_eq!(
            retry_after(&reply(429, &[("retry-after", "soon")], "")),
            None
        );
        assert_eq!(retry_after(&reply(429, &[], "")), None);
    }
}
