//! The table of settings, and where a value can come from.
//! It gathers texts by name and says where each was written; what they mean is the parent's work.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Display;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::provider::KEY_VARIABLE;

/// A thing that can be set.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in `coinmill.toml` and Python; `--name` on the command line and `COINMILL_NAME` in the environment.
    pub name: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// True where it is never taken on the command line, which other users of a machine can read.
    pub secret: bool,
}

const fn setting(name: &'static str, help: &'static str) -> Setting {
    Setting {
        name,
        help,
        secret: false,
    }
}

/// Every setting, in the order in which the documentation lists them.
pub const SETTINGS: &[Setting] = &[
    setting(
        "config",
        "the settings file [default: coinmill.toml, where there is one]",
    ),
    setting("api_url", "the API's base URL [default: the plan's]"),
    Setting {
        name: "api_key",
        help: "the API key; COINGECKO_API_KEY is read too",
        secret: true,
    },
    setting(
        "plan",
        "keyless, demo, paid or unlimited [default: demo with a key, else keyless]",
    ),
    setting(
        "calls_per_minute",
        "the most calls in a minute [default: the plan's]",
    ),
    setting(
        "credits_per_month",
        "the most successful calls in a month [default: the plan's]",
    ),
    setting(
        "history_days",
        "how many days back the plan serves [default: the plan's]",
    ),
    setting(
        "data_dir",
        "the folder of the default databases and landing [default: coinmill-data]",
    ),
    setting(
        "snapshot_url",
        "the snapshot database [default: sqlite://DATA_DIR/snapshot.db]",
    ),
    setting(
        "timeseries_url",
        "the time series database [default: sqlite://DATA_DIR/timeseries.db]",
    ),
    setting(
        "snapshot_owner_url",
        "the snapshot database as its owner, for init and prune [default: SNAPSHOT_URL]",
    ),
    setting(
        "timeseries_owner_url",
        "the time series database as its owner, for init and prune [default: TIMESERIES_URL]",
    ),
    setting(
        "budget_url",
        "where the calls of the key are counted [default: with SNAPSHOT_URL]",
    ),
    setting(
        "budget_owner_url",
        "the same as its owner, for init [default: as SNAPSHOT_OWNER_URL]",
    ),
    setting(
        "landing_dir",
        "where the received bytes are kept [default: DATA_DIR/landing]",
    ),
    setting("top", "how many coins, by market cap [default: 250]"),
    setting(
        "chart_top",
        "of how many of them charts are kept [default: all]",
    ),
    setting("coins", "only these coins, by id, with commas"),
    setting("add_coins", "these coins too, by id, with commas"),
    setting("vs_currency", "the currency of prices [default: usd]"),
    setting(
        "clock",
        "system, sim (the simulated market's), or an instant [default: system]",
    ),
    setting(
        "completeness",
        "a run that stores less than this share of what it expected ends with an error [default: 0.95]",
    ),
    setting(
        "timeout",
        "the longest one call may take, in seconds [default: 30]",
    ),
    setting("attempts", "how often a call is tried [default: 5]"),
    setting(
        "max_wait",
        "the longest wait between two tries, in seconds [default: 130]",
    ),
    setting(
        "min_price",
        "warn below this price [default: 1e-12, of usd only]",
    ),
    setting(
        "max_price",
        "warn above this price [default: 1e6, of usd only]",
    ),
    setting(
        "min_market_cap",
        "warn below this market cap [default: 1e4, of usd only]",
    ),
    setting(
        "min_volume",
        "warn below this 24 h volume [default: 1e3, of usd only]",
    ),
    setting(
        "max_change_24h",
        "warn above this 24 h change, in percent either way [default: 50]",
    ),
    setting(
        "stale_after",
        "warn when a quote is older than this, in seconds [default: 3600]",
    ),
    setting(
        "refuse",
        "warning rules whose quotes are refused instead, with commas, such as zero_price",
    ),
    setting(
        "contract",
        "when fields are new or gone: evolve reports it, freeze stores nothing [default: evolve]",
    ),
    setting(
        "retention_days_5m",
        "prune deletes points at 5m that are more days old [default: none]",
    ),
    setting(
        "retention_days_1h",
        "prune deletes points at 1h that are more days old [default: none]",
    ),
    setting(
        "retention_days_1d",
        "prune deletes points at 1d that are more days old [default: none]",
    ),
    setting(
        "retention_days_landing",
        "prune deletes received bytes that are more days old [default: none]",
    ),
];

/// The texts of the settings, by where they were written.
#[derive(Default, Clone)]
pub struct Layers {
    arguments: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    file: BTreeMap<String, String>,
    file_name: String,
    /// True where the key is in the variable of CoinGecko's own tools.
    has_their_key: bool,
}

/// Where a setting's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag of the command, or a keyword in Python.
    Argument,
    /// An environment variable, by its name.
    Variable(String),
    /// The settings file, by its path.
    File(String),
    /// It is set nowhere.
    Default,
}

/// What lies in `data_dir` unless it is set by itself. The account of calls is a key's, wherever the data are.
const IN_THE_FOLDER: [&str; 5] = [
    "snapshot_url",
    "timeseries_url",
    "snapshot_owner_url",
    "timeseries_owner_url",
    "landing_dir",
];

impl Layers {
    /// Lays arguments over the process's environment and over the settings file.
    ///
    /// # Errors
    /// [`Error::Config`] for a file that cannot be read, and for a name that is no setting.
    pub fn gather(arguments: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let arguments: BTreeMap<_, _> = arguments.into_iter().collect();
        let mut environment = BTreeMap::new();
        for setting in SETTINGS {
            // an empty variable is how compose files and shells say "not set"
            if let Some(value) = env::var(env_name(setting.name))
                .ok()
                .filter(|value| !value.is_empty())
            {
                environment.insert(setting.name.to_owned(), value);
            }
        }
        let mut has_their_key = false;
        if let Some(key) = env::var(KEY_VARIABLE).ok().filter(|key| !key.is_empty()) {
            environment.entry("api_key".to_owned()).or_insert_with(|| {
                has_their_key = true;
                key
            });
        }
        for name in env::vars_os().filter_map(|(name, _)| name.into_string().ok()) {
            if let Some(near) = name.strip_prefix("COINMILL_").and_then(misspelt) {
                tracing::warn!(
                    "the variable {name} is no setting: did you mean {}?",
                    env_name(near)
                );
            }
        }
        let named = arguments
            .get("config")
            .or_else(|| environment.get("config"));
        let file_name = named.cloned().unwrap_or_else(|| "coinmill.toml".to_owned());
        let file = match fs::read_to_string(Path::new(&file_name)) {
            Ok(text) => parse_file(&file_name, &text)?,
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                BTreeMap::new()
            }
            Err(error) => {
                return Err(
                    Error::config(format!("the settings file {file_name} cannot be read"))
                        .because(error),
                );
            }
        };
        Self {
            arguments: BTreeMap::new(),
            environment,
            file,
            file_name,
            has_their_key,
        }
        .with_arguments(arguments)
    }

    /// The same layers under these arguments.
    ///
    /// # Errors
    /// [`Error::Config`] for a name that is no setting, and for both a number of coins and a list of the only ones.
    pub fn with_arguments(
        mut self,
        arguments: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        let arguments: BTreeMap<_, _> = arguments.into_iter().collect();
        for name in arguments.keys() {
            known(name, "")?;
        }
        let top = arguments.get("top").is_some_and(|top| top != "0");
        if top && arguments.contains_key("coins") {
            return Err(Error::config(
                "`coins` are the only coins, so `top` cannot be given too: for more coins than the top, give `add_coins`",
            ));
        }
        if arguments.contains_key("data_dir") {
            // whoever names a folder here means what is in it, wherever the environment or the file have their data
            for name in IN_THE_FOLDER {
                self.environment.remove(name);
                self.file.remove(name);
            }
        }
        self.arguments.extend(arguments);
        if top {
            // what is asked for here overrules a list in the environment or the file
            self.arguments.insert("coins".to_owned(), String::new());
        }
        Ok(self)
    }

    /// The text of a setting, from the first layer that has it.
    pub fn get(&self, name: &str) -> Option<&str> {
        [&self.arguments, &self.environment, &self.file]
            .into_iter()
            .find_map(|layer| layer.get(name))
            .map(String::as_str)
    }

    /// Every setting's text, from the first layer that has it: as arguments they give the same settings in another process.
    pub fn texts(&self) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        for layer in [&self.file, &self.environment, &self.arguments] {
            texts.extend(layer.clone());
        }
        if texts.get("coins").is_some_and(|coins| !coins.is_empty()) {
            texts.remove("top");
        } else {
            texts.remove("coins");
        }
        texts
    }

    /// Where the value of a setting comes from.
    pub fn source(&self, name: &str) -> Source {
        // a number of coins overrules a list of the only ones by an empty argument: where there is no list, nobody gave one
        let is_given = |text: &String| !(name == "coins" && text.is_empty());
        if self.arguments.get(name).is_some_and(is_given) {
            Source::Argument
        } else if self.environment.contains_key(name) {
            Source::Variable(match name {
                "api_key" if self.has_their_key => KEY_VARIABLE.to_owned(),
                _ => env_name(name),
            })
        } else if self.file.contains_key(name) {
            Source::File(self.file_name.clone())
        } else {
            Source::Default
        }
    }

    /// The settings file that was read; `None` where there is none.
    pub fn file(&self) -> Option<&str> {
        (!self.file.is_empty()).then_some(self.file_name.as_str())
    }

    /// Where the text of a setting was written, for messages.
    fn origin(&self, name: &str) -> String {
        match self.source(name) {
            Source::Argument | Source::Default => name.to_owned(),
            Source::Variable(variable) => variable,
            Source::File(file) => format!("{name} in {file}"),
        }
    }

    /// A setting read by a function whose error says what would be right.
    pub(super) fn read_with<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        read(text)
            .map(Some)
            .map_err(|error| Error::config(format!("{}: {error}", self.origin(name))))
    }

    /// A setting read by its type's own rules.
    pub(super) fn read<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>> {
        self.read_with(name, |text| {
            text.trim()
                .parse()
                .map_err(|error| Error::argument(format!("{text:?} cannot be used: {error}")))
        })
    }

    /// A number within bounds.
    pub(super) fn read_in<T>(&self, name: &str, bounds: RangeInclusive<T>) -> Result<Option<T>>
    where
        T: FromStr + PartialOrd + Display,
    {
        self.read_with(name, |text| {
            let number = text.trim().parse().ok();
            number
                .filter(|number| bounds.contains(number))
                .ok_or_else(|| Error::argument(format!("{text:?} is not {}", in_words(&bounds))))
        })
    }
}

/// The numbers within bounds, as one of them is asked for.
pub(crate) fn in_words<T: FromStr + Display>(bounds: &RangeInclusive<T>) -> String {
    let number = match "0.5".parse::<T>() {
        Ok(_) => "a number",
        Err(_) => "a whole number",
    };
    let (low, high) = (bounds.start(), bounds.end().to_string());
    // the largest that a type holds is no bound
    if high.len() >= u32::MAX.to_string().len() {
        return format!("{number} of at least {low}");
    }
    format!("{number} between {low} and {high}")
}

pub(super) fn env_name(name: &str) -> String {
    format!("COINMILL_{}", name.to_ascii_uppercase())
}

/// The setting that an unknown variable's name is a slip of, if it is near enough to be one.
fn misspelt(suffix: &str) -> Option<&'static str> {
    let suffix = suffix.to_ascii_lowercase();
    if SETTINGS.iter().any(|setting| setting.name == suffix) {
        return None;
    }
    SETTINGS
        .iter()
        .map(|setting| (setting.name, strsim::jaro_winkler(setting.name, &suffix)))
        .filter(|&(_, likeness)| likeness > 0.9)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(name, _)| name)
}

fn known(name: &str, place: &str) -> Result<()> {
    if SETTINGS.iter().any(|setting| setting.name == name) {
        return Ok(());
    }
    let hint = match misspelt(name) {
        Some(near) => format!("did you mean {near:?}?"),
        None => "`coinmill --help` lists them".to_owned(),
    };
    Err(Error::config(format!(
        "{name:?}{place} is not a setting: {hint}"
    )))
}

fn parse_file(file_name: &str, text: &str) -> Result<BTreeMap<String, String>> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // the parser's own text shows the line, which may hold a key: only its message and place are said
        let line = error.span().map_or(0, |span| {
            text.get(..span.start)
                .unwrap_or_default()
                .lines()
                .count()
                .max(1)
        });
        Error::config(format!(
            "the settings file {file_name} is not TOML: {} (line {line})",
            error.message()
        ))
    })?;
    let mut settings = BTreeMap::new();
    for (name, value) in table {
        known(&name, &format!(" in {file_name}"))?;
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Datetime(instant) => instant.to_string(),
            toml::Value::Array(items) if items.iter().all(toml::Value::is_str) => items
                .iter()
                .filter_map(toml::Value::as_str)
                .collect::<Vec<_>>()
                .join(","),
            _ => {
                return Err(Error::config(format!(
                    "{name} in {file_name} must be a text, a number or a list of texts"
                )));
            }
        };
        settings.insert(name, text);
    }
    Ok(settings)
}

#[cfg(test)]
mod tests;
