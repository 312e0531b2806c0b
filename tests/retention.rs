//! Retention: `prune` deletes just what is older than it is kept, says what is gone to whoever reads, and disturbs nobody.
//! Rows are read by SQL, not through the product, and the landing's files as they lie there.

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

#[path = "retention/beside.rs"]
mod beside;
#[path = "retention/bodies.rs"]
mod bodies;
#[path = "retention/command.rs"]
mod command;
#[path = "retention/fetching.rs"]
mod fetching;
#[path = "retention/killed.rs"]
mod killed;
#[path = "retention/points.rs"]
mod points;
#[path = "retention/reads.rs"]
mod reads;
#[path = "retention/scene.rs"]
mod scene;
