//! The Python module `coinmill._core`: the same verbs as in Rust, sync, with plain dicts out.
//! One call is one unit of work: it makes its runtime and its connections and drops both. Nothing runs at import.

#![expect(
    clippy::doc_lazy_continuation,
    reason = "docstrings are the stub's and Python's, not Markdown"
)]

mod arguments;
mod doc;
mod errors;
mod frame;
mod indicators;
mod listener;
mod mill;
mod sim;
mod spawn;
mod wait;
mod worker;

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyString;
use serde::Serialize;

use self::listener::Listener;
use crate::config::{Layers, Settings};
use crate::remote::call::{Call, Returned};
use crate::remote::wire;

/// Does a call and gives its result to Python.
///
/// A call on SQLite is done in a process of its own: Python's `sqlite3`, or any other SQLite library of this process, would
/// undo its locks, since closing a file drops all that the process holds on it, and the file would be damaged.
fn done<'py>(
    py: Python<'py>,
    layers: &Layers,
    settings: Settings,
    call: Call,
    listener: &Listener,
) -> PyResult<Bound<'py, PyAny>> {
    let returned = if call.is_on_sqlite(&settings) {
        let interpreter = spawn::Interpreter::of_this_process(py)?
            .map_err(|error| errors::to_exception(py, &error))?;
        let request = wire::Request {
            settings: layers.texts(),
            call,
        };
        wait::block_on(py, |stopper| async move {
            let tell = |progress| listener.tell(progress, &stopper);
            spawn::call(&interpreter, request, &stopper, &tell).await
        })
    } else {
        wait::block_on(py, |stopper| async move {
            let tell = |progress| listener.tell(progress, &stopper);
            call.run(&settings, &stopper, &tell).await
        })
    };
    // the run was stopped, or has ended, and what the listener raised is why
    if let Some(raised) = listener.raised() {
        return Err(raised);
    }
    match returned? {
        Returned::Json(text) => loads(py, &text),
        Returned::Frame(read) => {
            Bound::new(py, frame::Frame::of(py, read, None)?).map(Bound::into_any)
        }
        Returned::FrameAndTotals(read, totals) => {
            Bound::new(py, frame::Frame::of(py, read, Some(totals))?).map(Bound::into_any)
        }
    }
}

/// A value as Python's own dicts, lists and numbers.
fn to_python<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let json = serde_json::to_string(value)
        .map_err(|error| errors::DataError::new_err(error.to_string()))?;
    loads(py, &json)
}

fn loads<'py>(py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?
        .call_method1("loads", (PyString::new(py, json),))
}

/// True for the log records that Python is told of: ours from `debug` on, others' from `warning` on.
fn is_told(metadata: &log::Metadata<'_>) -> bool {
    let is_ours = metadata.target().split("::").next() == Some("coinmill");
    let most = if is_ours {
        log::LevelFilter::Debug
    } else {
        log::LevelFilter::Warn
    };
    metadata.level() <= most
}

/// The `coinmill` command; returns its exit code.
#[pyfunction]
fn _main(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| crate::cli::run(arguments))
}

#[doc = doc::stub!("demo")]
#[pyfunction]
#[pyo3(signature = (data_dir = PathBuf::from("coinmill-demo")))]
fn demo(py: Python<'_>, data_dir: PathBuf) -> PyResult<Bound<'_, PyAny>> {
    // no setting is taken from outside
    let layers = Layers::default();
    let settings = Settings::resolve(&layers).map_err(|error| errors::to_exception(py, &error))?;
    let nobody = Listener::default();
    done(py, &layers, settings, Call::Demo { data_dir }, &nobody)
}

/// The module.
#[pymodule]
mod _core {
    use pyo3::prelude::*;
    use pyo3::types::PyModule;

    #[pymodule_export]
    use super::errors::{
        BudgetError, CoinmillError, ConfigError, CoverageWarning, DataError, HeldError,
        IncompleteError, PastSlotError, SourceError, StoreError,
    };
    #[pymodule_export]
    use super::frame::Frame;
    #[pymodule_export]
    use super::indicators::{Indicators, indicators};
    #[pymodule_export]
    use super::mill::Mill;
    #[pymodule_export]
    use super::sim::PySim;
    #[pymodule_export]
    use super::worker::_work;
    #[pymodule_export]
    use super::{_main, demo};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        // a worker imports this file alone, as `_core`; what it has to say goes to its parent, and `logging` stays away
        if module.name()? == "_core" {
            return Ok(());
        }
        // levels are asked of Python each time, so that a notebook can change them; ours alone go below warnings
        let logger = pyo3_log::Logger::new(module.py(), pyo3_log::Caching::Loggers)?
            .filter(log::LevelFilter::Warn)
            .filter_target("coinmill".to_owned(), log::LevelFilter::Debug);
        let _already_installed = logger.install();
        Ok(())
    }
}
