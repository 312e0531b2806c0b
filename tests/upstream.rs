//! Whatever the API does to a run, the run does not lie: complete, or partial with what is missing by name, or failed.
//! What the API can do to the machine that asks it is in `hostile`, what is wrong in single rows in `corruptions`.

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

#[path = "upstream/accounts.rs"]
mod accounts;
#[path = "upstream/charts.rs"]
mod charts;
#[path = "upstream/contract.rs"]
mod contract;
#[path = "upstream/faults.rs"]
mod faults;
#[path = "upstream/landed.rs"]
mod landed;
#[path = "upstream/refuse.rs"]
mod refuse;
#[path = "upstream/snapshots.rs"]
mod snapshots;
