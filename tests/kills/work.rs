//! The kinds of run that are killed: what they are asked for, and which places they pass how often.

use coinmill::error::Result;
use coinmill::failpoint as place;
use coinmill::pipeline::{self, Reach};
use coinmill::series::Resolution;

use crate::series::{Mill, wanted};

/// A kind of run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Two pages, one commit.
    Snapshot,
    /// Six coins at `5m`, one commit.
    Timeseries,
    /// Two windows each of 52 coins at `1h`, two commits: a hundred charts are a batch. The days between the windows are
    /// there already.
    Backfill,
}

/// What an undisturbed run came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Came {
    pub calls: u64,
    pub stored: u64,
}

/// A limit, so that calls are reserved, and one that no run reaches.
pub const CREDITS: (&str, &str) = ("credits_per_month", "10000000");

impl Work {
    pub fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Timeseries => "timeseries",
            Self::Backfill => "backfill",
        }
    }

    pub fn coins(self) -> usize {
        match self {
            Self::Snapshot => 300,
            Self::Timeseries => 6,
            Self::Backfill => 52,
        }
    }

    /// As the program is told it.
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Snapshot => &["run", "snapshot", "--top", "300", "--json"],
            Self::Timeseries => &["run", "timeseries", "--json"],
            Self::Backfill => &["backfill", "--days", "6", "--top", "52", "--json"],
        }
    }

    /// The same run in this process.
    pub async fn here(self, mill: &Mill) -> Result<Came> {
        let top = self.coins().to_string();
        let settings = mill.settings(&[("top", &top), CREDITS]);
        let came = |report: pipeline::SeriesReport| Came {
            calls: report.calls,
            stored: report.stored + report.revisions,
        };
        match self {
            Self::Snapshot => {
                let report = pipeline::run_snapshot(&settings, None, &|_| ()).await?;
                Ok(Came {
                    calls: report.calls,
                    stored: report.stored,
                })
            }
            Self::Timeseries => {
                let five = Resolution::FiveMinutes;
                pipeline::run_timeseries(&settings, five, &|_| ())
                    .await
                    .map(came)
            }
            Self::Backfill => {
                let days = wanted(Resolution::Hour, Reach::Days(6), &[]);
                pipeline::backfill(&settings, &days, &|_| ())
                    .await
                    .map(came)
            }
        }
    }

    /// How often an undisturbed run passes each place. What is 0 here is never reached by this kind of run.
    pub fn passes(self) -> [(&'static str, u64); place::ALL.len()] {
        let (bodies, commits) = match self {
            Self::Snapshot => (2, 1),
            Self::Timeseries => (6, 1),
            Self::Backfill => (104, 2),
        };
        let (reservations, ends) = match self {
            // one call at a time; the end is written in the commit itself
            Self::Snapshot => (2, 0),
            Self::Timeseries => (1, 1),
            // in blocks of twenty
            Self::Backfill => (6, 1),
        };
        [
            (place::RUN_BEGUN, 1),
            (place::CALLS_RESERVED, reservations),
            (place::FOLDER_HALF_MADE, 1),
            (place::CALL_ANSWERED, bodies),
            (place::BODY_HALF_LANDED, bodies),
            (place::BODY_NOT_LISTED, bodies),
            (place::BODY_HALF_LISTED, bodies),
            (place::BEFORE_COMMIT, commits),
            (place::COMMIT_BEGUN, commits),
            (place::COMMIT_HALF_DONE, commits),
            (place::COMMIT_NOT_SENT, commits),
            (place::COMMITTED, commits),
            (place::RUN_ENDED, ends),
        ]
    }

    /// True where a run that was killed at a pass of a place had written its end.
    pub fn has_ended(self, place: &str) -> bool {
        match self {
            Self::Snapshot => place == place::COMMITTED,
            Self::Timeseries | Self::Backfill => place == place::RUN_ENDED,
        }
    }
}
