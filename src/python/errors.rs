//! Errors as Python exceptions: one base, few children, and `ValueError` for a bad argument.
//! Each carries `retryable`; those of CoinGecko also `status` and `code`, an incomplete run its `report`.

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyUserWarning, PyValueError};
use pyo3::prelude::*;

use super::to_python;
use crate::error::Error;

create_exception!(
    coinmill,
    CoinmillError,
    PyException,
    "Anything that coinmill reports; `retryable` says whether trying again can help."
);
create_exception!(
    coinmill,
    ConfigError,
    CoinmillError,
    "A setting, or something outside the call, has to be set right first."
);
create_exception!(
    coinmill,
    SourceError,
    CoinmillError,
    "The market API refused or could not be reached; `status` and `code` are its own."
);
create_exception!(
    coinmill,
    BudgetError,
    CoinmillError,
    "The plan's calls are spent."
);
create_exception!(
    coinmill,
    DataError,
    CoinmillError,
    "What was received, landed or stored is damaged, or not what it has to be."
);
create_exception!(
    coinmill,
    StoreError,
    CoinmillError,
    "A database or the landing folder refused or could not be reached."
);
create_exception!(
    coinmill,
    HeldError,
    CoinmillError,
    "Another run is at work on the slot or the series: let it end."
);
create_exception!(
    coinmill,
    PastSlotError,
    CoinmillError,
    "The slot is over, and CoinGecko has only present quotes."
);
create_exception!(
    coinmill,
    IncompleteError,
    CoinmillError,
    "Less than the set completeness was received; `report` is the run's."
);

create_exception!(
    coinmill,
    CoverageWarning,
    PyUserWarning,
    "A part of the span that was asked for is not stored; `frame.missing` lists it."
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
