//! Whether a database can be used by a run: reachable, migrated, of the right currency, with the rights of a writer.
//! It changes nothing.

use std::path::Path;
use std::time::Duration;

use chrono::Utc;

use super::finding::{Finding, in_time};
use super::folder::{self, Folder};
use crate::config::DatabaseUrl;
use crate::error::{Error, Result};
use crate::store::{Inspection, Part, inspect};

/// The oldest PostgreSQL that the roles and grants are made for.
const OLDEST: i64 = 150_000;

/// A database to look at.
pub(super) struct Subject<'a> {
    /// Its name in the findings.
    pub(super) check: &'static str,
    pub(super) url: &'a DatabaseUrl,
    pub(super) part: Part,
    /// The setting that names it.
    pub(super) setting: &'static str,
    /// The currency that it has to hold.
    pub(super) vs_currency: &'a str,
    /// True where the role is to migrate, and false where it is to write.
    pub(super) is_owner: bool,
}

/// What was found, and by how much a server's clock is ahead of this machine's, in seconds.
pub(super) type Looked = (Finding, Option<f64>);

/// Looks at a database.
pub(super) async fn look(subject: Subject<'_>) -> Looked {
    let (check, url) = (subject.check, subject.url);
    if let Some(file) = url.file()
        && !file.exists()
    {
        return (unmade(check, url, file).await, None);
    }
    let before = Utc::now();
    let found = match in_time(inspect(url, subject.part)).await {
        Ok(found) => found,
        Err(error) => return (refused(&subject, &error), None),
    };
    // the server was asked in between
    let middle = before + (Utc::now() - before) / 2;
    let ahead = found.clock.map(|clock| (clock - middle).as_seconds_f64());
    (judged(&subject, &found), ahead)
}

/// A file that is not there yet: the first run makes it, if it can.
async fn unmade(check: &'static str, url: &DatabaseUrl, file: &Path) -> Finding {
    let parent = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => ".".into(),
    };
    match in_time(folder::look(parent)).await {
        Ok(Folder { blocked: None, .. }) => Finding::ok(
            check,
            format!("{url} is not there yet: the first run makes it"),
        ),
        Ok(Folder {
            blocked: Some(why), ..
        }) => Finding::failed(check, format!("{url} cannot be made: {why}")),
        Err(error) => Finding::of_error(check, &error),
    }
}

fn refused(subject: &Subject<'_>, error: &Error) -> Finding {
    let (url, said) = (subject.url.to_string(), error.chain());
    let at = if said.contains(&url) {
        String::new()
    } else {
        format!("{url}: ")
    };
    Finding::failed(subject.check, format!("{at}{said}"))
}

/// What a database's own account of itself means. Pure but for the rights of a SQLite file.
fn judged(subject: &Subject<'_>, found: &Inspection) -> Finding {
    let (check, url) = (subject.check, subject.url);
    let place = format!("{url} ({})", found.server);
    let role = found.role.as_deref().unwrap_or("this user");
    let setting = subject.setting;
    if found.server_number.is_some_and(|number| number < OLDEST) {
        return Finding::failed(
            check,
            format!("{place} is too old: coinmill needs PostgreSQL 15 or newer"),
        );
    }
    if subject.is_owner && !found.may_create {
        return Finding::failed(
            check,
            format!("{place}: {role} may not create tables: name the owner in {setting}"),
        );
    }
    match found.schema {
        Some(version) if version == found.needed => {}
        _ if url.file().is_some() => {
            return Finding::warning(
                check,
                format!(
                    "{place} has an older schema: the next run, or `coinmill init`, migrates it"
                ),
            );
        }
        None => {
            return Finding::failed(
                check,
                format!("{place} has no coinmill tables that {role} can see: run `coinmill init`"),
            );
        }
        Some(version) => {
            return Finding::failed(
                check,
                format!(
                    "{place} has schema version {version}, and {} is needed: run `coinmill init`",
                    found.needed
                ),
            );
        }
    }
    if let Some(held) = &found.vs_currency
        && held != subject.vs_currency
    {
        return Finding::failed(
            check,
            format!(
                "{place} holds prices in {held}, and {} is set: set COINMILL_VS_CURRENCY={held}, or name another database",
                subject.vs_currency
            ),
        );
    }
    if let Some(file) = url.file()
        && !folder::is_writable(file)
    {
        let why = "this user may not write the file: reads work, runs do not";
        return Finding::warning(check, format!("{place}: {why}"));
    }
    if !subject.is_owner && !found.may_write {
        return Finding::warning(
            check,
            format!("{place}: {role} may only read; a run needs the writer in {setting}"),
        );
    }
    let may = match (found.role.is_some(), subject.is_owner) {
        (false, _) => String::new(),
        (true, false) => format!(", {role} may write"),
        (true, true) => format!(", {role} may migrate"),
    };
    Finding::ok(
        check,
        format!("{place}, schema version {}{may}", found.needed),
    )
}

/// The same look, as part of a list that may leave it out.
pub(super) async fn look_if(subject: Option<Subject<'_>>) -> Option<Looked> {
    match subject {
        Some(subject) => Some(look(subject).await),
        None => None,
    }
}

/// By how much clocks may differ, in words; `None` where that does not matter.
pub(super) fn apart(ahead: f64, of: &str) -> Result<(), (bool, String)> {
    let off = ahead.abs();
    if off < 5.0 {
        return Ok(());
    }
    let which = if ahead > 0.0 { "behind" } else { "ahead of" };
    let by = super::super::check::in_words(Duration::from_secs_f64(off.min(1e9)));
    // half-hours and months would be mistaken
    Err((
        off >= 60.0,
        format!("this machine's clock is {by} {which} {of}: synchronise it (NTP)"),
    ))
}
