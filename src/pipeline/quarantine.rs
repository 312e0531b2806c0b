//! The quarantine of both databases for people: what is in it, by a number that says where.
//! Validating its records again is `requeue`'s work.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::status::timeseries;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::quality::all_rules;
use crate::series::Resolution;
use crate::store::{Refused, Scope, SnapshotStore};

/// A refused record's number: `s12` in the snapshot database, `t12` in the time series database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefusedId {
    /// True in the time series database.
    pub is_series: bool,
    /// Its number there.
    pub number: i64,
}

impl fmt::Display for RefusedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = if self.is_series { 't' } else { 's' };
        write!(f, "{letter}{}", self.number)
    }
}

impl FromStr for RefusedId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::argument(format!(
                "{text:?} is no number of the quarantine: `coinmill quarantine list` shows them, such as s12 or t3"
            ))
        };
        let is_series = match text.get(..1) {
            Some("s") => false,
            Some("t") => true,
            _ => return Err(wrong()),
        };
        let digits = text.get(1..).unwrap_or_default();
        let number = digits.parse().ok().filter(|number| *number > 0);
        Ok(Self {
            is_series,
            number: number.ok_or_else(wrong)?,
        })
    }
}

impl Serialize for RefusedId {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RefusedId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A refused record.
#[derive(Debug, Clone, Serialize)]
pub struct Quarantined {
    /// Its number.
    pub id: RefusedId,
    /// The run that refused it.
    pub run: String,
    /// The slot of a quote.
    #[serde(rename = "snapshot_time", serialize_with = "crate::stamp::stamp")]
    pub slot: Option<DateTime<Utc>>,
    /// The resolution of a point.
    pub resolution: Option<Resolution>,
    /// The coin that it names, where it names one.
    pub coin_id: Option<String>,
    /// The rule that it breaks.
    pub rule: String,
    /// Why, with what stood there.
    pub reason: String,
    /// The landed body.
    pub body: String,
    /// Its place in the body, from 0; null for a body that was refused whole.
    pub record: Option<u64>,
    /// Its own bytes, or the beginning of a whole body's.
    pub raw: String,
    /// The outcome when it was last validated again: `stored`, `present` or `refused`; null where it never was.
    pub outcome: Option<String>,
    /// The run that validated it again.
    pub requeued_by: Option<String>,
}

impl Quarantined {
    fn of(refused: Refused, is_series: bool) -> Self {
        let (outcome, requeued_by) = refused.requeued.unzip();
        Self {
            id: RefusedId {
                is_series,
                number: refused.id,
            },
            run: refused.run,
            slot: match refused.scope {
                Some(Scope::Slot(slot)) => Some(slot.start()),
                _ => None,
            },
            resolution: match refused.scope {
                Some(Scope::Series(resolution)) => Some(resolution),
                _ => None,
            },
            coin_id: refused.coin,
            rule: refused.rule,
            reason: refused.reason,
            body: refused.body,
            record: refused.record,
            raw: refused.raw,
            outcome,
            requeued_by,
        }
    }
}

/// Which refused records are meant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Pick {
    /// These.
    Ids(Vec<RefusedId>),
    /// All that were refused by a rule and are not known to be stored.
    Rule(String),
    /// All that are not known to be stored.
    Open,
    /// All that were ever refused.
    All,
}

/// The refused records of both databases, the newest first, quotes before points.
///
/// # Errors
/// [`Error::Argument`] for a number that is not there; [`Error::Config`] where there is no snapshot database; otherwise as the
/// databases give them.
pub async fn quarantine(settings: &Settings, pick: &Pick) -> Result<Vec<Quarantined>> {
    let (snapshot, series) = picked(settings, pick).await?;
    let quotes = snapshot
        .into_iter()
        .map(|refused| Quarantined::of(refused, false));
    let points = series
        .into_iter()
        .map(|refused| Quarantined::of(refused, true));
    Ok(quotes.chain(points).collect())
}

/// What is picked, of the snapshot and of the time series database.
pub(super) async fn picked(
    settings: &Settings,
    pick: &Pick,
) -> Result<(Vec<Refused>, Vec<Refused>)> {
    let numbers = |is_series: bool| match pick {
        Pick::Ids(ids) => Some(
            ids.iter()
                .filter(|id| id.is_series == is_series)
                .map(|id| id.number)
                .collect::<Vec<i64>>(),
        ),
        _ => None,
    };
    let wanted = |refused: &Refused| match pick {
        Pick::Ids(_) | Pick::All => true,
        Pick::Rule(rule) => refused.is_open() && refused.rule == *rule,
        Pick::Open => refused.is_open(),
    };
    let mut store =
        SnapshotStore::open_existing(&settings.snapshot_url, &settings.vs_currency).await?;
    let mut quotes = store.refused(numbers(false).as_deref()).await?;
    store.close().await?;
    let mut points = Vec::new();
    if let Some(mut store) = timeseries(settings).await? {
        points = store.refused(numbers(true).as_deref()).await?;
        store.close().await?;
    }
    if let Pick::Rule(rule) = pick {
        let is_stored = quotes
            .iter()
            .chain(&points)
            .any(|refused| refused.rule == *rule);
        let mut names: Vec<&str> = all_rules().map(|rule| rule.name).collect();
        if !is_stored && !names.contains(&rule.as_str()) {
            names.sort_unstable();
            names.dedup();
            return Err(Error::argument(format!(
                "there is no rule {rule}: give one of {}",
                names.join(", ")
            )));
        }
    }
    quotes.retain(wanted);
    points.retain(wanted);
    if let Pick::Ids(ids) = pick {
        for id in ids {
            let list = if id.is_series { &points } else { &quotes };
            if !list.iter().any(|refused| refused.id == id.number) {
                return Err(Error::argument(format!(
                    "there is no {id} in the quarantine: `coinmill quarantine list` shows what is there"
                )));
            }
        }
    }
    Ok((quotes, points))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_reads_as_it_is_written() {
        for text in ["s1", "t9223372036854775807"] {
            assert_eq!(text.parse::<RefusedId>().unwrap().to_string(), text);
        }
        for text in ["", "s", "1", "s0", "s-1", "x1", "s1.5", "é1"] {
            let error = text.parse::<RefusedId>().unwrap_err().to_string();
            assert!(error.contains("quarantine list"), "{text}: {error}");
        }
    }
}
