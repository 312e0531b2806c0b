//! What can be written on the command line.
//! The settings' flags are `settings`'s.

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Parser, Subcommand};

use super::quarantine::Quarantine;
use super::settings::SettingArguments;
use super::simulate::SimArguments;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::market::Instant;
use crate::pipeline::{Backfill, Reach};

/// CoinGecko's market data, complete or saying what is missing, stored once, traceable to the bytes it came from.
#[derive(Debug, Parser)]
#[command(name = "coinmill", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
    /// Print one JSON value, for machines
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Log more to stderr; twice for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
}

const AFTER_HELP: &str = "\
Exit codes: 0 complete, 1 failed, 2 usage or setting, 3 partial (what came is stored; of status: stale), 4 held by another run or
the slot is past, 130 and 143 stopped by a signal. With --json every outcome, a failure too, is one JSON value on stdout.
Every setting can be a flag, a variable (COINMILL_TOP=100) or a line of coinmill.toml (top = 100); `coinmill run snapshot --help` lists them.
Try it offline: coinmill demo";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make or migrate the databases; repeating it changes nothing
    Init {
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// Fetch, judge and store
    Run {
        #[command(subcommand)]
        what: Run,
    },
    /// Fetch the history of a span, as far as it is not there; it goes on where it was stopped
    Backfill(BackfillArguments),
    /// Write the processed layer as files, in dated folders; writing a day again replaces its file
    Export {
        /// The folder
        #[arg(long = "to", value_name = "DIR")]
        folder: std::path::PathBuf,
        /// The format of the files
        #[arg(long, value_enum, default_value = "parquet")]
        format: Format,
        /// From this day (UTC) on
        #[arg(long)]
        from: Option<NaiveDate>,
        /// Up to this day (UTC), which is not included
        #[arg(long)]
        until: Option<NaiveDate>,
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// The newest runs and what came of them
    Runs {
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: u32,
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// What the databases hold, and what is left of the plan
    Status {
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// Records that were refused: list them, show one, judge them again
    Quarantine {
        #[command(subcommand)]
        what: Quarantine,
    },
    /// Rebuild a run from its landing in a scratch database, by the rules in force, and compare it with what is stored
    Replay {
        /// The run's id; `coinmill runs` lists them
        run: String,
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// A CoinGecko-shaped market server, for trying things and for tests
    Sim(SimArguments),
    /// A market, a run and what came of it: offline, into SQLite
    Demo {
        /// Where its databases and landing go
        #[arg(long, default_value = "coinmill-demo")]
        dir: std::path::PathBuf,
    },
}

/// A format of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Apache Parquet, compressed with zstd
    Parquet,
}

#[derive(Debug, Subcommand)]
pub(super) enum Run {
    /// The top coins, and coins by name, for the current half-hour
    Snapshot {
        /// The slot, such as 2026-01-31T00:30Z [default: the current one]
        #[arg(long)]
        slot: Option<String>,
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// What is new of the price history of the newest snapshot's coins: this run's share of the plan
    Timeseries {
        /// 5m, 1h or 1d
        #[arg(long, default_value = "5m")]
        resolution: String,
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// A snapshot, then the time series
    All {
        /// The snapshot's slot [default: the current one]
        #[arg(long)]
        slot: Option<String>,
        /// The time series' resolution: 5m, 1h or 1d
        #[arg(long, default_value = "5m")]
        resolution: String,
        #[command(flatten)]
        settings: SettingArguments,
    },
}

/// Which history to fetch.
#[derive(Debug, clap::Args)]
pub(super) struct BackfillArguments {
    /// The last so many days
    #[arg(long, conflicts_with_all = ["from", "until"], required_unless_present = "from")]
    days: Option<u32>,
    /// From this day or instant (UTC), such as 2026-01-31 or 2026-01-31T12:00:00Z
    #[arg(long, value_parser = instant)]
    from: Option<DateTime<Utc>>,
    /// Up to this day or instant (UTC), which is not included [default: now]
    #[arg(long, value_parser = instant, requires = "from")]
    until: Option<DateTime<Utc>>,
    /// 5m (the last day only), 1h or 1d
    #[arg(long, default_value = "1h")]
    resolution: String,
    /// Ask also for what was answered before: nothing stored is changed, what differs becomes a revision
    #[arg(long)]
    refetch: bool,
    #[command(flatten)]
    settings: SettingArguments,
}

impl BackfillArguments {
    /// The settings, and what is wanted under them.
    pub(super) fn load(self) -> Result<(Settings, Backfill)> {
        let settings = self.settings.load()?;
        let reach = match (self.days, self.from) {
            (Some(days), _) => Reach::Days(days),
            (None, Some(from)) => Reach::Between(from, self.until),
            (None, None) => return Err(Error::argument("say how far: --days N, or --from DAY")),
        };
        let wanted = Backfill {
            resolution: self.resolution.parse()?,
            reach,
            coins: Vec::new(),
            refetch: self.refetch,
        };
        Ok((settings, wanted))
    }
}

fn instant(text: &str) -> Result<DateTime<Utc>> {
    text.parse().map(|Instant(instant)| instant)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn no_secret_is_a_flag() {
        let help = Arguments::command()
            .find_subcommand_mut("init")
            .unwrap()
            .render_long_help()
            .to_string();
        assert!(help.contains("--vs-currency") && !help.contains("--api-key"));
    }
}
