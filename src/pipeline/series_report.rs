//! The result of a time series run: the same facts for the ledger, the command line, Python and machines.
//! It only holds them; printing is the face's work.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::report::{RunState, Timings, Unknown, incomplete, share};
use crate::contract::Drift;
use crate::error::Error;
use crate::series::Resolution;
use crate::store::{Absent, RunEnd};

/// The result of a time series run or a backfill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeriesReport {
    /// The run's id.
    pub run: String,
    /// `timeseries` or `backfill`.
    pub kind: &'static str,
    /// The resolution.
    pub resolution: Resolution,
    /// How it ended.
    pub state: RunState,
    /// Charts to ask for: one for each window of each coin that the database did not cover.
    pub expected: u64,
    /// Charts that were received and stored.
    pub received: u64,
    /// Points that this run added.
    pub stored: u64,
    /// Later values of points that were there, which this run added.
    pub revisions: u64,
    /// Points, or whole bodies, that were refused and are in quarantine.
    pub rejected: u64,
    /// Coins whose turn comes in a later run: this run's share of the plan was used up.
    pub postponed: u64,
    /// What is missing, each with its reason.
    pub missing: Vec<Absent>,
    /// What of the settings the plan cannot give, in words.
    pub advice: Option<String>,
    /// What was healed of what had been lost, by a run of its own.
    pub heal: Option<Box<SeriesReport>>,
    /// True where the half-hour ended before the run had fetched all that it was to.
    #[serde(skip)]
    pub was_cut: bool,
    /// True where something is lost and not healed.
    #[serde(skip)]
    pub is_anything_lost: bool,
    /// Coins by name that CoinGecko does not know: the run has nothing to fetch of them.
    pub unknown: Vec<Unknown>,
    /// Fields of the bodies that are not as they are known to be.
    pub drift: Vec<Drift>,
    /// Calls sent, tries included.
    pub calls: u64,
    /// Bodies recovered from runs that died.
    pub recovered: u64,
    /// The folder of the bodies that this run landed.
    pub landing_folder: Option<String>,
    /// When it began.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub started_at: DateTime<Utc>,
    /// When it ended.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub finished_at: DateTime<Utc>,
    /// Where the time went: `fetch_s` is all of it, since commits go on while charts are on their way.
    pub timings: Timings,
    /// What kept it from being complete, in words.
    pub error: Option<String>,
}

impl SeriesReport {
    /// The ledger's row for it.
    pub(super) fn to_run_end(&self) -> RunEnd {
        RunEnd {
            state: self.state.name(),
            finished_at: self.finished_at,
            expected: Some(self.expected),
            received: Some(self.received),
            accepted: None,
            rejected: Some(self.rejected),
            stored: Some(self.stored),
            calls: Some(self.calls),
            score: None,
            content_hash: None,
            error: self.error.clone(),
            report: serde_json::to_string(self).ok(),
            drift: self.drift.clone(),
        }
    }

    /// The report itself, or an error carrying it where less than the set completeness was received.
    ///
    /// # Errors
    /// [`Error::Incomplete`].
    pub(super) fn or_incomplete(self, completeness: f64) -> Result<Self, Error> {
        if share(self.received, self.expected) >= completeness {
            return Ok(self);
        }
        let first = self
            .missing
            .first()
            .map(|first| match self.missing.len() - 1 {
                0 => first.to_string(),
                more => format!("{first}; and {more} more"),
            });
        let cause = self.error.clone().or(first);
        let cause = cause.as_deref().unwrap_or("no response");
        let message = format!(
            "{} of {} charts were received and stored: {cause}; run it again, and it fetches only the rest",
            self.received, self.expected
        );
        Err(incomplete(&self, message, true))
    }
}
