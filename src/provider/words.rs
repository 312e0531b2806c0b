//! CoinGecko's words in a refusal: six JSON shapes, plain texts and HTML pages, brought to one code and one message.
//! It only reads; what a refusal means for the caller is decided in `refusal`.

use serde_json::Value;

/// What a refusing body says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// CoinGecko's error code, where the body has one.
    pub code: Option<i64>,
    /// CoinGecko's message.
    pub message: String,
}

/// The longest message taken over from a body, in characters.
const LONGEST: usize = 400;

/// How far a body is read, in bytes: the longest real refusal is a page of some 10 kB, and as a tree of values JSON takes
/// up to seventy times its length.
const READ: usize = 64 << 10;

/// Reads the code and the message out of a refusing body; `None` where it says nothing.
///
/// The shapes, as recorded from the live API:
/// `{"error": TEXT}`, `{"status": 500, "error": TEXT}`, `{"status": {"error_code", "error_message"}}`,
/// `{"error": {"status": {…}}}`, `{"error_code", "status": {"error_message"}}`, `{"error": {"code", "message"}}`;
/// and `Throttled`, `error code: 1015` and HTML pages. A JSON body cut short is read as far as it goes.
pub fn words(body: &[u8]) -> Option<Words> {
    let text = String::from_utf8_lossy(body.get(..READ).unwrap_or(body));
    let text = text.trim();
    let found = match serde_json::from_str::<Value>(text) {
        Ok(value) => from_json(&value),
        Err(_) if text.starts_with('<') || text.contains("<title>") => {
            title(text).map(|message| Words {
                code: None,
                message,
            })
        }
        Err(_) => from_fragment(text).or_else(|| from_plain(text)),
    }?;
    let message: String = found
        .message
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST)
        .collect();
    (!message.is_empty()).then_some(Words { message, ..found })
}

fn from_json(value: &Value) -> Option<Words> {
    let code = [
        "/status/error_code",
        "/error/status/error_code",
        "/error_code",
        "/error/code",
        "/status",
    ]
    .iter()
    .find_map(|path| value.pointer(path)?.as_i64());
    let message = [
        "/status/error_message",
        "/error/status/error_message",
        "/error_message",
        "/error/message",
        "/error",
    ]
    .iter()
    .find_map(|path| value.pointer(path)?.as_str())?;
    Some(Words {
        code,
        message: message.to_owned(),
    })
}

/// A JSON refusal that was cut off somewhere, as logs and broken connections leave it.
fn from_fragment(text: &str) -> Option<Words> {
    let after = |name: &str| {
        let rest = text.split_once(&format!("\"{name}\""))?.1;
        Some(rest.trim_start().strip_prefix(':')?.trim_start())
    };
    let code = after("error_code")
        .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit() && c != '-').next())
        .and_then(|digits| digits.parse().ok());
    let message = ["error_message", "error"].iter().find_map(|name| {
        let quoted = after(name)?.strip_prefix('"')?;
        let mut escaped = false;
        let end = quoted.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        Some(quoted.get(..end.unwrap_or(quoted.len()))?.to_owned())
    })?;
    Some(Words { code, message })
}

fn from_plain(text: &str) -> Option<Words> {
    let code = text
        .strip_prefix("error code:")
        .and_then(|digits| digits.trim().parse().ok());
    (!text.is_empty()).then(|| Words {
        code,
        message: text.to_owned(),
    })
}

fn title(html: &str) -> Option<String> {
    let (_, rest) = html.split_once("<title>")?;
    let (title, _) = rest.split_once("</title>")?;
    Some(title.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> (Option<i64>, String) {
        words(body.as_bytes())
            .map(|words| (words.code, words.message))
            .unwrap()
    }

    #[test]
    fn every_shape_gives_its_code_and_message() {
        for (body, code, message) in [
            (r#"{"error":"coin not found"}"#, None, "coin not found"),
            (
                r#"{"status":500,"error":"Internal Server Error"}"#,
                Some(500),
                "Internal Server Error",
            ),
            (
                r#"{"status":{"error_code":429,"error_message":"slow down"}}"#,
                Some(429),
                "slow down",
            ),
            (
                r#"{"error":{"status":{"error_code":10012,"error_message":"too far"}}}"#,
                Some(10012),
                "too far",
            ),
            (
                r#"{"timestamp":"t","error_code":10012,"status":{"error_message":"too many"}}"#,
                Some(10012),
                "too many",
            ),
            (r#"{"error":{"code":7,"message":"no"}}"#, Some(7), "no"),
            ("Throttled", None, "Throttled"),
            ("error code: 1015", Some(1015), "error code: 1015"),
            (
                "<html><head><title>504:\n  Gateway time-out</title></head>",
                None,
                "504: Gateway time-out",
            ),
            (
                r#"{"status":{"error_code":10002,"error_message":"API Key Missing. Please v"#,
                Some(10002),
                "API Key Missing. Please v",
            ),
            (
                r#"... "error_message": "say \"please\"","#,
                None,
                r#"say \"please\""#,
            ),
        ] {
            assert_eq!(read(body), (code, message.to_owned()), "{body}");
        }
    }

    #[test]
    fn a_long_body_is_read_as_far_as_a_refusal_goes() {
        let long = format!(r#"{{"error":"no","more":[1{}]}}"#, ",1".repeat(READ));
        assert_eq!(read(&long), (None, "no".to_owned()));
        assert_eq!(
            words(format!("[1{}]", ",1".repeat(READ)).as_bytes())
                .unwrap()
                .message
                .len(),
            LONGEST
        );
    }

    #[test]
    fn what_says_nothing_says_nothing() {
        for body in [
            "",
            "  \n",
            "[]",
            "{}",
            "<html></html>",
            "null",
            r#"{"error":""}"#,
        ] {
            assert_eq!(words(body.as_bytes()), None, "{body}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_it_panic(body in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _ = words(&body);
        }

        #[test]
        fn no_cut_of_a_real_shape_makes_it_panic(cut in 0usize..80) {
            let body = br#"{"status":{"error_code":10002,"error_message":"API \"Key\" Missing \u00e9"}}"#;
            let _ = words(&body[..cut.min(body.len())]);
        }
    }
}
