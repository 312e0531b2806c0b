//! Calls of the pipeline as values that can be sent, and their results: one body for this process and a worker's.
//! It knows neither Python nor where it runs.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::config::Settings;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::market::Slot;
use crate::pipeline::{
    self, Backfill, Candles, Explain, Gaps, Observer, Pick, Prices, Progress, Quotes, Read,
    Revisions, Search, Universe,
};
use crate::series::Resolution;
use crate::stop::Stopper;

/// A verb with its arguments.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Call {
    Init,
    RunSnapshot { slot: Option<Slot> },
    RunTimeseries { resolution: Resolution },
    RunListing { accept_losses: bool },
    Backfill(Backfill),
    Gaps(Gaps),
    Heal { spend: Option<u64> },
    Plan,
    Universe(Universe),
    Search(Search),
    Resolve { text: String },
    Quotes(Quotes),
    Prices(Prices),
    PriceParts(Prices),
    QuoteParts(Quotes),
    Candles(Candles),
    Pin { as_of: Option<DateTime<Utc>> },
    Explain(Explain),
    Revisions(Revisions),
    Quarantine(Pick),
    Rules { days: u32 },
    Requeue(Pick),
    Replay { run: String },
    Prune { is_dry_run: bool },
    Runs { limit: u32 },
    Status,
    Doctor { is_offline: bool },
    Demo { data_dir: PathBuf },
}

/// Who is told how far a run is.
pub(crate) type Tell<'a> = dyn Fn(Progress) + Send + Sync + 'a;

/// The result of a call.
#[derive(Debug)]
pub(crate) enum Returned {
    /// A value as JSON text, which keeps every number as it was written.
    Json(String),
    /// Rows, with what is missing of them.
    Frame(Read),
    /// The same, and sums of them.
    FrameAndTotals(Read, Frame),
}

impl Call {
    /// True where the call opens a SQLite file that others may have open.
    ///
    /// The scratch database of a replay does not count: it lies in a new temporary folder, nobody else opens it, and it is
    /// removed with the call.
    pub(crate) fn is_on_sqlite(&self, settings: &Settings) -> bool {
        let owners = [&settings.snapshot_owner_url, &settings.timeseries_owner_url];
        matches!(self, Self::Demo { .. })
            || [
                &settings.snapshot_url,
                &settings.timeseries_url,
                &settings.budget_url,
                &settings.budget_owner_url,
            ]
            .into_iter()
            .chain(owners.into_iter().flatten())
            .any(|url| url.file().is_some())
    }

    /// Does what is asked for. Runs listen to the stopper, and tell how far they are; anything else can be dropped at any time.
    pub(crate) async fn run(
        self,
        settings: &Settings,
        stopper: &Stopper,
        tell: &Tell<'_>,
    ) -> Result<Returned> {
        let run = || Observer::new(tell).stopped_by(stopper.listen());
        match self {
            Self::Init => json(&pipeline::init(settings).await?),
            Self::RunSnapshot { slot } => {
                json(&pipeline::run_snapshot(settings, slot, &run()).await?)
            }
            Self::RunTimeseries { resolution } => {
                json(&pipeline::run_timeseries(settings, resolution, &run()).await?)
            }
            Self::RunListing { accept_losses } => {
                json(&pipeline::run_listing(settings, accept_losses, &run()).await?)
            }
            Self::Backfill(wanted) => json(&pipeline::backfill(settings, &wanted, &run()).await?),
            Self::Gaps(wanted) => {
                let (gaps, totals) =
                    pipeline::gaps_frames(pipeline::gaps(settings, &wanted).await?)?;
                Ok(Returned::FrameAndTotals(gaps, totals))
            }
            Self::Heal { spend } => json(&pipeline::heal(settings, spend, &run()).await?),
            Self::Plan => json(&pipeline::plan(settings).await?),
            Self::Universe(wanted) => Ok(Returned::Frame(
                pipeline::universe(settings, &wanted).await?,
            )),
            Self::Search(wanted) => {
                pipeline::search_frame(pipeline::search(settings, &wanted).await?)
                    .map(Returned::Frame)
            }
            Self::Resolve { text } => json(&pipeline::resolve(settings, &text).await?),
            Self::Quotes(wanted) => Ok(Returned::Frame(pipeline::quotes(settings, &wanted).await?)),
            Self::Prices(wanted) => Ok(Returned::Frame(pipeline::prices(settings, &wanted).await?)),
            Self::PriceParts(wanted) => json(&pipeline::price_parts(settings, &wanted).await?),
            Self::QuoteParts(wanted) => json(&pipeline::quote_parts(settings, &wanted).await?),
            Self::Candles(wanted) => {
                Ok(Returned::Frame(pipeline::candles(settings, &wanted).await?))
            }
            Self::Pin { as_of } => json(&pipeline::pin(settings, as_of).await?),
            Self::Explain(wanted) => json(&pipeline::explain(settings, &wanted).await?),
            Self::Rules { days } => json(&pipeline::rules(settings, days).await?),
            Self::Revisions(wanted) => Ok(Returned::Frame(
                pipeline::revisions(settings, &wanted).await?,
            )),
            Self::Quarantine(pick) => {
                pipeline::quarantine_frame(pipeline::quarantine(settings, &pick).await?)
                    .map(Returned::Frame)
            }
            Self::Requeue(pick) => json(&pipeline::requeue(settings, &pick).await?),
            Self::Replay { run } => json(&pipeline::replay(settings, &run).await?),
            Self::Prune { is_dry_run } => json(&pipeline::prune(settings, is_dry_run).await?),
            Self::Runs { limit } => {
                pipeline::runs_frame(pipeline::runs(settings, limit).await?).map(Returned::Frame)
            }
            Self::Status => json(&pipeline::status(settings).await?),
            Self::Doctor { is_offline } => json(&pipeline::doctor(settings, is_offline).await),
            Self::Demo { data_dir } => {
                let shown = crate::cli::run_demo(&data_dir, stopper.listen()).await?;
                json(&shown.reports)
            }
        }
    }
}

fn json(value: &impl Serialize) -> Result<Returned> {
    let text = serde_json::to_string(value)
        .map_err(|error| Error::data("the result cannot be written as JSON").because(error))?;
    Ok(Returned::Json(text))
}
