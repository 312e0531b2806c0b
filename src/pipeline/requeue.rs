//! Refused records validated again by the rules in force: a new run over the old bytes that adds rows and alters none.
//! What another version of the rules accepts is stored as learned now; the run that refused it stays as it was.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::arrival::blocking;
use super::begin::run_start;
use super::gather::{Gathered, reasons, validated};
use super::quarantine::{Pick, RefusedId, picked};
use super::reader::Reader;
use super::report::{RunState, failed};
use super::retention::{body_pruned, or_pruned};
use super::terms::{RunSettings, Terms};
use crate::clock::Clock;
use crate::coingecko;
use crate::coingecko::charts::Chart;
use crate::config::{DatabaseUrl, Kept, Settings};
use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::http;
use crate::landing::{self, Landed};
use crate::market::{CoinId, Quote, Slot};
use crate::quality::{Context, Quality};
use crate::series::Resolution;
use crate::store::{
    Database, IfHeld, Outcome, ReceivedChart, Refused, Requeued, RunEnd, RunStart, Scope,
    SeriesCommit, SnapshotCommit, SnapshotStore, SnapshotTables, Tables, TimeseriesStore,
    TimeseriesTables,
};

/// A record that is refused again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StillRefused {
    /// Its number.
    pub id: RefusedId,
    /// Why.
    pub reason: String,
}

/// The result of validating the refused records of one slot, or of one resolution, again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RequeueReport {
    /// The run's id.
    pub run: String,
    /// `requeue`.
    pub kind: &'static str,
    /// The slot of quotes.
    #[serde(rename = "snapshot_time")]
    pub slot: Option<Slot>,
    /// The resolution of points.
    pub resolution: Option<Resolution>,
    /// `complete` where none is refused again.
    pub state: RunState,
    /// Records validated again.
    pub requeued: u64,
    /// Those accepted and stored.
    pub stored: u64,
    /// Those accepted in whose place another body's record stands already.
    pub present: u64,
    /// Those refused again.
    pub refused: Vec<StillRefused>,
    /// The content hash of what the slot now holds.
    pub content_hash: Option<String>,
    /// When it began.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub started_at: DateTime<Utc>,
    /// When it ended.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub finished_at: DateTime<Utc>,
}

impl RequeueReport {
    fn to_run_end(&self) -> RunEnd {
        RunEnd {
            state: self.state.name(),
            finished_at: self.finished_at,
            expected: Some(self.requeued),
            received: Some(self.requeued),
            accepted: Some(self.stored + self.present),
            rejected: Some(self.refused.len() as u64),
            stored: Some(self.stored),
            calls: Some(0),
            score: None,
            content_hash: self.content_hash.clone(),
            error: None,
            report: serde_json::to_string(self).ok(),
            drift: Vec::new(),
        }
    }
}

/// Validates refused records again, by the rules in force: one run for each slot and each resolution. Of several that are not
/// chosen by number, those whose bodies were pruned are left out.
///
/// # Errors
/// [`Error::Argument`] for a number that is not there; [`Error::Held`] while another run is at work on the slot, or on one of the
/// coins; [`Error::Data`] when a landed body is gone, pruned or damaged; otherwise as the databases give them.
pub async fn requeue(settings: &Settings, pick: &Pick) -> Result<Vec<RequeueReport>> {
    let (terms, run_settings) = (Terms::of(settings)?, RunSettings::of(settings));
    let clock = http::clock(settings).await?;
    let (quotes, points) = picked(settings, pick).await?;
    let is_chosen = matches!(pick, Pick::Ids(_));
    let quotes = without_lists(quotes, is_chosen)?;
    let (snapshot_url, series_url) = (&settings.snapshot_url, &settings.timeseries_url);
    let (quotes, gone) = still_landed::<SnapshotTables>(settings, snapshot_url, quotes).await?;
    let (points, gone_too) = still_landed::<TimeseriesTables>(settings, series_url, points).await?;
    match gone.or(gone_too) {
        Some(gone) if is_chosen || (quotes.is_empty() && points.is_empty()) => {
            return Err(Error::data(gone));
        }
        Some(gone) => tracing::warn!("some records are left out: {gone}"),
        None => {}
    }
    let mut slots: BTreeMap<Slot, Vec<Refused>> = BTreeMap::new();
    let mut series: BTreeMap<Resolution, Vec<Refused>> = BTreeMap::new();
    for refused in quotes.into_iter().chain(points) {
        match refused.scope {
            Some(Scope::Slot(slot)) => slots.entry(slot).or_default().push(refused),
            Some(Scope::Series(resolution)) => series.entry(resolution).or_default().push(refused),
            Some(Scope::Old | Scope::Listing) | None => {}
        }
    }
    let run = Requeue {
        terms,
        run_settings,
        clock,
    };
    let vs_currency = &settings.vs_currency;
    let mut reports = Vec::new();
    for (slot, refused) in slots {
        let store = SnapshotStore::open_existing(&settings.snapshot_url, vs_currency).await?;
        let begin = async |store: &mut SnapshotStore, start: &RunStart| {
            store.hold(slot).await?;
            store.begin_run(start, clock).await
        };
        let work = async |store: &mut SnapshotStore, start: &RunStart| {
            run.quotes(store, start, slot, refused).await
        };
        reports.push(run.of(store, slot.into(), begin, work).await?);
    }
    for (resolution, refused) in series {
        let store = TimeseriesStore::open_existing(&settings.timeseries_url, vs_currency).await?;
        let coins: BTreeSet<String> = refused.iter().filter_map(|it| it.coin.clone()).collect();
        let coins: Vec<CoinId> = coins.into_iter().map(CoinId::from_source).collect();
        let begin = async |store: &mut TimeseriesStore, start: &RunStart| {
            let begun = store.begin_claiming(start, clock, &coins, IfHeld::Refuse);
            begun.await.map(drop)
        };
        let work = async |store: &mut TimeseriesStore, start: &RunStart| {
            run.points(store, start, refused).await
        };
        reports.push(run.of(store, resolution.into(), begin, work).await?);
    }
    Ok(reports)
}

/// The records but those of lists of all coins: the next list has them again, and says what is true by then.
///
/// # Errors
/// [`Error::Argument`] where they are chosen by number.
fn without_lists(mut refused: Vec<Refused>, is_chosen: bool) -> Result<Vec<Refused>> {
    let all = refused.len();
    let listed = refused
        .iter()
        .find(|it| it.scope == Some(Scope::Listing))
        .map(|it| it.id);
    refused.retain(|it| it.scope != Some(Scope::Listing));
    let said = "a record of the list of all coins is not validated again: the next list has it, `coinmill run listing` stores that";
    match listed {
        Some(id) if is_chosen => Err(Error::argument(format!("s{id}: {said}"))),
        Some(_) => {
            tracing::warn!("{} records are left out: {said}", all - refused.len());
            Ok(refused)
        }
        None => Ok(refused),
    }
}

/// The records whose bodies are in the landing or should be, and what is said of the others, whose bodies were pruned.
async fn still_landed<T: Tables>(
    settings: &Settings,
    url: &DatabaseUrl,
    refused: Vec<Refused>,
) -> Result<(Vec<Refused>, Option<String>)> {
    let is_there = |refused: &Refused| settings.landing_dir.join(&refused.body).exists();
    if refused.iter().all(is_there) {
        return Ok((refused, None));
    }
    let mut store = Database::<T>::open_existing(url, &settings.vs_currency).await?;
    let pruned = store.pruned(Kept::Landing).await?;
    store.close().await?;
    let (mut left, mut gone) = (Vec::new(), None);
    for record in refused {
        let of_record = pruned.as_ref().filter(|_| !is_there(&record));
        match of_record.and_then(|pruned| body_pruned(&record.body, pruned)) {
            Some(said) => gone = gone.or(Some(said)),
            None => left.push(record),
        }
    }
    Ok((left, gone))
}

/// What every requeue needs.
struct Requeue {
    terms: Terms,
    run_settings: RunSettings,
    clock: Clock,
}

impl Requeue {
    /// A run of its own over one slot, or over series of one resolution, once it holds them.
    async fn of<T: Tables>(
        &self,
        mut store: Database<T>,
        scope: Scope,
        begin: impl AsyncFnOnce(&mut Database<T>, &RunStart) -> Result<()>,
        work: impl AsyncFnOnce(&mut Database<T>, &RunStart) -> Result<RequeueReport>,
    ) -> Result<RequeueReport> {
        let now = self.clock.now();
        let start = run_start(&self.terms, &self.run_settings, "requeue", scope, now);
        begin(&mut store, &start).await?;
        match work(&mut store, &start).await {
            Ok(report) => store.close().await.map(|()| report),
            Err(error) => {
                let end = failed(&error, 0, Vec::new(), self.clock.now());
                store.fail_run(&start.id, &end).await;
                Err(error)
            }
        }
    }

    async fn quotes(
        &self,
        store: &mut SnapshotStore,
        start: &RunStart,
        slot: Slot,
        refused: Vec<Refused>,
    ) -> Result<RequeueReport> {
        let (mut commit, requeued) =
            revalidated_quotes(&self.terms, store, &start.id, slot, refused).await?;
        commit.requeued.clone_from(&requeued);
        let mut report = report(start, &requeued, self.clock.now());
        let hash = store
            .commit_snapshot(&commit, self.clock, |hash| {
                report.content_hash = Some(hash.to_owned());
                report.to_run_end()
            })
            .await?;
        report.content_hash = Some(hash);
        Ok(report)
    }

    async fn points(
        &self,
        store: &mut TimeseriesStore,
        start: &RunStart,
        refused: Vec<Refused>,
    ) -> Result<RequeueReport> {
        let terms = self.terms.clone();
        let read = blocking(move || {
            let commit = revalidated_points(&terms, refused)?;
            let bodies = commit.charts.iter().map(|chart| &chart.landed);
            landing::sync_bodies(&terms.landing_dir, bodies).map(|()| commit)
        });
        let commit = store.beside(read).await??;
        store.commit(&start.id, &commit, self.clock).await?;
        let report = report(start, &commit.requeued, self.clock.now());
        store.end_run(&start.id, &report.to_run_end()).await?;
        Ok(report)
    }
}

/// What the commit of a requeue of quotes stores, and what becomes of each record.
pub(super) async fn revalidated_quotes(
    terms: &Terms,
    store: &mut SnapshotStore,
    run: &str,
    slot: Slot,
    mut refused: Vec<Refused>,
) -> Result<(SnapshotCommit, Vec<Requeued>)> {
    let state = store.slot_state(slot, None).await?.ok_or_else(|| {
        Error::data(format!(
            "slot {slot} has refused records and no account of its own: the database is damaged"
        ))
    })?;
    let stored: Vec<Quote> = store.quotes(slot).await?;
    let taken = stored.iter().map(|quote| quote.id.clone());
    let mut gathered = Gathered::holding(taken, Quality::default(), Default::default());
    let mut bodies: Vec<Landed> = Vec::new();
    let mut requeued = Vec::new();
    refused.sort_by(|a, b| (&a.body, a.record).cmp(&(&b.body, b.record)));
    for group in refused.chunk_by(|a, b| a.body == b.body) {
        let Some(first) = group.first() else { continue };
        store.show_life().await?;
        let landed = landing::find(&terms.landing_dir, &first.body, &first.sha256);
        let read = landed.and_then(|landed| {
            landing::read(&terms.landing_dir, &landed).map(|bytes| (landed, bytes))
        });
        let (landed, bytes) = match read {
            Ok(read) => read,
            Err(error) => return Err(or_pruned(store, &first.body, error).await),
        };
        let context = Context {
            sent_at: landed.sent_at(),
            rules: &terms.rules,
        };
        let mut wanted: Vec<&Refused> = group.iter().collect();
        let before = gathered.accepted.len();
        for (place, record) in coingecko::parse(&bytes)?.into_iter().enumerate() {
            let Some(at) = wanted
                .iter()
                .position(|refused| refused.record == Some(place as u64))
            else {
                continue;
            };
            let id = wanted.swap_remove(at).id;
            let (quote, findings) = validated(record.quote, &context);
            let (outcome, reason) = match quote {
                None => (Outcome::Refused, Some(reasons(&findings))),
                Some(quote) if gathered.holds(&quote.id) => (Outcome::Present, None),
                Some(quote) => {
                    gathered.accept(quote, &findings, bodies.len());
                    (Outcome::Stored, None)
                }
            };
            requeued.push(Requeued {
                id,
                outcome,
                reason,
            });
        }
        if let Some(lost) = wanted.first() {
            return Err(Error::data(format!(
                "the landed body {} has no record {}: restore the landing folder",
                lost.body,
                lost.record.unwrap_or_default()
            )));
        }
        if gathered.accepted.len() > before {
            bodies.push(landed);
        }
    }
    let (quotes, _) = gathered.rows(&terms.vs_currency);
    landing::sync_bodies(&terms.landing_dir, &bodies)?;
    let commit = SnapshotCommit {
        run: run.to_owned(),
        slot,
        top: u32::try_from(state.top).unwrap_or(u32::MAX),
        expected: state.expected,
        received: state.received,
        account: state
            .account
            .with_stored(|what| quotes.iter().any(|row| row.quote.id.as_str() == what)),
        bodies,
        quotes,
        refused: Vec::new(),
        requeued: Vec::new(),
    };
    Ok((commit, requeued))
}

/// The charts of which something is accepted now, read again whole: points that are there already stay as they are.
fn revalidated_points(terms: &Terms, mut refused: Vec<Refused>) -> Result<SeriesCommit> {
    let reader = Reader::new(&terms.vs_currency, Contract::Evolve);
    let mut commit = SeriesCommit::default();
    refused.sort_by(|a, b| (&a.body, a.record).cmp(&(&b.body, b.record)));
    for group in refused.chunk_by(|a, b| a.body == b.body) {
        let Some(first) = group.first() else { continue };
        let root = &terms.landing_dir;
        let landed = landing::find(root, &first.body, &first.sha256)?;
        let chart = Chart::of_url(landed.url(), &terms.vs_currency).ok_or_else(|| {
            Error::data(format!(
                "the landed body {} does not say which chart it is: restore the landing folder",
                first.body
            ))
        })?;
        let received = reader.read_landed(root, &chart, &landed)?;
        let again: Vec<Requeued> = group
            .iter()
            .map(|record| {
                let reason = still_refused(&received, record.record);
                Requeued {
                    id: record.id,
                    outcome: reason
                        .as_ref()
                        .map_or(Outcome::Stored, |_| Outcome::Refused),
                    reason,
                }
            })
            .collect();
        if again.iter().any(|record| record.outcome == Outcome::Stored) {
            commit.charts.push(ReceivedChart {
                refused: Vec::new(),
                ..received
            });
        }
        commit.requeued.extend(again);
    }
    Ok(commit)
}

/// Why a place of a chart, or the whole of it, is refused now.
fn still_refused(received: &ReceivedChart, place: Option<u64>) -> Option<String> {
    let whole = received.span.is_none();
    let found = received
        .refused
        .iter()
        .find(|refused| refused.record == place || (whole && refused.record.is_none()));
    match found {
        Some(refused) => Some(refused.reason.clone()),
        None => whole.then(|| "the chart has no settled point".to_owned()),
    }
}

fn report(start: &RunStart, requeued: &[Requeued], finished_at: DateTime<Utc>) -> RequeueReport {
    let (slot, resolution) = match start.scope {
        Scope::Slot(slot) => (Some(slot), None),
        Scope::Series(resolution) => (None, Some(resolution)),
        Scope::Old | Scope::Listing => (None, None),
    };
    let count = |outcome| {
        let records = requeued.iter().filter(|record| record.outcome == outcome);
        records.count() as u64
    };
    let refused: Vec<StillRefused> = requeued
        .iter()
        .filter(|record| record.outcome == Outcome::Refused)
        .map(|record| StillRefused {
            id: RefusedId {
                is_series: resolution.is_some(),
                number: record.id,
            },
            reason: record.reason.clone().unwrap_or_default(),
        })
        .collect();
    RequeueReport {
        run: start.id.clone(),
        kind: start.kind,
        slot,
        resolution,
        state: if refused.is_empty() {
            RunState::Complete
        } else {
            RunState::Partial
        },
        requeued: requeued.len() as u64,
        stored: count(Outcome::Stored),
        present: count(Outcome::Present),
        refused,
        content_hash: None,
        started_at: start.started_at,
        finished_at,
    }
}
