//! Rows of the processed layer as columns with names and kinds, for frames and exports.
//! It knows the columns' names; what is made of them is `frame`'s work.

use super::connection::Connection;
use super::value::{Row, Value};
use crate::error::Result;
use crate::market::Slot;

/// The kind of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// An instant, to the millisecond.
    Time,
}

/// Named columns and their rows.
#[derive(Debug, Clone)]
pub struct Table {
    /// The columns, in order.
    pub columns: &'static [(&'static str, Kind)],
    /// The rows, each with one value a column.
    pub rows: Vec<Vec<Value>>,
}

/// The columns of a quote as people read it.
pub static QUOTE_COLUMNS: [(&str, Kind); 36] = [
    ("slot", Kind::Time),
    ("coin_id", Kind::Text),
    ("symbol", Kind::Text),
    ("name", Kind::Text),
    ("market_cap_rank", Kind::Int),
    ("current_price", Kind::Float),
    ("market_cap", Kind::Float),
    ("fully_diluted_valuation", Kind::Float),
    ("total_volume", Kind::Float),
    ("high_24h", Kind::Float),
    ("low_24h", Kind::Float),
    ("price_change_24h", Kind::Float),
    ("price_change_percentage_24h", Kind::Float),
    ("market_cap_change_24h", Kind::Float),
    ("market_cap_change_percentage_24h", Kind::Float),
    ("circulating_supply", Kind::Float),
    ("total_supply", Kind::Float),
    ("max_supply", Kind::Float),
    ("ath", Kind::Float),
    ("ath_change_percentage", Kind::Float),
    ("atl", Kind::Float),
    ("atl_change_percentage", Kind::Float),
    ("roi_times", Kind::Float),
    ("roi_percentage", Kind::Float),
    ("roi_currency", Kind::Text),
    ("ath_date", Kind::Time),
    ("atl_date", Kind::Time),
    ("observed_at", Kind::Time),
    ("market_cap_category", Kind::Text),
    ("dominance_pct", Kind::Float),
    ("volume_to_cap", Kind::Float),
    ("ath_distance_pct", Kind::Float),
    ("range_volatility_24h_pct", Kind::Float),
    ("liquidity_category", Kind::Text),
    ("trend_category", Kind::Text),
    ("warnings", Kind::Text),
];

const QUOTES: &str = "select q.slot, c.id, \
    (select n.symbol from coin_name n where n.coin = q.coin and n.\"commit\" <= l.\"commit\" order by n.\"commit\" desc limit 1), \
    (select n.name from coin_name n where n.coin = q.coin and n.\"commit\" <= l.\"commit\" order by n.\"commit\" desc limit 1), \
    market_cap_rank, current_price, market_cap, fully_diluted_valuation, total_volume, high_24h, low_24h, \
    price_change_24h, price_change_percentage_24h, market_cap_change_24h, market_cap_change_percentage_24h, \
    circulating_supply, total_supply, max_supply, ath, ath_change_percentage, atl, atl_change_percentage, roi_times, \
    roi_percentage, roi_currency, ath_date, atl_date, observed_at, market_cap_category, dominance_pct, volume_to_cap, \
    ath_distance_pct, range_volatility_24h_pct, liquidity_category, trend_category, warnings \
    from quote q join coin c on c.key = q.coin join landing l on l.id = q.landing \
    where q.slot >= $1 and q.slot < $2 and l.\"commit\" <= $3 \
    order by q.slot, market_cap desc nulls last, c.id";

/// The quotes of the slots from one to before another, by slot and market cap, as they were known at a pin.
pub(crate) async fn quotes(
    connection: &mut Connection,
    from: Slot,
    to: Slot,
    pin: Option<i64>,
) -> Result<Table> {
    let rows = connection
        .fetch(
            QUOTES,
            vec![
                from.start().into(),
                to.start().into(),
                pin.unwrap_or(i64::MAX).into(),
            ],
        )
        .await?;
    let rows = rows
        .iter()
        .map(|row| read(row, &QUOTE_COLUMNS))
        .collect::<Result<_>>()?;
    Ok(Table {
        columns: &QUOTE_COLUMNS,
        rows,
    })
}

fn read(row: &Row, columns: &[(&str, Kind)]) -> Result<Vec<Value>> {
    let value = |(index, (_, kind)): (usize, &(&str, Kind))| {
        Ok(match kind {
            Kind::Text => row.text(index)?.into(),
            Kind::Int => row.int(index)?.into(),
            Kind::Float => row.float(index)?.into(),
            Kind::Time => row.time(index)?.into(),
        })
    };
    columns.iter().enumerate().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Measure;

    #[test]
    fn the_query_reads_the_columns_in_their_order() {
        let asked = QUOTES.split(" from quote q").next().unwrap();
        let mut place = 0;
        for (name, _) in QUOTE_COLUMNS
            .iter()
            .filter(|(name, _)| !["slot", "coin_id", "symbol", "name"].contains(name))
        {
            let found = asked.get(place..).unwrap().find(name).unwrap();
            place += found + name.len();
        }
        for measure in Measure::ALL {
            assert!(
                QUOTE_COLUMNS.contains(&(measure.name(), Kind::Float)),
                "{}",
                measure.name()
            );
        }
    }
}
