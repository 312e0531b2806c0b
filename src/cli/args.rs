//! What can be written on the command line.
//! The settings' flags are made from the one table of settings.

use clap::{Arg, ArgMatches, Args, FromArgMatches, Parser, Subcommand};

use super::simulate::SimArguments;
use crate::config::{SETTINGS, Settings};
use crate::error::Result;

/// CoinGecko's market data, complete or saying what is missing, stored once, traceable to the bytes it came from.
#[derive(Debug, Parser)]
#[command(name = "coinmill", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
    /// Print JSON for machines
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Log more to stderr; twice for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
}

const AFTER_HELP: &str = "\
Exit codes: 0 complete, 1 failed, 2 usage, 3 partial (what came is stored).
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
    /// A CoinGecko-shaped market server, for trying things and for tests
    Sim(SimArguments),
    /// A market, a run and what came of it: offline, into SQLite
    Demo {
        /// Where its databases and landing go
        #[arg(long, default_value = "coinmill-demo")]
        dir: std::path::PathBuf,
    },
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
}

/// A flag for every setting that is no secret.
#[derive(Debug, Clone, Default)]
pub(super) struct SettingArguments {
    given: Vec<(String, String)>,
}

impl SettingArguments {
    /// The settings, with these arguments over the environment and the file.
    pub(super) fn load(self) -> Result<Settings> {
        Settings::load(self.given)
    }
}

impl FromArgMatches for SettingArguments {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let mut settings = Self::default();
        settings.update_from_arg_matches(matches)?;
        Ok(settings)
    }

    fn update_from_arg_matches(
        &mut self,
        matches: &ArgMatches,
    ) -> std::result::Result<(), clap::Error> {
        let given = SETTINGS
            .iter()
            .filter(|setting| !setting.secret)
            .filter_map(|setting| {
                Some((
                    setting.name.to_owned(),
                    matches.get_one::<String>(setting.name)?.clone(),
                ))
            });
        self.given.extend(given);
        Ok(())
    }
}

impl Args for SettingArguments {
    fn augment_args(command: clap::Command) -> clap::Command {
        let flags = SETTINGS
            .iter()
            .filter(|setting| !setting.secret)
            .map(|setting| {
                Arg::new(setting.name)
                    .long(setting.name.replace('_', "-"))
                    .value_name(setting.name.to_ascii_uppercase())
                    .help(setting.help)
                    .help_heading("Settings")
            });
        command.args(flags)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
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
