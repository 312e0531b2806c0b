//! Deleting what is kept no longer: points by resolution, and received bodies. A run of its own in each ledger.
//! How long what is kept is the settings' to say; what readers say of it afterwards, `retention`'s.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use super::arrival::blocking;
use super::begin::run_start;
use super::report::{RunState, failed};
use super::status::timeseries_at;
use super::terms::{RunSettings, Terms};
use crate::clock::Clock;
use crate::config::{Kept, Retention, Settings};
use crate::error::Result;
use crate::failpoint;
use crate::http;
use crate::landing::{self, OldFolder};
use crate::series::Resolution;
use crate::store::{
    Amount, Bodies, Database, Horizon, RunEnd, RunStart, Scope, SnapshotStore, Tables,
    TimeseriesStore,
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
    let mut prune = Prune::open(settings, clock, &horizons).await?;
    if !is_dry_run {
        prune.begin(settings).await?;
    }
    report.pruned = prune.all(&horizons, is_dry_run).await?;
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

/// A prune of both databases, as far as they are there and concerned.
struct Prune {
    clock: Clock,
    landing_dir: PathBuf,
    snapshot: Option<Pruning<SnapshotStore>>,
    series: Option<Pruning<TimeseriesStore>>,
}

/// A database and the prune's run in its ledger, once it has begun.
struct Pruning<S> {
    store: S,
    run: String,
}

impl Prune {
    /// Opens what is concerned: the time series database for points, and both for the landing, where the bodies of both are.
    async fn open(settings: &Settings, clock: Clock, horizons: &[Horizon]) -> Result<Self> {
        let of_landing = horizons.iter().any(|it| it.of == Kept::Landing);
        let snapshot = match of_landing {
            true => {
                let url = settings.snapshot_owner();
                Some(SnapshotStore::open_existing(url, &settings.vs_currency).await?)
            }
            false => None,
        };
        let series = timeseries_at(settings.timeseries_owner(), &settings.vs_currency).await?;
        Ok(Self {
            clock,
            landing_dir: settings.landing_dir.clone(),
            snapshot: snapshot.map(Pruning::new),
            series: series.map(Pruning::new),
        })
    }

    /// Makes sure that both may be written, then takes the locks and writes down the runs.
    async fn begin(&mut self, settings: &Settings) -> Result<()> {
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.store.check_may_delete().await?;
        }
        if let Some(series) = &mut self.series {
            series.store.check_may_delete().await?;
            series.store.hold(Scope::Old).await?;
        }
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.store.hold(Scope::Old).await?;
        }
        let (terms, run_settings) = (Terms::of(settings)?, RunSettings::of(settings));
        let start = || run_start(&terms, &run_settings, KIND, Scope::Old, self.clock.now());
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.begin(&start(), self.clock).await?;
        }
        if let Some(series) = &mut self.series {
            series.begin(&start(), self.clock).await?;
        }
        Ok(())
    }

    /// Everything, and how it ended into the ledgers.
    async fn all(mut self, horizons: &[Horizon], is_dry_run: bool) -> Result<Vec<PrunedPart>> {
        let mut parts = Vec::new();
        let mut error = None;
        for horizon in horizons {
            match self.one(*horizon, is_dry_run).await {
                Ok(part) => parts.push(part),
                Err(failure) => {
                    error = Some(failure);
                    break;
                }
            }
        }
        let now = self.clock.now();
        let end = match &error {
            _ if is_dry_run => None,
            Some(error) => Some(failed(error, 0, Vec::new(), now)),
            None => Some(ended(&parts, now)),
        };
        if let Some(snapshot) = self.snapshot {
            snapshot.end(end.as_ref()).await?;
        }
        if let Some(series) = self.series {
            series.end(end.as_ref()).await?;
        }
        error.map_or(Ok(parts), Err)
    }

    async fn one(&mut self, horizon: Horizon, is_dry_run: bool) -> Result<PrunedPart> {
        let mut part = PrunedPart {
            what: horizon.of.name(),
            setting: horizon.of.setting(),
            days: horizon.days,
            before: horizon.before,
            points: None,
            revisions: None,
            bodies: None,
            bytes: None,
            bodies_kept: None,
        };
        match horizon.of {
            Kept::Points(resolution) => {
                let amount = self.points(resolution, horizon, is_dry_run).await?;
                part.points = Some(amount.points);
                part.revisions = Some(amount.revisions);
            }
            Kept::Landing => {
                let (amount, kept) = self.bodies(horizon, is_dry_run).await?;
                part.bodies = Some(amount.bodies);
                part.bytes = Some(amount.bytes);
                part.bodies_kept = Some(kept);
            }
        }
        Ok(part)
    }

    async fn points(
        &mut self,
        resolution: Resolution,
        horizon: Horizon,
        is_dry_run: bool,
    ) -> Result<Amount> {
        let mut all = Amount::default();
        let Some(Pruning { store, run }) = &mut self.series else {
            return Ok(all);
        };
        if is_dry_run {
            return store.points_before(resolution, horizon.before).await;
        }
        let mut coins = store.coins_before(resolution, horizon.before).await?;
        if !coins.is_empty() {
            store.record_horizon(run, horizon, self.clock).await?;
        }
        while !coins.is_empty() {
            let amount = store
                .prune_points(run, resolution, horizon, &mut coins, self.clock)
                .await?;
            all = all.and(amount);
            store.beside(tokio::time::sleep(PAUSE)).await?;
        }
        Ok(all)
    }

    /// The bodies, and how many that are as old stay.
    async fn bodies(&mut self, horizon: Horizon, is_dry_run: bool) -> Result<(Amount, u64)> {
        let pass = Pass {
            root: &self.landing_dir,
            horizon,
            is_dry_run,
            clock: self.clock,
        };
        let (mut deleted, mut seen) = (Amount::default(), 0);
        if let Some(snapshot) = &mut self.snapshot {
            (deleted, seen) = snapshot.bodies(pass).await?;
        }
        if let Some(series) = &mut self.series {
            deleted = deleted.and(series.bodies(pass).await?.0);
        }
        Ok((deleted, seen.saturating_sub(deleted.bodies)))
    }
}

/// A pass over the landing for one database.
#[derive(Clone, Copy)]
struct Pass<'a> {
    root: &'a Path,
    horizon: Horizon,
    is_dry_run: bool,
    clock: Clock,
}

impl<T: Tables> Pruning<Database<T>> {
    fn new(store: Database<T>) -> Self {
        Self {
            store,
            run: String::new(),
        }
    }

    async fn begin(&mut self, start: &RunStart, clock: Clock) -> Result<()> {
        self.store.begin_run(start, clock).await?;
        self.run.clone_from(&start.id);
        Ok(())
    }

    async fn end(mut self, end: Option<&RunEnd>) -> Result<()> {
        if let Some(end) = end {
            self.store.end_run(&self.run, end).await?;
        }
        self.store.close().await
    }

    /// Deletes the old bodies of this ledger's runs, day by day. Says how many there were of any run, too.
    async fn bodies(&mut self, pass: Pass<'_>) -> Result<(Amount, u64)> {
        let (root, before) = (pass.root.to_owned(), pass.horizon.before.date_naive());
        let (mut deleted, mut seen, mut is_recorded) = (Amount::default(), 0, false);
        for day in landing::days_before(pass.root, before)? {
            let folders = (root.clone(), day);
            let listed = blocking(move || landing::folders_of(&folders.0, folders.1));
            let folders = self.store.beside(listed).await??;
            seen += folders.iter().map(|folder| folder.bodies).sum::<u64>();
            let old = self.of_no_more_use(pass.root, day, folders).await?;
            let of_day = Amount {
                bodies: old.iter().map(|folder| folder.bodies).sum(),
                bytes: old.iter().map(|folder| folder.bytes).sum(),
                ..Amount::default()
            };
            deleted = deleted.and(of_day);
            if pass.is_dry_run || old.is_empty() {
                continue;
            }
            if !is_recorded {
                let recorded = self
                    .store
                    .record_horizon(&self.run, pass.horizon, pass.clock);
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
                .record_pruned(&self.run, pass.horizon, of_day, pass.clock);
            recorded.await?;
        }
        Ok((deleted, seen))
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
fn ended(parts: &[PrunedPart], finished_at: DateTime<Utc>) -> RunEnd {
    RunEnd {
        state: RunState::Complete.name(),
        finished_at,
        expected: None,
        received: None,
        accepted: None,
        rejected: None,
        stored: None,
        calls: Some(0),
        score: None,
        content_hash: None,
        error: None,
        report: serde_json::to_string(parts).ok(),
        drift: Vec::new(),
    }
}
