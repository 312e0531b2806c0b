//! Which spans of which charts are covered, and in which a chart was empty; what is in neither was
//! never fetched. What a chart is worth is decided by the pipeline; here it is written and read.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use chrono::{DateTime, Utc};

use super::connection::{Connection, Sql};
use super::ledger::needed;
use super::value::{Row, Value};
use crate::error::Result;
use crate::market::CoinId;
use crate::series::{Resolution, Span, Spans};

/// A span of a chart, with the keys of its row.
pub(super) struct SpanRow {
    pub(super) coin: i32,
    pub(super) resolution: Resolution,
    pub(super) span: Span,
    pub(super) landing: i64,
    pub(super) commit: i64,
}

/// Writes spans that are covered.
pub(super) async fn insert_covered(
    connection: &mut Connection,
    spans: impl Iterator<Item = SpanRow>,
) -> Result<()> {
    let rows: Vec<Vec<Value>> = spans.map(values_of).collect();
    connection.insert("coverage", &COLUMNS, &rows).await
}

/// Writes spans for which a chart has no points though it should, or none that are accepted.
pub(super) async fn insert_empty(
    connection: &mut Connection,
    spans: impl Iterator<Item = SpanRow>,
    is_refused: bool,
) -> Result<()> {
    let rows: Vec<Vec<Value>> = spans
        .map(|span| {
            let mut row = values_of(span);
            row.push(i32::from(is_refused).into());
            row
        })
        .collect();
    let columns: Vec<&str> = COLUMNS.into_iter().chain(["is_refused"]).collect();
    connection.insert("empty_span", &columns, &rows).await
}

const COLUMNS: [&str; 6] = [
    "coin",
    "resolution",
    "starts_at",
    "ends_at",
    "landing",
    "\"commit\"",
];

fn values_of(row: SpanRow) -> Vec<Value> {
    vec![
        row.coin.into(),
        i32::from(row.resolution.minutes()).into(),
        instant(row.span.start),
        instant(row.span.end),
        row.landing.into(),
        row.commit.into(),
    ]
}

/// The covered spans at a resolution that end after an instant, by coin.
pub(super) async fn since(
    connection: &mut Connection,
    resolution: Resolution,
    since: i64,
) -> Result<HashMap<CoinId, Spans>> {
    let sql = "select c.id, v.starts_at, v.ends_at from coverage v join coin c on c.key = v.coin \
               where v.resolution = $1 and v.ends_at > $2 order by v.coin, v.starts_at";
    let values = vec![i64::from(resolution.minutes()).into(), instant(since)];
    let rows = connection.fetch(sql, values).await?;
    by_coin(&rows)
}

/// Coin by coin, whatever a database believes of their number.
const OF_COINS: Sql = Sql {
    postgres: "select c.id, v.starts_at, v.ends_at from coin c cross join lateral (\
               select * from coverage v where v.coin = c.key and v.resolution = $1 and v.starts_at < $4 and v.ends_at > $3 \
               and v.\"commit\" <= $5 offset 0) v where c.id in (select json_array_elements_text($2::json))",
    sqlite: "select c.id, v.starts_at, v.ends_at from coin c cross join coverage v on v.coin = c.key \
             where c.id in (select value from json_each($2)) and v.resolution = $1 \
             and v.starts_at < $4 and v.ends_at > $3 and v.\"commit\" <= $5",
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

/// Two looks at an index for each coin.
const ENDS: &str = "select c.id, \
    (select v.starts_at from coverage v where v.coin = c.key and v.resolution = $1 and v.\"commit\" <= $2 \
    order by v.starts_at limit 1) as starts_at, \
    (select v.ends_at from coverage v where v.coin = c.key and v.resolution = $1 and v.\"commit\" <= $2 \
    order by v.ends_at desc limit 1) as ends_at from coin c";

static ENDS_OF_COINS: LazyLock<[String; 2]> = LazyLock::new(|| {
    [
        "json_array_elements_text($3::json)",
        "value from json_each($3)",
    ]
    .map(|list| format!("{ENDS} where c.id in (select {list})"))
});

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
        connection.fetch(ENDS, values).await?
    } else {
        values.push(serde_json::json!(coins).to_string().into());
        let [postgres, sqlite] = &*ENDS_OF_COINS;
        connection.fetch(Sql { postgres, sqlite }, values).await?
    };
    let covered = rows.iter().map(|row| match row.time(1)? {
        None => Ok(None),
        Some(_) => spanned(row).map(Some),
    });
    covered.filter_map(Result::transpose).collect()
}

/// A span that a chart left empty though it should have points there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmptySpan {
    /// The span.
    pub span: Span,
    /// When the chart was received.
    pub received_at: DateTime<Utc>,
    /// True where the chart had points that were refused.
    pub is_refused: bool,
}

/// The spans that charts of a resolution left empty, by coin, as they were known at a pin.
pub(super) async fn empty_since(
    connection: &mut Connection,
    resolution: Resolution,
    since: i64,
    pin: i64,
) -> Result<HashMap<CoinId, Vec<EmptySpan>>> {
    let sql = "select c.id, e.starts_at, e.ends_at, l.received_at, cast(e.is_refused as bigint) from empty_span e \
               join coin c on c.key = e.coin join landing l on l.id = e.landing \
               where e.resolution = $1 and e.ends_at > $2 and e.\"commit\" <= $3 order by e.\"commit\", l.received_at";
    let values = vec![
        i64::from(resolution.minutes()).into(),
        instant(since),
        pin.into(),
    ];
    let mut empty_spans: HashMap<CoinId, Vec<EmptySpan>> = HashMap::new();
    for row in &connection.fetch(sql, values).await? {
        let (coin, span) = spanned(row)?;
        empty_spans.entry(coin).or_default().push(EmptySpan {
            span,
            received_at: needed(row.time(3)?, "landing.received_at")?,
            is_refused: row.int(4)? == Some(1),
        });
    }
    Ok(empty_spans)
}

pub(super) fn instant(ts: i64) -> Value {
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

pub(super) fn spanned(row: &Row) -> Result<(CoinId, Span)> {
    let coin = CoinId::from_source(needed(row.text(0)?, "coin.id")?);
    let start = needed(row.time(1)?, "coverage.starts_at")?.timestamp_millis();
    let end = needed(row.time(2)?, "coverage.ends_at")?.timestamp_millis();
    Ok((coin, Span { start, end }))
}
