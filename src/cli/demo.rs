//! `coinmill demo`: a simulated market, both runs against it, and their results; offline, into SQLite.
//! It takes no settings from outside, so that it never touches a real database or a real API.

use std::path::Path;

use serde::Serialize;

use crate::config::{Layers, Settings};
use crate::error::Result;
use crate::market::Quote;
use crate::pipeline::{self, Observer, Report, RunState, SeriesReport};
use crate::series::Resolution;
use crate::sim::{Sim, SimOptions};
use crate::stop::{Stop, Stopper};

/// How many prices it shows.
const SHOWN: usize = 10;

/// The results of both runs.
#[derive(Serialize)]
pub(crate) struct Reports {
    snapshot: Report,
    timeseries: SeriesReport,
}

/// What the demo made.
pub(crate) struct Shown {
    pub(crate) reports: Reports,
    quotes: Vec<Quote>,
    settings: Settings,
}

/// Starts a market, runs a snapshot and the time series against it, and reads the first quotes back.
pub(crate) async fn run_demo(dir: &Path, stop: Stop) -> Result<Shown> {
    let sim = Sim::start(SimOptions::default()).await?;
    let settings = settings(dir, &sim)?;
    let observer = Observer::none().stopped_by(stop);
    let snapshot = pipeline::run_snapshot(&settings, None, &observer).await?;
    let timeseries =
        pipeline::run_timeseries(&settings, Resolution::FiveMinutes, &observer).await?;
    let mut quotes = pipeline::latest_quotes(&settings).await?;
    sim.stop().await;
    quotes.truncate(SHOWN);
    Ok(Shown {
        reports: Reports {
            snapshot,
            timeseries,
        },
        quotes,
        settings,
    })
}

/// Runs the demo and shows its results.
pub(super) async fn demo(dir: &Path, json: bool, stopper: &Stopper) -> Result<u8> {
    let Shown {
        reports,
        quotes,
        settings,
    } = run_demo(dir, stopper.listen()).await?;
    let Reports {
        snapshot,
        timeseries,
    } = &reports;
    super::print(json, &reports, || {
        format!(
            "A simulated CoinGecko market; no network is used.\n\n{}\n{}\n{}\n\n\
             database  {}\n          {}\nlanding   {}\n\n\
             Look around:  coinmill status --data-dir {dir}\n\
             \x20             coinmill runs --data-dir {dir}\n\
             \x20             sqlite3 {file} \\\n\
             \x20               'select symbol, current_price from v_current_snapshot limit 5'\n\
             Again:        coinmill demo (within the half-hour it makes no call and stores\n\
             \x20             nothing twice)\n\
             For real:     coinmill run snapshot",
            super::show::report(snapshot),
            super::show::series(timeseries),
            super::show::prices(&quotes, &settings.vs_currency),
            settings.snapshot_url,
            settings.timeseries_url,
            settings.landing_dir.display(),
            file = settings.snapshot_url.file().unwrap_or(dir).display(),
            dir = dir.display(),
        )
    })?;
    let complete = [snapshot.state, timeseries.state] == [RunState::Complete; 2];
    Ok(if complete {
        super::COMPLETE
    } else {
        super::PARTIAL
    })
}

fn settings(dir: &Path, sim: &Sim) -> Result<Settings> {
    let text = |value: &str| value.to_owned();
    Settings::resolve(&Layers::default().with_arguments([
        (text("api_url"), sim.url()),
        (text("plan"), text("unlimited")),
        (text("clock"), text("sim")),
        (text("data_dir"), dir.display().to_string()),
    ])?)
}
