//! Later values of points, each with the one that it replaced: the table `price_revision` as a frame.
//! Which value a read shows is decided in `frames`.

use super::connection::{Connection, Sql};
use super::frames;
use super::value::Value;
use crate::error::Result;
use crate::frame::Frame;
use crate::market::{CoinId, Column, Kind, Origin};
use crate::series::{Resolution, Span};

/// Which revisions to read.
#[derive(Debug, Clone)]
pub struct RevisionsQuery {
    /// The coins; empty is all of them.
    pub coins: Vec<CoinId>,
    /// Only this resolution.
    pub resolution: Option<Resolution>,
    /// The span of the points' stamps.
    pub span: Span,
}

/// The columns, in the order of the statement's.
const COLUMNS: [Column; 12] = [
    Column::new("coin_id", Kind::Category, Origin::Key),
    Column::new("resolution", Kind::Category, Origin::Key),
    Column::new("ts", Kind::Time, Origin::Key),
    Column::new("price", Kind::Float, Origin::Source("price")),
    Column::new("market_cap", Kind::Float, Origin::Source("market_cap")),
    Column::new("volume", Kind::Float, Origin::Source("volume")),
    Column::new("replaced_price", Kind::Float, Origin::Read),
    Column::new("replaced_market_cap", Kind::Float, Origin::Read),
    Column::new("replaced_volume", Kind::Float, Origin::Read),
    Column::new("received_at", Kind::Time, Origin::Key),
    Column::new("run", Kind::Category, Origin::Key),
    Column::new("body", Kind::Category, Origin::Key),
];

/// Each revision with the one before it, or with the point where it is the first. The span is asked for inside, since all revisions
/// of a point have its stamp.
macro_rules! select {
    ($coins:literal) => {
        concat!(
            "select c.id, r.name, v.ts, v.price, v.market_cap, v.volume, \
             case when v.place = 1 then p.price else v.replaced_price end, \
             case when v.place = 1 then p.market_cap else v.replaced_market_cap end, \
             case when v.place = 1 then p.volume else v.replaced_volume end, \
             v.received_at, v.run, v.path \
             from (select w.*, l.received_at, l.run, l.path, l.\"commit\" as commit_id, row_number() over s as place, \
             lag(w.price) over s as replaced_price, lag(w.market_cap) over s as replaced_market_cap, \
             lag(w.volume) over s as replaced_volume \
             from price_revision w join landing l on l.id = w.landing where w.ts >= $1 and w.ts < $2 \
             window s as (partition by w.coin, w.resolution, w.ts order by l.\"commit\", l.received_at)) v \
             join coin c on c.key = v.coin join resolution r on r.minutes = v.resolution \
             left join price_point p on p.coin = v.coin and p.resolution = v.resolution and p.ts = v.ts \
             where ($3 = 0 or v.resolution = $3) and ($4 = 1 or c.id in (",
            $coins,
            ")) order by c.id, v.resolution, v.ts, v.commit_id, v.received_at"
        )
    };
}

const REVISIONS: Sql = Sql {
    postgres: select!("select json_array_elements_text($5::json)"),
    sqlite: select!("select value from json_each($5)"),
};

/// The revisions of points, by coin, resolution and stamp, and those of one point in the order in which they became known.
pub(super) async fn revisions(
    connection: &mut Connection,
    query: &RevisionsQuery,
) -> Result<Frame> {
    let [start, end] = frames::bounds(query.span);
    let minutes = query.resolution.map_or(0, Resolution::minutes);
    let all = i64::from(query.coins.is_empty());
    let list = serde_json::json!(query.coins).to_string();
    let values: Vec<Value> = vec![
        start,
        end,
        i64::from(minutes).into(),
        all.into(),
        list.into(),
    ];
    frames::filled(connection, REVISIONS, values, &COLUMNS).await
}
