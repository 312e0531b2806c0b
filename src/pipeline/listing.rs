//! The daily run of the list of all coins: which coins there are, what they are called, and since when one is gone.
//! It orders the steps; what a list changes is `listing_changes`' to say.

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Serialize;

use super::Observer;
use super::arrival::{blocking, land};
use super::begin::{run_header, run_start};
use super::credits::{Caller, Purse};
use super::in_time::compare_clocks;
use super::listing_changes::{Changes, List, changes, compare};
use super::report::{RunState, Timings, failed};
use super::terms::{RunSettings, Terms, means};
use crate::clock::Clock;
use crate::coingecko;
use crate::config::Settings;
use crate::contract::Drift;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::http::{self, Client, Response};
use crate::landing::{self, Landed, RunFolder};
use crate::market::{CoinId, Slot};
use crate::store::{
    Absent, LISTING, ListingCommit, RunEnd, RunStart, Scope, SnapshotStore, StoredListing,
};

/// How long a list that was refused stands for the next ones of its day: half-hourly runs would spend a call each on it.
const REFUSED_FOR: TimeDelta = TimeDelta::hours(6);

/// The oldest list that is taken out of a cache: it says since when a coin is gone.
const OLDEST: TimeDelta = TimeDelta::hours(1);

/// The result of a run of the list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListingReport {
    /// The run's id; where the day's list was stored before, that of the run which did.
    pub run: String,
    /// `listing`.
    pub kind: &'static str,
    /// `complete` where no record of it is refused.
    pub state: RunState,
    /// When the list was received.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub received_at: DateTime<Utc>,
    /// Records of the list that are different coins.
    pub expected: u64,
    /// The same: a list comes whole or not at all.
    pub received: u64,
    /// Coins of the list.
    pub accepted: u64,
    /// Records that are refused, now in quarantine.
    pub rejected: u64,
    /// Rows added to the history of the coins.
    pub stored: u64,
    /// Records of coins that stand in the list before.
    pub repeated: u64,
    /// Records that are refused, each with its reason.
    pub missing: Vec<Absent>,
    /// Coins that no list had before.
    pub appeared: u64,
    /// Coins with another symbol or name than before.
    pub renamed: u64,
    /// Coins that are listed again.
    pub returned: u64,
    /// Coins that were listed and are not there: the next list decides.
    pub absent: u64,
    /// Coins that are delisted from this list on.
    pub delisted: Vec<CoinId>,
    /// Calls sent, tries included.
    pub calls: u64,
    /// Bodies taken from the landing instead of being asked for again.
    pub recovered: u64,
    /// Fields of the body that are not as they are known to be.
    pub drift: Vec<Drift>,
    /// The content hash of the list.
    pub content_hash: Option<String>,
    /// The folder of the body that this run landed.
    pub landing_folder: Option<String>,
    /// When it began.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub started_at: DateTime<Utc>,
    /// When it ended.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub finished_at: DateTime<Utc>,
    /// Where the time went.
    pub timings: Timings,
}

impl ListingReport {
    /// That of a list of so many coins and refused records, which changed nothing.
    fn of(run: String, received_at: DateTime<Utc>, coins: u64, rejected: u64) -> Self {
        Self {
            run,
            kind: LISTING,
            state: if rejected == 0 {
                RunState::Complete
            } else {
                RunState::Partial
            },
            received_at,
            expected: coins + rejected,
            received: coins + rejected,
            accepted: coins,
            rejected,
            stored: 0,
            repeated: 0,
            missing: Vec::new(),
            appeared: 0,
            renamed: 0,
            returned: 0,
            absent: 0,
            delisted: Vec::new(),
            calls: 0,
            recovered: 0,
            drift: Vec::new(),
            content_hash: None,
            landing_folder: None,
            started_at: received_at,
            finished_at: received_at,
            timings: Timings::default(),
        }
    }

    /// True where the day's list was stored before: nothing was asked for.
    pub fn is_known(&self) -> bool {
        self.stored == 0 && self.calls == 0 && self.recovered == 0
    }

    fn to_run_end(&self) -> RunEnd {
        RunEnd {
            state: self.state.name(),
            finished_at: self.finished_at,
            expected: Some(self.expected),
            received: Some(self.received),
            accepted: Some(self.accepted),
            rejected: Some(self.rejected),
            stored: Some(self.stored),
            calls: Some(self.calls),
            score: None,
            content_hash: self.content_hash.clone(),
            error: None,
            report: serde_json::to_string(self).ok(),
            drift: self.drift.clone(),
        }
    }
}

/// Fetches, lands, validates and stores the list of all coins, once a day (UTC): where the day's is stored it is complete without
/// a call and without a run. A body that a run of the day landed and did not store is taken first. `accept_losses` takes a list
/// that lacks more coins than one can lose.
///
/// # Errors
/// [`Error::Data`] for a list that is empty or lacks too many coins, which stays landed; [`Error::Held`] while another run is at
/// work on it; [`Error::Budget`] when the month has no calls but those of its snapshots; otherwise as the source, the landing
/// and the databases give them. None of them stores anything.
pub async fn run_listing(
    settings: &Settings,
    accept_losses: bool,
    observer: &Observer<'_>,
) -> Result<ListingReport> {
    let (terms, run_settings) = (Terms::of(settings)?, RunSettings::of(settings));
    let clock = http::clock(settings).await?;
    let started_at = clock.now();
    let today = started_at.date_naive();
    let mut store = SnapshotStore::open(&settings.snapshot_url, &settings.vs_currency).await?;
    if let Some(known) = already_stored(&mut store, today).await? {
        store.close().await?;
        return Ok(known);
    }
    let purse = Purse::open(settings).await?;
    purse.compare(settings, clock, &observer.stop).await?;
    let turns = purse.turns(Caller::Schedule);
    let client = Client::new(settings, clock, observer.stop.clone(), turns)?;
    store.hold_the_list().await?;
    // another run may have been first
    if let Some(known) = already_stored(&mut store, today).await? {
        store.close().await?;
        return Ok(known);
    }
    let start = run_start(&terms, &run_settings, LISTING, Scope::Listing, started_at);
    store.begin_run(&start, clock).await?;
    let set_aside = set_aside(settings, &mut store, started_at).await?;
    let mut run = Run {
        terms: &terms,
        client,
        clock,
        today,
        start,
        accept_losses,
        drift: Vec::new(),
    };
    match run.go(&mut store, &purse, set_aside).await {
        Ok(report) => {
            store.close().await?;
            tracing::info!(
                "list of all coins: {} coins, {} new, {} delisted, {} calls",
                report.accepted,
                report.appeared,
                report.delisted.len(),
                report.calls
            );
            Ok(report)
        }
        Err(error) => {
            let calls = run.client.spent().calls;
            let end = failed(&error, calls, run.drift, clock.now());
            store.fail_run(&run.start.id, &end).await;
            Err(error)
        }
    }
}

/// What is said of the day's list where it is stored.
async fn already_stored(
    store: &mut SnapshotStore,
    today: NaiveDate,
) -> Result<Option<ListingReport>> {
    let newest = store.newest_listing(None).await?;
    // a clock that was set back does not make it due once more
    let Some(stored) = newest.filter(|it| it.received_at.date_naive() >= today) else {
        return Ok(None);
    };
    let StoredListing {
        run,
        received_at,
        coins,
    } = stored;
    let row = store.run(&run).await?;
    let rejected = row.as_ref().and_then(|row| row.rejected).unwrap_or(0);
    let at = |of: Option<DateTime<Utc>>| of.unwrap_or(received_at);
    Ok(Some(ListingReport {
        content_hash: row.as_ref().and_then(|row| row.content_hash.clone()),
        started_at: at(row.as_ref().map(|row| row.started_at)),
        finished_at: at(row.as_ref().and_then(|row| row.finished_at)),
        ..ListingReport::of(run, received_at, coins, rejected)
    }))
}

/// The calls of the month that its snapshots still take. There is a schedule where the last day has more than one of them.
async fn set_aside(
    settings: &Settings,
    store: &mut SnapshotStore,
    now: DateTime<Utc>,
) -> Result<u64> {
    let day = store.presence(&[], now - TimeDelta::days(1)).await?;
    let newest: Option<Slot> = day.slots.last().copied();
    Ok(match day.slots.len() {
        0 | 1 => 0,
        _ => means(settings, 0, newest, now).snapshots,
    })
}

struct Run<'a> {
    terms: &'a Terms,
    client: Client,
    clock: Clock,
    today: NaiveDate,
    start: RunStart,
    accept_losses: bool,
    /// Of the body that was read last.
    drift: Vec<Drift>,
}

impl Run<'_> {
    async fn go(
        &mut self,
        store: &mut SnapshotStore,
        purse: &Purse,
        set_aside: u64,
    ) -> Result<ListingReport> {
        let began = Instant::now();
        let known = store.listed(None).await?;
        let newest = store.newest_listing(None).await?.map(|it| it.received_at);
        let judge = |run: &mut Self, landed: &Landed, body: &[u8]| -> Result<(List, Changes)> {
            let list = List::of(coingecko::parse_list(body)?, landed.received_at);
            run.drift = list.drifts.list();
            if let Some(breach) = list.drifts.breach(run.terms.contract) {
                return Err(breach);
            }
            let changes = changes(&known, &list, landed.received_at);
            compare(
                &known,
                &list,
                &changes,
                newest,
                landed.received_at,
                run.accept_losses,
            )?;
            Ok((list, changes))
        };
        let mut taken = None;
        if let Some((landed, body)) = self.landed_today()? {
            match judge(self, &landed, &body) {
                Ok(judged) => taken = Some((landed, judged, None)),
                Err(error) if self.clock.now() - landed.received_at < REFUSED_FOR => {
                    return Err(error);
                }
                Err(_) => {}
            }
        }
        let (landed, (list, changes), folder) = match taken {
            Some(taken) => taken,
            None => {
                let (landed, body, folder) = self.fetch(store, purse, set_aside).await?;
                let judged = judge(self, &landed, &body)?;
                (landed, judged, Some(folder))
            }
        };
        let fetch_s = began.elapsed().as_secs_f64();
        let committing = Instant::now();
        let (root, body, of_run) = (
            self.terms.landing_dir.clone(),
            landed.clone(),
            folder.clone(),
        );
        let sync = blocking(move || match of_run {
            Some(folder) => folder.sync(),
            None => landing::sync_bodies(&root, [&body]),
        });
        store.beside(sync).await??;
        failpoint::pass(failpoint::BEFORE_COMMIT);
        let mut report = self.report(&landed, &list, &changes, folder.as_deref());
        report.timings.fetch_s = fetch_s;
        let commit = ListingCommit {
            run: self.start.id.clone(),
            body: landed,
            coins: list.entries.len() as u64,
            changes: changes.rows,
            refused: list.refused,
        };
        let end = || {
            report.finished_at = self.clock.now();
            report.to_run_end()
        };
        store.commit_listing(&commit, self.clock, end).await?;
        report.timings.commit_s = committing.elapsed().as_secs_f64();
        Ok(report)
    }

    /// The newest list that a run of the day has landed whole.
    fn landed_today(&self) -> Result<Option<(Landed, Vec<u8>)>> {
        let request = format!("GET {}", self.client.url(&coingecko::list()));
        let runs = landing::runs_of(&self.terms.landing_dir, self.today)?;
        let bodies = runs
            .into_iter()
            .filter(|(header, _)| {
                header.kind == LISTING && header.vs_currency == self.terms.vs_currency
            })
            .flat_map(|(_, bodies)| bodies)
            .filter(|landed| {
                landed.status == 200
                    && landed.request == request
                    && landed.received_at.date_naive() == self.today
                    && believe(landed).is_ok()
            });
        for landed in bodies.collect::<Vec<_>>().into_iter().rev() {
            let read = landing::read(&self.terms.landing_dir, &landed);
            match read.and_then(|body| coingecko::parse_list(&body).map(drop).map(|()| body)) {
                Ok(body) => return Ok(Some((landed, body))),
                Err(error) => {
                    tracing::debug!("{} is not recovered: {}", landed.path, error.chain())
                }
            }
        }
        Ok(None)
    }

    async fn fetch(
        &self,
        store: &mut SnapshotStore,
        purse: &Purse,
        set_aside: u64,
    ) -> Result<(Landed, Vec<u8>, Arc<RunFolder>)> {
        let header = run_header(&self.terms.vs_currency, &self.start);
        let folder = RunFolder::create(&self.terms.landing_dir, self.today, &header)?;
        let mut credits = purse.credits(set_aside);
        credits.take(self.clock.now(), 1).await.map_err(|error| match error {
            Error::Budget { .. } if set_aside > 0 => Error::Budget {
                message: format!(
                    "the calls that the month has left are for its snapshots, which take {set_aside}: the list of all coins \
                     waits for the next month, or for a plan with more (COINMILL_CREDITS_PER_MONTH)"
                ),
            },
            error => error,
        })?;
        let request = coingecko::list();
        let land = |response: &Response| land(&folder, &request, response);
        let read = |landed: Landed, response: &Response| {
            coingecko::parse_list(&response.body)?;
            believe(&landed)?;
            Ok((landed, response.body.to_vec()))
        };
        let received = store.beside(self.client.get(&request, land, read)).await?;
        credits.settle(self.client.spent().credits).await?;
        let (landed, body) = received?;
        Ok((landed, body, Arc::new(folder)))
    }

    fn report(
        &self,
        landed: &Landed,
        list: &List,
        changes: &Changes,
        folder: Option<&RunFolder>,
    ) -> ListingReport {
        let refused = list.refused.iter().map(|refused| {
            let reason = format!("refused: {}", refused.reason);
            match &refused.coin {
                Some(coin) => Absent::coin(coin, reason),
                None => Absent::other(format!("record {}", refused.record.unwrap_or(0)), reason),
            }
        });
        let (coins, rejected) = (list.entries.len() as u64, list.refused.len() as u64);
        ListingReport {
            stored: changes.rows.len() as u64,
            repeated: list.repeated,
            missing: refused.collect(),
            appeared: changes.appeared,
            renamed: changes.renamed,
            returned: changes.returned,
            absent: changes.absent,
            delisted: changes.delisted.clone(),
            calls: self.client.spent().calls,
            recovered: u64::from(folder.is_none()),
            drift: self.drift.clone(),
            content_hash: Some(list.hash()),
            landing_folder: folder.map(|folder| folder.path().display().to_string()),
            started_at: self.start.started_at,
            finished_at: self.clock.now(),
            ..ListingReport::of(self.start.id.clone(), landed.received_at, coins, rejected)
        }
    }
}

/// Refuses a list of another time, which would say of a coin that it was there, or gone, when it was not.
///
/// # Errors
/// [`Error::Config`] for a clock that differs; [`Error::Source`], retryable, for what a cache has kept for long.
fn believe(landed: &Landed) -> Result<()> {
    compare_clocks(landed)?;
    if landed.sent_at() - landed.made_at() <= OLDEST {
        return Ok(());
    }
    Err(Error::Source {
        message: format!(
            "a cache sent a list of {}: run it again later",
            landed.made_at().format("%Y-%m-%dT%H:%M:%SZ")
        ),
        status: Some(landed.status),
        code: None,
        retryable: true,
        cause: None,
    })
}
