//! Validating quotes: rules as data, a verdict and a reason for each, and a report with a score.
//! It refuses only what can never be true; what is merely strange is kept and said. Nothing is repaired here.

mod rules;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use ring::digest::{SHA256, digest};
use serde::Serialize;

pub use rules::{CHART_RULES, FUTURE_TOLERANCE, QUOTE_RULES, RECORD_RULES, chart, record};

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
    fn verdict(&self, rule: &Rule) -> Verdict {
        if self.refuse.contains(rule.name) {
            Verdict::Reject
        } else {
            rule.verdict
        }
    }

    /// Their name, for the ledger: a hash of all names, versions, verdicts and bounds.
    pub fn name(&self) -> String {
        let quotes = QUOTE_RULES.iter().map(|(rule, _)| rule);
        self.name_of(RECORD_RULES.into_iter().chain(CHART_RULES).chain(quotes))
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

/// The names of all rules.
pub fn rule_names() -> impl Iterator<Item = &'static str> {
    let quotes = QUOTE_RULES.iter().map(|(rule, _)| rule.name);
    let others = RECORD_RULES.into_iter().chain(CHART_RULES);
    others.map(|rule| rule.name).chain(quotes)
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
    /// Why, for people.
    pub reason: &'static str,
    /// What the rule rests on.
    pub source: &'static str,
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

/// The quality of what one run received.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Quality {
    /// Records that broke each rejecting rule.
    pub rejections: BTreeMap<&'static str, u64>,
    /// Accepted quotes that broke each warning rule.
    pub warnings: BTreeMap<&'static str, u64>,
}

impl Quality {
    /// Counts the findings of one record: of a refused one the rejections, of an accepted one the warnings.
    pub fn count(&mut self, findings: &[Finding]) {
        let refused = rejects(findings);
        for finding in findings {
            match finding.verdict {
                Verdict::Reject => *self.rejections.entry(finding.rule.name).or_default() += 1,
                Verdict::Warn if !refused => {
                    *self.warnings.entry(finding.rule.name).or_default() += 1
                }
                Verdict::Warn => {}
            }
        }
    }

    /// Counts the warnings of quotes that are stored already, by the names beside them. Names of rules that are no longer in
    /// force are passed over.
    pub fn count_stored(&mut self, names: &str) {
        for name in names.split(',') {
            if let Some((rule, _)) = QUOTE_RULES.iter().find(|(rule, _)| rule.name == name) {
                *self.warnings.entry(rule.name).or_default() += 1;
            }
        }
    }

    /// The score, in \[0, 1\]: `completeness · (1 - warnings / (accepted · rules))`.
    ///
    /// `completeness` is `min(1, accepted / expected)`; `warnings` counts each broken warning rule of each accepted
    /// quote; `rules` is the number of warning rules. So 1 is complete and unremarkable, a missing or refused record costs
    /// its share, and a quote that breaks every warning rule counts for nothing. `None` where nothing was expected.
    pub fn score(&self, expected: u64, accepted: u64) -> Option<f64> {
        let rules = QUOTE_RULES
            .iter()
            .filter(|(rule, _)| rule.verdict == Verdict::Warn)
            .count();
        if expected == 0 {
            return None;
        }
        if accepted == 0 {
            return Some(0.0);
        }
        let warnings: u64 = self.warnings.values().sum();
        let completeness = (ratio(accepted) / ratio(expected)).min(1.0);
        Some(completeness * (1.0 - ratio(warnings) / (ratio(accepted) * ratio(rules as u64))))
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of coins are far below 2^53"
)]
fn ratio(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
