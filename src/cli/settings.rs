//! A flag for every setting, made from the one table of settings.
//! What a setting means is known to `config`, and which rules there are to `quality`.

use clap::{Arg, ArgMatches, Args, FromArgMatches};

use crate::config::{Layers, SETTINGS, Settings, ShownSettings, shown};
use crate::error::Result;
use crate::quality::Rules;

/// The heading of the settings in every help.
pub(super) const HEADING: &str = "Settings";

/// A flag for every setting that is no secret.
#[derive(Debug, Clone, Default)]
pub(super) struct SettingArguments {
    given: Vec<(String, String)>,
}

impl SettingArguments {
    /// The settings, with these arguments over the environment and the file.
    pub(super) fn load(self) -> Result<Settings> {
        self.resolve().map(|(_, settings)| settings)
    }

    /// Takes a flag out that means something else to a command than the setting does.
    pub(super) fn take(&mut self, setting: &str) -> Option<String> {
        let place = self.given.iter().position(|(name, _)| name == setting)?;
        Some(self.given.remove(place).1)
    }

    /// The same, each shown with where it comes from.
    pub(super) fn show(self) -> Result<ShownSettings> {
        self.resolve()
            .map(|(layers, settings)| shown(&layers, &settings))
    }

    fn resolve(self) -> Result<(Layers, Settings)> {
        let layers = Layers::gather(self.given)?;
        let settings = Settings::resolve(&layers)?;
        Rules::new(settings.thresholds, &settings.refuse)?;
        Ok((layers, settings))
    }
}

/// The flag of a setting, as it is written.
pub(super) fn flag(setting: &str) -> String {
    format!("--{}", setting.replace('_', "-"))
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
                    .help_heading(HEADING)
            });
        command.args(flags)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}
