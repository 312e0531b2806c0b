//! What was done to a group of runs and the result, as one line of JSON in the file that `COINMILL_CHAOS_LOG` names.
//! It counts nothing itself, and without the variable it writes nothing.

use std::fs::OpenOptions;
use std::io::Write;

use serde::Serialize;

use super::Kind;

/// The file that the lines are added to.
pub const LOG: &str = "COINMILL_CHAOS_LOG";

/// What was done, and the result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Faults that were set and met a run, or kills.
    pub injected: u64,
    /// After how many of them the databases hold what an undisturbed run stores, or what the API really sent instead.
    pub healed: u64,
    /// Records that are not there in the end.
    pub lost: u64,
    /// Records that are there twice, or that no undisturbed run stores.
    pub doubled: u64,
    /// Runs that said less than was missing.
    pub silent: u64,
    /// Calls for what was there already.
    pub paid_twice: u64,
}

impl Counts {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            injected: self.injected + other.injected,
            healed: self.healed + other.healed,
            lost: self.lost + other.lost,
            doubled: self.doubled + other.doubled,
            silent: self.silent + other.silent,
            paid_twice: self.paid_twice + other.paid_twice,
        }
    }
}

/// Adds a group's line.
pub fn note(group: &str, database: Kind, run: &str, counts: &Counts) {
    let Some(path) = std::env::var_os(LOG) else {
        return;
    };
    #[derive(Serialize)]
    struct Line<'a> {
        group: &'a str,
        database: &'a str,
        run: &'a str,
        #[serde(flatten)]
        counts: &'a Counts,
    }
    let database = match database {
        Kind::Postgres => "PostgreSQL",
        Kind::Sqlite => "SQLite",
    };
    let line = Line {
        group,
        database,
        run,
        counts,
    };
    let line = format!("{}\n", serde_json::to_string(&line).unwrap());
    // whole lines by one write each: tests of other processes add theirs to the same file
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    log.write_all(line.as_bytes()).unwrap();
}
