//! CoinGecko's endpoints: which requests to send, and what the bodies mean.
//! Pure: requests and bytes in, values and findings out; the calls themselves are the HTTP client's.

mod bounded;
pub mod charts;
mod fields;
mod key;
mod list;
mod markets;
mod number;

pub use key::{KeyUse, key, parse_key};
pub use list::{ENDPOINT as LIST, Entry, ListRecord, list, parse_list};
pub use markets::{
    ENDPOINT, Page, Record, by_ids, is_usable, markets, page, pages, parse, requested_ids,
};
