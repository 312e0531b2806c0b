//! One snapshot run: the top coins and those asked for by name, for the current slot, into the snapshot database.
//! It orders the steps; what each one does is below.

use std::collections::HashSet;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::arrival::land;
use super::gather::{Body, Gathered, total_cap};
use super::report::{Report, RunState, Timings, failed};
use super::sweep::Sweep;
use super::{Observer, Progress};
use crate::clock::Clock;
use crate::coingecko::{self, Page};
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::http::{self, Client, Reply, Request};
use crate::landing::{self, Landed, RunFolder, RunHeader};
use crate::market::{CoinId, Quote, Slot};
use crate::quality::{Quality, rule_set};
use crate::store::{RunStart, Scope, SlotState, SnapshotCommit, SnapshotStore};

/// How long after its end a slot may still be answered for, by a run that began in time.
const GRACE: TimeDelta = TimeDelta::minutes(5);

/// How far the source's clock may be behind the slot's start: clocks differ by seconds.
const SKEW: TimeDelta = TimeDelta::minutes(1);

/// Fetches, lands, judges and stores a snapshot. `slot` is the current one unless named. A complete slot costs no call; a
/// partial one is asked only for its rest; a past one is finished from its landing or refused.
///
/// # Errors
/// [`Error::Argument`] for a slot to come; [`Error::Past`] for one that is over and whose landing holds nothing more;
/// [`Error::Held`] while another run is at work on it; [`Error::Budget`] when the month's calls are spent;
/// [`Error::Source`] when nothing came; [`Error::Incomplete`] when less than the set completeness is stored, which it is
/// all the same; [`Error::Config`] and [`Error::Store`] as the databases and the landing give them.
pub async fn run_snapshot(
    settings: &Settings,
    slot: Option<Slot>,
    observer: Observer<'_>,
) -> Result<Report> {
    let clock = http::clock(settings).await?;
    let started_at = clock.now();
    let current = Slot::containing(started_at);
    let slot = slot.unwrap_or(current);
    if slot > current {
        return Err(Error::argument(format!(
            "slot {slot} is still to come: the source serves only the present, which is slot {current}"
        )));
    }
    let mut store = SnapshotStore::open(&settings.snapshot_url, &settings.vs_currency).await?;
    store.hold(slot).await?;
    let start = RunStart {
        id: Uuid::now_v7().to_string(),
        kind: "snapshot",
        scope: Scope::Slot(slot),
        started_at,
        rule_set: rule_set(&settings.thresholds),
        source: settings.api_url.to_string(),
    };
    store.begin_run(&start).await?;
    let client = Client::new(settings, clock)?;
    let mut run = Run {
        settings,
        clock,
        slot,
        current,
        start,
        client,
        folder: None,
        bodies: Vec::new(),
        reused: 0,
    };
    match run.go(&mut store, observer).await {
        Ok(report) => {
            store.close().await?;
            tracing::info!(
                "snapshot {slot}: {}, {} of {} coins, {} new, {} calls",
                report.state,
                report.accepted,
                report.expected,
                report.stored,
                report.calls
            );
            report.or_incomplete(settings.completeness)
        }
        Err(error) => {
            let end = failed(&error, run.client.spent().calls, run.clock.now());
            // the run's own error matters more than that it could not be written down
            if let Err(second) = store.end_run(&run.start.id, &end).await {
                tracing::warn!(
                    "the end of run {} could not be written: {}",
                    run.start.id,
                    second.chain()
                );
            }
            Err(error)
        }
    }
}

struct Run<'a> {
    settings: &'a Settings,
    clock: Clock,
    slot: Slot,
    current: Slot,
    start: RunStart,
    client: Client,
    /// Where this run lands; made before its first call.
    folder: Option<RunFolder>,
    bodies: Vec<Landed>,
    reused: u64,
}

/// What has been received so far, and what is to be asked next.
struct Received {
    gathered: Gathered,
    sweep: Sweep,
    /// Coins that a request by name has been answered for: a coin that the source does not know stays away however often it
    /// is asked for.
    asked: HashSet<CoinId>,
    /// Coins asked for by name that have been received.
    named: HashSet<CoinId>,
}

impl Run<'_> {
    async fn go(&mut self, store: &mut SnapshotStore, observer: Observer<'_>) -> Result<Report> {
        let began = Instant::now();
        let state = store.slot_state(self.slot).await?;
        let stored = if state.is_some() {
            store.quotes(self.slot).await?
        } else {
            Vec::new()
        };
        let mut quality = Quality::default();
        for names in store.warnings(self.slot).await? {
            quality.count_stored(&names);
        }
        if let Some(state) = state.as_ref().filter(|state| self.is_done(state, &stored)) {
            let report = self.already_complete(state, &stored, quality);
            store.end_run(&self.start.id, &report.to_run_end()).await?;
            return Ok(report);
        }
        let pages = coingecko::pages(self.settings.top);
        let mut received = Received {
            gathered: Gathered::holding(stored.iter().map(|quote| quote.id.clone()), quality),
            sweep: Sweep::new(self.settings.top, pages.clone()),
            asked: HashSet::new(),
            named: HashSet::new(),
        };
        self.reuse(&pages, &mut received)?;
        received.sweep.doubt();
        let extra: Vec<CoinId> = stored.iter().map(|quote| quote.id.clone()).collect();
        received.named.extend(
            extra
                .iter()
                .filter(|coin| self.settings.coins.contains(coin))
                .cloned(),
        );
        received.sweep.know(
            extra
                .into_iter()
                .filter(|coin| !self.settings.coins.contains(coin)),
        );

        let fetched = if self.slot < self.current {
            Err(Error::Past {
                message: format!(
                    "slot {} is past: the source serves only the present, slot {}",
                    self.slot, self.current
                ),
            })
        } else {
            self.fetch(store, &mut received, observer).await
        };
        let fetch_s = began.elapsed().as_secs_f64();
        let new = !received.gathered.accepted.is_empty() || !received.gathered.refused.is_empty();
        match fetched {
            Err(error) if !new => Err(error),
            Ok(()) if !new && stored.is_empty() => Err(self.nothing_came()),
            fetched => {
                self.commit(store, received, &stored, fetched.err(), fetch_s)
                    .await
            }
        }
    }

    fn nothing_came(&self) -> Error {
        let named: Vec<&str> = self.settings.coins.iter().map(CoinId::as_str).collect();
        if named.is_empty() {
            return Error::data(
                "the source answered without a single coin: nothing is stored; try again later",
            );
        }
        Error::data(format!(
            "the source knows none of the coins asked for ({}): check COINMILL_COINS against /coins/list, ids are not symbols",
            named.join(", ")
        ))
    }

    /// True where the slot holds all that is asked for now, which may be more than it was asked for before.
    fn is_done(&self, state: &SlotState, stored: &[Quote]) -> bool {
        let holds = |coin: &CoinId| stored.iter().any(|quote| quote.id == *coin);
        state.is_complete()
            && u64::from(self.settings.top) <= state.top
            && self.settings.coins.iter().all(holds)
    }

    fn already_complete(&self, state: &SlotState, stored: &[Quote], quality: Quality) -> Report {
        Report {
            expected: state.expected,
            received: state.received,
            accepted: stored.len() as u64,
            score: quality.score(state.expected, stored.len() as u64),
            warnings: quality.warnings,
            content_hash: Some(state.content_hash.clone()),
            ..self.report(RunState::Complete)
        }
    }

    fn report(&self, state: RunState) -> Report {
        Report {
            run: self.start.id.clone(),
            kind: self.start.kind,
            slot: self.slot,
            state,
            expected: 0,
            received: 0,
            accepted: 0,
            rejected: 0,
            stored: 0,
            repeated: 0,
            missing: Vec::new(),
            calls: self.client.spent().calls,
            reused: self.reused,
            score: None,
            warnings: Default::default(),
            rejections: Default::default(),
            content_hash: None,
            landing: self
                .folder
                .as_ref()
                .map(|folder| folder.path().display().to_string()),
            started_at: self.start.started_at,
            finished_at: self.clock.now(),
            timings: Timings::default(),
            error: None,
        }
    }

    /// Takes up what earlier runs of this slot have landed: nothing is paid for twice.
    fn reuse(&mut self, pages: &[Page], received: &mut Received) -> Result<()> {
        let ours = format!("GET {}?", self.client.url(&coingecko::markets(vec![])));
        for (header, bodies) in
            landing::runs_of(&self.settings.landing_dir, self.slot.start().date_naive())?
        {
            if header.kind != self.start.kind
                || header.slot != Some(self.slot.to_string())
                || header.vs_currency != self.settings.vs_currency
            {
                continue;
            }
            for landed in bodies {
                if landed.status != 200
                    || !landed.request.starts_with(&ours)
                    || !self.in_time(landed.sent_at())
                {
                    continue;
                }
                let taken = landing::read(&self.settings.landing_dir, &landed)
                    .and_then(|bytes| self.take(landed.clone(), bytes, pages, received));
                match taken {
                    Ok(()) => self.reused += 1,
                    Err(error) => {
                        tracing::debug!("{} is not taken up again: {}", landed.path, error.chain())
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads one body into what has been received.
    fn take(
        &mut self,
        landed: Landed,
        bytes: Vec<u8>,
        pages: &[Page],
        received: &mut Received,
    ) -> Result<()> {
        let url = landed.url().to_owned();
        let vs_currency = &self.settings.vs_currency;
        let page = pages
            .iter()
            .copied()
            .find(|&page| self.client.url(&coingecko::page(vs_currency, page)) == url);
        let total = landed
            .headers
            .get("total")
            .and_then(|total| total.parse::<u64>().ok());
        let named: HashSet<CoinId> = self.settings.coins.iter().cloned().collect();
        let asked = coingecko::asked_ids(&url);
        let surplus_from = match page {
            Some(page) => {
                (self.settings.top - (page.ranks().0 - 1).min(self.settings.top)) as usize
            }
            // a body of another selection gives what was asked for by name
            None => 0,
        };
        let body = Body {
            landed,
            bytes,
            surplus_from,
            keeps_nameless: asked.is_some(),
        };
        let coins = received
            .gathered
            .add(&body, &named, self.settings.thresholds)?;
        received.named.extend(
            coins
                .iter()
                .flatten()
                .filter(|coin| named.contains(coin))
                .cloned(),
        );
        if page.is_some() {
            received.sweep.note(page, total, coins);
        }
        received.asked.extend(asked.into_iter().flatten());
        self.bodies.push(body.landed);
        Ok(())
    }

    /// Asks for what is missing, as long as the slot lasts.
    async fn fetch(
        &mut self,
        store: &mut SnapshotStore,
        received: &mut Received,
        observer: Observer<'_>,
    ) -> Result<()> {
        let pages = coingecko::pages(self.settings.top);
        let vs_currency = self.settings.vs_currency.clone();
        self.observe(received, observer);
        while let Some(page) = received.sweep.next() {
            self.ask(
                store,
                &coingecko::page(&vs_currency, page),
                &pages,
                received,
            )
            .await?;
            self.observe(received, observer);
        }
        let waiting =
            |coin: &&CoinId| !received.named.contains(*coin) && !received.asked.contains(*coin);
        let absent: Vec<CoinId> = self
            .settings
            .coins
            .iter()
            .filter(waiting)
            .cloned()
            .collect();
        for (request, _) in coingecko::by_ids(&vs_currency, &absent) {
            self.ask(store, &request, &pages, received).await?;
            self.observe(received, observer);
        }
        Ok(())
    }

    fn observe(&self, received: &Received, observer: Observer<'_>) {
        let extra = received.named.len() as u64;
        observer(Progress {
            received: received.sweep.received().max(extra),
            expected: received
                .sweep
                .expected()
                .max(self.settings.coins.len() as u64),
            unit: "coins",
        });
    }

    /// One call: reserved, made, landed, taken. A body that is not what was asked for is asked for once more.
    async fn ask(
        &mut self,
        store: &mut SnapshotStore,
        request: &Request,
        pages: &[Page],
        received: &mut Received,
    ) -> Result<()> {
        let now = self.clock.now();
        if !self.in_time(now) {
            return Err(Error::Past {
                message: format!("slot {} ended before all of it was received", self.slot),
            });
        }
        if self.folder.is_none() {
            let header = RunHeader {
                run: self.start.id.clone(),
                kind: self.start.kind.to_owned(),
                slot: Some(self.slot.to_string()),
                vs_currency: self.settings.vs_currency.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                started_at: self.start.started_at,
            };
            let day = self.slot.start().date_naive();
            self.folder = Some(RunFolder::create(&self.settings.landing_dir, day, &header)?);
        }
        let limit = self.settings.plan.credits_per_month;
        if let Some(limit) = limit {
            store.reserve_credits(now, 1, limit).await?;
        }
        let before = self.client.spent().credits;
        let outcome = self.call(request, pages, received).await;
        if limit.is_some() {
            match self.client.spent().credits - before {
                0 => store.give_back_credits(now, 1).await?,
                1 => {}
                // tries that were answered 200 with a body that is no answer
                more => store.reserve_credits(now, more - 1, u64::MAX).await?,
            }
        }
        outcome
    }

    async fn call(
        &mut self,
        request: &Request,
        pages: &[Page],
        received: &mut Received,
    ) -> Result<()> {
        let folder = self
            .folder
            .as_ref()
            .ok_or_else(|| Error::data("the landing folder was not made"))?;
        let land = |reply: &Reply| land(folder, request, reply);
        let read = |landed, reply: &Reply| {
            coingecko::parse(&reply.body).map(|_| (landed, reply.body.clone()))
        };
        let (landed, body): (Landed, _) = self.client.get(request, land, read).await?;
        let sent = landed.sent_at();
        if !self.in_time(sent) {
            return Err(self.out_of_time(sent));
        }
        self.take(landed, body.to_vec(), pages, received)
    }

    /// True for an instant whose answers belong to the slot.
    fn in_time(&self, instant: DateTime<Utc>) -> bool {
        (self.slot.start() - SKEW..self.slot.end() + GRACE).contains(&instant)
    }

    fn out_of_time(&self, sent: DateTime<Utc>) -> Error {
        Error::config(format!(
            "the source's clock says {}, which is not in slot {} of this machine's clock: correct the clock (or set \
             COINMILL_CLOCK=sim for a simulated market)",
            sent.format("%Y-%m-%dT%H:%M:%SZ"),
            self.slot
        ))
    }

    async fn commit(
        &mut self,
        store: &mut SnapshotStore,
        mut received: Received,
        stored: &[Quote],
        error: Option<Error>,
        fetch_s: f64,
    ) -> Result<Report> {
        let judging = Instant::now();
        let named: HashSet<CoinId> = self.settings.coins.iter().cloned().collect();
        let (within, beyond): (Vec<&CoinId>, Vec<&CoinId>) = received
            .named
            .iter()
            .partition(|coin| received.sweep.holds(coin));
        let held = stored
            .iter()
            .filter(|quote| !named.contains(&quote.id))
            .count()
            + within.len();
        let top = usize::try_from(received.sweep.expected()).unwrap_or(usize::MAX);
        received
            .gathered
            .keep_largest(top.saturating_sub(held), &named);

        let absent: Vec<&CoinId> = self
            .settings
            .coins
            .iter()
            .filter(|coin| !received.named.contains(*coin))
            .collect();
        let expected = received.sweep.expected() + (beyond.len() + absent.len()) as u64;
        let count = received.sweep.received().min(received.sweep.expected()) + beyond.len() as u64;
        let mut missing = received.sweep.missing();
        let why = match error {
            None => "the source does not know it: check COINMILL_COINS against /coins/list",
            Some(_) => "not received",
        };
        missing.extend(absent.iter().map(|coin| format!("{coin} ({why})")));
        let accepted = stored.len() + received.gathered.accepted.len();
        let complete = missing.is_empty() && accepted > 0;
        let mut report = Report {
            expected,
            received: count,
            accepted: accepted as u64,
            rejected: received.gathered.refused.len() as u64,
            stored: received.gathered.accepted.len() as u64,
            repeated: received.gathered.repeated,
            missing,
            score: received.gathered.quality.score(expected, accepted as u64),
            warnings: received.gathered.quality.warnings.clone(),
            rejections: received.gathered.quality.rejections.clone(),
            error: error.filter(|_| !complete).map(|error| error.chain()),
            ..self.report(if complete {
                RunState::Complete
            } else {
                RunState::Partial
            })
        };
        let (quotes, refused) = received.gathered.rows(total_cap(stored.iter()));
        let commit = SnapshotCommit {
            run: self.start.id.clone(),
            slot: self.slot,
            at: self.clock.now(),
            top: self.settings.top,
            expected,
            received: count,
            complete,
            bodies: std::mem::take(&mut self.bodies),
            quotes,
            refused,
        };
        let judge_s = judging.elapsed().as_secs_f64();
        let committing = Instant::now();
        if let Some(folder) = &self.folder {
            folder.sync()?;
        }
        report.timings = Timings {
            fetch_s,
            judge_s,
            commit_s: 0.0,
        };
        let hash = store
            .commit_snapshot(&commit, |hash| {
                report.content_hash = Some(hash.to_owned());
                report.finished_at = self.clock.now();
                report.to_run_end()
            })
            .await?;
        report.content_hash = Some(hash);
        report.timings.commit_s = committing.elapsed().as_secs_f64();
        Ok(report)
    }
}
