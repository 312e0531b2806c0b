//! A list of all coins against what the lists before it say: who appears, is renamed, is absent, is delisted, comes back.
//! Pure. A list that cannot be believed changes nothing.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::gather::refused;
use crate::coingecko::{Entry, LIST, ListRecord};
use crate::content::listing_hash;
use crate::contract::Drifts;
use crate::error::{Error, Result};
use crate::market::CoinId;
use crate::store::{ListedCoin, ListedState, RefusedRow};

/// How long after the first list without a coin a second one has to be received, to show that it is delisted.
const APART: TimeDelta = TimeDelta::hours(1);

/// The share of the listed coins that a list may lack, for each month since the list before it. Two real lists of 2021, some weeks
/// apart, differ by 148 of 6,747 (2.2 %); a list that was cut off lacks far more.
const LOSSES: f64 = 0.05;

/// So many may be lost at any time: a share of few coins says nothing.
const FEW: usize = 10;

/// The records of a list, each coin once: the first counts.
pub(super) struct List {
    pub(super) entries: Vec<Entry>,
    pub(super) refused: Vec<RefusedRow>,
    pub(super) repeated: u64,
    pub(super) drifts: Drifts,
    /// Coins of refused records: they are in the list.
    pub(super) named: HashSet<CoinId>,
}

/// What a list says that is new.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) rows: Vec<ListedCoin>,
    pub(super) appeared: u64,
    pub(super) renamed: u64,
    pub(super) returned: u64,
    /// Coins that were listed and are not there.
    pub(super) absent: u64,
    pub(super) delisted: Vec<CoinId>,
}

impl List {
    /// The records of a body that was received at an instant.
    pub(super) fn of(records: Vec<ListRecord<'_>>, received_at: DateTime<Utc>) -> Self {
        let mut list = Self {
            entries: Vec::with_capacity(records.len()),
            refused: Vec::new(),
            repeated: 0,
            drifts: Drifts::default(),
            named: HashSet::new(),
        };
        let mut seen = HashSet::with_capacity(records.len());
        for (place, record) in records.into_iter().enumerate() {
            for (deviation, field) in &record.drift {
                list.drifts.note(LIST, *deviation, field, received_at);
            }
            match record.entry {
                Ok(entry) if seen.insert(entry.id.clone()) => list.entries.push(entry),
                Ok(_) => list.repeated += 1,
                Err(findings) => {
                    list.named.extend(record.id.clone());
                    let row = refused(0, place, record.id, record.raw, &findings);
                    list.refused.push(row);
                }
            }
        }
        list
    }

    /// The content hash.
    pub(super) fn hash(&self) -> String {
        let coins = self.entries.iter();
        listing_hash(coins.map(|it| (&it.id, it.symbol.as_str(), it.name.as_deref())))
    }
}

/// What a list that was received at an instant changes.
pub(super) fn changes(known: &[ListedCoin], list: &List, received_at: DateTime<Utc>) -> Changes {
    let before: HashMap<&CoinId, &ListedCoin> = known.iter().map(|coin| (&coin.id, coin)).collect();
    let mut changes = Changes::default();
    for Entry { id, symbol, name } in &list.entries {
        match before.get(id) {
            None => changes.appeared += 1,
            Some(coin) if coin.state != ListedState::Listed => changes.returned += 1,
            Some(coin) if (&coin.symbol, &coin.name) != (symbol, name) => changes.renamed += 1,
            Some(_) => continue,
        }
        changes.rows.push(ListedCoin {
            id: id.clone(),
            symbol: symbol.clone(),
            name: name.clone(),
            state: ListedState::Listed,
            since: received_at,
        });
    }
    let there: HashSet<&CoinId> = list
        .entries
        .iter()
        .map(|entry| &entry.id)
        .chain(&list.named)
        .collect();
    for coin in known.iter().filter(|coin| !there.contains(&coin.id)) {
        let state = match coin.state {
            ListedState::Listed => {
                changes.absent += 1;
                ListedState::Absent
            }
            ListedState::Absent if received_at - coin.since >= APART => {
                changes.delisted.push(coin.id.clone());
                ListedState::Delisted
            }
            ListedState::Absent | ListedState::Delisted => continue,
        };
        changes.rows.push(ListedCoin {
            state,
            since: received_at,
            ..coin.clone()
        });
    }
    changes
}

/// Refuses a list that can hardly be all of it.
///
/// # Errors
/// [`Error::Data`] where it is empty, or lacks more coins than can be gone since the list before.
pub(super) fn compare(
    known: &[ListedCoin],
    list: &List,
    changes: &Changes,
    before: Option<DateTime<Utc>>,
    received_at: DateTime<Utc>,
    accept_losses: bool,
) -> Result<()> {
    if list.entries.is_empty() {
        return Err(Error::data(
            "the list of all coins is empty, or none of its records can be read: nothing is stored; it is asked for again after six hours",
        ));
    }
    let listed = known
        .iter()
        .filter(|coin| coin.state == ListedState::Listed)
        .count();
    let months = before.map_or(0, |before| (received_at - before).num_days().max(0) / 30);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of coins and months are far below 2^53"
    )]
    let most = (listed as f64 * (LOSSES * (1.0 + months as f64)).min(1.0)) as usize;
    if accept_losses || changes.absent <= most.max(FEW) as u64 {
        return Ok(());
    }
    Err(Error::data(format!(
        "the list of all coins lacks {} of the {listed} that were listed, more than the {most} that can be gone: nothing is stored, \
         and no coin counts as absent; the received body is asked for again after six hours, and if CoinGecko has removed so \
         many, `coinmill run listing --accept-losses` stores it",
        changes.absent
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coingecko::parse_list;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn list(coins: &[(&str, &str)]) -> List {
        let rows: Vec<String> = coins
            .iter()
            .map(|(id, name)| format!(r#"{{"id":"{id}","symbol":"{id}","name":"{name}"}}"#))
            .collect();
        let body = format!("[{}]", rows.join(","));
        List::of(
            parse_list(body.as_bytes()).unwrap(),
            at("2026-01-01T00:00:00Z"),
        )
    }

    /// What is known after another list.
    fn after(known: &[ListedCoin], list: &List, when: &str) -> (Vec<ListedCoin>, Changes) {
        let changes = changes(known, list, at(when));
        let mut all: HashMap<CoinId, ListedCoin> = known
            .iter()
            .map(|coin| (coin.id.clone(), coin.clone()))
            .collect();
        for row in &changes.rows {
            // as it is read back: a delisted coin is that since it is absent
            let mut row = row.clone();
            if row.state == ListedState::Delisted {
                row.since = all[&row.id].since;
            }
            all.insert(row.id.clone(), row);
        }
        let mut all: Vec<ListedCoin> = all.into_values().collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        (all, changes)
    }

    #[test]
    fn only_a_second_list_without_a_coin_delists_it_and_as_of_the_first() {
        let both = list(&[("a", "A"), ("b", "B")]);
        let one = list(&[("a", "A")]);
        let (known, first) = after(&[], &both, "2026-01-01T00:05:00Z");
        assert_eq!((first.appeared, first.rows.len()), (2, 2));
        let (known, absent) = after(&known, &one, "2026-01-02T00:05:00Z");
        assert_eq!(
            (absent.absent, absent.delisted.len(), absent.rows.len()),
            (1, 0, 1)
        );
        // too soon
        let (known, none) = after(&known, &one, "2026-01-02T01:04:59Z");
        assert_eq!(none.rows, []);
        let (known, gone) = after(&known, &one, "2026-01-03T00:05:00Z");
        assert_eq!(gone.delisted, ["b".parse().unwrap()]);
        assert_eq!(known[1].delisted_at(), Some(at("2026-01-02T00:05:00Z")));
        let (known, still) = after(&known, &one, "2026-01-04T00:05:00Z");
        assert_eq!(still.rows, []);
        let (known, back) = after(&known, &both, "2026-01-05T00:05:00Z");
        assert_eq!((back.returned, known[1].delisted_at()), (1, None));
    }

    #[test]
    fn another_name_is_a_row_and_the_same_list_is_none() {
        let (known, _) = after(&[], &list(&[("a", "A")]), "2026-01-01T00:05:00Z");
        let (known, same) = after(&known, &list(&[("a", "A")]), "2026-01-02T00:05:00Z");
        assert_eq!(same.rows, []);
        let (known, renamed) = after(&known, &list(&[("a", "Alpha")]), "2026-01-03T00:05:00Z");
        assert_eq!(
            (renamed.renamed, known[0].name.as_deref()),
            (1, Some("Alpha"))
        );
    }

    #[test]
    fn a_refused_record_keeps_its_coin_and_a_repeated_one_counts_once() {
        let (known, _) = after(
            &[],
            &list(&[("a", "A"), ("b", "B")]),
            "2026-01-01T00:05:00Z",
        );
        let body = br#"[{"id":"a","symbol":"a","name":"A"},{"id":"a","symbol":"x","name":"X"},{"id":"b","symbol":"","name":"B"}]"#;
        let list = List::of(parse_list(body).unwrap(), at("2026-01-02T00:00:00Z"));
        assert_eq!(
            (list.entries.len(), list.repeated, list.refused.len()),
            (1, 1, 1)
        );
        assert_eq!(changes(&known, &list, at("2026-01-02T00:05:00Z")).rows, []);
    }

    #[test]
    fn a_list_that_lacks_too_many_is_refused_and_a_long_gap_allows_more() {
        let ids: Vec<String> = (0..1000).map(|number| format!("c{number:04}")).collect();
        let all: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "C")).collect();
        let first = at("2026-01-01T00:05:00Z");
        let (known, _) = after(&[], &list(&all), "2026-01-01T00:05:00Z");
        let judged = |kept: usize, when: &str, accept: bool| {
            let list = list(&all[..kept]);
            let found = changes(&known, &list, at(when));
            compare(&known, &list, &found, Some(first), at(when), accept)
        };
        assert!(judged(949, "2026-01-02T00:05:00Z", false).is_err());
        let error = judged(900, "2026-01-02T00:05:00Z", false)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("lacks 100 of the 1000") && error.contains("--accept-losses"),
            "{error}"
        );
        assert!(judged(950, "2026-01-02T00:05:00Z", false).is_ok());
        assert!(judged(900, "2026-01-02T00:05:00Z", true).is_ok());
        assert!(judged(900, "2026-02-05T00:05:00Z", false).is_ok());
        assert!(judged(0, "2026-02-05T00:05:00Z", true).is_err());
    }
}
