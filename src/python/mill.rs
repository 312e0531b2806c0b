//! `Mill`: the settings, and the verbs that use them.
//! It opens nothing and holds nothing but settings, so it can be pickled, forked and shared.

use std::collections::BTreeMap;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PyString, PyTuple};

use super::errors::to_exception;
use super::frame::Frame;
use super::{to_python, wait};
use crate::config::Settings;
use crate::error::Error;
use crate::market::{CoinId, Instant, Slot};
use crate::pipeline::{self, Backfill, Observer, Pick, Prices, Reach, RefusedId};

/// See the stub for what users read.
#[pyclass(frozen, module = "coinmill")]
pub(super) struct Mill {
    given: BTreeMap<String, String>,
}

#[pymethods]
impl Mill {
    #[new]
    #[pyo3(signature = (**settings))]
    fn new(py: Python<'_>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut given = BTreeMap::new();
        for (name, value) in settings.into_iter().flatten() {
            if let Some(text) = as_text(&value)? {
                given.insert(name.extract()?, text);
            }
        }
        let mill = Self { given };
        mill.settings(py)?;
        Ok(mill)
    }

    fn __getnewargs_ex__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyTuple>, BTreeMap<String, String>)> {
        Ok((PyTuple::empty(py), self.given.clone()))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let settings = self.settings(py)?;
        Ok(format!(
            "Mill(plan='{}', top={}, vs_currency='{}', snapshot_url='{}')",
            settings.plan.kind, settings.top, settings.vs_currency, settings.snapshot_url
        ))
    }

    fn init(&self, py: Python<'_>) -> PyResult<()> {
        let settings = self.settings(py)?;
        wait::block_on(py, |_| pipeline::init(&settings))
    }

    #[pyo3(signature = (slot = None))]
    fn run_snapshot<'py>(
        &self,
        py: Python<'py>,
        slot: Option<SlotArgument>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let settings = self.settings(py)?;
        let slot = slot.map(|slot| slot.0);
        let report = wait::block_on(py, |stopper| {
            let observer = Observer::none().stopped_by(stopper.listen());
            async move { pipeline::run_snapshot(&settings, slot, &observer).await }
        })?;
        to_python(py, &report)
    }

    #[pyo3(signature = (resolution = "5m"))]
    fn run_timeseries<'py>(
        &self,
        py: Python<'py>,
        resolution: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let settings = self.settings(py)?;
        let resolution = parsed(py, resolution)?;
        let report = wait::block_on(py, |stopper| {
            let observer = Observer::none().stopped_by(stopper.listen());
            async move { pipeline::run_timeseries(&settings, resolution, &observer).await }
        })?;
        to_python(py, &report)
    }

    #[pyo3(signature = (*, days = None, start = None, end = None, resolution = "1h", coins = None, refetch = false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn backfill<'py>(
        &self,
        py: Python<'py>,
        days: Option<u32>,
        start: Option<InstantArgument>,
        end: Option<InstantArgument>,
        resolution: &str,
        coins: Option<CoinsArgument>,
        refetch: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let settings = self.settings(py)?;
        let reach = match (days, start) {
            (Some(days), None) if end.is_none() => Reach::Days(days),
            (None, Some(start)) => Reach::Between(start.0, end.map(|end| end.0)),
            _ => {
                return Err(PyValueError::new_err(
                    "say how far: days=N, or start=… with or without end=…",
                ));
            }
        };
        let wanted = Backfill {
            resolution: parsed(py, resolution)?,
            reach,
            coins: coins.map_or_else(Vec::new, |coins| coins.0),
            refetch,
        };
        let report = wait::block_on(py, |stopper| {
            let observer = Observer::none().stopped_by(stopper.listen());
            async move { pipeline::backfill(&settings, &wanted, &observer).await }
        })?;
        to_python(py, &report)
    }

    #[pyo3(signature = (at = None))]
    fn quotes(&self, py: Python<'_>, at: Option<InstantArgument>) -> PyResult<Frame> {
        let settings = self.settings(py)?;
        let at = at.map(|at| at.0);
        let read = wait::block_on(py, |_| pipeline::quotes(&settings, at))?;
        Frame::of(py, read)
    }

    #[pyo3(signature = (coins = None, start = None, end = None, *, resolution = "1h", as_of = None))]
    fn prices(
        &self,
        py: Python<'_>,
        coins: Option<CoinsArgument>,
        start: Option<InstantArgument>,
        end: Option<InstantArgument>,
        resolution: &str,
        as_of: Option<InstantArgument>,
    ) -> PyResult<Frame> {
        let settings = self.settings(py)?;
        let wanted = Prices {
            coins: coins.map_or_else(Vec::new, |coins| coins.0),
            start: start.map(|start| start.0),
            end: end.map(|end| end.0),
            resolution: parsed(py, resolution)?,
            as_of: as_of.map(|at| at.0),
        };
        let read = wait::block_on(py, |_| pipeline::prices(&settings, &wanted))?;
        Frame::of(py, read)
    }

    #[pyo3(signature = (ids = None, *, rule = None, stored = false))]
    fn quarantine<'py>(
        &self,
        py: Python<'py>,
        ids: Option<Vec<String>>,
        rule: Option<String>,
        stored: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let settings = self.settings(py)?;
        let pick = if stored { Pick::All } else { Pick::Open };
        let pick = picked(py, ids, rule, pick)?;
        let found = wait::block_on(py, |_| pipeline::quarantine(&settings, &pick))?;
        to_python(py, &found)
    }

    #[pyo3(signature = (ids = None, *, rule = None))]
    fn requeue<'py>(
        &self,
        py: Python<'py>,
        ids: Option<Vec<String>>,
        rule: Option<String>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let settings = self.settings(py)?;
        let pick = picked(py, ids, rule, Pick::Open)?;
        let reports = wait::block_on(py, |_| pipeline::requeue(&settings, &pick))?;
        to_python(py, &reports)
    }

    fn replay<'py>(&self, py: Python<'py>, run: &str) -> PyResult<Bound<'py, PyAny>> {
        let settings = self.settings(py)?;
        let replayed = wait::block_on(py, |_| pipeline::replay(&settings, run))?;
        to_python(py, &replayed)
    }

    #[pyo3(signature = (limit = 20))]
    fn runs<'py>(&self, py: Python<'py>, limit: u32) -> PyResult<Bound<'py, PyAny>> {
        let settings = self.settings(py)?;
        let runs = wait::block_on(py, |_| pipeline::runs(&settings, limit))?;
        to_python(py, &runs)
    }

    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let settings = self.settings(py)?;
        let status = wait::block_on(py, |_| pipeline::status(&settings))?;
        to_python(py, &status)
    }
}

impl Mill {
    /// The environment and the file are read at each call: another process may have others.
    fn settings(&self, py: Python<'_>) -> PyResult<Settings> {
        Settings::load(self.given.clone()).map_err(|error| to_exception(py, &error))
    }
}

/// Which refused records are meant; without a word, the default.
fn picked(
    py: Python<'_>,
    ids: Option<Vec<String>>,
    rule: Option<String>,
    default: Pick,
) -> PyResult<Pick> {
    match (ids, rule) {
        (None, None) => Ok(default),
        (None, Some(rule)) => Ok(Pick::Rule(rule)),
        (Some(ids), None) => {
            let ids: PyResult<Vec<RefusedId>> = ids.iter().map(|id| parsed(py, id)).collect();
            ids.map(Pick::Ids)
        }
        (Some(_), Some(_)) => Err(PyValueError::new_err("give ids or a rule, not both")),
    }
}

/// A text as what it names.
fn parsed<T: FromStr<Err = Error>>(py: Python<'_>, text: &str) -> PyResult<T> {
    text.parse().map_err(|error| to_exception(py, &error))
}

/// A setting's value as it would be written; `None` is not set.
fn as_text(value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
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
struct CoinsArgument(Vec<CoinId>);

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
struct InstantArgument(DateTime<Utc>);

impl<'a, 'py> FromPyObject<'a, 'py> for InstantArgument {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let text: String = match value.cast::<PyString>() {
            Ok(text) => text.extract()?,
            Err(_) if value.hasattr("isoformat")? => value.call_method0("isoformat")?.extract()?,
            Err(_) => {
                return Err(PyTypeError::new_err(
                    "an instant is a datetime, a date, or a text such as '2026-01-31'",
                ));
            }
        };
        parsed(value.py(), &text).map(|Instant(instant)| Self(instant))
    }
}

/// A slot as a text or a datetime.
struct SlotArgument(Slot);

impl<'a, 'py> FromPyObject<'a, 'py> for SlotArgument {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let text: String = match value.cast::<PyString>() {
            Ok(text) => text.extract()?,
            Err(_) if value.hasattr("isoformat")? => value.call_method0("isoformat")?.extract()?,
            Err(_) => {
                return Err(PyTypeError::new_err(
                    "a slot is a datetime, or a text such as '2026-01-31T00:30Z'",
                ));
            }
        };
        text.parse()
            .map(Self)
            .map_err(|error| to_exception(value.py(), &error))
    }
}
