//! The table of what goes wrong between the API and a run, and how a run that is honest ends.
//! Faults of the bodies' content are with the endpoint that they belong to.

use crate::support::Kind;

/// How the run ends that meets a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// It tries again and has everything.
    Whole,
    /// What this call was for is missing by name; the next run asks for it, in so many calls, and has everything.
    Short(u64),
    /// It is complete: what the API sent is stored as it was sent, or refused by name. There is nothing to ask for.
    AsSent,
}

/// A fault, and what follows.
#[derive(Debug, Clone)]
pub struct Case {
    /// The fault without its path.
    pub fault: String,
    /// Settings of the run that meets it.
    pub with: Vec<(&'static str, &'static str)>,
    pub ends: Ends,
}

impl Case {
    pub fn new(fault: impl Into<String>, ends: Ends) -> Self {
        Self {
            fault: fault.into(),
            with: vec![("attempts", "1")],
            ends,
        }
    }

    /// With so many tries, and hardly a wait between them.
    #[must_use]
    pub fn tried(mut self, attempts: &'static str) -> Self {
        self.with = vec![("attempts", attempts), ("max_wait", "0.05")];
        self
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.with.push((name, value));
        self
    }

    /// The fault for calls whose URL holds this.
    pub fn at(&self, path: &str) -> String {
        let (kind, options) = self.fault.split_once(':').unwrap_or((&self.fault, ""));
        let comma = if options.is_empty() { "" } else { "," };
        format!("{kind}:path={path}{comma}{options}")
    }

    /// The kind of fault, for people.
    pub fn kind(&self) -> &str {
        self.fault.split(':').next().unwrap()
    }
}

/// What is wrong with a response before anyone looks at what it says. A run without another try misses what it asked for. No
/// kind of database makes a difference to that, so PostgreSQL gets a part of them.
pub fn of_the_wire(kind: Kind) -> Vec<Case> {
    let passing = [
        "429:times=3",
        "429:times=2,retry_after=0",
        "1015:times=3",
        "503:times=3",
        "html:times=3,status=504",
        "limit200:times=3",
        "truncate:times=3",
        "cut:times=3",
        "body:times=3,status=200,text=",
    ];
    let lasting = [
        "429:times=0,retry_after=119",
        "throttled:times=0",
        "500:times=0",
        "html:times=0,status=200",
        "html:times=0,status=403",
        "limit200:times=0",
        "truncate:times=0",
        "cut:times=0",
        "huge:times=0,mb=500",
        "bomb:times=0,mb=500",
        "redirect:times=0,to=http://localhost:1/api/v3/ping",
        "body:times=0,status=404,text={\"error\":\"coin not found\"}",
        "body:times=0,status=200,text=[{\"id\":\"bitcoin\"",
    ];
    // nothing comes, so nothing is waited for longer than a response takes on a busy machine
    let slow = ["stall:times=0", "drip:times=0"];
    let mut cases: Vec<Case> = passing
        .map(|fault| Case::new(fault, Ends::Whole).tried("4"))
        .into();
    cases.extend(lasting.map(|fault| Case::new(fault, Ends::Short(1))));
    cases.extend(slow.map(|fault| Case::new(fault, Ends::Short(1)).with("timeout", "1.5")));
    let waits = Case::new("429:retry_after=1", Ends::Whole);
    cases.push(waits.tried("2").with("max_wait", "30"));
    a_part(kind, cases)
}

/// All of them on SQLite, every fifth on PostgreSQL.
pub fn a_part<T>(kind: Kind, cases: Vec<T>) -> Vec<T> {
    match kind {
        Kind::Sqlite => cases,
        Kind::Postgres => cases.into_iter().step_by(5).collect(),
    }
}
