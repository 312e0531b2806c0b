//! `Frame`: rows as Arrow, handed to whatever library is there through the PyCapsule interface.
//! It needs none of them; the `to_*` methods import theirs when they are called.

use std::ffi::CString;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::Array;
use chrono::DateTime;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::PyTable;

use super::errors::CoverageWarning;
use super::to_python;
use crate::frame::{self, Cell, cell};
use crate::pipeline::{Missing, Read};

/// Rows shown in a notebook.
const SHOWN: usize = 10;

/// Whose line a warning names: whoever called us, since native code has no line of its own.
const CALLER: i32 = 1;

/// See the stub for what users read.
#[pyclass(frozen, module = "coinmill")]
pub(super) struct Frame {
    frame: frame::Frame,
    missing: Vec<Missing>,
}

impl Frame {
    /// The rows that were read; where what is missing has to be said, Python's `warnings` say it of the caller's line.
    pub(super) fn of(py: Python<'_>, read: Read) -> PyResult<Self> {
        if let Some(warning) = read.warning {
            let category = py.get_type::<CoverageWarning>();
            let text = CString::new(warning.replace('\0', " "))?;
            PyErr::warn(py, &category, &text, CALLER)?;
        }
        Ok(Self {
            frame: read.frame,
            missing: read.missing,
        })
    }

    /// Other rows, of which the same is missing.
    pub(super) fn with(&self, frame: frame::Frame) -> Self {
        Self {
            frame,
            missing: self.missing.clone(),
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

    fn to_arrow<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("pyarrow")?.call_method1("table", (slf,))
    }

    fn to_polars<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("polars")?.call_method1("DataFrame", (slf,))
    }

    fn to_pandas<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::to_arrow(slf)?.call_method0("to_pandas")
    }

    #[getter]
    fn missing<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.missing)
    }

    #[getter]
    fn columns(&self) -> Vec<String> {
        self.frame
            .schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect()
    }

    fn __len__(&self) -> usize {
        self.frame.rows()
    }

    fn __repr__(&self) -> String {
        format!(
            "Frame({} rows: {})",
            self.frame.rows(),
            self.columns().join(", ")
        )
    }

    fn _repr_html_(&self) -> String {
        let mut html = String::from("<table><thead><tr>");
        for name in self.columns() {
            let _infallible = write!(html, "<th>{}</th>", escaped(&name));
        }
        html.push_str("</tr></thead><tbody>");
        let rows = self
            .frame
            .batches
            .iter()
            .flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch.columns(), row)));
        for (columns, row) in rows.take(SHOWN) {
            html.push_str("<tr>");
            for column in columns {
                let _infallible =
                    write!(html, "<td>{}</td>", escaped(&shown(column.as_ref(), row)));
            }
            html.push_str("</tr>");
        }
        let _infallible = write!(html, "</tbody></table><p>{} rows</p>", self.frame.rows());
        html
    }
}

fn shown(column: &dyn Array, row: usize) -> String {
    match cell(column, row) {
        None => String::new(),
        Some(Cell::Text(text)) => text.to_owned(),
        Some(Cell::Int(number)) => number.to_string(),
        Some(Cell::Bool(value)) => value.to_string(),
        Some(Cell::Float(number)) => number.to_string(),
        Some(Cell::Time(stamp)) => DateTime::from_timestamp_millis(stamp)
            .map_or_else(String::new, |t| {
                t.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
            }),
    }
}

/// Names and symbols come from outside, and a notebook runs what it shows.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
