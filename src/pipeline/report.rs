//! The result of a run: the same facts for the ledger, the command line, Python and machines.
//! It only holds them; printing is the face's work.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::contract::Drift;
use crate::error::Error;
use crate::market::Slot;
use crate::store::{Absent, RefusedCoin, RunEnd};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Nothing is missing.
    Complete,
    /// What was received is stored; `missing` names the rest.
    Partial,
    /// It ended with an error; what it had committed before is stored.
    Failed,
}

impl RunState {
    /// The name in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the time went, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Timings {
    /// Reading the landing and calling the API, waits included.
    pub fetch_s: f64,
    /// Parsing, validating and deriving.
    pub validate_s: f64,
    /// The commit, with forcing the landing to the disk.
    pub commit_s: f64,
}

/// A coin that was asked for by name and that CoinGecko does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// The id that was asked for.
    pub coin_id: String,
    /// The id of a known coin that may have been meant.
    pub did_you_mean: Option<String>,
    /// Since when it is delisted, where the list of all coins says so.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub delisted_at: Option<DateTime<Utc>>,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.coin_id)?;
        match (&self.did_you_mean, self.delisted_at) {
            (Some(id), _) => write!(f, ": did you mean {id}?"),
            (None, Some(at)) => write!(f, ": delisted since {}", at.format("%Y-%m-%d")),
            (None, None) => Ok(()),
        }
    }
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The run's id.
    pub run: String,
    /// `snapshot`.
    pub kind: &'static str,
    /// The slot.
    #[serde(rename = "snapshot_time")]
    pub slot: Slot,
    /// How it ended.
    pub state: RunState,
    /// Coins expected: the top N or as many as there are, and those asked for by name.
    pub expected: u64,
    /// Records received for them, refused ones included, over all runs of the slot.
    pub received: u64,
    /// Quotes that the slot now holds.
    pub accepted: u64,
    /// Records that this run refused, now in quarantine.
    pub rejected: u64,
    /// Quotes that this run added.
    pub stored: u64,
    /// Records of coins that had been received before: ranks move while pages are read.
    pub repeated: u64,
    /// What is missing, each with its reason.
    pub missing: Vec<Absent>,
    /// What of the settings the plan cannot give, in words.
    pub advice: Option<String>,
    /// Coins that are not stored because the setting `refuse` says so. They are not missing.
    pub refused: Vec<RefusedCoin>,
    /// Coins asked for by name that CoinGecko does not know. They are not missing.
    pub unknown: Vec<Unknown>,
    /// True where another run of the slot may bring more.
    #[serde(skip)]
    pub can_grow: bool,
    /// Calls sent, tries included.
    pub calls: u64,
    /// Bodies taken from the landing instead of being asked for again.
    pub recovered: u64,
    /// The quality score, in \[0, 1\]; see [`crate::quality::Quality::score`].
    pub score: Option<f64>,
    /// Quotes that the slot now holds and that break any warning rule.
    pub warned: u64,
    /// Quotes that the slot now holds and that break each warning rule.
    pub warnings: BTreeMap<&'static str, u64>,
    /// Records that break each rejecting rule.
    pub rejections: BTreeMap<&'static str, u64>,
    /// Fields of the bodies that are not as they are known to be.
    pub drift: Vec<Drift>,
    /// The content hash of what the slot now holds.
    pub content_hash: Option<String>,
    /// The folder of the bodies that this run landed.
    pub landing_folder: Option<String>,
    /// When it began.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub started_at: DateTime<Utc>,
    /// When it ended.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub finished_at: DateTime<Utc>,
    /// Where the time went.
    pub timings: Timings,
    /// What kept it from being complete, in words.
    pub error: Option<String>,
}

/// How many of the missing a message names; the report has them all.
const NAMED: usize = 20;

impl Report {
    /// The ledger's row for it.
    pub(super) fn to_run_end(&self) -> RunEnd {
        RunEnd {
            state: self.state.name(),
            finished_at: self.finished_at,
            expected: Some(self.expected),
            received: Some(self.received),
            accepted: Some(self.accepted),
            rejected: Some(self.rejected),
            stored: Some(self.stored),
            calls: Some(self.calls),
            score: self.score,
            content_hash: self.content_hash.clone(),
            error: self.error.clone(),
            report: serde_json::to_string(self).ok(),
            drift: self.drift.clone(),
        }
    }

    /// The share of the expected coins that the slot holds, or that the settings refuse, in \[0, 1\]; 1 where nothing is
    /// expected.
    pub fn completeness(&self) -> f64 {
        share(self.accepted + self.refused.len() as u64, self.expected)
    }

    /// The report itself, or an error carrying it where the slot holds less than the set completeness.
    ///
    /// # Errors
    /// [`Error::Incomplete`].
    pub(super) fn or_incomplete(self, completeness: f64) -> Result<Self, Error> {
        if self.completeness() >= completeness {
            return Ok(self);
        }
        let missing = self.missing.iter().take(NAMED);
        let named: Vec<String> = missing.map(ToString::to_string).collect();
        let rest = match self.missing.len() - named.len() {
            0 => format!(", missing {}", named.join("; ")),
            more => format!(", missing {} and {more} more", named.join("; ")),
        };
        let cause = self
            .error
            .as_ref()
            .map(|error| format!(" ({error})"))
            .unwrap_or_default();
        let is_refused = self.missing.iter().any(Absent::is_refused);
        let remedy = match (self.can_grow, is_refused) {
            (true, _) => {
                "what was received is stored; run it again while the slot lasts: it fetches only the rest"
            }
            (false, true) => {
                "another run in this slot would bring no more: `coinmill quarantine list` says why each was refused"
            }
            (false, false) => "another run in this slot would bring no more",
        };
        let (slot, accepted, expected) = (self.slot, self.accepted, self.expected);
        let message =
            format!("slot {slot} holds {accepted} of {expected} coins{rest}{cause}: {remedy}");
        Err(incomplete(&self, message, self.can_grow))
    }
}

/// A part of what was expected, in \[0, 1\]; 1 where nothing was.
pub(super) fn share(part: u64, expected: u64) -> f64 {
    if expected == 0 {
        return 1.0;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of coins and charts are far below 2^53"
    )]
    let share = part as f64 / expected as f64;
    share.min(1.0)
}

/// The error of a run that stored less than the set completeness, with its report.
pub(super) fn incomplete(report: &impl Serialize, message: String, retryable: bool) -> Error {
    Error::Incomplete {
        message,
        retryable,
        report: Box::new(serde_json::to_value(report).unwrap_or_default()),
    }
}

/// The ledger's row for a run that stored nothing.
pub(super) fn failed(
    error: &Error,
    calls: u64,
    drift: Vec<Drift>,
    finished_at: DateTime<Utc>,
) -> RunEnd {
    let end = RunEnd {
        state: RunState::Failed.name(),
        finished_at,
        expected: None,
        received: None,
        accepted: None,
        rejected: None,
        stored: Some(0),
        calls: Some(calls),
        score: None,
        content_hash: None,
        error: None,
        report: None,
        drift,
    };
    end.failed(error)
}
