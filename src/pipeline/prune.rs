//! Deleting what is kept no longer: points by resolution, and received bodies. A run of its own in each ledger.
//! How long what is kept is the settings' to say; what readers say of it afterwards, `retention`'s.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use super::arrival::blocking;
use super::begin::run_start;
use super::report::{RunState, failed};
use super::status::if_there;
use super::terms::{RunSettings, Terms};
use crate::clock::Clock;
use crate::config::{Kept, Retention, Settings};
use crate::error::Result;
use crate::failpoint;
use crate::http;
use crate::landing::{self, OldFolder};
use crate::store::{
    Amount, Bodies, Database, Horizon, RunEnd, Scope, SnapshotStore, SnapshotTables, Tables,
    TimeseriesTables,
};

/// How long a prune lets others write between two batches: longer than one that waits for a SQLite file sleeps.
const PAUSE: Duration = Duration::from_millis(150);

/// What a prune came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PruneReport {
    /// `prune`.
    pub kind: &'static str,
    /// `complete`.
    pub state: RunState,
    /// True where it was only to be said what would be deleted.
    pub is_dry_run: bool,
    /// What is kept for a time, in the order of the settings; empty where no retention is set.
    pub pruned: Vec<PrunedPart>,
}

/// What was deleted, or would be, of one thing that has a retention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrunedPart {
    /// `5m`, `1h`, `1d` or `landing`.
    pub what: &'static str,
    /// The setting.
    pub setting: &'static str,
    /// How many days are kept.
    pub days: u32,
    /// What was before this instant.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub before: DateTime<Utc>,
    /// Price points; null of the landing.
    pub points: Option<u64>,
    /// Their later values; null of the landing.
    pub revisions: Option<u64>,
    /// Received bodies; null of points.
    pub bodies: Option<u64>,
    /// The bytes of their files; null of points.
    pub bytes: Option<u64>,
    /// Bodies that are as old and stay, since their run is at work, a later one may recover them, or no ledger here knows their run;
    /// null of points.
    pub bodies_kept: Option<u64>,
}

/// Deletes what the settings keep no longer, or says what that would be. With the owner's URLs where they are set.
///
/// # Errors
/// [`crate::error::Error::Held`] while another prune is at work; [`crate::error::Error::Store`] for a role that may not delete and
/// where a file cannot be deleted; otherwise as the databases give them. What was deleted by then stays deleted, and is recorded.
pub async fn prune(settings: &Settings, is_dry_run: bool) -> Result<PruneReport> {
    let mut report = PruneReport {
        kind: KIND,
        state: RunState::Complete,
        is_dry_run,
        pruned: Vec::new(),
    };
    if settings.retention == Retention::default() {
        return Ok(report);
    }
    let clock = http::clock(settings).await?;
    let horizons = horizons(settings.retention, clock.now());
    let pass = Pass {
        settings,
        horizons: &horizons,
        is_dry_run,
        clock,
    };
    let (snapshot, series) = pass.open().await?;
    // one after the other, since the server ends a session that holds a lock and says nothing
    let of_snapshot = match snapshot {
        Some(snapshot) => {
            snapshot
                .pruned(pass, async |_, _, _| Ok(Amount::default()))
                .await?
        }
        None => Vec::new(),
    };
    let of_series = match series {
        Some(series) => series.pruned(pass, points).await?,
        None => Vec::new(),
    };
    report.pruned = horizons
        .iter()
        .enumerate()
        .map(|(place, horizon)| {
            let of_snapshot = of_snapshot.get(place).copied().unwrap_or_default();
            let of_series = of_series.get(place).copied().unwrap_or_default();
            PrunedPart::of(*horizon, of_snapshot, of_series)
        })
        .collect();
    Ok(report)
}

const KIND: &str = "prune";

fn horizons(retention: Retention, now: DateTime<Utc>) -> Vec<Horizon> {
    let horizon = |of| {
        Some(Horizon {
            of,
            before: retention.before(of, now)?,
            days: retention.days(of)?,
        })
    };
    Kept::ALL.into_iter().filter_map(horizon).collect()
}

impl PrunedPart {
    /// What came of a horizon in both databases. The first has seen all that is as old in the landing.
    fn of(horizon: Horizon, snapshot: Done, series: Done) -> Self {
        let amount = snapshot.deleted.and(series.deleted);
        let seen = snapshot.bodies_seen;
        let of_points = |count| (horizon.of != Kept::Landing).then_some(count);
        let of_landing = |count| (horizon.of == Kept::Landing).then_some(count);
        Self {
            what: horizon.of.name(),
            setting: horizon.of.setting(),
            days: horizon.days,
            before: horizon.before,
            points: of_points(amount.points),
            revisions: of_points(amount.revisions),
            bodies: of_landing(amount.bodies),
            bytes: of_landing(amount.bytes),
            bodies_kept: of_landing(seen.saturating_sub(amount.bodies)),
        }
    }
}

/// What came of a horizon in one database.
#[derive(Debug, Clone, Copy, Default)]
struct Done {
    deleted: Amount,
    /// Bodies of any run that are as old.
    bodies_seen: u64,
}

/// What a prune is told.
#[derive(Clone, Copy)]
struct Pass<'a> {
    settings: &'a Settings,
    horizons: &'a [Horizon],
    is_dry_run: bool,
    clock: Clock,
}

impl Pass<'_> {
    /// Opens what is concerned, and makes sure that both may be written: the time series database for points, and both for the
    /// landing, where the bodies of both are.
    async fn open(
        self,
    ) -> Result<(
        Option<Pruning<SnapshotTables>>,
        Option<Pruning<TimeseriesTables>>,
    )> {
        let vs_currency = &self.settings.vs_currency;
        let of_landing = self.horizons.iter().any(|it| it.of == Kept::Landing);
        let mut snapshot = match of_landing {
            true => {
                let url = self.settings.snapshot_owner();
                Some(SnapshotStore::open_existing(url, vs_currency).await?)
            }
            false => None,
        };
        let mut series = if_there(self.settings.timeseries_owner(), vs_currency).await?;
        if !self.is_dry_run {
            if let Some(snapshot) = &mut snapshot {
                snapshot.check_may_delete().await?;
            }
            if let Some(series) = &mut series {
                series.check_may_delete().await?;
            }
        }
        Ok((snapshot.map(Pruning::new), series.map(Pruning::new)))
    }
}

/// Deletes the points before a horizon.
async fn points(
    pruning: &mut Pruning<TimeseriesTables>,
    pass: Pass<'_>,
    horizon: Horizon,
) -> Result<Amount> {
    let Kept::Points(resolution) = horizon.of else {
        return Ok(Amount::default());
    };
    let Pruning { store, run } = pruning;
    let run = run.as_str();
    if pass.is_dry_run {
        return store.points_before(resolution, horizon.before).await;
    }
    let mut all = Amount::default();
    let mut coins = store.coins_before(resolution, horizon.before).await?;
    if !coins.is_empty() {
        store.record_horizon(run, horizon, pass.clock).await?;
    }
    while !coins.is_empty() {
        let amount = store.prune_points(run, resolution, horizon, &mut coins, pass.clock);
        all = all.and(amount.await?);
        store.beside(tokio::time::sleep(PAUSE)).await?;
    }
    Ok(all)
}

/// A database and the prune's run in its ledger, once it has begun.
struct Pruning<T> {
    store: Database<T>,
    run: String,
}

impl<T: Tables> Pruning<T> {
    fn new(store: Database<T>) -> Self {
        Self {
            store,
            run: String::new(),
        }
    }

    /// A run of its own over this database, with what came of each horizon. `points` deletes points where there are any.
    async fn pruned(
        mut self,
        pass: Pass<'_>,
        points: impl AsyncFn(&mut Self, Pass<'_>, Horizon) -> Result<Amount>,
    ) -> Result<Vec<Done>> {
        if pass.is_dry_run {
            let done = self.each(pass, points).await?;
            return self.store.close().await.map(|()| done);
        }
        let (terms, run_settings) = (Terms::of(pass.settings)?, RunSettings::of(pass.settings));
        self.store.hold_what_is_old().await?;
        let now = pass.clock.now();
        let start = run_start(&terms, &run_settings, KIND, Scope::Old, now);
        self.store.begin_run(&start, pass.clock).await?;
        self.run.clone_from(&start.id);
        match self.each(pass, points).await {
            Ok(done) => {
                let end = ended(pass, &done);
                self.store.end_run(&self.run, &end).await?;
                self.store.close().await.map(|()| done)
            }
            Err(error) => {
                let end = failed(&error, 0, Vec::new(), pass.clock.now());
                self.store.fail_run(&self.run, &end).await;
                Err(error)
            }
        }
    }

    async fn each(
        &mut self,
        pass: Pass<'_>,
        points: impl AsyncFn(&mut Self, Pass<'_>, Horizon) -> Result<Amount>,
    ) -> Result<Vec<Done>> {
        let mut all = Vec::new();
        for horizon in pass.horizons {
            all.push(match horizon.of {
                Kept::Landing => self.bodies(pass, *horizon).await?,
                Kept::Points(_) => Done {
                    deleted: points(self, pass, *horizon).await?,
                    bodies_seen: 0,
                },
            });
        }
        Ok(all)
    }

    /// Deletes the old bodies of this ledger's runs, day by day. Says how many there were of any run, too.
    async fn bodies(&mut self, pass: Pass<'_>, horizon: Horizon) -> Result<Done> {
        let (root, before) = (&pass.settings.landing_dir, horizon.before.date_naive());
        let mut done = Done::default();
        let mut is_recorded = false;
        for day in landing::days_before(root, before)? {
            let folders = (root.clone(), day);
            let listed = blocking(move || landing::folders_of(&folders.0, folders.1));
            let folders = self.store.beside(listed).await??;
            done.bodies_seen += folders.iter().map(|folder| folder.bodies).sum::<u64>();
            let old = self.of_no_more_use(root, day, folders).await?;
            let of_day = Amount {
                bodies: old.iter().map(|folder| folder.bodies).sum(),
                bytes: old.iter().map(|folder| folder.bytes).sum(),
                ..Amount::default()
            };
            done.deleted = done.deleted.and(of_day);
            if pass.is_dry_run || old.is_empty() {
                continue;
            }
            if !is_recorded {
                let recorded = self.store.record_horizon(&self.run, horizon, pass.clock);
                recorded.await?;
                is_recorded = true;
            }
            let root = root.clone();
            let delete = blocking(move || {
                for folder in &old {
                    landing::delete(folder)?;
                    failpoint::pass(failpoint::BODIES_HALF_PRUNED);
                }
                landing::delete_if_empty(&root, day)
            });
            self.store.beside(delete).await??;
            let recorded = self
                .store
                .record_pruned(&self.run, horizon, of_day, pass.clock);
            recorded.await?;
        }
        Ok(done)
    }

    /// The folders of this ledger's runs, but those of runs at work and those of which a later run may recover a body.
    async fn of_no_more_use(
        &mut self,
        root: &Path,
        day: NaiveDate,
        folders: Vec<OldFolder>,
    ) -> Result<Vec<OldFolder>> {
        let mut old = Vec::new();
        for folder in folders {
            let is_old = match self.store.bodies_of(&folder.run).await? {
                None | Some(Bodies::InUse) => false,
                Some(Bodies::Settled) => true,
                Some(Bodies::Left) => !self.may_be_recovered(root, day, &folder.run).await?,
            };
            if is_old {
                old.push(folder);
            }
        }
        Ok(old)
    }

    /// True for a run that has landed a body which no commit has used.
    async fn may_be_recovered(&mut self, root: &Path, day: NaiveDate, run: &str) -> Result<bool> {
        let used = self.store.used_bodies(&format!("{day}/{run}/")).await?;
        let landed = landing::runs_of(root, day)?.into_iter();
        let mut of_run = landed
            .filter(|(header, _)| header.run == run)
            .flat_map(|(_, bodies)| bodies);
        Ok(of_run.any(|body| body.status == 200 && !used.contains(&body.path)))
    }
}

/// The end of a run that deleted all that it was to delete.
fn ended(pass: Pass<'_>, done: &[Done]) -> RunEnd {
    let parts = pass.horizons.iter().zip(done);
    let parts: Vec<PrunedPart> = parts
        .map(|(horizon, done)| PrunedPart::of(*horizon, *done, Done::default()))
        .collect();
    RunEnd {
        state: RunState::Complete.name(),
        finished_at: pass.clock.now(),
        expected: None,
        received: None,
        accepted: None,
        rejected: None,
        stored: None,
        calls: Some(0),
        score: None,
        content_hash: None,
        error: None,
        report: serde_json::to_string(&parts).ok(),
        drift: Vec::new(),
    }
}
