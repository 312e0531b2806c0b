//! The time series database as the pipeline sees it.
//! The statements that write points are in `points`.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::connection::Sql;
use super::coverage::{self, EmptySpan};
use super::ledger::needed;
use super::names::Named;
use super::points::{self, SeriesCommit, Stored};
use super::tables::TimeseriesStore;
use super::trace::{self, Committed};
use super::value::Row;
use super::visits;
use crate::clock::Clock;
use crate::error::Result;
use crate::market::CoinId;
use crate::series::{POINT_COLUMNS, PricePoint, Resolution, Span, Spans};

/// Which points to read.
#[derive(Debug, Clone)]
pub struct PricesQuery {
    /// The coins; empty is all of them.
    pub coins: Vec<CoinId>,
    /// The resolution: they never mix.
    pub resolution: Resolution,
    /// The span.
    pub span: Span,
    /// The newest commit to take account of; none is all of them.
    pub pin: Option<i64>,
}

/// What a time series database holds at one resolution, in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeriesHoldings {
    /// The resolution.
    pub resolution: Resolution,
    /// Coins with a point.
    pub coins: u64,
    /// Points.
    pub points: u64,
    /// The first point.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub first: Option<DateTime<Utc>>,
    /// The newest point.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub newest: Option<DateTime<Utc>>,
}

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

    /// The landed bodies of a run that some commit has used, by path.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn used_bodies(&mut self, folder: &str) -> Result<Vec<String>> {
        // `0` is the next character after the slash that a folder ends with: a range, which an index finds
        let after = format!("{}0", folder.trim_end_matches('/'));
        let sql = "select path from landing where path >= $1 and path < $2";
        let values = vec![folder.into(), after.into()];
        let rows = self.connection.fetch(sql, values).await?;
        rows.iter()
            .map(|row| needed(row.text(0)?, "landing.path"))
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
    pub async fn prices(&mut self, query: &PricesQuery) -> Result<Vec<(CoinId, PricePoint)>> {
        let coins: Vec<&CoinId> = query.coins.iter().collect();
        let start =
            DateTime::from_timestamp_millis(query.span.start).unwrap_or(DateTime::<Utc>::MIN_UTC);
        let end =
            DateTime::from_timestamp_millis(query.span.end).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let mut values = vec![
            i64::from(query.resolution.minutes()).into(),
            start.into(),
            end.into(),
            query.pin.unwrap_or(i64::MAX).into(),
        ];
        let [of_all, of_named] = &*PRICES;
        let [postgres, sqlite] = if coins.is_empty() {
            of_all
        } else {
            values.push(serde_json::json!(coins).to_string().into());
            of_named
        };
        let sql = Sql { postgres, sqlite };
        let rows = self.connection.fetch(sql, values).await?;
        rows.iter().map(price).collect()
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

    /// Counts what the database holds, by resolution.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn holdings(&mut self) -> Result<Vec<SeriesHoldings>> {
        let sql = "select cast(resolution as bigint), count(distinct coin), count(*), min(ts), max(ts) from price_point \
                   group by resolution order by resolution";
        let rows = self.connection.fetch(sql, vec![]).await?;
        let read = |row: &Row| {
            Ok(SeriesHoldings {
                resolution: needed(
                    row.int(0)?.and_then(Resolution::of_minutes),
                    "price_point.resolution",
                )?,
                coins: row.count(1)?.unwrap_or_default(),
                points: row.count(2)?.unwrap_or_default(),
                first: row.time(3)?,
                newest: row.time(4)?,
            })
        };
        rows.iter().map(read).collect()
    }
}

/// Reads each point with the newest of its values that a pin takes account of: of all coins, or of named ones. Revisions are few
/// and come from one look at them all; what is too new for the pin is left out rather than the rest taken in, so that a pin of now
/// costs nothing. Named coins have a statement of their own: in a common one no database finds them by the key.
fn prices_sql(is_sqlite: bool, of_named: bool) -> String {
    let numbers = POINT_COLUMNS
        .map(|column| column.name)
        .map(|name| format!("case when r.landing is null then p.{name} else r.{name} end"));
    let (points, coins) = match (of_named, is_sqlite) {
        (false, _) => ("price_point p join coin c on c.key = p.coin", "true"),
        (true, false) => (
            "coin c join price_point p on p.coin = c.key",
            "c.id in (select json_array_elements_text($5::json))",
        ),
        // the cross joins fix the order
        (true, true) => (
            "json_each($5) j cross join coin c cross join price_point p",
            "c.id = j.value and p.coin = c.key",
        ),
    };
    let too_new = if is_sqlite {
        "p.landing in (select l.id from landing l where l.\"commit\" > $4)"
    } else {
        "exists (select 1 from landing l where l.id = p.landing and l.\"commit\" > $4)"
    };
    format!(
        "select c.id, p.ts, {} from {points} left join (\
         select v.*, row_number() over (\
         partition by v.coin, v.ts order by l.\"commit\" desc, l.received_at desc) as place \
         from price_revision v join landing l on l.id = v.landing \
         where v.resolution = $1 and v.ts >= $2 and v.ts < $3 and l.\"commit\" <= $4\
         ) r on r.coin = p.coin and r.ts = p.ts and r.place = 1 \
         where p.resolution = $1 and p.ts >= $2 and p.ts < $3 and {coins} and not {too_new} order by c.id, p.ts",
        numbers.join(", ")
    )
}

/// [`prices_sql`] of all coins and of named ones, in both dialects.
static PRICES: LazyLock<[[String; 2]; 2]> = LazyLock::new(|| {
    [false, true].map(|of_named| [false, true].map(|is_sqlite| prices_sql(is_sqlite, of_named)))
});

fn price(row: &Row) -> Result<(CoinId, PricePoint)> {
    let point = PricePoint {
        ts: needed(row.time(1)?, "price_point.ts")?.timestamp_millis(),
        price: row.float(2)?,
        market_cap: row.float(3)?,
        volume: row.float(4)?,
    };
    Ok((CoinId::from_source(needed(row.text(0)?, "coin.id")?), point))
}
