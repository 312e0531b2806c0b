//! Charts into the time series database: concurrent within the plan's pace, stored in bounded batches, each one commit.
//! Which charts to fetch is decided by the runs, `timeseries` and `backfill`.

use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::arrival::land;
use super::credits::Credits;
use super::known::{Known, no_points, refusal};
use super::reach::in_reach;
use super::reader::Reader;
use super::writer::Writer;
use super::{Observer, Progress, Unit};
use crate::clock::Clock;
use crate::coingecko::charts::Chart;
use crate::error::{Error, Result};
use crate::http::{Client, Response};
use crate::landing::{self, Landed, RunFolder};
use crate::market::CoinId;
use crate::provider::Plan;
use crate::series::Resolution;
use crate::store::{Absent, ReceivedChart, RunProgress, SeriesCommit, TimeseriesStore};

/// Calls under way at once.
const CONCURRENT: usize = 8;

/// A batch is committed when it has so many points, or so many charts.
const BATCH_POINTS: usize = 40_000;
const BATCH_CHARTS: usize = 100;

/// As long as the batch before is on its way, it may have so many points: each commit waits for the disk.
const MOST_POINTS: usize = 3 * BATCH_POINTS;

/// What the calls of a run need, shared between them.
pub(super) struct Fetcher {
    pub(super) client: Client,
    pub(super) folder: Arc<RunFolder>,
    pub(super) reader: Arc<Reader>,
    pub(super) clock: Clock,
    pub(super) plan: Plan,
    /// When no more calls are begun, if ever, and how long those under way have then.
    pub(super) ends_at: Option<Instant>,
    pub(super) grace: Duration,
}

impl Fetcher {
    /// True where the half-hour is over.
    fn is_over(&self) -> bool {
        self.ends_at
            .is_some_and(|ends_at| Instant::now() >= ends_at)
    }

    /// Waits for something as long as the half-hour allows; `None` too where it is nothing.
    async fn in_time<T>(&self, next: impl Future<Output = Option<T>>) -> Option<T> {
        match self.ends_at {
            None => next.await,
            Some(ends_at) => timeout_at(ends_at + self.grace, next).await.ok().flatten(),
        }
    }
}

/// How many different coins have to fail in a row, without a response between them, for the API itself to be out.
const OUT: usize = 5;

/// The result of the charts.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Charts to fetch.
    pub(super) expected: u64,
    /// Charts that were received and can be believed.
    pub(super) received: u64,
    /// Points, or whole bodies, that were refused.
    pub(super) rejected: u64,
    /// What is missing.
    pub(super) missing: Vec<Absent>,
    /// Coins left for a later run, since the half-hour was over.
    pub(super) postponed: u64,
    /// Calls that were cut off then.
    pub(super) cut: u64,
    /// What stopped the run before its end.
    pub(super) error: Option<Error>,
    /// What the first chart failed with.
    pub(super) first: Option<Error>,
}

impl Outcome {
    /// A run that is to fetch so many charts, and what is missing already.
    pub(super) fn expecting(charts: usize, missing: Vec<Absent>) -> Self {
        Self {
            expected: charts as u64,
            missing,
            ..Self::default()
        }
    }

    fn note(&mut self, chart: &ReceivedChart) {
        self.rejected += chart.refused.len() as u64;
        match chart.span {
            Some(_) => {
                self.received += 1;
                self.missing.extend(no_points(&chart.coin, &chart.empty()));
                self.missing
                    .extend(refusal(&chart.coin, &chart.coverage.refused));
                self.missing.extend(chart.behind.map(|behind| {
                    let reason =
                        format!("the response came from a cache and lacks points from {behind}");
                    Absent::coin(chart.coin.as_str(), reason)
                }));
            }
            None => {
                let reason = chart
                    .refused
                    .first()
                    .map_or("refused", |refused| refused.reason.as_str());
                self.missing.push(Absent::coin(chart.coin.as_str(), reason));
            }
        }
    }

    fn progress(&self, calls: u64) -> RunProgress {
        RunProgress {
            expected: self.expected,
            received: self.received,
            rejected: self.rejected,
            calls,
        }
    }
}

/// True for an error that is not one chart's own: it would meet the next call too.
fn is_general(error: &Error) -> bool {
    match error {
        // a key that is refused, or a plan that does not reach so far
        Error::Source { status, .. } => matches!(status, Some(401 | 403)),
        Error::Data { .. } => false,
        _ => true,
    }
}

/// Fetches the charts and stores what comes, which `outcome` tells also where it fails. `known` is what the database knows
/// already, and grows.
///
/// # Errors
/// [`Error::Store`] where a batch could not be stored; those before it are. [`Error::Data`] for a body that breaks a frozen
/// contract; [`Error::Stopped`]. What else CoinGecko says is in the outcome.
pub(super) async fn fetch_all(
    fetcher: &Arc<Fetcher>,
    writer: &mut Writer,
    credits: &mut Credits,
    planned: Vec<Chart>,
    known: &mut Known,
    outcome: &mut Outcome,
    observer: &Observer<'_>,
) -> Result<()> {
    let mut queue: VecDeque<Chart> = planned.into();
    let mut calls = JoinSet::new();
    let mut batch = SeriesCommit::default();
    let mut failing: Vec<CoinId> = Vec::new();
    let mut done = 0;
    // the batch is large enough, and waits for the one before
    let mut is_waiting = false;
    loop {
        observer.show(Progress {
            received: done,
            expected: outcome.expected,
            unit: Unit::Charts,
            per_minute: fetcher.plan.calls_per_minute.map(NonZeroU32::get),
        });
        while outcome.error.is_none()
            && calls.len() < CONCURRENT
            && !queue.is_empty()
            && !fetcher.is_over()
        {
            if let Err(error) = credits.take(fetcher.clock.now(), queue.len() as u64).await {
                outcome.error = Some(error);
            } else if let Some(chart) = queue.pop_front() {
                let chart = in_reach(chart, &fetcher.plan, fetcher.clock.now());
                calls.spawn(fetch(Arc::clone(fetcher), chart));
            }
        }
        let next = fetcher.in_time(calls.join_next());
        let next = if is_waiting {
            tokio::select! {
                biased;
                next = next => next,
                () = writer.settled() => {
                    is_waiting = false;
                    batch.progress = outcome.progress(fetcher.client.spent().calls);
                    writer.write(std::mem::take(&mut batch)).await?;
                    continue;
                }
            }
        } else {
            writer.beside(next).await?
        };
        let Some(joined) = next else {
            // what is under way is cut off: the next run fetches it again
            outcome.cut = calls.len() as u64;
            calls.shutdown().await;
            break;
        };
        let (chart, received) =
            joined.map_err(|error| Error::data("a call was lost").because(error))?;
        done += 1;
        match received {
            Ok(received) => {
                failing.clear();
                let received = known.mark(received);
                outcome.note(&received);
                batch.charts.push(received);
            }
            // bodies that wait for their commit stay in the landing; none comes to it once the run has ended
            Err(error)
                if fetcher.reader.is_breached() || matches!(error, Error::Stopped { .. }) =>
            {
                calls.shutdown().await;
                return Err(error);
            }
            Err(error) => {
                batch
                    .failed
                    .push((chart.coin.clone(), chart.resolution(), error.to_string()));
                outcome
                    .missing
                    .push(Absent::coin(chart.coin.as_str(), error.chain()));
                // an unknown coin is a response, too
                if matches!(
                    error,
                    Error::Source {
                        status: Some(404),
                        ..
                    }
                ) {
                    failing.clear();
                } else if !failing.contains(&chart.coin) {
                    failing.push(chart.coin);
                }
                let is_out = is_general(&error) || failing.len() >= OUT;
                if is_out && outcome.error.is_none() {
                    outcome.error = Some(error);
                } else if outcome.first.is_none() {
                    outcome.first = Some(error);
                }
            }
        }
        let points: usize = batch.charts.iter().map(|chart| chart.points.len()).sum();
        is_waiting = (BATCH_POINTS..MOST_POINTS).contains(&points) && writer.is_busy();
        let is_full = points >= BATCH_POINTS && !is_waiting;
        if is_full || batch.charts.len() >= BATCH_CHARTS {
            is_waiting = false;
            batch.progress = outcome.progress(fetcher.client.spent().calls);
            writer.write(std::mem::take(&mut batch)).await?;
        }
    }
    if outcome.error.is_none() && fetcher.is_over() {
        let left = outcome.expected - done;
        outcome.postponed = left;
        outcome.expected = done;
    } else if !queue.is_empty() {
        let coins: HashSet<&CoinId> = queue.iter().map(|chart| &chart.coin).collect();
        let what = format!("{} charts of {} coins", queue.len(), coins.len());
        outcome.missing.push(Absent::other(what, "not fetched"));
    }
    if !batch.charts.is_empty() || !batch.failed.is_empty() {
        batch.progress = outcome.progress(fetcher.client.spent().calls);
        writer.write(batch).await?;
    }
    Ok(())
}

/// Charts in batches, each to be one commit.
pub(super) fn batches(charts: Vec<ReceivedChart>) -> Vec<SeriesCommit> {
    let mut batches = vec![SeriesCommit::default()];
    let mut points = 0;
    for chart in charts {
        if points >= BATCH_POINTS {
            batches.push(SeriesCommit::default());
            points = 0;
        }
        points += chart.points.len();
        if let Some(batch) = batches.last_mut() {
            batch.charts.push(chart);
        }
    }
    batches
}

/// One chart: fetched, landed, parsed and validated.
async fn fetch(fetcher: Arc<Fetcher>, chart: Chart) -> (Chart, Result<ReceivedChart>) {
    let request = chart.request(&fetcher.reader.vs_currency);
    let land = |response: &Response| land(&fetcher.folder, &request, response);
    let read = |landed, response: &Response| fetcher.reader.read(&chart, landed, &response.body);
    let received = fetcher.client.get(&request, land, read).await;
    (chart, received)
}

/// Recovers what dead runs of a resolution have landed and nobody has stored: nothing is paid for twice. What is of coins that
/// another run has is left to whoever has them next. With it comes what is known of what ends after an instant (milliseconds since
/// 1970), or after the beginning of the oldest of those charts.
///
/// # Errors
/// [`Error::Store`]; [`Error::Data`] where one of them breaks a frozen contract.
pub(super) async fn recover(
    root: &Path,
    reader: &Reader,
    resolution: Resolution,
    store: &mut TimeseriesStore,
    wanted_since: i64,
    kept_from: i64,
) -> Result<(SeriesCommit, Known)> {
    let mut commit = SeriesCommit::default();
    for (run, started_at) in store.unrecovered_runs(resolution).await? {
        let day = started_at.date_naive();
        let landed = landing::runs_of(root, day)?
            .into_iter()
            .filter(|(header, _)| header.run == run);
        let landed = landed.flat_map(|(_, bodies)| bodies);
        let mut charts: Vec<(Chart, Landed)> = landed
            .filter(|body| body.status == 200)
            .filter_map(|body| Some((Chart::of_url(body.url(), &reader.vs_currency)?, body)))
            .filter(|(chart, _)| chart.resolution() == resolution)
            .collect();
        let folder = format!("{day}/{run}/");
        retain_unused(&mut charts, &folder, store).await?;
        let coins = charts.iter().map(|(chart, _)| chart.coin.clone());
        let held = store.claim(coins).await?;
        // who had them may have stored them meanwhile
        retain_unused(&mut charts, &folder, store).await?;
        let is_whole = !charts.iter().any(|(chart, _)| held.contains(&chart.coin));
        charts.retain(|(chart, _)| !held.contains(&chart.coin));
        for (chart, body) in charts {
            store.show_life().await?;
            match reader.read_landed(root, &chart, &body) {
                Ok(received) => commit.charts.push(received),
                Err(error) if reader.is_breached() => return Err(error),
                Err(error) => tracing::debug!("{} is not recovered: {}", body.path, error.chain()),
            }
        }
        if is_whole {
            commit.recovered.push(run);
        }
    }
    let spans = commit.charts.iter().filter_map(|chart| chart.span);
    let oldest = spans.map(|span| span.start).min();
    let since = wanted_since.min(oldest.unwrap_or(i64::MAX));
    let mut known = Known {
        since,
        kept_from,
        coverage: store.coverage_since(resolution, since).await?,
        empty_spans: store.empty_spans_since(resolution, since, i64::MAX).await?,
    };
    let charts = std::mem::take(&mut commit.charts).into_iter();
    commit.charts = charts.map(|chart| known.mark(chart)).collect();
    Ok((commit, known))
}

/// Keeps those of a run's bodies that no commit has used.
async fn retain_unused(
    charts: &mut Vec<(Chart, Landed)>,
    folder: &str,
    store: &mut TimeseriesStore,
) -> Result<()> {
    if !charts.is_empty() {
        let used: HashSet<String> = store.used_bodies(folder).await?.into_iter().collect();
        charts.retain(|(_, body)| !used.contains(&body.path));
    }
    Ok(())
}
