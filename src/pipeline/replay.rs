//! A run rebuilt from its landing in a scratch database, and held against what is stored: the same hash by the same rules,
//! and by other rules the rows that differ. Nothing here asks CoinGecko or changes a database.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::begin::run_start;
use super::compare::{Change, Difference, compare, rows, shown};
use super::known::Known;
use super::listing_changes::List;
use super::reader::Reader;
use super::requeue::revalidated_quotes;
use super::retention::{or_pruned, points_pruned};
use super::run_id::{unknown, whole_id};
use super::series::batches;
use super::snapshot;
use super::status::timeseries;
use super::terms::{RunSettings, Terms};
use crate::clock::Clock;
use crate::coingecko;
use crate::coingecko::charts::Chart;
use crate::config::{DatabaseUrl, Kept, Settings};
use crate::content::{listing_hash, series_hash, snapshot_hash};
use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::landing::{self, Landed};
use crate::market::{CoinId, Slot, quote_columns};
use crate::series::{POINT_COLUMNS, PricePoint, Resolution, Span};
use crate::store::{
    Committed, LISTING, ListedCoin, ListedState, PricesQuery, RunRow, RunStart, Scope,
    SnapshotStore, TimeseriesStore, Value,
};

/// The result of a replay.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replay {
    /// The run.
    pub run: String,
    /// Its kind.
    pub kind: String,
    /// The slot of quotes.
    #[serde(rename = "snapshot_time")]
    pub slot: Option<Slot>,
    /// The resolution of points.
    pub resolution: Option<Resolution>,
    /// True where the hashes are equal and no row differs.
    pub is_same: bool,
    /// The rules that the run validated by.
    pub rule_set: String,
    /// The rules that it was validated by now.
    pub rule_set_now: String,
    /// Landed bodies that were read.
    pub bodies: u64,
    /// The content hash of what is stored, as it was known after the run.
    pub stored_hash: String,
    /// The content hash of what was rebuilt.
    pub rebuilt_hash: String,
    /// Rows stored.
    pub stored: u64,
    /// Rows rebuilt.
    pub rebuilt: u64,
    /// Where they differ, by row.
    pub differences: Vec<Difference>,
}

/// Rebuilds a run from its landing and compares. The run is named by its id, or by the beginning or the end of one that no other
/// run shares.
///
/// # Errors
/// [`Error::Argument`] for a run that is not in the ledger, is not the only one of its name or stored nothing; [`Error::Data`] when a landed body is gone, pruned or
/// damaged; otherwise as the databases give them.
pub async fn replay(settings: &Settings, run: &str) -> Result<Replay> {
    // what a body has more or less than is known is no reason not to rebuild from it
    let terms = Terms {
        contract: Contract::Evolve,
        ..Terms::of(settings)?
    };
    let run_settings = RunSettings::of(settings);
    let mut store =
        SnapshotStore::open_existing(&settings.snapshot_url, &settings.vs_currency).await?;
    let mut series = timeseries(settings).await?;
    let run = &whole_id(&mut store, series.as_mut(), run).await?;
    if let Some(row) = store.run(run).await? {
        let replayed = match row.kind.as_str() {
            LISTING => replay_listing(&terms, &mut store, &row).await?,
            _ => replay_quotes(&terms, &run_settings, &mut store, &row).await?,
        };
        store.close().await?;
        return Ok(replayed);
    }
    store.close().await?;
    if let Some(mut store) = series {
        if let Some(row) = store.run(run).await? {
            let replayed = replay_points(&terms, &run_settings, &mut store, &row).await?;
            store.close().await?;
            return Ok(replayed);
        }
        store.close().await?;
    }
    Err(unknown(run))
}

/// A database of its own that goes when it is dropped.
struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir().map_err(|error| {
            let remedy = "make TMPDIR a writable folder";
            Error::store(
                format!("the scratch database cannot be made: {remedy}"),
                error,
            )
        })?;
        Ok(Self { folder })
    }

    fn url(&self) -> DatabaseUrl {
        DatabaseUrl::Sqlite(self.folder.path().join("scratch.db"))
    }
}

fn nothing(run: &str) -> Error {
    Error::argument(format!(
        "run {run} stored nothing, so there is nothing to rebuild: `coinmill runs` shows which did"
    ))
}

/// The ledger's row of a scratch database for a run.
fn start_of(
    terms: &Terms,
    run_settings: &RunSettings,
    scope: Scope,
    id: &str,
    at: DateTime<Utc>,
) -> RunStart {
    RunStart {
        id: id.to_owned(),
        ..run_start(terms, run_settings, "replay", scope, at)
    }
}

/// Reads a list of all coins again, and holds it against the coins that were listed after its run. Without a scratch database: what
/// it says of each coin is in its body alone.
async fn replay_listing(terms: &Terms, store: &mut SnapshotStore, row: &RunRow) -> Result<Replay> {
    let listing = store.listing_of(&row.id).await?;
    let (path, sha256, pin) = listing.ok_or_else(|| nothing(&row.id))?;
    let root = &terms.landing_dir;
    let landed = landing::find(root, &path, &sha256);
    let body = match landed.and_then(|landed| landing::read(root, &landed)) {
        Ok(body) => body,
        Err(error) => return Err(or_pruned(store, &path, error).await),
    };
    let list = List::of(coingecko::parse_list(&body)?, row.started_at);
    let rebuilt = list
        .entries
        .iter()
        .map(|coin| (&coin.id, &coin.symbol, &coin.name));
    let rebuilt: BTreeMap<String, Vec<Value>> = rebuilt.map(listed).collect();
    let stored = store.listed(Some(pin)).await?;
    // a refused record names a coin that stays listed as it was
    let stored: Vec<&ListedCoin> = stored
        .iter()
        .filter(|coin| coin.state == ListedState::Listed && !list.named.contains(&coin.id))
        .collect();
    let coins = stored
        .iter()
        .map(|it| (&it.id, it.symbol.as_str(), it.name.as_deref()));
    let stored_hash = listing_hash(coins);
    let stored = stored
        .iter()
        .map(|coin| (&coin.id, &coin.symbol, &coin.name));
    let stored: BTreeMap<String, Vec<Value>> = stored.map(listed).collect();
    let differences = compare(&["coin_id", "symbol", "name"], &stored, &rebuilt);
    let rebuilt_hash = list.hash();
    let as_written = row.content_hash.as_ref() == Some(&stored_hash);
    Ok(Replay {
        run: row.id.clone(),
        kind: row.kind.clone(),
        slot: None,
        resolution: None,
        is_same: as_written && stored_hash == rebuilt_hash && differences.is_empty(),
        rule_set: row.rule_set.clone(),
        rule_set_now: terms.rules.name(),
        bodies: 1,
        stored_hash,
        rebuilt_hash,
        stored: stored.len() as u64,
        rebuilt: rebuilt.len() as u64,
        differences,
    })
}

fn listed((id, symbol, name): (&CoinId, &String, &Option<String>)) -> (String, Vec<Value>) {
    let row = vec![
        id.as_str().into(),
        symbol.as_str().into(),
        name.clone().into(),
    ];
    (id.to_string(), row)
}

async fn replay_quotes(
    terms: &Terms,
    run_settings: &RunSettings,
    store: &mut SnapshotStore,
    row: &RunRow,
) -> Result<Replay> {
    let slot = row
        .slot
        .map(Slot::containing)
        .ok_or_else(|| nothing(&row.id))?;
    let committed = store.committed(slot, &row.id).await?;
    let pin = committed
        .last()
        .map(|last| last.commit)
        .ok_or_else(|| nothing(&row.id))?;
    let scratch = Scratch::new()?;
    let mut rebuilt = SnapshotStore::open(&scratch.url(), &terms.vs_currency).await?;
    // a slot can be the work of several runs, each of which began with what the ones before had stored, by rules of its own
    let as_then = terms.rules.name() == row.rule_set;
    for bodies in committed.chunk_by(|a, b| a.run == b.run) {
        let Some(first) = bodies.first() else {
            continue;
        };
        let run_settings = RunSettings::from_ledger(first.settings.as_deref())
            .unwrap_or_else(|| run_settings.clone());
        let mut terms = terms.clone();
        if let Ok(url) = first.api_url.parse() {
            terms.api_url = url;
        }
        if as_then {
            terms.rules = run_settings.rules()?;
        }
        let clock = Clock::Frozen(row.started_at);
        let scope = Scope::Slot(slot);
        let start = start_of(&terms, &run_settings, scope, &first.run, row.started_at);
        if first.kind == "requeue" {
            let refused = store.requeued_by(&first.run).await?;
            rebuilt.begin_run(&start, clock).await?;
            let (commit, _) =
                revalidated_quotes(&terms, &mut rebuilt, &start.id, slot, refused).await?;
            let end = |hash: &str| snapshot::rebuilt_end(hash, row.started_at);
            rebuilt.commit_snapshot(&commit, clock, end).await?;
            continue;
        }
        let bodies = match bodies_of(&terms.landing_dir, bodies) {
            Ok(bodies) => bodies,
            Err((path, error)) => return Err(or_pruned(store, &path, error).await),
        };
        snapshot::rebuild(
            &terms,
            &run_settings,
            clock,
            &mut rebuilt,
            start,
            slot,
            bodies,
        )
        .await?;
    }
    let rebuilt_hash = snapshot_hash(slot, &rebuilt.quotes(slot).await?);
    let stored_quotes = store.quote_frame(slot, slot.next(), Some(pin)).await?;
    let rebuilt_quotes = rebuilt.quote_frame(slot, slot.next(), None).await?;
    let stored_hash = snapshot_hash(slot, &store.quotes_until(slot, pin).await?);
    rebuilt.close().await?;
    let mut differences = quote_differences(&stored_quotes, &rebuilt_quotes);
    if let Some(ledger) = row
        .content_hash
        .as_ref()
        .filter(|hash| **hash != stored_hash)
    {
        differences.push(Difference {
            row: format!("slot {slot}"),
            change: Change::Changed,
            column: Some("content_hash"),
            stored: Some(format!("{stored_hash}, and the ledger says {ledger}")),
            rebuilt: Some(rebuilt_hash.clone()),
        });
    }
    Ok(Replay {
        run: row.id.clone(),
        kind: row.kind.clone(),
        slot: Some(slot),
        resolution: None,
        is_same: stored_hash == rebuilt_hash && differences.is_empty(),
        rule_set: row.rule_set.clone(),
        rule_set_now: terms.rules.name(),
        bodies: committed.len() as u64,
        stored_hash,
        rebuilt_hash,
        stored: stored_quotes.rows() as u64,
        rebuilt: rebuilt_quotes.rows() as u64,
        differences,
    })
}

/// The landed bodies of commits. Each is read here once, so that one that is gone or damaged is an error, with its path.
fn bodies_of(root: &Path, committed: &[Committed]) -> Result<Vec<Landed>, (String, Error)> {
    committed
        .iter()
        .map(|committed| {
            let landed = landing::find(root, &committed.path, &committed.sha256);
            let read = landed.and_then(|landed| landing::read(root, &landed).map(|_| landed));
            read.map_err(|error| (committed.path.clone(), error))
        })
        .collect()
}

fn quote_differences(stored: &Frame, rebuilt: &Frame) -> Vec<Difference> {
    let by_coin = |frame: &Frame| -> BTreeMap<String, Vec<Value>> {
        let keyed = rows(frame).map(|row| (row.get(1).map(shown).unwrap_or_default(), row));
        keyed.collect()
    };
    let names: Vec<&'static str> = quote_columns().map(|column| column.name).collect();
    compare(&names, &by_coin(stored), &by_coin(rebuilt))
}

/// Points by coin and stamp.
type Points = BTreeMap<(CoinId, i64), PricePoint>;

async fn replay_points(
    terms: &Terms,
    run_settings: &RunSettings,
    store: &mut TimeseriesStore,
    row: &RunRow,
) -> Result<Replay> {
    let resolution = row.resolution.ok_or_else(|| nothing(&row.id))?;
    let spans = store.spans_of(&row.id).await?;
    // what was known of the same spans before stays known, so the bodies behind it belong to the run's outcome
    let committed = store.committed(&row.id).await?;
    let Some(pin) = committed.last().map(|last| last.commit) else {
        let pruned = store.pruned(Kept::Points(resolution)).await?;
        let was_stored = row.stored.is_some_and(|stored| stored > 0);
        return Err(match pruned.filter(|_| was_stored) {
            Some(pruned) => Error::data(format!(
                "nothing that run {} stored is left: {}",
                row.id,
                points_pruned(resolution, &pruned)
            )),
            None => nothing(&row.id),
        });
    };
    let scratch = Scratch::new()?;
    let mut rebuilt = TimeseriesStore::open(&scratch.url(), &terms.vs_currency).await?;
    let scope = Scope::Series(resolution);
    let start = start_of(terms, run_settings, scope, &row.id, row.started_at);
    let clock = Clock::Frozen(row.started_at);
    rebuilt.begin_run(&start, clock).await?;
    let reader = Reader::new(&terms.vs_currency, terms.contract);
    let mut known = Known::default();
    let mut charts = Vec::new();
    let bodies = match bodies_of(&terms.landing_dir, &committed) {
        Ok(bodies) => bodies,
        Err((path, error)) => return Err(or_pruned(store, &path, error).await),
    };
    for landed in bodies {
        let chart = Chart::of_url(landed.url(), &terms.vs_currency).ok_or_else(|| {
            Error::data(format!(
                "the landed body {} does not say which chart it is: restore the landing folder",
                landed.path
            ))
        })?;
        let received = reader.read_landed(&terms.landing_dir, &chart, &landed)?;
        charts.push(known.mark(received));
    }
    for batch in batches(charts) {
        rebuilt.commit(&row.id, &batch, clock).await?;
    }
    let stored_points = points(store, resolution, &spans, Some(pin)).await?;
    let rebuilt_points = points(&mut rebuilt, resolution, &spans, None).await?;
    rebuilt.close().await?;
    let (stored_hash, rebuilt_hash) = (
        series_hash(resolution, stored_points.iter().map(hashed)),
        series_hash(resolution, rebuilt_points.iter().map(hashed)),
    );
    let differences = compare(
        &POINT_COLUMNS.map(|column| column.name),
        &as_rows(&stored_points),
        &as_rows(&rebuilt_points),
    );
    Ok(Replay {
        run: row.id.clone(),
        kind: row.kind.clone(),
        slot: None,
        resolution: Some(resolution),
        is_same: stored_hash == rebuilt_hash && differences.is_empty(),
        rule_set: row.rule_set.clone(),
        rule_set_now: terms.rules.name(),
        bodies: committed.len() as u64,
        stored_hash,
        rebuilt_hash,
        stored: stored_points.len() as u64,
        rebuilt: rebuilt_points.len() as u64,
        differences,
    })
}

fn hashed<'a>(
    ((coin, _), point): (&'a (CoinId, i64), &'a PricePoint),
) -> (&'a CoinId, &'a PricePoint) {
    (coin, point)
}

async fn points(
    store: &mut TimeseriesStore,
    resolution: Resolution,
    spans: &[(CoinId, Span)],
    pin: Option<i64>,
) -> Result<Points> {
    let mut points = Points::new();
    for (coin, span) in spans {
        let query = PricesQuery {
            coins: vec![coin.clone()],
            resolution,
            span: *span,
            pin,
        };
        store
            .each_point(&query, |coin, point| {
                points.insert((coin.clone(), point.ts), point);
                Ok(())
            })
            .await?;
    }
    Ok(points)
}

fn as_rows(points: &Points) -> BTreeMap<String, Vec<Value>> {
    let row = |((coin, ts), point): (&(CoinId, i64), &PricePoint)| {
        let stamp = shown(
            &DateTime::from_timestamp_millis(*ts)
                .unwrap_or_default()
                .into(),
        );
        let values = POINT_COLUMNS.map(|column| (column.of)(point).into());
        (format!("{coin} {stamp}"), values.to_vec())
    };
    points.iter().map(row).collect()
}
