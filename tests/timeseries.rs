//! The time series run against a real market server and real databases of both kinds.
//! Spans asked for by hand are in `backfill`, the recordings of the real market in `chart_recordings`.

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

#[path = "timeseries/candles.rs"]
mod candles;
#[path = "timeseries/due.rs"]
mod due;
#[path = "timeseries/empty.rs"]
mod empty;
#[path = "timeseries/ends.rs"]
mod ends;
#[path = "timeseries/faults.rs"]
mod faults;
#[path = "timeseries/interleaved.rs"]
mod interleaved;
#[path = "timeseries/keeping.rs"]
mod keeping;
#[path = "timeseries/names.rs"]
mod names;
#[path = "timeseries/quarantine.rs"]
mod quarantine;
#[path = "timeseries/recovery.rs"]
mod recovery;
#[path = "timeseries/refused.rs"]
mod refused;
#[path = "timeseries/revisions.rs"]
mod revisions;
#[path = "timeseries/runs.rs"]
mod runs;
#[path = "timeseries/share.rs"]
mod share;
