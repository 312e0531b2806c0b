//! Runs beside each other, and readers beside them: one run at a time on a slot or a coin, whole commits for whoever reads,
//! and nobody waits for ever. Runs that die are in `kills`.

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

#[path = "together/budget.rs"]
mod budget;
#[path = "together/coins.rs"]
mod coins;
#[path = "together/currency.rs"]
mod currency;
#[path = "together/explain.rs"]
mod explain;
#[path = "together/readers.rs"]
mod readers;
#[path = "together/resolutions.rs"]
mod resolutions;
#[path = "together/slot.rs"]
mod slot;
#[path = "together/upgrade.rs"]
mod upgrade;
