//! Coins under their surrogate keys. The same in both databases, but that a key has 32 bits where points refer to it.
//! Symbols and names are not known here.

use std::collections::HashMap;

use super::connection::{Connection, Sql};
use super::ledger::needed;
use super::lock;
use super::value::Row;
use crate::error::Result;
use crate::market::CoinId;

const KNOWN: Sql = Sql {
    postgres: "select cast(key as bigint), id from coin where id in (select json_array_elements_text($1::json))",
    sqlite: "select key, id from coin where id in (select value from json_each($1))",
};

const NEW: Sql = Sql {
    postgres: "insert into coin (key, id) select (x.value ->> 0)::bigint, x.value ->> 1 \
               from json_array_elements($1::json) as x (value)",
    sqlite: "insert into coin (key, id) select json_extract(value, '$[0]'), json_extract(value, '$[1]') from json_each($1)",
};

/// The keys of coins; those that are new get the next ones, under the writer's lock, which keeps others from taking the same.
/// To be called inside a transaction.
pub(super) async fn keys(
    connection: &mut Connection,
    ids: &[&CoinId],
) -> Result<HashMap<CoinId, i64>> {
    let keys = known(connection, ids).await?;
    if ids.iter().all(|id| keys.contains_key(*id)) {
        return Ok(keys);
    }
    lock::writer(connection).await?;
    // another writer may have been first
    let mut keys = known(connection, ids).await?;
    let mut next = highest(connection, "select cast(max(key) as bigint) from coin").await?;
    let mut new = Vec::new();
    for id in ids {
        if !keys.contains_key(*id) {
            next += 1;
            keys.insert((*id).clone(), next);
            new.push((next, *id));
        }
    }
    if !new.is_empty() {
        let new = serde_json::json!(new).to_string();
        connection.execute(NEW, vec![new.into()]).await?;
    }
    Ok(keys)
}

/// The keys of coins, as far as they are there.
pub(super) async fn known(
    connection: &mut Connection,
    ids: &[&CoinId],
) -> Result<HashMap<CoinId, i64>> {
    let list = serde_json::json!(ids).to_string();
    read_keys(&connection.fetch(KNOWN, vec![list.into()]).await?)
}

/// Those of some coins of which nothing was ever stored.
pub(super) async fn never_stored(
    connection: &mut Connection,
    coins: &[CoinId],
) -> Result<Vec<CoinId>> {
    let known = known(connection, &coins.iter().collect::<Vec<_>>()).await?;
    let unknown = coins.iter().filter(|coin| !known.contains_key(*coin));
    Ok(unknown.cloned().collect())
}

/// The keys of all coins.
pub(super) async fn all(connection: &mut Connection) -> Result<HashMap<CoinId, i64>> {
    let sql = "select cast(key as bigint), id from coin";
    read_keys(&connection.fetch(sql, vec![]).await?)
}

fn read_keys(rows: &[Row]) -> Result<HashMap<CoinId, i64>> {
    let read = |row: &Row| {
        let coin = CoinId::from_source(needed(row.text(1)?, "coin.id")?);
        Ok((coin, needed(row.int(0)?, "coin.key")?))
    };
    rows.iter().map(read).collect()
}

/// The highest number of a column, to count on from. The writer's lock keeps others from doing the same.
pub(super) async fn highest(connection: &mut Connection, sql: &'static str) -> Result<i64> {
    let rows = connection.fetch(sql, vec![]).await?;
    Ok(rows
        .first()
        .map(|row| row.int(0))
        .transpose()?
        .flatten()
        .unwrap_or_default())
}
