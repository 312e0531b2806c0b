//! What the databases hold, in short: each commit writes the sums of the one before and what it adds, so that nobody has to count
//! the facts.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::connection::{Connection, Sql};
use super::ledger::needed;
use crate::error::Result;
use crate::series::Resolution;

/// What a snapshot database holds, in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Holdings {
    /// Slots with anything in them.
    pub snapshots: u64,
    /// Slots with nothing missing.
    pub complete: u64,
    /// Quotes.
    pub quotes: u64,
    /// Coins ever seen.
    pub coins: u64,
    /// Records refused.
    pub quarantined: u64,
    /// The first slot.
    #[serde(rename = "first_snapshot_time", serialize_with = "crate::stamp::stamp")]
    pub first_slot: Option<DateTime<Utc>>,
    /// The newest slot.
    #[serde(
        rename = "newest_snapshot_time",
        serialize_with = "crate::stamp::stamp"
    )]
    pub newest_slot: Option<DateTime<Utc>>,
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

/// What a commit of a slot adds.
#[derive(Debug, Clone, Copy)]
pub(super) struct SlotAdded {
    pub(super) snapshots: i64,
    pub(super) complete: i64,
    pub(super) quotes: u64,
    pub(super) quarantined: u64,
}

/// Counts a commit of a slot. Under the writer's lock.
pub(super) async fn add_slot(
    connection: &mut Connection,
    commit: i64,
    added: SlotAdded,
) -> Result<()> {
    let sql = r#"insert into tally ("commit", snapshots, complete, quotes, quarantined)
        select $1, coalesce(max(t.snapshots), 0) + $2, coalesce(max(t.complete), 0) + $3, coalesce(max(t.quotes), 0) + $4,
        coalesce(max(t.quarantined), 0) + $5 from (select * from tally order by "commit" desc limit 1) t"#;
    let values = vec![
        commit.into(),
        added.snapshots.into(),
        added.complete.into(),
        added.quotes.into(),
        added.quarantined.into(),
    ];
    connection.execute(sql, values).await.map(drop)
}

/// What a commit adds to the series of a resolution.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeriesAdded {
    pub(super) resolution: Resolution,
    pub(super) coins: u64,
    pub(super) points: u64,
    /// The stamps of the first and of the newest point that it brought.
    pub(super) first: i64,
    pub(super) newest: i64,
}

const ADD_SERIES: Sql = Sql {
    postgres: r#"insert into tally (resolution, "commit", coins, points, first_ts, newest_ts)
        select $1, $2, coalesce(max(t.coins), 0) + $3, coalesce(max(t.points), 0) + $4, least(max(t.first_ts), $5),
        greatest(max(t.newest_ts), $6)
        from (select * from tally where resolution = $1 order by "commit" desc limit 1) t"#,
    sqlite: r#"insert into tally (resolution, "commit", coins, points, first_ts, newest_ts)
        select $1, $2, coalesce(max(t.coins), 0) + $3, coalesce(max(t.points), 0) + $4, min(coalesce(max(t.first_ts), $5), $5),
        max(coalesce(max(t.newest_ts), $6), $6)
        from (select * from tally where resolution = $1 order by "commit" desc limit 1) t"#,
};

/// Counts a commit of points. Under the writer's lock.
pub(super) async fn add_series(
    connection: &mut Connection,
    commit: i64,
    added: SeriesAdded,
) -> Result<()> {
    let at = DateTime::from_timestamp_millis;
    let values = vec![
        i64::from(added.resolution.minutes()).into(),
        commit.into(),
        added.coins.into(),
        added.points.into(),
        at(added.first).into(),
        at(added.newest).into(),
    ];
    connection.execute(ADD_SERIES, values).await.map(drop)
}

/// What is left of the series of a resolution after so many points were deleted: their sum is known, and a look at each coin's ends
/// tells the rest. Under the writer's lock.
pub(super) async fn subtract(
    connection: &mut Connection,
    commit: i64,
    resolution: Resolution,
    points: u64,
) -> Result<()> {
    let sql = r#"insert into tally (resolution, "commit", coins, points, first_ts, newest_ts)
        select $1, $2, count(x.first),
        coalesce((select t.points from tally t where t.resolution = $1 order by t."commit" desc limit 1), 0) - $3, min(x.first), max(x.newest) from (
        select (select min(p.ts) from price_point p where p.coin = c.key and p.resolution = $1) as first,
        (select max(p.ts) from price_point p where p.coin = c.key and p.resolution = $1) as newest from coin c) x"#;
    let values = vec![
        i64::from(resolution.minutes()).into(),
        commit.into(),
        points.into(),
    ];
    connection.execute(sql, values).await.map(drop)
}

/// The first stamp that there is at a resolution.
pub(super) async fn first(
    connection: &mut Connection,
    resolution: Resolution,
) -> Result<Option<DateTime<Utc>>> {
    let sql = r#"select first_ts from tally where resolution = $1 order by "commit" desc limit 1"#;
    let values = vec![i64::from(resolution.minutes()).into()];
    let rows = connection.fetch(sql, values).await?;
    Ok(rows.first().map(|row| row.time(0)).transpose()?.flatten())
}

/// The newest commit that changed the sums of a resolution; 0 where none has.
pub(super) async fn newest(connection: &mut Connection, resolution: Resolution) -> Result<i64> {
    let sql = r#"select max("commit") from tally where resolution = $1"#;
    let values = vec![i64::from(resolution.minutes()).into()];
    let rows = connection.fetch(sql, values).await?;
    let newest = rows.first().map(|row| row.int(0)).transpose()?.flatten();
    Ok(newest.unwrap_or_default())
}

const WITHOUT_POINTS: Sql = Sql {
    postgres: "select count(*) from json_array_elements_text($1::json) c (key) where not exists (\
               select 1 from price_point p where p.coin = c.key::integer and p.resolution = $2 \
               and p.landing not in (select l.key::bigint from json_array_elements_text($3::json) l (key)))",
    sqlite: "select count(*) from json_each($1) c where not exists (\
             select 1 from price_point p where p.coin = c.value and p.resolution = $2 \
             and p.landing not in (select l.value from json_each($3) l))",
};

/// How many of these coins have no point at a resolution yet but those of bodies that are being stored.
pub(super) async fn coins_without_points(
    connection: &mut Connection,
    resolution: Resolution,
    coins: &[i32],
    stored_now: &[i64],
) -> Result<u64> {
    let values = vec![
        serde_json::json!(coins).to_string().into(),
        i64::from(resolution.minutes()).into(),
        serde_json::json!(stored_now).to_string().into(),
    ];
    let rows = connection.fetch(WITHOUT_POINTS, values).await?;
    needed(
        rows.first().map(|row| row.count(0)).transpose()?.flatten(),
        "count",
    )
}

/// What a snapshot database holds.
pub(super) async fn of_snapshots(connection: &mut Connection) -> Result<Holdings> {
    let sql = r#"select (select count(*) from coin), (select min(snapshot_time) from snapshot),
        (select max(snapshot_time) from snapshot), t.snapshots, t.complete, t.quotes, t.quarantined
        from (select 1 as one) o left join (select * from tally order by "commit" desc limit 1) t on 1 = 1"#;
    let rows = connection.fetch(sql, vec![]).await?;
    let row = needed(rows.first(), "tally")?;
    let count = |column| Ok::<u64, crate::error::Error>(row.count(column)?.unwrap_or_default());
    Ok(Holdings {
        coins: count(0)?,
        first_slot: row.time(1)?,
        newest_slot: row.time(2)?,
        snapshots: count(3)?,
        complete: count(4)?,
        quotes: count(5)?,
        quarantined: count(6)?,
    })
}

/// What a time series database holds, by resolution.
pub(super) async fn of_series(connection: &mut Connection) -> Result<Vec<SeriesHoldings>> {
    let mut holdings = Vec::new();
    for resolution in Resolution::ALL {
        let sql = r#"select coins, points, first_ts, newest_ts from tally where resolution = $1
            order by "commit" desc limit 1"#;
        let values = vec![i64::from(resolution.minutes()).into()];
        if let Some(row) = connection.fetch(sql, values).await?.first() {
            holdings.push(SeriesHoldings {
                resolution,
                coins: needed(row.count(0)?, "tally.coins")?,
                points: needed(row.count(1)?, "tally.points")?,
                first: row.time(2)?,
                newest: row.time(3)?,
            });
        }
    }
    Ok(holdings)
}
