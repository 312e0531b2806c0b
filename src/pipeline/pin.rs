//! Pins: up to which commit of each database a read takes account, as a text that can be kept for as long as the databases.
//! A read of now has one too, so that what was read can be read again.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use super::status::if_there;
use crate::config::Settings;
use crate::error::{Error, Result, shortened};
use crate::http;
use crate::market::Instant;
use crate::stamp;
use crate::store::{Database, SnapshotTables, Tables, TimeseriesTables};

/// What was known when: a commit of each database, and the instant that it is of.
///
/// Its text is `s412-3f9a2c41/t98-77d0e1bb@2026-01-14T12:05:00.123Z`: the commits of the snapshot and of the time series
/// database, each with the end of its run's id, by which another database's pin is told. A part is left out where nothing was
/// stored there, or where it was not read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pin {
    snapshot: Option<Position>,
    timeseries: Option<Position>,
    at: DateTime<Utc>,
}

/// A commit, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Position {
    commit: i64,
    /// The end of its run's id.
    mark: String,
}

/// How many characters of a run's id are enough: 32 random bits.
const MARK: usize = 8;

/// As what was known a read is wanted: at an instant, or at a pin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AsOf {
    /// What readers could see at this instant.
    Instant(DateTime<Utc>),
    /// What a pin takes account of.
    Pin(Pin),
}

impl AsOf {
    /// The instant of knowledge.
    pub fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Instant(at) | Self::Pin(Pin { at, .. }) => *at,
        }
    }
}

impl From<DateTime<Utc>> for AsOf {
    fn from(at: DateTime<Utc>) -> Self {
        Self::Instant(at)
    }
}

impl FromStr for AsOf {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.contains('@') {
            return text.parse().map(Self::Pin);
        }
        match text.parse() {
            Ok(Instant(at)) => Ok(Self::Instant(at)),
            Err(_) => Err(Error::argument(format!(
                "{:?} is neither a time (write it like 2026-01-31 or 2026-01-31T00:30Z) nor a pin (as `coinmill pin` or \
                 `mill.pin()` gives it)",
                shortened(text)
            ))),
        }
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("s", &self.snapshot), ("t", &self.timeseries)];
        let mut separator = "";
        for (letter, part) in parts {
            let Some(Position { commit, mark }) = part else {
                continue;
            };
            write!(f, "{separator}{letter}{commit}-{mark}")?;
            separator = "/";
        }
        write!(f, "@{}", stamp::text(self.at))
    }
}

impl FromStr for Pin {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let (parts, at) = text.trim().split_once('@')?;
            let at = DateTime::parse_from_rfc3339(at).ok()?.to_utc();
            let mut pin = Self {
                snapshot: None,
                timeseries: None,
                at,
            };
            for part in parts.split('/') {
                let (place, of) = match part.split_at_checked(1)? {
                    ("s", of) => (&mut pin.snapshot, of),
                    ("t", of) => (&mut pin.timeseries, of),
                    _ => return None,
                };
                let (commit, mark) = of.split_once('-')?;
                let is_mark = mark.len() == MARK && mark.bytes().all(|it| it.is_ascii_hexdigit());
                let commit = commit.parse().ok().filter(|commit: &i64| *commit > 0)?;
                if !is_mark || place.is_some() {
                    return None;
                }
                *place = Some(Position {
                    commit,
                    mark: mark.to_ascii_lowercase(),
                });
            }
            Some(pin)
        };
        read().ok_or_else(|| {
            Error::argument(format!(
                "{text:?} is no pin: write it as `coinmill pin` or `mill.pin()` gave it, like \
                 s412-3f9a2c41/t98-77d0e1bb@2026-01-14T12:05:00.123Z"
            ))
        })
    }
}

impl TryFrom<String> for Pin {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Pin> for String {
    fn from(pin: Pin) -> Self {
        pin.to_string()
    }
}

/// A database's part of pins, and what is said of it.
pub(super) trait Pinnable: Tables {
    /// Which database.
    const NAME: &str;
    /// Why nothing may be known there at an instant.
    const LATER: &str;

    fn part(pin: &Pin) -> Option<&Position>;
    fn with(position: Option<Position>, at: DateTime<Utc>) -> Pin;
}

impl Pinnable for SnapshotTables {
    const NAME: &str = "snapshot";
    const LATER: &str = "the first snapshot was taken later";

    fn part(pin: &Pin) -> Option<&Position> {
        pin.snapshot.as_ref()
    }

    fn with(snapshot: Option<Position>, at: DateTime<Utc>) -> Pin {
        Pin {
            snapshot,
            timeseries: None,
            at,
        }
    }
}

impl Pinnable for TimeseriesTables {
    const NAME: &str = "time series";
    const LATER: &str = "this history was fetched later";

    fn part(pin: &Pin) -> Option<&Position> {
        pin.timeseries.as_ref()
    }

    fn with(timeseries: Option<Position>, at: DateTime<Utc>) -> Pin {
        Pin {
            snapshot: None,
            timeseries,
            at,
        }
    }
}

/// One pin for all that is read of a database, so that a commit meanwhile does not tear it.
#[derive(Debug, Clone)]
pub(super) struct Pinned {
    /// Its commit; 0 where nothing was ever stored.
    pub(super) commit: i64,
    /// The instant of knowledge.
    pub(super) known_at: DateTime<Utc>,
    /// The same for whoever wants to read it again; none where nothing was ever stored.
    pub(super) pin: Option<Pin>,
}

/// The pin of now, of an instant, or the one that is given.
///
/// # Errors
/// [`Error::Data`] where nothing was known then, and for a pin of another database.
pub(super) async fn pinned<T: Pinnable>(
    store: &mut Database<T>,
    as_of: Option<&AsOf>,
    now: DateTime<Utc>,
) -> Result<Pinned> {
    let known_at = as_of.map_or(now, |as_of| as_of.at().min(now));
    let commit = match as_of {
        None => store.newest_commit().await?,
        Some(AsOf::Instant(at)) => {
            let commit = store.pin(*at).await?;
            Some(commit.ok_or_else(|| {
                let (at, later) = (shown(*at), T::LATER);
                Error::data(format!("nothing was stored by {at}: {later}"))
            })?)
        }
        Some(AsOf::Pin(pin)) => Some(of_this::<T>(store, pin).await?),
    };
    let position = match commit {
        Some(commit) => Some(position(store, commit).await?),
        None => None,
    };
    Ok(Pinned {
        commit: commit.unwrap_or_default(),
        known_at,
        pin: position.map(|position| T::with(Some(position), known_at.trunc_subsecs(3))),
    })
}

/// A pin's commit, where it is this database's.
async fn of_this<T: Pinnable>(store: &mut Database<T>, pin: &Pin) -> Result<i64> {
    let Some(pinned) = T::part(pin) else {
        return Err(Error::data(format!(
            "the pin {pin} has nothing of the {} database: nothing was stored there, or it is the pin of a frame that was not \
             read there; `coinmill pin` gives one of both",
            T::NAME
        )));
    };
    match store.run_of(pinned.commit).await? {
        Some(run) if mark(&run) == pinned.mark => Ok(pinned.commit),
        _ => Err(Error::data(format!(
            "the pin {pin} is of another {} database: here its commit {} {}; pins hold for the databases that they were made \
             of, and for copies that were made later",
            T::NAME,
            pinned.commit,
            match store.newest_commit().await? {
                Some(newest) if newest >= pinned.commit => "is another run's",
                _ => "is not there",
            }
        ))),
    }
}

async fn position<T: Tables>(store: &mut Database<T>, commit: i64) -> Result<Position> {
    let run = store.run_of(commit).await?;
    let run = run.ok_or_else(|| Error::data(format!("commit {commit} has no row")))?;
    Ok(Position {
        commit,
        mark: mark(&run),
    })
}

fn mark(run: &str) -> String {
    let from = run.len().saturating_sub(MARK);
    run.get(from..).unwrap_or(run).to_owned()
}

/// The pin of both databases, of now or of an instant.
///
/// # Errors
/// [`Error::Argument`] for an instant that is still to come; [`Error::Data`] where nothing was stored by then; otherwise as the
/// databases give them.
pub async fn pin(settings: &Settings, as_of: Option<DateTime<Utc>>) -> Result<Pin> {
    let now = http::now(settings).await;
    if let Some(at) = as_of.filter(|at| *at > now) {
        return Err(Error::argument(format!(
            "{} is still to come: what will be stored by then is not known",
            shown(at)
        )));
    }
    let at = as_of.unwrap_or(now).trunc_subsecs(3);
    let (snapshot, series) = (&settings.snapshot_url, &settings.timeseries_url);
    let pin = Pin {
        snapshot: known(
            if_there::<SnapshotTables>(snapshot, &settings.vs_currency).await?,
            as_of,
        )
        .await?,
        timeseries: known(
            if_there::<TimeseriesTables>(series, &settings.vs_currency).await?,
            as_of,
        )
        .await?,
        at,
    };
    match (&pin.snapshot, &pin.timeseries, as_of) {
        (None, None, Some(at)) => Err(Error::data(format!(
            "nothing was stored by {}: there is nothing to pin",
            shown(at)
        ))),
        (None, None, None) => Err(Error::data(
            "nothing is stored yet, so there is nothing to pin: run `coinmill run all`",
        )),
        _ => Ok(pin),
    }
}

/// The commit that was the newest one at an instant, or is now.
async fn known<T: Tables>(
    store: Option<Database<T>>,
    as_of: Option<DateTime<Utc>>,
) -> Result<Option<Position>> {
    let Some(mut store) = store else {
        return Ok(None);
    };
    let commit = match as_of {
        Some(at) => store.pin(at).await?,
        None => store.newest_commit().await?,
    };
    let position = match commit {
        Some(commit) => Some(position(&mut store, commit).await?),
        None => None,
    };
    store.close().await?;
    Ok(position)
}

fn shown(at: DateTime<Utc>) -> impl fmt::Display {
    at.format("%Y-%m-%dT%H:%M:%SZ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "s412-3f9a2c41/t98-77d0e1bb@2026-01-14T12:05:00.123Z";

    #[test]
    fn a_pin_is_its_text() {
        for text in [
            TEXT,
            "s412-3f9a2c41@2026-01-14T12:05:00.123Z",
            "t98-77d0e1bb@2026-01-14T12:05:00.000Z",
        ] {
            let pin: Pin = text.parse().unwrap();
            assert_eq!(pin.to_string(), text);
            assert_eq!(text.parse::<AsOf>().unwrap(), AsOf::Pin(pin.clone()));
            let json = serde_json::to_string(&pin).unwrap();
            assert_eq!(serde_json::from_str::<Pin>(&json).unwrap(), pin);
        }
    }

    #[test]
    fn what_is_no_pin_says_how_one_is_written() {
        for text in [
            "@2026-01-14T12:05:00.123Z",
            "s412@2026-01-14T12:05:00.123Z",
            "s412-3f9a2c4@2026-01-14T12:05:00.123Z",
            "s-1-3f9a2c41@2026-01-14T12:05:00.123Z",
            "s0-3f9a2c41@2026-01-14T12:05:00.123Z",
            "s1-3f9a2c41/s2-3f9a2c41@2026-01-14T12:05:00.123Z",
            "x1-3f9a2c41@2026-01-14T12:05:00.123Z",
            "é1-3f9a2c41@2026-01-14T12:05:00.123Z",
            "s412-3f9a2c41/t98-77d0e1bb@yesterday",
        ] {
            let said = text.parse::<AsOf>().unwrap_err().to_string();
            assert!(said.contains("is no pin: write it as"), "{text}: {said}");
        }
        let said = "yesterday".parse::<AsOf>().unwrap_err().to_string();
        assert!(said.contains("is neither a time"), "{said}");
    }
}
