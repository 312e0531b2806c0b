//! The commands for a person or a monitor at a terminal: what they print, and how they end.
//! The screens themselves are looked at by `test_screens.py`.

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

#[path = "terminal/check.rs"]
mod check;
#[path = "terminal/config.rs"]
mod config;
#[path = "terminal/doctor.rs"]
mod doctor;
#[path = "terminal/export.rs"]
mod export;
#[path = "terminal/price.rs"]
mod price;
#[path = "terminal/replay.rs"]
mod replay;
