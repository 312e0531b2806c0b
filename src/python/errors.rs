//! Errors as Python exceptions: one base, few children, and `ValueError` for a bad argument.
//! Each carries `retryable`; those of CoinGecko also `status` and `code`, an incomplete run its `report`.

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyUserWarning, PyValueError};
use pyo3::prelude::*;

use super::doc::stub;
use super::to_python;
use crate::error::Error;

create_exception!(coinmill, CoinmillError, PyException, stub!("CoinmillError"));
create_exception!(coinmill, ConfigError, CoinmillError, stub!("ConfigError"));
create_exception!(coinmill, SourceError, CoinmillError, stub!("SourceError"));
create_exception!(coinmill, BudgetError, CoinmillError, stub!("BudgetError"));
create_exception!(coinmill, DataError, CoinmillError, stub!("DataError"));
create_exception!(coinmill, StoreError, CoinmillError, stub!("StoreError"));
create_exception!(coinmill, HeldError, CoinmillError, stub!("HeldError"));
create_exception!(
    coinmill,
    PastSlotError,
    CoinmillError,
    stub!("PastSlotError")
);
create_exception!(
    coinmill,
    IncompleteError,
    CoinmillError,
    stub!("IncompleteError")
);

create_exception!(
    coinmill,
    CoverageWarning,
    PyUserWarning,
    stub!("CoverageWarning")
);

/// The Python exception for an error.
pub(super) fn to_exception(py: Python<'_>, error: &Error) -> PyErr {
    let text = error.chain();
    let exception = match error {
        Error::Argument { .. } => return PyValueError::new_err(text),
        Error::Config { .. } => ConfigError::new_err(text),
        Error::Source { .. } => SourceError::new_err(text),
        Error::Budget { .. } => BudgetError::new_err(text),
        Error::Data { .. } => DataError::new_err(text),
        Error::Store { .. } => StoreError::new_err(text),
        Error::Held { .. } => HeldError::new_err(text),
        Error::Past { .. } => PastSlotError::new_err(text),
        Error::Incomplete { .. } => IncompleteError::new_err(text),
        Error::Stopped { .. } => CoinmillError::new_err(text),
    };
    match describe(py, &exception, error) {
        Ok(()) => exception,
        Err(second) => second,
    }
}

fn describe(py: Python<'_>, exception: &PyErr, error: &Error) -> PyResult<()> {
    let value = exception.value(py);
    value.setattr("retryable", error.is_retryable())?;
    match error {
        Error::Source { status, code, .. } => {
            value.setattr("status", *status)?;
            value.setattr("code", *code)
        }
        Error::Incomplete { report, .. } => value.setattr("report", to_python(py, report)?),
        _ => Ok(()),
    }
}
