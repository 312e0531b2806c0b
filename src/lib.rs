//! coinmill turns CoinGecko's market API into data that can be trusted: snapshots of the top coins and their price
//! history, complete or saying what is missing, stored once, traceable to the bytes they came from.
//!
//! `docs/architecture.md` says how the parts fit together.

pub mod candles;
pub mod cli;
pub mod clock;
pub mod coingecko;
pub mod config;
pub mod content;
pub mod contract;
pub mod derive;
pub mod error;
pub mod failpoint;
pub mod frame;
pub mod http;
pub mod indicators;
pub mod landing;
pub mod market;
pub mod pipeline;
pub mod planner;
pub mod provider;
pub mod quality;
pub mod series;
pub mod sim;
pub mod stamp;
pub mod statements;
pub mod stop;
pub mod store;

#[cfg(feature = "python")]
mod python;
#[cfg(any(feature = "python", test))]
#[cfg_attr(
    not(feature = "python"),
    expect(dead_code, reason = "its tests need no Python")
)]
mod remote;
