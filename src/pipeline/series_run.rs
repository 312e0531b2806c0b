//! One run at work on the series of some coins at a resolution: its claims, its ledger row, what it recovers, and its end.
//! Which charts it fetches is decided by `timeseries`; how, by `series`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

use super::Observer;
use super::arrival::blocking;
use super::begin::{run_header, run_start};
use super::credits::{Credits, Purse};
use super::keeping::{all_coins, lost_between, say_lost};
use super::known::{Due, Known};
use super::reader::Reader;
use super::report::{RunState, Timings, Unknown};
use super::series::{Fetcher, Outcome, fetch_all, recover};
use super::series_report::SeriesReport;
use super::spendable::Spendable;
use super::terms::{RunSettings, Terms};
use super::writer::Writer;
use crate::clock::Clock;
use crate::coingecko::charts::Chart;
use crate::config::{DatabaseUrl, Settings};
use crate::error::{Error, Result};
use crate::http::Client;
use crate::landing::{self, RunFolder};
use crate::market::{CoinId, Slot};
use crate::provider::Plan;
use crate::series::{Resolution, Span, Spans, days};
use crate::store::{
    Absent, Changes, Followed, IfHeld, RunEnd, RunStart, Scope, SnapshotStore, Stored,
    TimeseriesStore,
};

/// A run that has its coins.
pub(super) struct SeriesRun {
    terms: Terms,
    clock: Clock,
    start: RunStart,
    resolution: Resolution,
    began: Instant,
    store: TimeseriesStore,
    known: Known,
    reader: Arc<Reader>,
    recovered: Recovered,
    /// The coins that it has, and how many of those that it wanted others have.
    coins: Vec<CoinId>,
    held: u64,
    unknown: Vec<Unknown>,
    advice: Option<String>,
    /// Up to when it is known what of the followed coins is covered and what is lost.
    judged: Option<i64>,
    /// The coins of which that is to be known up to now.
    followed: Option<Vec<Followed>>,
    /// True where a response has shown that the clock is right.
    is_of_now: bool,
}

/// Which series a run works on.
pub(super) struct Series<'a> {
    /// Their database.
    pub(super) url: &'a DatabaseUrl,
    /// The run's kind.
    pub(super) kind: &'static str,
    pub(super) resolution: Resolution,
    /// What it may fetch, before which nothing has to be known.
    pub(super) span: Option<Span>,
    /// The instant before which nothing is kept, and so not stored either.
    pub(super) kept_from: i64,
    /// The coins that it wants, and what it does where another run has some of them.
    pub(super) coins: Vec<CoinId>,
    pub(super) if_held: IfHeld,
    /// Coins by name of which there is nothing to fetch.
    pub(super) unknown: Vec<Unknown>,
    /// What of the settings the plan cannot give.
    pub(super) advice: Option<String>,
}

/// How long before the next half-hour a scheduled run begins no more calls.
const BEFORE_THE_NEXT: TimeDelta = TimeDelta::minutes(1);

/// How far before its span a run looks at what is covered: windows are stretched by up to two days.
const STRETCH_DAYS: u32 = 3;

/// What runs that died had landed, and what it gave.
#[derive(Debug, Clone, Copy, Default)]
struct Recovered {
    bodies: u64,
    stored: Stored,
    rejected: u64,
}

impl SeriesRun {
    /// Claims the coins, writes the ledger's row, and recovers what dead runs have landed.
    pub(super) async fn open(
        series: Series<'_>,
        terms: Terms,
        run_settings: &RunSettings,
        clock: Clock,
        snapshot: &mut SnapshotStore,
    ) -> Result<Self> {
        let Series {
            url,
            kind,
            resolution,
            span,
            kept_from,
            mut coins,
            if_held,
            unknown,
            advice,
        } = series;
        let began = Instant::now();
        let mut store = TimeseriesStore::open(url, &terms.vs_currency).await?;
        store.call_coins(snapshot.names().await?);
        let scope = Scope::Series(resolution);
        let start = run_start(&terms, run_settings, kind, scope, clock.now());
        if let Some(span) = span.filter(|_| kind == "timeseries") {
            // who has left the wanted coins is owed a last visit
            let followed = store.followed(resolution, span.start).await?;
            coins = all_coins(&coins, &followed);
        }
        let held = store.begin_claiming(&start, clock, &coins, if_held).await?;
        let held: HashSet<CoinId> = held.into_iter().collect();
        coins.retain(|coin| !held.contains(coin));
        let mut run = Self {
            reader: Arc::new(Reader::new(&terms.vs_currency, terms.contract)),
            terms,
            clock,
            start,
            resolution,
            began,
            store,
            known: Known::default(),
            recovered: Recovered::default(),
            coins,
            held: held.len() as u64,
            unknown,
            advice,
            judged: None,
            followed: None,
            is_of_now: false,
        };
        match run.recover(span, kept_from).await {
            Ok(()) => Ok(run),
            Err(error) => run.fail(error).await,
        }
    }

    async fn recover(&mut self, span: Option<Span>, kept_from: i64) -> Result<()> {
        let root = &self.terms.landing_dir;
        let now = self.start.started_at.timestamp_millis();
        self.judged = self.store.judged(self.resolution).await?;
        let wanted_since = span.map_or(now, |span| span.start);
        let wanted_since = wanted_since.min(self.judged.unwrap_or(i64::MAX)) - days(STRETCH_DAYS);
        let (commit, known) = recover(
            root,
            &self.reader,
            self.resolution,
            &mut self.store,
            wanted_since,
            kept_from,
        )
        .await?;
        self.known = known;
        let believed = commit.charts.iter().filter(|chart| chart.span.is_some());
        let bodies = believed.count() as u64;
        if !commit.recovered.is_empty() || !commit.charts.is_empty() {
            let landed = commit.charts.iter().map(|chart| chart.landed.clone());
            let (root, landed): (_, Vec<_>) = (root.clone(), landed.collect());
            let sync = blocking(move || landing::sync_bodies(&root, &landed));
            self.store.beside(sync).await??;
            self.recovered = Recovered {
                bodies,
                rejected: commit
                    .charts
                    .iter()
                    .map(|chart| chart.refused.len() as u64)
                    .sum(),
                stored: self
                    .store
                    .commit(&self.start.id, &commit, self.clock)
                    .await?,
            };
        }
        // those that it recovered, and does not work on
        self.store.give_back().await
    }

    pub(super) fn started_at(&self) -> DateTime<Utc> {
        self.start.started_at
    }

    /// When each coin was last asked for.
    pub(super) async fn visits(&mut self) -> Result<HashMap<CoinId, DateTime<Utc>>> {
        self.store.visits(self.resolution).await
    }

    /// The stretches of history that are kept, and those that ended after an instant.
    pub(super) async fn followed(&mut self, ended_after: i64) -> Result<Vec<Followed>> {
        self.store.followed(self.resolution, ended_after).await
    }

    /// Of how many coins the history is kept at a resolution.
    pub(super) async fn followed_count(&mut self, resolution: Resolution) -> Result<u64> {
        self.store.followed_count(resolution).await
    }

    /// What the schedule leaves of the month.
    pub(super) async fn spendable(
        &mut self,
        settings: &Settings,
        purse: &Purse,
        snapshot: &mut SnapshotStore,
    ) -> Result<Spendable> {
        let now = self.start.started_at;
        Spendable::of(settings, purse, snapshot, &mut self.store, now).await
    }

    /// True for a coin that the run has.
    pub(super) fn has(&self, coin: &CoinId) -> bool {
        self.coins.contains(coin)
    }

    /// What the database covers, as far as the run looks.
    pub(super) fn coverage(&self) -> &HashMap<CoinId, Spans> {
        &self.known.coverage
    }

    /// Writes who is followed from now on, and looks at the end of the run what of all these is lost. `is_of_now` says that the
    /// half-hour has a snapshot, so that CoinGecko's clock was ours.
    pub(super) async fn follow(
        &mut self,
        followed: Vec<Followed>,
        changes: &Changes,
        is_of_now: bool,
    ) -> Result<()> {
        self.store.change_followed(self.resolution, changes).await?;
        self.followed = Some(followed);
        self.is_of_now = is_of_now;
        Ok(())
    }

    /// Says and writes down what has fallen off by now and is not covered. Each loss is said once, and nothing is called lost by a
    /// clock alone: a response of this half-hour has to have shown the same.
    async fn judge(&mut self, outcome: &mut Outcome) -> Result<()> {
        let is_of_now = self.is_of_now || outcome.received > 0;
        let Some(followed) = self.followed.take().filter(|_| is_of_now) else {
            return Ok(());
        };
        let now = self.clock.now();
        // a chart fetched in this run begins up to so much later than its call
        let gone = now.timestamp_millis() - days(1) + 2_000;
        let lost = lost_between(&followed, &self.known.coverage, self.judged, gone);
        let run = &self.start.id;
        self.store
            .judge(run, self.resolution, &lost, gone, now)
            .await?;
        outcome.missing.extend(say_lost(&lost));
        Ok(())
    }

    /// What there is to fetch of a span of its coins. With `again`, what is covered is fetched too.
    pub(super) fn due(&self, span: Option<Span>, again: bool) -> Due {
        let now = self.started_at();
        let (coins, known) = (&self.coins, &self.known);
        known.due(coins, self.resolution, span, again, now)
    }

    /// Fetches the charts, stores what comes, and writes how it ended.
    pub(super) async fn go(
        mut self,
        mut credits: Credits,
        client: Client,
        plan: &Plan,
        planned: Planned,
        observer: &Observer<'_>,
    ) -> Result<SeriesReport> {
        let Planned {
            charts,
            postponed,
            waiting,
        } = planned;
        let mut outcome = Outcome::expecting(charts.len(), waiting);
        if charts.is_empty() {
            if let Err(error) = self.judge(&mut outcome).await {
                return self.fail(error).await;
            }
            let report = self.report(postponed, outcome, None);
            return self.end(report).await;
        }
        let fetcher = match self.fetcher(client, plan) {
            Ok(fetcher) => Arc::new(fetcher),
            Err(error) => return self.fail(error).await,
        };
        let Self {
            terms,
            clock,
            start,
            resolution,
            began,
            store,
            mut known,
            reader,
            recovered,
            coins,
            held,
            unknown,
            advice,
            judged,
            followed,
            is_of_now,
        } = self;
        let mut writer = Writer::new(Arc::clone(&fetcher.folder), clock, &start.id, store);
        let fetched = fetch_all(
            &fetcher,
            &mut writer,
            &mut credits,
            charts,
            &mut known,
            &mut outcome,
            observer,
        )
        .await;
        // a call that was cut off may have been charged
        let charged = fetcher.client.spent().credits + outcome.cut;
        let settled = credits.settle(charged).await;
        let written = writer.idle().await;
        let (store, failure) = match written {
            Ok(store) => (store, None),
            // the first call gave the failed commit's error; the second gives the store
            Err(error) => (writer.idle().await?, Some(error)),
        };
        let mut run = Self {
            terms,
            clock,
            start,
            resolution,
            began,
            store,
            known,
            reader,
            recovered,
            coins,
            held,
            unknown,
            advice,
            judged,
            followed,
            is_of_now,
        };
        let done = Done {
            calls: fetcher.client.spent().calls,
            folder: fetcher.folder.path(),
            stored: writer.stored,
            commit_s: writer.seconds,
        };
        let failed = match (fetched, failure, settled) {
            (Err(error), ..) | (_, Some(error), _) | (_, _, Err(error)) => Some(error),
            _ if outcome.received == 0 && run.recovered.bodies == 0 => {
                let first = outcome.missing.first().map(ToString::to_string);
                let first = first.as_deref().unwrap_or("no response");
                let nothing = || Error::data(format!("nothing was received: {first}"));
                let said = outcome.error.take().or(outcome.first.take());
                let more = outcome.missing.len().saturating_sub(1);
                Some(said.map_or_else(nothing, |said| said.and_more(more)))
            }
            _ => None,
        };
        let failed = match failed {
            None => run.judge(&mut outcome).await.err(),
            failed => failed,
        };
        let report = run.report(postponed, outcome, Some(done));
        match failed {
            None => run.end(report).await,
            Some(error) => run.fail_with(report.to_run_end(), error).await,
        }
    }

    fn fetcher(&self, client: Client, plan: &Plan) -> Result<Fetcher> {
        Ok(Fetcher {
            client,
            folder: Arc::new(RunFolder::create(
                &self.terms.landing_dir,
                self.start.started_at.date_naive(),
                &run_header(&self.terms.vs_currency, &self.start),
            )?),
            reader: Arc::clone(&self.reader),
            clock: self.clock,
            plan: plan.clone(),
            ends_at: self.ends_at(),
        })
    }

    /// When a run of the half-hour stops fetching, so that the next one finds everything free. A clock that stands still never
    /// comes to it, and a run that is begun by hand late in a half-hour has a minute.
    fn ends_at(&self) -> Option<tokio::time::Instant> {
        let is_scheduled = matches!(self.start.kind, "timeseries" | "heal");
        let began = self.start.started_at;
        let ends_at = Slot::containing(began).end() - BEFORE_THE_NEXT;
        let left = self.clock.until(ends_at.max(began + BEFORE_THE_NEXT))?;
        is_scheduled.then(|| tokio::time::Instant::now() + left)
    }

    fn report(&self, postponed: u64, outcome: Outcome, done: Option<Done>) -> SeriesReport {
        let complete = outcome.missing.is_empty() && outcome.error.is_none();
        let stored = done.as_ref().map(|done| done.stored).unwrap_or_default();
        let commit_s = done.as_ref().map(|done| done.commit_s).unwrap_or_default();
        SeriesReport {
            run: self.start.id.clone(),
            kind: self.start.kind,
            resolution: self.resolution,
            state: if complete {
                RunState::Complete
            } else {
                RunState::Partial
            },
            expected: outcome.expected,
            received: outcome.received,
            stored: stored.points + self.recovered.stored.points,
            revisions: stored.revisions + self.recovered.stored.revisions,
            rejected: outcome.rejected + self.recovered.rejected,
            postponed: postponed + outcome.postponed + self.held,
            missing: outcome.missing,
            advice: self.advice.clone(),
            heal: None,
            was_cut: outcome.postponed > 0,
            unknown: self.unknown.clone(),
            drift: self.reader.drift(),
            calls: done.as_ref().map_or(0, |done| done.calls),
            recovered: self.recovered.bodies,
            landing_folder: done.map(|done| done.folder.display().to_string()),
            started_at: self.start.started_at,
            finished_at: self.clock.now(),
            timings: Timings {
                fetch_s: self.began.elapsed().as_secs_f64(),
                validate_s: 0.0,
                commit_s,
            },
            error: outcome.error.map(|error| error.chain()),
        }
    }

    async fn end(mut self, report: SeriesReport) -> Result<SeriesReport> {
        self.store
            .end_run(&self.start.id, &report.to_run_end())
            .await?;
        self.store.close().await?;
        tracing::info!(
            "{} {}: {}, {} of {} charts, {} points new, {} calls",
            report.kind,
            report.resolution,
            report.state,
            report.received,
            report.expected,
            report.stored,
            report.calls
        );
        Ok(report)
    }

    /// Writes that the run failed, and returns why.
    pub(super) async fn fail<T>(self, error: Error) -> Result<T> {
        let end = self.report(0, Outcome::default(), None).to_run_end();
        self.fail_with(end, error).await
    }

    /// Writes that the run failed with what it had come to by then, and returns why.
    async fn fail_with<T>(mut self, so_far: RunEnd, error: Error) -> Result<T> {
        let end = RunEnd {
            report: None,
            ..so_far.failed(&error)
        };
        self.store.fail_run(&self.start.id, &end).await;
        Err(error)
    }
}

/// What a run is to fetch.
#[derive(Debug, Default)]
pub(super) struct Planned {
    pub(super) charts: Vec<Chart>,
    /// Coins whose turn comes in a later run.
    pub(super) postponed: u64,
    /// What is missing and not worth fetching yet.
    pub(super) waiting: Vec<Absent>,
}

/// What the calls and commits of a run came to.
struct Done {
    calls: u64,
    folder: std::path::PathBuf,
    stored: Stored,
    commit_s: f64,
}
