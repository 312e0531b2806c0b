//! What a snapshot run takes in: the bodies that earlier runs of the slot have landed, and those that its calls bring.
//! It says what is received and what is missing; fetching it is `fetch`'s work, storing it the run's.

use std::collections::HashSet;

use super::account::{Nameless, Received, SecondLook, Sums};
use super::gather::{Body, Gathered};
use super::holding::Stored;
use super::sweep::Sweep;
use super::terms::{Terms, Wanted};
use super::{Progress, Unit};
use crate::coingecko::{self, Page};
use crate::error::Result;
use crate::landing::{self, Landed};
use crate::market::{CoinId, Quote};
use crate::quality::Quality;
use crate::store::SlotState;

/// What a run takes in.
pub(super) struct Intake<'a> {
    pub(super) terms: &'a Terms,
    wanted: Wanted,
    pages: Vec<Page>,
    /// Bodies taken from the landing.
    pub(super) recovered: u64,
    /// The bodies that the rows came from.
    pub(super) bodies: Vec<Landed>,
    pub(super) gathered: Gathered,
    pub(super) sweep: Sweep,
    /// Coins that were requested by name and were not in the response: a coin that CoinGecko does not know stays away however
    /// often it is asked for.
    unlisted: HashSet<CoinId>,
    /// Coins asked for by name that have been received.
    named: HashSet<CoinId>,
    seen_before: HashSet<CoinId>,
    nameless: Nameless,
    /// What earlier runs of the slot have asked for a second time.
    retried: Vec<String>,
    /// What of the refused is not asked for a second time in this slot.
    held_back: Vec<String>,
}

impl<'a> Intake<'a> {
    /// Begins empty.
    pub(super) fn new(terms: &'a Terms, wanted: Wanted) -> Self {
        let pages = coingecko::pages(wanted.top);
        Self {
            terms,
            sweep: Sweep::new(wanted.top, pages.clone()),
            wanted,
            pages,
            recovered: 0,
            bodies: Vec::new(),
            gathered: Gathered::default(),
            unlisted: HashSet::new(),
            named: HashSet::new(),
            seen_before: HashSet::new(),
            nameless: Nameless::new(),
            retried: Vec::new(),
            held_back: Vec::new(),
        }
    }

    /// How many coins by market cap the slot is to hold, or as many as there are.
    pub(super) fn top(&self) -> u32 {
        self.wanted.top
    }

    /// What is expected of the slot by now.
    pub(super) fn sums(&self) -> Sums {
        self.received().sums()
    }

    /// All that was received of the slot.
    pub(super) fn received(&self) -> Received<'_> {
        Received {
            wanted: &self.wanted,
            sweep: &self.sweep,
            gathered: &self.gathered,
            nameless: &self.nameless,
            unlisted: &self.unlisted,
            seen_before: &self.seen_before,
            came: &self.named,
            retried: &self.retried,
            held_back: &self.held_back,
        }
    }

    /// True where not a single record came, of whatever quality.
    pub(super) fn is_empty(&self) -> bool {
        self.sweep.received() == 0 && self.named.is_empty() && self.gathered.refusals.is_empty()
    }

    /// Drops what came beyond the top: more comes than was asked for when pages are read again.
    pub(super) fn keep_top(&mut self, stored: &[Quote]) {
        let named: HashSet<CoinId> = self.wanted.coins.iter().cloned().collect();
        let within = self.named.iter().filter(|coin| self.sweep.holds(coin));
        let held = stored.iter().filter(|quote| !named.contains(&quote.id));
        let held = held.count() + within.count();
        let top = usize::try_from(self.sweep.expected()).unwrap_or(usize::MAX);
        self.gathered.keep_largest(top.saturating_sub(held), &named);
    }

    /// Coins asked for by name of which nothing is known yet.
    pub(super) fn waiting(&self) -> Vec<CoinId> {
        let waiting = |coin: &&CoinId| {
            !self.named.contains(*coin)
                && !self.unlisted.contains(*coin)
                && !self.gathered.refusals.contains_key(*coin)
        };
        self.wanted.coins.iter().filter(waiting).cloned().collect()
    }

    /// Takes note of what is not asked for a second time: all that could be, less what is.
    pub(super) fn hold_back(&mut self, all: &SecondLook, look: &SecondLook) {
        let looked_at = self.received().names(look);
        self.held_back = self.received().names(all);
        self.held_back.retain(|name| !looked_at.contains(name));
    }

    /// How far the slot is.
    pub(super) fn progress(&self) -> Progress {
        Progress {
            received: self.sweep.received().max(self.named.len() as u64),
            expected: self.sweep.expected().max(self.wanted.coins.len() as u64),
            unit: Unit::Coins,
            per_minute: None,
        }
    }

    /// Takes note of what the slot holds already, then recovers bodies that were landed for it: nothing is paid for twice.
    ///
    /// # Errors
    /// [`Error::Data`] where one of them breaks a frozen contract. A body that cannot be read any more is asked for again.
    pub(super) fn begin_with(
        &mut self,
        slot: &Stored,
        quality: Quality,
        landed: Vec<Landed>,
    ) -> Result<()> {
        self.wanted = self.wanted.with_earlier(slot.state.as_ref());
        self.pages = coingecko::pages(self.wanted.top);
        self.sweep = Sweep::new(self.wanted.top, self.pages.clone());
        if let Some(SlotState { account, .. }) = &slot.state {
            let unknown = account.unknown.iter().cloned();
            self.unlisted.extend(unknown.map(CoinId::from_source));
            self.retried.clone_from(&account.retried);
        }
        self.seen_before.clone_from(&slot.seen_before);
        let held = slot.quotes.iter().map(|quote| quote.id.clone());
        self.gathered = Gathered::holding(held, quality, slot.quarantined.clone());
        for landed in landed {
            let path = landed.path.clone();
            let taken = landing::read(&self.terms.landing_dir, &landed)
                .and_then(|bytes| self.take(landed, bytes, false));
            match taken {
                Ok(()) => self.recovered += 1,
                Err(error) if self.is_breached() => return Err(error),
                Err(error) => tracing::debug!("{path} is not recovered: {}", error.chain()),
            }
        }
        self.sweep.doubt();
        let held = slot.quotes.iter().map(|quote| quote.id.clone());
        let (named, others): (Vec<CoinId>, Vec<CoinId>) =
            held.partition(|coin| self.wanted.coins.contains(coin));
        self.named.extend(named);
        self.sweep.know(others);
        Ok(())
    }

    /// True where a body broke a frozen contract.
    pub(super) fn is_breached(&self) -> bool {
        let drifts = &self.gathered.drifts;
        drifts.breach(self.terms.contract).is_some()
    }

    /// Reads one body into what has been received. A page of which every record is refused counts only in the run
    /// that asked for it: to any later one it must not stand in the way of a good one.
    ///
    /// # Errors
    /// As [`Gathered::add`]: then nothing of it is taken.
    pub(super) fn take(&mut self, landed: Landed, bytes: Vec<u8>, is_fresh: bool) -> Result<()> {
        let url = landed.url().to_owned();
        let Terms {
            api_url,
            vs_currency,
            rules,
            contract,
            ..
        } = self.terms;
        let is_requested =
            |page: &Page| coingecko::page(vs_currency, *page).url(api_url).as_str() == url;
        let page = self.pages.iter().copied().find(is_requested);
        let total = landed
            .headers
            .get("total")
            .and_then(|total| total.parse::<u64>().ok());
        let named: HashSet<CoinId> = self.wanted.coins.iter().cloned().collect();
        let requested = coingecko::requested_ids(&url);
        let top = self.wanted.top;
        let surplus_from = match page {
            Some(page) => (top - (page.ranks().0 - 1).min(top)) as usize,
            // a body of another selection gives what was asked for by name
            None => 0,
        };
        let body = Body {
            landed,
            bytes,
            surplus_from,
            is_page: page.is_some() || requested.is_none(),
        };
        let taken = self.gathered.add(&body, &named, rules, *contract)?;
        self.bodies.push(body.landed);
        if taken.is_refused_whole && !is_fresh {
            let refusals = &mut self.gathered.refusals;
            refusals.retain(|_, refusal| !refusal.is_of_a_whole_body);
            return Ok(());
        }
        let came: HashSet<&CoinId> = taken.coins.iter().flatten().collect();
        let received = came.iter().filter(|coin| named.contains(**coin));
        self.named.extend(received.map(|coin| (*coin).clone()));
        let absent = requested.into_iter().flatten();
        let absent: Vec<CoinId> = absent.filter(|coin| !came.contains(coin)).collect();
        match taken.nameless.first() {
            // one of them may have come under an id that cannot be read
            Some(rules) if page.is_none() => absent
                .into_iter()
                .for_each(|coin| self.gathered.refuse(coin, rules)),
            _ => self.unlisted.extend(absent),
        }
        if let Some(page) = page {
            let (rules, reads) = self.nameless.entry(page.number).or_default();
            *rules = taken.nameless;
            *reads += 1;
            self.sweep.note(Some(page), total, taken.coins);
            if taken.is_refused_whole {
                self.sweep.note_refused(page.number);
            }
        }
        Ok(())
    }
}
