//! Reading candles: the points of the coins at the resolutions that fit, as bars of a grid, and what of them is not there.
//! How points become bars, and whose points a bar is made of, is `crate::candles`' to say.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::missing::{Read, Wanted};
use super::pin::{AsOf, Pinned, pinned};
use super::prices::{FAR, check_order, each_once, edge, is_past};
use super::reach::oldest;
use super::{retention, unknown};
use crate::candles::{Chosen, Every, Filling as Bars, Grid, Told, choose};
use crate::config::{Kept, Settings};
use crate::error::{Error, Result};
use crate::frame::{Filler, Filling};
use crate::http;
use crate::market::{CoinId, Column, Kind, Origin};
use crate::series::{Resolution, Span, Spans};
use crate::store::{EmptySpan, PricesQuery, TimeseriesStore};

/// Which candles to read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Candles {
    /// The coins; empty is all of them.
    pub coins: Vec<CoinId>,
    /// How long each candle is.
    pub every: Every,
    /// The zone whose midnights days begin at.
    pub zone: Tz,
    /// Those that begin at this instant or later.
    pub start: Option<DateTime<Utc>>,
    /// Those that begin before this instant.
    pub end: Option<DateTime<Utc>>,
    /// As it was known at this instant, or at this pin.
    pub as_of: Option<AsOf>,
}

/// Coins whose points are read together: many for few ways to a server, few for the memory of their candles.
const AT_ONCE: usize = 25;

/// The columns of a candle, in order.
const COLUMNS: [Column; 11] = [
    Column::new("coin_id", Kind::Category, Origin::Key),
    Column::new("ts", Kind::Time, Origin::Key),
    Column::new("open", Kind::Float, Origin::Derived),
    Column::new("high", Kind::Float, Origin::Derived),
    Column::new("low", Kind::Float, Origin::Derived),
    Column::new("close", Kind::Float, Origin::Derived),
    Column::new("points", Kind::Int, Origin::Derived),
    Column::new("market_cap", Kind::Float, Origin::Derived),
    Column::new("volume_24h", Kind::Float, Origin::Derived),
    Column::new("resolution", Kind::Category, Origin::Derived),
    Column::new("is_partial", Kind::Bool, Origin::Derived),
];

/// Candles by coin and beginning, from five-minute points where those cover the bar and else from hourly ones, never from both; and
/// what of the span is covered by neither. A bar without a point has no candle.
///
/// # Errors
/// [`Error::Argument`] for a span that is empty; [`Error::Data`] for a coin of which nothing is stored that could make such candles, or
/// was known at `as_of`; otherwise as the database gives them.
pub async fn candles(settings: &Settings, wanted: &Candles) -> Result<Read> {
    check_order(wanted.start, wanted.end)?;
    let now = http::now(settings).await;
    let mut store =
        TimeseriesStore::open_existing(&settings.timeseries_url, &settings.vs_currency).await?;
    let read = read(&mut store, settings, wanted, now).await?;
    store.close().await?;
    Ok(read)
}

/// What is stored of the coins at the resolutions together.
#[derive(Default)]
struct Known {
    ends: BTreeMap<CoinId, Span>,
    coverage: HashMap<(CoinId, Resolution), Spans>,
    empty_spans: HashMap<CoinId, Vec<EmptySpan>>,
}

impl Known {
    /// Where a resolution covers a coin.
    fn covered(&self, coin: &CoinId, resolution: Resolution) -> Spans {
        let covered = self.coverage.get(&(coin.clone(), resolution));
        covered.cloned().unwrap_or_default()
    }

    /// Where any resolution covers each coin.
    fn together(&self) -> HashMap<CoinId, Spans> {
        let mut together: HashMap<CoinId, Spans> = HashMap::new();
        for ((coin, _), spans) in &self.coverage {
            let all = together.entry(coin.clone()).or_default();
            spans.iter().for_each(|span| all.insert(span));
        }
        together
    }
}

async fn read(
    store: &mut TimeseriesStore,
    settings: &Settings,
    wanted: &Candles,
    now: DateTime<Utc>,
) -> Result<Read> {
    let grid = Grid::new(wanted.every, wanted.zone);
    let resolutions = wanted.every.resolutions();
    let Some(&coarsest) = resolutions.last() else {
        return Err(Error::argument("no points make candles of this length"));
    };
    let coins = each_once(&wanted.coins);
    let as_of = wanted.as_of.as_ref();
    let Pinned {
        commit,
        known_at,
        mut pin,
    } = pinned(store, as_of, now).await?;
    let pruned = store.pruned(Kept::Points(coarsest)).await?;
    // candles that begin between the bounds, whole
    let first_after = |at| match grid.bar_of(at)? {
        bar if bar.start == at => Ok(at),
        bar => Ok(bar.end),
    };
    let span = Wanted {
        resolution: coarsest,
        start: wanted.start.map(edge).map(first_after).transpose()?,
        end: wanted.end.map(edge).map(first_after).transpose()?,
        settled: coarsest.settled(known_at),
        is_past: is_past(store, as_of, commit).await?,
        oldest: oldest(coarsest, &settings.plan, now),
        pruned: pruned
            .as_ref()
            .map(|pruned| pruned.before.timestamp_millis()),
    };
    for resolution in resolutions {
        let start = span.start.unwrap_or(0);
        if !retention::is_kept(store, as_of, commit, *resolution, start).await? {
            pin = None;
        }
    }
    let known = known(store, resolutions, &coins, span, commit).await?;
    let absent: Vec<&CoinId> = coins
        .iter()
        .filter(|coin| !known.ends.contains_key(coin))
        .collect();
    if known.ends.is_empty() || !absent.is_empty() {
        let pruned = pruned.map(|pruned| retention::points_pruned(coarsest, &pruned));
        let as_of = as_of.map(AsOf::at);
        // of which resolution others are stored, for the error to tell what there is
        let mut stored = coarsest;
        for resolution in resolutions {
            if !store
                .coverage_ends(*resolution, &[], commit)
                .await?
                .is_empty()
            {
                stored = *resolution;
            }
        }
        return Err(unknown::not_stored(settings, store, stored, as_of, &absent, pruned).await);
    }
    let mut missing = span.missing(&known.ends, &known.together(), &known.empty_spans);
    if let Some(pruned) = &pruned {
        let open_until = retention::open_until(pruned, &known.ends, wanted.start, wanted.end);
        retention::in_one(&mut missing, coarsest, pruned, open_until);
    }
    let warning = span.warning(&known.ends, &missing);
    let mut filling = Filling::new(&COLUMNS);
    let wanted = Span {
        start: span.start.unwrap_or(0),
        end: span.end.unwrap_or(FAR),
    };
    let coins: Vec<CoinId> = known.ends.keys().cloned().collect();
    for coins in coins.chunks(AT_ONCE) {
        let mut told: HashMap<&CoinId, Vec<Told>> = HashMap::new();
        for resolution in resolutions {
            let bars = coins.iter().map(|coin| (coin, Bars::new(&grid)));
            let mut bars: HashMap<&CoinId, Bars<'_>> = bars.collect();
            let query = PricesQuery {
                coins: coins.to_vec(),
                resolution: *resolution,
                span: wanted,
                pin: Some(commit),
            };
            store
                .each_point(&query, |coin, point| {
                    bars.get_mut(coin).map_or(Ok(()), |bars| bars.push(point))
                })
                .await?;
            for (coin, bars) in bars {
                told.entry(coin).or_default().push(Told {
                    resolution: *resolution,
                    candles: bars.finish(),
                    coverage: known.covered(coin, *resolution),
                });
            }
        }
        for coin in coins {
            for chosen in choose(told.get(coin).map_or(&[], Vec::as_slice)) {
                fill(&mut filling, coin, &chosen);
            }
        }
    }
    Ok(Read {
        frame: filling.finish()?,
        warning,
        missing,
        pin,
    })
}

/// What is covered at each resolution, the best one first.
async fn known(
    store: &mut TimeseriesStore,
    resolutions: &[Resolution],
    coins: &[CoinId],
    span: Wanted,
    commit: i64,
) -> Result<Known> {
    let mut known = Known::default();
    for resolution in resolutions {
        // where a coin is stored at one of them only, the other's ends are none
        for (coin, own) in store.coverage_ends(*resolution, coins, commit).await? {
            let ends = known.ends.entry(coin).or_insert(own);
            ends.start = ends.start.min(own.start);
            ends.end = ends.end.max(own.end);
        }
    }
    let all = Span {
        start: span.start.unwrap_or(0),
        end: span.end.unwrap_or(FAR),
    };
    let stored: Vec<&CoinId> = known.ends.keys().collect();
    for resolution in resolutions {
        let coverage = store.coverage_of(*resolution, &stored, all, commit).await?;
        for (coin, spans) in coverage {
            known.coverage.insert((coin, *resolution), spans);
        }
        for (coin, empty) in store
            .empty_spans_since(*resolution, all.start, commit)
            .await?
        {
            known.empty_spans.entry(coin).or_default().extend(empty);
        }
    }
    Ok(known)
}

fn fill(filling: &mut Filling, coin: &CoinId, chosen: &Chosen) {
    let candle = &chosen.candle;
    let mut texts = [coin.as_str(), chosen.resolution.name()].into_iter();
    let mut numbers = [
        Some(candle.open),
        Some(candle.high),
        Some(candle.low),
        Some(candle.close),
        candle.market_cap,
        candle.volume_24h,
    ]
    .into_iter();
    for column in filling.columns() {
        match column {
            Filler::Category(values) => values.append_option(texts.next()),
            Filler::Time(values) => values.append_value(candle.span.start),
            Filler::Float(values) => values.append_option(numbers.next().flatten()),
            Filler::Int(values) => values.append_value(candle.points),
            Filler::Bool(values) => values.append_value(chosen.is_partial),
            Filler::Text(_) => {}
        }
    }
    filling.end_row();
}
