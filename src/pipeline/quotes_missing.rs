//! What of a span's quotes is not there: half-hours without a snapshot, and coins that a snapshot lacks.
//! Pure. Reading is its neighbour's work.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::missing::Missing;
use crate::frame::{Cell, Frame};
use crate::market::{CoinId, Slot};
use crate::store::SlotState;

const NO_SNAPSHOT: &str = "no snapshot was taken";

/// What is missing of slots from one to before another: slots that were not fetched, coins that were and are not stored, and of the
/// coins that are asked for by name those that a snapshot does not have.
pub(super) fn missing(
    from: Slot,
    to: Slot,
    states: &[(Slot, SlotState)],
    coins: &[CoinId],
    frame: &Frame,
) -> Vec<Missing> {
    let there = if coins.is_empty() {
        HashSet::new()
    } else {
        quoted(frame)
    };
    let mut missing = Missed::default();
    let mut states = states.iter().peekable();
    let mut slot = from;
    while slot < to {
        match states.next_if(|(known, _)| *known == slot) {
            Some((_, state)) => of_slot(&mut missing, slot, state, coins, &there),
            None => missing.push(slot, None, "quotes", NO_SNAPSHOT),
        }
        slot = slot.next();
    }
    missing.0
}

/// What is to be said to whoever wrote the span.
pub(super) fn warning(missing: &[Missing]) -> Option<String> {
    let slots = |of: &Missing| (of.end - of.start).num_minutes() / Slot::LENGTH.num_minutes();
    let (whole, coins): (Vec<&Missing>, Vec<&Missing>) =
        missing.iter().partition(|it| it.reason == NO_SNAPSHOT);
    let whole: i64 = whole.into_iter().map(slots).sum();
    let partial: HashSet<DateTime<Utc>> = coins
        .iter()
        .flat_map(|it| {
            (0..slots(it)).map(|nth| it.start + Slot::LENGTH * i32::try_from(nth).unwrap_or(0))
        })
        .collect();
    let of = |count: i64| {
        if count == 1 {
            "1 half-hour has"
        } else {
            "half-hours have"
        }
    };
    let counted = |count: i64, what: &str| match count {
        1 => format!("{} {what}", of(1)),
        count => format!("{count} {} {what}", of(count)),
    };
    let partial = i64::try_from(partial.len()).unwrap_or(i64::MAX);
    let said: Vec<String> = [(whole, "no snapshot"), (partial, "not all quotes")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| counted(count, what))
        .collect();
    (!said.is_empty()).then(|| {
        format!(
            "{}: see frame.missing; CoinGecko gives no past quotes, `coinmill backfill` fetches past prices",
            said.join(" and ")
        )
    })
}

fn of_slot(
    missing: &mut Missed,
    slot: Slot,
    state: &SlotState,
    coins: &[CoinId],
    there: &HashSet<(i64, &str)>,
) {
    let account = &state.account;
    if coins.is_empty() {
        for absent in &account.missing {
            missing.push(
                slot,
                absent.coin_id.as_deref(),
                &absent.what,
                &absent.reason,
            );
        }
        return;
    }
    for coin in coins.iter().map(CoinId::as_str) {
        if there.contains(&(slot.start().timestamp_millis(), coin)) {
            continue;
        }
        let absent = account
            .missing
            .iter()
            .find(|absent| absent.coin_id.as_deref() == Some(coin));
        let refused = account.refused.iter().find(|it| it.coin_id == coin);
        let reason = match (absent, refused) {
            (Some(absent), _) => absent.reason.clone(),
            (None, Some(refused)) => format!(
                "refused by the setting `refuse`: {}",
                refused.rules.join(", ")
            ),
            (None, None) => "not among the coins of this snapshot".to_owned(),
        };
        missing.push(slot, Some(coin), coin, &reason);
    }
}

/// Slots and coins of which there is a quote.
fn quoted(frame: &Frame) -> HashSet<(i64, &str)> {
    let column = |name| frame.column(name).ok();
    let (Some(time), Some(coin)) = (column("snapshot_time"), column("coin_id")) else {
        return HashSet::new();
    };
    let cells = frame.values(time).zip(frame.values(coin));
    cells
        .filter_map(|cells| match cells {
            (Some(Cell::Time(ts)), Some(Cell::Text(coin))) => Some((ts, coin)),
            _ => None,
        })
        .collect()
}

/// What is missing, with slots that follow each other in one span.
#[derive(Default)]
struct Missed(Vec<Missing>);

impl Missed {
    fn push(&mut self, slot: Slot, coin: Option<&str>, what: &str, reason: &str) {
        let is_same = |it: &&mut Missing| {
            it.end == slot.start()
                && it.coin_id.as_deref() == coin
                && it.what == what
                && it.reason == reason
        };
        // of the slot before there are as many as it has coins, at the end
        let before = self.0.iter_mut().rev().take(LOOKED_AT);
        match before.into_iter().find(is_same) {
            Some(before) => before.end = slot.end(),
            None => self.0.push(Missing {
                coin_id: coin.map(str::to_owned),
                what: what.to_owned(),
                start: slot.start(),
                end: slot.end(),
                reason: reason.to_owned(),
            }),
        }
    }
}

/// How far back a span is looked for that goes on: beyond that another one begins, which says the same.
const LOOKED_AT: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Absent, Account};

    fn slot(half_hour: i64) -> Slot {
        let at = DateTime::from_timestamp(half_hour * 1800, 0).unwrap();
        Slot::containing(at)
    }

    fn state(absent: &[(&str, &str)]) -> SlotState {
        let missing = absent
            .iter()
            .map(|(coin, reason)| Absent::coin(*coin, *reason));
        SlotState {
            top: 2,
            expected: 2,
            received: 2,
            state: "complete".to_owned(),
            content_hash: String::new(),
            account: Account {
                named: vec![],
                missing: missing.collect(),
                unknown: vec![],
                refused: vec![],
                retried: vec![],
            },
        }
    }

    fn none() -> Frame {
        crate::frame::Filling::new(&[]).finish().unwrap()
    }

    fn told(missing: &[Missing]) -> Vec<(i64, i64, &str)> {
        let at = |at: DateTime<Utc>| at.timestamp() / 1800;
        let told = |it: &Missing| (at(it.start), at(it.end));
        let told = |it| (told(it).0, told(it).1, it.what.as_str());
        missing.iter().map(told).collect()
    }

    #[test]
    fn half_hours_without_a_snapshot_are_one_span() {
        let states = [(slot(12), state(&[])), (slot(15), state(&[]))];
        let missing = missing(slot(10), slot(18), &states, &[], &none());
        assert_eq!(
            told(&missing),
            [(10, 12, "quotes"), (13, 15, "quotes"), (16, 18, "quotes")]
        );
        let said = warning(&missing).unwrap();
        assert!(
            said.starts_with("6 half-hours have no snapshot: "),
            "{said}"
        );
        assert_eq!(warning(&[]), None);
    }

    #[test]
    fn a_coin_is_missing_as_long_as_the_reason_is_the_same() {
        let absent = [("a", "x"), ("b", "x")];
        let states = [
            (slot(0), state(&absent)),
            (slot(1), state(&absent)),
            (slot(2), state(&[("a", "y")])),
        ];
        let missing = missing(slot(0), slot(4), &states, &[], &none());
        assert_eq!(
            told(&missing),
            [(0, 2, "a"), (0, 2, "b"), (2, 3, "a"), (3, 4, "quotes")]
        );
        let said = warning(&missing).unwrap();
        assert!(
            said.starts_with("1 half-hour has no snapshot and 3 half-hours have not all quotes: "),
            "{said}"
        );
    }

    #[test]
    fn a_coin_that_is_asked_for_and_was_not_fetched_is_named() {
        let states = [(slot(0), state(&[("a", "x")])), (slot(1), state(&[]))];
        let coins = ["a".parse().unwrap()];
        let missing = missing(slot(0), slot(2), &states, &coins, &none());
        let reasons: Vec<&str> = missing.iter().map(|it| it.reason.as_str()).collect();
        assert_eq!(reasons, ["x", "not among the coins of this snapshot"]);
    }
}
