//! The landing's folders by day: what the runs of a day take, and deleting a run's.
//! Which of them are kept no longer, and which somebody may still need, is decided elsewhere.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use crate::error::{Error, Result};

/// A run's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldFolder {
    /// The run's id.
    pub run: String,
    /// Where it is.
    pub path: PathBuf,
    /// How many bodies are in it.
    pub bodies: u64,
    /// The bytes of all its files.
    pub bytes: u64,
}

/// The days before another that have a folder, the oldest first.
///
/// # Errors
/// [`Error::Store`] when the landing folder cannot be read. A landing that is not there has no days.
pub fn days_before(root: &Path, before: NaiveDate) -> Result<Vec<NaiveDate>> {
    let names = names(root)?.into_iter();
    let mut days: Vec<NaiveDate> = names
        // the shape that the landing writes, and no other that can be read as a day
        .filter_map(|name| {
            name.parse()
                .ok()
                .filter(|day: &NaiveDate| day.to_string() == name)
        })
        .filter(|day| *day < before)
        .collect();
    days.sort_unstable();
    Ok(days)
}

/// The folders of a day's runs.
///
/// # Errors
/// As [`days_before`].
pub fn folders_of(root: &Path, day: NaiveDate) -> Result<Vec<OldFolder>> {
    let of_day = root.join(day.to_string());
    let mut folders = Vec::new();
    for run in names(&of_day)? {
        let path = of_day.join(&run);
        if path.is_symlink() || !path.is_dir() {
            continue;
        }
        let (mut bodies, mut bytes) = (0, 0);
        for name in names(&path)? {
            bodies += u64::from(name.ends_with(".zst"));
            bytes += fs::symlink_metadata(path.join(name)).map_or(0, |about| about.len());
        }
        folders.push(OldFolder {
            run,
            path,
            bodies,
            bytes,
        });
    }
    folders.sort_by(|a, b| a.run.cmp(&b.run));
    Ok(folders)
}

/// Deletes a run's folder.
///
/// # Errors
/// [`Error::Store`] when it cannot be deleted.
pub fn delete(folder: &OldFolder) -> Result<()> {
    gone(&folder.path, fs::remove_dir_all(&folder.path))
}

/// Deletes the folder of a day in which no run's is left.
///
/// # Errors
/// As [`delete`].
pub fn delete_if_empty(root: &Path, day: NaiveDate) -> Result<()> {
    let of_day = root.join(day.to_string());
    match fs::remove_dir(&of_day) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        done => gone(&of_day, done),
    }
}

fn gone(path: &Path, done: io::Result<()>) -> Result<()> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let remedy = "run it as the user whose folder it is";
            Err(Error::store(
                format!("{} cannot be deleted: {remedy}", path.display()),
                error,
            ))
        }
        _ => Ok(()),
    }
}

/// What is in a folder, by name; names that are no text are nobody's.
fn names(folder: &Path) -> Result<Vec<String>> {
    let wrong = |error| {
        let remedy = "make it a readable folder, or set COINMILL_LANDING_DIR to another";
        Error::store(
            format!("{} cannot be read: {remedy}", folder.display()),
            error,
        )
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(wrong(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(wrong)?.file_name().into_string().ok());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_landing_s_own_days_are_old_and_an_empty_one_goes() {
        let root = tempfile::tempdir().unwrap();
        let before = "2026-01-14".parse().unwrap();
        assert_eq!(days_before(&root.path().join("none"), before).unwrap(), []);
        for path in [
            "2026-01-12/one",
            "2026-01-13",
            "2026-01-14",
            "2026-1-3",
            "mine",
        ] {
            fs::create_dir_all(root.path().join(path)).unwrap();
        }
        let days = days_before(root.path(), before).unwrap();
        assert_eq!(
            days.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["2026-01-12", "2026-01-13"]
        );
        let run = root.path().join("2026-01-12/one");
        for (name, text) in [("manifest.jsonl", "12"), ("0001-x.zst", "345")] {
            fs::write(run.join(name), text).unwrap();
        }
        let folders = folders_of(root.path(), days[0]).unwrap();
        assert_eq!((folders[0].bodies, folders[0].bytes), (1, 5));
        delete_if_empty(root.path(), days[0]).unwrap();
        assert!(run.exists());
        // what is gone is as good as deleted
        for _ in 0..2 {
            delete(&folders[0]).unwrap();
            assert!(!run.exists());
        }
        for _ in 0..2 {
            delete_if_empty(root.path(), days[0]).unwrap();
            assert!(!root.path().join("2026-01-12").exists());
        }
        assert!(folders_of(root.path(), days[0]).unwrap().is_empty());
    }
}
