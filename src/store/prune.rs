//! Deleting what is older than it is kept, in batches that are commits of their own, and the record of it.
//! What is kept and for how long is the pipeline's decision; received bodies are files, and the landing's to delete.

use chrono::{DateTime, TimeDelta, Utc};

use super::connection::Connection;
use super::database::{Database, Tables};
use super::ledger::needed;
use super::tables::TimeseriesStore;
use super::tally;
use super::value::Value;
use crate::clock::Clock;
use crate::config::Kept;
use crate::error::Result;
use crate::failpoint;
use crate::series::Resolution;

/// How many rows one commit deletes, or a few more: the writer's lock is held for less than a second.
const BATCH: u64 = 50_000;

/// How many steps of a resolution one statement deletes at most.
const STEPS: i64 = 10_000;

/// What is to be kept no longer.
#[derive(Debug, Clone, Copy)]
pub struct Horizon {
    /// Points or bodies.
    pub of: Kept,
    /// Those before this instant.
    pub before: DateTime<Utc>,
    /// How many days are kept.
    pub days: u32,
}

/// What was pruned, as its record says.
#[derive(Debug, Clone, Copy)]
pub struct Pruned {
    /// All that was before this instant.
    pub before: DateTime<Utc>,
    /// The first stamp that there was, of points.
    pub first: Option<DateTime<Utc>>,
    /// When.
    pub at: DateTime<Utc>,
    /// How many days were kept.
    pub days: u64,
}

/// How much there is before a horizon, or was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Price points.
    pub points: u64,
    /// Their later values.
    pub revisions: u64,
    /// Received bodies.
    pub bodies: u64,
    /// The bytes of their files.
    pub bytes: u64,
}

impl Amount {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            points: self.points + other.points,
            revisions: self.revisions + other.revisions,
            bodies: self.bodies + other.bodies,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// What the landed bodies of a run are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bodies {
    /// It is at work, or says so.
    InUse,
    /// They are stored, or of no more use.
    Settled,
    /// It died, or failed: a later run may recover some of them.
    Left,
}

/// The number of a resolution, or 0 for the landing.
fn number(of: Kept) -> i64 {
    match of {
        Kept::Points(resolution) => resolution.minutes().into(),
        Kept::Landing => 0,
    }
}

impl<T: Tables> Database<T> {
    /// What was pruned of something, as of the newest horizon.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn pruned(&mut self, of: Kept) -> Result<Option<Pruned>> {
        let sql = r#"select p.before, (select min(f.first_ts) from pruned f where coalesce(f.resolution, 0) = $1),
            coalesce(c.at, r.started_at), p.days
            from pruned p join "commit" c on c.id = p."commit" join run r on r.id = c.run
            where coalesce(p.resolution, 0) = $1 order by p.before desc, p."commit" limit 1"#;
        self.newest_pruned(sql, vec![number(of).into()]).await
    }

    /// What was pruned of something that was known at a pin, as of the newest horizon: such as there was, when it was.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn pruned_after(&mut self, of: Kept, pin: i64) -> Result<Option<Pruned>> {
        let sql = r#"select p.before, p.first_ts, coalesce(c.at, r.started_at), p.days
            from pruned p join "commit" c on c.id = p."commit" join run r on r.id = c.run
            where coalesce(p.resolution, 0) = $1 and p."commit" > $2 and p.first_ts < p.before
            order by p.before desc, p."commit" limit 1"#;
        self.newest_pruned(sql, vec![number(of).into(), pin.into()])
            .await
    }

    async fn newest_pruned(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Option<Pruned>> {
        let rows = self.connection.fetch(sql, values).await?;
        let read = |row: &super::value::Row| {
            Ok(Pruned {
                before: needed(row.time(0)?, "pruned.before")?,
                first: row.time(1)?,
                at: needed(row.time(2)?, "commit.at")?,
                days: needed(row.count(3)?, "pruned.days")?,
            })
        };
        rows.first().map(read).transpose()
    }

    /// Commits that something is not kept before a horizon any more. To be called before anything of it is deleted.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn record_horizon(
        &mut self,
        run: &str,
        horizon: Horizon,
        clock: Clock,
    ) -> Result<()> {
        self.record_pruned(run, horizon, Amount::default(), clock)
            .await?;
        failpoint::pass(failpoint::HORIZON_RECORDED);
        Ok(())
    }

    /// Commits how much was deleted before a horizon.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn record_pruned(
        &mut self,
        run: &str,
        horizon: Horizon,
        amount: Amount,
        clock: Clock,
    ) -> Result<()> {
        let load = async |_: &mut Connection| Ok(());
        let work = async |connection: &mut Connection, (): (), id: i64| {
            insert(connection, id, horizon, amount).await
        };
        self.in_commit(run, clock, false, load, work).await
    }

    /// What the landed bodies of a run are by now; `None` of a run that is not in this ledger.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn bodies_of(&mut self, run: &str) -> Result<Option<Bodies>> {
        let rows = self.connection.fetch(T::BODIES, vec![run.into()]).await?;
        let said = rows.first().map(|row| row.text(0)).transpose()?.flatten();
        Ok(said.map(|said| match said.as_str() {
            "settled" => Bodies::Settled,
            "left" => Bodies::Left,
            _ => Bodies::InUse,
        }))
    }
}

/// The row of a commit that prunes.
async fn insert(
    connection: &mut Connection,
    commit: i64,
    horizon: Horizon,
    amount: Amount,
) -> Result<()> {
    let sql = r#"insert into pruned ("commit", resolution, before, days, first_ts, points, revisions, bodies, bytes)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"#;
    let resolution = match horizon.of {
        Kept::Points(resolution) => Some(resolution),
        Kept::Landing => None,
    };
    let first = match resolution {
        Some(resolution) => tally::first(connection, resolution).await?,
        None => None,
    };
    let values = vec![
        commit.into(),
        resolution.map(|it| i64::from(it.minutes())).into(),
        horizon.before.into(),
        horizon.days.into(),
        first.into(),
        amount.points.into(),
        amount.revisions.into(),
        amount.bodies.into(),
        amount.bytes.into(),
    ];
    connection.execute(sql, values).await.map(drop)
}

impl TimeseriesStore {
    /// How many points there are before a horizon, and how many of their later values.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn points_before(
        &mut self,
        resolution: Resolution,
        before: DateTime<Utc>,
    ) -> Result<Amount> {
        // coin by coin, so that the key finds them
        let sql = "select cast(coalesce(sum((select count(*) from price_point p \
                   where p.coin = c.key and p.resolution = $1 and p.ts < $2)), 0) as bigint), \
                   cast(coalesce(sum((select count(*) from price_revision v \
                   where v.coin = c.key and v.resolution = $1 and v.ts < $2)), 0) as bigint) from coin c";
        let values = vec![i64::from(resolution.minutes()).into(), before.into()];
        let rows = self.connection.fetch(sql, values).await?;
        let row = needed(rows.first(), "count")?;
        Ok(Amount {
            points: needed(row.count(0)?, "count")?,
            revisions: needed(row.count(1)?, "count")?,
            ..Amount::default()
        })
    }

    /// The keys of the coins that have anything before a horizon: points, or spans that are known.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn coins_before(
        &mut self,
        resolution: Resolution,
        before: DateTime<Utc>,
    ) -> Result<Vec<i64>> {
        let sql = "select cast(c.key as bigint) from coin c where exists (select 1 from price_point p \
                   where p.coin = c.key and p.resolution = $1 and p.ts < $2) \
                   or exists (select 1 from coverage v where v.coin = c.key and v.resolution = $1 and v.starts_at < $2) \
                   or exists (select 1 from empty_span e where e.coin = c.key and e.resolution = $1 and e.starts_at < $2) \
                   order by c.key";
        let values = vec![i64::from(resolution.minutes()).into(), before.into()];
        let rows = self.connection.fetch(sql, values).await?;
        rows.iter()
            .map(|row| needed(row.int(0)?, "coin.key"))
            .collect()
    }

    /// Deletes a batch of what some coins have before a horizon, in one commit: the oldest of the first coin first. Coins of which
    /// nothing is left there are taken off the list. At each commit what is covered is what is there.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`]; then nothing of the batch was deleted.
    pub async fn prune_points(
        &mut self,
        run: &str,
        resolution: Resolution,
        horizon: Horizon,
        coins: &mut Vec<i64>,
        clock: Clock,
    ) -> Result<Amount> {
        let queue = coins.clone();
        let load = async |_: &mut Connection| Ok(());
        let work = async |connection: &mut Connection, (): (), id: i64| {
            let (mut amount, mut rows, mut done) = (Amount::default(), 0, 0);
            for &coin in &queue {
                let (is_last, deleted) =
                    delete_some(connection, coin, resolution, horizon.before, &mut amount).await?;
                rows += deleted;
                done += usize::from(is_last);
                failpoint::pass(failpoint::POINTS_HALF_PRUNED);
                if rows >= batch() || !is_last {
                    break;
                }
            }
            insert(connection, id, horizon, amount).await?;
            tally::subtract(connection, id, resolution, amount.points).await?;
            Ok((amount, done))
        };
        let (amount, done) = self.in_commit(run, clock, false, load, work).await?;
        coins.drain(..done.min(coins.len()));
        Ok(amount)
    }
}

/// [`BATCH`], which tests shorten.
fn batch() -> u64 {
    #[cfg(feature = "failpoints")]
    if let Some(rows) = std::env::var("COINMILL_TEST_BATCH")
        .ok()
        .and_then(|text| text.parse().ok())
    {
        return rows;
    }
    BATCH
}

/// Deletes what one coin has before an instant, or the oldest part of it. Says whether that was all, and how many rows it was.
async fn delete_some(
    connection: &mut Connection,
    coin: i64,
    resolution: Resolution,
    before: DateTime<Utc>,
    amount: &mut Amount,
) -> Result<(bool, u64)> {
    let series = || -> Vec<Value> { vec![coin.into(), i64::from(resolution.minutes()).into()] };
    let sql = "select min(x.first) from (\
               select min(ts) as first from price_point where coin = $1 and resolution = $2 union all \
               select min(starts_at) from coverage where coin = $1 and resolution = $2 union all \
               select min(starts_at) from empty_span where coin = $1 and resolution = $2) x";
    let rows = connection.fetch(sql, series()).await?;
    let first = rows.first().map(|row| row.time(0)).transpose()?.flatten();
    let Some(first) = first.filter(|first| *first < before) else {
        return Ok((true, 0));
    };
    let some = first + TimeDelta::milliseconds(resolution.step() * STEPS);
    let until = some.min(before);
    let until_here = || [series(), vec![until.into()]].concat();
    let points = "delete from price_point where coin = $1 and resolution = $2 and ts < $3";
    let revisions = "delete from price_revision where coin = $1 and resolution = $2 and ts < $3";
    let points = connection.execute(points, until_here()).await?;
    let revisions = connection.execute(revisions, until_here()).await?;
    let mut rows = points + revisions;
    for sql in [
        "delete from coverage where coin = $1 and resolution = $2 and starts_at < $3 and ends_at <= $3",
        "update coverage set starts_at = $3 where coin = $1 and resolution = $2 and starts_at < $3",
        "delete from empty_span where coin = $1 and resolution = $2 and starts_at < $3 and ends_at <= $3",
        "update empty_span set starts_at = $3 where coin = $1 and resolution = $2 and starts_at < $3",
    ] {
        rows += connection.execute(sql, until_here()).await?;
    }
    amount.points += points;
    amount.revisions += revisions;
    Ok((until == before, rows))
}
