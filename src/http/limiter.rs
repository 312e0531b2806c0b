//! The plan's pace: never more than so many calls in any minute.
//! It counts the calls of one client; the month's credits are the store's account.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// A sliding window over the last minute.
///
/// A token bucket, which the usual crates give, lets through up to twice the number in a window that begins with a full
/// bucket; the source counts windows.
pub(super) struct Limiter {
    calls: Option<usize>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the last calls began or may begin, oldest first.
    begun: VecDeque<Instant>,
    held_until: Option<Instant>,
}

impl Limiter {
    pub(super) fn per_minute(calls: Option<NonZeroU32>) -> Self {
        let calls = calls.map(|calls| usize::try_from(calls.get()).unwrap_or(usize::MAX));
        Self {
            calls,
            state: Mutex::default(),
        }
    }

    /// Returns when one more call may begin.
    pub(super) async fn wait(&self) {
        let begin = self.book(Instant::now());
        tokio::time::sleep_until(begin).await;
    }

    /// Lets no call begin for so long: the source has asked for it.
    pub(super) fn hold(&self, wait: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + wait;
        state.held_until = Some(state.held_until.map_or(until, |held| held.max(until)));
    }

    /// Books the next place and says when it is.
    fn book(&self, now: Instant) -> Instant {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut begin = state.held_until.map_or(now, |held| held.max(now));
        if let Some(calls) = self.calls {
            if state.begun.len() >= calls
                && let Some(oldest) = state.begun.pop_front()
            {
                begin = begin.max(oldest + MINUTE);
            }
            state.begun.push_back(begin);
        }
        begin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_holds_more_calls_than_the_plan() {
        let limiter = Limiter::per_minute(NonZeroU32::new(5));
        let now = Instant::now();
        let begun: Vec<Instant> = (0..23).map(|_| limiter.book(now)).collect();
        assert_eq!(begun[4], now, "a full minute's calls may begin at once");
        for window in begun.windows(6) {
            assert!(window[5] - window[0] >= MINUTE);
        }
    }

    #[test]
    fn without_a_limit_nothing_waits_unless_the_source_asks() {
        let limiter = Limiter::per_minute(None);
        let now = Instant::now();
        assert!((0..100).all(|_| limiter.book(now) == now));
        limiter.hold(MINUTE);
        assert!(limiter.book(now) > now);
    }
}
