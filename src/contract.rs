//! The contract with the API: which fields its bodies have, and what one has more or less.
//! It only knows names; the endpoints know their own fields, and the runs decide what follows.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::error::{Error, Result};

/// The most fields that are remembered of one run, and the longest name: what is beyond is a hostile source's.
const FIELDS: usize = 200;
const LONGEST: usize = 100;

/// What follows when the API's bodies have other fields than are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Contract {
    /// It is written down, and the run goes on.
    #[default]
    Evolve,
    /// The run fails before anything is stored.
    Freeze,
}

impl FromStr for Contract {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "evolve" => Ok(Self::Evolve),
            "freeze" => Ok(Self::Freeze),
            _ => Err(Error::argument(
                "write evolve (report other fields and continue) or freeze (store nothing)",
            )),
        }
    }
}

/// How a field deviates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Deviation {
    /// It is there and not known.
    Unknown,
    /// It is known and not there; null is there.
    Missing,
}

impl Deviation {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Missing => "missing",
        }
    }
}

/// A field that is not as it is known to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Where, such as `/coins/markets`.
    pub endpoint: String,
    /// The field.
    pub field: String,
    /// How it deviates.
    pub deviation: Deviation,
    /// In how many records; a chart is one.
    pub records: u64,
    /// When the first body that showed it had arrived.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub first_seen: DateTime<Utc>,
    /// When the last one had.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub last_seen: DateTime<Utc>,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (deviation, field) = (self.deviation.name(), &self.field);
        let (endpoint, records) = (&self.endpoint, self.records);
        write!(
            f,
            "{deviation} field {field} in {records} records of {endpoint}"
        )
    }
}

/// What the bodies of a run had more or less.
#[derive(Debug, Clone, Default)]
pub struct Drifts(BTreeMap<(&'static str, Deviation, String), Drift>);

impl Drifts {
    /// Notes a field of one record of a body that had arrived at an instant.
    pub fn note(
        &mut self,
        endpoint: &'static str,
        deviation: Deviation,
        field: &str,
        at: DateTime<Utc>,
    ) {
        let field: String = field
            .chars()
            .take(LONGEST)
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect();
        let key = (endpoint, deviation, field);
        if !self.0.contains_key(&key) && self.0.len() >= FIELDS {
            return;
        }
        let field = key.2.clone();
        let drift = self.0.entry(key).or_insert_with(|| Drift {
            endpoint: endpoint.to_owned(),
            field,
            deviation,
            records: 0,
            first_seen: at,
            last_seen: at,
        });
        drift.records += 1;
        drift.first_seen = drift.first_seen.min(at);
        drift.last_seen = drift.last_seen.max(at);
    }

    /// All of them, in a fixed order.
    pub fn list(&self) -> Vec<Drift> {
        self.0.values().cloned().collect()
    }

    /// The error that a frozen contract makes of them, or `None` where nothing deviates or it is not frozen.
    pub fn breach(&self, contract: Contract) -> Option<Error> {
        let first = self.0.values().next()?;
        let more = match self.0.len() - 1 {
            0 => String::new(),
            1 => " and one more".to_owned(),
            more => format!(" and {more} more"),
        };
        (contract == Contract::Freeze).then(|| {
            Error::data(format!(
                "the contract is frozen, and the API sends {first}{more}: nothing is stored; look at the landed body, then \
                 run again with --contract evolve, which takes it up without a call"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_with_when_they_were_seen() {
        let mut drifts = Drifts::default();
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        for seconds in [20, 10, 30] {
            drifts.note("/coins/markets", Deviation::Unknown, "mood\0", at(seconds));
        }
        let list = drifts.list();
        assert_eq!(
            (list[0].records, list[0].first_seen, list[0].last_seen),
            (3, at(10), at(30))
        );
        assert!(drifts.breach(Contract::Evolve).is_none());
        let said = drifts.breach(Contract::Freeze).unwrap().to_string();
        assert!(
            said.contains("unknown field mood\u{fffd} in 3 records of /coins/markets"),
            "{said}"
        );
    }

    #[test]
    fn an_api_that_invents_names_is_not_followed_for_ever() {
        let mut drifts = Drifts::default();
        for number in 0..10_000 {
            let name = format!("{number}{}", "x".repeat(10_000));
            drifts.note(
                "/coins/markets",
                Deviation::Unknown,
                &name,
                DateTime::UNIX_EPOCH,
            );
        }
        let list = drifts.list();
        assert!(list.len() == FIELDS && list.iter().all(|drift| drift.field.len() <= LONGEST));
    }
}
