//! What is said where no prices are stored of a coin or at a resolution: what there is, and what may have been meant.
//! It reads for that alone, and where it cannot, it says less.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};

use super::coins::known_coins;
use super::suggest::{Known, Meant, suggest};
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::market::CoinId;
use crate::series::{Resolution, Span};
use crate::store::{SnapshotStore, TimeseriesStore};

/// The most coins that one error speaks of.
const SAID: usize = 5;

/// What is stored now, by resolution and coin.
type Stored = BTreeMap<Resolution, BTreeMap<CoinId, Span>>;

/// The error for coins of which nothing is stored at a resolution, or for a resolution at which nothing is.
pub(super) async fn not_stored(
    settings: &Settings,
    store: &mut TimeseriesStore,
    wanted: Resolution,
    as_of: Option<DateTime<Utc>>,
    absent: &[&CoinId],
    pruned: Option<String>,
) -> Error {
    let stored = match stored_now(store).await {
        Ok(stored) => stored,
        Err(error) => return error,
    };
    let known = known(settings).await;
    let said = said(wanted, as_of, absent, &stored, &known, pruned.is_some());
    // what was known then may be what is gone
    Error::data(match pruned {
        Some(pruned) => format!("{said}; {pruned}"),
        None => said,
    })
}

/// The error for coins of which nothing is stored at any resolution.
pub(super) async fn never_stored(
    settings: &Settings,
    store: &mut TimeseriesStore,
    wanted: Option<Resolution>,
    absent: &[&CoinId],
) -> Error {
    let stored = match stored_now(store).await {
        Ok(stored) => stored,
        Err(error) => return error,
    };
    // the one that `prices` and `backfill` take where none is named
    let resolution = wanted.unwrap_or(Resolution::Hour);
    let here = stored.values().flatten();
    let here: BTreeMap<CoinId, Span> = here.map(|(coin, span)| (coin.clone(), *span)).collect();
    let meant = Meanings::of(&here, &known(settings).await);
    Error::data(lines(absent, |coin| {
        line(coin, resolution, &stored, &meant)
    }))
}

async fn stored_now(store: &mut TimeseriesStore) -> Result<Stored> {
    let mut stored = Stored::new();
    for resolution in Resolution::ALL {
        let ends = store.coverage_ends(resolution, &[], i64::MAX).await?;
        stored.insert(resolution, ends);
    }
    Ok(stored)
}

/// What is said of the first of some coins, and how many more there are.
fn lines(absent: &[&CoinId], line: impl Fn(&CoinId) -> String) -> String {
    let mut lines: Vec<String> = absent.iter().take(SAID).map(|coin| line(coin)).collect();
    if absent.len() > SAID {
        lines.push(format!(
            "and {} coins more are not stored",
            absent.len() - SAID
        ));
    }
    lines.join("; ")
}

/// The names of the snapshot database, where it is there: what is said must not fail for their sake.
async fn known(settings: &Settings) -> Vec<Known> {
    let (url, vs_currency) = (&settings.snapshot_url, &settings.vs_currency);
    let read = async {
        let mut store = SnapshotStore::open_existing(url, vs_currency).await?;
        let known = known_coins(&mut store).await?;
        store.close().await.map(|()| known)
    };
    read.await.unwrap_or_else(|error| {
        tracing::debug!("no names to suggest: {}", error.chain());
        Vec::new()
    })
}

fn said(
    resolution: Resolution,
    as_of: Option<DateTime<Utc>>,
    absent: &[&CoinId],
    stored: &Stored,
    known: &[Known],
    is_pruned: bool,
) -> String {
    let none = BTreeMap::new();
    let here = stored.get(&resolution).unwrap_or(&none);
    if here.is_empty() {
        let others: Vec<String> = stored
            .iter()
            .filter_map(|(resolution, ends)| {
                Some(format!("{resolution} is stored from {}", all(ends)?))
            })
            .collect();
        return match others.as_slice() {
            [] if is_pruned => "no prices are stored any more".to_owned(),
            [] => "no prices are stored yet: `coinmill run timeseries` or `coinmill backfill` fetches them".to_owned(),
            others => format!("nothing is stored at {resolution}: {}", others.join(", ")),
        };
    }
    if absent.is_empty() {
        let at = as_of.map(|at| later(at, is_pruned)).unwrap_or_default();
        return format!("nothing at {resolution} was stored{at}");
    }
    let meant = Meanings::of(here, known);
    lines(absent, |coin| match (as_of, here.contains_key(coin)) {
        (Some(at), true) => format!("no prices of {coin} were stored{}", later(at, is_pruned)),
        _ => line(coin, resolution, stored, &meant),
    })
}

fn later(at: DateTime<Utc>, is_pruned: bool) -> String {
    let at = at.format("%Y-%m-%dT%H:%M:%SZ");
    match is_pruned {
        true => format!(" by {at}, or it is gone"),
        false => format!(" by {at}: this history was fetched later"),
    }
}

/// From the first to the last of all.
fn all(ends: &BTreeMap<CoinId, Span>) -> Option<Span> {
    let start = ends.values().map(|span| span.start).min()?;
    let end = ends.values().map(|span| span.end).max()?;
    Span::new(start, end)
}

/// The coins that can be meant: those that are stored, and any that has a symbol or a name.
struct Meanings {
    stored: Vec<Known>,
    named: Vec<Known>,
}

impl Meanings {
    fn of(stored: &BTreeMap<CoinId, Span>, known: &[Known]) -> Self {
        let ids: HashSet<&str> = known.iter().map(|coin| coin.id.as_str()).collect();
        let nameless = stored.keys().filter(|coin| !ids.contains(coin.as_str()));
        let nameless = nameless.map(|coin| Known {
            id: coin.to_string(),
            ..Known::default()
        });
        let is_stored = |coin: &&Known| stored.contains_key(&CoinId::from_source(coin.id.clone()));
        Self {
            stored: known
                .iter()
                .filter(is_stored)
                .cloned()
                .chain(nameless)
                .collect(),
            named: known.to_vec(),
        }
    }
}

/// What is said of one coin.
fn line(coin: &CoinId, resolution: Resolution, stored: &Stored, meant: &Meanings) -> String {
    let elsewhere: Vec<String> = stored
        .iter()
        .filter_map(|(other, ends)| Some(format!("{other} is stored from {}", ends.get(coin)?)))
        .collect();
    if !elsewhere.is_empty() {
        return format!(
            "no prices of {coin} are stored at {resolution}: {}",
            elsewhere.join(", ")
        );
    }
    let id = coin.as_str();
    let fetched = format!(
        "no prices of {coin} are stored: `coinmill backfill --days 1 --resolution {resolution} --coins {coin}` fetches them"
    );
    // a coin that is known is meant as it is written
    if let Some(known) = meant.named.iter().find(|known| known.id == id) {
        return match known.delisted() {
            Some(delisted) => format!("no prices of {coin} are stored, and it is {delisted}"),
            None => fetched,
        };
    }
    match suggest(id, &meant.stored).or_else(|| suggest(id, &meant.named)) {
        Some(suggestion) => match suggestion.meant {
            Meant::Id(_) => format!("no prices of {coin} are stored: {suggestion}"),
            _ => format!("{suggestion}: give the id"),
        },
        None => fetched,
    }
}
