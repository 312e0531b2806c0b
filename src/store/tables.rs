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
    // a complete slot asks for no body any more, and a list is recovered on its day alone
    const BODIES: &'static str = "select case when r.state = 'running' then 'in use' \
        when r.state in ('complete', 'partial') or r.kind = 'listing' or exists (\
        select 1 from snapshot_now s where s.snapshot_time = r.slot and s.state = 'complete') then 'settled' else 'left' end \
        from run r where r.id = $1";
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
    const BODIES: &'static str = "select case when r.state = 'running' then 'in use' \
        when r.state in ('complete', 'partial') or r.recovered_by is not null then 'settled' else 'left' end \
        from run r where r.id = $1";
}

/// The time series database.
pub type TimeseriesStore = Database<TimeseriesTables>;
