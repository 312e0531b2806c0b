//! The lock that a run holds as long as it lives: that of its slot, or, for a run of series, one of its own.
//! PostgreSQL: a session advisory lock, which a session loses that is silent. SQLite: an operating system's lock on a file
//! beside the database. Which coins a run of series has is said in `claims`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::connection::{Connection, lock_timeout};
use super::ledger::{Scope, needed};
use super::lock_file::{self, LockFile};
use super::value::Value;
use crate::config::DatabaseUrl;
use crate::error::{Error, Result};
use crate::market::Slot;

/// How long nothing may be heard of a session that holds a lock. Then its process is frozen or its host has vanished, and the
/// lock is free.
const SILENCE: Duration = Duration::from_secs(45);

/// How often it is looked whether a lock is free by now.
const LOOK: Duration = Duration::from_millis(500);

/// What a lock is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// A half-hour: the runs of one come one after the other.
    Slot(Slot),
    /// What is kept no longer: prunes come one after the other.
    Prune,
    /// The list of all coins: one is stored a day.
    Listing,
    /// A run of series, by its id. Nobody else ever takes it: it tells whether the run lives.
    Run(String),
}

/// A held lock. On PostgreSQL the connection holds it; on SQLite this file does, until it is dropped.
#[derive(Debug)]
pub(crate) struct RunLock {
    key: Key,
    file: Option<LockFile>,
}

impl RunLock {
    /// True for the lock of a run of series.
    pub(crate) fn is_of_series(&self) -> bool {
        self.key.is_of_series()
    }
}

/// The numbers of runs on PostgreSQL begin here. Those of slots are half-hours since 1970, about a million.
const RUNS: u32 = 1 << 30;

impl Key {
    /// The lock that a run of the ledger holds as long as it lives.
    pub(crate) fn of(run: &str, scope: Scope) -> Self {
        match scope {
            Scope::Slot(slot) => Self::Slot(slot),
            Scope::Series(_) => Self::Run(run.to_owned()),
            Scope::Old => Self::Prune,
            Scope::Listing => Self::Listing,
        }
    }

    /// The lock's number on PostgreSQL; 0 is the writer's, 1 a prune's, and 2 that of the list of all coins. A run's is a hash of its id: where a dead run and a live one ever had the
    /// same, the dead one would be noticed later.
    fn number(&self) -> i64 {
        match self {
            Self::Slot(slot) => slot.number(),
            Self::Prune => 1,
            Self::Listing => 2,
            Self::Run(id) => (RUNS | (fnv1a(id) & (RUNS - 1))).into(),
        }
    }

    /// True for the lock of a run of series.
    fn is_of_series(&self) -> bool {
        matches!(self, Self::Run(_))
    }

    /// The lock's file beside a SQLite database. All slots share one, which stays: there is one writer anyway.
    fn beside(&self, database: &Path) -> PathBuf {
        let mut name = database.as_os_str().to_owned();
        match self {
            Self::Slot(_) => name.push(".lock"),
            Self::Prune => name.push(".prune.lock"),
            Self::Listing => name.push(".listing.lock"),
            Self::Run(id) => name.push(format!(".{id}.lock")),
        }
        name.into()
    }

    /// True where whoever holds the one lock holds the other too.
    pub(crate) fn shares_lock(&self, other: &Self, url: &DatabaseUrl) -> bool {
        match url.file() {
            Some(file) => self.beside(file) == other.beside(file),
            None => self == other,
        }
    }
}

/// 32-bit FNV-1a: <http://www.isthe.com/chongo/tech/comp/fnv/>.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// How long a statement of a run may take, where a server says nothing for as long as it would let a client be silent.
pub(super) fn statement_limit() -> Duration {
    silence()
}

/// [`SILENCE`], which tests shorten.
fn silence() -> Duration {
    #[cfg(feature = "failpoints")]
    if let Some(seconds) = std::env::var("COINMILL_TEST_SILENCE")
        .ok()
        .and_then(|text| text.parse().ok())
    {
        return Duration::from_secs_f64(seconds);
    }
    SILENCE
}

/// Takes a lock for a run, or `None` where another run has it and lives. Where nothing has been heard of that one's session for
/// longer than it may be silent, this waits until the server has ended it, and ends it where the server cannot.
///
/// # Errors
/// [`Error::Config`] behind a pooler that gives each transaction another session; [`Error::Store`].
pub(crate) async fn take(
    connection: &mut Connection,
    url: &DatabaseUrl,
    key: &Key,
) -> Result<Option<RunLock>> {
    if let Some(file) = url.file() {
        let file = LockFile::take(key.beside(file), key.is_of_series())?;
        return Ok(file.map(|file| RunLock {
            key: key.clone(),
            file: Some(file),
        }));
    }
    let silence = silence();
    connection.end_when_silent(silence).await?;
    let began = Instant::now();
    loop {
        if try_lock(connection, key).await? {
            let lock = RunLock {
                key: key.clone(),
                file: None,
            };
            prove(connection, &lock).await?;
            end_stalled_copies(connection, silence).await?;
            return Ok(Some(lock));
        }
        // whoever takes it as soon as it is free has had it for long enough by then
        if is_held(connection, url, key).await? || began.elapsed() > silence * 4 {
            return Ok(None);
        }
        sleep(LOOK.min(silence / 8)).await;
    }
}

/// True where another run has the lock and lives, as [`take`] would say it; it is not taken.
///
/// # Errors
/// [`Error::Store`].
pub(crate) async fn is_held(
    connection: &mut Connection,
    url: &DatabaseUrl,
    key: &Key,
) -> Result<bool> {
    if let Some(file) = url.file() {
        return lock_file::is_taken(&key.beside(file));
    }
    let silence = silence();
    let began = Instant::now();
    let mut before: Option<Holder> = None;
    loop {
        let Some(holder) = Holder::of(connection, key).await? else {
            return Ok(false);
        };
        // by then it has been ended; if not, it belongs to a role that this one may not end
        if holder.lives(before.as_ref(), silence) || began.elapsed() > silence * 2 {
            return Ok(true);
        }
        if before.is_none() {
            tracing::warn!(
                "another run holds the lock and has been silent for {} s: waiting until {} is free",
                holder.silent.as_secs(),
                connection.place()
            );
        }
        if holder.copies && holder.silent > silence {
            end_stalled_copies(connection, silence).await?;
        }
        before = Some(holder);
        sleep(LOOK.min(silence / 8)).await;
    }
}

/// True where another run has the lock at this moment, whether or not it is silent.
///
/// # Errors
/// [`Error::Store`].
pub(crate) async fn is_taken(
    connection: &mut Connection,
    url: &DatabaseUrl,
    key: &Key,
) -> Result<bool> {
    match url.file() {
        Some(file) => lock_file::is_taken(&key.beside(file)),
        None => Ok(Holder::of(connection, key).await?.is_some()),
    }
}

/// The session that holds a lock, as the server sees it.
#[derive(Debug)]
struct Holder {
    session: i64,
    /// True where the server waits for its client in the middle of a statement, which is a COPY.
    copies: bool,
    /// True where the server does something for it, and its client has only to wait.
    is_served: bool,
    /// Since when the server has heard nothing, or knows of the statement under way.
    silent: Duration,
    /// How far its COPY is.
    bytes: i64,
}

const HOLDER: &str = "select cast(a.pid as bigint), cast((a.state = 'active')::integer as bigint), \
    cast((a.wait_event_type = 'Client')::integer as bigint), \
    cast(extract(epoch from clock_timestamp() - a.state_change) * 1000 as bigint), \
    coalesce((select p.bytes_processed from pg_stat_progress_copy p where p.pid = a.pid), 0) \
    from pg_locks l join pg_stat_activity a on a.pid = l.pid \
    where l.locktype = 'advisory' and l.granted and l.classid = 1668245869 and l.objid = $1::bigint::oid and l.objsubid = 2 \
    and l.database = (select d.oid from pg_database d where d.datname = current_database()) and l.pid <> pg_backend_pid()";

impl Holder {
    async fn of(connection: &mut Connection, key: &Key) -> Result<Option<Self>> {
        let rows = connection.fetch(HOLDER, vec![key.number().into()]).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let (active, client) = (row.int(1)? == Some(1), row.int(2)? == Some(1));
        let silent = row.count(3)?;
        Ok(Some(Self {
            session: needed(row.int(0)?, "pg_stat_activity.pid")?,
            copies: active && client,
            // of another role's sessions nothing is shown
            is_served: (active && !client) || silent.is_none(),
            silent: Duration::from_millis(silent.unwrap_or_default()),
            bytes: row.int(4)?.unwrap_or_default(),
        }))
    }

    /// True where it shows a sign of life, or showed one lately. In a COPY that is told by looking twice.
    fn lives(&self, before: Option<&Self>, silence: Duration) -> bool {
        let moved = before.is_some_and(|before| {
            before.session != self.session
                || before.bytes != self.bytes
                || before.silent > self.silent
        });
        // it beats three times as often
        let is_idle_and_fresh = !self.copies && self.silent < silence * 4 / 9;
        self.is_served || moved || is_idle_and_fresh
    }
}

const COPIES: &str = "select cast(p.pid as bigint), p.bytes_processed from pg_stat_progress_copy p \
    join pg_stat_activity a on a.pid = p.pid \
    where a.datname = current_database() and a.usename = current_user and a.application_name = 'coinmill' \
    and p.command = 'COPY FROM' and a.wait_event_type = 'Client' and a.state_change < clock_timestamp() - $1 * interval '1 millisecond'";

/// Ends this role's sessions that are in a COPY since long and send nothing: their processes are frozen, or their hosts have
/// vanished. No timeout of the server's reaches them, and they may hold the writer's lock.
async fn end_stalled_copies(connection: &mut Connection, silence: Duration) -> Result<()> {
    let age = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX);
    let seen = copies(connection, age).await?;
    if seen.is_empty() {
        return Ok(());
    }
    // one that moves between two looks is slow, and lives
    sleep(LOOK.min(silence / 8)).await;
    connection.script("select pg_stat_clear_snapshot()").await?;
    for (session, bytes) in copies(connection, age).await? {
        if seen.contains(&(session, bytes)) {
            tracing::warn!("session {session} has been silent in a COPY: it is ended");
            let sql = "select pg_terminate_backend($1::integer)";
            connection.execute(sql, vec![session.into()]).await?;
        }
    }
    Ok(())
}

async fn copies(connection: &mut Connection, age: u64) -> Result<Vec<(i64, i64)>> {
    let rows = connection.fetch(COPIES, vec![age.into()]).await?;
    let read = |row: &super::value::Row| {
        Ok((
            needed(row.int(0)?, "pg_stat_progress_copy.pid")?,
            row.int(1)?.unwrap_or_default(),
        ))
    };
    rows.iter().map(read).collect()
}

/// Waits for the database's writer lock, and holds it until the transaction ends: whoever has it later sees what this one
/// commits. Taking it again changes nothing. One writer at a time commits to a PostgreSQL database. The first number of our
/// advisory locks, "coim" in ASCII, keeps them apart from those of other programs; the second is 0 for the writer and a slot or a
/// run's own number for a run.
///
/// # Errors
/// [`Error::Store`], also where another writer has it for too long, which the session's `lock_timeout` says.
pub(crate) async fn writer(connection: &mut Connection) -> Result<()> {
    if connection.is_sqlite() {
        return Ok(());
    }
    let silence = silence();
    let began = Instant::now();
    loop {
        // a timeout would end the transaction, but for the savepoint
        let wait = format!(
            "savepoint writer; set local lock_timeout = {}; select pg_advisory_xact_lock(1668245869, 0); \
             set local lock_timeout = {}",
            (silence / 4).as_millis(),
            lock_timeout(silence).as_millis()
        );
        match connection.text(wait).await {
            Ok(()) => return connection.script("release savepoint writer").await,
            Err(error) if is_timeout(&error) && began.elapsed() < silence * 2 => {
                connection.script("rollback to savepoint writer").await?;
                // within a transaction the server's statistics stand still
                connection.script("select pg_stat_clear_snapshot()").await?;
                end_stalled_copies(connection, silence).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// True for a lock that was not had in time.
fn is_timeout(error: &Error) -> bool {
    let cause =
        std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<sqlx::Error>());
    let said = cause.and_then(sqlx::Error::as_database_error);
    said.and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == "55P03")
}

/// Makes sure that this very session holds the lock: behind a pooler that gives each transaction another session it does not.
///
/// # Errors
/// [`Error::Config`] where it does not; [`Error::Store`].
pub(crate) async fn prove(connection: &mut Connection, lock: &RunLock) -> Result<()> {
    if lock.file.is_some() {
        return Ok(());
    }
    let sql = "select 1::bigint from pg_locks l where l.locktype = 'advisory' and l.granted and l.classid = 1668245869 \
               and l.objid = $1::bigint::oid and l.objsubid = 2 and l.pid = pg_backend_pid()";
    let values: Vec<Value> = vec![lock.key.number().into()];
    if connection.fetch(sql, values).await?.is_empty() {
        return Err(Error::config(format!(
            "{} is behind a pooler that gives each transaction another session, so no run can hold a lock there: name the \
             server itself, or set the pooler to pool_mode = session",
            connection.place()
        )));
    }
    Ok(())
}

/// Takes a lock for this session, unless another has it.
async fn try_lock(connection: &mut Connection, key: &Key) -> Result<bool> {
    let sql = "select pg_try_advisory_lock(1668245869, $1::integer)::integer::bigint";
    let rows = connection.fetch(sql, vec![key.number().into()]).await?;
    let got = rows.first().map(|row| row.int(0)).transpose()?.flatten();
    Ok(got == Some(1))
}
