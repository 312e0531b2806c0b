//! Symbols and names of coins, which change and are shared: a row whenever they differ from the row before.
//! The same in both databases; which body they came from is the snapshot database's to say.

use std::collections::HashMap;

use super::connection::{Connection, Sql};
use super::ledger::needed;
use super::value::Row;
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
}

/// Of these names, those that differ from the newest that are stored, each with what came with it. Under the writer's lock.
pub(super) async fn changed<'a, T>(
    connection: &mut Connection,
    mut names: Vec<(Name<'a>, T)>,
) -> Result<Vec<(Name<'a>, T)>> {
    let coins: Vec<i64> = names.iter().map(|(name, _)| name.coin).collect();
    let list = serde_json::json!(coins).to_string();
    let rows = connection.fetch(NEWEST, vec![list.into()]).await?;
    let read = |row: &Row| {
        let names = (needed(row.text(1)?, "coin_name.symbol")?, row.text(2)?);
        Ok((needed(row.int(0)?, "coin_name.coin")?, names))
    };
    let known: HashMap<i64, _> = rows.iter().map(read).collect::<Result<_>>()?;
    names.retain(|(new, _)| {
        known
            .get(&new.coin)
            .is_none_or(|(symbol, name)| symbol != new.symbol || name.as_deref() != new.name)
    });
    Ok(names)
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
