//! A frame of prices for the tests of what is computed of one.
//! It is in no release.

use super::{Filler, Filling, Frame};
use crate::market::{Column, Kind, Origin};

/// Rows of a coin, an instant and a price.
pub(super) fn prices(rows: &[(&str, i64, Option<f64>)]) -> Frame {
    let column = |name, kind| Column {
        name,
        kind,
        origin: Origin::Read,
    };
    let columns = [
        column("coin_id", Kind::Category),
        column("ts", Kind::Time),
        column("price", Kind::Float),
    ];
    let mut filling = Filling::new(&columns);
    for (coin, ts, price) in rows {
        for column in filling.columns() {
            match column {
                Filler::Category(values) => values.append_option(Some(coin)),
                Filler::Time(values) => values.append_value(*ts),
                Filler::Float(values) => values.append_option(*price),
                Filler::Text(_) | Filler::Int(_) | Filler::Bool(_) => {}
            }
        }
        filling.end_row();
    }
    filling.finish().unwrap()
}
