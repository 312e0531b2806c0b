//! The commit of price points: rows, revisions, coverage, quarantine and landing of some charts in one transaction.
//! What the charts cover is decided before; here it becomes durable, or nothing of it does.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Utc};

use super::coins;
use super::connection::{Connection, Sql};
use super::coverage::{self, SpanRow};
use super::landings;
use super::ledger::{self, RunProgress, needed};
use super::load::{COLUMNS, PointRows, Target, load};
use super::names::{self, Name, Names};
use super::quarantine::{self, RefusedRow, Requeued};
use super::tables::TimeseriesStore;
use super::tally::{self, SeriesAdded};
use super::visits::{self, Visit};
use crate::clock::Clock;
use crate::error::Result;
use crate::failpoint;
use crate::landing::Landed;
use crate::market::CoinId;
use crate::series::{ChartCoverage, POINT_COLUMNS, PricePoint, Resolution, Span};

/// A chart that was received, parsed and validated.
#[derive(Debug, Clone)]
pub struct ReceivedChart {
    /// The body.
    pub landed: Landed,
    /// The coin.
    pub coin: CoinId,
    /// The resolution.
    pub resolution: Resolution,
    /// The span that was asked for, as far as it is settled; none where the chart was refused whole.
    pub span: Option<Span>,
    /// Where it can be believed, and where it has no points though it should.
    pub coverage: ChartCoverage,
    /// What of the span that was asked for is settled, and younger than the response, which came out of a cache.
    pub behind: Option<Span>,
    /// Its points, in the order of their stamps, all inside the span.
    pub points: Vec<PricePoint>,
    /// From its newest point on, where it should have more: not known, until another chart ends as early.
    pub tail: Option<Span>,
    /// That newest point, which may have been live, and so is none of the points yet.
    pub last: Option<PricePoint>,
    /// What was refused of it; `body` counts for nothing here.
    pub refused: Vec<RefusedRow>,
    /// True where nothing of the span is covered yet, so that no point can be there.
    pub fresh: bool,
}

impl ReceivedChart {
    /// Where it has no points though it should.
    pub fn empty(&self) -> Vec<Span> {
        let empty = self.coverage.empty.iter().chain(&self.tail);
        empty.copied().collect()
    }
}

/// Some charts to store together.
#[derive(Debug, Default)]
pub struct SeriesCommit {
    /// The charts.
    pub charts: Vec<ReceivedChart>,
    /// Coins whose chart was not received, and the errors.
    pub failed: Vec<(CoinId, Resolution, String)>,
    /// Earlier runs whose landed bodies are all in here or stored already.
    pub recovered: Vec<String>,
    /// Records of earlier runs that were validated again.
    pub requeued: Vec<Requeued>,
    /// How far the run is with it.
    pub progress: RunProgress,
}

/// What a commit added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    /// Points.
    pub points: u64,
    /// Later values of points that were there.
    pub revisions: u64,
}

/// Stores the charts of a run, once their bodies have landed.
pub(crate) async fn commit_charts(
    store: &mut TimeseriesStore,
    run: &str,
    commit: &SeriesCommit,
    clock: Clock,
    landed: impl Future<Output = Result<()>>,
) -> Result<Stored> {
    let binds = !commit.charts.is_empty();
    let names = Arc::clone(&store.tables.names);
    let load = async |connection: &mut Connection| {
        let landings = landings::reserve(connection, commit.charts.len()).await?;
        let ids: Vec<&CoinId> = commit.charts.iter().map(|chart| &chart.coin).collect();
        let keys = coins::keys(connection, &ids).await?;
        let mut rows = Vec::with_capacity(commit.charts.len());
        for (chart, &landing) in commit.charts.iter().zip(&landings) {
            let key = keys.get(&chart.coin);
            rows.push(Keyed {
                chart,
                landing,
                coin: needed(key.and_then(|&key| i32::try_from(key).ok()), "coin.key")?,
            });
        }
        // in the order of the key, which is the order that an index likes
        rows.sort_by_key(|row| (row.coin, row.chart.resolution, row.chart.span));
        let fresh = insert_fresh(connection, &rows).await?;
        // before the writer's lock, for which others wait
        connection.beside(landed).await??;
        Ok((rows, fresh))
    };
    let work = async |connection: &mut Connection,
                      (rows, fresh): (Vec<Keyed<'_>>, Vec<Fresh>),
                      id: i64| {
        let bodies = rows.iter().map(|row| (row.landing, &row.chart.landed));
        landings::insert(connection, run, id, bodies).await?;
        insert_names(connection, &rows, &names, id).await?;
        let mut stored = Stored::default();
        for fresh in fresh {
            let mut added = fresh.counted(connection).await?;
            let known = insert_known(connection, &rows, added.resolution).await?;
            added.points += known.points;
            stored.points += added.points;
            stored.revisions += known.revisions;
            if added.points > 0 {
                tally::add_series(connection, id, added).await?;
            }
        }
        failpoint::pass(failpoint::COMMIT_HALF_DONE);
        coverage::insert_covered(
            connection,
            spans(&rows, id, |chart| chart.coverage.covers.clone()),
        )
        .await?;
        let empty = spans(&rows, id, ReceivedChart::empty);
        coverage::insert_empty(connection, empty, false).await?;
        let refused = spans(&rows, id, |chart| chart.coverage.refused.clone());
        coverage::insert_empty(connection, refused, true).await?;
        insert_refused(connection, &rows).await?;
        visits::note(connection, visits_of(commit, clock.now())).await?;
        quarantine::note(connection, run, &commit.requeued).await?;
        for earlier in &commit.recovered {
            let sql = "update run set recovered_by = $2 where id = $1 and recovered_by is null";
            connection
                .execute(sql, vec![earlier.as_str().into(), run.into()])
                .await?;
        }
        ledger::progress(connection, run, &commit.progress, stored.points).await?;
        Ok(stored)
    };
    store.in_commit(run, clock, binds, load, work).await
}

/// A chart with the keys of its rows.
struct Keyed<'a> {
    chart: &'a ReceivedChart,
    coin: i32,
    landing: i64,
}

impl Keyed<'_> {
    fn points(&self) -> PointRows<'_> {
        PointRows {
            coin: self.coin,
            resolution: self.chart.resolution,
            landing: self.landing,
            points: &self.chart.points,
        }
    }
}

/// Names of coins as the run knows them.
async fn insert_names(
    connection: &mut Connection,
    rows: &[Keyed<'_>],
    names: &Names,
    commit: i64,
) -> Result<()> {
    let mut seen = HashSet::new();
    let named = rows.iter().filter(|row| seen.insert(row.coin));
    let named = named.filter_map(|row| {
        let (symbol, name) = names.get(&row.chart.coin)?;
        Some(Name {
            coin: row.coin.into(),
            symbol,
            name: name.as_deref(),
            seen: None,
        })
    });
    names::insert(connection, commit, named.collect()).await
}

/// What fresh charts add to a resolution, counted before the writer's lock is held.
struct Fresh {
    added: SeriesAdded,
    coins: Vec<i32>,
    landings: Vec<i64>,
    /// The commit as of which the coins without a point were counted.
    tallied: i64,
}

impl Fresh {
    /// The same under the writer's lock. The lock of the series keeps other runs from changing whether a coin has points, and
    /// nothing keeps a prune from it.
    async fn counted(mut self, connection: &mut Connection) -> Result<SeriesAdded> {
        let resolution = self.added.resolution;
        if tally::newest(connection, resolution).await? != self.tallied {
            self.added.coins =
                tally::coins_without_points(connection, resolution, &self.coins, &self.landings)
                    .await?;
        }
        Ok(self.added)
    }
}

/// Fresh charts go straight into the table, which needs no look at anything: other writers can be at the same. Says what they
/// add to each resolution that there are points of.
async fn insert_fresh(connection: &mut Connection, rows: &[Keyed<'_>]) -> Result<Vec<Fresh>> {
    let mut all = Vec::new();
    for resolution in Resolution::ALL {
        let with_points: Vec<&Keyed<'_>> = rows
            .iter()
            .filter(|row| row.chart.resolution == resolution && !row.chart.points.is_empty())
            .collect();
        let stamps = || {
            let points = with_points.iter().flat_map(|row| &row.chart.points);
            points.map(|point| point.ts)
        };
        let (Some(first), Some(newest)) = (stamps().min(), stamps().max()) else {
            continue;
        };
        let mut coins: Vec<i32> = with_points.iter().map(|row| row.coin).collect();
        coins.dedup();
        let tallied = tally::newest(connection, resolution).await?;
        let without = tally::coins_without_points(connection, resolution, &coins, &[]).await?;
        let fresh = with_points.iter().filter(|row| row.chart.fresh);
        let fresh: Vec<PointRows<'_>> = fresh.map(|row| row.points()).collect();
        let added = SeriesAdded {
            resolution,
            coins: without,
            points: load(connection, Target::PricePoint, &fresh).await?,
            first,
            newest,
        };
        all.push(Fresh {
            added,
            coins,
            landings: with_points.iter().map(|row| row.landing).collect(),
            tallied,
        });
    }
    Ok(all)
}

/// The others go by way of a temporary table, where what is there already is found. Their bodies have their rows by now.
async fn insert_known(
    connection: &mut Connection,
    rows: &[Keyed<'_>],
    resolution: Resolution,
) -> Result<Stored> {
    let known = rows.iter().filter(|row| !row.chart.fresh);
    let mut known: Vec<&Keyed<'_>> = known
        .filter(|row| row.chart.resolution == resolution)
        .collect();
    let mut stored = Stored::default();
    while !known.is_empty() {
        // one chart of a series at a time, so that a stamp stands in the temporary table only once
        let mut seen = Vec::new();
        let (now, later): (Vec<&Keyed<'_>>, Vec<&Keyed<'_>>) = known.into_iter().partition(|row| {
            let series = (row.coin, row.chart.resolution);
            let first = !seen.contains(&series);
            seen.push(series);
            first
        });
        known = later;
        connection.script(INCOMING).await?;
        let now: Vec<PointRows<'_>> = now.into_iter().map(Keyed::points).collect();
        load(connection, Target::Incoming, &now).await?;
        stored.points += connection.execute(INSERT_NEW.as_str(), vec![]).await?;
        stored.revisions += connection
            .execute(INSERT_REVISIONS.as_str(), vec![])
            .await?;
    }
    Ok(stored)
}

const INCOMING: Sql = Sql {
    postgres: "create temporary table if not exists incoming (coin integer, resolution smallint, ts timestamptz, \
               price double precision, market_cap double precision, volume double precision, landing bigint); \
               truncate incoming",
    sqlite: "create temporary table if not exists incoming (coin integer, resolution integer, ts integer, price real, \
             market_cap real, volume real, landing integer); delete from incoming",
};

/// Points whose stamp is not there yet.
static INSERT_NEW: LazyLock<String> = LazyLock::new(|| {
    format!(
        "insert into price_point ({0}) select i.{1} from incoming i \
         where not exists (select 1 from price_point p \
         where p.coin = i.coin and p.resolution = i.resolution and p.ts = i.ts) \
         order by i.coin, i.resolution, i.ts",
        *COLUMNS,
        COLUMNS.replace(", ", ", i.")
    )
});

/// A value received later than the stored one, and different from it. One that was received earlier (a body recovered from a run
/// that died) tells nothing new. What is looked at are the incoming points' own rows, by their keys: revisions and bodies are as
/// many as were ever stored.
static INSERT_REVISIONS: LazyLock<String> = LazyLock::new(|| {
    let differs = POINT_COLUMNS.map(|column| {
        let name = column.name;
        format!(
            "i.{name} is distinct from case when r.landing is null then p.{name} else r.{name} end"
        )
    });
    format!(
        "insert into price_revision ({0}) select i.{1} from incoming i cross join price_point p \
         left join (select v.*, row_number() over (\
         partition by v.coin, v.resolution, v.ts order by l.\"commit\" desc, l.received_at desc) as place \
         from incoming o cross join price_revision v cross join landing l \
         where v.coin = o.coin and v.resolution = o.resolution and v.ts = o.ts and l.id = v.landing) r \
         on r.coin = i.coin and r.resolution = i.resolution and r.ts = i.ts and r.place = 1 \
         where p.coin = i.coin and p.resolution = i.resolution and p.ts = i.ts and ({2}) \
         and (select l.received_at from landing l where l.id = i.landing) \
         > (select l.received_at from landing l where l.id = coalesce(r.landing, p.landing))",
        *COLUMNS,
        COLUMNS.replace(", ", ", i."),
        differs.join(" or ")
    )
});

fn spans(
    rows: &[Keyed<'_>],
    commit: i64,
    of: fn(&ReceivedChart) -> Vec<Span>,
) -> impl Iterator<Item = SpanRow> {
    rows.iter().flat_map(move |row| {
        of(row.chart).into_iter().map(move |span| SpanRow {
            coin: row.coin,
            resolution: row.chart.resolution,
            span,
            landing: row.landing,
            commit,
        })
    })
}

/// Which coins were asked for, when and with what outcome.
fn visits_of(commit: &SeriesCommit, now: DateTime<Utc>) -> impl Iterator<Item = Visit<'_>> {
    let failed = commit
        .failed
        .iter()
        .map(move |(coin, resolution, said)| Visit {
            coin,
            resolution: *resolution,
            at: now,
            outcome: said,
        });
    let received = commit.charts.iter().map(|chart| Visit {
        coin: &chart.coin,
        resolution: chart.resolution,
        at: chart.landed.received_at,
        outcome: match chart.span {
            Some(_) => "received",
            None => "refused",
        },
    });
    failed.chain(received)
}

async fn insert_refused(connection: &mut Connection, rows: &[Keyed<'_>]) -> Result<u64> {
    let refused = rows.iter().flat_map(|row| {
        let of_chart = row.chart.refused.iter();
        of_chart.map(|record| (row.landing, row.chart.landed.path.as_str(), record))
    });
    quarantine::insert(connection, refused.collect()).await
}
