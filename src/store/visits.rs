//! When coins were last asked for, and with what outcome: whose turn it is is decided by the pipeline.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

use super::connection::{Connection, Sql};
use super::ledger::needed;
use super::value::Row;
use crate::error::Result;
use crate::market::CoinId;
use crate::series::Resolution;

/// One time that a coin was asked for.
pub(super) struct Visit<'a> {
    pub(super) coin: &'a CoinId,
    pub(super) resolution: Resolution,
    /// When its response came: a body that was landed long ago, and is stored now, says nothing of whose turn it is.
    pub(super) at: DateTime<Utc>,
    pub(super) outcome: &'a str,
}

const NOTE: Sql = Sql {
    postgres: "insert into visit (coin, resolution, visited_at, outcome) \
               select x ->> 0, (x ->> 1)::smallint, to_timestamp((x ->> 2)::bigint / 1000.0), x ->> 3 \
               from json_array_elements($1::json) as v (x) \
               on conflict (coin, resolution) do update set visited_at = excluded.visited_at, outcome = excluded.outcome \
               where excluded.visited_at >= visit.visited_at",
    sqlite: "insert into visit (coin, resolution, visited_at, outcome) \
             select json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), \
             json_extract(value, '$[3]') from json_each($1) where true \
             on conflict (coin, resolution) do update set visited_at = excluded.visited_at, outcome = excluded.outcome \
             where excluded.visited_at >= visit.visited_at",
};

/// Notes visits; the newest of each coin stands.
pub(super) async fn note<'a>(
    connection: &mut Connection,
    visits: impl Iterator<Item = Visit<'a>>,
) -> Result<()> {
    let mut newest: BTreeMap<(&CoinId, i16), (i64, &str)> = BTreeMap::new();
    for visit in visits {
        let row = (visit.at.timestamp_millis(), visit.outcome);
        let key = (visit.coin, visit.resolution.minutes());
        let stands = newest.entry(key).or_insert(row);
        if row.0 >= stands.0 {
            *stands = row;
        }
    }
    if newest.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = newest
        .iter()
        .map(|((coin, minutes), (at, outcome))| (coin, minutes, at, outcome))
        .collect();
    let rows = serde_json::json!(rows).to_string();
    connection.execute(NOTE, vec![rows.into()]).await.map(drop)
}

/// When each coin was last asked for at a resolution.
pub(super) async fn newest(
    connection: &mut Connection,
    resolution: Resolution,
) -> Result<HashMap<CoinId, DateTime<Utc>>> {
    let sql = "select coin, visited_at from visit where resolution = $1";
    let values = vec![i64::from(resolution.minutes()).into()];
    let rows = connection.fetch(sql, values).await?;
    let read = |row: &Row| {
        let coin = CoinId::from_source(needed(row.text(0)?, "visit.coin")?);
        Ok((coin, needed(row.time(1)?, "visit.visited_at")?))
    };
    rows.iter().map(read).collect()
}
