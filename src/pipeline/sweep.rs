//! Which page to ask for next, until the top coins are all there. Pure.
//!
//! Ranks move while pages are read: a coin that rises over a page's edge behind our back is missed, and the one that it
//! pushed down comes twice. So a coin that comes twice tells which earlier page to read again.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::coingecko::Page;
use crate::market::CoinId;
use crate::store::Absent;

/// The state of reading the top coins.
#[derive(Debug)]
pub(super) struct Sweep {
    top: u64,
    pages: Vec<Page>,
    /// The page on which each coin was first seen, by number; none for coins known otherwise.
    seen: HashMap<CoinId, Option<u32>>,
    /// Records without a coin, by page: they count as received, but only once however often the page is read.
    nameless: HashMap<u32, u64>,
    received: HashSet<u32>,
    /// Pages of which every record was refused when they were last read.
    refused: HashSet<u32>,
    suspect: BTreeSet<u32>,
    rereads_left: usize,
    total: Option<u64>,
}

impl Sweep {
    pub(super) fn new(top: u32, pages: Vec<Page>) -> Self {
        Self {
            top: u64::from(top),
            rereads_left: pages.len(),
            pages,
            seen: HashMap::new(),
            nameless: HashMap::new(),
            received: HashSet::new(),
            refused: HashSet::new(),
            suspect: BTreeSet::new(),
            total: None,
        }
    }

    /// Takes note of coins that are there already, from wherever they came.
    pub(super) fn know(&mut self, coins: impl IntoIterator<Item = CoinId>) {
        for coin in coins {
            self.seen.entry(coin).or_insert(None);
        }
    }

    /// Takes note of a page's records, in order; a record whose coin cannot be told is `None`.
    pub(super) fn note(
        &mut self,
        page: Option<Page>,
        total: Option<u64>,
        coins: impl IntoIterator<Item = Option<CoinId>>,
    ) {
        let mut records = 0;
        let number = page.map(|page| page.number);
        let first_reading = number.is_some_and(|number| self.received.insert(number));
        if let Some(number) = number {
            self.suspect.remove(&number);
        }
        let mut nameless = 0;
        for coin in coins {
            records += 1;
            let Some(coin) = coin else {
                nameless += 1;
                continue;
            };
            match self.seen.get(&coin).copied().flatten() {
                // it was pushed down from the page where we saw it, so another one rose into that page
                Some(earlier) if first_reading && number.is_some_and(|number| number > earlier) => {
                    self.suspect.insert(earlier);
                }
                _ => {
                    self.seen.entry(coin).or_insert(number);
                }
            }
        }
        if let Some(number) = number {
            self.nameless.insert(number, nameless);
            self.refused.remove(&number);
        }
        // a count below what is there is off, and would hide all that lies beyond it
        let reached = match page {
            Some(page) if records > 0 => u64::from(page.ranks().0) - 1 + records,
            _ => 0,
        };
        self.total = self.total.max(total.filter(|total| *total >= reached));
    }

    /// Takes note that every record of a page was refused: it has been received, and holds nothing.
    pub(super) fn note_refused(&mut self, number: u32) {
        self.refused.insert(number);
    }

    /// The page on which a coin was first seen, where that page was refused whole.
    pub(super) fn refused_page_of(&self, coin: &CoinId) -> Option<u32> {
        self.page_of(coin)
            .filter(|number| self.refused.contains(number))
    }

    /// The page on which a coin was first seen.
    pub(super) fn page_of(&self, coin: &CoinId) -> Option<u32> {
        self.seen.get(coin).copied().flatten()
    }

    /// How many pages there are.
    pub(super) fn page_count(&self) -> usize {
        self.pages.len()
    }

    /// The page of a number.
    pub(super) fn page(&self, number: u32) -> Option<Page> {
        self.pages
            .iter()
            .copied()
            .find(|page| page.number == number)
    }

    /// Doubts every page that was received so far: what an earlier run read may have hidden a coin without a trace.
    pub(super) fn doubt(&mut self) {
        self.suspect.extend(&self.received);
    }

    /// The next page to fetch, or `None` where one more would not help.
    pub(super) fn next(&mut self) -> Option<Page> {
        let reach = self.expected();
        let absent = |page: &&Page| {
            !self.received.contains(&page.number) && u64::from(page.ranks().0) <= reach
        };
        if let Some(page) = self.pages.iter().find(absent) {
            return Some(*page);
        }
        if self.received() >= reach || self.rereads_left == 0 {
            return None;
        }
        let number = *self.suspect.first()?;
        self.rereads_left -= 1;
        self.page(number)
    }

    /// How many of the top coins there are to receive: a count of all coins below what has come is not believed.
    pub(super) fn expected(&self) -> u64 {
        let count = self.total.map(|total| total.max(self.received()));
        count.map_or(self.top, |count| self.top.min(count))
    }

    /// How many different ones have been received.
    pub(super) fn received(&self) -> u64 {
        self.seen.len() as u64 + self.nameless.values().sum::<u64>()
    }

    /// True for a coin that is among those received for the top.
    pub(super) fn holds(&self, coin: &CoinId) -> bool {
        self.seen.contains_key(coin)
    }

    /// The pages that were not received, and how many coins slipped through between those that were.
    pub(super) fn missing(&self) -> Vec<Absent> {
        let reach = self.expected();
        let absent: Vec<&Page> = self
            .pages
            .iter()
            .filter(|page| {
                !self.received.contains(&page.number) && u64::from(page.ranks().0) <= reach
            })
            .collect();
        let short = reach.saturating_sub(self.received());
        if absent.is_empty() && short > 0 {
            let what = if short == 1 {
                "1 coin that is on no page".to_owned()
            } else {
                format!("{short} coins that are on no page")
            };
            let reason = "ranks moved, or the API's count is off".to_owned();
            return vec![Absent::other(what, reason)];
        }
        let name = |page: &Page| {
            let (first, last) = page.ranks();
            Absent::other(
                format!("ranks {first} to {}", u64::from(last).min(reach)),
                format!("page {} of {}", page.number, self.pages.len()),
            )
        };
        if short == 0 {
            Vec::new()
        } else {
            absent.into_iter().map(name).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coingecko::pages;

    fn coin(number: u32) -> Option<CoinId> {
        Some(CoinId::from_source(format!("coin-{number}")))
    }

    fn sweep(top: u32) -> Sweep {
        Sweep::new(top, pages(top))
    }

    #[test]
    fn a_quiet_market_takes_each_page_once() {
        let mut sweep = sweep(500);
        for (number, coins) in [(1, 1..251), (2, 251..501)] {
            let page = sweep.next().unwrap();
            assert_eq!(page.number, number);
            sweep.note(Some(page), Some(9000), coins.map(coin));
        }
        assert_eq!(sweep.next(), None);
        assert_eq!(
            (sweep.received(), sweep.expected(), sweep.missing()),
            (500, 500, vec![])
        );
    }

    #[test]
    fn a_coin_that_comes_twice_sends_us_back_to_where_it_was() {
        let mut sweep = sweep(500);
        let first = sweep.next().unwrap();
        sweep.note(Some(first), Some(500), (1..251).map(coin));
        // 251 rose to the first page behind our back, and pushed 250 down to the second
        let second = sweep.next().unwrap();
        sweep.note(
            Some(second),
            Some(500),
            std::iter::once(250).chain(252..501).map(coin),
        );
        assert_eq!(sweep.received(), 499);
        assert_eq!(sweep.next(), Some(first));
        sweep.note(Some(first), Some(500), (1..250).chain([251]).map(coin));
        assert_eq!((sweep.received(), sweep.next()), (500, None));
    }

    #[test]
    fn a_small_market_ends_the_sweep_early() {
        let mut sweep = sweep(1000);
        let page = sweep.next().unwrap();
        sweep.note(Some(page), Some(100), (0..100).map(coin));
        assert_eq!(
            (sweep.next(), sweep.expected(), sweep.received()),
            (None, 100, 100)
        );
    }

    #[test]
    fn a_count_below_what_came_is_not_believed() {
        let mut sweep = sweep(500);
        for coins in [1..251, 251..501] {
            let page = sweep.next().unwrap();
            sweep.note(Some(page), Some(5), coins.map(coin));
        }
        assert_eq!(
            (sweep.received(), sweep.expected(), sweep.next()),
            (500, 500, None)
        );
    }

    #[test]
    fn pages_that_were_not_received_are_named_by_their_ranks() {
        let mut sweep = sweep(400);
        let page = sweep.next().unwrap();
        sweep.note(Some(page), Some(390), (0..200).map(coin));
        let missing: Vec<String> = sweep.missing().iter().map(ToString::to_string).collect();
        assert_eq!(missing, ["ranks 201 to 390 (page 2 of 2)"]);
    }

    #[test]
    fn a_market_that_keeps_coins_back_is_not_asked_for_ever() {
        let mut sweep = sweep(500);
        let mut asked = 0;
        while let Some(page) = sweep.next() {
            asked += 1;
            sweep.note(Some(page), Some(500), (0..250).map(coin));
            assert!(asked < 10);
        }
        assert_eq!(sweep.missing().len(), 1);
    }

    #[test]
    fn coins_that_the_slot_holds_already_count() {
        let mut sweep = sweep(250);
        sweep.know((0..250).filter_map(coin));
        let page = sweep.next().unwrap();
        sweep.note(Some(page), Some(250), (0..250).map(coin));
        assert_eq!((sweep.received(), sweep.next()), (250, None));
    }
}
