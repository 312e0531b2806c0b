//! Runs that are killed with SIGKILL, at every named place and at random instants: the next run leaves what an undisturbed
//! one would have, and pays for nothing a second time. Harm done to the world around a run is in `world`.

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

#[path = "kills/content.rs"]
mod content;
#[path = "kills/instants.rs"]
mod instants;
#[path = "kills/places.rs"]
mod places;
#[path = "kills/scene.rs"]
mod scene;
#[path = "kills/work.rs"]
mod work;
