//! Backfills of a span against a real market server and real databases of both kinds: batches, order, bad input, the command.
//! What a regular run does is in `timeseries`.

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

#[path = "backfill/bad_input.rs"]
mod bad_input;
#[path = "backfill/batches.rs"]
mod batches;
#[path = "backfill/command.rs"]
mod command;
#[path = "backfill/going_on.rs"]
mod going_on;
#[path = "backfill/interrupt.rs"]
mod interrupt;
#[path = "backfill/order.rs"]
mod order;
#[path = "backfill/spans.rs"]
mod spans;
