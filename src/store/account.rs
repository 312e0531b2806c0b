//! The account of a slot, stored beside its quotes: which coins were named, which are missing, and why.
//! Which coins these are is decided by the pipeline; here it is written and read.

use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::ledger::needed;
use super::value::{Row, Value};
use crate::error::{Error, Result};
use crate::market::Slot;

/// How the reason begins of what was received and refused; the rules follow.
pub const REFUSED: &str = "refused: ";

/// Something that was asked for and is not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// The coin; null where it is not known which coins are missing.
    pub coin_id: Option<String>,
    /// What is missing, for people: the coin, or ranks, or records of a page.
    pub what: String,
    /// Why it is missing.
    pub reason: String,
}

impl Absent {
    /// A coin that is not there, for this reason.
    pub fn coin(id: impl Into<String>, reason: impl Into<String>) -> Self {
        let id = id.into();
        Self {
            what: id.clone(),
            coin_id: Some(id),
            reason: reason.into(),
        }
    }

    /// Something else that is not there, for this reason.
    pub fn other(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            coin_id: None,
            what: what.into(),
            reason: reason.into(),
        }
    }

    /// True where something was received and refused.
    pub fn is_refused(&self) -> bool {
        self.reason.starts_with(REFUSED)
    }
}

impl std::fmt::Display for Absent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.what, self.reason)
    }
}

/// A coin that the user's own settings refuse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedCoin {
    /// The coin.
    pub coin_id: String,
    /// The warning rules that it breaks and that `refuse` names.
    pub rules: Vec<String>,
}

/// What a slot records beside its quotes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Coins that were asked for by name, by any run of the slot.
    pub named: Vec<String>,
    /// What is not there and could be.
    pub missing: Vec<Absent>,
    /// Coins asked for by name that CoinGecko does not know.
    pub unknown: Vec<String>,
    /// Coins that are not stored because the settings say so.
    pub refused: Vec<RefusedCoin>,
    /// Of what is refused and missing: what has been asked for a second time. It is not asked for again in this slot.
    pub retried: Vec<String>,
}

impl Account {
    /// The values of its columns `named`, `missing`, `unknown`, `refused` and `retried`, each a JSON array.
    pub(super) fn values(&self) -> [Value; 5] {
        let json = |list: serde_json::Value| Value::from(list.to_string());
        [
            json(serde_json::json!(self.named)),
            json(serde_json::json!(self.missing)),
            json(serde_json::json!(self.unknown)),
            json(serde_json::json!(self.refused)),
            json(serde_json::json!(self.retried)),
        ]
    }

    /// Reads it from its columns, the first of which is this one.
    pub(super) fn read(row: &Row, first: usize) -> Result<Self> {
        fn list<T: for<'a> Deserialize<'a>>(row: &Row, place: usize, name: &str) -> Result<Vec<T>> {
            let text = needed(row.text(place)?, name)?;
            serde_json::from_str(&text).map_err(|error| {
                Error::data(format!(
                    "{name} is not a list: the database was changed by something else"
                ))
                .because(error)
            })
        }
        Ok(Self {
            named: list(row, first, "snapshot.named")?,
            missing: list(row, first + 1, "snapshot.missing")?,
            unknown: list(row, first + 2, "snapshot.unknown")?,
            refused: list(row, first + 3, "snapshot.refused")?,
            retried: list(row, first + 4, "snapshot.retried")?,
        })
    }

    /// What is left of it once these coins are stored.
    #[must_use]
    pub fn with_stored(mut self, is_stored: impl Fn(&str) -> bool) -> Self {
        self.missing.retain(|missing| !is_stored(&missing.what));
        self.refused.retain(|refused| !is_stored(&refused.coin_id));
        self
    }
}

/// The accounts of the slots of the day before a slot as they stand, the newest first.
pub(super) async fn of_the_day_before(
    connection: &mut Connection,
    slot: Slot,
) -> Result<Vec<Account>> {
    let sql = "select named, missing, unknown, refused, retried from snapshot_now where snapshot_time > $1 and snapshot_time < $2 \
               order by snapshot_time desc";
    let day_before = slot.start() - chrono::TimeDelta::days(1);
    let values = vec![day_before.into(), slot.start().into()];
    let rows = connection.fetch(sql, values).await?;
    rows.iter().map(|row| Account::read(row, 0)).collect()
}
