//! The `coinmill` command, without Python.

use std::process::ExitCode;

fn main() -> ExitCode {
    coinmill::cli::main(std::env::args_os())
}
