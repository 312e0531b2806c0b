//! The log of calls that the market answered, for tests and for the control endpoint.
//! It holds no key, and the control calls are not in it.

use std::collections::VecDeque;

use serde::Serialize;

// A sweep of a month in half-hours is below this; past it the oldest are forgotten, the count goes on.
const KEPT: usize = 100_000;

/// One call as it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// The HTTP method.
    pub method: String,
    /// The path below the API's root and the query, keys blotted out.
    pub path: String,
    /// The status it was answered with.
    pub status: u16,
    /// True where it carried an API key, or anything else by which a caller proves who it is.
    pub key: bool,
}

/// All calls so far.
#[derive(Debug, Default)]
pub struct CallLog {
    count: u64,
    recent: VecDeque<Call>,
}

impl CallLog {
    /// Adds a call, whose path may still have keys in it.
    pub fn push(&mut self, call: Call) {
        self.count += 1;
        if self.recent.len() == KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back(Call {
            path: without_keys(&call.path),
            ..call
        });
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The calls that are kept, oldest first.
    pub fn recent(&self) -> impl Iterator<Item = &Call> {
        self.recent.iter()
    }
}

fn without_keys(path: &str) -> String {
    let Some((before, query)) = path.split_once('?') else {
        return path.to_owned();
    };
    let parts: Vec<String> = query
        .split('&')
        .map(|part| match part.split_once('=') {
            Some((name, _)) if name.contains("api_key") => format!("{name}=…"),
            _ => part.to_owned(),
        })
        .collect();
    format!("{before}?{}", parts.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_query_is_not_kept() {
        let mut log = CallLog::default();
        log.push(Call {
            method: "GET".into(),
            path: "/ping?x_cg_demo_api_key=hush&a=1".into(),
            status: 200,
            key: true,
        });
        let kept: Vec<_> = log.recent().map(|call| call.path.as_str()).collect();
        assert_eq!(kept, ["/ping?x_cg_demo_api_key=…&a=1"]);
        assert_eq!(log.count(), 1);
    }
}
