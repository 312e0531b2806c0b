//! Every recorded refusal becomes one error with the API's own code and words.
//! The recordings are beside the project; where they are absent this says so and passes.

#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use chrono::DateTime;
use coinmill::error::Error;
use coinmill::http::{Request, Response, refusal};
use serde_json::Value;

/// What stands between a mark and the next quote or tag, read in the plainest way there is.
fn after<'a>(body: &'a str, mark: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(mark)?;
    Some(rest.split(end).next().unwrap_or(rest))
}

#[test]
fn every_recorded_refusal_gives_its_code_and_its_words() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/coingecko/errors/bodies.json");
    let Ok(text) = fs::read_to_string(path) else {
        eprintln!("skipped: no recordings at ../shared/coingecko");
        return;
    };
    let recorded: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(recorded.len() >= 19);
    for refused in recorded {
        let body = refused["body"].as_str().unwrap();
        let status = refused["http"].as_u64().unwrap_or(401);
        let headers: BTreeMap<String, String> = refused["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        let response = Response {
            url: String::new(),
            status: u16::try_from(status).unwrap(),
            headers,
            body: body.to_owned().into(),
            received_at: DateTime::UNIX_EPOCH,
        };
        let request = Request {
            path: vec!["coins".to_owned(), "markets".to_owned()],
            query: vec![],
        };
        let error = refusal(&request, &response, None).unwrap().error;
        let Error::Source { message, code, .. } = &error else {
            unreachable!("{error}")
        };
        let words = after(body, "\"error_message\": \"", "\"")
            .or_else(|| after(body, "\"error_message\":\"", "\""))
            .or_else(|| after(body, "\"error\":\"", "\""))
            .or_else(|| after(body, "<title>", "</title>"))
            .unwrap_or(body);
        assert!(
            message.contains(words.trim().trim_end_matches('.')),
            "{body}: {message}"
        );
        let number = after(body, "\"error_code\":", ",")
            .or_else(|| after(body, "error code: ", "\n"))
            .or_else(|| after(body, "\"status\":500", ",").map(|_| "500"));
        assert_eq!(
            *code,
            number.map(|number| number.trim().parse().unwrap()),
            "{body}"
        );
    }
}
