//! One snapshot run: the top coins and those asked for by name, for the current slot, into the snapshot database.
//! It orders the steps: what is there (`holding`), what is asked for (`fetch`), what is stored, and what to say of it.

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};

use super::Observer;
use super::arrival::blocking;
use super::begin::{run_header, run_start};
use super::calls::Calls;
use super::coins::known_coins;
use super::credits::{Caller, Purse};
use super::fetch::fetch;
use super::gather::Accepted;
use super::holding::{Stored, landed};
use super::intake::Intake;
use super::report::{Report, RunState, Timings, Unknown, failed};
use super::suggest::{Known, Suggestion, suggest};
use super::terms::{RunSettings, Terms, outlook};
use crate::clock::Clock;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::http::{self, Client};
use crate::landing::{self, Landed, RunFolder};
use crate::market::{CoinId, Quote, Slot};
use crate::quality::Quality;
use crate::store::{RunEnd, RunStart, Scope, SlotState, SnapshotCommit, SnapshotStore};

/// Fetches, lands, validates and stores a snapshot. `slot` is the current one unless named. A complete slot costs no call; a
/// partial one fetches only its rest; a past one is finished from its landing or refused.
///
/// # Errors
/// [`Error::Argument`] for a slot to come; [`Error::Past`] for one that is over and whose landing holds nothing more;
/// [`Error::Held`] while another run is at work on it; [`Error::Budget`] when the month's calls are spent;
/// [`Error::Source`] when nothing came; [`Error::Incomplete`] when less than the set completeness is stored, which it is
/// all the same; [`Error::Config`] and [`Error::Store`] as the databases and the landing give them.
pub async fn run_snapshot(
    settings: &Settings,
    slot: Option<Slot>,
    observer: &Observer<'_>,
) -> Result<Report> {
    let (terms, run_settings) = (Terms::of(settings)?, RunSettings::of(settings));
    let clock = http::clock(settings).await?;
    let started_at = clock.now();
    let current = Slot::containing(started_at);
    let slot = slot.unwrap_or(current);
    if slot > current {
        return Err(Error::argument(format!(
            "slot {slot} is still to come: CoinGecko serves only the present, which is slot {current}"
        )));
    }
    let purse = Purse::open(settings).await?;
    purse.compare(settings, clock, &observer.stop).await?;
    let turns = purse.turns(Caller::Schedule);
    let client = Client::new(settings, clock, observer.stop.clone(), turns)?;
    let mut store = SnapshotStore::open(&settings.snapshot_url, &settings.vs_currency).await?;
    store.hold(slot).await?;
    let start = run_start(
        &terms,
        &run_settings,
        "snapshot",
        Scope::Slot(slot),
        started_at,
    );
    store.begin_run(&start, clock).await?;
    let mut calls = Calls {
        client,
        clock,
        slot,
        purse,
        landing_dir: terms.landing_dir.clone(),
        header: run_header(&terms.vs_currency, &start),
        folder: None,
    };
    let mut run = Run {
        terms: &terms,
        run_settings: &run_settings,
        clock,
        slot,
        current,
        start,
        intake: Intake::new(&terms, run_settings.wanted.clone()),
        advice: outlook(settings, started_at).advice,
    };
    match run.go(&mut store, &mut calls, observer).await {
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
            let drift = run.intake.gathered.drifts.list();
            let sums = run.intake.sums();
            let end = RunEnd {
                expected: Some(sums.expected),
                received: Some(sums.received),
                ..failed(&error, calls.sent(), drift, run.clock.now())
            };
            store.fail_run(&run.start.id, &end).await;
            Err(error)
        }
    }
}

/// Does a run again in another database, from these bodies alone and without a call.
///
/// # Errors
/// As the database gives them.
pub(super) async fn rebuild(
    terms: &Terms,
    run_settings: &RunSettings,
    clock: Clock,
    store: &mut SnapshotStore,
    start: RunStart,
    slot: Slot,
    bodies: Vec<Landed>,
) -> Result<()> {
    store.begin_run(&start, clock).await?;
    let mut run = Run {
        terms,
        run_settings,
        clock,
        slot,
        current: slot,
        start,
        intake: Intake::new(terms, run_settings.wanted.clone()),
        advice: None,
    };
    let stored = Stored::of(store, slot, &run_settings.wanted).await?;
    run.intake.begin_with(&stored, Quality::default(), bodies)?;
    let fetched = Fetched::default();
    run.commit(store, &stored, fetched).await.map(drop)
}

/// The ledger's row of a run that was done again.
pub(super) fn rebuilt_end(hash: &str, at: DateTime<Utc>) -> RunEnd {
    RunEnd {
        state: RunState::Complete.name(),
        content_hash: Some(hash.to_owned()),
        error: None,
        ..failed(&Error::data(""), 0, Vec::new(), at)
    }
}

/// Coins that CoinGecko does not know, each with the coin that may have been meant.
pub(super) async fn unknown_coins(
    store: &mut SnapshotStore,
    coins: &[String],
    received: &[Accepted],
) -> Result<Vec<Unknown>> {
    if coins.is_empty() {
        return Ok(Vec::new());
    }
    let received = received.iter().map(|accepted| Known::of(&accepted.quote));
    let (own, others): (Vec<Known>, Vec<Known>) = received
        .chain(known_coins(store).await?)
        .partition(|known| coins.contains(&known.id));
    let unknown = coins.iter().map(|coin| {
        let own = own.iter().find(|own| own.id == *coin);
        let meant = suggest(coin, &others).filter(|_| own.is_none());
        Unknown {
            coin_id: coin.clone(),
            did_you_mean: meant.and_then(Suggestion::coin),
            delisted_at: own.and_then(|own| own.delisted_at),
        }
    });
    Ok(unknown.collect())
}

/// What the calls of a run came to.
#[derive(Default)]
struct Fetched<'a> {
    calls: u64,
    folder: Option<&'a Arc<RunFolder>>,
    /// What stopped them before nothing was missing.
    error: Option<Error>,
    seconds: f64,
}

struct Run<'a> {
    terms: &'a Terms,
    run_settings: &'a RunSettings,
    clock: Clock,
    slot: Slot,
    current: Slot,
    start: RunStart,
    intake: Intake<'a>,
    /// What of the settings the plan cannot give.
    advice: Option<String>,
}

impl Run<'_> {
    async fn go(
        &mut self,
        store: &mut SnapshotStore,
        calls: &mut Calls,
        observer: &Observer<'_>,
    ) -> Result<Report> {
        let began = Instant::now();
        let stored = Stored::of(store, self.slot, &self.run_settings.wanted).await?;
        let mut quality = Quality::default();
        for (rank, names) in store.warnings(self.slot).await? {
            quality.accept(rank, names.iter().flat_map(|names| names.split(',')));
        }
        if let Some(state) = stored.state.as_ref()
            && stored.is_done(state, self.run_settings)
        {
            let report = self
                .already_complete(store, state, &stored.quotes, quality)
                .await?;
            store.end_run(&self.start.id, &report.to_run_end()).await?;
            return Ok(report);
        }
        let landed = landed(self.slot, self.start.kind, self.terms)?;
        self.intake.begin_with(&stored, quality, landed)?;
        let fetched = if self.slot < self.current {
            Err(Error::Past {
                message: format!(
                    "slot {} is past: CoinGecko serves only the present, slot {}",
                    self.slot, self.current
                ),
            })
        } else {
            fetch(&mut self.intake, calls, store, observer).await
        };
        let seconds = began.elapsed().as_secs_f64();
        let gathered = &self.intake.gathered;
        let new = !gathered.accepted.is_empty() || !gathered.refused.is_empty();
        match fetched {
            Err(error @ Error::Stopped { .. }) => Err(error),
            Err(error) if !new || self.intake.is_breached() => Err(error),
            Ok(()) if stored.state.is_none() && self.intake.is_empty() => {
                Err(self.nothing_came(store).await?)
            }
            fetched => {
                let fetched = Fetched {
                    calls: calls.sent(),
                    folder: calls.folder.as_ref(),
                    error: fetched.err(),
                    seconds,
                };
                self.commit(store, &stored, fetched).await
            }
        }
    }

    /// The error where not one coin came.
    async fn nothing_came(&self, store: &mut SnapshotStore) -> Result<Error> {
        let wanted = self.run_settings.wanted.coins.iter();
        let named: Vec<String> = wanted.map(CoinId::to_string).collect();
        if named.is_empty() {
            return Ok(Error::data(
                "CoinGecko sent no coin at all: nothing is stored; try again later",
            ));
        }
        let named = unknown_coins(store, &named, &[]).await?;
        let named: Vec<String> = named.iter().map(Unknown::to_string).collect();
        Ok(Error::data(format!(
            "CoinGecko knows none of the chosen coins ({}): correct COINMILL_COINS, ids are not symbols; `coinmill search` finds them",
            named.join(", ")
        )))
    }

    async fn already_complete(
        &self,
        store: &mut SnapshotStore,
        state: &SlotState,
        stored: &[Quote],
        quality: Quality,
    ) -> Result<Report> {
        Ok(Report {
            expected: state.expected,
            received: state.received,
            accepted: stored.len() as u64,
            refused: state.account.refused.clone(),
            unknown: unknown_coins(store, &state.account.unknown, &[]).await?,
            score: quality.score(
                state
                    .expected
                    .saturating_sub(state.account.refused.len() as u64),
                state.top == 0,
            ),
            warned: quality.warned,
            warnings: quality.warnings,
            content_hash: Some(state.content_hash.clone()),
            ..self.report(RunState::Complete)
        })
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
            advice: self.advice.clone(),
            refused: Vec::new(),
            unknown: Vec::new(),
            can_grow: false,
            calls: 0,
            recovered: self.intake.recovered,
            score: None,
            warned: 0,
            warnings: Default::default(),
            rejections: Default::default(),
            content_hash: None,
            drift: Vec::new(),
            landing_folder: None,
            started_at: self.start.started_at,
            finished_at: self.clock.now(),
            timings: Timings::default(),
            error: None,
        }
    }

    async fn commit(
        &mut self,
        store: &mut SnapshotStore,
        stored: &Stored,
        fetched: Fetched<'_>,
    ) -> Result<Report> {
        let validating = Instant::now();
        self.intake.keep_top(&stored.quotes);
        let sums = self.intake.sums();
        let received = &self.intake.gathered.accepted;
        let unknown = unknown_coins(store, &sums.account.unknown, received).await?;
        let gathered = std::mem::take(&mut self.intake.gathered);
        let quality = gathered.quality();
        let accepted = (stored.quotes.len() + gathered.accepted.len()) as u64;
        let is_complete = sums.account.missing.is_empty();
        let mut report = Report {
            expected: sums.expected,
            received: sums.received,
            accepted,
            rejected: gathered.refused.len() as u64,
            stored: gathered.accepted.len() as u64,
            repeated: gathered.repeated,
            missing: sums.account.missing.clone(),
            refused: sums.account.refused.clone(),
            unknown,
            can_grow: sums.can_grow,
            score: quality.score(
                sums.expected
                    .saturating_sub(sums.account.refused.len() as u64),
                self.intake.top() == 0,
            ),
            warned: quality.warned,
            warnings: quality.warnings,
            rejections: quality.rejections,
            drift: gathered.drifts.list(),
            calls: fetched.calls,
            landing_folder: fetched
                .folder
                .map(|folder| folder.path().display().to_string()),
            error: fetched
                .error
                .filter(|_| !is_complete)
                .map(|error| error.chain()),
            ..self.report(if is_complete {
                RunState::Complete
            } else {
                RunState::Partial
            })
        };
        let (quotes, refused) = gathered.rows(&self.terms.vs_currency);
        let commit = SnapshotCommit {
            run: self.start.id.clone(),
            slot: self.slot,
            top: self.intake.top(),
            expected: sums.expected,
            received: sums.received,
            account: sums.account,
            bodies: std::mem::take(&mut self.intake.bodies),
            quotes,
            refused,
            requeued: Vec::new(),
        };
        if let Some(state) = stored.state.as_ref().filter(|state| commit.is_known(state)) {
            report.content_hash = Some(state.content_hash.clone());
            store.end_run(&self.start.id, &report.to_run_end()).await?;
            return Ok(report);
        }
        let validate_s = validating.elapsed().as_secs_f64();
        let committing = Instant::now();
        let recovered = (self.intake.recovered > 0).then(|| commit.bodies.clone());
        let (root, folder) = (self.terms.landing_dir.clone(), fetched.folder.cloned());
        let sync = blocking(move || {
            landing::sync_bodies(&root, recovered.iter().flatten())?;
            folder.map_or(Ok(()), |folder| folder.sync())
        });
        store.beside(sync).await??;
        failpoint::pass(failpoint::BEFORE_COMMIT);
        report.timings = Timings {
            fetch_s: fetched.seconds,
            validate_s,
            commit_s: 0.0,
        };
        let hash = store
            .commit_snapshot(&commit, self.clock, |hash| {
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
