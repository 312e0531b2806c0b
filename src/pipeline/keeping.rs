//! What is owed to the coins whose history is kept: which of them have something to fetch, since when, and what is lost.
//! Pure. Which are fetched is the planner's decision, and reading and writing are the run's.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::universe::Universe;
use crate::config::Settings;
use crate::market::{CoinId, Slot};
use crate::planner::{Coin, Stage};
use crate::series::{Resolution, Span, Spans, days};
use crate::store::{Absent, Changes, Followed, Presence};

/// Everything that is known of the coins when a run plans.
pub(super) struct Owed<'a> {
    /// What can still be fetched.
    pub(super) reach: Span,
    /// The coins that are wanted now, the dearest first.
    pub(super) wanted: &'a [CoinId],
    /// Since when a coin is owed that is new among them.
    pub(super) newest: i64,
    /// When a run last looked who there is.
    pub(super) looked_at: Option<i64>,
    pub(super) followed: &'a [Followed],
    pub(super) coverage: &'a HashMap<CoinId, Spans>,
    /// What a chart fetched now would bring, by coin.
    pub(super) due: &'a [(CoinId, Vec<Span>)],
    pub(super) visits: &'a HashMap<CoinId, DateTime<Utc>>,
}

/// Every coin that a run has to look at: those wanted, and those followed.
pub(super) fn all_coins(wanted: &[CoinId], followed: &[Followed]) -> Vec<CoinId> {
    let mut seen = HashSet::new();
    let followed = followed.iter().map(|followed| &followed.coin);
    let all = wanted.iter().chain(followed);
    all.filter(|coin| seen.insert(*coin)).cloned().collect()
}

/// The coins that are followed now.
fn still_followed(followed: &[Followed]) -> impl Iterator<Item = &CoinId> {
    let open = followed.iter().filter(|followed| followed.until.is_none());
    open.map(|followed| &followed.coin)
}

/// The coins whose charts are wanted, the dearest first.
pub(super) fn wanted_now(
    universe: &Universe,
    settings: &Settings,
    followed: &[Followed],
) -> Vec<CoinId> {
    let mut wanted = universe.for_charts(settings);
    if !universe.missing.is_empty() {
        // of a snapshot that lacks ranks it is not known who has left
        wanted.extend(still_followed(followed).cloned());
    }
    wanted
}

impl Owed<'_> {
    /// The coins for the planner, the dearest first, and those that are leaving.
    pub(super) fn coins(&self) -> Vec<Coin> {
        let due: HashMap<&CoinId, &[Span]> = self
            .due
            .iter()
            .map(|(coin, gaps)| (coin, gaps.as_slice()))
            .collect();
        let mut stretches: HashMap<&CoinId, Vec<&Followed>> = HashMap::new();
        for followed in self.followed {
            stretches.entry(&followed.coin).or_default().push(followed);
        }
        let wanted: HashSet<&CoinId> = self.wanted.iter().collect();
        let mut coins = Vec::new();
        for coin in all_coins(self.wanted, self.followed) {
            let of_coin = stretches.get(&coin).map_or(&[][..], Vec::as_slice);
            let is_open = of_coin.iter().any(|followed| followed.until.is_none());
            let stage = match (wanted.contains(&coin), is_open) {
                (true, true) => Stage::Kept,
                (true, false) => Stage::New,
                (false, _) => Stage::Leaving,
            };
            let gaps = due.get(&coin).copied().unwrap_or_default();
            let lacks = self.first_lack(stage, of_coin, gaps);
            if stage == Stage::Leaving && lacks.is_none() {
                continue;
            }
            let visited_at = self.visits.get(&coin).copied();
            let covered = self.coverage.get(&coin);
            coins.push(Coin {
                stage,
                from: lacks.unwrap_or(self.reach.end),
                is_due: lacks.is_some(),
                is_doubted: visited_at.is_some_and(|at| was_expected(at, lacks)),
                is_unseen: covered.is_none_or(|spans| spans.is_clear_of(self.reach)),
                visited_at: visited_at.map(|at| at.timestamp_millis()),
                id: coin,
            });
        }
        coins
    }

    /// The first instant that is owed and lacks.
    fn first_lack(&self, stage: Stage, stretches: &[&Followed], gaps: &[Span]) -> Option<i64> {
        let mut owed: Vec<Span> = stretches
            .iter()
            .filter_map(|followed| followed.owed(self.reach.start, self.reach.end))
            .collect();
        if stage != Stage::Leaving {
            // what came before its first half-hour is welcome, and not owed
            owed.extend(Span::new(self.reach.end - 1, self.reach.end));
        }
        let lacking = owed
            .iter()
            .flat_map(|owed| gaps.iter().filter_map(|gap| gap.intersection(*owed)));
        lacking.map(|span| span.start).min()
    }

    /// The coins that are followed and no longer wanted.
    pub(super) fn leaving(&self) -> Vec<&CoinId> {
        let wanted: HashSet<&CoinId> = self.wanted.iter().collect();
        let open = still_followed(self.followed);
        open.filter(|coin| !wanted.contains(coin)).collect()
    }

    /// Who enters and who leaves, each since or until the half-hours that had it.
    pub(super) fn changes(
        &self,
        enters: Vec<CoinId>,
        crowded_out: Vec<CoinId>,
        presence: &Presence,
    ) -> Changes {
        let start = |slot: Slot| slot.start().timestamp_millis();
        let ended = |coin: &CoinId| {
            let of_coin = self.followed.iter().filter(|it| it.coin == *coin);
            of_coin.filter_map(|it| it.until).max()
        };
        let since = |coin: &CoinId| {
            // one that was there when a run last looked, and was not wanted, is owed nothing of before
            let first = presence.first(coin).map(start);
            let first = first.filter(|first| self.looked_at.is_some_and(|at| *first > at));
            let since = first.unwrap_or(self.newest).min(self.newest);
            ended(coin).map_or(since, |ended| since.max(ended))
        };
        let until = |coin: &CoinId| presence.last(coin).map_or(self.newest, start);
        let entering = enters.into_iter().map(|coin| (since(&coin), coin));
        let leaving = self.leaving().into_iter();
        let leaving = leaving.map(|coin| (coin.clone(), until(coin)));
        let crowded_out = crowded_out.into_iter().map(|coin| (coin, self.newest));
        Changes {
            enters: entering.map(|(since, coin)| (coin, since)).collect(),
            leaves: leaving.chain(crowded_out).collect(),
        }
    }
}

/// What fell off CoinGecko between two instants: owed, and not covered.
pub(super) fn lost_between(
    followed: &[Followed],
    coverage: &HashMap<CoinId, Spans>,
    since: Option<i64>,
    until: i64,
) -> Vec<(CoinId, Span)> {
    let nothing = Spans::default();
    let lost = followed.iter().flat_map(|followed| {
        let covered = coverage.get(&followed.coin).unwrap_or(&nothing);
        let owed = followed.owed(since.unwrap_or(i64::MIN), until);
        let spans = owed.into_iter().flat_map(|owed| covered.gaps_in(owed));
        spans.map(|span| (followed.coin.clone(), span))
    });
    lost.collect()
}

/// True where a chart received at an instant should have had what lacks.
fn was_expected(received_at: DateTime<Utc>, lacks: Option<i64>) -> bool {
    let resolution = Resolution::FiveMinutes;
    let by_then = resolution.settled(received_at) - resolution.step() * 5 / 2;
    lacks.is_some_and(|lacks| lacks < by_then)
}

/// Says of what is lost, coin by coin, since when it is.
pub(super) fn say_lost(lost: &[(CoinId, Span)]) -> impl Iterator<Item = Absent> {
    lost.iter().map(|(coin, span)| {
        let gone = DateTime::from_timestamp_millis(span.start + days(1)).unwrap_or_default();
        let reason = format!(
            "five-minute points from {span} are lost: CoinGecko keeps a day, so they fell off from {} on",
            gone.format("%Y-%m-%dT%H:%MZ")
        );
        Absent::coin(coin.as_str(), reason)
    })
}
