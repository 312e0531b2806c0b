//! The landing: every body as it was received, and its request, in dated folders.
//! Bytes in, bytes out, by hash; what the bytes mean is read elsewhere.
//!
//! `YYYY-MM-DD/<run>/NNNN-<what>.zst` holds one body; `manifest.jsonl` beside it holds the run on its first line and then
//! one line a body: request (never with a key), status, headers, sha256, time. A body is written whole under another
//! name, then renamed, then listed; so what is listed is whole, and what is not listed does not count.

mod old;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

pub use old::{OldFolder, days_before, delete, delete_if_empty, folders_of};

use crate::error::{Error, Result};
use crate::failpoint;

const MANIFEST: &str = "manifest.jsonl";

/// The fastest of zstd's plain levels: on digits, which hardly compress, the next ones take twice the time for a few percent.
const COMPRESSION: i32 = 1;

/// The most bytes of one body, decompressed. The largest real one, `/coins/list`, has about 2 MB; eight may be under way
/// at once.
pub const BODY_LIMIT: usize = 16 << 20;

/// Who landed a folder: the first line of its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunHeader {
    /// The run's id; also the folder's name.
    pub run: String,
    /// `snapshot`, `timeseries` or another kind of run.
    pub kind: String,
    /// The slot of a snapshot run.
    pub slot: Option<String>,
    /// The currency that was asked for.
    pub vs_currency: String,
    /// The version of coinmill.
    pub version: String,
    /// When the run began.
    pub started_at: DateTime<Utc>,
}

/// What is kept about one body: a line of the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landed {
    /// The body's file, below the landing folder, with `/` between its parts.
    pub path: String,
    /// The request: method and URL, without the key.
    pub request: String,
    /// The HTTP status.
    pub status: u16,
    /// The response headers worth keeping.
    pub headers: BTreeMap<String, String>,
    /// SHA-256 of the body as received (after transfer decompression), in hex.
    pub sha256: String,
    /// The body's length in bytes.
    pub bytes: u64,
    /// When the last byte had arrived.
    pub received_at: DateTime<Utc>,
}

impl Landed {
    /// When the API sent it: its `Date`, or where it gave none, our clock when it had arrived.
    pub fn sent_at(&self) -> DateTime<Utc> {
        let told = self
            .headers
            .get("date")
            .and_then(|text| httpdate::parse_http_date(text).ok());
        told.map_or(self.received_at, Into::into)
    }

    /// When the API made it: a body out of a cache is older than its `Date` by its `Age` (RFC 9111, section 5.1).
    pub fn made_at(&self) -> DateTime<Utc> {
        let age = self.headers.get("age").map(|text| text.trim());
        let digits = age.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        // a number beyond all bounds is as old as can be told (RFC 9111, section 1.2.2)
        let age = digits
            .filter(|digits| !digits.is_empty())
            .map_or(0, |digits| digits.parse::<u32>().unwrap_or(u32::MAX));
        let sent = self.sent_at();
        let made = sent.checked_sub_signed(TimeDelta::seconds(age.into()));
        made.unwrap_or(sent)
    }

    /// The requested URL.
    pub fn url(&self) -> &str {
        self.request.trim_start_matches("GET ")
    }
}

/// A body to land.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The requested URL, without the key.
    pub url: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// The response headers worth keeping.
    pub headers: &'a BTreeMap<String, String>,
    /// The body.
    pub body: &'a [u8],
    /// When the last byte had arrived.
    pub received_at: DateTime<Utc>,
}

/// SHA-256 in hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

/// One run's folder, open for landing.
#[derive(Debug)]
pub struct RunFolder {
    root: PathBuf,
    day: String,
    run: String,
    state: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    manifest: File,
    bodies: usize,
    unsynced: Vec<File>,
    folders_synced: bool,
}

impl Written {
    /// Adds a line to the manifest. A line that does not fit is taken back, so that the next does not stick to it.
    fn list(&mut self, line: &[u8]) -> io::Result<()> {
        let length = self.manifest.metadata()?.len();
        failpoint::write(&mut self.manifest, line, failpoint::BODY_HALF_LISTED).inspect_err(|_| {
            let _disk_refuses_this_too = self.manifest.set_len(length);
        })
    }
}

impl RunFolder {
    /// Makes the folder of a run and the first line of its manifest, so that a landing that cannot be written is known
    /// before a call is spent.
    ///
    /// # Errors
    /// [`Error::Store`] when the folder cannot be written.
    pub fn create(root: &Path, day: NaiveDate, header: &RunHeader) -> Result<Self> {
        let day = day.to_string();
        let folder = root.join(&day).join(&header.run);
        let open = || -> io::Result<File> {
            fs::create_dir_all(&folder)?;
            let mut manifest = OpenOptions::new()
                .create_new(true)
                .append(true)
                .open(folder.join(MANIFEST))?;
            failpoint::write(&mut manifest, &line(header)?, failpoint::FOLDER_HALF_MADE)?;
            Ok(manifest)
        };
        let manifest = open().map_err(|error| unwritable(&folder, error))?;
        let state = Written {
            manifest,
            bodies: 0,
            unsynced: Vec::new(),
            folders_synced: false,
        };
        Ok(Self {
            root: root.to_owned(),
            day,
            run: header.run.clone(),
            state: Mutex::new(state),
        })
    }

    /// Where the folder is.
    pub fn path(&self) -> PathBuf {
        self.root.join(&self.day).join(&self.run)
    }

    /// Lands one body. When this returns, it survives the process; [`RunFolder::sync`] makes it survive the machine.
    ///
    /// # Errors
    /// [`Error::Store`] when it cannot be written.
    pub fn land(&self, what: &str, arrival: Arrival<'_>) -> Result<Landed> {
        let folder = self.path();
        let packed = zstd::bulk::compress(arrival.body, COMPRESSION)
            .map_err(|error| unwritable(&folder, error))?;
        let sha256 = sha256(arrival.body);
        // one at a time from here on: bodies are numbered and listed in the order in which they came
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.bodies += 1;
        let name = format!("{:04}-{}.zst", state.bodies, slug(what));
        let landed = Landed {
            path: format!("{}/{}/{name}", self.day, self.run),
            request: format!("GET {}", arrival.url),
            status: arrival.status,
            headers: arrival.headers.clone(),
            sha256,
            bytes: arrival.body.len() as u64,
            received_at: arrival.received_at,
        };
        let part = folder.join(format!("{name}.part"));
        let write = || -> io::Result<File> {
            let mut file = File::create(&part)?;
            failpoint::write(&mut file, &packed, failpoint::BODY_HALF_LANDED)?;
            fs::rename(&part, folder.join(&name))?;
            failpoint::pass(failpoint::BODY_NOT_LISTED);
            Ok(file)
        };
        let listed = write().and_then(|file| {
            state.unsynced.push(file);
            state.list(&line(&landed)?)
        });
        listed.map_err(|error| {
            // half a body is of no use, and a full disk needs the room
            let _already_gone = fs::remove_file(&part);
            unwritable(&folder, error)
        })?;
        Ok(landed)
    }

    /// Forces to the disk what was landed. To be called before a commit, so that no row can outlive its bytes.
    ///
    /// # Errors
    /// [`Error::Store`] when the disk refuses.
    pub fn sync(&self) -> Result<()> {
        let folder = self.path();
        let state = || self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // bodies are landed while these go to the disk: the lock is not held meanwhile
        let (files, folders_synced) = {
            let mut state = state();
            (std::mem::take(&mut state.unsynced), state.folders_synced)
        };
        let sync = || -> io::Result<()> {
            for file in &files {
                file.sync_data()?;
            }
            let manifest = state().manifest.try_clone()?;
            manifest.sync_data()?;
            File::open(&folder)?.sync_all()?;
            if !folders_synced {
                File::open(self.root.join(&self.day))?.sync_all()?;
                File::open(&self.root)?.sync_all()?;
            }
            Ok(())
        };
        match sync() {
            Ok(()) => {
                state().folders_synced = true;
                Ok(())
            }
            Err(error) => {
                state().unsynced.extend(files);
                Err(unwritable(&folder, error))
            }
        }
    }
}

/// Forces to the disk what a run that died had landed: its own [`RunFolder::sync`] never came. Bodies that are not there
/// any more are passed over.
///
/// # Errors
/// [`Error::Store`] when the disk refuses.
pub fn sync_bodies<'a>(root: &Path, bodies: impl IntoIterator<Item = &'a Landed>) -> Result<()> {
    // a run that died early left no body, perhaps not even the landing folder
    let mut folders = BTreeSet::new();
    for body in bodies.into_iter().filter(|body| is_inside(&body.path)) {
        let path = root.join(&body.path);
        folders.extend(path.ancestors().skip(1).take(3).map(Path::to_owned));
        match File::open(&path).and_then(|file| file.sync_data()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(unwritable(&path, error));
            }
            _ => {}
        }
    }
    for folder in &folders {
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| unwritable(folder, error))?;
    }
    Ok(())
}

/// The folders of one day: each run's header and the bodies that it listed, in the order of landing. Folders without a
/// readable header and lines that were cut off are passed over: they were never whole.
///
/// # Errors
/// [`Error::Store`] when the landing folder cannot be read. A day without a folder is empty.
pub fn runs_of(root: &Path, day: NaiveDate) -> Result<Vec<(RunHeader, Vec<Landed>)>> {
    let folder = root.join(day.to_string());
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(&folder, error)),
    };
    let mut runs = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(&folder, error))?;
        let Ok(text) = fs::read_to_string(entry.path().join(MANIFEST)) else {
            continue;
        };
        let mut lines = text.lines();
        let header = lines
            .next()
            .and_then(|line| serde_json::from_str::<RunHeader>(line).ok());
        let Some(header) = header.filter(|header| entry.file_name().to_str() == Some(&header.run))
        else {
            continue;
        };
        runs.push((
            header,
            lines
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect(),
        ));
    }
    runs.sort_by(|(a, _), (b, _): &(RunHeader, Vec<Landed>)| {
        (a.started_at, &a.run).cmp(&(b.started_at, &b.run))
    });
    Ok(runs)
}

/// What was kept about the body of a path, which has to have a hash.
///
/// # Errors
/// [`Error::Data`] when no manifest lists it so.
pub fn find(root: &Path, path: &str, sha256: &str) -> Result<Landed> {
    let lost = || {
        Error::data(format!(
            "the landed body {path} is not listed with its hash any more: restore the landing folder {}",
            root.display()
        ))
    };
    let folder = Path::new(path).parent().filter(|_| is_inside(path));
    let manifest = root.join(folder.ok_or_else(lost)?).join(MANIFEST);
    let text = fs::read_to_string(&manifest).map_err(|error| lost().because(error))?;
    text.lines()
        .skip(1)
        .filter_map(|line| serde_json::from_str::<Landed>(line).ok())
        .find(|landed| landed.path == path && landed.sha256 == sha256)
        .ok_or_else(lost)
}

/// The day of a body's folder, which is in its path.
pub fn day_of(path: &str) -> Option<NaiveDate> {
    path.split('/').next()?.parse().ok()
}

/// The bytes of a landed body, checked against its hash.
///
/// # Errors
/// [`Error::Data`] when the file is gone, or is not what was landed.
pub fn read(root: &Path, landed: &Landed) -> Result<Vec<u8>> {
    let broken = |why: &str| {
        Error::data(format!(
            "the landed body {} {why}: restore the landing folder {}",
            landed.path,
            root.display()
        ))
    };
    if !is_inside(&landed.path) {
        return Err(broken("is not inside the landing folder"));
    }
    let file = File::open(root.join(&landed.path))
        .map_err(|error| broken("cannot be read").because(error))?;
    let mut body = Vec::new();
    zstd::Decoder::new(file)
        .and_then(|decoder| decoder.take(BODY_LIMIT as u64 + 1).read_to_end(&mut body))
        .map_err(|error| broken("is damaged").because(error))?;
    if sha256(&body) != landed.sha256 {
        return Err(broken("does not have the hash that it was landed with"));
    }
    Ok(body)
}

/// True for a path of the landing's own shape. A manifest is a file that anyone may have edited: its paths must not lead
/// out of the landing.
fn is_inside(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    parts.len() == 3
        && parts
            .iter()
            .all(|part| !matches!(*part, "" | "." | "..") && !part.contains('\\'))
}

fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// The request, as a part of a file's name: ids are not ours, and must not become paths.
fn slug(what: &str) -> String {
    let mut slug = String::new();
    for c in what.chars().take(60) {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

fn unwritable(folder: &Path, error: io::Error) -> Error {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space",
        _ => "make it writable, or set COINMILL_LANDING_DIR to a folder that is",
    };
    Error::Store {
        message: format!(
            "the landing folder {} cannot be written: {remedy}",
            folder.display()
        ),
        retryable: matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ),
        cause: Some(error.into()),
    }
}

fn unreadable(folder: &Path, error: io::Error) -> Error {
    Error::store(
        format!(
            "the landing folder {} cannot be read: make it a readable folder, or set COINMILL_LANDING_DIR to another",
            folder.display()
        ),
        error,
    )
}

#[cfg(test)]
mod tests;
