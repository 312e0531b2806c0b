//! Every setting with its value in force and where that comes from, for people and scripts.
//! A key is starred out here, and a database's address shows no password.

use serde::Serialize;

use super::{ClockSetting, Layers, SETTINGS, Settings, Source};
use crate::contract::Contract;

/// What stands for a secret.
const STARS: &str = "***";

/// A setting and its value in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownSetting {
    /// Its name in `coinmill.toml` and Python.
    pub name: &'static str,
    /// Its value, as it would be written; null where there is none. A key is `***`.
    pub value: Option<String>,
    /// Where the value comes from: `argument`, `environment`, `file` or `default`.
    pub origin: &'static str,
    /// The variable's name or the file's path; null for an argument and a default.
    pub place: Option<String>,
}

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownSettings {
    /// The settings file that was read; null where there is none.
    pub file: Option<String>,
    /// Each setting, in the order of the documentation.
    pub settings: Vec<ShownSetting>,
}

/// Shows settings that were made from these layers.
pub fn shown(layers: &Layers, settings: &Settings) -> ShownSettings {
    let show = |name| {
        let (origin, place) = match layers.source(name) {
            Source::Argument => ("argument", None),
            Source::Variable(variable) => ("environment", Some(variable)),
            Source::File(file) => ("file", Some(file)),
            Source::Default => ("default", None),
        };
        ShownSetting {
            name,
            value: value(name, layers, settings),
            origin,
            place,
        }
    };
    ShownSettings {
        file: layers.file().map(str::to_owned),
        settings: SETTINGS.iter().map(|setting| show(setting.name)).collect(),
    }
}

/// A setting's value as it would be written.
fn value(name: &str, layers: &Layers, settings: &Settings) -> Option<String> {
    let plan = &settings.plan;
    let bounds = &settings.thresholds;
    let seconds = |time: std::time::Duration| Some(time.as_secs_f64().to_string());
    let list = |texts: Vec<&str>| Some(texts.join(",")).filter(|text| !text.is_empty());
    let coins = || list(settings.coins.iter().map(|coin| coin.as_str()).collect());
    // where there are no dollars there are no bounds
    let bound = |number: f64| (number < f64::MAX).then(|| number.to_string());
    match name {
        "config" => layers.file().map(str::to_owned),
        "api_url" => Some(settings.api_url.to_string()),
        "api_key" => settings.api_key.as_ref().map(|_| STARS.to_owned()),
        "plan" => Some(plan.kind.to_string()),
        "calls_per_minute" => plan.calls_per_minute.map(|calls| calls.to_string()),
        "credits_per_month" => plan.credits_per_month.map(|calls| calls.to_string()),
        "history_days" => plan.history_days.map(|days| days.to_string()),
        "data_dir" => Some(layers.get(name).unwrap_or(super::DATA_DIR).to_owned()),
        "snapshot_url" => Some(settings.snapshot_url.to_string()),
        "timeseries_url" => Some(settings.timeseries_url.to_string()),
        "snapshot_owner_url" => Some(settings.snapshot_owner().to_string()),
        "timeseries_owner_url" => Some(settings.timeseries_owner().to_string()),
        "budget_url" => Some(settings.budget_url.to_string()),
        "budget_owner_url" => Some(settings.budget_owner_url.to_string()),
        "landing_dir" => Some(settings.landing_dir.display().to_string()),
        "top" => Some(settings.top.to_string()),
        "chart_top" => settings.chart_top.map(|top| top.to_string()),
        "coins" => coins().filter(|_| settings.has_only_these),
        "add_coins" => match settings.has_only_these {
            true => layers.get(name).map(str::to_owned),
            false => coins(),
        },
        "vs_currency" => Some(settings.vs_currency.clone()),
        "clock" => Some(match settings.clock {
            ClockSetting::System => "system".to_owned(),
            ClockSetting::Sim => "sim".to_owned(),
            ClockSetting::Frozen(at) => at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        }),
        "completeness" => Some(settings.completeness.to_string()),
        "timeout" => seconds(settings.timeout),
        "attempts" => Some(settings.attempts.to_string()),
        "max_wait" => seconds(settings.max_wait),
        "min_price" => bound(bounds.min_price),
        "max_price" => bound(bounds.max_price),
        "min_market_cap" => bound(bounds.min_market_cap),
        "min_volume" => bound(bounds.min_volume),
        "max_change_24h" => bound(bounds.max_change_24h),
        "stale_after" => bound(bounds.stale_after),
        "refuse" => list(settings.refuse.iter().map(String::as_str).collect()),
        "contract" => Some(
            match settings.contract {
                Contract::Evolve => "evolve",
                Contract::Freeze => "freeze",
            }
            .to_owned(),
        ),
        _ => {
            let mut kept = super::Kept::ALL.into_iter();
            let kept = kept.find(|kept| kept.setting() == name);
            // a setting that is new is shown as it was written, unless it is a secret
            let is_secret = SETTINGS
                .iter()
                .any(|setting| setting.name == name && setting.secret);
            match kept {
                Some(kept) => settings.retention.days(kept).map(|days| days.to_string()),
                None if is_secret => layers.get(name).map(|_| STARS.to_owned()),
                None => layers.get(name).map(str::to_owned),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn shown_by(arguments: &[(&str, &str)]) -> BTreeMap<&'static str, ShownSetting> {
        let arguments = arguments
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let layers = Layers::default().with_arguments(arguments).unwrap();
        let settings = Settings::resolve(&layers).unwrap();
        let all = shown(&layers, &settings).settings;
        all.into_iter()
            .map(|setting| (setting.name, setting))
            .collect()
    }

    #[test]
    fn every_setting_that_is_given_is_shown_as_it_was_written_and_no_secret_is() {
        for (name, given, said) in [
            ("api_key", "CG-hush", "***"),
            ("plan", "paid", "paid"),
            ("calls_per_minute", "7", "7"),
            ("credits_per_month", "8", "8"),
            ("history_days", "9", "9"),
            ("data_dir", "here", "here"),
            ("snapshot_url", "sqlite://a.db", "sqlite://a.db"),
            (
                "timeseries_url",
                "postgresql://me:hush@h/db",
                "postgresql://me:***@h/db",
            ),
            (
                "snapshot_owner_url",
                "postgresql://h/db?password=hush",
                "postgresql://h/db?password=***",
            ),
            ("timeseries_owner_url", "sqlite://b.db", "sqlite://b.db"),
            ("budget_url", "sqlite://c.db", "sqlite://c.db"),
            ("budget_owner_url", "sqlite://c.db", "sqlite://c.db"),
            ("landing_dir", "bytes", "bytes"),
            ("top", "11", "11"),
            ("chart_top", "12", "12"),
            ("coins", "bitcoin, monero", "bitcoin,monero"),
            ("add_coins", "monero", "monero"),
            ("vs_currency", "EUR", "eur"),
            ("clock", "sim", "sim"),
            ("completeness", "0.5", "0.5"),
            ("timeout", "1.5", "1.5"),
            ("attempts", "3", "3"),
            ("max_wait", "4", "4"),
            ("min_price", "0.25", "0.25"),
            ("max_price", "13", "13"),
            ("min_market_cap", "14", "14"),
            ("min_volume", "15", "15"),
            ("max_change_24h", "16", "16"),
            ("stale_after", "17", "17"),
            ("refuse", "zero_price", "zero_price"),
            ("contract", "freeze", "freeze"),
            ("retention_days_5m", "18", "18"),
            ("retention_days_1h", "19", "19"),
            ("retention_days_1d", "20", "20"),
            ("retention_days_landing", "21", "21"),
        ] {
            let all = shown_by(&[(name, given)]);
            assert_eq!(all[name].value.as_deref(), Some(said), "{name}");
            assert_eq!(all[name].origin, "argument", "{name}");
            assert!(!format!("{all:?}").contains("hush"), "{name}");
            let others = all.values().filter(|setting| setting.name != name);
            assert!(
                others
                    .map(|other| other.origin)
                    .all(|origin| origin == "default")
            );
        }
    }

    #[test]
    fn defaults_are_shown_as_they_are_in_force() {
        let all = shown_by(&[]);
        let value = |name: &str| all[name].value.as_deref();
        assert_eq!(value("top"), Some("250"));
        assert_eq!(
            value("snapshot_url"),
            Some("sqlite://coinmill-data/snapshot.db")
        );
        assert_eq!(
            value("budget_url"),
            Some("sqlite://coinmill-data/budget.db")
        );
        assert_eq!(value("max_price"), Some("1000000"));
        assert_eq!((value("api_key"), value("coins")), (None, None));
        assert_eq!(shown_by(&[("vs_currency", "eur")])["max_price"].value, None);
    }
}
