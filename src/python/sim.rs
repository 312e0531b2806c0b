//! `Sim`: the simulated market as a test double.
//! It owns its runtime and gives both back when it is stopped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::runtime::Runtime;

use super::arguments::{self, InstantArgument};
use super::doc::stub;
use super::errors::to_exception;
use super::wait;
use crate::error::Error;
use crate::sim::{ClockSetting, CoinChange, Market, Sim, SimOptions};

#[doc = stub!("Sim")]
#[pyclass(frozen, name = "Sim", module = "coinmill")]
pub(super) struct PySim {
    running: Mutex<Option<(Sim, Runtime)>>,
    url: String,
}

#[pymethods]
impl PySim {
    #[new]
    #[pyo3(signature = (*, seed = 1, market_size = 1000, recorded = None, clock = None, frozen = false, faults = None, port = 0))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn new(
        py: Python<'_>,
        #[pyo3(from_py_with = arguments::seed)] seed: u64,
        #[pyo3(from_py_with = arguments::market_size)] market_size: usize,
        recorded: Option<PathBuf>,
        #[pyo3(from_py_with = arguments::clock)] clock: Option<DateTime<Utc>>,
        frozen: bool,
        faults: Option<Vec<String>>,
        #[pyo3(from_py_with = arguments::port)] port: u16,
    ) -> PyResult<Self> {
        let clock = match (clock, frozen) {
            (None, false) => ClockSetting::System,
            (None, true) => ClockSetting::Frozen(Utc::now()),
            (Some(at), true) => ClockSetting::Frozen(at),
            (Some(at), false) => ClockSetting::StartingAt(at),
        };
        let parsed: Result<Vec<_>, Error> =
            faults.iter().flatten().map(|fault| fault.parse()).collect();
        let options = SimOptions {
            bind: SocketAddr::from(([127, 0, 0, 1], port)),
            market: match recorded {
                Some(folder) => Market::Recorded { folder },
                None => Market::Seeded {
                    seed,
                    coins: market_size,
                },
            },
            clock,
            faults: parsed.map_err(|error| to_exception(py, &error))?,
            ..SimOptions::default()
        };
        let runtime = wait::runtime()?;
        let started = py.detach(|| wait::outside(|| runtime.block_on(Sim::start(options))));
        let sim = started.map_err(|error| to_exception(py, &error))?;
        Ok(Self {
            url: sim.url(),
            running: Mutex::new(Some((sim, runtime))),
        })
    }

    #[getter]
    #[doc = stub!("Sim.url")]
    fn url(&self) -> &str {
        &self.url
    }

    #[getter]
    #[doc = stub!("Sim.settings")]
    fn settings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let settings = PyDict::new(py);
        settings.set_item("api_url", &self.url)?;
        settings.set_item("plan", "unlimited")?;
        settings.set_item("clock", "sim")?;
        Ok(settings)
    }

    #[getter]
    #[doc = stub!("Sim.now")]
    fn now(&self) -> PyResult<DateTime<Utc>> {
        self.with(|sim| Ok(sim.now()))
    }

    #[getter]
    #[doc = stub!("Sim.calls")]
    fn calls(&self) -> PyResult<u64> {
        self.with(|sim| Ok(sim.calls()))
    }

    #[doc = stub!("Sim.advance")]
    fn advance(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        if !seconds.is_finite() || seconds.abs() > 1e10 {
            return Err(PyValueError::new_err(
                "the clock moves by a finite number of seconds",
            ));
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked above: below 1e13 milliseconds"
        )]
        let step = TimeDelta::milliseconds((seconds * 1000.0) as i64);
        self.with(|sim| sim.advance(step).map_err(|error| to_exception(py, &error)))
    }

    #[doc = stub!("Sim.set_clock")]
    fn set_clock(&self, py: Python<'_>, instant: InstantArgument) -> PyResult<()> {
        self.with(|sim| {
            sim.set_clock(instant.0)
                .map_err(|error| to_exception(py, &error))
        })
    }

    #[doc = stub!("Sim.next_recording")]
    fn next_recording(&self) -> PyResult<Option<DateTime<Utc>>> {
        self.with(|sim| Ok(sim.next_recording()))
    }

    #[pyo3(signature = (coin, *, listed = None, symbol = None, name = None))]
    #[doc = stub!("Sim.change_coin")]
    fn change_coin(
        &self,
        py: Python<'_>,
        coin: &str,
        listed: Option<bool>,
        symbol: Option<String>,
        name: Option<String>,
    ) -> PyResult<()> {
        let change = CoinChange {
            listed,
            symbol,
            name,
        };
        self.with(|sim| {
            sim.change_coin(coin, change)
                .map_err(|error| to_exception(py, &error))
        })
    }

    #[doc = stub!("Sim.add_fault")]
    fn add_fault(&self, py: Python<'_>, fault: &str) -> PyResult<()> {
        let fault = fault.parse().map_err(|error| to_exception(py, &error))?;
        self.with(|sim| {
            sim.add_fault(fault);
            Ok(())
        })
    }

    #[doc = stub!("Sim.clear_faults")]
    fn clear_faults(&self) -> PyResult<()> {
        self.with(|sim| {
            sim.clear_faults();
            Ok(())
        })
    }

    #[doc = stub!("Sim.stop")]
    fn stop(&self, py: Python<'_>) {
        let running = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some((sim, runtime)) = running {
            py.detach(|| {
                wait::outside(|| runtime.block_on(sim.stop()));
                runtime.shutdown_background();
            });
        }
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __exit__(&self, py: Python<'_>, _kind: Py<PyAny>, _value: Py<PyAny>, _traceback: Py<PyAny>) {
        self.stop(py);
    }

    fn __repr__(&self) -> String {
        format!("Sim(url='{}')", self.url)
    }
}

impl PySim {
    fn with<T>(&self, act: impl FnOnce(&Sim) -> PyResult<T>) -> PyResult<T> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let (sim, _) = running
            .as_ref()
            .ok_or_else(|| PyRuntimeError::new_err("the simulated market has been stopped"))?;
        act(sim)
    }
}
