//! What a snapshot run takes in: bodies that an earlier run of the slot has landed, then calls for the rest.
//! It ends with everything received and judged; storing it is the run's work.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::account::{Nameless, Received, SecondLook, Tally};
use super::arrival::land;
use super::credits::Credits;
use super::gather::{Body, Gathered};
use super::holding::{Stored, Wanted};
use super::sweep::Sweep;
use super::{Observer, Progress};
use crate::clock::Clock;
use crate::coingecko::{self, Page};
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::http::{Client, Reply, Request};
use crate::landing::{self, Landed, RunFolder, RunHeader};
use crate::market::{CoinId, Quote, Slot};
use crate::quality::{Quality, Rules};
use crate::stop::Stop;
use crate::store::{SlotState, SnapshotStore};

/// How long after its end a slot may still be answered for, by a run that began in time.
const GRACE: TimeDelta = TimeDelta::minutes(5);

/// How far the source's clock may be behind the slot's start: clocks differ by seconds.
const SKEW: TimeDelta = TimeDelta::minutes(1);

/// What a run takes in.
pub(super) struct Intake<'a> {
    settings: &'a Settings,
    clock: Clock,
    slot: Slot,
    header: RunHeader,
    rules: Rules,
    client: Client,
    wanted: Wanted,
    pages: Vec<Page>,
    /// Where this run lands; made before its first call.
    folder: Option<RunFolder>,
    /// Bodies taken from the landing.
    pub(super) reused: u64,
    /// The bodies that the rows came from.
    pub(super) bodies: Vec<Landed>,
    pub(super) gathered: Gathered,
    pub(super) sweep: Sweep,
    /// Coins that a request by name has been answered without: a coin that the source does not know stays away however
    /// often it is asked for.
    asked: HashSet<CoinId>,
    /// Coins asked for by name that have been received.
    named: HashSet<CoinId>,
    seen_before: HashSet<CoinId>,
    nameless: Nameless,
    /// What earlier runs of the slot have asked for a second time.
    asked_again: Vec<String>,
    /// What of the refused is not asked for a second time in this slot.
    held_back: Vec<String>,
}

impl<'a> Intake<'a> {
    /// Begins empty.
    pub(super) fn new(
        settings: &'a Settings,
        clock: Clock,
        slot: Slot,
        header: RunHeader,
        rules: Rules,
        stop: Stop,
    ) -> Result<Self> {
        let wanted = Wanted::of(settings, None);
        let pages = coingecko::pages(wanted.top);
        Ok(Self {
            settings,
            clock,
            slot,
            header,
            rules,
            client: Client::new(settings, clock, stop)?,
            sweep: Sweep::new(wanted.top, pages.clone()),
            wanted,
            pages,
            folder: None,
            reused: 0,
            bodies: Vec::new(),
            gathered: Gathered::default(),
            asked: HashSet::new(),
            named: HashSet::new(),
            seen_before: HashSet::new(),
            nameless: Nameless::new(),
            asked_again: Vec::new(),
            held_back: Vec::new(),
        })
    }

    /// How many coins by market cap the slot is to hold, or as many as there are.
    pub(super) fn top(&self) -> u32 {
        self.wanted.top
    }

    /// What the slot has to answer for by now.
    pub(super) fn tally(&self) -> Tally {
        self.received().tally()
    }

    fn received(&self) -> Received<'_> {
        Received {
            wanted: &self.wanted,
            sweep: &self.sweep,
            gathered: &self.gathered,
            nameless: &self.nameless,
            asked: &self.asked,
            seen_before: &self.seen_before,
            came: &self.named,
            asked_again: &self.asked_again,
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

    /// Calls sent so far.
    pub(super) fn calls(&self) -> u64 {
        self.client.spent().calls
    }

    /// The folder of this run, once it has landed anything.
    pub(super) fn folder(&self) -> Option<&RunFolder> {
        self.folder.as_ref()
    }

    /// Forces to the disk what the rows came from: what this run landed, and what it took up.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) fn sync(&self, bodies: &[Landed]) -> Result<()> {
        if self.reused > 0 {
            landing::sync_bodies(&self.settings.landing_dir, bodies)?;
        }
        self.folder.as_ref().map_or(Ok(()), RunFolder::sync)
    }

    /// Takes note of what the slot holds already, then takes up bodies that were landed for it: nothing is paid for twice.
    ///
    /// # Errors
    /// [`Error::Data`] where one of them breaks a frozen contract. A body that cannot be read any more is asked for again.
    pub(super) fn begin_with(
        &mut self,
        slot: &Stored,
        quality: Quality,
        landed: Vec<Landed>,
    ) -> Result<()> {
        self.wanted = Wanted::of(self.settings, slot.state.as_ref());
        self.pages = coingecko::pages(self.wanted.top);
        self.sweep = Sweep::new(self.wanted.top, self.pages.clone());
        if let Some(SlotState { account, .. }) = &slot.state {
            let unknown = account.unknown.iter().cloned();
            self.asked.extend(unknown.map(CoinId::from_source));
            self.asked_again.clone_from(&account.asked_again);
        }
        self.seen_before.clone_from(&slot.seen_before);
        let held = slot.quotes.iter().map(|quote| quote.id.clone());
        self.gathered = Gathered::holding(held, quality, slot.quarantined.clone());
        for landed in landed {
            let path = landed.path.clone();
            let taken = landing::read(&self.settings.landing_dir, &landed)
                .and_then(|bytes| self.take(landed, bytes, false));
            match taken {
                Ok(()) => self.reused += 1,
                Err(error) if self.is_breached() => return Err(error),
                Err(error) => tracing::debug!("{path} is not taken up again: {}", error.chain()),
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
        drifts.breach(self.settings.contract).is_some()
    }

    /// The bodies that earlier runs of this slot have landed, stored or not.
    ///
    /// # Errors
    /// [`Error::Store`] when the landing cannot be read.
    pub(super) fn landed(&self) -> Result<Vec<Landed>> {
        let page = self.client.url(&coingecko::markets(vec![]));
        let (endpoint, _) = page.split_once('?').unwrap_or((page.as_str(), ""));
        let ours = format!("GET {endpoint}?");
        let day = self.slot.start().date_naive();
        let runs = landing::runs_of(&self.settings.landing_dir, day)?.into_iter();
        let slot = Some(self.slot.to_string());
        Ok(runs
            .filter(|(header, _)| {
                header.kind == self.header.kind
                    && header.slot == slot
                    && header.vs_currency == self.settings.vs_currency
            })
            .flat_map(|(_, bodies)| bodies)
            .filter(|landed| {
                landed.status == 200
                    && landed.request.starts_with(&ours)
                    && self.in_time(landed.sent_at())
                    && self.in_time(landed.made_at())
            })
            .collect())
    }

    /// Reads one body into what has been received. A page of which every record is refused is an answer only to the run
    /// that asked for it: to any later one it must not stand in the way of a good one.
    fn take(&mut self, landed: Landed, bytes: Vec<u8>, is_fresh: bool) -> Result<()> {
        let url = landed.url().to_owned();
        let vs_currency = &self.settings.vs_currency;
        let asked_for = |page: &Page| self.client.url(&coingecko::page(vs_currency, *page)) == url;
        let page = self.pages.iter().copied().find(asked_for);
        let total = landed
            .headers
            .get("total")
            .and_then(|total| total.parse::<u64>().ok());
        let named: HashSet<CoinId> = self.wanted.coins.iter().cloned().collect();
        let asked = coingecko::asked_ids(&url);
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
            is_page: page.is_some() || asked.is_none(),
        };
        let contract = self.settings.contract;
        let taken = self.gathered.add(&body, &named, &self.rules, contract)?;
        self.bodies.push(body.landed);
        if taken.is_refused_whole && !is_fresh {
            let refusals = &mut self.gathered.refusals;
            refusals.retain(|_, refusal| !refusal.is_of_a_whole_body);
            return Ok(());
        }
        let came: HashSet<&CoinId> = taken.coins.iter().flatten().collect();
        let received = came.iter().filter(|coin| named.contains(**coin));
        self.named.extend(received.map(|coin| (*coin).clone()));
        let absent = asked.into_iter().flatten();
        let absent: Vec<CoinId> = absent.filter(|coin| !came.contains(coin)).collect();
        match taken.nameless.first() {
            // one of them may have come under an id that cannot be read
            Some(rules) if page.is_none() => absent
                .into_iter()
                .for_each(|coin| self.gathered.refuse(coin, rules)),
            _ => self.asked.extend(absent),
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

    /// Asks for what is missing, as long as the slot lasts.
    ///
    /// # Errors
    /// What stopped it; all that came before is taken in.
    pub(super) async fn fetch(
        &mut self,
        store: &mut SnapshotStore,
        observer: &Observer<'_>,
    ) -> Result<()> {
        let vs_currency = self.settings.vs_currency.clone();
        self.observe(observer);
        while let Some(page) = self.sweep.next() {
            self.ask(store, &coingecko::page(&vs_currency, page))
                .await?;
            self.observe(observer);
        }
        let waiting = |coin: &&CoinId| {
            !self.named.contains(*coin)
                && !self.asked.contains(*coin)
                && !self.gathered.refusals.contains_key(*coin)
        };
        let absent: Vec<CoinId> = self.wanted.coins.iter().filter(waiting).cloned().collect();
        for (request, _) in coingecko::by_ids(&vs_currency, &absent) {
            self.ask(store, &request).await?;
            self.observe(observer);
        }
        self.look_again(store).await
    }

    /// Asks once more for what was refused: what is wrong in one reply may be right in the next.
    async fn look_again(&mut self, store: &mut SnapshotStore) -> Result<()> {
        let all = self.received().second_look(&[]);
        if all == SecondLook::default() {
            return Ok(());
        }
        let before = store.accounts_before(self.slot).await?;
        let look = self.received().second_look(&before);
        let looked_at = self.received().names(&look);
        self.held_back = self.received().names(&all);
        self.held_back.retain(|name| !looked_at.contains(name));
        let vs_currency = &self.settings.vs_currency;
        let pages = look.pages.iter();
        let pages = pages.filter_map(|number| self.sweep.page(*number));
        let requests: Vec<Request> = pages
            .map(|page| coingecko::page(vs_currency, page))
            .chain(
                coingecko::by_ids(vs_currency, &look.coins)
                    .into_iter()
                    .map(|(request, _)| request),
            )
            .collect();
        for request in requests {
            self.ask(store, &request).await?;
        }
        Ok(())
    }

    fn observe(&self, observer: &Observer<'_>) {
        observer.show(Progress {
            received: self.sweep.received().max(self.named.len() as u64),
            expected: self.sweep.expected().max(self.wanted.coins.len() as u64),
            unit: "coins",
        });
    }

    /// One call: taken off the account, made, landed, taken in.
    async fn ask(&mut self, store: &mut SnapshotStore, request: &Request) -> Result<()> {
        let now = self.clock.now();
        if !self.in_time(now) {
            return Err(Error::Past {
                message: format!("slot {} ended before all of it was received", self.slot),
            });
        }
        if self.folder.is_none() {
            let day = self.slot.start().date_naive();
            self.folder = Some(RunFolder::create(
                &self.settings.landing_dir,
                day,
                &self.header,
            )?);
        }
        let mut credits = Credits::new(store, self.settings.plan.credits_per_month);
        credits.take(now, 1).await?;
        let before = self.client.spent().credits;
        let outcome = self.call(request).await;
        credits.settle(self.client.spent().credits - before).await?;
        outcome
    }

    async fn call(&mut self, request: &Request) -> Result<()> {
        let folder = self
            .folder
            .as_ref()
            .ok_or_else(|| Error::data("the landing folder was not made"))?;
        let land = |reply: &Reply| land(folder, request, reply);
        let read = |landed: Landed, reply: &Reply| {
            coingecko::parse(&reply.body)?;
            self.believe(&landed)?;
            Ok((landed, reply.body.clone()))
        };
        let (landed, body): (Landed, _) = self.client.get(request, land, read).await?;
        self.take(landed, body.to_vec(), true)
    }

    /// True for an instant whose answers belong to the slot.
    fn in_time(&self, instant: DateTime<Utc>) -> bool {
        (self.slot.start() - SKEW..self.slot.end() + GRACE).contains(&instant)
    }

    /// Refuses an answer of another time: the source's clock is not ours, or a cache still has what it was before the slot.
    fn believe(&self, landed: &Landed) -> Result<()> {
        let (sent, made) = (landed.sent_at(), landed.made_at());
        if !self.in_time(sent) {
            return Err(Error::config(format!(
                "the source's clock says {}, which is not in slot {} of this machine's clock: correct the clock (or set \
                 COINMILL_CLOCK=sim for a simulated market)",
                sent.format("%Y-%m-%dT%H:%M:%SZ"),
                self.slot
            )));
        }
        if !self.in_time(made) {
            return Err(Error::Source {
                message: format!(
                    "a cache answered with a page of {}, before slot {}",
                    made.format("%Y-%m-%dT%H:%M:%SZ"),
                    self.slot
                ),
                status: Some(landed.status),
                code: None,
                retryable: true,
                cause: None,
            });
        }
        Ok(())
    }
}
