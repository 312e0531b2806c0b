//! The databases: one face, two backends. All SQL of the product is below this folder, in `migrations/` or in `db-init/`.
//! What to store and when is the pipeline's decision.

mod account;
mod cells;
mod coins;
mod commit;
mod connection;
mod copy;
mod coverage;
mod currency;
mod database;
mod fault;
mod frames;
mod landings;
mod ledger;
mod load;
mod lock;
mod migrate;
mod names;
mod pin;
mod points;
mod prune;
mod quarantine;
mod quotes;
mod snapshots;
mod tables;
mod tally;
mod timeseries;
mod trace;
mod value;
mod visits;

pub use account::{Absent, Account, REFUSED, RefusedCoin};
pub use commit::{QuoteRow, SnapshotCommit};
pub use coverage::EmptySpan;
pub use database::{Database, Tables};
pub use frames::{PricesQuery, price_columns};
pub use ledger::{RunEnd, RunProgress, RunRow, RunStart, Scope};
pub use names::Named;
pub use points::{ReceivedChart, SeriesCommit, Stored};
pub use prune::{Amount, Bodies, Horizon, Pruned};
pub use quarantine::{Outcome, Refused, RefusedRow, Requeued};
pub use quotes::SlotState;
pub use tables::{SnapshotStore, SnapshotTables, TimeseriesStore, TimeseriesTables};
pub use tally::{Holdings, SeriesHoldings};
pub use trace::Committed;
pub use value::Value;
