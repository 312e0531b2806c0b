//! The lock that a run holds for its slot or series. Whoever gets it may call earlier runs dead.
//! PostgreSQL: a session advisory lock, which a session loses that is silent. SQLite: an operating system's lock on a file
//! beside the database.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::connection::{Connection, lock_timeout};
use super::ledger::{Scope, needed};
use super::value::Value;
use crate::config::DatabaseUrl;
use crate::error::{Error, Result};

/// How long nothing may be heard of a session that holds a lock. Then its process is frozen or its host has vanished, and the
/// lock is free.
const SILENCE: Duration = Duration::from_secs(45);

/// How often it is looked whether a lock is free by now.
const LOOK: Duration = Duration::from_millis(500);

/// A held lock. On PostgreSQL the connection holds it; on SQLite this file does, until it is dropped.
#[derive(Debug)]
pub(crate) struct RunLock {
    scope: Scope,
    file: Option<File>,
}

impl Scope {
    /// The lock's number on PostgreSQL. Half-hours since 1970 are beyond every number of minutes, and no resolution is one minute;
    /// 0 is the writer's.
    fn number(self) -> i64 {
        match self {
            Self::Slot(slot) => slot.number(),
            Self::Series(resolution) => resolution.minutes().into(),
            Self::Old => 1,
        }
    }

    /// The lock's file beside a SQLite database. All slots share one: there is one writer anyway.
    fn suffix(self) -> String {
        match self {
            Self::Slot(_) => ".lock".to_owned(),
            Self::Series(resolution) => format!(".{resolution}.lock"),
            Self::Old => ".prune.lock".to_owned(),
        }
    }

    /// True where whoever holds the one lock holds the other too.
    pub(crate) fn shares_lock(self, other: Self, url: &DatabaseUrl) -> bool {
        match url.file() {
            Some(_) => self.suffix() == other.suffix(),
            None => self == other,
        }
    }
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
    scope: Scope,
) -> Result<Option<RunLock>> {
    if url.file().is_some() {
        return try_lock(connection, url, scope).await;
    }
    let silence = silence();
    connection.end_when_silent(silence).await?;
    let began = Instant::now();
    let mut before: Option<Holder> = None;
    loop {
        if let Some(lock) = try_lock(connection, url, scope).await? {
            prove(connection, &lock).await?;
            end_stalled_copies(connection, silence).await?;
            return Ok(Some(lock));
        }
        let holder = Holder::of(connection, scope).await?;
        if let Some(holder) = &holder {
            // by then it has been ended; if not, it belongs to a role that this one may not end
            if holder.lives(before.as_ref(), silence) || began.elapsed() > silence * 2 {
                return Ok(None);
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
        }
        before = holder.or(before);
        sleep(LOOK.min(silence / 8)).await;
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
    and l.database = (select d.oid from pg_database d where d.datname = current_database())";

impl Holder {
    async fn of(connection: &mut Connection, scope: Scope) -> Result<Option<Self>> {
        let rows = connection
            .fetch(HOLDER, vec![scope.number().into()])
            .await?;
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
/// resolution for a run.
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
    let values: Vec<Value> = vec![lock.scope.number().into()];
    if connection.fetch(sql, values).await?.is_empty() {
        return Err(Error::config(format!(
            "{} is behind a pooler that gives each transaction another session, so no run can hold a lock there: name the \
             server itself, or set the pooler to pool_mode = session",
            connection.place()
        )));
    }
    Ok(())
}

/// Takes a lock, or `None` where another run has it.
pub(crate) async fn try_lock(
    connection: &mut Connection,
    url: &DatabaseUrl,
    scope: Scope,
) -> Result<Option<RunLock>> {
    match url.file() {
        None => {
            let sql = "select pg_try_advisory_lock(1668245869, $1::integer)::integer::bigint";
            let rows = connection.fetch(sql, vec![scope.number().into()]).await?;
            let got = rows.first().map(|row| row.int(0)).transpose()?.flatten();
            Ok((got == Some(1)).then_some(RunLock { scope, file: None }))
        }
        Some(path) => {
            let mut name = path.as_os_str().to_owned();
            name.push(scope.suffix());
            let name = PathBuf::from(name);
            let failed = |error: std::io::Error| {
                let remedy = "make its folder writable";
                Error::store(
                    format!("the lock file {} cannot be used: {remedy}", name.display()),
                    error,
                )
            };
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&name)
                .map_err(failed)?;
            match file.try_lock() {
                Ok(()) => Ok(Some(RunLock {
                    scope,
                    file: Some(file),
                })),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => Err(failed(error)),
            }
        }
    }
}

/// Gives back a lock that was taken to look whether its run is alive.
pub(crate) async fn unlock(connection: &mut Connection, lock: RunLock) -> Result<()> {
    if lock.file.is_none() {
        let sql = "select pg_advisory_unlock(1668245869, $1::integer)::integer::bigint";
        connection
            .fetch(sql, vec![lock.scope.number().into()])
            .await?;
    }
    Ok(())
}
