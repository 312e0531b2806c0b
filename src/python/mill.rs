//! `Mill`: the settings, and the verbs that use them.
//! It opens nothing and holds nothing but settings, so it can be pickled, forked and shared.

use std::collections::BTreeMap;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};
use serde::de::DeserializeOwned;

use super::arguments::{
    self, AsOfArgument, CoinsArgument, InstantArgument, SlotArgument, Text, all_parsed, as_text,
    parsed,
};
use super::doc::stub;
use super::errors::{DataError, to_exception};
use super::listener::Listener;
use super::stream::{Reading, Stream};
use crate::candles;
use crate::config::{Layers, Portable, Settings, resolve_with, settled, shown};
use crate::market::{Column, quote_columns};
use crate::pipeline::{
    Backfill, Candles, Explain, Gaps, Pick, Prices, Quotes, Reach, Revisions, Search, Universe,
};
use crate::quality::Rules;
use crate::remote::call::{Call, Returned};
use crate::store::price_columns;

#[doc = stub!("Mill")]
#[pyclass(frozen, module = "coinmill")]
pub(super) struct Mill {
    given: BTreeMap<String, String>,
    /// What a pickle left out, and has to be set outside.
    needs: BTreeMap<String, String>,
}

#[pymethods]
impl Mill {
    #[new]
    #[pyo3(signature = (**settings), text_signature = "(*, config=None, api_url=None, api_key=None, plan=None, snapshot_url=None, timeseries_url=None, data_dir=None, landing_dir=None, top=None, coins=None, add_coins=None, vs_currency=None, clock=None, completeness=None, refuse=None, contract=None, retention_days_5m=None, retention_days_1h=None, retention_days_1d=None, retention_days_landing=None, **settings)")]
    fn new(py: Python<'_>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut given = BTreeMap::new();
        for (name, value) in settings.into_iter().flatten() {
            if let Some(text) = as_text(&value)? {
                given.insert(name.extract()?, text);
            }
        }
        let given = settled(given).map_err(|error| to_exception(py, &error))?;
        Self::new_with(py, given, BTreeMap::new())
    }

    /// What a pickle calls: the secrets come from the environment or the file here, or it is an error.
    #[classmethod]
    fn _restored(
        _cls: &Bound<'_, PyType>,
        py: Python<'_>,
        given: BTreeMap<String, String>,
        needs: BTreeMap<String, String>,
    ) -> PyResult<Self> {
        Self::new_with(py, given, needs)
    }

    #[expect(clippy::type_complexity, reason = "the shape that pickle asks for")]
    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(
        Bound<'py, PyAny>,
        (BTreeMap<String, String>, BTreeMap<String, String>),
    )> {
        let mill = slf.get();
        let (_, settings) = mill.settings(slf.py())?;
        let Portable { given, needs } = Portable::of(&mill.given, &settings);
        let given = settled(given).map_err(|error| to_exception(slf.py(), &error))?;
        Ok((slf.get_type().getattr("_restored")?, (given, needs)))
    }

    // nothing of a mill can be changed: in this process a copy is the same, with its secrets
    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (_, settings) = self.settings(py)?;
        Ok(format!(
            "Mill(plan='{}', top={}, vs_currency='{}', snapshot_url='{}')",
            settings.plan.kind, settings.top, settings.vs_currency, settings.snapshot_url
        ))
    }

    #[doc = stub!("Mill.init")]
    fn init<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.done(py, Call::Init)
    }

    #[pyo3(signature = (slot = None, *, progress = None))]
    #[doc = stub!("Mill.run_snapshot")]
    fn run_snapshot<'py>(
        &self,
        py: Python<'py>,
        slot: Option<SlotArgument>,
        progress: Option<Listener>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let slot = slot.map(|slot| slot.0);
        self.run(py, Call::RunSnapshot { slot }, progress)
    }

    #[pyo3(signature = (resolution = "5m", *, progress = None))]
    #[doc = stub!("Mill.run_timeseries")]
    fn run_timeseries<'py>(
        &self,
        py: Python<'py>,
        resolution: &str,
        progress: Option<Listener>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let resolution = parsed(py, resolution)?;
        self.run(py, Call::RunTimeseries { resolution }, progress)
    }

    #[pyo3(signature = (*, accept_losses = false))]
    #[doc = stub!("Mill.run_listing")]
    fn run_listing<'py>(
        &self,
        py: Python<'py>,
        accept_losses: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.done(py, Call::RunListing { accept_losses })
    }

    #[pyo3(signature = (*, days = None, start = None, end = None, resolution = "1h", coins = None, refetch = false, spend = None, progress = None))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    #[doc = stub!("Mill.backfill")]
    fn backfill<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = arguments::days_back)] days: Option<u32>,
        start: Option<InstantArgument>,
        end: Option<InstantArgument>,
        resolution: &str,
        coins: Option<CoinsArgument>,
        refetch: bool,
        #[pyo3(from_py_with = arguments::spend)] spend: Option<u64>,
        progress: Option<Listener>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let reach = match (days, start) {
            (Some(days), None) if end.is_none() => Reach::Days(days),
            (None, Some(start)) => Reach::Between(start.0, end.map(|end| end.0)),
            _ => {
                return Err(PyValueError::new_err(
                    "say how far back: days=N, or start=… with or without end=…",
                ));
            }
        };
        let wanted = Backfill {
            resolution: parsed(py, resolution)?,
            reach,
            coins: coins.map_or_else(Vec::new, |coins| coins.0),
            refetch,
            spend,
        };
        self.run(py, Call::Backfill(wanted), progress)
    }

    #[pyo3(signature = (coins = None, start = None, end = None, *, resolution = None))]
    #[doc = stub!("Mill.gaps")]
    fn gaps<'py>(
        &self,
        py: Python<'py>,
        coins: Option<CoinsArgument>,
        start: Option<InstantArgument>,
        end: Option<InstantArgument>,
        resolution: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let wanted = Gaps {
            coins: coins.map_or_else(Vec::new, |coins| coins.0),
            resolution: resolution.map(|text| parsed(py, text)).transpose()?,
            start: start.map(|start| start.0),
            end: end.map(|end| end.0),
        };
        self.done(py, Call::Gaps(wanted))
    }

    #[pyo3(signature = (*, spend = None, progress = None))]
    #[doc = stub!("Mill.heal")]
    fn heal<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = arguments::spend)] spend: Option<u64>,
        progress: Option<Listener>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.run(py, Call::Heal { spend }, progress)
    }

    #[doc = stub!("Mill.plan")]
    fn plan<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.done(py, Call::Plan)
    }

    #[pyo3(signature = (top = None, at = None, *, as_of = None))]
    #[doc = stub!("Mill.universe")]
    fn universe<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = arguments::top)] top: Option<u64>,
        at: Option<InstantArgument>,
        as_of: Option<AsOfArgument>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let wanted = Universe {
            top,
            at: at.map(|at| at.0),
            as_of: as_of.map(|as_of| as_of.0),
        };
        self.done(py, Call::Universe(wanted))
    }

    #[pyo3(signature = (text, limit = 20))]
    #[doc = stub!("Mill.search")]
    fn search<'py>(
        &self,
        py: Python<'py>,
        text: Text,
        #[pyo3(from_py_with = arguments::limit)] limit: u32,
    ) -> PyResult<Bound<'py, PyAny>> {
        let wanted = Search {
            text: text.0,
            limit: limit as usize,
        };
        self.done(py, Call::Search(wanted))
    }

    #[doc = stub!("Mill.resolve")]
    fn resolve<'py>(&self, py: Python<'py>, text: Text) -> PyResult<Bound<'py, PyAny>> {
        self.done(py, Call::Resolve { text: text.0 })
    }

    #[pyo3(signature = (at = None, *, start = None, end = None, coins = None, as_of = None))]
    #[doc = stub!("Mill.quotes")]
    fn quotes<'py>(
        &self,
        py: Python<'py>,
        at: Option<InstantArgument>,
        start: Option<InstantArgument>,
        end: Option<InstantArgument>,
        coins: Option<CoinsArgument>,
        as_of: Option<AsOfArgument>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let wanted = Quotes {
            at: at.map(|at| at.0),
            start: start.map(|start| start.0),
            end: end.map(|end| end.0),
            coins: coins.map_or_else(Vec::new, |coins| coins.0),
            as_of: as_of.map(|as_of| as_of.0),
        };
        self.done(py, Call::Quotes(wanted))
    }

    #[pyo3(signature = (coins = None, start = None, end = None, *, resolution = "1h", as_of = None))]
    #[doc = stub!("Mill.prices")]
    fn prices<'py>(
        &self,
        py: Python<'py>,
        coins: Option<CoinsArgument>,
        start: Option<InstantArgument>,
        end: Option<InstantArgument>,
        resolution: &str,
        as_of: Option<AsOfArgument>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let wanted = Prices {
            coins: coins.map_or_else(Vec::new, |coins| coins.0),
            start: start.map(|start| start.0),
            end: end.map(|end| end.0),
            resolution: parsed(py, resolution)?,
            as_of: as_of.map(|as_of| as_of.0),
        };
        self.done(py, Call::Prices(wanted))
    }

    #[pyo3(signature = (coins = None, start = None, end = None, *, resolution = "1h", as_of = None))]
    #[doc = stub!("Mill.prices_stream")]
    fn prices_stream(
        slf: Bound<'_, Self>,
        coins: Option<CoinsArgument>,
        start: Option<InstantArgument>,
        end: Option<InstantArgument>,
        resolution: &str,
        as_of: Option<AsOfArgument>,
    ) -> PyResult<Stream> {
        let wanted = Prices {
            coins: coins.map_or_else(Vec::new, |coins| coins.0),
            start: start.map(|start| start.0),
            end: end.map(|end| end.0),
            resolution: parsed(slf.py(), resolution)?,
            as_of: as_of.map(|as_of| as_of.0),
        };
        let parts: Vec<Prices> = slf.get().parts(slf.py(), Call::PriceParts(wanted))?;
        let pin = parts.first().and_then(|part| part.as_of.clone());
        let columns: Vec<Column> = price_columns().collect();
        let calls = parts.into_iter().map(Call::Prices);
        Stream::new(slf.py(), Self::reading(&slf), &columns, calls, pin)
    }

    #[pyo3(signature = (start = None, end = None, *, coins = None, as_of = None))]
    #[doc = stub!("Mill.quotes_stream")]
    fn quotes_stream(
        slf: Bound<'_, Self>,
        start: Option<InstantArgument>,
        end: Option<InstantArgument>,
        coins: Option<CoinsArgument>,
        as_of: Option<AsOfArgument>,
    ) -> PyResult<Stream> {
        let wanted = Quotes {
            at: None,
            start: start.map(|start| start.0),
            end: end.map(|end| end.0),
            coins: coins.map_or_else(Vec::new, |coins| coins.0),
            as_of: as_of.map(|as_of| as_of.0),
        };
        let parts: Vec<Quotes> = slf.get().parts(slf.py(), Call::QuoteParts(wanted))?;
        let pin = parts.first().and_then(|part| part.as_of.clone());
        let columns: Vec<Column> = quote_columns().collect();
        let calls = parts.into_iter().map(Call::Quotes);
        Stream::new(slf.py(), Self::reading(&slf), &columns, calls, pin)
    }

    #[pyo3(signature = (coins = None, start = None, end = None, *, every = "1h", zone = "UTC", as_of = None))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    #[doc = stub!("Mill.candles")]
    fn candles<'py>(
        &self,
        py: Python<'py>,
        coins: Option<CoinsArgument>,
        start: Option<InstantArgument>,
        end: Option<InstantArgument>,
        every: &str,
        zone: &str,
        as_of: Option<AsOfArgument>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let wanted = Candles {
            coins: coins.map_or_else(Vec::new, |coins| coins.0),
            every: parsed(py, every)?,
            zone: candles::zone(zone).map_err(|error| to_exception(py, &error))?,
            start: start.map(|start| start.0),
            end: end.map(|end| end.0),
            as_of: as_of.map(|as_of| as_of.0),
        };
        self.done(py, Call::Candles(wanted))
    }

    #[pyo3(signature = (at = None))]
    #[doc = stub!("Mill.pin")]
    fn pin<'py>(
        &self,
        py: Python<'py>,
        at: Option<InstantArgument>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let as_of = at.map(|at| at.0);
        self.done(py, Call::Pin { as_of })
    }

    #[pyo3(signature = (coin, ts, *, resolution = None))]
    #[doc = stub!("Mill.explain")]
    fn explain<'py>(
        &self,
        py: Python<'py>,
        coin: Text,
        ts: InstantArgument,
        resolution: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let wanted = Explain {
            coin: parsed(py, &coin.0)?,
            at: ts.0,
            resolution: resolution.map(|text| parsed(py, text)).transpose()?,
        };
        self.done(py, Call::Explain(wanted))
    }

    #[pyo3(signature = (coins = None, start = None, end = None, *, resolution = None))]
    #[doc = stub!("Mill.revisions")]
    fn revisions<'py>(
        &self,
        py: Python<'py>,
        coins: Option<CoinsArgument>,
        start: Option<InstantArgument>,
        end: Option<InstantArgument>,
        resolution: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let wanted = Revisions {
            coins: coins.map_or_else(Vec::new, |coins| coins.0),
            start: start.map(|start| start.0),
            end: end.map(|end| end.0),
            resolution: resolution.map(|text| parsed(py, text)).transpose()?,
        };
        self.done(py, Call::Revisions(wanted))
    }

    #[pyo3(signature = (ids = None, *, rule = None, stored = false))]
    #[doc = stub!("Mill.quarantine")]
    fn quarantine<'py>(
        &self,
        py: Python<'py>,
        ids: Option<Vec<String>>,
        rule: Option<String>,
        stored: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pick = if stored { Pick::All } else { Pick::Open };
        let pick = picked(py, ids, rule, pick)?;
        self.done(py, Call::Quarantine(pick))
    }

    #[pyo3(signature = (ids = None, *, rule = None))]
    #[doc = stub!("Mill.requeue")]
    fn requeue<'py>(
        &self,
        py: Python<'py>,
        ids: Option<Vec<String>>,
        rule: Option<String>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pick = picked(py, ids, rule, Pick::Open)?;
        self.done(py, Call::Requeue(pick))
    }

    #[doc = stub!("Mill.replay")]
    fn replay<'py>(&self, py: Python<'py>, run: Text) -> PyResult<Bound<'py, PyAny>> {
        self.done(py, Call::Replay { run: run.0 })
    }

    #[pyo3(signature = (*, dry_run = false))]
    #[doc = stub!("Mill.prune")]
    fn prune<'py>(&self, py: Python<'py>, dry_run: bool) -> PyResult<Bound<'py, PyAny>> {
        let is_dry_run = dry_run;
        self.done(py, Call::Prune { is_dry_run })
    }

    #[pyo3(signature = (*, days = 7))]
    #[doc = stub!("Mill.rules")]
    fn rules<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = arguments::days)] days: u32,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.done(py, Call::Rules { days })
    }

    #[pyo3(signature = (limit = 20))]
    #[doc = stub!("Mill.runs")]
    fn runs<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = arguments::limit)] limit: u32,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.done(py, Call::Runs { limit })
    }

    #[doc = stub!("Mill.status")]
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.done(py, Call::Status)
    }

    #[pyo3(signature = (*, offline = false))]
    #[doc = stub!("Mill.doctor")]
    fn doctor<'py>(&self, py: Python<'py>, offline: bool) -> PyResult<Bound<'py, PyAny>> {
        let is_offline = offline;
        self.done(py, Call::Doctor { is_offline })
    }

    #[doc = stub!("Mill.config")]
    fn config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (layers, settings) = self.settings(py)?;
        super::to_python(py, &shown(&layers, &settings))
    }
}

impl Mill {
    fn new_with(
        py: Python<'_>,
        given: BTreeMap<String, String>,
        needs: BTreeMap<String, String>,
    ) -> PyResult<Self> {
        let mill = Self { given, needs };
        mill.settings(py)?;
        Ok(mill)
    }

    /// The environment and the file are read at each call: another process may have others.
    fn settings(&self, py: Python<'_>) -> PyResult<(Layers, Settings)> {
        let settings = || {
            let layers = Layers::gather(self.given.clone())?;
            let settings = resolve_with(&self.needs, &layers)?;
            Rules::new(settings.thresholds, &settings.refuse)?;
            Ok((layers, settings))
        };
        settings().map_err(|error| to_exception(py, &error))
    }

    fn done<'py>(&self, py: Python<'py>, call: Call) -> PyResult<Bound<'py, PyAny>> {
        let (layers, settings) = self.settings(py)?;
        super::done(py, &layers, settings, call, &Listener::default())
    }

    /// A mill's calls, for whoever does them later.
    fn reading(slf: &Bound<'_, Self>) -> Box<Reading> {
        let mill = slf.clone().unbind();
        Box::new(move |py, call| mill.get().done(py, call).map(Bound::unbind))
    }

    /// The parts of a read.
    fn parts<T: DeserializeOwned>(&self, py: Python<'_>, call: Call) -> PyResult<Vec<T>> {
        let (layers, settings) = self.settings(py)?;
        let returned = super::returned(py, &layers, settings, call, &Listener::default())?;
        match returned {
            Returned::Json(text) => {
                serde_json::from_str(&text).map_err(|error| DataError::new_err(error.to_string()))
            }
            Returned::Frame(_) | Returned::FrameAndTotals(..) => {
                Err(DataError::new_err("the parts of a read came as rows"))
            }
        }
    }

    /// A run, which may take long.
    fn run<'py>(
        &self,
        py: Python<'py>,
        call: Call,
        progress: Option<Listener>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let listener = match progress {
            Some(listener) => listener,
            None => Listener::by_default(py)?,
        };
        let (layers, settings) = self.settings(py)?;
        super::done(py, &layers, settings, call, &listener)
    }
}

/// Which refused records are meant; where nothing is given, the default.
fn picked(
    py: Python<'_>,
    ids: Option<Vec<String>>,
    rule: Option<String>,
    default: Pick,
) -> PyResult<Pick> {
    match (ids, rule) {
        (None, None) => Ok(default),
        (None, Some(rule)) => Ok(Pick::Rule(rule)),
        (Some(ids), None) => all_parsed(py, Some(ids)).map(Pick::Ids),
        (Some(_), Some(_)) => Err(PyValueError::new_err("give ids or a rule, not both")),
    }
}
