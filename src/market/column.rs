//! The columns of a quote: the one list that parsing, storing, reading, frames and files follow. The migrations are written by
//! hand; a test holds them against it.

use super::Measure;

/// The kind of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Text of which there are few, each in many rows.
    Category,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// An instant, to the millisecond.
    Time,
    /// True or false.
    Bool,
}

/// Where a column's values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// What the row is about.
    Key,
    /// This field of the API's record, as it came.
    Source(&'static str),
    /// Computed from the API's fields.
    Derived,
    /// Computed on reading, from what else is known of the slot by then: the table `quote` has no such column.
    Read,
}

/// A column under its one name: in tables, views, frames, files and JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Where its values come from.
    pub origin: Origin,
}

impl Column {
    /// A column.
    pub const fn new(name: &'static str, kind: Kind, origin: Origin) -> Self {
        Self { name, kind, origin }
    }
}

/// What tells a quote from another, and the coin's symbol and name as they were known then.
const KEYS: [Column; 4] = [
    Column::new("snapshot_time", Kind::Time, Origin::Key),
    Column::new("coin_id", Kind::Text, Origin::Key),
    Column::new("symbol", Kind::Text, Origin::Source("symbol")),
    Column::new("name", Kind::Text, Origin::Source("name")),
];
const BEFORE: [Column; 1] = [Column::new(
    "market_cap_rank",
    Kind::Int,
    Origin::Source("market_cap_rank"),
)];
const AFTER: [Column; 12] = [
    Column::new("roi_currency", Kind::Text, Origin::Source("roi.currency")),
    Column::new("ath_date", Kind::Time, Origin::Source("ath_date")),
    Column::new("atl_date", Kind::Time, Origin::Source("atl_date")),
    Column::new("last_updated", Kind::Time, Origin::Source("last_updated")),
    Column::new("market_cap_category", Kind::Text, Origin::Derived),
    Column::new("dominance_pct", Kind::Float, Origin::Read),
    Column::new("volume_to_cap", Kind::Float, Origin::Derived),
    Column::new("ath_distance_pct", Kind::Float, Origin::Derived),
    Column::new("range_volatility_24h_pct", Kind::Float, Origin::Derived),
    Column::new("liquidity_category", Kind::Text, Origin::Derived),
    Column::new("trend_category", Kind::Text, Origin::Derived),
    Column::new("warnings", Kind::Text, Origin::Derived),
];

/// Every column of a quote, in order: its keys, and what stands beside them.
pub fn quote_columns() -> impl Iterator<Item = Column> {
    KEYS.into_iter().chain(beside_keys())
}

/// The columns of a quote that the table `quote` has under these names, in order.
pub fn stored_columns() -> impl Iterator<Item = Column> {
    beside_keys().filter(|column| column.origin != Origin::Read)
}

/// The columns of a quote that are no keys of it, in order.
pub fn beside_keys() -> impl Iterator<Item = Column> {
    let measures = Measure::ALL
        .iter()
        .map(|measure| Column::new(measure.name(), Kind::Float, Origin::Source(measure.field())));
    BEFORE.into_iter().chain(measures).chain(AFTER)
}
