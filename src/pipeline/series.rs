//! Charts into the time series database: concurrent within the plan's pace, stored in bounded batches, each one commit.
//! Which charts to ask for is decided by the runs, `timeseries` and `backfill`.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::arrival::land;
use super::credits::Credits;
use super::reader::Reader;
use super::writer::Writer;
use super::{Observer, Progress};
use crate::clock::Clock;
use crate::coingecko::charts::Chart;
use crate::error::{Error, Result};
use crate::http::{Client, Reply};
use crate::landing::{self, RunFolder};
use crate::market::CoinId;
use crate::series::{Resolution, Spans};
use crate::store::{AnsweredChart, SeriesCommit, TimeseriesStore};

/// Calls under way at once.
const CONCURRENT: usize = 8;

/// A batch is committed when it has so many points, or so many charts.
const BATCH_POINTS: usize = 40_000;
const BATCH_CHARTS: usize = 100;

/// What the calls of a run need, shared between them.
pub(super) struct Asking {
    pub(super) client: Client,
    pub(super) folder: RunFolder,
    pub(super) reader: Arc<Reader>,
    pub(super) clock: Clock,
}

/// What came of the charts.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Charts that were answered with something to believe.
    pub(super) answered: u64,
    /// Points, or whole bodies, that were refused.
    pub(super) rejected: u64,
    /// What is missing, by name.
    pub(super) missing: Vec<String>,
    /// What stopped the run before its end.
    pub(super) error: Option<Error>,
}

impl Outcome {
    fn note(&mut self, chart: &AnsweredChart) {
        self.rejected += chart.refused.len() as u64;
        match chart.span {
            Some(_) => self.answered += 1,
            None => {
                let reason = chart
                    .refused
                    .first()
                    .map_or("refused", |refused| refused.reason.as_str());
                self.missing.push(format!("{} ({reason})", chart.coin));
            }
        }
    }
}

/// Asks for the charts and stores what comes. `coverage` is what the database covers already, and grows.
///
/// # Errors
/// [`Error::Store`] where a batch could not be stored; those before it are. What the source says is in the outcome.
pub(super) async fn ask_all(
    asking: &Arc<Asking>,
    writer: &mut Writer,
    credits: &mut Credits<'_>,
    planned: Vec<Chart>,
    coverage: &mut HashMap<CoinId, Spans>,
    observer: &Observer<'_>,
) -> Result<Outcome> {
    let expected = planned.len() as u64;
    let mut queue: VecDeque<Chart> = planned.into();
    let mut calls = JoinSet::new();
    let mut batch = SeriesCommit::default();
    let mut outcome = Outcome::default();
    let mut done = 0;
    loop {
        observer.show(Progress {
            received: done,
            expected,
            unit: "charts",
        });
        while outcome.error.is_none() && calls.len() < CONCURRENT && !queue.is_empty() {
            if let Err(error) = credits.take(asking.clock.now(), queue.len() as u64).await {
                outcome.error = Some(error);
            } else if let Some(chart) = queue.pop_front() {
                calls.spawn(answer(Arc::clone(asking), chart));
            }
        }
        let Some(joined) = calls.join_next().await else {
            break;
        };
        let (chart, answered) =
            joined.map_err(|error| Error::data("a call was lost").because(error))?;
        done += 1;
        match answered {
            Ok(answered) => {
                outcome.note(&answered);
                batch.charts.push(marked(answered, coverage));
            }
            // bodies that wait for their commit stay in the landing; none comes to it once the run has ended
            Err(error) if asking.reader.is_breached() => {
                calls.shutdown().await;
                return Err(error);
            }
            Err(error) => {
                batch
                    .unanswered
                    .push((chart.coin.clone(), chart.resolution(), error.to_string()));
                outcome
                    .missing
                    .push(format!("{} ({})", chart.coin, error.chain()));
                // an unknown coin is its own trouble; anything else would meet the next call too
                if !matches!(
                    error,
                    Error::Source {
                        status: Some(404),
                        ..
                    }
                ) && outcome.error.is_none()
                {
                    outcome.error = Some(error);
                }
            }
        }
        let points: usize = batch.charts.iter().map(|chart| chart.points.len()).sum();
        if points >= BATCH_POINTS || batch.charts.len() >= BATCH_CHARTS {
            writer.write(std::mem::take(&mut batch)).await?;
        }
    }
    if !queue.is_empty() {
        let coins: HashSet<&CoinId> = queue.iter().map(|chart| &chart.coin).collect();
        outcome.missing.push(format!(
            "{} charts of {} coins (not asked for)",
            queue.len(),
            coins.len()
        ));
    }
    if !batch.charts.is_empty() || !batch.unanswered.is_empty() {
        writer.write(batch).await?;
    }
    Ok(outcome)
}

/// Charts in batches, each to be one commit.
pub(super) fn batches(charts: Vec<AnsweredChart>) -> Vec<SeriesCommit> {
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

/// Says whether a chart's span is free of what is covered, and covers it.
pub(super) fn marked(
    mut chart: AnsweredChart,
    coverage: &mut HashMap<CoinId, Spans>,
) -> AnsweredChart {
    if let Some(span) = chart.span {
        let covered = coverage.entry(chart.coin.clone()).or_default();
        chart.fresh = covered.is_clear_of(span);
        covered.insert(span);
    }
    chart
}

/// One chart: asked, landed, parsed and judged.
async fn answer(asking: Arc<Asking>, chart: Chart) -> (Chart, Result<AnsweredChart>) {
    let request = chart.request(&asking.reader.vs_currency);
    let land = |reply: &Reply| land(&asking.folder, &request, reply);
    let read = |landed, reply: &Reply| asking.reader.read(&chart, landed, &reply.body);
    let answered = asking.client.get(&request, land, read).await;
    (chart, answered)
}

/// Takes up what dead runs of a resolution have landed and nobody has stored: nothing is paid for twice. Returns how many
/// bodies that was.
///
/// # Errors
/// [`Error::Store`]; [`Error::Data`] where one of them breaks a frozen contract.
pub(super) async fn adopt(
    root: &Path,
    reader: &Reader,
    resolution: Resolution,
    store: &mut TimeseriesStore,
    coverage: &mut HashMap<CoinId, Spans>,
) -> Result<(SeriesCommit, u64)> {
    let mut commit = SeriesCommit::default();
    for (run, started_at) in store.orphans(resolution).await? {
        let day = started_at.date_naive();
        let used: HashSet<String> = store
            .used_bodies(&format!("{day}/{run}/"))
            .await?
            .into_iter()
            .collect();
        let landed = landing::runs_of(root, day)?
            .into_iter()
            .filter(|(header, _)| header.run == run);
        for body in landed
            .flat_map(|(_, bodies)| bodies)
            .filter(|body| body.status == 200 && !used.contains(&body.path))
        {
            let Some(chart) = Chart::of_url(body.url(), &reader.vs_currency)
                .filter(|chart| chart.resolution() == resolution)
            else {
                continue;
            };
            match reader.read_landed(root, &chart, &body) {
                Ok(answered) => commit.charts.push(marked(answered, coverage)),
                Err(error) if reader.is_breached() => return Err(error),
                Err(error) => tracing::debug!("{} is not taken up: {}", body.path, error.chain()),
            }
        }
        commit.adopted.push(run);
    }
    let bodies = commit
        .charts
        .iter()
        .filter(|chart| chart.span.is_some())
        .count() as u64;
    Ok((commit, bodies))
}
