//! What is known of a run of series beside its store: what it was told, what it has recovered, and what is reported of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::reader::Reader;
use super::report::{RunState, Timings, Unknown};
use super::series::Outcome;
use super::series_report::SeriesReport;
use super::terms::Terms;
use crate::clock::Clock;
use crate::market::Slot;
use crate::series::Resolution;
use crate::store::{RunStart, Stored};

/// The facts of a run.
pub(super) struct Facts {
    pub(super) terms: Terms,
    pub(super) clock: Clock,
    pub(super) start: RunStart,
    pub(super) resolution: Resolution,
    pub(super) began: Instant,
    pub(super) reader: Arc<Reader>,
    pub(super) recovered: Recovered,
    /// How many of the coins that it wanted others have.
    pub(super) held: u64,
    pub(super) unknown: Vec<Unknown>,
    pub(super) advice: Option<String>,
}

/// What runs that died had landed, and what it gave.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Recovered {
    pub(super) bodies: u64,
    pub(super) stored: Stored,
    pub(super) rejected: u64,
}

/// What the calls and commits of a run came to.
pub(super) struct Done {
    pub(super) calls: u64,
    pub(super) folder: PathBuf,
    pub(super) stored: Stored,
    pub(super) commit_s: f64,
}

/// How long before the next half-hour a scheduled run begins no more calls.
const BEFORE_THE_NEXT: Duration = Duration::from_secs(60);

/// [`BEFORE_THE_NEXT`], which tests shorten.
pub(super) fn before_the_next() -> Duration {
    #[cfg(feature = "failpoints")]
    if let Some(seconds) = std::env::var("COINMILL_TEST_BEFORE_THE_NEXT")
        .ok()
        .and_then(|text| text.parse().ok())
    {
        return Duration::from_secs_f64(seconds);
    }
    BEFORE_THE_NEXT
}

impl Facts {
    /// When a run of the half-hour stops fetching, so that the next one finds everything free. A clock that stands still never
    /// comes to it, and a run that is begun by hand late in a half-hour has as long.
    pub(super) fn ends_at(&self) -> Option<tokio::time::Instant> {
        let is_scheduled = matches!(self.start.kind, "timeseries" | "heal");
        let began = self.start.started_at;
        let ends_at = Slot::containing(began).end() - before_the_next();
        let left = self.clock.until(ends_at.max(began + before_the_next()))?;
        is_scheduled.then(|| tokio::time::Instant::now() + left)
    }

    /// What is reported of the run.
    pub(super) fn report(
        &self,
        postponed: u64,
        outcome: Outcome,
        done: Option<Done>,
    ) -> SeriesReport {
        let complete = outcome.missing.is_empty() && outcome.error.is_none();
        let stored = done.as_ref().map(|done| done.stored).unwrap_or_default();
        let commit_s = done.as_ref().map(|done| done.commit_s).unwrap_or_default();
        SeriesReport {
            run: self.start.id.clone(),
            kind: self.start.kind,
            resolution: self.resolution,
            state: if complete {
                RunState::Complete
            } else {
                RunState::Partial
            },
            expected: outcome.expected,
            received: outcome.received,
            stored: stored.points + self.recovered.stored.points,
            revisions: stored.revisions + self.recovered.stored.revisions,
            rejected: outcome.rejected + self.recovered.rejected,
            postponed: postponed + outcome.postponed + self.held,
            missing: outcome.missing,
            advice: self.advice.clone(),
            heal: None,
            was_cut: outcome.postponed > 0,
            is_anything_lost: false,
            unknown: self.unknown.clone(),
            drift: self.reader.drift(),
            calls: done.as_ref().map_or(0, |done| done.calls),
            recovered: self.recovered.bodies,
            landing_folder: done.map(|done| done.folder.display().to_string()),
            started_at: self.start.started_at,
            finished_at: self.clock.now(),
            timings: Timings {
                fetch_s: self.began.elapsed().as_secs_f64(),
                validate_s: 0.0,
                commit_s,
            },
            error: outcome.error.map(|error| error.chain()),
        }
    }
}
