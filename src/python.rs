//! The Python module `coinmill._core`: the same verbs as in Rust, sync, with plain dicts out.
//! One call is one unit of work: it makes its runtime and its connections and drops both. Nothing runs at import.

mod errors;
mod frame;
mod mill;
mod sim;
mod wait;

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyString;
use serde::Serialize;

/// A value as Python's own dicts, lists and numbers.
fn to_python<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let json = serde_json::to_string(value)
        .map_err(|error| errors::DataError::new_err(error.to_string()))?;
    py.import("json")?
        .call_method1("loads", (PyString::new(py, &json),))
}

/// The `coinmill` command; returns its exit code.
#[pyfunction]
fn _main(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| crate::cli::run(arguments))
}

/// The demo: a simulated market and both runs against it, into SQLite in a folder of its own.
#[pyfunction]
#[pyo3(signature = (data_dir = PathBuf::from("coinmill-demo")))]
fn demo(py: Python<'_>, data_dir: PathBuf) -> PyResult<Bound<'_, PyAny>> {
    let shown = wait::block_on(py, |stopper| {
        let stop = stopper.listen();
        async move { crate::cli::run_demo(&data_dir, stop).await }
    })?;
    to_python(py, &shown.reports)
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
    use super::mill::Mill;
    #[pymodule_export]
    use super::sim::PySim;
    #[pymodule_export]
    use super::{_main, demo};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        // levels are asked of Python each time, so that a notebook can change them; ours alone go below warnings
        let logger = pyo3_log::Logger::new(module.py(), pyo3_log::Caching::Loggers)?
            .filter(log::LevelFilter::Warn)
            .filter_target("coinmill".to_owned(), log::LevelFilter::Debug);
        let _already_installed = logger.install();
        Ok(())
    }
}
