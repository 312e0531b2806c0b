//! The two databases by their tables. What is done with them is in `snapshots` and `timeseries`.

use std::sync::Arc;

use super::claims::Claims;
use super::database::{Database, Tables};
use super::migrate::{SNAPSHOT, TIMESERIES};
use super::names::Names;

/// The tables of the snapshot database.
#[derive(Debug, Default)]
pub struct SnapshotTables;

impl Tables for SnapshotTables {
    const SCHEMA: &'static str = SNAPSHOT.name;
}

/// The snapshot database.
pub type SnapshotStore = Database<SnapshotTables>;

/// The tables of the time series database.
#[derive(Debug, Default)]
pub struct TimeseriesTables {
    /// What coins are called by now.
    pub(super) names: Arc<Names>,
    /// What the run has claimed.
    pub(super) claims: Claims,
}

impl Tables for TimeseriesTables {
    const SCHEMA: &'static str = TIMESERIES.name;
}

/// The time series database.
pub type TimeseriesStore = Database<TimeseriesTables>;
