//! Reads a folder of recordings: `markets/*.json`, `chart/*.json` with `.meta.json` beside, `list/*.json`.
//! It leaves out what is not such a response, with a warning, and alters nothing.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::recording::{Meta, RecordedChart, RecordedPage};
use crate::error::{Error, Result};

/// What a folder holds, each with its path below the folder.
#[derive(Debug, Default)]
pub struct Folder {
    /// Pages of `/coins/markets` and when they were made.
    pub pages: Vec<(String, DateTime<Utc>, RecordedPage)>,
    /// Charts.
    pub charts: Vec<(String, RecordedChart)>,
    /// Responses of `/coins/list` and when they were made, where that is noted.
    pub lists: Vec<(String, Option<DateTime<Utc>>, Bytes)>,
}

/// Reads all recordings of a folder.
///
/// # Errors
/// [`Error::Config`] where the folder or a file cannot be read, or no recording is found.
pub fn read(folder: &Path) -> Result<Folder> {
    let mut found = Folder::default();
    for (name, path) in files(folder, "markets")? {
        let page = RecordedPage::parse(&name, bytes(&path)?);
        match page.and_then(|page| Some((page.instant?, page))) {
            Some((instant, page)) => found.pages.push((name, instant, page)),
            None => left_out(&name, "it is not a dated array of rows"),
        }
    }
    for (name, path) in files(folder, "chart")? {
        let chart = match meta(&path)? {
            Some(meta) => RecordedChart::parse(bytes(&path)?, &meta),
            None => None,
        };
        match chart {
            Some(chart) => found.charts.push((name, chart)),
            None => left_out(
                &name,
                "it is not a market chart with a .meta.json beside it",
            ),
        }
    }
    for (name, path) in files(folder, "list")? {
        let instant = meta(&path)?.and_then(|meta| meta.instant());
        found.lists.push((name, instant, bytes(&path)?));
    }
    if found.pages.is_empty() && found.charts.is_empty() && found.lists.is_empty() {
        return Err(Error::config(format!(
            "no recordings in {}: it needs markets/*.json, chart/*.json with .meta.json, or list/*.json",
            folder.display()
        )));
    }
    Ok(found)
}

fn left_out(name: &str, why: &str) {
    tracing::warn!("recording {name} is left out: {why}");
}

// By name, so that two recordings of one instant come in the same order everywhere.
fn files(folder: &Path, part: &str) -> Result<Vec<(String, PathBuf)>> {
    let unreadable = |error| {
        Error::config(format!(
            "recordings folder {} cannot be read: name one that is there",
            folder.display()
        ))
        .because(error)
    };
    if !folder.is_dir() {
        fs::read_dir(folder).map_err(unreadable)?;
    }
    let inner = folder.join(part);
    if !inner.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(inner).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if file.ends_with(".json") && !file.ends_with(".meta.json") {
            found.push((format!("{part}/{file}"), entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

fn bytes(path: &Path) -> Result<Bytes> {
    fs::read(path).map(Bytes::from).map_err(|error| {
        Error::config(format!("recording {} cannot be read", path.display())).because(error)
    })
}

fn meta(path: &Path) -> Result<Option<Meta>> {
    let beside = path.with_extension("meta.json");
    if !beside.is_file() {
        return Ok(None);
    }
    Ok(serde_json::from_slice(&bytes(&beside)?).ok())
}
