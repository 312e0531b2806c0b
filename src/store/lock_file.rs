//! An operating system's lock on a file, which a process holds as long as it lives, for databases that have no sessions.
//! Whose files they are and what they mean is `lock`'s to say.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A held lock.
#[derive(Debug)]
pub(super) struct LockFile {
    _file: File,
    /// Where the file is to go with the lock.
    passing: Option<PathBuf>,
}

impl Drop for LockFile {
    fn drop(&mut self) {
        if let Some(path) = &self.passing {
            let _the_next_run_removes_it = std::fs::remove_file(path);
        }
    }
}

impl LockFile {
    /// Takes the lock, or `None` where another has it. The file is made if it is not there; one that is passing goes with the lock.
    ///
    /// # Errors
    /// [`Error::Store`] when the file cannot be used.
    pub(super) fn take(path: PathBuf, is_passing: bool) -> Result<Option<Self>> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| unusable(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self {
                _file: file,
                passing: is_passing.then_some(path),
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(unusable(&path, error)),
        }
    }
}

/// True where somebody has the lock. Who looks shares it, so that another who looks at the same moment takes nobody for alive.
///
/// # Errors
/// [`Error::Store`] when the file cannot be used.
pub(super) fn is_taken(path: &Path) -> Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(unusable(path, error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(unusable(path, error)),
    }
}

/// Removes what runs that were killed have left beside a database: the files of all runs but these. To be called within a
/// transaction, as those files are made: then no other run is about to begin.
pub(super) fn remove_dead(database: &Path, living: &HashSet<&str>) {
    let (Some(folder), Some(name)) = (database.parent(), database.file_name()) else {
        return;
    };
    let name = format!("{}.", name.display());
    // a relative path of one part has an empty parent
    let folder = Some(folder).filter(|folder| !folder.as_os_str().is_empty());
    let entries = std::fs::read_dir(folder.unwrap_or(Path::new(".")));
    for entry in entries.into_iter().flatten().flatten() {
        let file = entry.file_name();
        let run = file
            .to_str()
            .and_then(|file| file.strip_prefix(&name)?.strip_suffix(".lock"))
            .filter(|run| uuid::Uuid::parse_str(run).is_ok());
        if run.is_some_and(|run| !living.contains(run)) {
            let _the_next_run_tries_again = std::fs::remove_file(entry.path());
        }
    }
}

fn unusable(path: &Path, error: std::io::Error) -> Error {
    let remedy = "make its folder writable";
    Error::store(
        format!("the lock file {} cannot be used: {remedy}", path.display()),
        error,
    )
}
