//! `indicators` and `Indicators`: the same arithmetic over the rows of a table, and point by point.
//! Keywords become a selection here; tables are read and made in `crate::indicators::table`.

use chrono::TimeDelta;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyString, PyType};
use pyo3_arrow::input::AnyRecordBatch;

use super::arguments::instant;
use super::doc::stub;
use super::errors::to_exception;
use super::frame::Frame;
use crate::error::Error;
use crate::frame::Frame as Rows;
use crate::indicators::{Bollinger, Cross, Lengths, MaxGap, Selection, Series, table};
use crate::market::Kind;
use crate::pipeline::Read;

#[doc = stub!("indicators")]
#[pyfunction]
#[pyo3(
    signature = (frame, *, coin = None, time = None, value = None, **chosen),
    text_signature = "(frame, *, coin=None, time=None, value=None, sma=(7, 30, 90), ema=(7, 30, 90), rsi=14, macd=(12, 26, 9), bollinger=(20, 2.0), volatility=30, support=20, trend=(7, 30, 0.01), returns=True, cyclical=True, max_gap=2.5)"
)]
pub(super) fn indicators<'py>(
    py: Python<'py>,
    frame: &Bound<'py, PyAny>,
    coin: Option<String>,
    time: Option<String>,
    value: Option<String>,
    chosen: Option<&Bound<'py, PyDict>>,
) -> PyResult<Frame> {
    let series = series(py, chosen)?;
    let names = table::Names { coin, time, value };
    let has = |interface| frame.hasattr(interface);
    if !has("__arrow_c_stream__")? && !has("__arrow_c_array__")? {
        return Err(is_no_table(frame));
    }
    let input: PyResult<AnyRecordBatch> = frame.extract();
    // a single column has the interface too
    let input = input.map_err(|error| {
        if error.is_instance_of::<PyValueError>(py) {
            is_no_table(frame)
        } else {
            error
        }
    })?;
    let (batches, schema) = input.into_table()?.into_inner();
    let (schema, batches) = py
        .detach(|| table::with_indicators(&batches, &schema, &names, &series))
        .map_err(|error| to_exception(py, &error))?;
    let rows = Rows { schema, batches };
    match frame.cast::<Frame>() {
        Ok(frame) => Ok(frame.get().with(rows)),
        Err(_) => Frame::of(
            py,
            Read {
                frame: rows,
                missing: Vec::new(),
                warning: None,
                pin: None,
            },
            None,
        ),
    }
}

fn is_no_table(given: &Bound<'_, PyAny>) -> PyErr {
    match given.get_type().name() {
        Ok(name) => PyTypeError::new_err(format!(
            "indicators needs a coinmill.Frame or another table with Arrow's interface (pyarrow, polars, pandas from 2.2), \
             not {name}"
        )),
        Err(error) => error,
    }
}

#[doc = stub!("Indicators")]
#[pyclass(module = "coinmill")]
pub(super) struct Indicators {
    selection: Selection,
    series: Series,
    names: Vec<Py<PyString>>,
    values: Vec<Option<f64>>,
}

#[pymethods]
impl Indicators {
    #[new]
    #[pyo3(
        signature = (**chosen),
        text_signature = "(*, sma=(7, 30, 90), ema=(7, 30, 90), rsi=14, macd=(12, 26, 9), bollinger=(20, 2.0), volatility=30, support=20, trend=(7, 30, 0.01), returns=True, cyclical=True, max_gap=2.5)"
    )]
    fn new(py: Python<'_>, chosen: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let selection = selection(chosen)?;
        let series = Series::new(&selection).map_err(|error| to_exception(py, &error))?;
        Ok(Self::of(py, selection, series))
    }

    /// What a pickle calls. Another version's arithmetic may have other words to remember.
    #[classmethod]
    fn _restored(
        _cls: &Bound<'_, PyType>,
        py: Python<'_>,
        version: &str,
        chosen: &Bound<'_, PyDict>,
        state: &[u8],
    ) -> PyResult<Self> {
        if version != env!("CARGO_PKG_VERSION") {
            let error = Error::data(format!(
                "these indicators were pickled by coinmill {version}, and this is {}: push their points again",
                env!("CARGO_PKG_VERSION")
            ));
            return Err(to_exception(py, &error));
        }
        let selection = selection(Some(chosen))?;
        let series = Series::resume(&selection, state).map_err(|error| to_exception(py, &error))?;
        Ok(Self::of(py, selection, series))
    }

    #[expect(clippy::type_complexity, reason = "the shape that pickle asks for")]
    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(
        Bound<'py, PyAny>,
        (&'static str, Bound<'py, PyDict>, Bound<'py, PyBytes>),
    )> {
        let py = slf.py();
        let this = slf.borrow();
        let state = PyBytes::new(py, &this.series.state());
        let again = (
            env!("CARGO_PKG_VERSION"),
            chosen(py, &this.selection)?,
            state,
        );
        Ok((slf.get_type().getattr("_restored")?, again))
    }

    #[doc = stub!("Indicators.push")]
    fn push<'py>(
        &mut self,
        py: Python<'py>,
        ts: &Bound<'_, PyAny>,
        price: Option<f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let said = "ts is a datetime, a date, or a text such as '2026-01-31T00:30Z'";
        let stamp = instant(ts, said)?.timestamp_micros();
        self.series
            .push(stamp, price, &mut self.values)
            .map_err(|refused| {
                PyValueError::new_err(format!(
                    "{} is not after the last point, {}",
                    table::shown(stamp),
                    table::shown(refused.last)
                ))
            })?;
        let values = PyDict::new(py);
        let columns = self.series.columns().iter().zip(&self.names);
        for ((named, name), value) in columns.zip(&self.values) {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a whole number that is small"
            )]
            match (named.kind, *value) {
                (Kind::Int, Some(value)) => values.set_item(name, value as i64)?,
                (_, value) => values.set_item(name, value)?,
            }
        }
        Ok(values)
    }

    #[getter]
    #[doc = stub!("Indicators.columns")]
    fn columns(&self) -> Vec<&str> {
        let columns = self.series.columns().iter();
        columns.map(|named| named.name.as_str()).collect()
    }

    fn __repr__(&self) -> String {
        format!("Indicators({})", self.columns().join(", "))
    }
}

impl Indicators {
    fn of(py: Python<'_>, selection: Selection, series: Series) -> Self {
        let names = series.columns().iter();
        Self {
            names: names
                .map(|named| PyString::new(py, &named.name).unbind())
                .collect(),
            values: Vec::with_capacity(series.columns().len()),
            selection,
            series,
        }
    }
}

/// The keywords of a selection, all of them.
fn chosen<'py>(py: Python<'py>, selection: &Selection) -> PyResult<Bound<'py, PyDict>> {
    let Selection {
        returns,
        sma,
        ema,
        rsi,
        macd,
        bollinger,
        volatility,
        support,
        trend,
        cyclical,
        max_gap,
    } = selection;
    let macd = macd.map(|it| (it.fast, it.slow, it.signal));
    let bollinger = bollinger.map(|it| (it.length, it.deviations));
    let trend = trend.map(|it| (it.short, it.long, it.band));
    let chosen = PyDict::new(py);
    chosen.set_item("returns", returns)?;
    chosen.set_item("sma", sma)?;
    chosen.set_item("ema", ema)?;
    chosen.set_item("rsi", rsi)?;
    chosen.set_item("macd", macd)?;
    chosen.set_item("bollinger", bollinger)?;
    chosen.set_item("volatility", volatility)?;
    chosen.set_item("support", support)?;
    chosen.set_item("trend", trend)?;
    chosen.set_item("cyclical", cyclical)?;
    match *max_gap {
        MaxGap::Steps(steps) => chosen.set_item("max_gap", steps)?,
        MaxGap::Time(longest) => chosen.set_item("max_gap", TimeDelta::microseconds(longest))?,
        MaxGap::Unlimited => chosen.set_item("max_gap", py.None())?,
    }
    Ok(chosen)
}

fn series(py: Python<'_>, chosen: Option<&Bound<'_, PyDict>>) -> PyResult<Series> {
    Series::new(&selection(chosen)?).map_err(|error| to_exception(py, &error))
}

fn selection(chosen: Option<&Bound<'_, PyDict>>) -> PyResult<Selection> {
    let mut selection = Selection::default();
    for (name, value) in chosen.into_iter().flatten() {
        let name: String = name.extract()?;
        let given = Given {
            name: &name,
            value: &value,
        };
        match name.as_str() {
            "returns" => selection.returns = given.switch()?,
            "sma" => selection.sma = given.lengths()?,
            "ema" => selection.ema = given.lengths()?,
            "rsi" => selection.rsi = given.length()?,
            "macd" => {
                let given = given.parts("(fast, slow, signal), such as (12, 26, 9)")?;
                selection.macd = given.map(|(fast, slow, signal)| Lengths { fast, slow, signal });
            }
            "bollinger" => {
                let given = given.parts("(length, deviations), such as (20, 2.0)")?;
                selection.bollinger =
                    given.map(|(length, deviations)| Bollinger { length, deviations });
            }
            "volatility" => selection.volatility = given.length()?,
            "support" => selection.support = given.length()?,
            "trend" => {
                let given = given.parts("(short, long, band), such as (7, 30, 0.01)")?;
                selection.trend = given.map(|(short, long, band)| Cross { short, long, band });
            }
            "cyclical" => selection.cyclical = given.switch()?,
            "max_gap" => selection.max_gap = given.max_gap()?,
            name => {
                return Err(PyTypeError::new_err(format!(
                    "got an unexpected keyword argument '{name}'"
                )));
            }
        }
    }
    Ok(selection)
}

/// A keyword and what was given for it.
struct Given<'a, 'py> {
    name: &'a str,
    value: &'a Bound<'py, PyAny>,
}

impl<'py> Given<'_, 'py> {
    fn is_not(&self, what: &str) -> PyErr {
        match self.value.repr() {
            Ok(given) => PyTypeError::new_err(format!("{} is {what}, not {given}", self.name)),
            Err(error) => error,
        }
    }

    fn is_off(&self) -> bool {
        self.value.is_none()
            || self
                .value
                .cast::<PyBool>()
                .is_ok_and(|value| !value.is_true())
    }

    fn switch(&self) -> PyResult<bool> {
        self.value
            .extract()
            .map_err(|_| self.is_not("True or False"))
    }

    fn whole(&self, value: &Bound<'py, PyAny>) -> Option<i64> {
        let is_switch = value.is_instance_of::<PyBool>();
        (!is_switch).then(|| value.extract().ok()).flatten()
    }

    fn length(&self) -> PyResult<Option<i64>> {
        if self.is_off() {
            return Ok(None);
        }
        let length = self.whole(self.value);
        length
            .map(Some)
            .ok_or_else(|| self.is_not("a number of points, such as 14, or None"))
    }

    fn lengths(&self) -> PyResult<Vec<i64>> {
        if self.is_off() {
            return Ok(Vec::new());
        }
        if let Some(length) = self.whole(self.value) {
            return Ok(vec![length]);
        }
        let is_not = || self.is_not("a number of points or several, such as (7, 30, 90)");
        let lengths = self.value.try_iter().map_err(|_| is_not())?;
        lengths
            .map(|length| self.whole(&length?).ok_or_else(is_not))
            .collect()
    }

    fn parts<T>(&self, what: &str) -> PyResult<Option<T>>
    where
        T: for<'a> FromPyObject<'a, 'py>,
    {
        if self.is_off() {
            return Ok(None);
        }
        // a list is as good as a tuple
        let parts = self
            .value
            .py()
            .get_type::<pyo3::types::PyTuple>()
            .call1((self.value,));
        let parts = parts.and_then(|parts| parts.extract().map_err(Into::into));
        parts
            .map(Some)
            .map_err(|_: PyErr| self.is_not(&format!("{what}, or None")))
    }

    fn max_gap(&self) -> PyResult<MaxGap> {
        if self.value.is_none() {
            return Ok(MaxGap::Unlimited);
        }
        if let Ok(longest) = self.value.extract::<TimeDelta>() {
            let longest = longest.num_microseconds();
            return Ok(longest.map_or(MaxGap::Unlimited, MaxGap::Time));
        }
        let steps = self.value.extract().map(MaxGap::Steps);
        steps.map_err(|_| self.is_not("a number of usual steps such as 2.5, a timedelta, or None"))
    }
}
