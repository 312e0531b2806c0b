//! A source that means harm: it wants the key, the memory, the disk or the database of whoever asks it.
//! A source that merely fails is in `upstream`.

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

#[path = "hostile/headers.rs"]
mod headers;
#[path = "hostile/memory.rs"]
mod memory;
#[path = "hostile/names.rs"]
mod names;
#[path = "hostile/redirects.rs"]
mod redirects;
