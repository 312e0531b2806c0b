//! The runs: what to ask, land, judge and commit, in which order, and what came of it.
//! Everything left of the commit can be repeated freely; the commit is the only effect.

mod arrival;
mod begin;
mod compare;
mod credits;
mod gather;
mod intake;
mod quarantine;
mod reach;
mod read;
mod reader;
mod replay;
mod report;
mod requeue;
mod series;
mod series_report;
mod series_run;
mod snapshot;
mod status;
mod sweep;
mod timeseries;
mod writer;

pub use compare::{Change, Difference};
pub use quarantine::{Pick, Quarantined, RefusedId, quarantine};
pub use reach::{Backfill, Reach};
pub use read::{Exported, Prices, export_parquet, prices, quotes};
pub use replay::{Replay, replay};
pub use report::{Report, RunState, Timings};
pub use requeue::{RequeueReport, StillRefused, requeue};
pub use series_report::SeriesReport;
pub use snapshot::run_snapshot;
pub use status::{Status, init, latest_quotes, runs, status};
pub use timeseries::{backfill, run_timeseries};

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Coins or charts received.
    pub received: u64,
    /// Coins or charts expected.
    pub expected: u64,
    /// What is counted: `coins` or `charts`.
    pub unit: &'static str,
}

/// Told of progress, after every reply.
pub type Observer<'a> = &'a (dyn Fn(Progress) + Send + Sync);
