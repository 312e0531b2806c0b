//! What all requests of a running simulator share.
//! It holds and locks; deciding and answering is done in `routes` and `control`.

use std::sync::Mutex;

use tokio::sync::watch;

use super::calls::CallLog;
use super::clock::Clock;
use super::fault::Fault;
use super::faults::{Action, Faults};
use super::lock::lock;
use super::plan::{Minute, SimPlan};
use super::source::Source;

/// The state of a running simulator.
#[derive(Debug)]
pub struct State {
    /// Its clock.
    pub clock: Clock,
    /// Its market.
    pub source: Source,
    /// The plan that it plays.
    pub plan: SimPlan,
    /// The calls of the last minute.
    pub minute: Mutex<Minute>,
    /// The calls so far.
    pub calls: Mutex<CallLog>,
    /// The positions at which faults made two rows change places.
    pub swaps: Mutex<Vec<usize>>,
    /// Turns true when the server is to end.
    pub stop: watch::Receiver<bool>,
    faults: Mutex<Faults>,
}

impl State {
    /// A state without calls yet.
    pub fn new(
        clock: Clock,
        source: Source,
        plan: SimPlan,
        faults: Vec<Fault>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let mut set = Faults::default();
        for fault in faults {
            set.add(fault);
        }
        Self {
            clock,
            source,
            plan,
            minute: Mutex::default(),
            calls: Mutex::default(),
            swaps: Mutex::default(),
            stop,
            faults: Mutex::new(set),
        }
    }

    /// What is to be done to a call of this path and query.
    pub fn decide(&self, path: &str) -> Option<Action> {
        lock(&self.faults).decide(path)
    }

    /// Sets a fault.
    pub fn add_fault(&self, fault: Fault) {
        lock(&self.faults).add(fault);
    }

    /// Forgets all faults, and puts the rows that they moved back.
    pub fn clear_faults(&self) {
        lock(&self.faults).clear();
        lock(&self.swaps).clear();
    }

    /// The faults that may still act, in their written form.
    pub fn pending_faults(&self) -> Vec<String> {
        lock(&self.faults)
            .pending()
            .map(ToString::to_string)
            .collect()
    }
}
