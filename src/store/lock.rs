//! The lock that a run holds for its slot: who has it is alive, so whoever gets it may call the others dead.
//! PostgreSQL: a session advisory lock. SQLite: an operating system's lock on a file beside the database.

use std::fs::{File, TryLockError};
use std::path::PathBuf;

use super::connection::Connection;
use crate::config::DatabaseUrl;
use crate::error::{Error, Result};
use crate::market::Slot;

/// A held lock. On PostgreSQL the connection holds it; on SQLite this file does.
#[derive(Debug)]
pub(crate) struct RunLock {
    _file: Option<File>,
}

/// Takes the lock of a slot, or `None` where another run has it. On SQLite all slots of a file share one lock: there is
/// one writer anyway.
pub(crate) async fn try_lock(
    connection: &mut Connection,
    url: &DatabaseUrl,
    slot: Slot,
) -> Result<Option<RunLock>> {
    match url.file() {
        None => {
            let sql = "select pg_try_advisory_lock(1668245869, $1::integer)::integer::bigint";
            let rows = connection.fetch(sql, vec![slot.number().into()]).await?;
            let got = rows.first().map(|row| row.int(0)).transpose()?.flatten();
            Ok((got == Some(1)).then_some(RunLock { _file: None }))
        }
        Some(path) => {
            let mut name = path.as_os_str().to_owned();
            name.push(".lock");
            let name = PathBuf::from(name);
            let failed = |error: std::io::Error| {
                Error::store(
                    format!(
                        "the lock file {} cannot be used: make its folder writable",
                        name.display()
                    ),
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
                Ok(()) => Ok(Some(RunLock { _file: Some(file) })),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => Err(failed(error)),
            }
        }
    }
}

/// Gives back the lock of a slot that was taken to look whether its run is alive.
pub(crate) async fn unlock(connection: &mut Connection, lock: RunLock, slot: Slot) -> Result<()> {
    if lock._file.is_none() {
        let sql = "select pg_advisory_unlock(1668245869, $1::integer)::integer::bigint";
        connection.fetch(sql, vec![slot.number().into()]).await?;
    }
    Ok(())
}
