//! What is stored can be made again from the bytes it came from: refused records validated again, runs rebuilt and compared.
//! Real servers, files and databases of both kinds; rows are read by SQL, not through the product.

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

#[path = "traceable/command.rs"]
mod command;
#[path = "traceable/replay.rs"]
mod replay;
#[path = "traceable/requeue.rs"]
mod requeue;
#[path = "traceable/rules.rs"]
mod rules;
