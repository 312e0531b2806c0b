//! A CoinGecko-shaped market server for offline use and for tests: seeded or recorded, with a clock and faults on demand.
//! It is no client and stores nothing; the real API is never called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};

mod bodies;
mod calls;
mod changes;
mod chart;
mod clock;
mod coins;
mod control;
mod currency;
mod edit;
mod extremes;
mod fault;
mod faults;
mod folder;
mod listing;
mod lock;
mod noise;
mod pages;
mod plan;
mod price;
mod query;
mod quote;
mod recorded;
mod recording;
mod response;
mod routes;
mod seeded;
mod server;
mod source;
mod state;
mod swell;
mod universe;
mod wire;
mod written;

pub use calls::Call;
pub use changes::CoinChange;
pub use clock::ClockSetting;
pub use fault::{Fault, FaultKind, RetryAfter};
pub use plan::{Host, SimPlan};
pub use recording::{Recording, RecordingKind};
pub use source::{MOST_COINS, Market};

// Whoever reads slowly gets this long to finish before a stopped server drops the connection.
const GRACE: Duration = Duration::from_secs(1);

/// How a simulator is set up.
#[derive(Debug, Clone)]
pub struct SimOptions {
    /// Where it listens; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Where its figures come from.
    pub market: Market,
    /// Where its clock begins.
    pub clock: ClockSetting,
    /// The host that it plays.
    pub plan: SimPlan,
    /// What goes wrong from the start.
    pub faults: Vec<Fault>,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            market: Market::default(),
            clock: ClockSetting::default(),
            plan: SimPlan::default(),
            faults: Vec::new(),
        }
    }
}

/// A running simulator. It ends when it is stopped or dropped.
#[derive(Debug)]
pub struct Sim {
    address: SocketAddr,
    state: Arc<state::State>,
    stop: watch::Sender<bool>,
    server: Option<JoinHandle<std::io::Result<()>>>,
}

impl Sim {
    /// Starts a simulator on the current tokio runtime and returns once it listens.
    ///
    /// # Errors
    /// [`Error::Argument`] for options that cannot be, [`Error::Config`] where the address is taken or the folder of
    /// recordings is of no use.
    pub async fn start(options: SimOptions) -> Result<Self> {
        let SimOptions {
            bind,
            market,
            clock,
            plan,
            faults,
        } = options;
        // Opening reads files or computes: not on a thread that serves.
        let source = tokio::task::spawn_blocking(move || source::Source::open(&market))
            .await
            .map_err(|error| Error::config("the market could not be opened").because(error))??;
        let clock = clock::Clock::new(source.clock(clock))?;
        let listener = TcpListener::bind(bind)
            .await
            .map_err(|error| unbound(bind, error))?;
        let address = listener
            .local_addr()
            .map_err(|error| unbound(bind, error))?;
        let (stop, stopping) = watch::channel(false);
        let state = Arc::new(state::State::new(clock, source, plan, faults, stopping));
        let server = tokio::spawn(server::serve(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            stop,
            server: Some(server),
        })
    }

    /// The root of the market's endpoints for this machine, such as `http://127.0.0.1:8080/api/v3`: where it listens on
    /// all addresses, that of the loopback.
    pub fn url(&self) -> String {
        format!("{}{}", self.origin(), server::ROOT)
    }

    /// The root of the control calls, such as `http://127.0.0.1:8080/sim`.
    pub fn control_url(&self) -> String {
        format!("{}/sim", self.origin())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its present.
    pub fn now(&self) -> DateTime<Utc> {
        self.state.clock.now()
    }

    /// True while its clock stands still.
    pub fn is_frozen(&self) -> bool {
        self.state.clock.is_frozen()
    }

    /// Moves its clock to `instant`; a running clock goes on from there.
    ///
    /// # Errors
    /// [`Error::Argument`] where the instant is before 1990 or after 2200.
    pub fn set_clock(&self, instant: DateTime<Utc>) -> Result<()> {
        self.state.clock.set(instant)
    }

    /// Stops its clock, or lets it run on.
    pub fn freeze(&self, frozen: bool) {
        self.state.clock.freeze(frozen);
    }

    /// Moves its clock by `step`, which may be negative.
    ///
    /// # Errors
    /// [`Error::Argument`] where that leads before 1990 or after 2200.
    pub fn advance(&self, step: TimeDelta) -> Result<()> {
        self.state.clock.advance(step)
    }

    /// The recordings of a recorded market that have a known instant, oldest first.
    pub fn recordings(&self) -> &[Recording] {
        self.state.source.recordings()
    }

    /// Moves the clock to the next recording and returns its instant; `None` after the last one.
    pub fn next_recording(&self) -> Option<DateTime<Utc>> {
        let next = self.state.source.next(self.now())?;
        self.state.clock.set(next).ok().map(|()| next)
    }

    /// How many calls the market has answered; control calls are not counted.
    pub fn calls(&self) -> u64 {
        lock::lock(&self.state.calls).count()
    }

    /// The calls that the market has answered, oldest first; at most the last 100,000.
    pub fn call_log(&self) -> Vec<Call> {
        lock::lock(&self.state.calls).recent().cloned().collect()
    }

    /// Delists a coin of a seeded market, lists it again, or gives it another symbol or name, from now on.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is none of this id, or the market is recorded.
    pub fn change_coin(&self, id: &str, change: CoinChange) -> Result<()> {
        self.state.source.change(id, change)
    }

    /// Sets a fault after those that are set.
    pub fn add_fault(&self, fault: Fault) {
        self.state.add_fault(fault);
    }

    /// Forgets all faults, and puts ranks that they moved back.
    pub fn clear_faults(&self) {
        self.state.clear_faults();
    }

    /// Stops the server and returns once it has ended.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(mut server) = self.server.take()
            && tokio::time::timeout(GRACE, &mut server).await.is_err()
        {
            server.abort();
        }
    }

    /// Runs until the server ends by itself, which is when its socket fails. Dropping the future stops the server.
    ///
    /// # Errors
    /// [`Error::Config`] with the socket's error.
    pub async fn finished(mut self) -> Result<()> {
        let Some(server) = self.server.take() else {
            return Ok(());
        };
        let failed = || Error::config("the simulator's server ended: start it again");
        match server.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failed().because(error)),
            Err(error) => Err(failed().because(error)),
        }
    }

    fn origin(&self) -> String {
        let mut address = self.address;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        format!("http://{address}")
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

fn unbound(bind: SocketAddr, error: std::io::Error) -> Error {
    Error::config(format!(
        "the simulator cannot listen on {bind}: choose another address or port 0"
    ))
    .because(error)
}
