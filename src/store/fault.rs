//! What a database says, as this crate's error: each cause with its remedy, and whether trying again can help.
//! The only place that reads the drivers' error codes.

use sqlx::error::DatabaseError;

use crate::error::Error;

/// Which database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// PostgreSQL
    Postgres,
    /// SQLite
    Sqlite,
}

/// The error of a driver. `place` is the database, as it may be shown.
pub(crate) fn fault(dialect: Dialect, place: &str, error: sqlx::Error) -> Error {
    let place = if place.is_empty() {
        "the database"
    } else {
        place
    };
    let (retryable, message) = match &error {
        sqlx::Error::Database(said) => match dialect {
            Dialect::Postgres => postgres(place, said.as_ref()),
            Dialect::Sqlite => sqlite(place, code_of(said.as_ref())),
        },
        sqlx::Error::Tls(_) => (false, insecure(place)),
        sqlx::Error::Io(failed) if is_of_tls(place, failed) => (false, insecure(place)),
        sqlx::Error::Io(_) => (
            true,
            format!("{place} cannot be reached: start it, or correct its URL"),
        ),
        sqlx::Error::WorkerCrashed => (true, format!("{place} stopped responding")),
        sqlx::Error::Configuration(_) => (
            false,
            format!("the URL of {place} cannot be used: correct it"),
        ),
        _ => (false, strange(place)),
    };
    Error::Store {
        message,
        retryable,
        cause: Some(error.into()),
    }
}

/// The error of SQLite itself, where it is asked without sqlx.
pub(crate) fn fault_of_sqlite(place: &str, error: rusqlite::Error) -> Error {
    let place = if place.is_empty() {
        "the database"
    } else {
        place
    };
    let (retryable, message) = match error.sqlite_error() {
        Some(said) => sqlite(place, said.extended_code),
        None => (false, strange(place)),
    };
    Error::Store {
        message,
        retryable,
        cause: Some(error.into()),
    }
}

/// What is said of values that are not what was asked for.
fn strange(place: &str) -> String {
    format!("{place} sent a response that coinmill does not understand")
}

/// What is said where there is no secure connection to be had.
fn insecure(place: &str) -> String {
    format!("{place} gave no secure connection: check sslmode and sslrootcert in its URL")
}

/// True for a certificate that is not believed, which comes as a failed read, and for a file that a URL names for TLS and
/// that is not there. (A socket may not be there either: that server has to be started.)
fn is_of_tls(place: &str, error: &std::io::Error) -> bool {
    let names_a_file = ["sslrootcert=", "sslcert=", "sslkey="]
        .iter()
        .any(|name| place.contains(name));
    (error.kind() == std::io::ErrorKind::NotFound && names_a_file)
        || error
            .get_ref()
            .is_some_and(|inner| inner.is::<rustls::Error>())
}

/// What is said to a role that may not do something.
fn forbidden(place: &str) -> String {
    format!(
        "this role may not do that in {place}: `coinmill init` needs the owner (COINMILL_SNAPSHOT_OWNER_URL, \
         COINMILL_TIMESERIES_OWNER_URL), a run the writer"
    )
}

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn postgres(place: &str, said: &dyn DatabaseError) -> (bool, String) {
    let code = said.code().unwrap_or_default();
    match code.as_ref() {
        "28P01" | "28000" => (
            false,
            format!("{place} refused the user or the password: correct its URL"),
        ),
        "3D000" => (
            false,
            format!("{place} does not exist: create it (db-init/ does), or correct its URL"),
        ),
        "3F000" | "42P01" => (
            false,
            format!("{place} has no coinmill tables that this role can see: run `coinmill init`"),
        ),
        "42501" => (false, forbidden(place)),
        "53100" => (
            true,
            format!("the disk of {place} is full: free some space"),
        ),
        "53300" => (
            true,
            format!("{place} has no connection left: close some, or raise max_connections"),
        ),
        "25P03" | "57P01" | "57P05" => (
            true,
            format!(
                "{place} ended this session, which had been silent for too long or in the way: run it again, it resumes"
            ),
        ),
        "55P03" => (
            true,
            format!("another run has been in its commit to {place} for too long: run it again"),
        ),
        "26000" => (
            false,
            format!(
                "{place} is behind a pooler that gives each transaction another session: name the server itself, or set \
                 the pooler to pool_mode = session"
            ),
        ),
        // connections, lost races, resources, shut-downs, the server's own trouble
        _ if ["08", "40", "53", "55", "57", "58"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            (true, format!("{place} could not go on"))
        }
        _ => (false, format!("{place} refused")),
    }
}

/// The extended result code of SQLite's, as sqlx gives it.
fn code_of(said: &dyn DatabaseError) -> i32 {
    let code = said.code().and_then(|code| code.parse().ok());
    code.unwrap_or_default()
}

/// By primary result code: <https://www.sqlite.org/rescode.html>.
fn sqlite(place: &str, code: i32) -> (bool, String) {
    match code & 0xff {
        5 | 6 => (
            true,
            format!("{place} is locked by another process: let it finish"),
        ),
        8 => (
            false,
            format!(
                "{place} is read-only: make the file and its folder writable, or choose another"
            ),
        ),
        11 | 26 => (
            false,
            format!(
                "{place} is damaged, or no SQLite database: move the file away and restore it from a copy (the landing \
                     folder still has every body)"
            ),
        ),
        13 => (
            true,
            format!("the disk of {place} is full: free some space"),
        ),
        14 => (
            false,
            format!("{place} cannot be opened: check that the folder exists and is writable"),
        ),
        10 => (true, format!("the disk of {place} failed")),
        _ => (false, format!("{place} refused")),
    }
}
