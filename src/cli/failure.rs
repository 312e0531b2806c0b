//! What is said of a command that did not do what it was asked to: one line for people, one object for machines, one exit
//! code.

use std::io::{self, Write};

use serde::Serialize;

use super::layout::on_stderr;
use crate::error::Error;

/// It failed.
pub(super) const FAILED: u8 = 1;
/// The command, a setting or what has to be set up before it has to be corrected.
const USAGE: u8 = 2;
/// Another run holds the slot or the series, or the slot is past.
const HELD: u8 = 4;

/// A failure as it is printed with `--json`.
#[derive(Serialize)]
pub(super) struct Failure {
    state: &'static str,
    /// What kind of error it is.
    error_kind: &'static str,
    /// What went wrong and the remedy.
    error: String,
    /// Whether the same command may succeed later.
    retryable: bool,
    exit_code: u8,
}

impl Failure {
    /// That of an error, with the exit code that it has here.
    pub(super) fn of(error: &Error, exit_code: u8) -> Self {
        Self {
            state: match error {
                Error::Stopped { .. } => "abandoned",
                _ => "failed",
            },
            error_kind: error.kind(),
            error: error.chain(),
            retryable: error.is_retryable(),
            exit_code,
        }
    }
}

/// The exit code that an error asks for; that of a stopped run is the signal's.
pub(super) fn code(error: &Error) -> u8 {
    match error {
        Error::Argument { .. } | Error::Config { .. } => USAGE,
        Error::Held { .. } | Error::Past { .. } => HELD,
        Error::Incomplete { .. } => super::PARTIAL,
        _ => FAILED,
    }
}

/// Tells an error on stderr, and as an object on stdout for scripts; gives the exit code back.
pub(super) fn told(error: &Error, exit_code: u8, json: bool) -> u8 {
    let said = on_stderr(&format!("coinmill: {}", error.chain()));
    let _unprintable = writeln!(io::stderr(), "{said}");
    if json {
        print(&Failure::of(error, exit_code));
    }
    exit_code
}

/// A command that a signal ended: people know, scripts are told.
pub(super) fn interrupted(exit_code: u8, json: bool) -> u8 {
    if json {
        print(&Failure::of(&Error::stopped(), exit_code));
    }
    exit_code
}

/// The same of a command that could not be read. Help and the version come this way too, with code 0.
pub(super) fn of_usage(error: &clap::Error, json: bool) -> u8 {
    let _unprintable = error.print();
    let exit_code = u8::try_from(error.exit_code()).unwrap_or(USAGE);
    if json && exit_code != super::COMPLETE {
        let said = error.to_string();
        // what is wrong and which values there are, without the usage
        let lines = said.lines().take_while(|line| !line.starts_with("Usage:"));
        let words: Vec<&str> = lines
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let said = words.join(" ");
        print(&Failure {
            state: "failed",
            error_kind: "argument",
            error: said.trim_start_matches("error: ").to_owned(),
            retryable: false,
            exit_code,
        });
    }
    exit_code
}

fn print(failure: &Failure) {
    if let Ok(text) = serde_json::to_string(failure) {
        let _reader_gone = writeln!(io::stdout(), "{text}");
    }
}
