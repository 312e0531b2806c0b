//! What was known when: commits as moments of knowledge, their instants, and pins, with several writers at once that may die.
//! What a read says of a moment is in `reading`.

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

#[path = "knowledge/commits.rs"]
mod commits;
#[path = "knowledge/locked.rs"]
mod locked;
#[path = "knowledge/model.rs"]
mod model;
#[path = "knowledge/pins.rs"]
mod pins;
#[path = "knowledge/writers.rs"]
mod writers;
