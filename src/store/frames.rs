//! Quotes and points as frames, read as they come: no row is held beside the columns that it goes into.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use chrono::{DateTime, Utc};

use super::cells::Cells;
use super::coins;
use super::connection::{Connection, Sql};
use super::ledger::needed;
use super::quotes::SELECT_QUOTES;
use super::value::Value;
use crate::error::Result;
use crate::frame::{Filler, Filling, Frame};
use crate::market::{CoinId, Column, Kind, Origin, Slot, quote_columns};
use crate::series::{POINT_COLUMNS, PricePoint, Resolution, Span};

/// The columns of a quote as people read it.
static QUOTE_COLUMNS: LazyLock<Vec<Column>> = LazyLock::new(|| quote_columns().collect());

static QUOTES: LazyLock<String> = LazyLock::new(|| quotes_where(""));

/// The same of some coins, which are a JSON array.
static QUOTES_OF_POSTGRES: LazyLock<String> =
    LazyLock::new(|| quotes_where(" and c.id in (select json_array_elements_text($4::json))"));
static QUOTES_OF_SQLITE: LazyLock<String> =
    LazyLock::new(|| quotes_where(" and c.id in (select value from json_each($4))"));

fn quotes_where(also: &str) -> String {
    format!(
        "{} and q.snapshot_time >= $2 and q.snapshot_time < $3{also} \
         order by q.snapshot_time, q.market_cap desc nulls last, c.id",
        *SELECT_QUOTES
    )
}

/// The quotes of the slots from one to before another, by slot and market cap, as they were known at a pin; of these coins, where
/// some are named.
pub(super) async fn quotes(
    connection: &mut Connection,
    from: Slot,
    to: Slot,
    pin: Option<i64>,
    coins: &[CoinId],
) -> Result<Frame> {
    let mut values = vec![
        pin.unwrap_or(i64::MAX).into(),
        from.start().into(),
        to.start().into(),
    ];
    let mut sql = Sql::from(QUOTES.as_str());
    if !coins.is_empty() {
        values.push(serde_json::json!(coins).to_string().into());
        sql = Sql {
            postgres: QUOTES_OF_POSTGRES.as_str(),
            sqlite: QUOTES_OF_SQLITE.as_str(),
        };
    }
    filled(connection, sql, values, &QUOTE_COLUMNS).await
}

/// The rows of a statement, whose columns are these in their order.
pub(super) async fn filled(
    connection: &mut Connection,
    sql: impl Into<Sql>,
    values: Vec<Value>,
    columns: &[Column],
) -> Result<Frame> {
    let mut filling = Filling::new(columns);
    connection
        .each(sql, values, |row| {
            for (place, column) in filling.columns().iter_mut().enumerate() {
                fill(column, row, place)?;
            }
            filling.end_row();
            Ok(())
        })
        .await?;
    filling.finish()
}

fn fill(column: &mut Filler, row: &Cells<'_>, place: usize) -> Result<()> {
    match column {
        Filler::Text(values) => values.append_option(row.text(place)?),
        Filler::Category(values) => values.append_option(row.text(place)?),
        Filler::Int(values) => values.append_option(row.int(place)?),
        Filler::Float(values) => values.append_option(row.float(place)?),
        Filler::Time(values) => values.append_option(row.milliseconds(place)?),
        Filler::Bool(values) => values.append_option(row.int(place)?.map(|number| number != 0)),
    }
    Ok(())
}

/// Which points to read.
#[derive(Debug, Clone)]
pub struct PricesQuery {
    /// The coins; empty is all of them.
    pub coins: Vec<CoinId>,
    /// The resolution: they never mix.
    pub resolution: Resolution,
    /// The span.
    pub span: Span,
    /// The newest commit to take account of; none is all of them.
    pub pin: Option<i64>,
}

/// The columns of a point as people read it, in order.
pub fn price_columns() -> impl Iterator<Item = Column> {
    let key = |name, kind| Column {
        name,
        kind,
        origin: Origin::Key,
    };
    let numbers = POINT_COLUMNS.map(|column| Column {
        name: column.name,
        kind: Kind::Float,
        origin: Origin::Source(column.name),
    });
    [key("coin_id", Kind::Category), key("ts", Kind::Time)]
        .into_iter()
        .chain(numbers)
}

/// The points of a span with their newest values, by coin and stamp.
pub(super) async fn prices(connection: &mut Connection, query: &PricesQuery) -> Result<Frame> {
    let mut filling = Filling::new(&price_columns().collect::<Vec<_>>());
    let push = |coin: &CoinId, point: PricePoint| {
        let mut numbers = POINT_COLUMNS.iter();
        for column in filling.columns() {
            match column {
                Filler::Category(coins) => coins.append_option(Some(coin.as_str())),
                Filler::Time(stamps) => stamps.append_value(point.ts),
                Filler::Float(values) => {
                    values.append_option(numbers.next().and_then(|number| (number.of)(&point)));
                }
                Filler::Text(_) | Filler::Int(_) | Filler::Bool(_) => {}
            }
        }
        filling.end_row();
        Ok(())
    };
    each_point(connection, query, push).await?;
    filling.finish()
}

/// Reads the points of one coin on SQLite, which are in the order of the key.
const POINTS_OF_ONE: &str = "select ts, price, market_cap, volume, landing from price_point \
    where coin = $1 and resolution = $2 and ts >= $3 and ts < $4 order by ts";

/// Reads the points of several on PostgreSQL, a coin in each row with its points as arrays: of a row for each point a server, its client and
/// what is between them take twice the time. The place is the coin's among those that are asked for. The landing rows are asked for only
/// where some of them do not count.
static ARRAYS: LazyLock<String> = LazyLock::new(|| arrays(""));
static ARRAYS_WITH_LANDING: LazyLock<String> = LazyLock::new(|| arrays(", array_agg(q.landing)"));

fn arrays(also: &str) -> String {
    let numbers = POINT_COLUMNS.map(|column| format!(", array_agg(q.{})", column.name));
    format!(
        "select c.place, p.* from unnest($1::integer[]) with ordinality c (key, place) cross join lateral (\
         select array_agg(q.ts){}{also} from price_point q where q.coin = c.key and q.resolution = $2 \
         and q.ts >= $3 and q.ts < $4) p",
        numbers.concat()
    )
}

/// Hands over the points of a span, by coin and stamp, with the newest of the values that a pin takes account of.
///
/// Points, their revisions and the bodies that are too new for the pin are read each for themselves, at one moment, and put together
/// here: a plan for all three depends on how many a database believes that there are, and revisions are few.
pub(super) async fn each_point(
    connection: &mut Connection,
    query: &PricesQuery,
    point: impl FnMut(&CoinId, PricePoint) -> Result<()>,
) -> Result<()> {
    let reads = async |connection: &mut Connection| points(connection, query, point).await;
    connection.at_one_moment(reads).await
}

async fn points(
    connection: &mut Connection,
    query: &PricesQuery,
    mut point: impl FnMut(&CoinId, PricePoint) -> Result<()>,
) -> Result<()> {
    let coins = keys(connection, &query.coins).await?;
    let too_new = too_new(connection, query, &coins).await?;
    let revisions = revisions(connection, query, &coins).await?;
    let [start, end] = bounds(query.span);
    let asked = |keys| {
        let resolution = i64::from(query.resolution.minutes()).into();
        vec![keys, resolution, start.clone(), end.clone()]
    };
    let mut each = |(key, coin): &(i64, CoinId), landing: Option<i64>, stored: PricePoint| {
        if landing.is_some_and(|landing| too_new.contains(&landing)) {
            return Ok(());
        }
        let revised = revisions.get(&(*key, stored.ts)).copied();
        point(coin, revised.unwrap_or(stored))
    };
    if connection.is_sqlite() {
        for coin in &coins {
            let row = |row: &Cells<'_>| {
                let landing = needed(row.int(4)?, "price_point.landing")?;
                each(coin, Some(landing), point_of(row, 0)?)
            };
            let values = asked(Value::from(coin.0));
            connection.each(POINTS_OF_ONE, values, row).await?;
        }
        return Ok(());
    }
    let sql = match too_new.is_empty() {
        true => ARRAYS.as_str(),
        false => ARRAYS_WITH_LANDING.as_str(),
    };
    connection
        .each(sql, asked(array(&coins).into()), |row| {
            let place = needed(row.int(0)?, "place")?;
            let place = usize::try_from(place - 1).ok();
            let coin = needed(place.and_then(|place| coins.get(place)), "coin")?;
            let points = row.points(!too_new.is_empty())?;
            points
                .into_iter()
                .try_for_each(|(stored, landing)| each(coin, landing, stored))
        })
        .await
}

/// The point of a row, which has its stamp and its numbers from a column on.
fn point_of(row: &Cells<'_>, first: usize) -> Result<PricePoint> {
    Ok(PricePoint {
        ts: needed(row.milliseconds(first)?, "ts")?,
        price: row.float(first + 1)?,
        market_cap: row.float(first + 2)?,
        volume: row.float(first + 3)?,
    })
}

/// The keys as an array of PostgreSQL's.
fn array(coins: &[(i64, CoinId)]) -> String {
    let keys: Vec<String> = coins.iter().map(|(key, _)| key.to_string()).collect();
    format!("{{{}}}", keys.join(","))
}

pub(super) fn bounds(span: Span) -> [Value; 2] {
    let at = DateTime::from_timestamp_millis;
    [
        at(span.start).unwrap_or(DateTime::<Utc>::MIN_UTC).into(),
        at(span.end).unwrap_or(DateTime::<Utc>::MAX_UTC).into(),
    ]
}

/// The keys of coins, or of all that are there, in the order of their ids.
async fn keys(connection: &mut Connection, coins: &[CoinId]) -> Result<Vec<(i64, CoinId)>> {
    let keys = match coins {
        [] => coins::all(connection).await?,
        named => coins::known(connection, &named.iter().collect::<Vec<_>>()).await?,
    };
    let mut keys: Vec<(i64, CoinId)> = keys.into_iter().map(|(coin, key)| (key, coin)).collect();
    keys.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(keys)
}

/// The bodies of commits after a pin that cover some of a span of coins. No point lies outside of what its body covers.
const TOO_NEW: Sql = Sql {
    postgres: "select v.landing from unnest($1::integer[]) c (key) cross join lateral (\
               select * from coverage v where v.coin = c.key and v.resolution = $2 and v.ends_at > $3 and v.starts_at < $4 \
               and v.\"commit\" > $5 offset 0) v",
    sqlite: "select v.landing from json_each($1) c cross join coverage v where v.coin = c.value and v.resolution = $2 \
             and v.ends_at > $3 and v.starts_at < $4 and v.\"commit\" > $5",
};

/// The landing rows of points that a pin takes no account of.
async fn too_new(
    connection: &mut Connection,
    query: &PricesQuery,
    coins: &[(i64, CoinId)],
) -> Result<HashSet<i64>> {
    let mut too_new = HashSet::new();
    if let Some(pin) = query.pin {
        connection
            .each(TOO_NEW, asked(connection, query, coins, pin), |row| {
                too_new.insert(needed(row.int(0)?, "coverage.landing")?);
                Ok(())
            })
            .await?;
    }
    Ok(too_new)
}

/// Coins, resolution, span and pin, as statements about several coins want them.
fn asked(
    connection: &Connection,
    query: &PricesQuery,
    coins: &[(i64, CoinId)],
    pin: i64,
) -> Vec<Value> {
    let keys: Vec<i64> = coins.iter().map(|(key, _)| *key).collect();
    let list = match connection.is_sqlite() {
        true => serde_json::json!(keys).to_string(),
        false => array(coins),
    };
    let [start, end] = bounds(query.span);
    let resolution = i64::from(query.resolution.minutes()).into();
    vec![list.into(), resolution, start, end, pin.into()]
}

/// The revisions of coins in a span, as a pin takes account of them, the newest last.
const REVISIONS: Sql = Sql {
    postgres: "select cast(v.coin as bigint), v.ts, v.price, v.market_cap, v.volume from price_revision v \
               join landing l on l.id = v.landing where v.coin = any ($1::integer[]) \
               and v.resolution = $2 and v.ts >= $3 and v.ts < $4 and l.\"commit\" <= $5 order by l.\"commit\", l.received_at",
    sqlite: "select v.coin, v.ts, v.price, v.market_cap, v.volume from price_revision v \
             join landing l on l.id = v.landing where v.coin in (select value from json_each($1)) \
             and v.resolution = $2 and v.ts >= $3 and v.ts < $4 and l.\"commit\" <= $5 order by l.\"commit\", l.received_at",
};

/// The newest revisions of points, by the coin's key and the stamp.
async fn revisions(
    connection: &mut Connection,
    query: &PricesQuery,
    coins: &[(i64, CoinId)],
) -> Result<HashMap<(i64, i64), PricePoint>> {
    let values = asked(connection, query, coins, query.pin.unwrap_or(i64::MAX));
    let mut revisions = HashMap::new();
    connection
        .each(REVISIONS, values, |row| {
            let key = needed(row.int(0)?, "price_revision.coin")?;
            let revised = point_of(row, 1)?;
            revisions.insert((key, revised.ts), revised);
            Ok(())
        })
        .await?;
    Ok(revisions)
}
