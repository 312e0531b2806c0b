//! One run at work on the series of some coins at a resolution: its claims, its ledger row, what it recovers, and its end.
//! Which charts it fetches is decided by `timeseries`; how, by `series`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};

use super::Observer;
use super::arrival::blocking;
use super::begin::{run_header, run_start};
use super::credits::{Credits, Purse};
use super::keeping::{all_coins, lost_between, say_lost};
use super::known::{Due, Known};
use super::reader::Reader;
use super::report::Unknown;
use super::series::{Fetcher, Outcome, fetch_all, recover};
use super::series_facts::{Done, Facts, Recovered, before_the_next};
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
use crate::market::CoinId;
use crate::provider::Plan;
use crate::series::{Resolution, Span, Spans, days};
use crate::store::{
    Absent, Changes, Followed, IfHeld, RunEnd, Scope, SnapshotStore, TimeseriesStore,
};

/// A run that has its coins.
pub(super) struct SeriesRun {
    facts: Facts,
    store: TimeseriesStore,
    known: Known,
    /// The coins that it has.
    coins: Vec<CoinId>,
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

/// How far before its span a run looks at what is covered: windows are stretched by up to two days.
const STRETCH_DAYS: u32 = 3;

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
        let facts = Facts {
            reader: Arc::new(Reader::new(&terms.vs_currency, terms.contract)),
            terms,
            clock,
            start,
            resolution,
            began,
            recovered: Recovered::default(),
            held: held.len() as u64,
            unknown,
            advice,
        };
        let mut run = Self {
            facts,
            store,
            known: Known::default(),
            coins,
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
        let root = &self.facts.terms.landing_dir;
        let now = self.facts.start.started_at.timestamp_millis();
        self.judged = self.store.judged(self.facts.resolution).await?;
        let wanted_since = span.map_or(now, |span| span.start);
        let wanted_since = wanted_since.min(self.judged.unwrap_or(i64::MAX)) - days(STRETCH_DAYS);
        let (commit, known) = recover(
            root,
            &self.facts.reader,
            self.facts.resolution,
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
            self.facts.recovered = Recovered {
                bodies,
                rejected: commit
                    .charts
                    .iter()
                    .map(|chart| chart.refused.len() as u64)
                    .sum(),
                stored: self
                    .store
                    .commit(&self.facts.start.id, &commit, self.facts.clock)
                    .await?,
            };
        }
        // those that it recovered, and does not work on
        self.store.give_back().await
    }

    pub(super) fn started_at(&self) -> DateTime<Utc> {
        self.facts.start.started_at
    }

    /// When each coin was last asked for.
    pub(super) async fn visits(&mut self) -> Result<HashMap<CoinId, DateTime<Utc>>> {
        self.store.visits(self.facts.resolution).await
    }

    /// The stretches of history that are kept, and those that ended after an instant.
    pub(super) async fn followed(&mut self, ended_after: i64) -> Result<Vec<Followed>> {
        self.store
            .followed(self.facts.resolution, ended_after)
            .await
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
        let now = self.facts.start.started_at;
        Spendable::of(settings, purse, snapshot, &mut self.store, now).await
    }

    /// True for a coin that the run has.
    pub(super) fn has(&self, coin: &CoinId) -> bool {
        self.coins.contains(coin)
    }

    /// Up to when it was known what of the followed coins is covered and what is lost.
    pub(super) fn judged(&self) -> Option<i64> {
        self.judged
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
        self.store
            .change_followed(self.facts.resolution, changes)
            .await?;
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
        let now = self.facts.clock.now();
        // a chart fetched in this run begins up to so much later than its call
        let gone = now.timestamp_millis() - days(1) + 2_000;
        let lost = lost_between(&followed, &self.known.coverage, self.judged, gone);
        let run = &self.facts.start.id;
        self.store
            .judge(run, self.facts.resolution, &lost, gone, now)
            .await?;
        outcome.missing.extend(say_lost(&lost));
        Ok(())
    }

    /// What there is to fetch of a span of its coins. With `again`, what is covered is fetched too.
    pub(super) fn due(&self, span: Option<Span>, again: bool) -> Due {
        let now = self.started_at();
        let (coins, known) = (&self.coins, &self.known);
        known.due(coins, self.facts.resolution, span, again, now)
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
            let report = self.facts.report(postponed, outcome, None);
            return self.end(report).await;
        }
        let fetcher = match self.fetcher(client, plan) {
            Ok(fetcher) => Arc::new(fetcher),
            Err(error) => return self.fail(error).await,
        };
        let Self {
            facts,
            store,
            mut known,
            coins,
            judged,
            followed,
            is_of_now,
        } = self;
        let mut writer = Writer::new(
            Arc::clone(&fetcher.folder),
            facts.clock,
            &facts.start.id,
            store,
        );
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
            facts,
            store,
            known,
            coins,
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
            _ if outcome.received == 0
                && outcome.expected > 0
                && run.facts.recovered.bodies == 0 =>
            {
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
        let report = run.facts.report(postponed, outcome, Some(done));
        match failed {
            None => run.end(report).await,
            Some(error) => run.fail_with(report.to_run_end(), error).await,
        }
    }

    fn fetcher(&self, client: Client, plan: &Plan) -> Result<Fetcher> {
        Ok(Fetcher {
            client,
            folder: Arc::new(RunFolder::create(
                &self.facts.terms.landing_dir,
                self.facts.start.started_at.date_naive(),
                &run_header(&self.facts.terms.vs_currency, &self.facts.start),
            )?),
            reader: Arc::clone(&self.facts.reader),
            clock: self.facts.clock,
            plan: plan.clone(),
            ends_at: self.facts.ends_at(),
            grace: before_the_next() * 2 / 3,
        })
    }

    async fn end(mut self, mut report: SeriesReport) -> Result<SeriesReport> {
        report.is_anything_lost = self.store.is_anything_lost().await?;
        self.store
            .end_run(&self.facts.start.id, &report.to_run_end())
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
        let end = self.facts.report(0, Outcome::default(), None).to_run_end();
        self.fail_with(end, error).await
    }

    /// Writes that the run failed with what it had come to by then, and returns why.
    async fn fail_with<T>(mut self, so_far: RunEnd, error: Error) -> Result<T> {
        let end = RunEnd {
            report: None,
            ..so_far.failed(&error)
        };
        self.store.fail_run(&self.facts.start.id, &end).await;
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
