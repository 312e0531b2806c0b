//! Where "now" comes from: read at the edge, passed in everywhere else.
//! It does not ask the network; the simulated market's clock is fetched by the HTTP client.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// A source of the present instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// One instant for ever.
    Frozen(DateTime<Utc>),
    /// The machine's clock, moved by a fixed amount.
    Shifted(TimeDelta),
}

impl Clock {
    /// The present instant by this clock.
    pub fn now(self) -> DateTime<Utc> {
        match self {
            Self::System => Utc::now(),
            Self::Frozen(instant) => instant,
            Self::Shifted(by) => Utc::now() + by,
        }
    }

    /// How long it is until an instant, nothing where it is past; `None` by a clock that stands still.
    pub fn until(self, instant: DateTime<Utc>) -> Option<Duration> {
        match self {
            Self::Frozen(_) => None,
            Self::System | Self::Shifted(_) => {
                Some((instant - self.now()).to_std().unwrap_or_default())
            }
        }
    }
}
