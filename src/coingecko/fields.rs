//! Reading the fields of one JSON record, each on its own, so that every wrong one can be named.
//! It knows types, not meanings.

use std::collections::HashMap;

use chrono::{DateTime, Datelike, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::number::double;
use crate::contract::Deviation;
use crate::market::to_millisecond;
use crate::quality::{Finding, Rule, record};

/// The longest part of a wrong value that is repeated in a reason, in characters.
const SHOWN: usize = 80;

/// The most unknown fields of a record that are named.
const MOST_UNKNOWN: usize = 200;

/// The longest id that is taken for one, in bytes: real ones reach 60, and a key of PostgreSQL's has its limits.
pub(super) const LONGEST_ID: usize = 1_000;

/// The fields that a record is known to have.
pub(super) struct Known {
    /// Those that it always has.
    pub(super) required: Vec<&'static str>,
    /// Those that it may have.
    pub(super) optional: Vec<&'static str>,
}

impl Known {
    fn holds(&self, name: &str) -> bool {
        self.required.contains(&name) || self.optional.contains(&name)
    }
}

/// A record's fields as raw JSON, and what was found wrong with those that were read.
pub(super) struct Fields<'a> {
    raw: HashMap<String, &'a RawValue>,
    pub(super) findings: Vec<Finding>,
}

impl<'a> Fields<'a> {
    /// The fields of a record; `None` where it is no JSON object.
    pub(super) fn of(record: &'a RawValue) -> Option<Self> {
        let raw = serde_json::from_str(record.get()).ok()?;
        Some(Self {
            raw,
            findings: Vec::new(),
        })
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.raw
            .get(name)
            .map(|raw| raw.get())
            .filter(|text| *text != "null")
    }

    /// What the record has beyond its known fields, and which of them it lacks.
    pub(super) fn deviations(&self, known: &Known) -> Vec<(Deviation, String)> {
        let there = |name: &&str| self.raw.contains_key(*name);
        let missing = known.required.iter().filter(|name| !there(name));
        let mut deviations: Vec<_> = missing
            .map(|name| (Deviation::Missing, (*name).to_owned()))
            .collect();
        let optional = known.optional.iter().filter(|name| there(name)).count();
        // every known field there and none over: the usual case costs no second look
        if self.raw.len() + deviations.len() > known.required.len() + optional {
            let unknown = self.raw.keys().filter(|name| !known.holds(name));
            let unknown = unknown.take(MOST_UNKNOWN);
            deviations.extend(unknown.map(|name| (Deviation::Unknown, name.clone())));
        }
        deviations
    }

    pub(super) fn find(&mut self, rule: &'static Rule, field: &'static str, found: &str) {
        let found: String = found.chars().take(SHOWN).collect();
        self.findings.push(Finding::new(rule, field, found));
    }

    /// A number; null and absent are `None`.
    pub(super) fn number(&mut self, name: &'static str) -> Option<f64> {
        let text = self.get(name)?;
        self.double(name, text)
    }

    /// The double nearest to a JSON number.
    pub(super) fn double(&mut self, name: &'static str, json: &str) -> Option<f64> {
        let number = double(json);
        number.map_err(|rule| self.find(rule, name, json)).ok()
    }

    /// A whole number; null and absent are `None`.
    pub(super) fn integer(&mut self, name: &'static str) -> Option<i64> {
        let text = self.get(name)?;
        let number = serde_json::from_str::<i64>(text).ok();
        if number.is_none() {
            self.find(&record::WRONG_TYPE, name, text);
        }
        number
    }

    /// A text; null and absent are `None`.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let text = self.get(name)?;
        let Ok(value) = serde_json::from_str::<String>(text) else {
            self.find(&record::WRONG_TYPE, name, text);
            return None;
        };
        if value.contains('\0') {
            self.find(&record::UNSTORABLE_TEXT, name, text);
            return None;
        }
        Some(value)
    }

    /// The coin and its symbol, as every record of a coin has them: what lacks one, or cannot be stored, is found wrong.
    pub(super) fn id_and_symbol(&mut self) -> (Option<String>, Option<String>) {
        let id = self.text("id").filter(|id| !id.is_empty());
        if let Some(long) = id.as_ref().filter(|id| id.len() > LONGEST_ID) {
            self.find(&record::UNSTORABLE_TEXT, "id", long);
        }
        if id.is_none() && self.findings.is_empty() {
            self.find(&record::MISSING_ID, "id", "");
        }
        let known = self.findings.len();
        let symbol = self.text("symbol").filter(|symbol| !symbol.is_empty());
        if symbol.is_none() && self.findings.len() == known {
            self.find(&record::MISSING_SYMBOL, "symbol", "");
        }
        (id, symbol)
    }

    /// An instant to the millisecond; null and absent are `None`.
    pub(super) fn instant(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        let text = self.get(name)?;
        let instant = serde_json::from_str::<DateTime<Utc>>(text)
            .ok()
            .filter(|instant| (0..=9999).contains(&instant.year()))
            .map(to_millisecond);
        if instant.is_none() {
            self.find(&record::WRONG_TYPE, name, text);
        }
        instant
    }

    /// A nested object; null and absent are `None`.
    pub(super) fn object<T: Deserialize<'a>>(&mut self, name: &'static str) -> Option<T> {
        let text = self.get(name)?;
        let object = serde_json::from_str(text).ok();
        if object.is_none() {
            self.find(&record::WRONG_TYPE, name, text);
        }
        object
    }
}
