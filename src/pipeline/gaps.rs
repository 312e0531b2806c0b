//! Where price history has gaps, and why: coin by coin, with their part of what is owed.
//! Which spans these are is the database's view; here they are summed.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::status::timeseries;
use super::unknown::never_stored;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::http;
use crate::market::CoinId;
use crate::series::{Resolution, Span, Spans, days};
use crate::store::{Gap, Owed, TimeseriesStore};

/// Which gaps to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Gaps {
    /// Only these coins; empty is all.
    pub coins: Vec<CoinId>,
    /// Only this resolution.
    pub resolution: Option<Resolution>,
    /// From this instant on.
    pub start: Option<DateTime<Utc>>,
    /// Up to this instant.
    pub end: Option<DateTime<Utc>>,
}

/// The gaps, and what part they are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GapsReport {
    /// The gaps, by coin, resolution and time.
    pub gaps: Vec<Gap>,
    /// Sums by coin and resolution, for every coin of which something is owed.
    pub totals: Vec<GapsTotal>,
    /// Sums by resolution, over all coins.
    pub all: Vec<GapsTotal>,
}

/// What is missing of a series, in time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GapsTotal {
    /// The coin; null is all of them.
    pub coin_id: Option<String>,
    /// The resolution.
    pub resolution: Resolution,
    /// Hours of history that are owed.
    pub owed_hours: f64,
    /// The part of them that is missing for any reason, in percent.
    pub missing_pct: f64,
    /// The same by kind of gap.
    pub missing_pct_by_kind: BTreeMap<String, f64>,
}

impl GapsReport {
    /// True where something is missing that no scheduled run will bring.
    pub fn is_partial(&self) -> bool {
        let harmless = ["not_asked", "source_empty", "healed"];
        self.gaps
            .iter()
            .any(|gap| !harmless.contains(&gap.kind.as_str()))
    }
}

/// Lists the gaps of price history, up to what is settled now. What has not been due since a coin's last visit counts as `not_asked`.
///
/// # Errors
/// [`Error::Argument`] for a span that is empty; [`Error::Data`] for a coin of which nothing is owed; [`Error::Config`] and
/// [`Error::Store`] as the database gives them.
pub async fn gaps(settings: &Settings, wanted: &Gaps) -> Result<GapsReport> {
    let bound = |at: Option<DateTime<Utc>>, open: i64| at.map_or(open, |at| at.timestamp_millis());
    let (start, end) = (bound(wanted.start, 0), bound(wanted.end, i64::MAX >> 8));
    let span = Span::new(start, end)
        .ok_or_else(|| Error::argument("the span is empty: its start has to be before its end"))?;
    let Some(mut store) = timeseries(settings).await? else {
        return Err(Error::config(format!(
            "there is no database {} yet: `coinmill run timeseries` makes it, or `coinmill backfill`",
            settings.timeseries_url
        )));
    };
    let is_wanted = |owed: &Owed| {
        (wanted.coins.is_empty() || wanted.coins.contains(&owed.coin))
            && wanted.resolution.is_none_or(|only| only == owed.resolution)
    };
    let now = http::now(settings).await;
    let mut owed = owed_by_now(&mut store, now).await?;
    let coins = wanted.coins.iter();
    let absent: Vec<&CoinId> = coins
        .filter(|coin| !owed.iter().any(|it| it.coin == **coin))
        .collect();
    if !absent.is_empty() {
        return Err(never_stored(settings, &mut store, wanted.resolution, &absent).await);
    }
    owed.retain(is_wanted);
    let mut coins: Vec<&CoinId> = owed.iter().map(|owed| &owed.coin).collect();
    coins.dedup();
    let mut gaps = Vec::new();
    for coin in coins {
        let of_coin = gaps_by_now(&mut store, coin, &owed, span, now)
            .await?
            .into_iter();
        gaps.extend(
            of_coin.filter(|gap| wanted.resolution.is_none_or(|only| only == gap.resolution)),
        );
    }
    store.close().await?;
    Ok(GapsReport {
        totals: totals(&owed, &gaps, span, |coin| Some(coin.to_owned())),
        all: totals(&owed, &gaps, span, |_| None),
        gaps,
    })
}

/// What is owed, of followed coins up to what is settled now: the database knows it up to the last run that looked.
pub(super) async fn owed_by_now(
    store: &mut TimeseriesStore,
    now: DateTime<Utc>,
) -> Result<Vec<Owed>> {
    let resolution = Resolution::FiveMinutes;
    let mut owed = store.owed().await?;
    for followed in store.followed(resolution, i64::MAX >> 8).await? {
        let of_coin = owed
            .iter()
            .filter(|it| it.coin == followed.coin && it.resolution == resolution);
        let known = of_coin
            .map(|it| it.span.end)
            .max()
            .unwrap_or(followed.since);
        if let Some(span) = Span::new(known.max(followed.since), resolution.settled(now)) {
            owed.push(Owed {
                coin: followed.coin,
                resolution,
                span,
            });
        }
    }
    owed.sort_by(|a, b| (&a.coin, a.resolution, a.span).cmp(&(&b.coin, b.resolution, b.span)));
    Ok(owed)
}

/// The gaps of a coin up to now: what has come since the last run is not fetched, and what is older than a day is lost whether or not
/// a run has noticed.
pub(super) async fn gaps_by_now(
    store: &mut TimeseriesStore,
    coin: &CoinId,
    owed: &[Owed],
    within: Span,
    now: DateTime<Utc>,
) -> Result<Vec<Gap>> {
    let resolution = Resolution::FiveMinutes;
    let mut gaps = store.gaps(coin, within).await?;
    let of_coin = owed
        .iter()
        .filter(|it| it.coin == *coin && it.resolution == resolution);
    if let Some(last) = of_coin.map(|it| it.span).max_by_key(|span| span.end)
        && let Some(span) = last.intersection(within)
    {
        let covered = store
            .coverage_of(resolution, &[coin], span, i64::MAX)
            .await?;
        let covered = covered.get(coin).cloned().unwrap_or_default();
        let known: Spans = gaps
            .iter()
            .filter(|gap| gap.resolution == resolution)
            .filter_map(Gap::span)
            .collect();
        let new = covered
            .gaps_in(span)
            .into_iter()
            .flat_map(|gap| known.gaps_in(gap));
        gaps.extend(new.map(|span| gap(coin, "not_asked", span)));
    }
    let gone = now.timestamp_millis() - days(1);
    let split = gaps.into_iter().flat_map(|it| split_at(it, gone));
    let mut gaps: Vec<Gap> = split.filter(is_worth_saying).collect();
    gaps.sort_by_key(|gap| (gap.resolution, gap.starts_at));
    gaps.dedup_by(|next, before| {
        let goes_on = next.resolution == before.resolution
            && next.kind == before.kind
            && next.starts_at == before.ends_at;
        if goes_on {
            before.ends_at = next.ends_at;
        }
        goes_on
    });
    Ok(gaps)
}

/// Of a gap at five minutes the part that CoinGecko no longer gives, and the other.
fn split_at(it: Gap, gone: i64) -> Vec<Gap> {
    let is_open = it.resolution == Resolution::FiveMinutes
        && ["not_asked", "failed", "doubted"].contains(&it.kind.as_str());
    let Some(span) = it.span().filter(|span| is_open && span.start < gone) else {
        return vec![it];
    };
    let coin = CoinId::from_source(it.coin_id.clone());
    let lost = Span::new(span.start, span.end.min(gone)).map(|span| gap(&coin, "lost", span));
    let left = Span::new(gone.max(span.start), span.end).map(|span| gap(&coin, &it.kind, span));
    lost.into_iter().chain(left).collect()
}

/// False for what is too short to say whether a point is in it.
fn is_worth_saying(gap: &Gap) -> bool {
    let length = gap.span().map_or(0, Span::length);
    gap.kind != "not_asked" || length >= gap.resolution.step()
}

fn gap(coin: &CoinId, kind: &str, span: Span) -> Gap {
    let at = |ms: i64| DateTime::from_timestamp_millis(ms).unwrap_or_default();
    Gap {
        coin_id: coin.to_string(),
        resolution: Resolution::FiveMinutes,
        kind: kind.to_owned(),
        starts_at: at(span.start),
        ends_at: at(span.end),
        lost_at: (kind == "lost").then(|| at(span.start + days(1))),
    }
}

/// Sums, by what a coin is counted under and by resolution.
fn totals(
    owed: &[Owed],
    gaps: &[Gap],
    span: Span,
    under: impl Fn(&str) -> Option<String>,
) -> Vec<GapsTotal> {
    #[derive(Default)]
    struct Sum {
        owed: i64,
        missing: BTreeMap<String, i64>,
    }
    let length = |part: Span| part.intersection(span).map_or(0, Span::length);
    let mut sums: BTreeMap<(Option<String>, Resolution), Sum> = BTreeMap::new();
    for it in owed {
        let sum = sums.entry((under(it.coin.as_str()), it.resolution));
        sum.or_default().owed += length(it.span);
    }
    for gap in gaps {
        let sum = sums
            .entry((under(&gap.coin_id), gap.resolution))
            .or_default();
        // what is owed to nobody is not missing
        let of_series = owed
            .iter()
            .filter(|it| it.coin.as_str() == gap.coin_id && it.resolution == gap.resolution);
        let missing = of_series.filter_map(|it| it.span.intersection(gap.span()?));
        *sum.missing.entry(gap.kind.clone()).or_default() += missing.map(length).sum::<i64>();
    }
    let total = |((coin_id, resolution), sum): ((Option<String>, Resolution), Sum)| {
        let pct = |missing: i64| percent(missing, sum.owed);
        GapsTotal {
            coin_id,
            resolution,
            owed_hours: hours(sum.owed),
            missing_pct: pct(sum.missing.values().sum()),
            missing_pct_by_kind: sum
                .missing
                .iter()
                .map(|(kind, missing)| (kind.clone(), pct(*missing)))
                .collect(),
        }
    };
    sums.into_iter().map(total).collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of centuries are below 2^53"
)]
fn hours(milliseconds: i64) -> f64 {
    milliseconds as f64 / 3_600_000.0
}

fn percent(part: i64, of: i64) -> f64 {
    if of == 0 {
        return 0.0;
    }
    100.0 * hours(part) / hours(of)
}
