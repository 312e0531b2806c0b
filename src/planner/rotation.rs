//! Whose last day is fetched in a run: each coin as late as its points are safe, the earliest to fall off first.
//! What a plan has for it is `means`' to say; how a chart is fetched and stored is the run's work.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::REVISIT;
use super::means::Means;
use crate::market::{CoinId, Slot};
use crate::series::Resolution;

/// Which part of the month's calls stays for healing, backfills and coins that come and go before charts are fetched earlier than
/// they have to be: a fifth.
const KEPT_BACK: u64 = 5;

/// How far a coin is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its charts are wanted, and not kept yet.
    New,
    /// They are kept.
    Kept,
    /// They were kept: one last visit ends them.
    Leaving,
}

/// A coin as a run finds it.
#[derive(Debug, Clone)]
pub struct Coin {
    /// Its id.
    pub id: CoinId,
    /// How far it is kept.
    pub stage: Stage,
    /// The first millisecond since 1970 that is owed, still to be had, and not covered.
    pub from: i64,
    /// True where a chart fetched now would have something new.
    pub is_due: bool,
    /// True where an earlier chart should have had what lacks.
    pub is_doubted: bool,
    /// True where nothing of its last day is covered.
    pub is_unseen: bool,
    /// When it was last asked for, in milliseconds since 1970.
    pub visited_at: Option<i64>,
}

/// The coins of a run, the dearest first, and what the plan has for them.
#[derive(Debug)]
pub struct Rotation {
    /// The plan's means.
    pub means: Means,
    /// The coins, in the order in which they are given up where the means are too small, the last first.
    pub coins: Vec<Coin>,
}

/// What a run does.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The coins to fetch, in order.
    pub visits: Vec<CoinId>,
    /// Coins whose charts are kept from now on.
    pub enters: Vec<CoinId>,
    /// Coins whose charts are no longer kept, since the month has no calls for so many and there is no room for them anyway.
    pub leaves: Vec<CoinId>,
    /// Coins that wait for a later run though a chart fetched now would have what they need.
    pub postponed: u64,
    /// Coins that are kept and that the month has no calls for.
    pub unaffordable: Vec<CoinId>,
    /// Calls of the month that nothing scheduled needs; `None` is no limit.
    pub spare: Option<u64>,
    /// Calls that the run may still make, by the plan's pace; `None` is no limit.
    pub idle: Option<u64>,
}

impl Coin {
    /// The last half-hour in which it has to be visited, counted from 1970 on.
    pub fn deadline(&self) -> i64 {
        let settles = Resolution::FiveMinutes.settled(DateTime::<Utc>::UNIX_EPOCH);
        let visited = DateTime::from_timestamp_millis(self.from - settles);
        Slot::containing(visited.unwrap_or_default()).number() + REVISIT.cast_signed()
    }

    /// How many calls it takes until the month ends.
    fn cost(&self, now: i64, end: i64) -> u64 {
        let first = if self.is_unseen {
            now
        } else {
            self.deadline().max(now)
        };
        match (self.stage, first < end) {
            (_, false) => 0,
            (Stage::Leaving, true) => 1,
            (_, true) => 1 + (end - 1 - first).unsigned_abs() / REVISIT,
        }
    }
}

/// The coins that the plan has means for.
struct Afforded<'a> {
    coins: Vec<&'a Coin>,
    spare: Option<u64>,
}

impl Rotation {
    /// Decides.
    pub fn decide(&self) -> Decision {
        let mut decision = Decision::default();
        let Afforded { coins, spare } = self.afford(&mut decision);
        let cap = usize::try_from(self.means.a_run.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let mut visits = Visits::new(cap);
        let now = self.means.month.now;
        let mut by_deadline: Vec<&Coin> = coins.iter().copied().filter(|it| it.is_due).collect();
        by_deadline.sort_by_key(|coin| (coin.deadline(), coin.from));
        let has_to = has_to_be_fetched(&by_deadline, now, cap);
        visits.extend(by_deadline.iter().take(has_to));
        // the others are spread over the half-hours until they are all due again
        let even = match spare {
            Some(_) => coins.len().div_ceil(usize::try_from(REVISIT).unwrap_or(1)),
            None => usize::MAX,
        };
        let mut unseen: Vec<&Coin> = coins.iter().copied().filter(|it| it.is_unseen).collect();
        unseen.retain(|coin| coin.is_due);
        unseen.sort_by_key(|coin| coin.visited_at);
        visits.extend(unseen.iter().take(even.saturating_sub(visits.len())));
        let mut spare = spare;
        let doubted = coins.iter().filter(|coin| coin.is_doubted && coin.is_due);
        visits.extend_within(doubted, &mut spare);
        let mut fresh = self.fresh_calls(spare);
        let mut stale = by_deadline.clone();
        stale.sort_by_key(|coin| coin.visited_at);
        let before = visits.len();
        visits.extend_within(stale.iter(), &mut fresh);
        spare = spare.map(|spare| spare.saturating_sub((visits.len() - before) as u64));
        let waits = coins
            .iter()
            .filter(|coin| coin.is_due && !visits.seen.contains(&coin.id))
            .filter(|coin| spare.is_none() || coin.is_unseen || coin.deadline() <= now);
        decision.postponed = (waits.count() + decision.unaffordable.len()) as u64;
        decision.idle = self
            .means
            .a_run
            .map(|calls| calls.saturating_sub(visits.len() as u64));
        decision.visits = visits.chosen;
        decision.spare = spare;
        decision
    }

    /// Calls that every snapshot and every coin that is kept take until the month ends, whether or not the month has so many.
    pub fn needed(&self) -> u64 {
        let month = self.means.month;
        let kept = self.coins.iter().filter(|coin| coin.stage != Stage::New);
        let charts: u64 = kept.map(|coin| coin.cost(month.now, month.end)).sum();
        let Means {
            snapshots,
            listings,
            ..
        } = self.means;
        snapshots.saturating_add(listings).saturating_add(charts)
    }

    /// Which coins there is room for, and calls until the month ends.
    fn afford(&self, decision: &mut Decision) -> Afforded<'_> {
        let month = self.means.month;
        let room = self.means.room().unwrap_or(u64::MAX);
        let wanted = self.of(Stage::Kept).count() + self.of(Stage::New).count();
        let is_crowded = wanted as u64 > room;
        let mut afforded = Afforded {
            coins: Vec::new(),
            spare: self.means.a_month,
        };
        for coin in self.of(Stage::Leaving) {
            afforded.pay(coin, month.now, month.end);
        }
        let mut held = self.of(Stage::Leaving).count() as u64;
        for coin in self.of(Stage::Kept) {
            if afforded.pay(coin, month.now, month.end) {
                held += 1;
            } else if is_crowded {
                decision.leaves.push(coin.id.clone());
            } else {
                decision.unaffordable.push(coin.id.clone());
            }
        }
        for coin in self.of(Stage::New) {
            if held < room && afforded.pay(coin, month.now, month.end) {
                held += 1;
                decision.enters.push(coin.id.clone());
            }
        }
        afforded
    }

    fn of(&self, stage: Stage) -> impl Iterator<Item = &Coin> {
        self.coins.iter().filter(move |coin| coin.stage == stage)
    }

    /// Calls for charts that could wait: without a limit as many as the pace allows, else what a part kept back leaves of the spare
    /// ones, spread over the month.
    fn fresh_calls(&self, spare: Option<u64>) -> Option<u64> {
        let kept_back = self.means.credits.unwrap_or_default() / KEPT_BACK;
        let spare = spare?.saturating_sub(kept_back);
        Some(spare / self.means.month.left())
    }
}

impl<'a> Afforded<'a> {
    /// Takes a coin's calls off the month, if there are so many.
    fn pay(&mut self, coin: &'a Coin, now: i64, end: i64) -> bool {
        match self.spare {
            None => {}
            Some(calls) => match calls.checked_sub(coin.cost(now, end)) {
                Some(left) => self.spare = Some(left),
                None => return false,
            },
        }
        self.coins.push(coin);
        true
    }
}

/// How many of the coins, the earliest deadline first, have to be fetched now so that each can be by its deadline when a run makes
/// no more than so many calls.
fn has_to_be_fetched(by_deadline: &[&Coin], now: i64, cap: usize) -> usize {
    let runs = 0..=usize::try_from(REVISIT).unwrap_or_default();
    let needed = runs.map(|later| {
        let until = now + i64::try_from(later).unwrap_or_default();
        let due = by_deadline.partition_point(|coin| coin.deadline() <= until);
        due.saturating_sub(cap.saturating_mul(later))
    });
    needed.max().unwrap_or_default().min(cap)
}

/// The coins chosen so far, each once.
struct Visits {
    chosen: Vec<CoinId>,
    seen: HashSet<CoinId>,
    cap: usize,
}

impl Visits {
    fn new(cap: usize) -> Self {
        Self {
            chosen: Vec::new(),
            seen: HashSet::new(),
            cap,
        }
    }

    fn len(&self) -> usize {
        self.chosen.len()
    }

    fn push(&mut self, coin: &Coin) -> bool {
        let is_new = self.chosen.len() < self.cap && self.seen.insert(coin.id.clone());
        if is_new {
            self.chosen.push(coin.id.clone());
        }
        is_new
    }

    fn extend<'a>(&mut self, coins: impl Iterator<Item = &'a &'a Coin>) {
        for coin in coins {
            self.push(coin);
        }
    }

    /// The same, as long as there are calls for it.
    fn extend_within<'a>(
        &mut self,
        coins: impl Iterator<Item = &'a &'a Coin>,
        calls: &mut Option<u64>,
    ) {
        for coin in coins {
            if *calls == Some(0) {
                return;
            }
            if self.push(coin) {
                *calls = calls.map(|calls| calls - 1);
            }
        }
    }
}

#[cfg(test)]
mod tests;
