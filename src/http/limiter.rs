//! The plan's pace: never more than so many calls in any minute.
//! It counts the calls of one client; the month's credits are the store's account.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as Queue;
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// A sliding window over the last minute.
///
/// A token bucket, which the usual crates give, lets through up to twice the number in a window that begins with a full
/// bucket; the API counts windows.
pub(super) struct Limiter {
    calls: Option<usize>,
    /// Whoever waits, in the order in which they came: only the first looks at the state.
    queue: Queue<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the calls of the last minute began, oldest first.
    begun: VecDeque<Instant>,
    held_until: Option<Instant>,
}

impl Limiter {
    pub(super) fn per_minute(calls: Option<NonZeroU32>) -> Self {
        let calls = calls.map(|calls| usize::try_from(calls.get()).unwrap_or(usize::MAX));
        Self {
            calls,
            queue: Queue::default(),
            state: Mutex::default(),
        }
    }

    /// Returns when one more call may begin, which it then has to.
    pub(super) async fn wait(&self) {
        let _first = self.queue.lock().await;
        // the API may ask for a hold while a call waits for its turn
        while let Some(later) = self.begin(Instant::now()) {
            tokio::time::sleep_until(later).await;
        }
    }

    /// Lets no call begin for so long: the API has asked for it.
    pub(super) fn hold(&self, wait: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + wait;
        state.held_until = Some(state.held_until.map_or(until, |held| held.max(until)));
    }

    /// Counts a call that begins now, or says when to look again.
    fn begin(&self, now: Instant) -> Option<Instant> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = state.held_until.filter(|held| *held > now) {
            return Some(held);
        }
        let calls = self.calls?;
        while let Some(oldest) = state.begun.front().copied() {
            if oldest + MINUTE <= now {
                state.begun.pop_front();
            } else if state.begun.len() >= calls {
                return Some(oldest + MINUTE);
            } else {
                break;
            }
        }
        state.begun.push_back(now);
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_full_minute_of_calls_may_begin_at_once_and_the_next_one_a_minute_later() {
        let limiter = Limiter::per_minute(NonZeroU32::new(5));
        let now = Instant::now();
        assert!((0..5).all(|_| limiter.begin(now).is_none()));
        assert_eq!(limiter.begin(now + SECOND), Some(now + MINUTE));
        assert_eq!(limiter.begin(now + MINUTE), None);
    }

    #[test]
    fn without_a_limit_nothing_waits_unless_the_api_says_so() {
        let limiter = Limiter::per_minute(None);
        let now = Instant::now();
        assert!((0..100).all(|_| limiter.begin(now).is_none()));
        limiter.hold(MINUTE);
        assert!(limiter.begin(now).is_some());
    }

    #[tokio::test]
    async fn a_call_that_waits_looks_at_a_hold_that_is_set_meanwhile() {
        let limiter = Limiter::per_minute(NonZeroU32::new(5));
        limiter.hold(Duration::from_millis(100));
        let longer = Duration::from_millis(400);
        let (begun, until) = tokio::join!(
            async {
                limiter.wait().await;
                Instant::now()
            },
            async {
                let until = Instant::now() + longer;
                limiter.hold(longer);
                until
            }
        );
        assert!(begun >= until, "{:?} too early", until - begun);
    }

    proptest! {
        /// Callers come and holds are set at any time; each caller looks again when it is told to, as `wait` does.
        #[test]
        fn no_minute_holds_more_calls_than_the_plan_and_no_call_begins_in_a_hold(
            calls in 1u32..8,
            comes in proptest::collection::vec(0u64..200, 1..60),
            holds in proptest::collection::vec((0u64..200, 1u64..90), 0..6),
        ) {
            let limiter = Limiter::per_minute(NonZeroU32::new(calls));
            let zero = Instant::now();
            let at = |second: u64| zero + Duration::from_secs(second);
            let mut waiting = VecDeque::new();
            let mut begun: Vec<Instant> = Vec::new();
            for second in 0..4_000 {
                let now = at(second);
                for (_, length) in holds.iter().filter(|(set, _)| *set == second) {
                    let mut state = limiter.state.lock().unwrap();
                    let until = now + Duration::from_secs(*length);
                    state.held_until = state.held_until.max(Some(until));
                }
                waiting.extend(comes.iter().filter(|come| **come == second).map(|_| now));
                while let Some(look) = waiting.front_mut() {
                    if *look > now {
                        break;
                    }
                    match limiter.begin(now) {
                        Some(later) => *look = later,
                        None => {
                            begun.push(now);
                            waiting.pop_front();
                        }
                    }
                }
            }
            prop_assert_eq!(begun.len(), comes.len(), "everyone has their turn");
            for window in begun.windows(calls as usize + 1) {
                prop_assert!(window[calls as usize] - window[0] >= MINUTE);
            }
            for (set, length) in holds {
                let held = at(set)..at(set + length);
                prop_assert!(!begun.iter().any(|call| held.contains(call)));
            }
        }
    }
}
