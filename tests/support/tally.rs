//! What came of the faults that a test injects, counted: for its own verdict, and as a line for `docs/reliability.md`.
//! It counts what it is told; what is lost or doubled is for the test to find out.

use std::fs::OpenOptions;
use std::io::Write;

use super::Kind;

/// The file that gets one line of JSON for each group of faults, where it is set.
pub const LOG: &str = "COINMILL_CHAOS_LOG";

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
    injected: u64,
    healed: u64,
    lost: u64,
    doubled: u64,
    silent: u64,
    paid_twice: u64,
    bad: Vec<String>,
}

impl Tally {
    pub fn new(group: &'static str, database: Kind, run: &'static str) -> Self {
        Self {
            group,
            database,
            run,
            injected: 0,
            healed: 0,
            lost: 0,
            doubled: 0,
            silent: 0,
            paid_twice: 0,
            bad: Vec::new(),
        }
    }

    /// Counts one fault.
    pub fn note(&mut self, fault: &str, seen: Seen) {
        self.injected += 1;
        self.healed += u64::from(seen.is_healed());
        self.lost += seen.lost;
        self.doubled += seen.doubled;
        self.silent += u64::from(seen.silent);
        self.paid_twice += seen.paid_twice;
        if !seen.is_healed() || seen.paid_twice > 0 {
            self.bad.push(format!("{fault}: {seen:?}"));
        }
    }

    /// Writes the line, then fails unless every fault was healed.
    pub fn close(self) {
        if let Ok(file) = std::env::var(LOG) {
            let line = serde_json::json!({
                "group": self.group,
                "database": match self.database { Kind::Postgres => "PostgreSQL", Kind::Sqlite => "SQLite" },
                "run": self.run,
                "injected": self.injected,
                "healed": self.healed,
                "lost": self.lost,
                "doubled": self.doubled,
                "silent": self.silent,
                "paid_twice": self.paid_twice,
            });
            let mut log = OpenOptions::new()
                .create(true)
                .append(true)
                .open(file)
                .unwrap();
            // in one piece: other tests write to the same file
            log.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
        assert!(self.injected > 0, "{}: nothing was injected", self.group);
        assert!(self.bad.is_empty(), "{}: {:#?}", self.group, self.bad);
    }
}
