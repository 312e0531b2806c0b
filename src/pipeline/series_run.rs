//! One run at work on the series of a resolution: its lock, its ledger row, what it takes up, and its end.
//! Which charts it asks for is decided by `timeseries`; how, by `series`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};

use super::Observer;
use super::begin::{run_header, run_start};
use super::credits::Credits;
use super::reach::is_due;
use super::reader::Reader;
use super::report::{RunState, Timings, failed};
use super::series::{Asking, Outcome, adopt, ask_all};
use super::series_report::SeriesReport;
use super::writer::Writer;
use crate::clock::Clock;
use crate::coingecko::charts::Chart;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::http::Client;
use crate::landing::{self, RunFolder};
use crate::market::CoinId;
use crate::quality::Rules;
use crate::series::{Resolution, Span, Spans};
use crate::stop::Stop;
use crate::store::{RunStart, Scope, SnapshotStore, Stored, TimeseriesStore};

/// A run that holds its series.
pub(super) struct SeriesRun<'a> {
    settings: &'a Settings,
    clock: Clock,
    start: RunStart,
    resolution: Resolution,
    began: Instant,
    store: TimeseriesStore,
    coverage: HashMap<CoinId, Spans>,
    reader: Arc<Reader>,
    taken_up: TakenUp,
}

/// What runs that died had landed, and what it gave.
#[derive(Debug, Clone, Copy, Default)]
struct TakenUp {
    bodies: u64,
    stored: Stored,
    rejected: u64,
}

impl<'a> SeriesRun<'a> {
    /// Takes the lock, writes the ledger's row, and takes up what dead runs have landed.
    pub(super) async fn open(
        settings: &'a Settings,
        clock: Clock,
        kind: &'static str,
        resolution: Resolution,
    ) -> Result<Self> {
        let rules = Rules::new(settings.thresholds, &settings.refuse)?;
        let began = Instant::now();
        let mut store =
            TimeseriesStore::open(&settings.timeseries_url, &settings.vs_currency).await?;
        store.hold(resolution).await?;
        let scope = Scope::Series(resolution);
        let start = run_start(settings, &rules, kind, scope, clock.now());
        store.begin_run(&start).await?;
        let mut run = Self {
            settings,
            clock,
            start,
            resolution,
            began,
            store,
            coverage: HashMap::new(),
            reader: Arc::new(Reader::new(&settings.vs_currency, settings.contract)),
            taken_up: TakenUp::default(),
        };
        match run.take_up().await {
            Ok(()) => Ok(run),
            Err(error) => run.fail(error).await,
        }
    }

    async fn take_up(&mut self) -> Result<()> {
        self.coverage = self.store.coverage(self.resolution).await?;
        let root = &self.settings.landing_dir;
        let (commit, bodies) = adopt(
            root,
            &self.reader,
            self.resolution,
            &mut self.store,
            &mut self.coverage,
        )
        .await?;
        if !commit.adopted.is_empty() {
            landing::sync_bodies(root, commit.charts.iter().map(|chart| &chart.landed))?;
            self.taken_up = TakenUp {
                bodies,
                rejected: commit
                    .charts
                    .iter()
                    .map(|chart| chart.refused.len() as u64)
                    .sum(),
                stored: self
                    .store
                    .commit(&self.start.id, &commit, self.clock.now())
                    .await?,
            };
        }
        Ok(())
    }

    pub(super) fn started_at(&self) -> DateTime<Utc> {
        self.start.started_at
    }

    /// When each coin was last asked for.
    pub(super) async fn visits(&mut self) -> Result<HashMap<CoinId, DateTime<Utc>>> {
        self.store.visits(self.resolution).await
    }

    /// What the database does not cover of a span, by coin; only where a new settled point can be.
    pub(super) fn gaps(&self, coins: &[CoinId], span: Option<Span>) -> Vec<(CoinId, Vec<Span>)> {
        let none = Spans::default();
        let Some(span) = span else { return Vec::new() };
        let gaps = coins.iter().map(|coin| {
            let covered = self.coverage.get(coin).unwrap_or(&none);
            let mut gaps = covered.gaps_in(span);
            gaps.retain(|gap| is_due(self.resolution, *gap, span));
            (coin.clone(), gaps)
        });
        gaps.filter(|(_, gaps)| !gaps.is_empty()).collect()
    }

    /// Asks for the charts, stores what comes, and writes how it ended.
    pub(super) async fn go(
        self,
        snapshot: &mut SnapshotStore,
        planned: Vec<Chart>,
        postponed: u64,
        observer: &Observer<'_>,
    ) -> Result<SeriesReport> {
        let expected = planned.len() as u64;
        if planned.is_empty() {
            let report = self.report(expected, postponed, Outcome::default(), None);
            return self.end(report).await;
        }
        let asking = match self.asking(observer.stop.clone()) {
            Ok(asking) => Arc::new(asking),
            Err(error) => return self.fail(error).await,
        };
        let Self {
            settings,
            clock,
            start,
            resolution,
            began,
            store,
            mut coverage,
            reader,
            taken_up,
        } = self;
        let mut writer = Writer::new(Arc::clone(&asking), &start.id, store);
        let mut credits = Credits::new(snapshot, settings.plan.credits_per_month);
        let asked = ask_all(
            &asking,
            &mut writer,
            &mut credits,
            planned,
            &mut coverage,
            observer,
        )
        .await;
        let settled = credits.settle(asking.client.spent().credits).await;
        let written = writer.idle().await;
        let (store, failure) = match written {
            Ok(store) => (store, None),
            // the first call gave the failed commit's error; the second gives the store
            Err(error) => (writer.idle().await?, Some(error)),
        };
        let calls = asking.client.spent().calls;
        let run = Self {
            settings,
            clock,
            start,
            resolution,
            began,
            store,
            coverage,
            reader,
            taken_up,
        };
        let outcome = match (asked, failure, settled) {
            (Ok(outcome), None, Ok(())) => outcome,
            (Err(error), ..) | (_, Some(error), _) | (_, _, Err(error)) => {
                return run.fail_after(calls, error).await;
            }
        };
        if outcome.answered == 0 && run.taken_up.bodies == 0 {
            let first = match (outcome.error, outcome.missing.first()) {
                (Some(error), _) => error,
                (None, Some(missing)) => Error::data(format!("nothing came: {missing}")),
                (None, None) => Error::data("nothing came"),
            };
            return run.fail_after(calls, first).await;
        }
        let done = Done {
            calls,
            folder: asking.folder.path(),
            stored: writer.stored,
            commit_s: writer.seconds,
        };
        let report = run.report(expected, postponed, outcome, Some(done));
        run.end(report).await
    }

    fn asking(&self, stop: Stop) -> Result<Asking> {
        Ok(Asking {
            client: Client::new(self.settings, self.clock, stop)?,
            folder: RunFolder::create(
                &self.settings.landing_dir,
                self.start.started_at.date_naive(),
                &run_header(self.settings, &self.start),
            )?,
            reader: Arc::clone(&self.reader),
            clock: self.clock,
        })
    }

    fn report(
        &self,
        expected: u64,
        postponed: u64,
        outcome: Outcome,
        done: Option<Done>,
    ) -> SeriesReport {
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
            expected,
            received: outcome.answered,
            stored: stored.points + self.taken_up.stored.points,
            revisions: stored.revisions + self.taken_up.stored.revisions,
            rejected: outcome.rejected + self.taken_up.rejected,
            postponed,
            missing: outcome.missing,
            drift: self.reader.drift(),
            calls: done.as_ref().map_or(0, |done| done.calls),
            reused: self.taken_up.bodies,
            landing: done.map(|done| done.folder.display().to_string()),
            started_at: self.start.started_at,
            finished_at: self.clock.now(),
            timings: Timings {
                fetch_s: self.began.elapsed().as_secs_f64(),
                judge_s: 0.0,
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
        report.or_incomplete(self.settings.completeness)
    }

    /// Writes that the run failed, and returns why.
    pub(super) async fn fail<T>(self, error: Error) -> Result<T> {
        self.fail_after(0, error).await
    }

    async fn fail_after<T>(mut self, calls: u64, error: Error) -> Result<T> {
        let end = failed(&error, calls, self.reader.drift(), self.clock.now());
        self.store.fail_run(&self.start.id, &end).await;
        Err(error)
    }
}

/// What the calls and commits of a run came to.
struct Done {
    calls: u64,
    folder: std::path::PathBuf,
    stored: Stored,
    commit_s: f64,
}
