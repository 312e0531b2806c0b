//! The command line: arguments in, tables or JSON out, one exit code.
//! It decides nothing about data; it calls the pipeline and shows the result.

mod args;
mod ask;
mod candles;
mod check;
mod completions;
mod config;
mod db_init;
mod demo;
mod doctor;
mod explain;
mod export;
mod failure;
mod gaps;
mod interrupt;
mod layout;
mod plan;
mod price;
mod progress;
mod prune;
mod quarantine;
mod replay;
mod rows;
mod rules;
mod search;
mod settings;
mod show;
mod simulate;
mod universe;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tracing_subscriber::EnvFilter;

use crate::config::Settings;
use crate::error::{Error, Result};
use crate::market::Slot;
use crate::pipeline::{self, Observer, RunState, SeriesReport};
use crate::series::Resolution;
use crate::stop::Stopper;
use crate::store::RunRow;
use args::{Arguments, Command, Run};
#[cfg(any(feature = "python", test))]
pub(crate) use demo::run_demo;
use interrupt::Interrupt;

/// Nothing is missing.
const COMPLETE: u8 = 0;
/// Something is missing; what was received is stored.
const PARTIAL: u8 = 3;

/// Runs the `coinmill` command, and ends the process with its exit code; `coinmill --help` lists them.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    ExitCode::from(run(arguments))
}

/// Runs the `coinmill` command and returns its exit code; see [`main`].
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    #[cfg(feature = "failpoints")]
    let _listening = crate::failpoint::listen();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return failure::of_usage(&error, json),
    };
    log_to_stderr(arguments.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = Error::store("the system gives no threads", error);
            return failure::told(&error, failure::code(&error), json);
        }
    };
    // the end that a market is meant to have
    let is_wished_for = matches!(arguments.command, Command::Sim(_));
    let interrupt = Interrupt::default();
    let command = dispatch(arguments, &interrupt);
    let outcome = runtime.block_on(interrupt.or_stopped(json && !is_wished_for, command));
    // a thread that a dropped command left at work must not keep the program
    runtime.shutdown_background();
    outcome.unwrap_or_else(|error| failure::told(&error, failure::code(&error), json))
}

async fn dispatch(Arguments { command, json, .. }: Arguments, interrupt: &Interrupt) -> Result<u8> {
    let stopper = &interrupt.stopper;
    match command {
        Command::Init { settings } => {
            let settings = settings.load()?;
            pipeline::init(&settings).await?;
            let ready = show::Ready::of(&settings);
            print(json, &ready, || ready.text())?;
            Ok(COMPLETE)
        }
        Command::Run {
            what: Run::Snapshot { slot, settings },
        } => {
            let settings = settings.load()?;
            let slot = slot.map(|slot| slot.parse()).transpose()?;
            snapshot(&settings, slot, stopper).await?.tell(json)
        }
        Command::Run {
            what:
                Run::Timeseries {
                    resolution,
                    settings,
                },
        } => {
            let settings = settings.load()?;
            let resolution = resolution.parse()?;
            timeseries(&settings, resolution, stopper).await?.tell(json)
        }
        Command::Run {
            what:
                Run::Listing {
                    accept_losses,
                    settings,
                },
        } => {
            let settings = settings.load()?;
            listing(&settings, accept_losses, stopper)
                .await?
                .1
                .tell(json)
        }
        Command::Run {
            what:
                Run::All {
                    slot,
                    resolution,
                    settings,
                },
        } => {
            let settings = settings.load()?;
            let slot = slot.map(|slot| slot.parse()).transpose()?;
            all(&settings, slot, resolution.parse()?, json, interrupt).await
        }
        Command::Backfill(arguments) => {
            let yes = arguments.yes;
            let (settings, wanted) = arguments.load()?;
            ask::before_a_backfill(&settings, &wanted, yes).await?;
            let run = async |observer: &Observer<'_>| {
                pipeline::backfill(&settings, &wanted, observer).await
            };
            series(progress::shown(stopper, run).await)?.tell(json)
        }
        Command::Export(arguments) => export::export(arguments, json, stopper).await,
        Command::Runs { limit, settings } => {
            let settings = settings.load()?;
            let runs = pipeline::runs(&settings, limit).await?;
            print(json, &Runs { runs: &runs }, || show::runs(&runs))?;
            Ok(COMPLETE)
        }
        Command::Status { settings } => {
            let settings = settings.load()?;
            let status = pipeline::status(&settings).await?;
            print(json, &status, || show::status(&status))?;
            Ok(if status.is_stale { PARTIAL } else { COMPLETE })
        }
        Command::Universe(arguments) => universe::universe(arguments, json).await,
        Command::Candles(arguments) => {
            let (settings, wanted) = arguments.load()?;
            let read = pipeline::candles(&settings, &wanted).await?;
            print(json, &candles::json(&read), || {
                candles::text(&read, &wanted)
            })?;
            Ok(if read.missing.is_empty() {
                COMPLETE
            } else {
                PARTIAL
            })
        }
        Command::Pin { as_of, settings } => {
            let pin = pipeline::pin(&settings.load()?, as_of).await?;
            let object = serde_json::json!({ "pin": pin });
            print(json, &object, || format!("{pin}\n"))?;
            Ok(COMPLETE)
        }
        Command::Explain(arguments) => {
            let (settings, wanted) = arguments.load()?;
            let explained = pipeline::explain(&settings, &wanted).await?;
            print(json, &explained, || explain::text(&explained))?;
            Ok(COMPLETE)
        }
        Command::Config { settings } => config::config(settings, json),
        Command::Doctor { offline, settings } => doctor::doctor(offline, settings, json).await,
        Command::Completions { shell } => completions::completions(shell, json),
        Command::DbInit(arguments) => db_init::db_init(arguments, json).await,
        Command::Check(arguments) => check::check(arguments, json).await,
        Command::Price(arguments) => price::price(arguments, json).await,
        Command::Search(arguments) => search::search(arguments, json).await,
        Command::Resolve(arguments) => search::resolve(arguments, json).await,
        Command::Gaps(arguments) => {
            let (settings, wanted) = arguments.load()?;
            let report = pipeline::gaps(&settings, &wanted).await?;
            print(json, &report, || gaps::gaps(&report))?;
            Ok(if report.is_partial() {
                PARTIAL
            } else {
                COMPLETE
            })
        }
        Command::Heal { spend, settings } => {
            let settings = settings.load()?;
            let run =
                async |observer: &Observer<'_>| pipeline::heal(&settings, spend, observer).await;
            let outcome = progress::shown(stopper, run).await;
            Ended::of(outcome, |report| report.state, gaps::heal)?.tell(json)
        }
        Command::Plan { settings } => {
            let settings = settings.load()?;
            let plan = pipeline::plan(&settings).await?;
            print(json, &plan, || plan::plan(&plan))?;
            Ok(COMPLETE)
        }
        Command::Quarantine { what } => quarantine::quarantine(what, json).await,
        Command::Rules { days, settings } => rules::rules(days, settings, json).await,
        Command::Replay { run, settings } => replay::replay(&run, settings, json).await,
        Command::Prune { dry_run, settings } => prune::prune(dry_run, settings, json).await,
        Command::Sim(options) => simulate::serve(options, json).await,
        Command::Demo { data_dir } => demo::demo(&data_dir, json, stopper).await,
    }
}

/// The ledger for scripts.
#[derive(Serialize)]
struct Runs<'a> {
    runs: &'a [RunRow],
}

/// The result of a run that stored something, or had nothing to store.
struct Ended {
    report: Box<RawValue>,
    text: String,
    /// Why it is an error all the same.
    incomplete: Option<Error>,
    exit_code: u8,
}

impl Ended {
    fn of<R: Serialize>(
        outcome: Result<R>,
        state: impl FnOnce(&R) -> RunState,
        text: impl FnOnce(&R) -> String,
    ) -> Result<Self> {
        match outcome {
            Ok(report) => Ok(Self {
                report: json_of(&report)?,
                text: text(&report),
                incomplete: None,
                exit_code: match state(&report) {
                    RunState::Complete => COMPLETE,
                    _ => PARTIAL,
                },
            }),
            Err(Error::Incomplete {
                message,
                report,
                retryable,
            }) => Ok(Self {
                report: json_of(&report)?,
                text: String::new(),
                incomplete: Some(Error::Incomplete {
                    message,
                    report,
                    retryable,
                }),
                exit_code: PARTIAL,
            }),
            Err(error) => Err(error),
        }
    }

    /// Prints it, and gives its exit code.
    fn tell(self, json: bool) -> Result<u8> {
        print(json, &self.report, || self.text)?;
        if let Some(error) = &self.incomplete {
            failure::told(error, self.exit_code, false);
        }
        Ok(self.exit_code)
    }
}

async fn snapshot(settings: &Settings, slot: Option<Slot>, stopper: &Stopper) -> Result<Ended> {
    let run =
        async |observer: &Observer<'_>| pipeline::run_snapshot(settings, slot, observer).await;
    let outcome = progress::shown(stopper, run).await;
    Ended::of(outcome, |report| report.state, show::report)
}

async fn timeseries(
    settings: &Settings,
    resolution: Resolution,
    stopper: &Stopper,
) -> Result<Ended> {
    let run = async |observer: &Observer<'_>| {
        pipeline::run_timeseries(settings, resolution, observer).await
    };
    series(progress::shown(stopper, run).await)
}

fn series(outcome: Result<SeriesReport>) -> Result<Ended> {
    Ended::of(outcome, |report| report.state, show::series)
}

/// The day's list, and whether it was stored before.
async fn listing(
    settings: &Settings,
    accept_losses: bool,
    stopper: &Stopper,
) -> Result<(bool, Ended)> {
    let run = async |observer: &Observer<'_>| {
        pipeline::run_listing(settings, accept_losses, observer).await
    };
    let report = progress::shown(stopper, run).await?;
    let is_known = report.is_known();
    Ended::of(Ok(report), |report| report.state, show::listing).map(|ended| (is_known, ended))
}

#[derive(Serialize)]
struct All {
    snapshot: Option<Box<RawValue>>,
    timeseries: Option<Box<RawValue>>,
    /// Null where the run before it was stopped.
    listing: Option<Box<RawValue>>,
    /// That of the first that failed: the same keys as of any failure.
    #[serde(flatten)]
    failure: Option<failure::Failure>,
}

/// A snapshot, then the time series, then the list of all coins, as one object for scripts. Whatever becomes of one, the next is
/// tried: a day's charts fall off whether or not there was a snapshot. A list that is stored is not spoken of.
async fn all(
    settings: &Settings,
    slot: Option<Slot>,
    resolution: Resolution,
    json: bool,
    interrupt: &Interrupt,
) -> Result<u8> {
    let stopper = &interrupt.stopper;
    let first = snapshot(settings, slot, stopper).await;
    if let Err(Error::Stopped { .. }) = first {
        return first?.tell(json);
    }
    let first = Part::of(first, json, interrupt)?;
    let second = timeseries(settings, resolution, stopper).await;
    let is_stopped = matches!(second, Err(Error::Stopped { .. }));
    let second = Part::of(second, json, interrupt)?;
    let mut parts = vec![first, second];
    if !is_stopped {
        parts.push(match listing(settings, false, stopper).await {
            Ok((true, ended)) => Part {
                report: ended.report,
                failure: None,
                exit_code: COMPLETE,
            },
            Ok((false, ended)) => Part::of(Ok(ended), json, interrupt)?,
            Err(error) => Part::of(Err(error), json, interrupt)?,
        });
    }
    let failed = parts.iter().find(|part| part.failure.is_some());
    let codes = parts.iter().map(|part| part.exit_code);
    let exit_code = failed.map_or_else(|| codes.max().unwrap_or(COMPLETE), |part| part.exit_code);
    if json {
        let failure = parts.iter_mut().find_map(|part| part.failure.take());
        let mut reports = parts.into_iter().map(|part| part.report);
        let all = All {
            snapshot: reports.next(),
            timeseries: reports.next(),
            listing: reports.next(),
            failure,
        };
        print(json, &all, String::new)?;
    }
    Ok(exit_code)
}

/// What became of one of several runs.
struct Part {
    report: Box<RawValue>,
    failure: Option<failure::Failure>,
    exit_code: u8,
}

impl Part {
    /// Told to people at once, and kept for scripts.
    fn of(outcome: Result<Ended>, json: bool, interrupt: &Interrupt) -> Result<Self> {
        match outcome {
            Ok(ended) => Ok(Self {
                report: ended.report.clone(),
                failure: None,
                exit_code: if json {
                    ended.exit_code
                } else {
                    ended.tell(json)?
                },
            }),
            Err(error) => {
                let exit_code = failure::told(&error, interrupt.code_of(&error), false);
                let failure = failure::Failure::of(&error, exit_code);
                Ok(Self {
                    report: json_of(&failure)?,
                    failure: Some(failure),
                    exit_code,
                })
            }
        }
    }
}

fn json_of(value: &impl Serialize) -> Result<Box<RawValue>> {
    to_raw_value(value)
        .map_err(|error| Error::data("the result cannot be written as JSON").because(error))
}

/// Prints for people or for scripts. A reader that went away is no error; what cannot be written is one, since a script would take
/// nothing for the answer.
fn print(json: bool, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
    let text = if json {
        json_of(value)?.get().to_owned()
    } else {
        text()
    };
    if !text.is_empty() {
        let mut out = anstream::stdout();
        let written = writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush());
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            let message = "the output cannot be written: free some space, or send it elsewhere";
            return Err(Error::store(message, error));
        }
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
    let filter = std::env::var("COINMILL_LOG")
        .ok()
        // an empty variable counts as unset, as with every setting
        .filter(|filter| !filter.is_empty())
        .and_then(|filter| EnvFilter::try_new(filter).ok())
        .unwrap_or_else(|| EnvFilter::new(default));
    let logger = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| progress::BesideTheBar)
        .with_target(false);
    // a second command in one process keeps the first one's logger
    let _already_set = logger.try_init();
}
