//! The lock that a run holds for its slot or series: who has it is alive, so whoever gets it may call the others dead.
//! PostgreSQL: a session advisory lock. SQLite: an operating system's lock on a file beside the database.

use std::fs::{File, TryLockError};
use std::path::PathBuf;

use super::connection::Connection;
use super::ledger::Scope;
use crate::config::DatabaseUrl;
use crate::error::{Error, Result};

/// A held lock. On PostgreSQL the connection holds it; on SQLite this file does, until it is dropped.
#[derive(Debug)]
pub(crate) struct RunLock {
    file: Option<File>,
}

impl Scope {
    /// The lock's number on PostgreSQL. Half-hours since 1970 are beyond every number of minutes; 0 is the writer's.
    fn number(self) -> i64 {
        match self {
            Self::Slot(slot) => slot.number(),
            Self::Series(resolution) => resolution.minutes().into(),
        }
    }

    /// The lock's file beside a SQLite database. All slots share one: there is one writer anyway.
    fn suffix(self) -> String {
        match self {
            Self::Slot(_) => ".lock".to_owned(),
            Self::Series(resolution) => format!(".{resolution}.lock"),
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
            Ok((got == Some(1)).then_some(RunLock { file: None }))
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
                Ok(()) => Ok(Some(RunLock { file: Some(file) })),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => Err(failed(error)),
            }
        }
    }
}

/// Gives back a lock that was taken to look whether its run is alive.
pub(crate) async fn unlock(connection: &mut Connection, lock: RunLock, scope: Scope) -> Result<()> {
    if lock.file.is_none() {
        let sql = "select pg_advisory_unlock(1668245869, $1::integer)::integer::bigint";
        connection.fetch(sql, vec![scope.number().into()]).await?;
    }
    Ok(())
}
