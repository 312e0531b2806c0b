//! The command line: arguments in, tables or JSON out, one exit code.
//! It decides nothing about data; it calls the pipeline and shows what came of it.

mod args;
mod demo;
mod interrupt;
mod progress;
mod quarantine;
mod replay;
mod show;
mod simulate;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use tracing_subscriber::EnvFilter;

use crate::config::Settings;
use crate::error::{Error, Result};
use crate::pipeline::{self, Observer, RunState, SeriesReport};
use crate::series::Resolution;
use crate::stop::Stopper;
use args::{Arguments, Command, Format, Run};
#[cfg(any(feature = "python", test))]
pub(crate) use demo::run_demo;

/// Nothing is missing.
const COMPLETE: u8 = 0;
/// It failed.
const FAILED: u8 = 1;
/// It was asked for wrongly.
const USAGE: u8 = 2;
/// Something is missing; what came is stored.
const PARTIAL: u8 = 3;

/// Runs the `coinmill` command. Exit codes: 0 complete, 1 failed, 2 usage, 3 partial, 130 and 143 stopped.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    ExitCode::from(run(arguments))
}

/// Runs the `coinmill` command and returns its exit code; see [`main`].
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    #[cfg(feature = "failpoints")]
    let _listening = crate::failpoint::listen();
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // help and version come this way too, with code 0
            let _unprintable = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(USAGE);
        }
    };
    log_to_stderr(arguments.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return complain(&Error::store("the system gives no threads", error), FAILED),
    };
    let stopper = Stopper::default();
    let outcome = runtime.block_on(interrupt::or_stopped(
        &stopper,
        dispatch(arguments, &stopper),
    ));
    // a thread that a dropped command left at work must not keep the program
    runtime.shutdown_background();
    outcome.unwrap_or_else(|error| match &error {
        Error::Argument { .. } => complain(&error, USAGE),
        _ => complain(&error, FAILED),
    })
}

async fn dispatch(Arguments { command, json, .. }: Arguments, stopper: &Stopper) -> Result<u8> {
    match command {
        Command::Init { settings } => {
            let Some(settings) = usable(settings.load()) else {
                return Ok(USAGE);
            };
            pipeline::init(&settings).await?;
            let ready = show::Ready::of(&settings);
            print(json, &ready, || ready.text())?;
            Ok(COMPLETE)
        }
        Command::Run {
            what: Run::Snapshot { slot, settings },
        } => {
            let Some(settings) = usable(settings.load()) else {
                return Ok(USAGE);
            };
            let slot = slot.map(|slot| slot.parse()).transpose()?;
            snapshot(&settings, slot, json, stopper).await
        }
        Command::Run {
            what:
                Run::Timeseries {
                    resolution,
                    settings,
                },
        } => {
            let Some(settings) = usable(settings.load()) else {
                return Ok(USAGE);
            };
            timeseries(&settings, resolution.parse()?, json, stopper).await
        }
        Command::Run {
            what:
                Run::All {
                    slot,
                    resolution,
                    settings,
                },
        } => {
            let Some(settings) = usable(settings.load()) else {
                return Ok(USAGE);
            };
            let slot = slot.map(|slot| slot.parse()).transpose()?;
            let resolution = resolution.parse()?;
            let first = snapshot(&settings, slot, json, stopper).await?;
            let second = timeseries(&settings, resolution, json, stopper).await?;
            Ok(first.max(second))
        }
        Command::Backfill(arguments) => {
            let Some((settings, wanted)) = usable(arguments.load()) else {
                return Ok(USAGE);
            };
            let bar = progress::Bar::new();
            let show = |progress| bar.show(progress);
            let observer = Observer::new(&show).stopped_by(stopper.listen());
            let outcome = pipeline::backfill(&settings, &wanted, &observer).await;
            bar.clear();
            series(outcome, json)
        }
        Command::Export {
            format: Format::Parquet,
            folder,
            from,
            until,
            settings,
        } => {
            let Some(settings) = usable(settings.load()) else {
                return Ok(USAGE);
            };
            let exported = pipeline::export_parquet(&settings, &folder, from, until).await?;
            print(json, &exported, || show::exported(&exported, &folder))?;
            Ok(COMPLETE)
        }
        Command::Runs { limit, settings } => {
            let Some(settings) = usable(settings.load()) else {
                return Ok(USAGE);
            };
            let runs = pipeline::runs(&settings, limit).await?;
            print(json, &runs, || show::runs(&runs))?;
            Ok(COMPLETE)
        }
        Command::Status { settings } => {
            let Some(settings) = usable(settings.load()) else {
                return Ok(USAGE);
            };
            let status = pipeline::status(&settings).await?;
            print(json, &status, || show::status(&status))?;
            Ok(COMPLETE)
        }
        Command::Quarantine { what } => quarantine::quarantine(what, json).await,
        Command::Replay { run, settings } => replay::replay(&run, settings, json).await,
        Command::Sim(options) => simulate::serve(options, json).await,
        Command::Demo { dir } => demo::demo(&dir, json, stopper).await,
    }
}

async fn snapshot(
    settings: &Settings,
    slot: Option<crate::market::Slot>,
    json: bool,
    stopper: &Stopper,
) -> Result<u8> {
    let bar = progress::Bar::new();
    let show = |progress| bar.show(progress);
    let observer = Observer::new(&show).stopped_by(stopper.listen());
    let outcome = pipeline::run_snapshot(settings, slot, &observer).await;
    bar.clear();
    ended(outcome, |report| report.state, show::report, json)
}

async fn timeseries(
    settings: &Settings,
    resolution: Resolution,
    json: bool,
    stopper: &Stopper,
) -> Result<u8> {
    let bar = progress::Bar::new();
    let show = |progress| bar.show(progress);
    let observer = Observer::new(&show).stopped_by(stopper.listen());
    let outcome = pipeline::run_timeseries(settings, resolution, &observer).await;
    bar.clear();
    series(outcome, json)
}

fn series(outcome: Result<SeriesReport>, json: bool) -> Result<u8> {
    ended(outcome, |report| report.state, show::series, json)
}

/// Prints what came of a run, and gives its exit code.
fn ended<R: Serialize>(
    outcome: Result<R>,
    state: impl FnOnce(&R) -> RunState,
    text: impl FnOnce(&R) -> String,
    json: bool,
) -> Result<u8> {
    match outcome {
        Ok(report) => {
            print(json, &report, || text(&report))?;
            Ok(match state(&report) {
                RunState::Complete => COMPLETE,
                _ => PARTIAL,
            })
        }
        Err(Error::Incomplete {
            message, report, ..
        }) => {
            print(json, &report, String::new)?;
            Ok(complain(&Error::data(message), PARTIAL))
        }
        Err(error) => Err(error),
    }
}

/// Settings that cannot be used are a matter of usage.
fn usable<T>(settings: Result<T>) -> Option<T> {
    settings.map_err(|error| complain(&error, USAGE)).ok()
}

fn complain(error: &Error, code: u8) -> u8 {
    let _unprintable = writeln!(io::stderr(), "coinmill: {}", error.chain());
    code
}

/// Prints for people or for machines. A reader that went away is no error.
fn print(json: bool, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
    let text = if json {
        serde_json::to_string(value)
            .map_err(|error| Error::data("the result cannot be written as JSON").because(error))?
    } else {
        text()
    };
    if !text.is_empty() {
        let _reader_gone = writeln!(io::stdout(), "{}", text.trim_end());
    }
    Ok(())
}

/// Logs go to stderr: warnings, with `-v` more, or whatever `COINMILL_LOG` asks for.
fn log_to_stderr(verbose: u8) {
    let default = match verbose {
        0 => "warn",
        1 => "coinmill=info,warn",
        _ => "coinmill=debug,info",
    };
    let filter =
        EnvFilter::try_from_env("COINMILL_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let logger = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_target(false);
    // a second command in one process keeps the first one's logger
    let _already_set = logger.try_init();
}
