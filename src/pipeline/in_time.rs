//! Which instants belong to a slot, and so which responses are believed. Pure.
//! Whose clock is right is not known: one that differs must not label data.

use chrono::{DateTime, TimeDelta, Utc};

use crate::error::{Error, Result};
use crate::landing::Landed;
use crate::market::Slot;

/// How long after its end a response may still be stored for a slot, by a run that began in time.
const GRACE: TimeDelta = TimeDelta::minutes(5);

/// How far CoinGecko's clock may be behind the slot's start: clocks differ by seconds.
const SKEW: TimeDelta = TimeDelta::minutes(1);

/// True for an instant whose responses belong to the slot.
pub(super) fn is_in_time(slot: Slot, instant: DateTime<Utc>) -> bool {
    (slot.start() - SKEW..slot.end() + GRACE).contains(&instant)
}

/// How far CoinGecko's clock may be from ours where an instant says what is settled, or since when something is gone.
const DIFFERENCE: TimeDelta = TimeDelta::minutes(5);

/// Refuses a response whose `Date` is not the time of this machine's clock.
///
/// # Errors
/// [`Error::Config`].
pub(super) fn compare_clocks(landed: &Landed) -> Result<()> {
    let (sent, received) = (landed.sent_at(), landed.received_at);
    if (sent - received).abs() <= DIFFERENCE {
        return Ok(());
    }
    let shown = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%SZ");
    Err(Error::config(format!(
        "the API's clock says {}, and this machine's {}: correct the clock (or set COINMILL_CLOCK=sim for a simulated market)",
        shown(sent),
        shown(received)
    )))
}

/// Refuses a response of another time: CoinGecko's clock is not ours, or a cache still has what it was before the slot.
///
/// # Errors
/// [`Error::Config`] for a clock that differs; [`Error::Source`], retryable, for a cache's response.
pub(super) fn believe(slot: Slot, landed: &Landed) -> Result<()> {
    let (sent, made) = (landed.sent_at(), landed.made_at());
    if !is_in_time(slot, sent) {
        return Err(Error::config(format!(
            "the API's clock says {}, which is not in slot {slot} of this machine's clock: correct the clock (or set \
             COINMILL_CLOCK=sim for a simulated market)",
            sent.format("%Y-%m-%dT%H:%M:%SZ"),
        )));
    }
    if !is_in_time(slot, made) {
        return Err(Error::Source {
            message: format!(
                "a cache sent a page of {}, from before slot {slot}",
                made.format("%Y-%m-%dT%H:%M:%SZ"),
            ),
            status: Some(landed.status),
            code: None,
            retryable: true,
            cause: None,
        });
    }
    Ok(())
}
