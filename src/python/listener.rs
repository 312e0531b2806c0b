//! Who listens to a run: a function of Python's that is told after each response how far it is.
//! What it raises ends the run in good order, and goes on to the caller.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBool;

use super::to_python;
use crate::pipeline::Progress;
use crate::stop::Stopper;

/// A function that is told of progress, or nobody.
#[derive(Default)]
pub(super) struct Listener {
    function: Option<Py<PyAny>>,
    raised: Mutex<Option<PyErr>>,
}

impl<'a, 'py> FromPyObject<'a, 'py> for Listener {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if value.is_callable() {
            return Ok(Self::of(value.to_owned().unbind()));
        }
        match value.cast::<PyBool>() {
            Ok(shown) if !shown.is_true() => Ok(Self::default()),
            _ => Err(PyTypeError::new_err(
                "`progress` is a function that is given a dict, or False for no bar in a notebook",
            )),
        }
    }
}

impl Listener {
    fn of(function: Py<PyAny>) -> Self {
        Self {
            function: Some(function),
            raised: Mutex::default(),
        }
    }

    /// A bar in a notebook, and nobody elsewhere.
    pub(super) fn by_default(py: Python<'_>) -> PyResult<Self> {
        let bar = py
            .import("coinmill.progress")?
            .call_method0("in_a_notebook")?;
        Ok(match bar.is_none() {
            true => Self::default(),
            false => Self::of(bar.unbind()),
        })
    }

    /// Tells how far a run is, unless it raised before.
    pub(super) fn tell(&self, progress: Progress, stopper: &Stopper) {
        let Some(function) = &self.function else {
            return;
        };
        let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        if raised.is_some() {
            return;
        }
        let told = Python::attach(|py| {
            let progress = to_python(py, &progress)?;
            function.call1(py, (progress,)).map(drop)
        });
        if let Err(error) = told {
            *raised = Some(error);
            stopper.stop();
        }
    }

    /// What it raised.
    pub(super) fn raised(&self) -> Option<PyErr> {
        let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        raised.take()
    }
}
