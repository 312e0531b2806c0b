//! The runs: what to ask, land, judge and commit, in which order, and what came of it.
//! Everything left of the commit can be repeated freely; the commit is the only effect.

mod gather;
mod report;
mod snapshot;
mod status;
mod sweep;

pub use report::{Report, RunState, Timings};
pub use snapshot::run_snapshot;
pub use status::{Status, init, latest_quotes, runs, status};

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Coins received.
    pub received: u64,
    /// Coins expected.
    pub expected: u64,
}

/// Told of progress, after every reply.
pub type Observer<'a> = &'a (dyn Fn(Progress) + Send + Sync);
