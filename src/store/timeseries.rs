//! The time series database as the pipeline sees it.
//! The statements that write points are in `points`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::coverage::{self, EmptySpan};
use super::frames::{self, PricesQuery};
use super::ledger::needed;
use super::names::Named;
use super::points::{self, SeriesCommit, Stored};
use super::tables::TimeseriesStore;
use super::tally::{self, SeriesHoldings};
use super::trace::{self, Committed};
use super::visits;
use crate::clock::Clock;
use crate::error::Result;
use crate::frame::Frame;
use crate::market::CoinId;
use crate::series::{PricePoint, Resolution, Span, Spans};

impl TimeseriesStore {
    /// Takes note of what coins are called by now, which is written with their charts where it has changed.
    pub fn call_coins(&mut self, names: impl IntoIterator<Item = Named>) {
        let names = names.into_iter();
        let names = names.map(|(coin, symbol, name)| (coin, (symbol, name)));
        self.tables.names = Arc::new(names.collect());
    }

    /// Stores some charts of a run whole.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`] where the database holds another currency; [`crate::error::Error::Store`]; then
    /// nothing of them was stored.
    pub async fn commit(
        &mut self,
        run: &str,
        commit: &SeriesCommit,
        clock: Clock,
    ) -> Result<Stored> {
        points::commit_charts(self, run, commit, clock).await
    }

    /// Runs of a resolution that died or failed with bodies nobody has recovered: id and beginning, oldest first.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn unrecovered_runs(
        &mut self,
        resolution: Resolution,
    ) -> Result<Vec<(String, DateTime<Utc>)>> {
        let sql = "select id, started_at from run where state in ('abandoned', 'failed') and recovered_by is null \
                   and resolution = $1 order by started_at";
        let rows = self
            .connection
            .fetch(sql, vec![i64::from(resolution.minutes()).into()])
            .await?;
        rows.iter()
            .map(|row| {
                Ok((
                    needed(row.text(0)?, "run.id")?,
                    needed(row.time(1)?, "run.started_at")?,
                ))
            })
            .collect()
    }

    /// The spans that charts have covered at a resolution, by coin, as far as they end after an instant (milliseconds since 1970).
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn coverage_since(
        &mut self,
        resolution: Resolution,
        since: i64,
    ) -> Result<HashMap<CoinId, Spans>> {
        coverage::since(&mut self.connection, resolution, since).await
    }

    /// The spans that charts of a resolution left empty though they should have points there, by coin, as they were known at
    /// a pin, and as far as they end after an instant (milliseconds since 1970).
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn empty_spans_since(
        &mut self,
        resolution: Resolution,
        since: i64,
        pin: i64,
    ) -> Result<HashMap<CoinId, Vec<EmptySpan>>> {
        coverage::empty_since(&mut self.connection, resolution, since, pin).await
    }

    /// Those of some coins that reach into a span, as they were known at a pin.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn coverage_of(
        &mut self,
        resolution: Resolution,
        coins: &[&CoinId],
        span: Span,
        pin: i64,
    ) -> Result<HashMap<CoinId, Spans>> {
        coverage::of_coins(&mut self.connection, resolution, coins, span, pin).await
    }

    /// Where the coverage of coins (without any, of all coins) begins and ends, as it was known at a pin; a coin that has none
    /// is left out.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn coverage_ends(
        &mut self,
        resolution: Resolution,
        coins: &[CoinId],
        pin: i64,
    ) -> Result<BTreeMap<CoinId, Span>> {
        coverage::ends(&mut self.connection, resolution, coins, pin).await
    }

    /// When each coin was last asked for at a resolution.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn visits(
        &mut self,
        resolution: Resolution,
    ) -> Result<HashMap<CoinId, DateTime<Utc>>> {
        visits::newest(&mut self.connection, resolution).await
    }

    /// The points of a span with their newest values, by coin and stamp.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn prices(&mut self, query: &PricesQuery) -> Result<Frame> {
        frames::prices(&mut self.connection, query).await
    }

    /// Hands the same over one by one.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`], and that of `point`.
    pub async fn each_point(
        &mut self,
        query: &PricesQuery,
        point: impl FnMut(&CoinId, PricePoint) -> Result<()>,
    ) -> Result<()> {
        frames::each_point(&mut self.connection, query, point).await
    }

    /// The bodies behind what was known after a run of the spans that it covered, its own and earlier ones, in the order of
    /// their commits; none where it stored nothing.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn committed(&mut self, run: &str) -> Result<Vec<Committed>> {
        trace::of_spans(&mut self.connection, run).await
    }

    /// The spans that a run covered.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn spans_of(&mut self, run: &str) -> Result<Vec<(CoinId, Span)>> {
        trace::spans(&mut self.connection, run).await
    }

    /// What the database holds, by resolution.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn holdings(&mut self) -> Result<Vec<SeriesHoldings>> {
        tally::of_series(&mut self.connection).await
    }
}
