//! Reading what is stored, by the package and by the command: what is there, what is missing of it, and what is said where there is
//! nothing. What readers see while a run is at work is in `together`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_wrap,
    reason = "a test that cannot go on should say where"
)]

mod support;

#[path = "support/series.rs"]
mod series;

#[path = "reading/absent.rs"]
mod absent;
#[path = "reading/pins.rs"]
mod pins;
#[path = "reading/prices.rs"]
mod prices;
#[path = "reading/quotes.rs"]
mod quotes;
#[path = "reading/slow.rs"]
mod slow;
#[path = "reading/sql.rs"]
mod sql;
