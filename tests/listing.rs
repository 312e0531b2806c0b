//! The list of all coins against a real market server and real databases of both kinds: its history, what is refused of it, and
//! what is found by it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on should say where"
)]

mod support;

#[path = "listing/found.rs"]
mod found;
#[path = "listing/history.rs"]
mod history;
#[path = "listing/runs.rs"]
mod runs;

use chrono::TimeDelta;
use coinmill::error::Result;
use coinmill::pipeline::{ListingReport, Observer, run_listing};
use coinmill::sim::CoinChange;

use support::Bench;

/// One run of the list.
async fn list(bench: &Bench) -> Result<ListingReport> {
    list_with(bench, &[], false).await
}

async fn list_with(
    bench: &Bench,
    with: &[(&str, &str)],
    accept_losses: bool,
) -> Result<ListingReport> {
    run_listing(&bench.settings(with), accept_losses, &Observer::none()).await
}

/// A day passes.
fn tomorrow(bench: &Bench) {
    bench.sim.advance(TimeDelta::days(1)).unwrap();
}

fn delist(bench: &Bench, coin: &str) {
    change(bench, coin, Some(false), None);
}

fn change(bench: &Bench, coin: &str, listed: Option<bool>, name: Option<&str>) {
    let change = CoinChange {
        listed,
        symbol: None,
        name: name.map(str::to_owned),
    };
    bench.sim.change_coin(coin, change).unwrap();
}
