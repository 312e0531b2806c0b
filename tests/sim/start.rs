//! The simulators that the tests start: seeded at a fixed noon, or over the recordings beside the checkout.
//! Without recordings it says so, and the test is skipped.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use coinmill::sim::{ClockSetting, Market, Sim, SimOptions};

pub fn noon() -> DateTime<Utc> {
    "2026-01-14T12:00:00Z".parse().unwrap()
}

pub async fn seeded(coins: usize) -> Sim {
    let options = SimOptions {
        market: Market::Seeded { seed: 1, coins },
        clock: ClockSetting::Frozen(noon()),
        ..SimOptions::default()
    };
    Sim::start(options).await.unwrap()
}

pub fn recordings() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/coingecko");
    if !folder.is_dir() {
        eprintln!("skipped: no recordings at ../shared/coingecko");
        return None;
    }
    Some(folder)
}

pub async fn recorded(folder: PathBuf) -> Sim {
    let options = SimOptions {
        market: Market::Recorded { folder },
        ..SimOptions::default()
    };
    Sim::start(options).await.unwrap()
}
