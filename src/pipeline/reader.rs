//! Bodies of charts as what they cover: parsed, validated and held against the contract, fresh or out of the landing.
//! Fetching them is `series`'s work, storing them the store's.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::in_time::compare_clocks;
use crate::coingecko::charts::{self, Chart};
use crate::contract::{Contract, Drift, Drifts};
use crate::error::Result;
use crate::http::{Response, refusal};
use crate::landing::{self, Landed};
use crate::series::{ChartCoverage, Span};
use crate::store::{ReceivedChart, RefusedRow};

/// Reads the charts of one run, and notes what is not as it is known to be.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) vs_currency: String,
    contract: Contract,
    drifts: Mutex<Drifts>,
}

impl Reader {
    pub(super) fn new(vs_currency: &str, contract: Contract) -> Self {
        Self {
            vs_currency: vs_currency.to_owned(),
            contract,
            drifts: Mutex::default(),
        }
    }

    /// A body as what it covers.
    ///
    /// # Errors
    /// [`Error::Config`] when CoinGecko's clock is not ours; [`Error::Source`], retryable, when it is not JSON;
    /// [`Error::Data`] when it breaks a frozen contract.
    pub(super) fn read(&self, chart: &Chart, landed: Landed, body: &[u8]) -> Result<ReceivedChart> {
        compare_clocks(&landed)?;
        let parsed = charts::parse(body, chart, landed.made_at())?;
        if !parsed.drift.is_empty() {
            let mut drifts = self.drifts.lock().unwrap_or_else(PoisonError::into_inner);
            for (deviation, field) in &parsed.drift {
                drifts.note(charts::ENDPOINT, *deviation, field, landed.received_at);
            }
            if let Some(breach) = drifts.breach(self.contract) {
                return Err(breach);
            }
        }
        let refused = parsed
            .refused
            .into_iter()
            .map(|(place, finding, raw)| RefusedRow {
                body: 0,
                record: place,
                coin: Some(chart.coin.to_string()),
                rule: finding.rule.name,
                reason: finding.reason(),
                raw,
            });
        let (mut points, mut holes, mut told, mut last) =
            (parsed.points, parsed.holes, parsed.span, None);
        if let (Some(span), Some(tail)) = (parsed.span, parsed.tail) {
            told = Span::new(span.start, tail.start);
            last = points.pop_if(|point| point.ts == tail.start);
            holes.retain(|ts| *ts < tail.start);
        }
        let stamps: Vec<i64> = points.iter().map(|point| point.ts).collect();
        let coverage =
            told.map(|span| ChartCoverage::of(chart.resolution(), span, &stamps, &holes));
        let settled = chart.settled_by(landed.received_at);
        let behind = parsed.span.and_then(|span| Span::new(span.end, settled));
        let step = chart.resolution().step();
        Ok(ReceivedChart {
            behind: behind.filter(|behind| behind.length() >= step),
            coverage: coverage.unwrap_or_default(),
            landed,
            coin: chart.coin.clone(),
            resolution: chart.resolution(),
            span: parsed.span,
            points,
            tail: parsed.tail,
            last,
            refused: refused.collect(),
            fresh: false,
        })
    }

    /// A body out of the landing as what it covers. What was landed was not validated: it may be a refusal.
    ///
    /// # Errors
    /// As [`Self::read`], and [`Error::Data`] where the body is gone or damaged.
    pub(super) fn read_landed(
        &self,
        root: &Path,
        chart: &Chart,
        landed: &Landed,
    ) -> Result<ReceivedChart> {
        let response = Response {
            url: landed.url().to_owned(),
            status: landed.status,
            headers: landed.headers.clone(),
            body: landing::read(root, landed)?.into(),
            received_at: landed.received_at,
        };
        match refusal(&chart.request(&self.vs_currency), &response, None) {
            Some(refused) => Err(refused.error),
            None => self.read(chart, landed.clone(), &response.body),
        }
    }

    /// True where a body broke a frozen contract.
    pub(super) fn is_breached(&self) -> bool {
        let drifts = self.drifts.lock().unwrap_or_else(PoisonError::into_inner);
        drifts.breach(self.contract).is_some()
    }

    /// What was not as it is known to be.
    pub(super) fn drift(&self) -> Vec<Drift> {
        let drifts = self.drifts.lock().unwrap_or_else(PoisonError::into_inner);
        drifts.list()
    }
}
