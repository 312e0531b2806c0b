//! Reading quotes back: a slot's, with each coin's symbol and name as they were known then.
//! Writing them is the commit's work.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use chrono::{DateTime, Utc};

use super::account::Account;
use super::connection::{Connection, Sql};
use super::ledger::needed;
use super::value::{Row, Value};
use crate::derive::Derived;
use crate::error::Result;
use crate::market::{CoinId, MEASURES, Origin, Quote, Slot, beside_keys};

/// A slot's own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotState {
    /// How many coins by market cap were asked for.
    pub top: u64,
    /// Coins expected.
    pub expected: u64,
    /// Records received for them, refused ones included.
    pub received: u64,
    /// `complete` or `partial`.
    pub state: String,
    /// The content hash of its quotes.
    pub content_hash: String,
    /// Who was asked for by name, and who is not there and why.
    pub account: Account,
}

impl SlotState {
    /// True where nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.state == "complete"
    }
}

/// What was known of a slot at a pin (none is now), or `None` where nothing was committed by then.
pub(crate) async fn slot_state(
    connection: &mut Connection,
    slot: Slot,
    pin: Option<i64>,
) -> Result<Option<SlotState>> {
    let sql = "select top, expected, received, state, content_hash, named, missing, unknown, refused, retried \
               from snapshot where snapshot_time = $1 and \"commit\" <= $2 order by \"commit\" desc limit 1";
    let values = vec![slot.start().into(), pin.unwrap_or(i64::MAX).into()];
    let rows = connection.fetch(sql, values).await?;
    rows.first().map(read_state).transpose()
}

fn read_state(row: &Row) -> Result<SlotState> {
    Ok(SlotState {
        top: needed(row.count(0)?, "snapshot.top")?,
        expected: needed(row.count(1)?, "snapshot.expected")?,
        received: needed(row.count(2)?, "snapshot.received")?,
        state: needed(row.text(3)?, "snapshot.state")?,
        content_hash: needed(row.text(4)?, "snapshot.content_hash")?,
        account: Account::read(row, 5)?,
    })
}

/// The slots from one to before another of which anything was known at a pin, in order, each with what was known of it.
pub(crate) async fn slot_states(
    connection: &mut Connection,
    from: Slot,
    to: Slot,
    pin: Option<i64>,
) -> Result<Vec<(Slot, SlotState)>> {
    let sql = "select s.top, s.expected, s.received, s.state, s.content_hash, s.named, s.missing, s.unknown, s.refused, s.retried, \
               s.snapshot_time from snapshot s where s.snapshot_time >= $1 and s.snapshot_time < $2 and s.\"commit\" = (\
               select max(a.\"commit\") from snapshot a where a.snapshot_time = s.snapshot_time and a.\"commit\" <= $3) \
               order by s.snapshot_time";
    let pin = pin.unwrap_or(i64::MAX).into();
    let rows = connection
        .fetch(sql, vec![from.start().into(), to.start().into(), pin])
        .await?;
    let read = |row: &Row| {
        let slot = needed(row.time(10)?, "snapshot.snapshot_time")?;
        Ok((Slot::containing(slot), read_state(row)?))
    };
    rows.iter().map(read).collect()
}

/// The first slot of which anything was known at a pin.
pub(crate) async fn first_slot(
    connection: &mut Connection,
    pin: Option<i64>,
) -> Result<Option<Slot>> {
    let sql = "select min(snapshot_time) from snapshot where \"commit\" <= $1";
    let rows = connection
        .fetch(sql, vec![pin.unwrap_or(i64::MAX).into()])
        .await?;
    let first = rows.first().map(|row| row.time(0)).transpose()?;
    Ok(first.flatten().map(Slot::containing))
}

/// The newest slot of which anything was known at a pin (none is now), of those that began at or before an instant.
pub(crate) async fn newest_slot(
    connection: &mut Connection,
    at: Option<DateTime<Utc>>,
    pin: Option<i64>,
) -> Result<Option<Slot>> {
    let sql =
        "select max(snapshot_time) from snapshot where snapshot_time <= $1 and \"commit\" <= $2";
    let at = at.unwrap_or(LAST);
    let values = vec![at.into(), pin.unwrap_or(i64::MAX).into()];
    let rows = connection.fetch(sql, values).await?;
    Ok(rows
        .first()
        .map(|row| row.time(0))
        .transpose()?
        .flatten()
        .map(Slot::containing))
}

/// Later than any slot: 2200-01-01.
const LAST: DateTime<Utc> = DateTime::from_timestamp_nanos(7_258_118_400_000_000_000);

const BEFORE: Sql = Sql {
    postgres: "select c.id from coin c where c.id in (select json_array_elements_text($1::json)) \
               and exists (select 1 from quote q where q.coin = c.key and q.snapshot_time < $2)",
    sqlite: "select c.id from coin c where c.id in (select value from json_each($1)) \
             and exists (select 1 from quote q where q.coin = c.key and q.snapshot_time < $2)",
};

/// Of these coins, those of which a quote of an earlier slot is stored.
pub(crate) async fn coins_before(
    connection: &mut Connection,
    slot: Slot,
    coins: &[CoinId],
) -> Result<HashSet<CoinId>> {
    if coins.is_empty() {
        return Ok(HashSet::new());
    }
    let list = serde_json::json!(coins).to_string();
    let values = vec![list.into(), slot.start().into()];
    let rows = connection.fetch(BEFORE, values).await?;
    let coin = |row: &Row| Ok(CoinId::from_source(needed(row.text(0)?, "coin.id")?));
    rows.iter().map(coin).collect()
}

/// The slots since an instant, in order, and those of them in which each of these coins has a quote, in order.
pub(crate) async fn presence(
    connection: &mut Connection,
    coins: &[&CoinId],
    since: DateTime<Utc>,
) -> Result<Presence> {
    let sql = "select distinct snapshot_time from snapshot where snapshot_time >= $1 order by 1";
    let slots = connection.fetch(sql, vec![since.into()]).await?;
    let slot = |row: &Row, place| Ok(Slot::containing(needed(row.time(place)?, "snapshot_time")?));
    let mut presence = Presence {
        slots: slots
            .iter()
            .map(|row| slot(row, 0))
            .collect::<Result<_>>()?,
        of_coins: HashMap::new(),
    };
    let list = serde_json::json!(coins).to_string();
    for row in &connection
        .fetch(PRESENCE, vec![list.into(), since.into()])
        .await?
    {
        let coin = CoinId::from_source(needed(row.text(0)?, "coin.id")?);
        let of_coin = presence.of_coins.entry(coin).or_default();
        of_coin.push(slot(row, 1)?);
    }
    Ok(presence)
}

/// Coin by coin, whatever a database believes of their number.
const PRESENCE: Sql = Sql {
    postgres: "select c.id, q.snapshot_time from coin c cross join lateral (\
               select p.snapshot_time from quote p where p.coin = c.key and p.snapshot_time >= $2 offset 0) q \
               where c.id in (select json_array_elements_text($1::json)) order by 1, 2",
    sqlite: "select c.id, q.snapshot_time from coin c cross join quote q on q.coin = c.key \
             where c.id in (select value from json_each($1)) and q.snapshot_time >= $2 order by 1, 2",
};

/// In which slots coins were.
#[derive(Debug, Default)]
pub struct Presence {
    /// The slots that hold anything, in order.
    pub slots: Vec<Slot>,
    /// Those in which a coin has a quote, in order.
    pub of_coins: HashMap<CoinId, Vec<Slot>>,
}

impl Presence {
    /// The first of the slots in a row, up to the newest, in which a coin has a quote.
    pub fn first(&self, coin: &CoinId) -> Option<Slot> {
        let held = self.of_coins.get(coin)?;
        let in_a_row = self.slots.iter().rev().zip(held.iter().rev());
        let in_a_row = in_a_row.take_while(|(slot, held)| slot == held);
        in_a_row.last().map(|(slot, _)| *slot)
    }

    /// The last slot in which a coin has a quote.
    pub fn last(&self, coin: &CoinId) -> Option<Slot> {
        self.of_coins.get(coin)?.last().copied()
    }
}

/// The records refused for a slot, as body and place.
pub(crate) async fn refused_of(
    connection: &mut Connection,
    slot: Slot,
) -> Result<HashSet<(String, u64)>> {
    // the cross joins fix the order, by which a slot's records are found
    let sql = "select z.body, z.record from run r cross join landing l cross join quarantine z \
               where r.slot = $1 and l.run = r.id and z.landing = l.id";
    let rows = connection.fetch(sql, vec![slot.start().into()]).await?;
    let read = |row: &Row| {
        Ok((
            needed(row.text(0)?, "quarantine.body")?,
            needed(row.count(1)?, "quarantine.record")?,
        ))
    };
    rows.iter().map(read).collect()
}

/// A slot's quotes, by market cap, the largest first.
pub(crate) async fn quotes_of(connection: &mut Connection, slot: Slot) -> Result<Vec<Quote>> {
    quotes_until(connection, slot, i64::MAX).await
}

/// A slot's quotes as they were known at a pin.
pub(crate) async fn quotes_until(
    connection: &mut Connection,
    slot: Slot,
    pin: i64,
) -> Result<Vec<Quote>> {
    let values = vec![pin.into(), slot.start().into()];
    let rows = connection.fetch(OF_SLOT.as_str(), values).await?;
    rows.iter().map(quote).collect()
}

/// A quote's market cap rank, and the names of the rules that it breaks, with commas.
pub type RankAndWarnings = (Option<i64>, Option<String>);

/// The warnings of a slot's quotes.
pub(crate) async fn warnings_of(
    connection: &mut Connection,
    slot: Slot,
) -> Result<Vec<RankAndWarnings>> {
    let sql =
        "select cast(market_cap_rank as bigint), warnings from quote where snapshot_time = $1";
    let rows = connection.fetch(sql, vec![slot.start().into()]).await?;
    rows.iter()
        .map(|row| Ok((row.int(0)?, row.text(1)?)))
        .collect()
}

/// The market cap ranks of the newest slot.
pub(crate) async fn newest_ranks(
    connection: &mut Connection,
) -> Result<Vec<(CoinId, Option<i64>)>> {
    let sql = "select c.id, cast(q.market_cap_rank as bigint) from quote q join coin c on c.key = q.coin \
               where q.snapshot_time = (select max(s.snapshot_time) from snapshot s)";
    let rows = connection.fetch(sql, vec![]).await?;
    let read = |row: &Row| {
        let coin = CoinId::from_source(needed(row.text(0)?, "coin.id")?);
        Ok((coin, row.int(1)?))
    };
    rows.iter().map(read).collect()
}

/// How many quotes there are, how many of them have a warning, and how many break each rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Warnings {
    /// Quotes.
    pub quotes: u64,
    /// Quotes with any warning.
    pub warned: u64,
    /// By the names of rules, also of those that are no longer in force.
    pub rules: BTreeMap<String, u64>,
}

/// The warnings of the quotes of the slots in a half-open span, which the key finds.
pub(crate) async fn warnings_between(
    connection: &mut Connection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Warnings> {
    let sql = "select warnings, count(*) from quote where snapshot_time >= $1 and snapshot_time < $2 group by warnings";
    let rows = connection
        .fetch(sql, vec![from.into(), until.into()])
        .await?;
    let mut found = Warnings::default();
    for row in &rows {
        let count = row.count(1)?.unwrap_or(0);
        found.quotes += count;
        let Some(names) = row.text(0)? else { continue };
        found.warned += count;
        for name in names.split(',') {
            *found.rules.entry(name.to_owned()).or_default() += count;
        }
    }
    Ok(found)
}

/// A quote's part of the slot's market cap, as the view has it. Beyond these bounds the quotient may be no number, which
/// PostgreSQL raises.
const DOMINANCE_PCT: &str = "case when s.total_market_cap between 1e-12 and 1e200 and (q.market_cap = 0 or q.market_cap >= 1e-100) \
    then 100.0 * q.market_cap / s.total_market_cap end";

/// The commit that a quote came by. Not a join: to read one slot PostgreSQL would hash all of `landing`.
const KNOWN_BY: &str = "(select l.\"commit\" from landing l where l.id = q.landing)";

/// Reads every column of quotes, in the order of [`quote_columns`], each with the coin's symbol and name as they were known
/// then, at the pin `$1`; which quotes, and in which order, is the caller's to say.
pub(super) static SELECT_QUOTES: LazyLock<String> = LazyLock::new(|| {
    let columns: Vec<String> = beside_keys()
        .map(|column| match column.origin {
            Origin::Read => DOMINANCE_PCT.to_owned(),
            _ => format!("q.{}", column.name),
        })
        .collect();
    format!(
        "select q.snapshot_time, c.id, \
         (select n.symbol from coin_name n where n.coin = q.coin and n.\"commit\" <= {KNOWN_BY} order by n.\"commit\" desc limit 1), \
         (select n.name from coin_name n where n.coin = q.coin and n.\"commit\" <= {KNOWN_BY} order by n.\"commit\" desc limit 1), \
         {} from quote q join coin c on c.key = q.coin left join snapshot s on s.snapshot_time = q.snapshot_time \
         and s.\"commit\" = (\
         select max(a.\"commit\") from snapshot a where a.snapshot_time = q.snapshot_time and a.\"commit\" <= $1) \
         where {KNOWN_BY} <= $1",
        columns.join(", ")
    )
});

static OF_SLOT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{} and q.snapshot_time = $2 order by q.market_cap desc nulls last, c.id",
        *SELECT_QUOTES
    )
});

static NEWEST_OF: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{} and c.id = $2 order by q.snapshot_time desc limit 1",
        *SELECT_QUOTES
    )
});

/// A coin's newest quote and the slot that it is of.
pub(crate) async fn newest_of(
    connection: &mut Connection,
    coin: &CoinId,
) -> Result<Option<(Slot, Quote)>> {
    let values = vec![i64::MAX.into(), coin.as_str().into()];
    let rows = connection.fetch(NEWEST_OF.as_str(), values).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let slot = Slot::containing(needed(row.time(0)?, "quote.snapshot_time")?);
    Ok(Some((slot, quote(row)?)))
}

/// A row of [`SELECT_QUOTES`] as a quote.
fn quote(row: &Row) -> Result<Quote> {
    let mut places = 0..;
    let mut place = || places.next().unwrap_or_default();
    let _snapshot_time = place();
    let id = CoinId::from_source(needed(row.text(place())?, "coin.id")?);
    let symbol = needed(row.text(place())?, "coin_name.symbol")?;
    let name = row.text(place())?;
    let market_cap_rank = row.int(place())?;
    let mut measures = [None; MEASURES];
    for measure in &mut measures {
        *measure = row.float(place())?;
    }
    Ok(Quote {
        id,
        symbol,
        name,
        market_cap_rank,
        measures,
        roi_currency: row.text(place())?,
        ath_date: row.time(place())?,
        atl_date: row.time(place())?,
        last_updated: row.time(place())?,
    })
}

/// What the table `quote` holds of one, in the order of [`stored_columns`].
pub(super) fn stored_values(quote: &Quote, derived: &Derived, warnings: &[&str]) -> Vec<Value> {
    let mut row: Vec<Value> = vec![quote.market_cap_rank.into()];
    row.extend(quote.measures.map(Value::from));
    row.extend([
        quote.roi_currency.clone().into(),
        quote.ath_date.into(),
        quote.atl_date.into(),
        quote.last_updated.into(),
        derived.market_cap_category.into(),
        derived.volume_to_cap.into(),
        derived.ath_distance_pct.into(),
        derived.range_volatility_24h_pct.into(),
        derived.liquidity_category.into(),
        derived.trend_category.into(),
        Some(warnings.join(","))
            .filter(|names| !names.is_empty())
            .into(),
    ]);
    row
}
