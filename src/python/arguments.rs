//! Arguments of the verbs as Python gives them: texts, dates and lists as what they name.
//! What is done with them is `mill`'s work.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyList, PyString, PyTuple};

use super::errors::to_exception;
use crate::config::in_words;
use crate::error::{Error, shortened};
use crate::market::{CoinId, Instant, Slot};
use crate::pipeline::AsOf;

/// A text; one that no database and no URL can hold is refused.
pub(super) struct Text(pub(super) String);

impl<'a, 'py> FromPyObject<'a, 'py> for Text {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let text = value.cast::<PyString>()?;
        text.to_str().map(|text| Self(text.to_owned())).map_err(|_| {
            let given = text.repr().map(|repr| repr.to_string_lossy().into_owned());
            PyValueError::new_err(format!(
                "{} holds half of a surrogate pair, which is no character: give a text that can be written as UTF-8",
                shortened(&given.unwrap_or_default())
            ))
        })
    }
}

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

fn texts(value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let texts: Vec<Text> = value.extract()?;
    Ok(texts.into_iter().map(|Text(text)| text).collect())
}

/// A setting's value as it would be written; `None` is not set.
pub(super) fn as_text(value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    if value.is_none() {
        return Ok(None);
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        return Ok(Some(texts(value)?.join(",")));
    }
    if value.is_instance_of::<PyBool>() {
        return Err(PyTypeError::new_err(
            "a setting is a text, a number, a path or a list of texts, not a bool",
        ));
    }
    if value.is_instance_of::<PyString>() {
        return value.extract().map(|Text(text)| Some(text));
    }
    if value.hasattr("__fspath__")? {
        let path = value.call_method0("__fspath__")?;
        return path.extract().map(|Text(text)| Some(text));
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
                let Text(text) = text.extract()?;
                text.split(',').map(|coin| coin.trim().to_owned()).collect()
            }
            Err(_) => texts(&value)?,
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

/// A reader for each argument that is a whole number, for `from_py_with`: its name, and what makes sense.
macro_rules! whole_numbers {
    ($($reader:ident = $read:ident($argument:literal, $bounds:expr) -> $number:ty;)+) => {$(
        pub(super) fn $reader(value: &Bound<'_, PyAny>) -> PyResult<$number> {
            $read(value, $argument, &$bounds)
        }
    )+};
}

whole_numbers! {
    days = whole("days", 1..=36_525) -> u32;
    days_back = whole_or_none("days", 1..=36_525) -> Option<u32>;
    limit = whole("limit", 1..=u32::MAX) -> u32;
    market_size = whole("market_size", 0..=usize::MAX) -> usize;
    port = whole("port", 0..=u16::MAX) -> u16;
    seed = whole("seed", 0..=u64::MAX) -> u64;
    spend = whole_or_none("spend", 0..=u64::MAX) -> Option<u64>;
    top = whole_or_none("top", 1..=u64::MAX) -> Option<u64>;
}

/// Where the clock of a market starts.
pub(super) fn clock(value: &Bound<'_, PyAny>) -> PyResult<Option<DateTime<Utc>>> {
    if value.is_none() {
        return Ok(None);
    }
    let py = value.py();
    match value.extract() {
        Ok(InstantArgument(at)) => Ok(Some(at)),
        Err(error) => Err(PyErr::from_type(
            error.get_type(py),
            format!("clock: {}", error.value(py)),
        )),
    }
}

fn whole_or_none<'py, T: FromStr + PartialOrd + Display + for<'a> FromPyObject<'a, 'py>>(
    value: &Bound<'py, PyAny>,
    argument: &str,
    bounds: &RangeInclusive<T>,
) -> PyResult<Option<T>> {
    let given = (!value.is_none()).then_some(value);
    given
        .map(|value| whole(value, argument, bounds))
        .transpose()
}

fn whole<'py, T: FromStr + PartialOrd + Display + for<'a> FromPyObject<'a, 'py>>(
    value: &Bound<'py, PyAny>,
    argument: &str,
    bounds: &RangeInclusive<T>,
) -> PyResult<T> {
    let is_number = !value.is_instance_of::<PyBool>();
    let number = is_number.then(|| value.extract::<T>().map_err(Into::<PyErr>::into));
    let is_out_of_bounds = match number {
        Some(Ok(number)) if bounds.contains(&number) => return Ok(number),
        Some(Ok(_)) => true,
        // of what the type holds
        Some(Err(error)) => error.is_instance_of::<PyOverflowError>(value.py()),
        None => false,
    };
    let given = value.repr().map(|repr| repr.to_string_lossy().into_owned());
    // Python writes no number of more than some thousand digits
    let given = given.unwrap_or_else(|_| "such a number".to_owned());
    let said = format!(
        "{argument}: {} is not {}",
        shortened(&given),
        in_words(bounds)
    );
    Err(match is_out_of_bounds {
        true => PyValueError::new_err(said),
        false => PyTypeError::new_err(said),
    })
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
        Ok(text) => text.extract().map(|Text(text)| text),
        Err(_) if value.hasattr("isoformat")? => value.call_method0("isoformat")?.extract(),
        Err(_) => Err(PyTypeError::new_err(else_said)),
    }
}
