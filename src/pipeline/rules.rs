//! The rules in force, and how many of the stored and refused records each has flagged.
//! It validates nothing: the counts are of the warnings beside stored quotes and of the quarantine.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::status::{Warned, if_there, timeseries};
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::http;
use crate::market::Slot;
use crate::quality::{
    Bound, CHART_RULES, FORMULA, Limit, QUOTE_RULES, RECORD_RULES, Rule, Rules, Verdict,
};
use crate::store::{SnapshotStore, Warnings};

/// One rule with its counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleInForce {
    /// Its name. Quotes and charts have rules of the same name.
    pub rule: &'static str,
    /// What is held against it: `quote`, `chart`, or `both`.
    pub of: &'static str,
    /// The version of its check.
    pub version: u32,
    /// What follows when it is broken, as the settings say.
    pub verdict: Verdict,
    /// Where it begins to be broken, for people; null where there is nothing to measure, or where the settings switch it off.
    pub bound: Option<String>,
    /// The settings that are its bound.
    pub settings: BTreeMap<&'static str, f64>,
    /// Why, for people.
    pub reason: &'static str,
    /// What it rests on.
    pub source: &'static str,
    /// Quotes of the newest snapshot with this warning, or records refused for it; null where there is no snapshot, and of
    /// charts, which belong to none.
    pub newest: Option<u64>,
    /// The same over the last days, of charts too; null where there is no database.
    pub recent: Option<u64>,
}

/// The rules in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RulesReport {
    /// The name of the set, as the ledger writes it beside a run.
    pub rule_set: String,
    /// The formula of a run's score.
    pub score: &'static str,
    /// How many days `recent` goes back.
    pub days: u32,
    /// The newest snapshot; null where there is none.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub newest_snapshot: Option<DateTime<Utc>>,
    /// Its quotes.
    pub newest: Option<Warned>,
    /// The quotes of the last days.
    pub recent: Option<Warned>,
    /// The rules: those of records, of charts and of quotes.
    pub rules: Vec<RuleInForce>,
}

const QUOTE: &str = "quote";
const CHART: &str = "chart";
const BOTH: &str = "both";

/// How often each rule was broken.
struct Counts {
    warnings: Warnings,
    quotes: BTreeMap<String, u64>,
    charts: BTreeMap<String, u64>,
}

impl Counts {
    fn of(&self, rule: &Rule, of: &str) -> u64 {
        let count = |counts: &BTreeMap<String, u64>| counts.get(rule.name).copied().unwrap_or(0);
        let quotes = count(&self.warnings.rules) + count(&self.quotes);
        match of {
            QUOTE => quotes,
            CHART => count(&self.charts),
            _ => quotes + count(&self.charts),
        }
    }
}

/// The rules in force, with their counts in the newest snapshot and over the last days. Without a database there are none.
///
/// # Errors
/// [`Error::Argument`] for no days, or more than a century. [`Error::Config`] and [`Error::Store`], as the database gives them.
pub async fn rules(settings: &Settings, days: u32) -> Result<RulesReport> {
    if !(1..=36_525).contains(&days) {
        return Err(Error::argument("days: give a number from 1 to 36525"));
    }
    let rules = Rules::new(settings.thresholds, &settings.refuse)?;
    let now = http::now(settings).await;
    let since = now - TimeDelta::days(days.into());
    let store: Option<SnapshotStore> =
        if_there(&settings.snapshot_url, &settings.vs_currency).await?;
    let (mut newest_snapshot, mut newest, mut recent) = (None, None, None);
    if let Some(mut store) = store {
        if let Some(slot) = store.newest_slot(None, None).await? {
            let end = slot.start() + Slot::LENGTH;
            newest_snapshot = Some(slot.start());
            newest = Some(Counts {
                warnings: store.warnings_between(slot.start(), end).await?,
                quotes: store.refused_of_slot(slot).await?,
                charts: BTreeMap::new(),
            });
        }
        let quotes = store.refused_since(since).await?;
        let mut charts = BTreeMap::new();
        if let Some(mut series) = timeseries(settings).await? {
            charts = series.refused_since(since).await?;
            series.close().await?;
        }
        let warnings = store.warnings_between(since, now + Slot::LENGTH).await?;
        store.close().await?;
        recent = Some(Counts {
            warnings,
            quotes,
            charts,
        });
    }
    let in_force = |(rule, of): (&'static Rule, &'static str)| RuleInForce {
        rule: rule.name,
        of,
        version: rule.version,
        verdict: rules.verdict(rule),
        bound: bound(rule, &rules),
        settings: limits(rule, &rules)
            .map(|(limit, value)| (limit.setting(), value))
            .collect(),
        reason: rule.reason,
        source: rule.source,
        newest: newest
            .as_ref()
            .filter(|_| of != CHART)
            .map(|counts| counts.of(rule, of)),
        recent: recent.as_ref().map(|counts| counts.of(rule, of)),
    };
    Ok(RulesReport {
        rule_set: rules.name(),
        score: FORMULA,
        days,
        newest_snapshot,
        rules: (RECORD_RULES.into_iter().map(|rule| (rule, BOTH)))
            .chain(CHART_RULES.into_iter().map(|rule| (rule, CHART)))
            .chain(QUOTE_RULES.iter().map(|(rule, _)| (rule, QUOTE)))
            .map(in_force)
            .collect(),
        newest: newest.map(|counts| counts.warnings.into()),
        recent: recent.map(|counts| counts.warnings.into()),
    })
}

/// The settings that are a rule's bound, with their values.
fn limits(rule: &Rule, rules: &Rules) -> impl Iterator<Item = (Limit, f64)> {
    let limits = match rule.bound {
        Bound::Set(limits) => limits,
        Bound::None | Bound::Fixed(_) => &[],
    };
    let value = |limit: &Limit| Some((*limit, rules.thresholds.get(limit.setting())?));
    limits.iter().filter_map(value)
}

fn bound(rule: &Rule, rules: &Rules) -> Option<String> {
    if let Bound::Fixed(bound) = rule.bound {
        return Some(bound.to_owned());
    }
    let texts: Vec<String> = limits(rule, rules)
        .filter_map(|(limit, value)| match limit {
            // nothing is beyond these
            Limit::Below(_) if value == 0.0 => None,
            Limit::Above(_) if value == f64::MAX => None,
            Limit::Below(_) => Some(format!("< {}", short(value))),
            Limit::Above(_) => Some(format!("> {}", short(value))),
        })
        .collect();
    Some(texts.join(", ")).filter(|text| !text.is_empty())
}

/// A number as people write it: with an exponent where it would have many zeros.
fn short(value: f64) -> String {
    if (1e-3..1e5).contains(&value) {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Thresholds;
    use crate::quality::all_rules;

    #[test]
    fn a_bound_is_written_as_people_write_it_and_not_at_all_where_it_is_off() {
        let bound_of = |name: &str, thresholds| {
            let rules = Rules::new(thresholds, &[]).unwrap();
            let rule = all_rules().find(|rule| rule.name == name).unwrap();
            bound(rule, &rules)
        };
        let usual = Thresholds::default();
        let text = |name| bound_of(name, usual).unwrap();
        assert_eq!(text("price_out_of_bounds"), "< 1e-12, > 1e6");
        assert_eq!(text("low_volume"), "< 1000");
        assert_eq!(text("above_ath"), "1 %");
        assert_eq!(bound_of("null_price", usual), None);
        let off = Thresholds {
            min_price: 0.0,
            max_price: f64::MAX,
            ..usual
        };
        assert_eq!(bound_of("price_out_of_bounds", off), None);
    }
}
