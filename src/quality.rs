//! Validating quotes: rules as data, a verdict and a reason for each, and a report with a score.
//! It refuses only what can never be true; what is merely strange is kept and said. Nothing is repaired here.

mod rules;
mod score;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use ring::digest::{SHA256, digest};
use serde::Serialize;

pub use rules::{
    CHART_RULES, FUTURE_TOLERANCE, QUOTE_RULES, RECORD_RULES, TOLERANCE, chart, record,
};
pub use score::{FORMULA, Quality};

use crate::config::Thresholds;
use crate::error::{Error, Result};
use crate::market::Quote;

/// What follows from a broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The record can never be true: it goes to quarantine.
    Reject,
    /// The record is strange: it is stored as it is, and the warning beside it.
    Warn,
}

/// The rules in force: those of this program, with the bounds and the severity that the settings give them.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The bounds of the warnings.
    pub thresholds: Thresholds,
    /// Warning rules whose quotes are refused.
    refuse: BTreeSet<&'static str>,
}

impl Rules {
    /// The rules with these bounds; quotes that break one of the named warning rules are refused.
    ///
    /// # Errors
    /// [`Error::Config`] for a name that is no warning rule.
    pub fn new(thresholds: Thresholds, refuse: &[String]) -> Result<Self> {
        let warnings = || {
            let rules = QUOTE_RULES.iter().map(|(rule, _)| rule);
            rules.filter(|rule| rule.verdict == Verdict::Warn)
        };
        let find = |name: &String| {
            let found = warnings().find(|rule| rule.name == name);
            found.map(|rule| rule.name).ok_or_else(|| {
                let names: Vec<_> = warnings().map(|rule| rule.name).collect();
                Error::config(format!(
                    "refuse: there is no warning rule {name}: give {}",
                    names.join(", ")
                ))
            })
        };
        Ok(Self {
            thresholds,
            refuse: refuse.iter().map(find).collect::<Result<_>>()?,
        })
    }

    /// What follows when a rule is broken.
    pub fn verdict(&self, rule: &Rule) -> Verdict {
        if self.refuse.contains(rule.name) {
            Verdict::Reject
        } else {
            rule.verdict
        }
    }

    /// Their name, for the ledger: a hash of all names, versions, verdicts and bounds.
    pub fn name(&self) -> String {
        self.name_of(all_rules())
    }

    fn name_of<'a>(&self, rules: impl Iterator<Item = &'a Rule>) -> String {
        let rules: Vec<_> = rules
            .map(|rule| (rule.name, rule.version, self.verdict(rule)))
            .collect();
        let text = serde_json::json!([rules, self.thresholds]).to_string();
        hex::encode(digest(&SHA256, text.as_bytes()))
            .chars()
            .take(12)
            .collect()
    }
}

/// What a record is validated against.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// When the API sent it: the response's `Date`, or our own clock where it had none.
    pub sent_at: DateTime<Utc>,
    /// The rules in force.
    pub rules: &'a Rules,
}

/// All rules: those of records, of charts and of quotes.
pub fn all_rules() -> impl Iterator<Item = &'static Rule> {
    let quotes = QUOTE_RULES.iter().map(|(rule, _)| rule);
    RECORD_RULES.into_iter().chain(CHART_RULES).chain(quotes)
}

/// A rule that quotes are held against.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its name in reports, in quarantine and beside stored quotes.
    pub name: &'static str,
    /// Which check, with which constants, stands behind the name: the next number where it decides otherwise than before.
    pub version: u32,
    /// What follows when it is broken.
    pub verdict: Verdict,
    /// Where it begins to be broken.
    pub bound: Bound,
    /// Why, for people.
    pub reason: &'static str,
    /// What the rule rests on.
    pub source: &'static str,
}

/// Where a rule begins to be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// There is nothing to measure.
    None,
    /// Part of the program.
    Fixed(&'static str),
    /// Chosen by the settings.
    Set(&'static [Limit]),
}

/// A setting that is a bound; the value at it is still within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Broken below this setting.
    Below(&'static str),
    /// Broken above this setting.
    Above(&'static str),
}

impl Limit {
    /// The setting's name.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Below(name) | Self::Above(name) => name,
        }
    }
}

/// One broken rule.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// What follows, which settings may have made more severe.
    pub verdict: Verdict,
    /// The field that breaks it.
    pub field: &'static str,
    /// What stood there.
    pub found: String,
}

impl Finding {
    /// A broken rule with the verdict of its own.
    pub fn new(rule: &'static Rule, field: &'static str, found: impl Into<String>) -> Self {
        Self {
            rule,
            verdict: rule.verdict,
            field,
            found: found.into(),
        }
    }

    /// The reason with the field and what stood in it.
    pub fn reason(&self) -> String {
        if self.found.is_empty() {
            return format!("{}: {}", self.field, self.rule.reason);
        }
        format!("{}: {}: {}", self.field, self.rule.reason, self.found)
    }
}

/// Holds a quote against every rule.
pub fn validate(quote: &Quote, context: &Context<'_>) -> Vec<Finding> {
    QUOTE_RULES
        .iter()
        .filter_map(|(rule, check)| {
            let (field, found) = check(quote, context)?;
            Some(Finding {
                verdict: context.rules.verdict(rule),
                ..Finding::new(rule, field, found)
            })
        })
        .collect()
}

/// True where any of the findings sends the record to quarantine.
pub fn rejects(findings: &[Finding]) -> bool {
    findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Reject)
}

#[cfg(test)]
mod tests;
