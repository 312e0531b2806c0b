//! The time series database as the pipeline sees it.
//! The statements that write points are in `points`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::claims::{self, IfHeld, Wish};
use super::connection::Connection;
use super::coverage::{self, EmptySpan};
use super::explain::{self, Provenance, RefusedRecord};
use super::followed::{self, Changes, Followed};
use super::frames::{self, PricesQuery};
use super::gaps::{self, Gap, Owed};
use super::ledger::{RunStart, needed};
use super::names::Named;
use super::points::{self, SeriesCommit, Stored};
use super::revisions::{self, RevisionsQuery};
use super::tables::TimeseriesStore;
use super::tally::{self, SeriesHoldings};
use super::trace::{self, Committed};
use super::visits;
use crate::clock::Clock;
use crate::error::Result;
use crate::failpoint;
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

    /// Takes a run's own lock for as long as this store lives, and writes that it has begun with those of these coins that no other
    /// run of its resolution has, and that earlier runs have died: those whose lock nobody holds. Returns the coins that others have.
    ///
    /// # Errors
    /// [`crate::error::Error::Held`] where the run cannot begin without them; [`crate::error::Error::Store`].
    pub async fn begin_claiming(
        &mut self,
        start: &RunStart,
        clock: Clock,
        coins: &[CoinId],
        if_held: IfHeld,
    ) -> Result<Vec<CoinId>> {
        self.for_a_run().await?;
        let wish = Wish {
            start,
            coins,
            if_held,
        };
        let (lock, claims, held) = claims::begin(&mut self.connection, &self.url, wish).await?;
        (self.lock, self.tables.claims) = (Some(lock), claims);
        self.stamp_what_waits(clock).await?;
        failpoint::pass(failpoint::RUN_BEGUN);
        Ok(held)
    }

    /// Claims coins of which the run that has begun is to recover something, and returns those that others have.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn claim(
        &mut self,
        coins: impl IntoIterator<Item = CoinId>,
    ) -> Result<HashSet<CoinId>> {
        claims::claim(&mut self.connection, &mut self.tables.claims, coins).await
    }

    /// Gives back what the run has claimed to recover it.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn give_back(&mut self) -> Result<()> {
        claims::give_back(&mut self.connection, &mut self.tables.claims).await
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
        let landed = std::future::ready(Ok(()));
        self.commit_landed(run, commit, clock, landed).await
    }

    /// The same while their bodies are still on their way to the disk: rows are sent meanwhile, and none is stored before `landed` is
    /// done.
    ///
    /// # Errors
    /// As [`Self::commit`], and that of `landed`.
    pub async fn commit_landed(
        &mut self,
        run: &str,
        commit: &SeriesCommit,
        clock: Clock,
        landed: impl Future<Output = Result<()>>,
    ) -> Result<Stored> {
        points::commit_charts(self, run, commit, clock, landed).await
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

    /// The stretches of history that are kept at a resolution, and those that ended after an instant (milliseconds since 1970), by
    /// coin and beginning.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn followed(
        &mut self,
        resolution: Resolution,
        ended_after: i64,
    ) -> Result<Vec<Followed>> {
        followed::since(&mut self.connection, resolution, ended_after).await
    }

    /// Of how many coins the history is kept at a resolution.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn followed_count(&mut self, resolution: Resolution) -> Result<u64> {
        followed::count(&mut self.connection, resolution).await
    }

    /// Up to when (milliseconds since 1970) it is known of the followed coins what is covered and what is lost.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn judged(&mut self, resolution: Resolution) -> Result<Option<i64>> {
        followed::judged(&mut self.connection, resolution).await
    }

    /// Writes who is followed from now on, and who no longer.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`]; then nothing of it was written.
    pub async fn change_followed(
        &mut self,
        resolution: Resolution,
        changes: &Changes,
    ) -> Result<()> {
        let write = async |connection: &mut Connection| {
            followed::change(connection, resolution, changes).await
        };
        self.connection.transaction(write).await
    }

    /// Writes what of the followed coins is lost, and up to when (milliseconds since 1970) that is known.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`]; then nothing of it was written.
    pub async fn judge(
        &mut self,
        run: &str,
        resolution: Resolution,
        lost: &[(CoinId, Span)],
        until: i64,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let write = async |connection: &mut Connection| {
            followed::judge(connection, run, resolution, lost, until, now).await
        };
        self.connection.transaction(write).await
    }

    /// What was lost and is not healed, as far as it ends after an instant (milliseconds since 1970), by coin and in order.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn lost_since(&mut self, since: i64) -> Result<HashMap<CoinId, Vec<Span>>> {
        followed::lost(&mut self.connection, since).await
    }

    /// True where something is lost and not healed.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn is_anything_lost(&mut self) -> Result<bool> {
        followed::is_anything_lost(&mut self.connection).await
    }

    /// Writes that what was lost is covered at a coarser resolution.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn note_healed(&mut self, spans: &[(CoinId, Span)], at: DateTime<Utc>) -> Result<()> {
        followed::heal(&mut self.connection, spans, at).await
    }

    /// The gaps of a coin that reach into a span, by resolution and time.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn gaps(&mut self, coin: &CoinId, span: Span) -> Result<Vec<Gap>> {
        gaps::of_coin(&mut self.connection, coin, span).await
    }

    /// The revisions of points, each with the value that it replaced, by coin, resolution and stamp.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn revisions(&mut self, query: &RevisionsQuery) -> Result<Frame> {
        revisions::revisions(&mut self.connection, query).await
    }

    /// What is owed of every coin, by coin, resolution and time.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn owed(&mut self) -> Result<Vec<Owed>> {
        gaps::owed(&mut self.connection).await
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

    /// The stamp of a coin's newest point at or before an instant, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn stamp_before(
        &mut self,
        coin: &CoinId,
        resolution: Resolution,
        at: i64,
    ) -> Result<Option<i64>> {
        explain::stamp_before(&mut self.connection, coin, resolution, at).await
    }

    /// Every value of a point and where it came from; the last one stands.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn origins_of_point(
        &mut self,
        coin: &CoinId,
        resolution: Resolution,
        ts: i64,
    ) -> Result<Vec<(PricePoint, Provenance)>> {
        explain::of_point(&mut self.connection, coin, resolution, ts).await
    }

    /// What was refused under a stamp of a coin.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn refused_points(
        &mut self,
        coin: &CoinId,
        resolution: Resolution,
        ts: i64,
    ) -> Result<Vec<RefusedRecord>> {
        explain::refused_points(&mut self.connection, coin, resolution, ts).await
    }

    /// What the database holds, by resolution.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn holdings(&mut self) -> Result<Vec<SeriesHoldings>> {
        tally::of_series(&mut self.connection).await
    }
}
