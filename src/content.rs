//! The content hash: one number for what a slot holds, equal wherever the same quotes are stored.
//! It covers the accepted fields of the API under their natural keys; nothing derived, no keys or times of ours.

use chrono::{DateTime, Utc};
use ring::digest::{Context, SHA256};

use crate::market::{CoinId, Quote, Slot};
use crate::series::{PricePoint, Resolution};

/// SHA-256, in hex, over a slot's quotes in the order of their ids.
///
/// Each field is written as a tag and its value: 0 null; 1 text (length, UTF-8); 2 double (its bits); 3 integer;
/// 4 instant (milliseconds since 1970). Numbers are big-endian. The first field is the slot.
pub fn snapshot_hash<'a>(slot: Slot, quotes: impl IntoIterator<Item = &'a Quote>) -> String {
    let mut quotes: Vec<&Quote> = quotes.into_iter().collect();
    quotes.sort_by(|a, b| a.id.cmp(&b.id));
    let mut hash = Context::new(&SHA256);
    instant(&mut hash, Some(slot.start()));
    for quote in quotes {
        text(&mut hash, Some(quote.id.as_str()));
        text(&mut hash, Some(&quote.symbol));
        text(&mut hash, quote.name.as_deref());
        field(&mut hash, 3, quote.market_cap_rank.map(i64::to_be_bytes));
        for measure in quote.measures {
            field(
                &mut hash,
                2,
                measure.map(|number| number.to_bits().to_be_bytes()),
            );
        }
        instant(&mut hash, quote.ath_date);
        instant(&mut hash, quote.atl_date);
        text(&mut hash, quote.roi_currency.as_deref());
        instant(&mut hash, quote.last_updated);
    }
    hex::encode(hash.finish())
}

/// SHA-256, in hex, over points in the order of their coins and stamps; written as in [`snapshot_hash`], the resolution's
/// minutes first.
pub fn series_hash<'a>(
    resolution: Resolution,
    points: impl IntoIterator<Item = (&'a CoinId, &'a PricePoint)>,
) -> String {
    let mut hash = Context::new(&SHA256);
    let minutes = i64::from(resolution.minutes());
    field(&mut hash, 3, Some(minutes.to_be_bytes()));
    for (coin, point) in points {
        text(&mut hash, Some(coin.as_str()));
        field(&mut hash, 4, Some(point.ts.to_be_bytes()));
        for number in [point.price, point.market_cap, point.volume] {
            let bits = number.map(|number| number.to_bits().to_be_bytes());
            field(&mut hash, 2, bits);
        }
    }
    hex::encode(hash.finish())
}

/// SHA-256, in hex, over the coins of a list in the order of their ids, each with its symbol and name; written as in
/// [`snapshot_hash`].
pub fn listing_hash<'a>(
    coins: impl IntoIterator<Item = (&'a CoinId, &'a str, Option<&'a str>)>,
) -> String {
    let mut coins: Vec<_> = coins.into_iter().collect();
    coins.sort_by_key(|(id, ..)| *id);
    let mut hash = Context::new(&SHA256);
    for (id, symbol, name) in coins {
        text(&mut hash, Some(id.as_str()));
        text(&mut hash, Some(symbol));
        text(&mut hash, name);
    }
    hex::encode(hash.finish())
}

fn field(hash: &mut Context, tag: u8, bytes: Option<[u8; 8]>) {
    match bytes {
        Some(bytes) => {
            hash.update(&[tag]);
            hash.update(&bytes);
        }
        None => hash.update(&[0]),
    }
}

fn instant(hash: &mut Context, instant: Option<DateTime<Utc>>) {
    field(
        hash,
        4,
        instant.map(|instant| instant.timestamp_millis().to_be_bytes()),
    );
}

fn text(hash: &mut Context, text: Option<&str>) {
    field(hash, 1, text.map(|text| (text.len() as u64).to_be_bytes()));
    hash.update(text.unwrap_or_default().as_bytes());
}
