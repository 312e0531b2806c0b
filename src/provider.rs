//! CoinGecko as a service: its hosts, plans and key headers, and what a response that refuses says and means.
//! It makes no call and reads no data: requests and parsing are `coingecko`'s, keeping to the plan is `http`'s and the pipeline's.

mod plan;
mod refusal;
mod words;

pub use plan::{PUBLIC_URL, Plan, PlanKind};
pub use refusal::{Meaning, meaning};
pub use words::{Words, words};

/// The environment variable in which CoinGecko's own tools look for the key.
pub const KEY_VARIABLE: &str = "COINGECKO_API_KEY";

/// The response headers worth keeping: they say how old a body is and what it is a part of.
pub const USEFUL_HEADERS: [&str; 12] = [
    "age",
    "cache-control",
    "cf-cache-status",
    "content-type",
    "date",
    "etag",
    "expires",
    "per-page",
    "retry-after",
    "server",
    "total",
    "x-request-id",
];
