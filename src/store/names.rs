//! Symbols and names of coins, which change and are shared: a row whenever they differ from the row before.
//! The same in both databases; which body they came from is the snapshot database's to say.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::connection::{Connection, Sql};
use super::ledger::needed;
use super::value::{Row, Value};
use crate::error::Result;
use crate::market::CoinId;

const NEWEST: Sql = Sql {
    postgres: "select cast(n.coin as bigint), n.symbol, n.name from coin_name n where n.coin in \
               (select json_array_elements_text($1::json)::integer) \
               and n.\"commit\" = (select max(m.\"commit\") from coin_name m where m.coin = n.coin)",
    sqlite: "select n.coin, n.symbol, n.name from coin_name n where n.coin in (select value from json_each($1)) \
             and n.\"commit\" = (select max(m.\"commit\") from coin_name m where m.coin = n.coin)",
};

/// A coin's symbol and name, under its key.
pub(super) struct Name<'a> {
    pub(super) coin: i64,
    pub(super) symbol: &'a str,
    pub(super) name: Option<&'a str>,
    /// The landing row of the body that it came from, and when that was received: only the snapshot database knows.
    pub(super) seen: Option<(i64, DateTime<Utc>)>,
}

/// Stores, of these names, those that differ from the newest that are stored. Under the writer's lock.
pub(super) async fn insert(
    connection: &mut Connection,
    commit: i64,
    mut names: Vec<Name<'_>>,
) -> Result<()> {
    let coins: Vec<i64> = names.iter().map(|name| name.coin).collect();
    let list = serde_json::json!(coins).to_string();
    let rows = connection.fetch(NEWEST, vec![list.into()]).await?;
    let read = |row: &Row| {
        let names = (needed(row.text(1)?, "coin_name.symbol")?, row.text(2)?);
        Ok((needed(row.int(0)?, "coin_name.coin")?, names))
    };
    let known: HashMap<i64, _> = rows.iter().map(read).collect::<Result<_>>()?;
    names.retain(|new| {
        known
            .get(&new.coin)
            .is_none_or(|(symbol, name)| symbol != new.symbol || name.as_deref() != new.name)
    });
    let mut columns = vec!["coin", "\"commit\"", "symbol", "name"];
    if names.iter().any(|name| name.seen.is_some()) {
        columns.extend(["landing", "seen_at"]);
    }
    let rows: Vec<Vec<Value>> = names
        .into_iter()
        .map(|new| {
            let mut row: Vec<Value> = vec![
                new.coin.into(),
                commit.into(),
                new.symbol.into(),
                new.name.map(str::to_owned).into(),
            ];
            if let Some((landing, seen_at)) = new.seen {
                row.extend([landing.into(), seen_at.into()]);
            }
            row
        })
        .collect();
    connection.insert("coin_name", &columns, &rows).await
}

/// Symbols and names by coin.
pub(super) type Names = HashMap<CoinId, (String, Option<String>)>;

/// A coin's id with its newest symbol and name.
pub type Named = (CoinId, String, Option<String>);

/// Every coin with its newest symbol and name, in the order in which they were first seen, which begins with the largest.
pub(super) async fn all(connection: &mut Connection) -> Result<Vec<Named>> {
    let sql = "select c.id, n.symbol, n.name from coin_name n join coin c on c.key = n.coin \
               where n.\"commit\" = (select max(m.\"commit\") from coin_name m where m.coin = n.coin) order by c.key";
    let rows = connection.fetch(sql, vec![]).await?;
    let read = |row: &Row| {
        let coin = CoinId::from_source(needed(row.text(0)?, "coin.id")?);
        let symbol = needed(row.text(1)?, "coin_name.symbol")?;
        Ok((coin, symbol, row.text(2)?))
    };
    rows.iter().map(read).collect()
}
