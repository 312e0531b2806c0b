//! `Stream`: a read that is larger than memory, frame by frame under one pin, and the same as Arrow's own stream.
//! Each frame is read when it is asked for, and nothing is open between two of them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::PyRecordBatchReader;

use super::doc::stub;
use super::errors::to_exception;
use super::frame::Frame;
use crate::frame::Filling;
use crate::market::Column;
use crate::pipeline::AsOf;
use crate::remote::call::Call;

/// How a part is read: a call of the mill that the stream is of, with a frame as its result.
pub(super) type Reading = dyn Fn(Python<'_>, Call) -> PyResult<Py<PyAny>> + Send + Sync;

#[doc = stub!("Stream")]
#[pyclass(frozen, module = "coinmill")]
pub(super) struct Stream {
    read: Box<Reading>,
    schema: SchemaRef,
    /// What is still to be read.
    parts: Mutex<VecDeque<Call>>,
    pin: Option<String>,
}

impl Stream {
    /// A stream of reads, each of whose frames has these columns.
    pub(super) fn new(
        py: Python<'_>,
        read: Box<Reading>,
        columns: &[Column],
        parts: impl IntoIterator<Item = Call>,
        pin: Option<AsOf>,
    ) -> PyResult<Self> {
        let empty = Filling::new(columns).finish();
        Ok(Self {
            read,
            schema: empty.map_err(|error| to_exception(py, &error))?.schema,
            parts: Mutex::new(parts.into_iter().collect()),
            pin: match pin {
                Some(AsOf::Pin(pin)) => Some(pin.to_string()),
                _ => None,
            },
        })
    }

    /// The next frame; none at the end. What failed is still to be read. Whoever takes part in it, each frame comes once.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, Frame>>> {
        let waiting = || self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(call) = waiting().pop_front() else {
            return Ok(None);
        };
        match (self.read)(py, call.clone()) {
            Ok(frame) => Ok(Some(frame.into_bound(py).cast_into::<Frame>()?)),
            Err(error) => {
                waiting().push_front(call);
                Err(error)
            }
        }
    }
}

#[pymethods]
impl Stream {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, Frame>>> {
        self.next(py)
    }

    fn __length_hint__(&self) -> usize {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.len()
    }

    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        slf: &Bound<'py, Self>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let batches = Batches {
            schema: slf.get().schema.clone(),
            stream: slf.clone().unbind(),
            waiting: VecDeque::new(),
        };
        PyRecordBatchReader::new(Box::new(batches))
            .into_pyobject(slf.py())?
            .call_method1("__arrow_c_stream__", (requested_schema,))
    }

    #[getter]
    #[doc = stub!("Stream.pin")]
    fn pin(&self) -> Option<&str> {
        self.pin.as_deref()
    }
}

/// The batches of the frames of a stream, for whoever pulls them through Arrow's interface.
struct Batches {
    stream: Py<Stream>,
    schema: SchemaRef,
    waiting: VecDeque<RecordBatch>,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.waiting.pop_front() {
                return Some(Ok(batch));
            }
            let read = Python::attach(|py| -> PyResult<Option<Vec<RecordBatch>>> {
                let frame = self.stream.get().next(py)?;
                Ok(frame.map(|frame| frame.get().batches().to_vec()))
            });
            match read {
                Ok(Some(batches)) => self.waiting.extend(batches),
                Ok(None) => return None,
                Err(error) => return Some(Err(ArrowError::ExternalError(Box::new(error)))),
            }
        }
    }
}

impl RecordBatchReader for Batches {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}
