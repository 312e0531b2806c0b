//! What came of the faults that a test injects, counted: for its own verdict, and as a line for `docs/reliability.md`.
//! It counts what it is told; what is lost or doubled is for the test to find out.

use super::Kind;
use super::chaos::{self, Counts};

/// How many random instants there are; where it is set, there is time for all that could be tried.
pub const INSTANTS: &str = "COINMILL_CHAOS_INSTANTS";

/// True where there is time for all that could be tried, and not just for one of each sort.
pub fn is_long() -> bool {
    std::env::var(INSTANTS).is_ok()
}

/// What one fault came to, once the next run had its chance.
#[derive(Debug, Default)]
pub struct Seen {
    /// Rows that an undisturbed run has and this database has not, or with another value.
    pub lost: u64,
    /// Rows that this database has and an undisturbed run has not.
    pub doubled: u64,
    /// Something was said to be complete that was not.
    pub silent: bool,
    /// Calls for what had been received and listed before.
    pub paid_twice: u64,
    /// What else was not as it must be.
    pub wrong: Vec<String>,
}

impl Seen {
    /// Notes what is not as it must be.
    pub fn expect(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(otherwise());
        }
    }

    /// True where nothing is amiss.
    pub fn is_healed(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && !self.silent && self.wrong.is_empty()
    }
}

/// The faults of one group, on one database, in one kind of run.
pub struct Tally {
    group: &'static str,
    database: Kind,
    run: &'static str,
    counts: Counts,
    bad: Vec<String>,
}

impl Tally {
    pub fn new(group: &'static str, database: Kind, run: &'static str) -> Self {
        Self {
            group,
            database,
            run,
            counts: Counts::default(),
            bad: Vec::new(),
        }
    }

    /// Counts one fault.
    pub fn note(&mut self, fault: &str, seen: Seen) {
        self.counts = self.counts.and(Counts {
            injected: 1,
            healed: seen.is_healed().into(),
            lost: seen.lost,
            doubled: seen.doubled,
            silent: seen.silent.into(),
            paid_twice: seen.paid_twice,
        });
        if !seen.is_healed() || seen.paid_twice > 0 {
            self.bad.push(format!("{fault}: {seen:?}"));
        }
    }

    /// Writes the line, then fails unless every fault was healed.
    pub fn close(self) {
        chaos::note(self.group, self.database, self.run, &self.counts);
        assert!(
            self.counts.injected > 0,
            "{}: nothing was injected",
            self.group
        );
        assert!(self.bad.is_empty(), "{}: {:#?}", self.group, self.bad);
    }
}
