//! What a snapshot run takes in: bodies that an earlier run of the slot has landed, then calls for the rest.
//! It ends with everything received and judged; storing it is the run's work.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::arrival::land;
use super::credits::Credits;
use super::gather::{Body, Gathered};
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
use crate::store::SnapshotStore;

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
    pages: Vec<Page>,
    /// Where this run lands; made before its first call.
    folder: Option<RunFolder>,
    /// Bodies taken from the landing.
    pub(super) reused: u64,
    /// The bodies that the rows came from.
    pub(super) bodies: Vec<Landed>,
    pub(super) gathered: Gathered,
    pub(super) sweep: Sweep,
    /// Coins that a request by name has been answered for: a coin that the source does not know stays away however often it
    /// is asked for.
    asked: HashSet<CoinId>,
    /// Coins asked for by name that have been received.
    pub(super) named: HashSet<CoinId>,
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
        let pages = coingecko::pages(settings.top);
        Ok(Self {
            settings,
            clock,
            slot,
            header,
            rules,
            client: Client::new(settings, clock, stop)?,
            sweep: Sweep::new(settings.top, pages.clone()),
            pages,
            folder: None,
            reused: 0,
            bodies: Vec::new(),
            gathered: Gathered::default(),
            asked: HashSet::new(),
            named: HashSet::new(),
        })
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
        stored: &[Quote],
        quality: Quality,
        landed: Vec<Landed>,
    ) -> Result<()> {
        self.gathered = Gathered::holding(stored.iter().map(|quote| quote.id.clone()), quality);
        for landed in landed {
            let path = landed.path.clone();
            let taken = landing::read(&self.settings.landing_dir, &landed)
                .and_then(|bytes| self.take(landed, bytes));
            match taken {
                Ok(()) => self.reused += 1,
                Err(error) if self.is_breached() => return Err(error),
                Err(error) => tracing::debug!("{path} is not taken up again: {}", error.chain()),
            }
        }
        self.sweep.doubt();
        let held = stored.iter().map(|quote| quote.id.clone());
        let (named, others): (Vec<CoinId>, Vec<CoinId>) =
            held.partition(|coin| self.settings.coins.contains(coin));
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
        let ours = format!("GET {}?", self.client.url(&coingecko::markets(vec![])));
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

    /// Reads one body into what has been received.
    fn take(&mut self, landed: Landed, bytes: Vec<u8>) -> Result<()> {
        let url = landed.url().to_owned();
        let vs_currency = &self.settings.vs_currency;
        let asked_for = |page: &Page| self.client.url(&coingecko::page(vs_currency, *page)) == url;
        let page = self.pages.iter().copied().find(asked_for);
        let total = landed
            .headers
            .get("total")
            .and_then(|total| total.parse::<u64>().ok());
        let named: HashSet<CoinId> = self.settings.coins.iter().cloned().collect();
        let asked = coingecko::asked_ids(&url);
        let top = self.settings.top;
        let surplus_from = match page {
            Some(page) => (top - (page.ranks().0 - 1).min(top)) as usize,
            // a body of another selection gives what was asked for by name
            None => 0,
        };
        let body = Body {
            landed,
            bytes,
            surplus_from,
            keeps_nameless: asked.is_some(),
        };
        let contract = self.settings.contract;
        let coins = self.gathered.add(&body, &named, &self.rules, contract)?;
        self.named.extend(
            coins
                .iter()
                .flatten()
                .filter(|coin| named.contains(coin))
                .cloned(),
        );
        if page.is_some() {
            self.sweep.note(page, total, coins);
        }
        self.asked.extend(asked.into_iter().flatten());
        self.bodies.push(body.landed);
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
        let waiting = |coin: &&CoinId| !self.named.contains(*coin) && !self.asked.contains(*coin);
        let absent: Vec<CoinId> = self
            .settings
            .coins
            .iter()
            .filter(waiting)
            .cloned()
            .collect();
        for (request, _) in coingecko::by_ids(&vs_currency, &absent) {
            self.ask(store, &request).await?;
            self.observe(observer);
        }
        Ok(())
    }

    fn observe(&self, observer: &Observer<'_>) {
        observer.show(Progress {
            received: self.sweep.received().max(self.named.len() as u64),
            expected: self.sweep.expected().max(self.settings.coins.len() as u64),
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
        self.take(landed, body.to_vec())
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
