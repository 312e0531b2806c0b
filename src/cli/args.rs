//! What can be written on the command line.
//! The settings' flags are `settings`'s.

use chrono::{DateTime, Utc};
use clap::{Parser, Subcommand};

use super::check::CheckArguments;
use super::db_init::DbInitArguments;
use super::export::ExportArguments;
use super::price::PriceArguments;
use super::quarantine::Quarantine;
use super::search::{ResolveArguments, SearchArguments};
use super::settings::SettingArguments;
use super::simulate::SimArguments;
use crate::candles::zone;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::market::{CoinId, Instant};
use crate::pipeline::{AsOf, Backfill, Candles, Explain, Gaps, Reach, Universe};

/// Market data from CoinGecko: complete or with a list of what is missing, stored once, traceable to the received bytes.
#[derive(Debug, Parser)]
#[command(
    name = "coinmill",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = AFTER_HELP
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
    /// Print one JSON object, for scripts
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Log more to stderr; twice for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
}

const AFTER_HELP: &str = "\
Exit codes:
  0    complete
  1    failed
  2    the command, a setting or the set-up has to be corrected
  3    partial: what was received is stored; of check: so is the newest
       snapshot; of status: stale; of gaps: points are lost or failed; of
       replay: rows differ; of quarantine requeue: records are refused again
  4    another run is at work on the slot or the series, or the slot is past
  130  stopped by Ctrl-C (SIGINT); 143: by SIGTERM

With --json every outcome, a failure too, is one JSON object on stdout.

Every setting can be a flag (--top 100), a variable (COINMILL_TOP=100) or a line of coinmill.toml (top = 100); `coinmill run snapshot --help` lists them.

Try it offline: coinmill demo";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make or migrate the databases; repeating it changes nothing
    Init {
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// Make roles, databases and schemas on a PostgreSQL server, as its administrator; before `init`
    ///
    /// The roles: coinmill_owner migrates, coinmill_writer runs, coinmill_reader reads, airflow owns Airflow's database. Their
    /// passwords come from COINMILL_OWNER_PASSWORD, COINMILL_WRITER_PASSWORD, COINMILL_READER_PASSWORD and
    /// AIRFLOW_DATABASE_PASSWORD; where one is not set, the role keeps what it has. Repeating it changes only what is different.
    DbInit(DbInitArguments),
    /// Fetch, validate and store: a snapshot, the time series, the list of all coins, or all of them
    Run {
        #[command(subcommand)]
        what: Run,
    },
    /// Fetch the history of a span, as far as it is not stored; stopped and run again, it resumes
    Backfill(BackfillArguments),
    /// Write quotes and prices as files, in dated folders; writing a day again replaces its file
    Export(ExportArguments),
    /// The newest runs and their results
    Runs {
        /// How many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// What the databases hold, and how many calls are left this month
    Status {
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// Open, high, low and close of coins, from what is stored
    Candles(CandlesArguments),
    /// Where a number came from: its body, request, run, rules, revisions and what was refused
    Explain(ExplainArguments),
    /// Whether the newest snapshot is complete and recent, for cron, systemd and monitoring
    ///
    /// One line says why. Exit code 0 when it is, 3 when it is partial, 1 when it is too old or there is none.
    Check(CheckArguments),
    /// The newest stored price of coins: its age, 24 h change and snapshot; no call is made
    Price(PriceArguments),
    /// The coins of a past snapshot by market cap, also those that have died or been renamed since
    Universe(UniverseArguments),
    /// Find coins by id, symbol, name or a part of one: candidates with their ranks; no call is made
    Search(SearchArguments),
    /// The id of the one coin that an id, a symbol or a name means, or an error that lists the candidates
    Resolve(ResolveArguments),
    /// Whether all is there that runs need: databases, landing, clock, API, key and plan
    ///
    /// It changes nothing. Each line is ok, a warning or failed, with the remedy. Exit code 1 where something failed.
    Doctor {
        /// Leave out the API: no call is made
        #[arg(long)]
        offline: bool,
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// Each setting: its value, and whether a flag, a variable, the file or a default gives it
    ///
    /// Keys and passwords are starred out.
    Config {
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// What is stored at this moment, as a text by which it can be read again later, whatever comes
    Pin {
        /// What was stored at this instant instead
        #[arg(long, alias = "at", value_parser = instant, value_name = "INSTANT")]
        as_of: Option<DateTime<Utc>>,
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// Where price history has gaps, and why
    Gaps(GapsArguments),
    /// Fetch what `gaps` lists and CoinGecko still gives: what is lost at 5m, by the hour
    Heal {
        /// Spend up to so many calls, also such as the schedule needs [default: those that it leaves]
        #[arg(long, value_name = "N")]
        spend: Option<u64>,
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// What the schedule needs of the plan's calls, what the month has left, and what is at risk
    Plan {
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// Refused records: list them, show one, validate them again
    Quarantine {
        #[command(subcommand)]
        what: Quarantine,
    },
    /// The rules that quotes and charts are held against, with their bounds, reasons and counts
    ///
    /// A snapshot's score is 1 - (missing + warned / 10) / all, each coin counting as 1 / its market cap rank.
    Rules {
        /// How many days to count back
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=36_525))]
        days: u32,
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// Rebuild a run from its landing (the received bytes) and compare it with what is stored
    ///
    /// It is rebuilt in a scratch database, by the rules in force. Exit code 3 where rows differ.
    Replay {
        /// The run's id, or the beginning or the end of it; `coinmill runs` lists them
        run: String,
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// Delete what is kept no longer, as the settings retention_days_5m, …_1h, …_1d and …_landing say
    ///
    /// None of them is set by default, and nothing is deleted. It needs the owner of PostgreSQL databases.
    Prune {
        /// Only say what would be deleted
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// A script by which your shell completes commands, flags and values
    ///
    /// bash: coinmill completions bash > ~/.local/share/bash-completion/completions/coinmill
    ///
    /// zsh: into a file _coinmill in a folder of $fpath; fish: into ~/.config/fish/completions/coinmill.fish
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// A simulated CoinGecko server, for trials and tests
    Sim(SimArguments),
    /// Run both against a simulated market, offline, into SQLite, and print the results
    Demo {
        /// Where its databases and received bytes are stored
        #[arg(long, value_name = "DIR", default_value = "coinmill-demo")]
        data_dir: std::path::PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Run {
    /// The quotes of the largest coins, and of coins by id, for the current half-hour
    ///
    /// Its score is 1 - (missing + warned / 10) / all, each coin counting as 1 / its market cap rank.
    Snapshot {
        /// The half-hour by its start, such as 2026-01-31T00:30Z [default: the current one]
        #[arg(long)]
        slot: Option<String>,
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// What is new in the price history of the newest snapshot's coins, within this run's share of the plan's calls
    Timeseries {
        /// 5m, 1h or 1d
        #[arg(long, default_value = "5m")]
        resolution: String,
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// The list of all coins: once a day, one call; it tells which are delisted, and since when
    Listing {
        /// Take a list that lacks more coins than can be gone since the one before
        #[arg(long)]
        accept_losses: bool,
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// A snapshot, then the time series, then the day's list of all coins
    All {
        /// The snapshot's half-hour by its start [default: the current one]
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
    /// The last DAYS days
    #[arg(long, conflicts_with_all = ["from", "until"], required_unless_present_any = ["from", "until"])]
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
    /// Fetch again what is stored: no row is changed, a value that differs becomes a revision
    #[arg(long)]
    refetch: bool,
    /// Spend up to so many calls, also such as the schedule needs [default: those that it leaves]
    #[arg(long, value_name = "N")]
    spend: Option<u64>,
    /// Begin without asking, however much of the month it takes
    #[arg(long)]
    pub(super) yes: bool,
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
            spend: self.spend,
        };
        Ok((settings, wanted))
    }
}

/// Which candles to show.
#[derive(Debug, clap::Args)]
pub(super) struct CandlesArguments {
    /// The coins, by id
    #[arg(value_name = "COIN", value_parser = coin, required = true)]
    only: Vec<CoinId>,
    /// How long each is: minutes or hours that divide a day (5m, 15m, 1h, 4h), or 1d, 1w, 1mo
    #[arg(long, default_value = "1h", value_name = "LENGTH")]
    every: String,
    /// Whose midnights days begin at, such as Europe/Berlin
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    zone: String,
    /// Those that begin on this day or at this instant (UTC), or later
    #[arg(long, value_parser = instant)]
    from: Option<DateTime<Utc>>,
    /// Those that begin before this day or instant (UTC)
    #[arg(long, value_parser = instant)]
    until: Option<DateTime<Utc>>,
    /// As it was stored at this instant, or at this pin
    #[arg(long, value_name = "INSTANT")]
    as_of: Option<AsOf>,
    #[command(flatten)]
    settings: SettingArguments,
}

impl CandlesArguments {
    /// The settings, and what is wanted under them.
    pub(super) fn load(self) -> Result<(Settings, Candles)> {
        let wanted = Candles {
            coins: self.only,
            every: self.every.parse()?,
            zone: zone(&self.zone)?,
            start: self.from,
            end: self.until,
            as_of: self.as_of,
        };
        Ok((self.settings.load()?, wanted))
    }
}

/// Which universe to read. The setting of the name `top` is how many coins a snapshot asks for, which nothing here does.
#[derive(Debug, clap::Args)]
#[command(mut_arg("top", |top| top.help("So many of the largest by market cap [default: all]").help_heading(None)))]
pub(super) struct UniverseArguments {
    /// The newest snapshot at or before this day or instant (UTC) [default: the newest]
    #[arg(long, value_parser = instant, value_name = "INSTANT")]
    at: Option<DateTime<Utc>>,
    /// As it was stored at this instant, or at this pin
    #[arg(long, value_name = "INSTANT")]
    as_of: Option<AsOf>,
    #[command(flatten)]
    settings: SettingArguments,
}

impl UniverseArguments {
    /// The settings, and what is wanted under them.
    pub(super) fn load(mut self) -> Result<(Settings, Universe)> {
        let top = self.settings.take("top").map(|text| {
            let number = text.parse().ok().filter(|number| *number > 0);
            number.ok_or_else(|| {
                Error::argument(format!(
                    "--top: {text:?} is not a whole number of at least 1"
                ))
            })
        });
        let wanted = Universe {
            top: top.transpose()?,
            at: self.at,
            as_of: self.as_of,
        };
        Ok((self.settings.load()?, wanted))
    }
}

/// Which number to explain.
#[derive(Debug, clap::Args)]
pub(super) struct ExplainArguments {
    /// The coin, by id
    #[arg(value_parser = coin)]
    coin: CoinId,
    /// An instant (UTC): the half-hour that holds it, and the points at it or shortly before
    #[arg(value_name = "INSTANT", value_parser = instant)]
    at: DateTime<Utc>,
    /// Only the point of this resolution: 5m, 1h or 1d
    #[arg(long)]
    resolution: Option<String>,
    #[command(flatten)]
    settings: SettingArguments,
}

impl ExplainArguments {
    /// The settings, and what is wanted under them.
    pub(super) fn load(self) -> Result<(Settings, Explain)> {
        let wanted = Explain {
            coin: self.coin,
            at: self.at,
            resolution: self.resolution.map(|text| text.parse()).transpose()?,
        };
        Ok((self.settings.load()?, wanted))
    }
}

/// Which gaps to list.
#[derive(Debug, clap::Args)]
pub(super) struct GapsArguments {
    /// Only these coins, by id
    #[arg(value_name = "COIN", value_parser = coin)]
    only: Vec<CoinId>,
    /// From this day or instant (UTC) on
    #[arg(long, value_parser = instant)]
    from: Option<DateTime<Utc>>,
    /// Up to this day or instant (UTC), which is not included
    #[arg(long, value_parser = instant)]
    until: Option<DateTime<Utc>>,
    /// Only this resolution: 5m, 1h or 1d
    #[arg(long)]
    resolution: Option<String>,
    #[command(flatten)]
    settings: SettingArguments,
}

impl GapsArguments {
    /// The settings, and what is wanted under them.
    pub(super) fn load(self) -> Result<(Settings, Gaps)> {
        let wanted = Gaps {
            coins: self.only,
            resolution: self.resolution.map(|text| text.parse()).transpose()?,
            start: self.from,
            end: self.until,
        };
        Ok((self.settings.load()?, wanted))
    }
}

fn coin(text: &str) -> Result<CoinId> {
    text.parse()
}

fn instant(text: &str) -> Result<DateTime<Utc>> {
    text.parse().map(|Instant(instant)| instant)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::super::settings;
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    /// Every subcommand, with those of the subcommands.
    fn all(command: &clap::Command) -> Vec<clap::Command> {
        let below = command.get_subcommands().flat_map(all);
        std::iter::once(command.clone()).chain(below).collect()
    }

    fn commands() -> Vec<clap::Command> {
        let mut command = Arguments::command();
        command.build();
        all(&command)
    }

    #[test]
    fn no_secret_is_a_flag() {
        for mut command in commands() {
            let help = command.render_long_help().to_string();
            assert!(!help.contains("--api-key"), "{help}");
        }
    }

    #[test]
    fn every_help_lists_the_options_of_its_command_before_the_settings() {
        let mut with_settings = 0;
        for mut command in commands() {
            let is_setting =
                |argument: &clap::Arg| argument.get_help_heading() == Some(settings::HEADING);
            let own: Vec<String> = command
                .get_arguments()
                .filter(|argument| !is_setting(argument))
                .filter_map(|argument| argument.get_long())
                .map(|long| format!("--{long}"))
                .collect();
            let has_settings = command.get_arguments().any(is_setting);
            let help = command.render_long_help().to_string();
            let (before, after) = help.split_once("\nSettings:").unwrap_or((&help, ""));
            assert_eq!(has_settings, !after.is_empty(), "{help}");
            for option in own {
                assert!(before.contains(&option), "{option}: {help}");
            }
            with_settings += u32::from(has_settings);
        }
        assert_eq!(with_settings, 28);
    }

    #[test]
    fn every_help_fits_a_terminal_of_80_columns() {
        for command in commands() {
            let help = command.term_width(80).render_long_help().to_string();
            for line in help.lines() {
                assert!(line.chars().count() <= 80, "{line}");
            }
        }
    }
}
