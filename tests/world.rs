//! Harm done to the world around a run: its database, the connection to it, the landing's disk, the clocks. Each ends in a
//! clear error or an honest `partial`, with nothing half-written, and the next run leaves what an undisturbed one would have.
//! Runs that are killed themselves are in `kills`.

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
#[allow(dead_code, reason = "what only a run that is killed itself needs")]
mod content;
#[path = "kills/work.rs"]
#[allow(dead_code, reason = "what only a run that is killed itself needs")]
mod work;

#[path = "world/clock.rs"]
mod clock;
#[path = "world/cluster.rs"]
mod cluster;
#[path = "world/connection.rs"]
mod connection;
#[path = "world/disk.rs"]
mod disk;
#[path = "world/ground.rs"]
mod ground;
#[path = "world/locked.rs"]
mod locked;
#[path = "world/pins.rs"]
mod pins;
#[path = "world/proxy.rs"]
mod proxy;
#[path = "world/server.rs"]
mod server;
#[path = "world/silent.rs"]
mod silent;
