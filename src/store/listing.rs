//! The list of all coins: its history by coin, and what was known of it at a pin.
//! What a list changes is the pipeline's to say; here that becomes durable, or nothing of it does.

use std::collections::HashMap;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::connection::{Connection, Sql};
use super::landings;
use super::ledger::{self, RunEnd, needed};
use super::quarantine::{self, RefusedRow};
use super::tables::SnapshotStore;
use super::tally::{self, SlotAdded};
use super::value::{Row, Value};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::landing::Landed;
use crate::market::{CoinId, Slot};

/// What the lists say of a coin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedState {
    /// It is in the newest.
    Listed,
    /// One list lacks it, which proves nothing yet.
    Absent,
    /// Two lists lack it, at least an hour apart.
    Delisted,
}

impl ListedState {
    const ALL: [Self; 3] = [Self::Listed, Self::Absent, Self::Delisted];

    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Absent => "absent",
            Self::Delisted => "delisted",
        }
    }
}

/// A coin as the lists have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedCoin {
    /// The coin.
    pub id: CoinId,
    /// Its symbol, or the last that it had.
    pub symbol: String,
    /// Its name, or the last that it had.
    pub name: Option<String>,
    /// What the lists say.
    pub state: ListedState,
    /// Since when it is absent or delisted, else since when it is listed under this symbol and name.
    pub since: DateTime<Utc>,
}

impl ListedCoin {
    /// Since when it is delisted; none where it is not.
    pub fn delisted_at(&self) -> Option<DateTime<Utc>> {
        (self.state == ListedState::Delisted).then_some(self.since)
    }
}

/// A stored list.
#[derive(Debug, Clone, Serialize)]
pub struct StoredListing {
    /// The run that stored it.
    pub run: String,
    /// When it was received.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub received_at: DateTime<Utc>,
    /// How many coins it has.
    pub coins: u64,
}

/// Everything that a run stores of a list.
#[derive(Debug)]
pub struct ListingCommit {
    /// The run.
    pub run: String,
    /// The body.
    pub body: Landed,
    /// How many coins it has.
    pub coins: u64,
    /// The coins of which it says something new.
    pub changes: Vec<ListedCoin>,
    /// Records refused.
    pub refused: Vec<RefusedRow>,
}

const NEWEST: &str = "select m.run, l.received_at, l.coins from listing l join \"commit\" m on m.id = l.\"commit\" \
    where l.\"commit\" <= $1 order by l.\"commit\" desc limit 1";

/// The newest row of each coin; of a delisted one the instant of the row before, which made it absent.
const KNOWN: &str = "select n.coin_id, n.symbol, n.name, n.state, case when n.state = 'delisted' then (\
    select a.seen_at from listed a where a.coin_id = n.coin_id and a.\"commit\" < n.\"commit\" order by a.\"commit\" desc limit 1) \
    else n.seen_at end, n.\"commit\" from (select coin_id, max(\"commit\") as newest from listed where \"commit\" <= $1 group by coin_id) e \
    join listed n on n.coin_id = e.coin_id and n.\"commit\" = e.newest order by n.coin_id";

const OF_RUN: &str = "select b.path, b.sha256, l.\"commit\" from listing l join \"commit\" m on m.id = l.\"commit\" \
    join landing b on b.id = l.landing where m.run = $1";

/// What is known of a coin by a pin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CoinNow {
    /// Its newest symbol.
    pub symbol: Option<String>,
    /// Its newest name.
    pub name: Option<String>,
    /// The newest slot with a quote of it.
    pub last_seen: Option<Slot>,
    /// Since when it is delisted; none where it is not.
    pub delisted_at: Option<DateTime<Utc>>,
}

/// The newest name of each coin, from its quotes or from a list, and the newest slot with a quote of it, all as known at a pin.
const NOW: &str = "select c.id, n.symbol, n.name, \
    (select q.snapshot_time from quote q where q.coin = c.key and (select l.\"commit\" from landing l where l.id = q.landing) <= $1 \
    order by q.snapshot_time desc limit 1), n.\"commit\" from coin c \
    left join coin_name n on n.coin = c.key and n.\"commit\" = \
    (select max(m.\"commit\") from coin_name m where m.coin = c.key and m.\"commit\" <= $1) where c.id in ";

static NOW_POSTGRES: LazyLock<String> =
    LazyLock::new(|| format!("{NOW}(select json_array_elements_text($2::json))"));
static NOW_SQLITE: LazyLock<String> =
    LazyLock::new(|| format!("{NOW}(select value from json_each($2))"));

/// The newest row of these coins, and its commit.
static LISTED_POSTGRES: LazyLock<String> = LazyLock::new(|| {
    KNOWN.replace(
        "where \"commit\" <= $1",
        "where \"commit\" <= $1 and coin_id in (select json_array_elements_text($2::json))",
    )
});
static LISTED_SQLITE: LazyLock<String> = LazyLock::new(|| {
    KNOWN.replace(
        "where \"commit\" <= $1",
        "where \"commit\" <= $1 and coin_id in (select value from json_each($2))",
    )
});

impl SnapshotStore {
    /// What is known of coins at a pin.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn coins_now(
        &mut self,
        coins: &[CoinId],
        pin: i64,
    ) -> Result<HashMap<CoinId, CoinNow>> {
        let values = || vec![pin.into(), serde_json::json!(coins).to_string().into()];
        let sql = Sql {
            postgres: NOW_POSTGRES.as_str(),
            sqlite: NOW_SQLITE.as_str(),
        };
        let mut found = HashMap::new();
        for row in &self.connection.fetch(sql, values()).await? {
            let now = CoinNow {
                symbol: row.text(1)?,
                name: row.text(2)?,
                last_seen: row.time(3)?.map(Slot::containing),
                delisted_at: None,
            };
            let coin = CoinId::from_source(needed(row.text(0)?, "coin.id")?);
            found.insert(coin, (now, row.int(4)?.unwrap_or_default()));
        }
        let sql = Sql {
            postgres: LISTED_POSTGRES.as_str(),
            sqlite: LISTED_SQLITE.as_str(),
        };
        for row in &self.connection.fetch(sql, values()).await? {
            let listed = read_coin(row)?;
            let commit = needed(row.int(5)?, "listed.commit")?;
            if let Some((now, named)) = found.get_mut(&listed.id) {
                now.delisted_at = listed.delisted_at();
                // of a coin that is gone a list has the last name that it had there, which may be older
                if commit > *named && listed.state == ListedState::Listed {
                    now.symbol = Some(listed.symbol);
                    now.name = listed.name;
                }
            }
        }
        Ok(found
            .into_iter()
            .map(|(coin, (now, _))| (coin, now))
            .collect())
    }

    /// The newest list that was known at a pin; none is now.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn newest_listing(&mut self, pin: Option<i64>) -> Result<Option<StoredListing>> {
        let values = vec![pin.unwrap_or(i64::MAX).into()];
        let rows = self.connection.fetch(NEWEST, values).await?;
        let read = |row: &Row| {
            Ok(StoredListing {
                run: needed(row.text(0)?, "commit.run")?,
                received_at: needed(row.time(1)?, "listing.received_at")?,
                coins: needed(row.count(2)?, "listing.coins")?,
            })
        };
        rows.first().map(read).transpose()
    }

    /// Every coin that was ever in a list, as it was known at a pin (none is now), by id.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn listed(&mut self, pin: Option<i64>) -> Result<Vec<ListedCoin>> {
        let values = vec![pin.unwrap_or(i64::MAX).into()];
        let rows = self.connection.fetch(KNOWN, values).await?;
        rows.iter().map(read_coin).collect()
    }

    /// The body of the list that a run stored, by path and hash, and the commit; none where it stored none.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn listing_of(&mut self, run: &str) -> Result<Option<(String, String, i64)>> {
        let rows = self.connection.fetch(OF_RUN, vec![run.into()]).await?;
        let read = |row: &Row| {
            let path = needed(row.text(0)?, "landing.path")?;
            let sha256 = needed(row.text(1)?, "landing.sha256")?;
            Ok((path, sha256, needed(row.int(2)?, "listing.commit")?))
        };
        rows.first().map(read).transpose()
    }

    /// Stores a list whole, with the end of its run.
    ///
    /// # Errors
    /// [`Error::Config`] where the database holds another currency; [`Error::Store`]; then nothing of it was stored.
    pub async fn commit_listing(
        &mut self,
        commit: &ListingCommit,
        clock: Clock,
        end: impl FnOnce() -> RunEnd,
    ) -> Result<()> {
        let load = async |_: &mut Connection| Ok(());
        let work = async |connection: &mut Connection, (): (), id: i64| {
            let landings = landings::reserve(connection, 1).await?;
            let landing = needed(landings.first().copied(), "landing.id")?;
            let body = std::iter::once((landing, &commit.body));
            landings::insert(connection, &commit.run, id, body).await?;
            insert_listing(connection, commit, id, landing).await?;
            failpoint::pass(failpoint::COMMIT_HALF_DONE);
            let refused = commit.refused.iter();
            let refused = refused.map(|refused| (landing, commit.body.path.as_str(), refused));
            let added = SlotAdded {
                snapshots: 0,
                complete: 0,
                quotes: 0,
                quarantined: quarantine::insert(connection, refused.collect()).await?,
            };
            tally::add_slot(connection, id, added).await?;
            ledger::end(connection, &commit.run, &end()).await
        };
        // a list has no currency, and binds none
        self.in_commit(&commit.run, clock, false, load, work).await
    }
}

async fn insert_listing(
    connection: &mut Connection,
    commit: &ListingCommit,
    id: i64,
    landing: i64,
) -> Result<()> {
    let received_at: Value = commit.body.received_at.into();
    let list = vec![
        id.into(),
        landing.into(),
        received_at.clone(),
        commit.coins.into(),
    ];
    let columns = ["\"commit\"", "landing", "received_at", "coins"];
    connection.insert("listing", &columns, &[list]).await?;
    let row = |coin: &ListedCoin| {
        vec![
            coin.id.as_str().into(),
            id.into(),
            landing.into(),
            received_at.clone(),
            coin.symbol.as_str().into(),
            coin.name.clone().into(),
            coin.state.name().into(),
        ]
    };
    let rows: Vec<Vec<Value>> = commit.changes.iter().map(row).collect();
    let columns = [
        "coin_id",
        "\"commit\"",
        "landing",
        "seen_at",
        "symbol",
        "name",
        "state",
    ];
    connection.insert("listed", &columns, &rows).await
}

fn read_coin(row: &Row) -> Result<ListedCoin> {
    let state = needed(row.text(3)?, "listed.state")?;
    let state = ListedState::ALL.into_iter().find(|it| it.name() == state);
    Ok(ListedCoin {
        id: CoinId::from_source(needed(row.text(0)?, "listed.coin_id")?),
        symbol: needed(row.text(1)?, "listed.symbol")?,
        name: row.text(2)?,
        state: state
            .ok_or_else(|| Error::data("listed.state is of a newer coinmill: install that"))?,
        since: needed(row.time(4)?, "listed.seen_at")?,
    })
}
