//! Whether a folder is there or can be made, may be written, and has space.
//! It makes no file: rights are asked of the system.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A folder as it is.
pub(super) struct Folder {
    /// True where it is there.
    pub(super) exists: bool,
    /// Why it cannot be written, with the remedy.
    pub(super) blocked: Option<String>,
    /// The bytes that this user can still write to its disk, where the system says.
    pub(super) free: Option<u64>,
}

/// Looks at a folder, on a thread that a lost network drive may keep.
pub(super) async fn look(folder: PathBuf) -> Result<Folder> {
    let looked = tokio::task::spawn_blocking(move || look_now(&folder)).await;
    looked.map_err(|error| Error::store("the folder could not be looked at", error))
}

fn look_now(folder: &Path) -> Folder {
    let there = nearest(folder);
    let exists = there == folder;
    let blocked = if !there.is_dir() {
        Some(format!(
            "{} is no folder: remove it, or name another place",
            there.display()
        ))
    } else if !is_writable(&there) {
        Some(format!(
            "this user may not write to {}: give it the right, or name another place",
            there.display()
        ))
    } else {
        None
    };
    Folder {
        exists,
        blocked,
        free: free(&there),
    }
}

/// The folder itself, or the nearest of those above it that is there.
fn nearest(folder: &Path) -> PathBuf {
    folder
        .ancestors()
        .map(|above| match above.as_os_str().is_empty() {
            true => Path::new("."),
            false => above,
        })
        // what cannot be looked at is there all the same
        .find(|above| above.try_exists().unwrap_or(true))
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// True where this user may write here.
#[cfg(unix)]
pub(super) fn is_writable(path: &Path) -> bool {
    use rustix::fs::{Access, access};
    let mut wanted = Access::WRITE_OK;
    if path.is_dir() {
        wanted |= Access::EXEC_OK;
    }
    access(path, wanted).is_ok()
}

#[cfg(not(unix))]
pub(super) fn is_writable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| !metadata.permissions().readonly())
}

#[cfg(unix)]
fn free(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free(_folder: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_is_as_good_as_the_one_above_it() {
        let root = tempfile::tempdir().unwrap();
        let wanted = root.path().join("a/b/c");
        let looked = look_now(&wanted);
        assert!(!looked.exists && looked.blocked.is_none());
        assert!(!root.path().join("a").exists(), "it was made");
        std::fs::write(root.path().join("a"), "").unwrap();
        let blocked = look_now(&wanted).blocked.unwrap();
        assert!(blocked.contains("is no folder"), "{blocked}");
        assert!(look_now(root.path()).exists);
    }
}
