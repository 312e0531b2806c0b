//! Which coins the runs of a resolution have: each claims its own in its row of the ledger, where they count for as long as its
//! lock is held. Coins are compared by name, under the writer's lock; what is done with them is the pipeline's decision.

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::connection::Connection;
use super::ledger::{self, RunStart, Scope, needed};
use super::lock::{self, Key, RunLock};
use super::lock_file;
use super::value::Row;
use crate::config::DatabaseUrl;
use crate::error::{Error, Result};
use crate::market::{CoinId, named};

/// How often it is looked whether another run has recovered what it had claimed for that.
const LOOK: Duration = Duration::from_millis(100);

/// What a run does where another has some of its coins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfHeld {
    /// It does not begin: whoever named the coins is to know.
    Refuse,
    /// It begins without them, and there is one such run of its kind at a time.
    LeaveOut,
}

/// The coins that a run has, as they stand in its row.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Coins {
    /// Those that it works on, until it ends.
    own: HashSet<CoinId>,
    /// Those of which it stores what dead runs have landed. It gives them back before its first call.
    recovered: HashSet<CoinId>,
}

impl Coins {
    fn has(&self, coin: &CoinId) -> bool {
        self.own.contains(coin) || self.recovered.contains(coin)
    }
}

/// What a run has claimed.
#[derive(Debug, Default)]
pub(super) struct Claims {
    run: String,
    resolution: Option<i64>,
    coins: Coins,
}

/// A run that is to begin, and the coins that it wants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) start: &'a RunStart,
    pub(super) coins: &'a [CoinId],
    pub(super) if_held: IfHeld,
}

/// A run that says it is running, and the coins that it has.
#[derive(Debug)]
struct Claimant {
    run: String,
    kind: String,
    resolution: Option<i64>,
    coins: Coins,
}

impl Wish<'_> {
    /// True where the two cannot both have what they want.
    fn meets(&self, other: &Claimant) -> bool {
        let has_some = self.coins.iter().any(|coin| other.coins.has(coin));
        self.start.scope.minutes() == other.resolution && (has_some || self.is_second_to(other))
    }

    /// True where the other is in the way only for as long as it recovers.
    fn waits_for(&self, other: &Claimant) -> bool {
        let recovered = &other.coins.recovered;
        self.meets(other) && self.coins.iter().any(|coin| recovered.contains(coin))
    }

    /// True for the second run of a kind of which there is one at a time.
    fn is_second_to(&self, other: &Claimant) -> bool {
        self.if_held == IfHeld::LeaveOut && self.start.kind == other.kind
    }

    /// The coins that these others work on.
    ///
    /// # Errors
    /// [`Error::Held`] where the run does not begin for that.
    fn held_by(&self, others: &[Claimant]) -> Result<Vec<CoinId>> {
        let others: Vec<&Claimant> = others.iter().filter(|other| self.meets(other)).collect();
        if others.iter().any(|other| self.is_second_to(other)) {
            return Err(self.held(""));
        }
        let is_held = |coin: &&CoinId| others.iter().any(|other| other.coins.own.contains(*coin));
        let held: Vec<CoinId> = self.coins.iter().filter(is_held).cloned().collect();
        match self.if_held {
            IfHeld::Refuse if !held.is_empty() => Err(self.held(&named(&held, 3))),
            _ => Ok(held),
        }
    }

    fn held(&self, coins: &str) -> Error {
        let series = match self.start.scope {
            Scope::Series(resolution) => format!("the {resolution} series"),
            Scope::Slot(slot) => format!("slot {slot}"),
            Scope::Old => "what is old".to_owned(),
            Scope::Listing => "the list of all coins".to_owned(),
        };
        Error::Held {
            message: match coins {
                "" => format!("another run is at work on {series}: let it finish"),
                coins => format!(
                    "another run is at work on {series} of {coins}: let it finish, or name other coins"
                ),
            },
        }
    }
}

/// Writes that a run has begun with the coins that it could have, and that those have died whose lock nobody holds. Returns its own
/// lock, what it has, and the coins that others have.
///
/// # Errors
/// [`Error::Held`] where it cannot begin; then nothing is written. [`Error::Store`].
pub(super) async fn begin(
    connection: &mut Connection,
    url: &DatabaseUrl,
    wish: Wish<'_>,
) -> Result<(RunLock, Claims, Vec<CoinId>)> {
    // a session's lock is proved outside of a transaction; a file's is made within, so that none is nobody's
    let mut lock = match url.file() {
        Some(_) => None,
        None => Some(own_lock(connection, url, wish).await?),
    };
    loop {
        let living = survey(connection, url, wish).await?;
        // who cannot begin waits for nobody
        wish.held_by(&living)?;
        if living.iter().any(|other| wish.waits_for(other)) {
            sleep(LOOK).await;
            continue;
        }
        let begun = connection
            .transaction(async |connection| write(connection, url, wish, &living, &mut lock).await)
            .await?;
        if let Some(begun) = begun {
            let lock = lock.ok_or_else(|| wish.held(""))?;
            return Ok((lock, begun.0, begun.1));
        }
    }
}

async fn own_lock(
    connection: &mut Connection,
    url: &DatabaseUrl,
    wish: Wish<'_>,
) -> Result<RunLock> {
    let key = Key::of(&wish.start.id, wish.start.scope);
    let lock = lock::take(connection, url, &key).await?;
    lock.ok_or_else(|| wish.held(""))
}

/// The runs that live. The others are abandoned. One that is in the way and has fallen silent is waited for.
async fn survey(
    connection: &mut Connection,
    url: &DatabaseUrl,
    wish: Wish<'_>,
) -> Result<Vec<Claimant>> {
    let mut living = Vec::new();
    for other in running(connection, &wish.start.id).await? {
        let key = Key::Run(other.run.clone());
        let lives = if wish.meets(&other) {
            lock::is_held(connection, url, &key).await?
        } else {
            lock::is_taken(connection, url, &key).await?
        };
        if lives {
            living.push(other);
        } else {
            ledger::abandon(connection, &other.run, wish.start.started_at).await?;
            drop_all(connection, &other.run).await?;
        }
    }
    Ok(living)
}

/// Writes the run's row and its claims, where nobody has come since who is in the way.
async fn write(
    connection: &mut Connection,
    url: &DatabaseUrl,
    wish: Wish<'_>,
    living: &[Claimant],
    lock: &mut Option<RunLock>,
) -> Result<Option<(Claims, Vec<CoinId>)>> {
    lock::writer(connection).await?;
    let run = wish.start.id.as_str();
    let others = running(connection, run).await?;
    let is_known = |other: &Claimant| living.iter().any(|known| known.run == other.run);
    if others
        .iter()
        .any(|other| wish.waits_for(other) || (wish.meets(other) && !is_known(other)))
    {
        return Ok(None);
    }
    let held = wish.held_by(&others)?;
    if let Some(file) = url.file() {
        let others = others.iter().map(|other| other.run.as_str());
        lock_file::remove_dead(file, &others.collect());
        *lock = Some(own_lock(connection, url, wish).await?);
    }
    ledger::begin(connection, wish.start).await?;
    let mut own: HashSet<CoinId> = wish.coins.iter().cloned().collect();
    for coin in &held {
        own.remove(coin);
    }
    let coins = Coins {
        own,
        ..Coins::default()
    };
    put(connection, run, &coins).await?;
    let claims = Claims {
        run: run.to_owned(),
        resolution: wish.start.scope.minutes(),
        coins,
    };
    Ok(Some((claims, held)))
}

/// Claims coins of which a run is to recover something, and returns those that others have.
///
/// # Errors
/// [`Error::Store`].
pub(super) async fn claim(
    connection: &mut Connection,
    claims: &mut Claims,
    coins: impl IntoIterator<Item = CoinId>,
) -> Result<HashSet<CoinId>> {
    let coins = coins.into_iter();
    let new: HashSet<CoinId> = coins.filter(|coin| !claims.coins.has(coin)).collect();
    if new.is_empty() {
        return Ok(new);
    }
    let write = async |connection: &mut Connection| {
        lock::writer(connection).await?;
        let mut others = running(connection, &claims.run).await?;
        others.retain(|other| other.resolution == claims.resolution);
        let is_held = |coin: &CoinId| others.iter().any(|other| other.coins.has(coin));
        let (held, had): (HashSet<CoinId>, HashSet<CoinId>) = new.into_iter().partition(is_held);
        let mut coins = claims.coins.clone();
        coins.recovered.extend(had);
        put(connection, &claims.run, &coins).await?;
        Ok((coins, held))
    };
    let (coins, held) = connection.transaction(write).await?;
    claims.coins = coins;
    Ok(held)
}

/// Gives back what a run has claimed to recover it.
///
/// # Errors
/// [`Error::Store`].
pub(super) async fn give_back(connection: &mut Connection, claims: &mut Claims) -> Result<()> {
    if claims.coins.recovered.is_empty() {
        return Ok(());
    }
    claims.coins.recovered.clear();
    put(connection, &claims.run, &claims.coins).await
}

/// Forgets what a run has claimed, once it has ended: nobody asks any more.
///
/// # Errors
/// [`Error::Store`].
pub(super) async fn drop_all(connection: &mut Connection, run: &str) -> Result<()> {
    let sql = "update run set claims = null where id = $1";
    connection.execute(sql, vec![run.into()]).await.map(drop)
}

async fn put(connection: &mut Connection, run: &str, coins: &Coins) -> Result<()> {
    let sql = "update run set claims = $2 where id = $1";
    let coins = serde_json::json!(coins).to_string();
    let values = vec![run.into(), coins.into()];
    connection.execute(sql, values).await.map(drop)
}

/// The runs of series that say they are running, other than this one.
async fn running(connection: &mut Connection, except: &str) -> Result<Vec<Claimant>> {
    let sql = "select id, kind, cast(resolution as bigint), claims from run \
               where state = 'running' and id <> $1 and resolution is not null";
    let rows = connection.fetch(sql, vec![except.into()]).await?;
    rows.iter().map(claimant).collect()
}

fn claimant(row: &Row) -> Result<Claimant> {
    let coins = row.text(3)?.map(|coins| serde_json::from_str(&coins));
    let coins = coins.transpose().map_err(|error| {
        Error::data("run.claims is not what a run writes: the database is damaged").because(error)
    })?;
    Ok(Claimant {
        run: needed(row.text(0)?, "run.id")?,
        kind: needed(row.text(1)?, "run.kind")?,
        resolution: row.int(2)?,
        coins: coins.unwrap_or_default(),
    })
}
