//! The error texts of the real API, as public reports quote them, and the pages of the network in front of it.
//! It decides nothing: which text is sent when is the business of `access`, `query`, `faults` and the markets.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

/// 403, to a request that does not say what sends it.
pub const NO_USER_AGENT: &str = r#"{"status":{"error_code":403,"error_message":"Please add a descriptive User-Agent to your request. For higher rate limits & stable integration, please subscribe to our API plans: https://www.coingecko.com/en/api/pricing . If you think this is a mistake, please report here: https://forms.gle/3V2z8Mb3k2RMu5S2A"}}"#;
/// 429, and sometimes under HTTP 200.
pub const RATE_LIMIT: &str = r#"{"status":{"error_code":429,"error_message":"You've exceeded the Rate Limit. Please visit https://www.coingecko.com/en/api/pricing to subscribe to our API plans for higher rate limits."}}"#;
/// 429 in plain text.
pub const THROTTLED: &str = "Throttled";
/// 429 in plain text, from the network in front.
pub const CLOUDFLARE_1015: &str = "error code: 1015";
/// 403, while an endpoint is switched off.
pub const UNAVAILABLE: &str = r#"{"status":{"error_code":403,"error_message":"This endpoint is temporarily unavailable due to ongoing issues. Please visit https://www.coingecko.com/en/api/pricing to subscribe to our API plans with higher availability and https://status.coingecko.com for API status. "}}"#;
/// 400, for a currency that is not served.
pub const INVALID_CURRENCY: &str = r#"{"error":"invalid vs_currency"}"#;
/// 404, for a coin that is not there.
pub const COIN_NOT_FOUND: &str = r#"{"error":"coin not found"}"#;
/// 404, for a path that is not an endpoint.
pub const NOT_FOUND: &str =
    r#"{"error":"Incorrect path. Please check https://www.coingecko.com/api/"}"#;
/// 404, where a recorded market holds nothing for the request.
pub const NO_RECORDING: &str = r#"{"error":"no recording"}"#;
/// 401 with code 10005, for what the plan does not have.
pub const PRO_ONLY: &str = r#"{"status":{"error_code":10005,"error_message":"This request is limited to PRO API subscribers. Please visit https://www.coingecko.com/en/api/pricing to subscribe to our API plans to access this exclusive endpoint."}}"#;

/// 422, for a parameter that has to be there.
pub fn missing(parameter: &str) -> String {
    json!({ "error": format!("Missing parameter {parameter}") }).to_string()
}

/// 400 or 422, for a parameter whose value cannot be read.
pub fn invalid(parameter: &str) -> String {
    json!({ "error": format!("invalid {parameter}") }).to_string()
}

/// 401 with code 10012: history beyond what the plan reaches.
pub fn beyond_history(now: DateTime<Utc>) -> String {
    let message = "Your request exceeds the allowed time range. Public API users are limited to querying historical data within the past 365 days. Upgrade to a paid plan to enjoy full historical data access: https://www.coingecko.com/en/api/pricing. ";
    json!({ "error": { "status": { "timestamp": stamp(now), "error_code": 10012, "error_message": message } } })
        .to_string()
}

/// 401 with code 10002: no key, or one that is not known.
pub fn key_missing(now: DateTime<Utc>) -> String {
    status(
        now,
        10002,
        "API Key Missing. Please make sure you're using the right authentication method. For Pro API, please visit: https://docs.coingecko.com/reference/authentication. For Public/Demo API, please visit: https://docs.coingecko.com/v3.0.1/reference/authentication.",
    )
}

/// 400 with code 10010: a paid key at the public host.
pub fn pro_key_at_public_host(now: DateTime<Utc>) -> String {
    status(
        now,
        10010,
        "If you are using Pro API key, please change your root URL from api.coingecko.com to pro-api.coingecko.com",
    )
}

/// 400 with code 10011: a demo key at the paid host.
pub fn demo_key_at_paid_host(now: DateTime<Utc>) -> String {
    status(
        now,
        10011,
        "If you are using Demo API key, please change your root URL from pro-api.coingecko.com to api.coingecko.com",
    )
}

/// What the real API says in JSON under this status.
pub fn of_status(code: u16) -> String {
    match code {
        401 => r#"{"status":{"error_code":10002,"error_message":"API Key Missing. Please make sure you're using the right authentication method."}}"#.into(),
        403 => UNAVAILABLE.into(),
        404 => COIN_NOT_FOUND.into(),
        429 => RATE_LIMIT.into(),
        _ => json!({ "status": code, "error": reason(code) }).to_string(),
    }
}

/// A page of the network in front of the API, with the title it has under this status.
pub fn page(code: u16) -> String {
    let title = match code {
        // The block page is also the one that has been seen under a status that says all is well.
        200 | 403 => "Access denied | api.coingecko.com used Cloudflare to restrict access".to_owned(),
        414 => return "<html>\r\n<head><title>414 Request-URI Too Large</title></head>\r\n<body>\r\n<center><h1>414 Request-URI Too Large</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n".into(),
        504 => "api.coingecko.com | 504: Gateway time-out".to_owned(),
        _ => format!("api.coingecko.com | {code}: {}", reason(code)),
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en-US\">\n<head>\n<title>{title}</title>\n<meta charset=\"UTF-8\" />\n</head>\n<body>\n<div id=\"cf-wrapper\">\n<h1>{title}</h1>\n<p>Performance &amp; security by Cloudflare</p>\n</div>\n</body>\n</html>\n"
    )
}

fn reason(code: u16) -> &'static str {
    match code {
        400 => "Bad Request",
        408 => "Request Timeout",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        520 => "Web server is returning an unknown error",
        522 => "Connection timed out",
        _ => "Error",
    }
}

fn status(now: DateTime<Utc>, code: u32, message: &str) -> String {
    json!({ "status": { "timestamp": stamp(now), "error_code": code, "error_message": message } })
        .to_string()
}

fn stamp(now: DateTime<Utc>) -> String {
    now.to_rfc3339_opts(SecondsFormat::Millis, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_json_body_is_json_and_every_page_has_its_title() {
        let now = DateTime::UNIX_EPOCH;
        let fixed = [
            NO_USER_AGENT,
            RATE_LIMIT,
            UNAVAILABLE,
            INVALID_CURRENCY,
            COIN_NOT_FOUND,
            NOT_FOUND,
            PRO_ONLY,
        ];
        for body in fixed {
            serde_json::from_str::<serde_json::Value>(body).unwrap();
        }
        assert_eq!(
            missing("vs_currency"),
            r#"{"error":"Missing parameter vs_currency"}"#
        );
        assert_eq!(
            of_status(500),
            r#"{"status":500,"error":"Internal Server Error"}"#
        );
        assert!(beyond_history(now).contains("1970-01-01T00:00:00.000+00:00"));
        assert!(page(504).contains("<title>api.coingecko.com | 504: Gateway time-out</title>"));
        assert!(page(200).contains("used Cloudflare to restrict access"));
    }
}
