//! The simulator's clock: it runs with the system's, stands still, or runs from another instant.
//! It moves nothing by itself and knows no recordings; whoever holds it sets it.

use std::sync::Mutex;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use super::lock::lock;
use crate::error::{Error, Result};

/// Where the simulator's clock begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClockSetting {
    /// The system's clock; for a recorded market, the first recording's instant, standing still.
    #[default]
    System,
    /// Standing still at this instant.
    Frozen(DateTime<Utc>),
    /// Running from this instant at the ordinary speed.
    StartingAt(DateTime<Utc>),
}

/// A clock that many requests read and a control call moves.
#[derive(Debug)]
pub struct Clock {
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Running { ahead: TimeDelta },
    Frozen(DateTime<Utc>),
}

impl State {
    /// Standing still at a whole millisecond, which is as exact as anything is stored: what is committed at that instant is known
    /// at it.
    fn frozen(at: DateTime<Utc>) -> Self {
        Self::Frozen(at.trunc_subsecs(3))
    }

    fn now(self) -> DateTime<Utc> {
        match self {
            Self::Running { ahead } => Utc::now()
                .checked_add_signed(ahead)
                .unwrap_or_else(Utc::now),
            Self::Frozen(at) => at,
        }
    }

    fn at(self, instant: DateTime<Utc>) -> Self {
        match self {
            Self::Running { .. } => Self::Running {
                ahead: instant - Utc::now(),
            },
            Self::Frozen(_) => Self::frozen(instant),
        }
    }
}

impl Clock {
    /// A clock as set.
    ///
    /// # Errors
    /// [`Error::Argument`] where the instant is before 1990 or after 2200.
    pub fn new(setting: ClockSetting) -> Result<Self> {
        let state = match setting {
            ClockSetting::System => State::Running {
                ahead: TimeDelta::zero(),
            },
            ClockSetting::Frozen(at) => State::frozen(sensible(at)?),
            ClockSetting::StartingAt(at) => State::Running {
                ahead: TimeDelta::zero(),
            }
            .at(sensible(at)?),
        };
        Ok(Self {
            state: Mutex::new(state),
        })
    }

    /// The simulator's present.
    pub fn now(&self) -> DateTime<Utc> {
        lock(&self.state).now()
    }

    /// True while the clock stands still.
    pub fn is_frozen(&self) -> bool {
        matches!(*lock(&self.state), State::Frozen(_))
    }

    /// Moves to `instant`; a running clock goes on running from there.
    ///
    /// # Errors
    /// [`Error::Argument`] where the instant is before 1990 or after 2200.
    pub fn set(&self, instant: DateTime<Utc>) -> Result<()> {
        let instant = sensible(instant)?;
        let mut state = lock(&self.state);
        *state = state.at(instant);
        Ok(())
    }

    /// Moves by `step`, which may be negative.
    ///
    /// # Errors
    /// [`Error::Argument`] where that leads before 1990 or after 2200.
    pub fn advance(&self, step: TimeDelta) -> Result<()> {
        let mut state = lock(&self.state);
        let instant = state.now().checked_add_signed(step).ok_or_else(|| {
            Error::argument("the clock cannot be moved that far: stay between 1990 and 2200")
        })?;
        *state = state.at(sensible(instant)?);
        Ok(())
    }

    /// Stops the clock where it is, or lets it run on from there.
    pub fn freeze(&self, frozen: bool) {
        let mut state = lock(&self.state);
        let now = state.now();
        *state = if frozen {
            State::frozen(now)
        } else {
            State::Running {
                ahead: now - Utc::now(),
            }
        };
    }
}

// An HTTP date has four digits for the year, and the market begins in 2009: anything far off is a slip in the caller's units.
fn sensible(instant: DateTime<Utc>) -> Result<DateTime<Utc>> {
    const EARLIEST: i64 = 631_152_000;
    const LATEST: i64 = 7_258_118_400;
    if (EARLIEST..LATEST).contains(&instant.timestamp()) {
        Ok(instant)
    } else {
        Err(Error::argument(format!(
            "the clock cannot be set to {instant}: stay between 1990 and 2200"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_frozen_clock_moves_only_when_told() {
        let clock = Clock::new(ClockSetting::Frozen(instant("2026-01-14T12:00:00Z"))).unwrap();
        assert_eq!(clock.now(), clock.now());
        clock.advance(TimeDelta::minutes(30)).unwrap();
        assert_eq!(clock.now(), instant("2026-01-14T12:30:00Z"));
        clock.set(instant("2025-01-01T00:00:00Z")).unwrap();
        assert_eq!(clock.now(), instant("2025-01-01T00:00:00Z"));
        assert!(clock.is_frozen());
    }

    #[test]
    fn a_frozen_clock_stands_at_whole_milliseconds() {
        let odd = instant("2026-01-14T12:00:00.000999Z");
        let clock = Clock::new(ClockSetting::Frozen(odd)).unwrap();
        assert_eq!(clock.now(), instant("2026-01-14T12:00:00Z"));
        clock.advance(TimeDelta::microseconds(1500)).unwrap();
        assert_eq!(clock.now(), instant("2026-01-14T12:00:00.001Z"));
    }

    #[test]
    fn a_running_clock_runs_on_from_where_it_is_set() {
        let begin = instant("2026-01-14T12:00:00Z");
        let clock = Clock::new(ClockSetting::StartingAt(begin)).unwrap();
        assert!(clock.now() >= begin);
        clock.freeze(true);
        let stopped = clock.now();
        assert_eq!(stopped, clock.now());
        clock.freeze(false);
        assert!(clock.now() >= stopped);
        assert!(!clock.is_frozen());
    }

    #[test]
    fn a_clock_cannot_be_sent_out_of_the_market_s_time() {
        assert!(Clock::new(ClockSetting::Frozen(DateTime::UNIX_EPOCH)).is_err());
        let clock = Clock::new(ClockSetting::System).unwrap();
        assert!(clock.advance(TimeDelta::MAX).is_err());
    }
}
