//! Months of half-hours in memory: what a run decides is done, and what falls off meanwhile is counted.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use proptest::prelude::*;

use super::super::SLOTS_A_DAY;
use super::*;
use crate::provider::{Plan, PlanKind};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// A schedule, and what CoinGecko would have kept for it.
struct Schedule {
    plan: Plan,
    snapshot: u64,
    /// What is owed from: when each coin was first kept, and how far it is covered.
    kept: BTreeMap<usize, (i64, i64)>,
    spent: u64,
    /// Milliseconds that fell off, by coin.
    lost: BTreeMap<usize, i64>,
    missed: u64,
    /// Lists of all coins, one a day as long as no snapshot needs the call.
    listings: u64,
}

impl Schedule {
    fn new(kind: PlanKind, snapshot: u64) -> Self {
        Self {
            plan: Plan::documented(kind),
            snapshot,
            kept: BTreeMap::new(),
            spent: 0,
            lost: BTreeMap::new(),
            missed: 0,
            listings: 0,
        }
    }

    fn limit(&self) -> u64 {
        self.plan.credits_per_month.unwrap_or(u64::MAX)
    }

    /// One half-hour with these coins: a snapshot, then charts, some seconds apart; the day's first also fetches the list of all coins.
    fn run(&mut self, now: DateTime<Utc>, coins: usize) -> Decision {
        if self.spent + self.snapshot > self.limit() {
            self.missed += 1;
        } else {
            self.spent += self.snapshot;
        }
        let ms = now.timestamp_millis();
        let settled = Resolution::FiveMinutes.settled(now);
        let owed_since = Slot::containing(now).start().timestamp_millis();
        let coin = |place: usize| {
            let known = self.kept.get(&place);
            let covered = known.map_or(owed_since, |(_, covered)| *covered);
            Coin {
                id: CoinId::from_source(place.to_string()),
                stage: if known.is_some() {
                    Stage::Kept
                } else {
                    Stage::New
                },
                from: covered.max(ms - DAY),
                is_due: true,
                is_doubted: false,
                is_unseen: known.is_none_or(|(since, covered)| since == covered),
                visited_at: known.map(|(_, covered)| *covered),
            }
        };
        let rotation = Rotation {
            means: Means::of(&self.plan, self.spent, self.snapshot, true, now),
            coins: (0..coins).map(coin).collect(),
        };
        let decision = rotation.decide();
        let place = |id: &CoinId| id.as_str().parse::<usize>().unwrap();
        for id in &decision.enters {
            self.kept.insert(place(id), (owed_since, owed_since));
        }
        for id in &decision.leaves {
            self.kept.remove(&place(id));
        }
        for id in &decision.visits {
            assert!(self.spent < self.limit(), "a call beyond the plan");
            self.spent += 1;
            let (_, covered) = self
                .kept
                .get_mut(&place(id))
                .expect("only what is kept is fetched");
            let fallen = (ms - DAY - *covered).max(0);
            if fallen > 0 {
                *self.lost.entry(place(id)).or_default() += fallen;
            }
            *covered = settled.max(*covered);
        }
        let set_aside = rotation.means.snapshots;
        let is_days_first = Slot::containing(now).number() % SLOTS_A_DAY.cast_signed() == 0;
        if is_days_first && self.spent + set_aside < self.limit() {
            self.spent += 1;
            self.listings += 1;
        }
        decision
    }
}

fn begin() -> DateTime<Utc> {
    "2026-06-01T00:00:03Z".parse().unwrap()
}

/// Every half-hour of some days, some seconds late and not always the same.
fn half_hours(days: i64) -> impl Iterator<Item = DateTime<Utc>> {
    let late = |slot: i64| TimeDelta::seconds((slot * 7919).rem_euclid(240));
    (0..days * 48)
        .map(move |slot| begin() + Slot::LENGTH * i32::try_from(slot).unwrap() + late(slot))
}

#[test]
fn the_default_keeps_a_month_complete_inside_the_free_plan() {
    let mut schedule = Schedule::new(PlanKind::Demo, 1);
    for now in half_hours(30) {
        schedule.run(now, 250);
    }
    assert_eq!(schedule.missed, 0);
    assert_eq!(schedule.lost, BTreeMap::new());
    assert_eq!(schedule.kept.len(), 250);
    // and the list of all coins, each day
    assert_eq!(schedule.listings, 30);
    assert!(schedule.spent - 30 <= 9_300, "{} calls", schedule.spent);
}

#[test]
fn of_more_coins_than_fit_the_largest_are_complete_and_no_snapshot_is_lost() {
    let mut schedule = Schedule::new(PlanKind::Demo, 4);
    for now in half_hours(30) {
        let decision = schedule.run(now, 1_000);
        assert_eq!(decision.unaffordable, []);
    }
    assert_eq!(schedule.missed, 0);
    assert_eq!(schedule.lost, BTreeMap::new());
    let kept: Vec<usize> = schedule.kept.keys().copied().collect();
    assert_eq!(kept, (0..134).collect::<Vec<usize>>());
    assert_eq!(schedule.listings, 30);
    assert!(schedule.spent <= 10_000);
}

#[test]
fn after_an_outage_only_what_was_gone_by_then_is_lost() {
    for hours in [1, 6, 20, 40] {
        let mut schedule = Schedule::new(PlanKind::Demo, 1);
        let mut covered = BTreeMap::new();
        for now in half_hours(7) {
            let into = now - begin();
            let (first, last) = (
                TimeDelta::days(3),
                TimeDelta::days(3) + TimeDelta::hours(hours),
            );
            if into >= first && into < last {
                continue;
            }
            if into < first {
                covered = schedule.kept.clone();
            }
            schedule.run(now, 250);
        }
        assert_eq!(schedule.missed, 0);
        // of an hour, a few coins lose the ten minutes that their last chart could not be believed for
        let lost = schedule.lost.len();
        assert_eq!(lost > 12, hours > 1, "{hours} h: {lost} coins");
        // the first run after it fetches every coin that has begun to lose something
        let end = (begin() + TimeDelta::days(3) + TimeDelta::hours(hours)).timestamp_millis();
        let gone = |(_, covered): &(i64, i64)| (end - DAY - covered).max(0);
        for (place, lost) in schedule.lost {
            let least = gone(&covered[&place]);
            assert!(
                lost <= least + 4 * MINUTE,
                "{hours} h, coin {place}: {lost} of {least}"
            );
        }
    }
}

#[test]
fn a_run_that_fails_loses_nothing() {
    let mut schedule = Schedule::new(PlanKind::Demo, 1);
    for (place, now) in half_hours(9).enumerate() {
        if place % 5 != 3 {
            schedule.run(now, 250);
        }
    }
    assert_eq!(schedule.lost, BTreeMap::new());
}

#[test]
fn coins_that_are_due_together_are_fetched_before_they_are_too_many() {
    // 150 coins in the first runs, and no more than 49 calls a run: three runs have to share them
    let mut schedule = Schedule::new(PlanKind::Keyless, 1);
    schedule.plan.credits_per_month = Some(1_000_000);
    for now in half_hours(4) {
        let decision = schedule.run(now, 600);
        assert!(decision.visits.len() <= 49);
    }
    assert_eq!(schedule.lost, BTreeMap::new());
    assert_eq!(schedule.kept.len(), 600);
}

#[test]
fn without_a_limit_of_the_month_charts_are_as_fresh_as_the_pace_allows() {
    let mut keyless = Schedule::new(PlanKind::Keyless, 1);
    let visits: Vec<usize> = half_hours(1)
        .take(5)
        .map(|now| keyless.run(now, 100).visits.len())
        .collect();
    assert_eq!(visits, [49, 49, 49, 49, 49]);
    let mut unlimited = Schedule::new(PlanKind::Unlimited, 1);
    assert_eq!(unlimited.run(begin(), 500).visits.len(), 500);
}

#[test]
fn with_calls_to_spare_charts_are_fetched_earlier_and_a_fifth_is_kept_back() {
    let mut schedule = Schedule::new(PlanKind::Demo, 1);
    for now in half_hours(30) {
        schedule.run(now, 50);
    }
    assert_eq!(schedule.lost, BTreeMap::new());
    assert!(
        (7_000..=8_000).contains(&schedule.spent),
        "{}",
        schedule.spent
    );
}

#[test]
fn a_month_that_is_short_of_calls_keeps_the_largest_and_names_the_others() {
    let mut schedule = Schedule::new(PlanKind::Demo, 1);
    let mut named = BTreeSet::new();
    for (place, now) in half_hours(30).enumerate() {
        if place == 48 * 10 {
            schedule.spent += 3_000;
        }
        let unaffordable = schedule.run(now, 250).unaffordable;
        named.extend(
            unaffordable
                .iter()
                .map(|id| id.as_str().parse::<usize>().unwrap()),
        );
    }
    assert_eq!(schedule.missed, 0);
    assert!(schedule.spent <= 10_000);
    assert!(named.first().is_some_and(|first| *first > 100), "{named:?}");
    assert!(!schedule.lost.is_empty());
    assert!(schedule.lost.keys().all(|place| named.contains(place)));
}

#[test]
fn a_coin_that_left_has_one_last_visit_and_a_later_run_would_do() {
    let now = begin();
    let ms = now.timestamp_millis();
    let coin = |from: i64| Coin {
        id: CoinId::from_source("gone".to_owned()),
        stage: Stage::Leaving,
        from,
        is_due: true,
        is_doubted: false,
        is_unseen: false,
        visited_at: Some(from),
    };
    let decide = |from| {
        let means = Means::of(&Plan::documented(PlanKind::Demo), 0, 1, true, now);
        Rotation {
            means,
            coins: vec![coin(from)],
        }
        .decide()
    };
    assert_eq!(decide(ms - DAY + 60 * MINUTE).visits.len(), 1);
    let later = decide(ms - 60 * MINUTE);
    assert_eq!(
        (later.visits.len(), later.postponed),
        (1, 0),
        "there is plenty to spare"
    );
    assert_eq!(later.spare, Some(10_000 - 1_439 - 30 - 1 - 1));
}

proptest! {
    // each is five days of half-hours
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_coin_waits_beyond_its_window_where_the_means_are_enough(
        coins in 1usize..270,
        offset in 0i64..48 * 25,
        skipped in 0usize..60,
    ) {
        let mut schedule = Schedule::new(PlanKind::Demo, 1);
        let from = begin() + Slot::LENGTH * i32::try_from(offset).unwrap();
        for (place, now) in half_hours(5).enumerate() {
            let now = now + (from - begin());
            // one run in a while does not take place
            if place == 0 || place % 61 != skipped {
                schedule.run(now, coins);
            }
        }
        prop_assert_eq!(schedule.lost, BTreeMap::new());
        prop_assert_eq!(schedule.kept.len(), coins);
    }
}
