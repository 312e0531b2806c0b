//! When a response is a refusal, what it says, and whether trying again can help. Pure.
//! The words come from `words`; the error made of them, waiting and trying again are the client's work.

use super::words::words;

/// What a refusing response says and means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// CoinGecko's error code, where the body has one.
    pub code: Option<i64>,
    /// CoinGecko's message, as it came: it may repeat the key.
    pub message: String,
    /// What to do about it, where that is known.
    pub remedy: Option<&'static str>,
    /// True where trying again can help.
    pub is_retryable: bool,
}

/// What a response says that refuses, or `None` for any other. A 200 is not believed unless its body looks like data:
/// limit notices and web pages have been seen under 200.
pub fn meaning(status: u16, body: &[u8]) -> Option<Meaning> {
    if status == 200 && !looks_refused(body) {
        return None;
    }
    let words = words(body);
    let code = words.as_ref().and_then(|words| words.code);
    let message = words.map_or_else(|| "no message".to_owned(), |words| words.message);
    Some(Meaning {
        code,
        remedy: remedy(status, code, &message),
        is_retryable: is_retryable(status, code, &message),
        message,
    })
}

/// True for a body that no endpoint of ours sends: not JSON at all, or an object that leads with an error.
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

fn is_retryable(status: u16, code: Option<i64>, said: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str) -> Meaning {
        meaning(status, body.as_bytes()).unwrap()
    }

    #[test]
    fn quotes_and_charts_are_no_refusals() {
        for body in [
            "[]",
            "  [{\"id\":\"error\"}]",
            "{\"prices\":[],\"market_caps\":[]}",
            "{\"gecko_says\":\"(V3)\"}",
        ] {
            assert!(meaning(200, body.as_bytes()).is_none(), "{body}");
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
            assert!(refused(200, body).is_retryable, "{body}");
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
            assert!(!refused(status, &body).is_retryable, "{body}");
        }
        assert!(!refused(404, r#"{"error":"coin not found"}"#).is_retryable);
        assert!(!refused(302, "").is_retryable);
    }

    #[test]
    fn a_key_on_the_wrong_host_is_explained_in_words() {
        let body = r#"{"error_code":10011,"status":{"error_message":"If you are using Demo API key, please change your root URL"}}"#;
        let remedy = refused(400, body).remedy.unwrap();
        assert!(remedy.contains("COINMILL_PLAN=demo"), "{remedy}");
    }

    #[test]
    fn a_wrong_path_is_no_wrong_coin() {
        let remedy = |body| refused(404, body).remedy.unwrap();
        let path = r#"{"error":"Incorrect path. Please check https://www.coingecko.com/api/"}"#;
        assert!(remedy(path).contains("correct COINMILL_API_URL"));
        assert!(remedy(r#"{"error":"coin not found"}"#).contains("ids are not symbols"));
    }
}
