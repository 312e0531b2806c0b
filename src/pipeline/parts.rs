//! Reads that are larger than memory, as parts that each fit: some coins of prices, some days of quotes, all under one pin.
//! A part is a read like any other; this only says which there are.

use chrono::{DateTime, Utc};

use super::pin::{AsOf, Pinned, pinned};
use super::prices::{self, FAR, Prices, check_order, each_once, edge};
use super::quotes::{self, Quotes};
use crate::config::{Kept, Settings};
use crate::error::{Error, Result};
use crate::http;
use crate::market::{CoinId, Slot};
use crate::series::{Resolution, Span};
use crate::store::{SnapshotStore, TimeseriesStore};

/// How many points a part has at most, unless one coin has more: some 40 MB.
const POINTS: i64 = 1_000_000;

/// How many slots a part has at most: of 1,000 coins, some 16 MB.
const SLOTS: usize = 48;

/// The parts of prices, in the order of the coins' ids, each coin whole.
///
/// # Errors
/// As [`prices::prices`].
pub async fn price_parts(settings: &Settings, wanted: &Prices) -> Result<Vec<Prices>> {
    check_order(wanted.start, wanted.end)?;
    let now = http::now(settings).await;
    let mut store =
        TimeseriesStore::open_existing(&settings.timeseries_url, &settings.vs_currency).await?;
    let Pinned { commit, pin, .. } = pinned(&mut store, wanted.as_of.as_ref(), now).await?;
    let pruned = store.pruned(Kept::Points(wanted.resolution)).await?;
    let coins = each_once(&wanted.coins);
    let ends = prices::stored(
        settings,
        &mut store,
        wanted,
        &coins,
        commit,
        pruned.as_ref(),
    )
    .await?;
    store.close().await?;
    let start = wanted.start.map_or(i64::MIN, edge);
    let end = wanted.end.map_or(FAR, edge);
    let points = ends.into_iter().map(|(coin, own)| {
        let within = Span::new(own.start.max(start), own.end.min(end));
        (coin, most(within, wanted.resolution))
    });
    let part = |coins| Prices {
        coins,
        as_of: pin.clone().map(AsOf::Pin),
        ..wanted.clone()
    };
    Ok(grouped(points).into_iter().map(part).collect())
}

/// The most points that a span can have.
fn most(span: Option<Span>, resolution: Resolution) -> i64 {
    span.map_or(0, |span| span.length() / resolution.step() + 1)
}

/// Coins that follow each other, together as long as they have no more than [`POINTS`].
fn grouped(points: impl Iterator<Item = (CoinId, i64)>) -> Vec<Vec<CoinId>> {
    let mut groups: Vec<(Vec<CoinId>, i64)> = Vec::new();
    for (coin, points) in points {
        match groups.last_mut() {
            Some((coins, sum)) if *sum + points <= POINTS => {
                coins.push(coin);
                *sum += points;
            }
            _ => groups.push((vec![coin], points)),
        }
    }
    groups.into_iter().map(|(coins, _)| coins).collect()
}

/// The parts of a span of quotes, in the order of time.
///
/// # Errors
/// As [`quotes::quotes`], and [`Error::Argument`] for what is no span.
pub async fn quote_parts(settings: &Settings, wanted: &Quotes) -> Result<Vec<Quotes>> {
    if wanted.at.is_some() {
        return Err(Error::argument(
            "the quotes of one instant are one frame: give a span with `start` and `end`",
        ));
    }
    let now = http::now(settings).await;
    let mut store =
        SnapshotStore::open_existing(&settings.snapshot_url, &settings.vs_currency).await?;
    let Pinned {
        commit,
        known_at,
        pin,
    } = pinned(&mut store, wanted.as_of.as_ref(), now).await?;
    let (from, to) = quotes::slots(&mut store, wanted, commit, now).await?;
    store.close().await?;
    // what is still to come is nobody's part
    let to = to.min(Slot::containing(known_at).next());
    let part = |(start, end): (DateTime<Utc>, DateTime<Utc>)| Quotes {
        start: Some(start),
        end: Some(end),
        as_of: pin.clone().map(AsOf::Pin),
        ..wanted.clone()
    };
    Ok(spans(from, to).into_iter().map(part).collect())
}

/// The slots from one to before another, a day's at a time.
fn spans(from: Slot, to: Slot) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let mut spans = Vec::new();
    let mut start = from;
    while start < to {
        let end = (0..SLOTS).fold(start, |slot, _| slot.next()).min(to);
        spans.push((start.start(), end.start()));
        start = end;
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coin(id: &str) -> CoinId {
        id.parse().unwrap()
    }

    #[test]
    fn coins_are_together_as_long_as_they_fit_and_none_is_left_out() {
        let points = [
            ("a", 600_000),
            ("b", 400_000),
            ("c", 1),
            ("d", 5_000_000),
            ("e", 2),
            ("f", 3),
        ];
        let groups = grouped(points.into_iter().map(|(id, points)| (coin(id), points)));
        let ids: Vec<Vec<&str>> = groups
            .iter()
            .map(|group| group.iter().map(CoinId::as_str).collect())
            .collect();
        assert_eq!(ids, [vec!["a", "b"], vec!["c"], vec!["d"], vec!["e", "f"]]);
        assert_eq!(grouped(std::iter::empty()), Vec::<Vec<CoinId>>::new());
    }

    #[test]
    fn spans_follow_each_other_without_a_gap() {
        let slot = |text: &str| Slot::containing(text.parse().unwrap());
        let spans = spans(slot("2026-01-01T10:00:00Z"), slot("2026-01-03T12:30:00Z"));
        assert_eq!(spans.len(), 3);
        assert!(spans.windows(2).all(|two| two[0].1 == two[1].0));
        let ends = (spans[0].0.to_rfc3339(), spans[2].1.to_rfc3339());
        assert_eq!(
            ends,
            (
                "2026-01-01T10:00:00+00:00".to_owned(),
                "2026-01-03T12:30:00+00:00".to_owned()
            )
        );
    }
}
