//! What is expected of a slot, from what was received of it; and what of the refused is worth fetching again. Pure.
//! Fetching and storing are done elsewhere.

use std::collections::{BTreeMap, HashSet};

use super::gather::Gathered;
use super::sweep::Sweep;
use super::terms::Wanted;
use crate::market::CoinId;
use crate::store::{Absent, Account, REFUSED, RefusedCoin};

/// After so many slots in a row in which a coin was refused, it is asked for a second time only once a day.
const REPEATED: usize = 3;

/// In how many bodies of a slot a coin is refused before it is no longer asked for.
const CHANCES: u32 = 2;

/// What is said of a coin that CoinGecko knew before.
const GONE: &str = "CoinGecko no longer has it";

/// Records without a coin, by page: the rules that refuse them, and how often the page was read.
pub(super) type Nameless = BTreeMap<u32, (Vec<String>, u32)>;

/// What a slot comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) expected: u64,
    pub(super) received: u64,
    pub(super) account: Account,
    /// True where another run of the slot may bring more.
    pub(super) can_grow: bool,
}

/// What has been received of a slot.
pub(super) struct Received<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) sweep: &'a Sweep,
    pub(super) gathered: &'a Gathered,
    pub(super) nameless: &'a Nameless,
    /// Coins that were requested by name and were not in the response.
    pub(super) unlisted: &'a HashSet<CoinId>,
    /// Coins asked for by name that are stored from earlier slots.
    pub(super) seen_before: &'a HashSet<CoinId>,
    /// Coins asked for by name whose record came.
    pub(super) came: &'a HashSet<CoinId>,
    /// What has been asked for a second time by earlier runs of the slot.
    pub(super) retried: &'a [String],
    /// What is not asked for a second time in this slot, since that was no use in the slots before.
    pub(super) held_back: &'a [String],
}

/// What is worth fetching a second time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SecondLook {
    pub(super) coins: Vec<CoinId>,
    pub(super) pages: Vec<u32>,
}

impl Received<'_> {
    /// The account of the slot.
    pub(super) fn sums(&self) -> Sums {
        let named = &self.wanted.coins;
        let (came, absent): (Vec<&CoinId>, Vec<&CoinId>) =
            named.iter().partition(|coin| self.came.contains(*coin));
        let beyond = came.iter().filter(|coin| !self.sweep.holds(coin)).count() as u64;
        let refusals = &self.gathered.refusals;
        // of a coin whose record came without a usable id, the absence is a refusal
        let (refused, rest): (Vec<&CoinId>, Vec<&CoinId>) = absent
            .into_iter()
            .partition(|coin| refusals.contains_key(*coin));
        let (unknown, lost): (Vec<&CoinId>, Vec<&CoinId>) = rest
            .into_iter()
            .partition(|coin| self.unlisted.contains(*coin));
        let (gone, unknown): (Vec<&CoinId>, Vec<&CoinId>) = unknown
            .into_iter()
            .partition(|coin| self.seen_before.contains(*coin));
        let mut missing = self.sweep.missing();
        missing.extend(self.nameless.iter().filter_map(|(number, (rules, _))| {
            let count = rules.len();
            let rule = rules.first()?;
            let reason = format!("{REFUSED}{rule}, {count} of its records have no usable id");
            Some(Absent::other(self.page(*number), reason))
        }));
        missing.extend(
            lost.iter()
                .map(|coin| Absent::coin(coin.as_str(), "not received")),
        );
        missing.extend(gone.iter().map(|coin| Absent::coin(coin.as_str(), GONE)));
        let by_rule = refusals.iter().filter(|(_, refusal)| !refusal.is_by_choice);
        missing.extend(by_rule.clone().map(|(coin, refusal)| {
            Absent::coin(
                coin.as_str(),
                format!("{REFUSED}{}", refusal.rules.join(", ")),
            )
        }));
        let by_choice = refusals.iter().filter(|(_, refusal)| refusal.is_by_choice);
        let again = by_rule
            .filter(|(coin, refusal)| refusal.bodies >= CHANCES || self.unlisted.contains(*coin));
        let mut retried = self.retried.to_vec();
        retried.extend(again.map(|(coin, _)| coin.to_string()));
        let pages = self.nameless.iter();
        let read_again = pages.filter(|(_, (rules, reads))| !rules.is_empty() && *reads >= CHANCES);
        retried.extend(read_again.map(|(number, _)| self.page(*number)));
        retried.sort_unstable();
        retried.dedup();
        let spent = |missing: &Absent| {
            missing.reason == GONE
                || missing.is_refused()
                    && (retried.contains(&missing.what) || self.held_back.contains(&missing.what))
                    && !refusals
                        .iter()
                        .any(|(coin, r)| r.is_of_a_whole_body && coin.as_str() == missing.what)
        };
        Sums {
            expected: self.sweep.expected()
                + beyond
                + (lost.len() + gone.len() + refused.len()) as u64,
            received: self.sweep.received().min(self.sweep.expected()) + beyond,
            can_grow: !missing.iter().all(spent),
            account: Account {
                named: named.iter().map(ToString::to_string).collect(),
                missing,
                unknown: unknown.iter().map(ToString::to_string).collect(),
                refused: by_choice
                    .map(|(coin, refusal)| RefusedCoin {
                        coin_id: coin.to_string(),
                        rules: refusal.rules.clone(),
                    })
                    .collect(),
                retried,
            },
        }
    }

    /// The coins and the pages that are worth fetching a second time, in view of the slots of the day before (the newest
    /// first): what is refused again and again must not cost a call in every slot.
    pub(super) fn second_look(&self, before: &[Account]) -> SecondLook {
        let due = |what: &str| {
            let refused = |account: &Account| {
                let mut missing = account.missing.iter();
                missing.any(|missing| missing.is_refused() && missing.what == what)
            };
            let again = |account: &Account| account.retried.iter().any(|name| name == what);
            let is_repeated = before.len() >= REPEATED && before.iter().take(REPEATED).all(refused);
            let was_retried = self.retried.iter().any(|name| name == what);
            !was_retried && (!is_repeated || !before.iter().any(again))
        };
        let mut pages: Vec<u32> = self
            .nameless
            .iter()
            .filter(|(number, (rules, reads))| {
                !rules.is_empty() && *reads < CHANCES && due(&self.page(**number))
            })
            .map(|(number, _)| *number)
            .collect();
        let mut coins = Vec::new();
        let refusals = self.gathered.refusals.iter();
        for (coin, _) in refusals.filter(|(coin, refusal)| {
            let has_chance = refusal.bodies < CHANCES && !self.unlisted.contains(*coin);
            !refusal.is_by_choice && has_chance && due(coin.as_str())
        }) {
            match self.sweep.refused_page_of(coin) {
                Some(number) => pages.push(number),
                None => coins.push(coin.clone()),
            }
        }
        pages.sort_unstable();
        pages.dedup();
        // a page that is read again brings its coins with it
        coins.retain(|coin| {
            self.sweep
                .page_of(coin)
                .is_none_or(|number| !pages.contains(&number))
        });
        SecondLook { coins, pages }
    }

    /// What a second look is at, by the names that accounts give it.
    pub(super) fn names(&self, look: &SecondLook) -> Vec<String> {
        let coins = look.coins.iter().map(ToString::to_string);
        let pages = look.pages.iter().map(|number| self.page(*number));
        coins.chain(pages).collect()
    }

    fn page(&self, number: u32) -> String {
        format!("page {number} of {}", self.sweep.page_count())
    }
}
