//! Arguments of the verbs as Python gives them: texts, dates and lists as what they name.
//! What is done with them is `mill`'s work.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyList, PyString, PyTuple};

use super::errors::to_exception;
use crate::error::Error;
use crate::market::{CoinId, Instant, Slot};
use crate::pipeline::AsOf;

/// A text as what it names.
pub(super) fn parsed<T: FromStr<Err = Error>>(py: Python<'_>, text: &str) -> PyResult<T> {
    text.parse().map_err(|error| to_exception(py, &error))
}

/// Texts as what they name; none are none.
pub(super) fn all_parsed<T: FromStr<Err = Error>>(
    py: Python<'_>,
    texts: Option<Vec<String>>,
) -> PyResult<Vec<T>> {
    texts
        .iter()
        .flatten()
        .map(|text| parsed(py, text))
        .collect()
}

/// A setting's value as it would be written; `None` is not set.
pub(super) fn as_text(value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    if value.is_none() {
        return Ok(None);
    }
    if let Ok(items) = value.cast::<PyList>() {
        return Ok(Some(items.extract::<Vec<String>>()?.join(",")));
    }
    if let Ok(items) = value.cast::<PyTuple>() {
        return Ok(Some(items.extract::<Vec<String>>()?.join(",")));
    }
    if value.is_instance_of::<PyBool>() {
        return Err(PyTypeError::new_err(
            "a setting is a text, a number, a path or a list of texts, not a bool",
        ));
    }
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Some(text.to_string()));
    }
    if value.hasattr("__fspath__")? {
        return value.call_method0("__fspath__")?.extract().map(Some);
    }
    if value.extract::<f64>().is_ok() {
        return Ok(Some(value.str()?.to_string()));
    }
    Err(PyTypeError::new_err(
        "a setting is a text, a number, a path or a list of texts",
    ))
}

/// Coins as a list of ids, or as a text of one id or several with commas, as the setting `coins` has them.
pub(super) struct CoinsArgument(pub(super) Vec<CoinId>);

impl<'a, 'py> FromPyObject<'a, 'py> for CoinsArgument {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let texts: Vec<String> = match value.cast::<PyString>() {
            Ok(text) => {
                let text: String = text.extract()?;
                text.split(',').map(|coin| coin.trim().to_owned()).collect()
            }
            Err(_) => value.extract()?,
        };
        if texts.is_empty() {
            return Err(PyValueError::new_err(
                "name at least one coin, or leave `coins` out for all",
            ));
        }
        let coins: PyResult<Vec<CoinId>> =
            texts.iter().map(|coin| parsed(value.py(), coin)).collect();
        coins.map(Self)
    }
}

/// An instant as a text, a date or a datetime; without a zone it is UTC.
pub(super) struct InstantArgument(pub(super) DateTime<Utc>);

impl<'a, 'py> FromPyObject<'a, 'py> for InstantArgument {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        instant(
            &value,
            "an instant is a datetime, a date, or a text such as '2026-01-31'",
        )
        .map(Self)
    }
}

/// What is to be read as it was known: an instant, or a pin.
pub(super) struct AsOfArgument(pub(super) AsOf);

impl<'a, 'py> FromPyObject<'a, 'py> for AsOfArgument {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let text = written(
            &value,
            "`as_of` is a datetime, a date, a text such as '2026-01-31', or a pin",
        )?;
        parsed(value.py(), &text).map(Self)
    }
}

/// A slot as a text or a datetime.
pub(super) struct SlotArgument(pub(super) Slot);

impl<'a, 'py> FromPyObject<'a, 'py> for SlotArgument {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let text = written(
            &value,
            "a slot is a datetime, or a text such as '2026-01-31T00:30Z'",
        )?;
        parsed(value.py(), &text).map(Self)
    }
}

/// An instant; anything that is none is a `TypeError` with these words.
pub(super) fn instant(
    value: &Bound<'_, PyAny>,
    else_said: &'static str,
) -> PyResult<DateTime<Utc>> {
    let text = written(value, else_said)?;
    parsed(value.py(), &text).map(|Instant(instant)| instant)
}

/// A text as it is, and a date or a datetime in ISO 8601.
fn written(value: &Bound<'_, PyAny>, else_said: &'static str) -> PyResult<String> {
    match value.cast::<PyString>() {
        Ok(text) => text.extract(),
        Err(_) if value.hasattr("isoformat")? => value.call_method0("isoformat")?.extract(),
        Err(_) => Err(PyTypeError::new_err(else_said)),
    }
}
