//! `Frame`: rows as Arrow, handed to whatever library is there through the PyCapsule interface, and as plain dicts.
//! It needs none of them; the `to_*` methods import theirs when they are called.

use std::ffi::CString;
use std::sync::Arc;

use arrow_array::RecordBatch;
use chrono::{DateTime, Utc};
use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList, PySlice, PyString};
use pyo3_arrow::PyTable;

use super::doc::stub;
use super::errors::{CoverageWarning, to_exception};
use super::to_python;
use crate::error;
use crate::frame::{self, Cell, Foreign};
use crate::pipeline::{Missing, Pin, Read};

/// Whose line a warning names: whoever called us, since native code has no line of its own.
const CALLER: i32 = 1;

#[doc = stub!("Frame")]
#[pyclass(frozen, module = "coinmill")]
pub(super) struct Frame {
    frame: frame::Frame,
    missing: Arc<Vec<Missing>>,
    pin: Option<Pin>,
    totals: Option<frame::Frame>,
}

impl Frame {
    /// The rows that were read; where what is missing has to be said, Python's `warnings` say it of the caller's line.
    pub(super) fn of(py: Python<'_>, read: Read, totals: Option<frame::Frame>) -> PyResult<Self> {
        if let Some(warning) = read.warning {
            let category = py.get_type::<CoverageWarning>();
            let text = CString::new(warning.replace('\0', " "))?;
            PyErr::warn(py, &category, &text, CALLER)?;
        }
        Ok(Self {
            frame: read.frame,
            missing: Arc::new(read.missing),
            pin: read.pin,
            totals,
        })
    }

    pub(super) fn batches(&self) -> &[RecordBatch] {
        &self.frame.batches
    }

    /// Other rows, of which the same is missing.
    pub(super) fn with(&self, frame: frame::Frame) -> Self {
        Self {
            frame,
            missing: Arc::clone(&self.missing),
            pin: self.pin.clone(),
            totals: self.totals.clone(),
        }
    }

    fn with_all(&self, py: Python<'_>, frame: error::Result<frame::Frame>) -> PyResult<Self> {
        let frame = frame.map_err(|error| to_exception(py, &error))?;
        Ok(self.with(frame))
    }

    /// How many rows `n` means: from the other end where it is negative, as in polars and pandas.
    fn counted(&self, n: isize) -> usize {
        let all = self.frame.rows();
        match usize::try_from(n) {
            Ok(n) => n.min(all),
            Err(_) => all.saturating_sub(n.unsigned_abs()),
        }
    }
}

#[pymethods]
impl Frame {
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let table = PyTable::try_new(self.frame.batches.clone(), Arc::clone(&self.frame.schema))?;
        table
            .into_pyobject(py)?
            .call_method1("__arrow_c_stream__", (requested_schema,))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let table = PyTable::try_new(vec![], Arc::clone(&self.frame.schema))?;
        table.into_pyobject(py)?.call_method0("__arrow_c_schema__")
    }

    #[doc = stub!("Frame.to_arrow")]
    fn to_arrow<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        library(slf.py(), "pyarrow", "arrow")?.call_method1("table", (slf,))
    }

    #[doc = stub!("Frame.to_polars")]
    fn to_polars<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        library(slf.py(), "polars", "polars")?.call_method1("DataFrame", (slf,))
    }

    #[doc = stub!("Frame.to_pandas")]
    fn to_pandas<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        library(py, "pandas", "pandas")?;
        library(py, "pyarrow", "pandas")?
            .call_method1("table", (slf,))?
            .call_method0("to_pandas")
    }

    #[doc = stub!("Frame.to_dicts")]
    fn to_dicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let rows = PyList::empty(py);
        let names = names(py, &self.frame);
        for batch in 0..self.frame.batches.len() {
            let mut row = 0;
            while let Some(found) = dict(py, &self.frame, &names, (batch, row))? {
                rows.append(found)?;
                row += 1;
            }
        }
        Ok(rows)
    }

    #[getter]
    #[doc = stub!("Frame.missing")]
    fn missing<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, self.missing.as_ref())
    }

    #[getter]
    #[doc = stub!("Frame.pin")]
    fn pin(&self) -> Option<String> {
        self.pin.as_ref().map(Pin::to_string)
    }

    #[getter]
    #[doc = stub!("Frame.totals")]
    fn totals(&self) -> Option<Self> {
        self.totals.as_ref().map(|totals| Self {
            frame: totals.clone(),
            missing: Arc::default(),
            pin: None,
            totals: None,
        })
    }

    #[getter]
    #[doc = stub!("Frame.columns")]
    fn columns(&self) -> Vec<String> {
        let fields = self.frame.schema.fields().iter();
        fields.map(|field| field.name().clone()).collect()
    }

    #[getter]
    #[doc = stub!("Frame.schema")]
    fn schema<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let schema = PyDict::new(py);
        for field in self.frame.schema.fields() {
            schema.set_item(field.name(), frame::type_name(field.data_type()))?;
        }
        Ok(schema)
    }

    #[getter]
    #[doc = stub!("Frame.shape")]
    fn shape(&self) -> (usize, usize) {
        (self.frame.rows(), self.frame.schema.fields().len())
    }

    #[pyo3(signature = (n = 10))]
    #[doc = stub!("Frame.head")]
    fn head(&self, n: isize) -> Self {
        self.with(self.frame.slice(0, self.counted(n)))
    }

    #[pyo3(signature = (n = 10))]
    #[doc = stub!("Frame.tail")]
    fn tail(&self, n: isize) -> Self {
        let count = self.counted(n);
        self.with(self.frame.slice(self.frame.rows() - count, count))
    }

    #[doc = stub!("Frame.select")]
    fn select(&self, py: Python<'_>, columns: Vec<String>) -> PyResult<Self> {
        self.with_all(py, self.frame.select(&columns))
    }

    #[pyo3(signature = (value = "price", *, every = None))]
    #[doc = stub!("Frame.wide")]
    fn wide(&self, py: Python<'_>, value: &str, every: Option<&str>) -> PyResult<Self> {
        self.with_all(py, py.detach(|| self.frame.wide(value, every)))
    }

    #[pyo3(signature = (kind = "simple", *, value = "price", step = None))]
    #[doc = stub!("Frame.returns")]
    fn returns(
        &self,
        py: Python<'_>,
        kind: &str,
        value: &str,
        step: Option<&str>,
    ) -> PyResult<Self> {
        self.with_all(py, py.detach(|| self.frame.returns(kind, value, step)))
    }

    #[pyo3(signature = (value = None, *, kind = None, log = false, ax = None))]
    #[doc = stub!("Frame.plot")]
    fn plot<'py>(
        slf: &Bound<'py, Self>,
        value: Option<&str>,
        kind: Option<&str>,
        log: bool,
        ax: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let plot = py.import("coinmill.plot")?.getattr("plot")?;
        plot.call1((slf, value, kind, log, ax))
    }

    fn __len__(&self) -> usize {
        self.frame.rows()
    }

    /// A row by its place, from the end where that is negative; rows by a slice; a column's values by its name.
    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(name) = key.cast::<PyString>() {
            let column = self.frame.column(&name.to_string());
            let column = column.map_err(|error| to_exception(py, &error))?;
            let values = PyList::empty(py);
            for cell in self.frame.values(column) {
                values.append(value(py, cell)?)?;
            }
            return Ok(values.into_any());
        }
        let rows = self.frame.rows();
        if let Ok(slice) = key.cast::<PySlice>() {
            let found = slice.indices(isize::try_from(rows)?)?;
            let part = self.sliced(py, found.start, found.step, found.slicelength)?;
            return Bound::new(py, part).map(Bound::into_any);
        }
        let Ok(place) = key.extract::<isize>() else {
            return Err(PyTypeError::new_err(
                "a frame is indexed by a row's place, a slice of rows, or a column's name",
            ));
        };
        let place = match usize::try_from(place) {
            Ok(place) => Some(place),
            Err(_) => rows.checked_sub(place.unsigned_abs()),
        };
        let place = place.and_then(|place| self.frame.place(place));
        let row = match place {
            Some(place) => dict(py, &self.frame, &names(py, &self.frame), place)?,
            None => None,
        };
        row.map(Bound::into_any)
            .ok_or_else(|| PyIndexError::new_err(format!("the frame has {rows} rows")))
    }

    fn __iter__(slf: Bound<'_, Self>) -> Rows {
        let names = names(slf.py(), &slf.get().frame)
            .into_iter()
            .map(Bound::unbind);
        Rows {
            names: names.collect(),
            frame: slf.unbind(),
            next: (0, 0),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        // the environment's COLUMNS, the terminal's width, or 80 where there is no terminal
        let size = py.import("shutil")?.call_method0("get_terminal_size")?;
        let width = size.getattr("columns")?.extract()?;
        Ok(frame::text(&self.frame, width, self.missing.len()))
    }

    fn _repr_html_(&self) -> String {
        frame::html(&self.frame, self.missing.len())
    }
}

impl Frame {
    /// Rows of a slice whose indices are resolved.
    fn sliced(&self, py: Python<'_>, start: isize, step: isize, count: usize) -> PyResult<Self> {
        let first = usize::try_from(start).unwrap_or(0);
        if step == 1 {
            return Ok(self.with(self.frame.slice(first, count)));
        }
        let place = |nth: usize| start + step * isize::try_from(nth).unwrap_or(0);
        let places = (0..count).map(|nth| usize::try_from(place(nth)).unwrap_or(usize::MAX));
        self.with_all(py, self.frame.rows_at(places))
    }
}

/// The rows of a frame, one after the other.
#[pyclass(module = "coinmill")]
pub(super) struct Rows {
    frame: Py<Frame>,
    names: Vec<Py<PyString>>,
    /// The batch, and the row in it.
    next: (usize, usize),
}

#[pymethods]
impl Rows {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let frame = &self.frame.get().frame;
        let names = self.names.iter().map(|name| name.bind(py).clone());
        let names: Vec<_> = names.collect();
        while self.next.0 < frame.batches.len() {
            if let Some(row) = dict(py, frame, &names, self.next)? {
                self.next.1 += 1;
                return Ok(Some(row));
            }
            self.next = (self.next.0 + 1, 0);
        }
        Ok(None)
    }
}

/// A library that coinmill does not need; where it is not there, an error that says how it comes.
pub(super) fn library<'py>(
    py: Python<'py>,
    name: &str,
    extra: &str,
) -> PyResult<Bound<'py, PyModule>> {
    py.import(name).map_err(|error| {
        let is_absent = error.is_instance_of::<pyo3::exceptions::PyModuleNotFoundError>(py);
        if !is_absent {
            return error;
        }
        let told = pyo3::exceptions::PyImportError::new_err(format!(
            "{name} is not installed: pip install 'coinmill[{extra}]'"
        ));
        told.set_cause(py, Some(error));
        told
    })
}

fn names<'py>(py: Python<'py>, frame: &frame::Frame) -> Vec<Bound<'py, PyString>> {
    let fields = frame.schema.fields().iter();
    fields
        .map(|field| PyString::new(py, field.name()))
        .collect()
}

/// A row of a batch; none behind its end.
fn dict<'py>(
    py: Python<'py>,
    frame: &frame::Frame,
    names: &[Bound<'py, PyString>],
    (batch, row): (usize, usize),
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Some(batch) = frame.batches.get(batch).filter(|it| row < it.num_rows()) else {
        return Ok(None);
    };
    let dict = PyDict::new(py);
    for (name, column) in names.iter().zip(batch.columns()) {
        dict.set_item(name, value(py, frame::cell(column.as_ref(), row))?)?;
    }
    Ok(Some(dict))
}

/// A value as Python's own.
fn value<'py>(py: Python<'py>, cell: Option<Cell<'_>>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match cell {
        None => py.None().into_bound(py),
        Some(Cell::Text(text)) => PyString::new(py, text).into_any(),
        Some(Cell::Bool(value)) => value.into_pyobject(py)?.to_owned().into_any(),
        Some(Cell::Int(number)) => number.into_pyobject(py)?.into_any(),
        Some(Cell::Float(number)) => number.into_pyobject(py)?.into_any(),
        Some(Cell::Time(stamp)) => instant(py, DateTime::from_timestamp_millis(stamp))?,
        Some(Cell::Foreign(Foreign::Micros(stamp))) => {
            instant(py, DateTime::from_timestamp_micros(stamp))?
        }
        Some(Cell::Foreign(value)) => PyString::new(py, &value.to_string()).into_any(),
    })
}

/// An instant; None where it is beyond what Python can hold.
fn instant<'py>(py: Python<'py>, at: Option<DateTime<Utc>>) -> PyResult<Bound<'py, PyAny>> {
    let found = at.map(|at| at.into_pyobject(py)).transpose()?;
    Ok(found.map_or_else(|| py.None().into_bound(py), Bound::into_any))
}
