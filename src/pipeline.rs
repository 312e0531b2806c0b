//! The runs: what to fetch, land, validate and commit, in which order, and the results.
//! Everything left of the commit can be repeated freely; the commit is the only effect.

mod account;
mod arrival;
mod backfill;
mod begin;
mod calls;
mod candles;
mod check;
mod coins;
mod compare;
mod credits;
mod csv;
mod doctor;
mod explain;
mod fetch;
mod gaps;
mod gather;
mod heal;
mod holding;
mod in_time;
mod intake;
mod keeping;
mod known;
mod listing;
mod listing_changes;
mod missing;
mod parts;
mod pin;
mod plan;
mod price;
mod prices;
mod prune;
mod quarantine;
mod quotes;
mod quotes_missing;
mod reach;
mod read;
mod reader;
mod records;
mod replay;
mod report;
mod requeue;
mod retention;
mod revisions;
mod rules;
mod run_id;
mod search;
mod series;
mod series_facts;
mod series_report;
mod series_run;
mod snapshot;
mod spendable;
mod status;
mod suggest;
mod sweep;
mod terms;
mod timeseries;
mod universe;
mod universe_at;
mod unknown;
mod writer;

pub use backfill::{Estimate, backfill, estimate};
pub use candles::{Candles, candles};
pub use check::{Check, Verdict, check, in_words};
pub use compare::{Change, Difference};
pub use doctor::{Doctor, Finding, Health, doctor};
pub use explain::{Explain, Explained, ExplainedPoint, ExplainedQuote, Origin, Version, explain};
pub use gaps::{Gaps, GapsReport, GapsTotal, gaps};
pub use heal::{HealReport, heal};
pub use listing::{ListingReport, run_listing};
pub use missing::{Missing, Read};
pub use parts::{price_parts, quote_parts};
pub use pin::{AsOf, Pin, pin};
pub use plan::{PlanReport, Risk, plan};
pub use price::{LatestPrice, PriceReport, price};
pub use prices::{Prices, prices};
pub use prune::{PruneReport, PrunedPart, prune};
pub use quarantine::{Pick, Quarantined, RefusedId, quarantine};
pub use quotes::{Quotes, quotes};
pub use reach::{Backfill, Reach};
pub use read::{Exported, FileFormat, export};
pub use records::{gaps_frames, quarantine_frame, runs_frame, search_frame};
pub use replay::{Replay, replay};
pub use report::{Report, RunState, Timings, Unknown};
pub use requeue::{RequeueReport, StillRefused, requeue};
pub use revisions::{Revisions, revisions};
pub use rules::{RuleInForce, RulesReport, rules};
pub use search::{Candidate, Match, Search, SearchReport, resolve, search};
pub use series_report::SeriesReport;
pub use snapshot::run_snapshot;
pub use status::{Status, Warned, init, latest_quotes, runs, status};
pub use terms::outlook;
pub use timeseries::run_timeseries;
pub use universe_at::{Universe, universe};

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::stop::Stop;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Coins or charts received.
    pub received: u64,
    /// Coins or charts expected.
    pub expected: u64,
    /// What is counted.
    pub unit: Unit,
    /// How many can be received in a minute, by the plan; `None` is no limit.
    pub per_minute: Option<u32>,
}

/// What a run, or an export, has so and so many of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Coins of a snapshot.
    Coins,
    /// Charts.
    Charts,
    /// Days of files.
    Days,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Coins => "coins",
            Self::Charts => "charts",
            Self::Days => "days",
        })
    }
}

/// Whoever waits for a run: told of its progress after every response, and able to stop it.
#[derive(Clone)]
pub struct Observer<'a> {
    progress: Option<&'a (dyn Fn(Progress) + Send + Sync)>,
    stop: Stop,
    /// What runs before this one had to fetch, of the same whole.
    before: u64,
}

impl<'a> Observer<'a> {
    /// Nobody: no progress is told, and nobody asks to stop.
    pub fn none() -> Self {
        Self {
            progress: None,
            stop: Stop::never(),
            before: 0,
        }
    }

    /// Tells progress to a function.
    pub fn new(progress: &'a (dyn Fn(Progress) + Send + Sync)) -> Self {
        Self {
            progress: Some(progress),
            stop: Stop::never(),
            before: 0,
        }
    }

    /// The same, with a way to stop the run.
    #[must_use]
    pub fn stopped_by(self, stop: Stop) -> Self {
        Self { stop, ..self }
    }

    /// The same for a further run of the same whole, which goes on where those before it ended.
    #[must_use]
    fn after(&self, expected: u64) -> Self {
        Self {
            before: self.before + expected,
            ..self.clone()
        }
    }

    fn show(&self, progress: Progress) {
        if let Some(show) = self.progress {
            show(Progress {
                received: self.before + progress.received,
                expected: self.before + progress.expected,
                ..progress
            });
        }
    }
}
