//! `coinmill completions`: a script by which a shell completes commands, flags and values.
//! It is made from the arguments themselves.

use std::io;

use clap::CommandFactory;
use clap_complete::{Shell, generate};
use serde::Serialize;

use super::args::Arguments;
use super::{COMPLETE, print};
use crate::error::Result;

/// A script for scripts.
#[derive(Serialize)]
struct Completions {
    shell: String,
    script: String,
}

pub(super) fn completions(shell: Shell, json: bool) -> Result<u8> {
    let mut script = io::Cursor::new(Vec::new());
    generate(shell, &mut Arguments::command(), "coinmill", &mut script);
    let completions = Completions {
        shell: shell.to_string(),
        script: String::from_utf8_lossy(script.get_ref()).into_owned(),
    };
    print(json, &completions, || completions.script.clone())?;
    Ok(COMPLETE)
}
