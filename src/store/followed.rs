//! Whose history is kept, how far it is known to be complete, and what of it was lost.
//! Whose it is to be is the planner's decision; here it is written down and read.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::connection::{Connection, Sql};
use super::coverage::{instant, spanned};
use super::ledger::needed;
use super::value::{Row, Value};
use crate::error::Result;
use crate::market::CoinId;
use crate::series::{Resolution, Span};

/// A stretch of a coin's history that is kept. Instants are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The coin.
    pub coin: CoinId,
    /// From when on.
    pub since: i64,
    /// Until when; `None` where it goes on.
    pub until: Option<i64>,
}

impl Followed {
    /// What of it is owed before an instant, as far as it lies after another.
    pub fn owed(&self, after: i64, before: i64) -> Option<Span> {
        let end = self.until.unwrap_or(i64::MAX).min(before);
        Span::new(self.since.max(after), end)
    }
}

/// Who is followed from an instant on, and who no longer. Instants are milliseconds since 1970.
#[derive(Debug, Default)]
pub struct Changes {
    /// Coins that are followed, and since when.
    pub enters: Vec<(CoinId, i64)>,
    /// Coins that are followed no longer, and until when they were.
    pub leaves: Vec<(CoinId, i64)>,
}

const FOLLOWED: &str = "select coin, starts_at, ends_at from followed where resolution = $1 and ends_at is null \
    union all select coin, starts_at, ends_at from followed where resolution = $1 and ends_at is not null and ends_at > $2 \
    order by 1, 2";

/// The stretches that go on, or ended after an instant, by coin and beginning.
pub(super) async fn since(
    connection: &mut Connection,
    resolution: Resolution,
    ended_after: i64,
) -> Result<Vec<Followed>> {
    let values = vec![minutes(resolution), instant(ended_after)];
    let rows = connection.fetch(FOLLOWED, values).await?;
    let read = |row: &Row| {
        Ok(Followed {
            coin: CoinId::from_source(needed(row.text(0)?, "followed.coin")?),
            since: needed(row.time(1)?, "followed.starts_at")?.timestamp_millis(),
            until: row.time(2)?.map(|at| at.timestamp_millis()),
        })
    };
    rows.iter().map(read).collect()
}

/// How many coins are followed now.
pub(super) async fn count(connection: &mut Connection, resolution: Resolution) -> Result<u64> {
    let sql = "select count(*) from followed where resolution = $1 and ends_at is null";
    let rows = connection.fetch(sql, vec![minutes(resolution)]).await?;
    let count = rows.first().map(|row| row.count(0)).transpose()?.flatten();
    Ok(count.unwrap_or_default())
}

/// Up to when it is known what is covered and what is lost; `None` where nothing was ever followed.
pub(super) async fn judged(
    connection: &mut Connection,
    resolution: Resolution,
) -> Result<Option<i64>> {
    let sql = "select ends_at from judged where resolution = $1";
    let rows = connection.fetch(sql, vec![minutes(resolution)]).await?;
    let until = rows.first().map(|row| row.time(0)).transpose()?.flatten();
    Ok(until.map(|at| at.timestamp_millis()))
}

/// A coin that comes back in the half-hour in which it left goes on.
const ENTER: Sql = Sql {
    postgres: "insert into followed (coin, resolution, starts_at) \
               select x ->> 0, $2::smallint, to_timestamp((x ->> 1)::bigint / 1000.0) from json_array_elements($1::json) as v (x) \
               on conflict (coin, resolution, starts_at) do update set ends_at = null",
    sqlite: "insert into followed (coin, resolution, starts_at) \
             select json_extract(value, '$[0]'), $2, json_extract(value, '$[1]') from json_each($1) where true \
             on conflict (coin, resolution, starts_at) do update set ends_at = null",
};

/// Writes who enters and who leaves. To be called inside a transaction.
pub(super) async fn change(
    connection: &mut Connection,
    resolution: Resolution,
    changes: &Changes,
) -> Result<()> {
    for (coin, until) in &changes.leaves {
        let sql = "update followed set ends_at = case when starts_at > $3 then starts_at else $3 end \
                   where coin = $1 and resolution = $2 and ends_at is null";
        let values = vec![coin.as_str().into(), minutes(resolution), instant(*until)];
        connection.execute(sql, values).await?;
    }
    if !changes.enters.is_empty() {
        let entering = serde_json::json!(changes.enters).to_string();
        let values = vec![entering.into(), minutes(resolution)];
        connection.execute(ENTER, values).await?;
    }
    Ok(())
}

/// Writes what is lost, and up to when that is known. To be called inside a transaction.
pub(super) async fn judge(
    connection: &mut Connection,
    run: &str,
    resolution: Resolution,
    lost: &[(CoinId, Span)],
    until: i64,
    now: DateTime<Utc>,
) -> Result<()> {
    let row = |(coin, span): &(CoinId, Span)| {
        vec![
            coin.as_str().into(),
            minutes(resolution),
            instant(span.start),
            instant(span.end),
            run.into(),
            now.into(),
        ]
    };
    let lost: Vec<Vec<Value>> = lost.iter().map(row).collect();
    let columns = [
        "coin",
        "resolution",
        "starts_at",
        "ends_at",
        "run",
        "noticed_at",
    ];
    connection.insert("lost", &columns, &lost).await?;
    let sql = "insert into judged (resolution, ends_at) values ($1, $2) \
               on conflict (resolution) do update set ends_at = excluded.ends_at where excluded.ends_at > judged.ends_at";
    let values = vec![minutes(resolution), instant(until)];
    connection.execute(sql, values).await.map(drop)
}

/// What is lost and not healed yet, as far as it ends after an instant, by coin and in order.
pub(super) async fn lost(
    connection: &mut Connection,
    since: i64,
) -> Result<HashMap<CoinId, Vec<Span>>> {
    let sql = "select coin, starts_at, ends_at from lost where healed_at is null and ends_at > $1 order by coin, starts_at";
    let rows = connection.fetch(sql, vec![instant(since)]).await?;
    let mut lost: HashMap<CoinId, Vec<Span>> = HashMap::new();
    for row in &rows {
        let (coin, span) = spanned(row)?;
        lost.entry(coin).or_default().push(span);
    }
    Ok(lost)
}

/// True where something is lost and not healed.
pub(super) async fn is_anything_lost(connection: &mut Connection) -> Result<bool> {
    let sql = "select 1 from lost where healed_at is null limit 1";
    Ok(!connection.fetch(sql, vec![]).await?.is_empty())
}

const HEALED: Sql = Sql {
    postgres: "update lost set healed_at = $2 where healed_at is null and (coin, starts_at) in (\
               select x ->> 0, to_timestamp((x ->> 1)::bigint / 1000.0) from json_array_elements($1::json) as v (x))",
    sqlite: "update lost set healed_at = $2 where healed_at is null and (coin, starts_at) in (\
             select json_extract(value, '$[0]'), json_extract(value, '$[1]') from json_each($1))",
};

/// Writes that lost spans are healed.
pub(super) async fn heal(
    connection: &mut Connection,
    spans: &[(CoinId, Span)],
    at: DateTime<Utc>,
) -> Result<()> {
    let spans: Vec<(&CoinId, i64)> = spans
        .iter()
        .map(|(coin, span)| (coin, span.start))
        .collect();
    let spans = serde_json::json!(spans).to_string();
    connection
        .execute(HEALED, vec![spans.into(), at.into()])
        .await
        .map(drop)
}

fn minutes(resolution: Resolution) -> Value {
    i64::from(resolution.minutes()).into()
}
