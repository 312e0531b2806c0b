//! Coverage read back: which spans the API has answered for, by coin and resolution. What is outside was never asked.
//! Writing it is the commit's work.

use std::collections::{BTreeMap, HashMap};

use chrono::DateTime;

use super::connection::{Connection, Sql};
use super::ledger::needed;
use super::value::{Row, Value};
use crate::error::Result;
use crate::market::CoinId;
use crate::series::{Resolution, Span, Spans};

/// Every covered span at a resolution, by coin.
pub(super) async fn all(
    connection: &mut Connection,
    resolution: Resolution,
) -> Result<HashMap<CoinId, Spans>> {
    let sql = "select c.id, v.starts_at, v.ends_at from coverage v join coin c on c.key = v.coin \
               where v.resolution = $1 order by v.coin, v.starts_at";
    let values = vec![i64::from(resolution.minutes()).into()];
    let rows = connection.fetch(sql, values).await?;
    by_coin(&rows)
}

const OF_COINS: Sql = Sql {
    postgres: "select c.id, v.starts_at, v.ends_at from coin c join coverage v on v.coin = c.key \
               where c.id in (select json_array_elements_text($2::json)) and v.resolution = $1 \
               and v.starts_at < $4 and v.ends_at > $3 and v.landing <= $5 order by v.coin, v.starts_at",
    sqlite: "select c.id, v.starts_at, v.ends_at from coin c join coverage v on v.coin = c.key \
             where c.id in (select value from json_each($2)) and v.resolution = $1 \
             and v.starts_at < $4 and v.ends_at > $3 and v.landing <= $5 order by v.coin, v.starts_at",
};

/// The covered spans of coins that reach into a span, as they were known at a pin.
pub(super) async fn of_coins(
    connection: &mut Connection,
    resolution: Resolution,
    coins: &[&CoinId],
    span: Span,
    pin: i64,
) -> Result<HashMap<CoinId, Spans>> {
    let values = vec![
        i64::from(resolution.minutes()).into(),
        serde_json::json!(coins).to_string().into(),
        instant(span.start),
        instant(span.end),
        pin.into(),
    ];
    let rows = connection.fetch(OF_COINS, values).await?;
    by_coin(&rows)
}

const ENDS_OF_COINS: Sql = Sql {
    postgres: "select c.id, min(v.starts_at), max(v.ends_at) from coin c join coverage v on v.coin = c.key \
               where c.id in (select json_array_elements_text($3::json)) and v.resolution = $1 and v.landing <= $2 \
               group by c.id",
    sqlite: "select c.id, min(v.starts_at), max(v.ends_at) from coin c join coverage v on v.coin = c.key \
             where c.id in (select value from json_each($3)) and v.resolution = $1 and v.landing <= $2 group by c.id",
};

/// Where the coverage of coins begins and ends, as it was known at a pin; without coins that of all. A coin without any is
/// left out.
pub(super) async fn ends(
    connection: &mut Connection,
    resolution: Resolution,
    coins: &[CoinId],
    pin: i64,
) -> Result<BTreeMap<CoinId, Span>> {
    let mut values = vec![i64::from(resolution.minutes()).into(), pin.into()];
    let rows = if coins.is_empty() {
        let sql = "select c.id, min(v.starts_at), max(v.ends_at) from coin c join coverage v on v.coin = c.key \
                   where v.resolution = $1 and v.landing <= $2 group by c.id";
        connection.fetch(sql, values).await?
    } else {
        values.push(serde_json::json!(coins).to_string().into());
        connection.fetch(ENDS_OF_COINS, values).await?
    };
    rows.iter().map(spanned).collect()
}

fn instant(ts: i64) -> Value {
    Value::Time(DateTime::from_timestamp_millis(ts))
}

fn by_coin(rows: &[Row]) -> Result<HashMap<CoinId, Spans>> {
    let mut coverage: HashMap<CoinId, Spans> = HashMap::new();
    for row in rows {
        let (coin, span) = spanned(row)?;
        coverage.entry(coin).or_default().insert(span);
    }
    Ok(coverage)
}

fn spanned(row: &Row) -> Result<(CoinId, Span)> {
    let coin = CoinId::from_source(needed(row.text(0)?, "coin.id")?);
    let start = needed(row.time(1)?, "coverage.starts_at")?.timestamp_millis();
    let end = needed(row.time(2)?, "coverage.ends_at")?.timestamp_millis();
    Ok((coin, Span { start, end }))
}
