//! Where price history has gaps, and why: coin by coin, with their part of what is owed.
//! Which spans these are is the database's view; here they are summed.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::status::timeseries;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::market::CoinId;
use crate::series::{Resolution, Span};
use crate::store::{Gap, Owed};

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

/// Lists the gaps of price history. What has not been due since the last run counts as `not_asked`.
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
            "there is no database {} yet: `coinmill run timeseries` makes it",
            settings.timeseries_url
        )));
    };
    let is_wanted = |owed: &Owed| {
        (wanted.coins.is_empty() || wanted.coins.contains(&owed.coin))
            && wanted.resolution.is_none_or(|only| only == owed.resolution)
    };
    let mut owed = store.owed().await?;
    if let Some(coin) = wanted
        .coins
        .iter()
        .find(|coin| !owed.iter().any(|it| it.coin == **coin))
    {
        return Err(Error::data(format!(
            "no history of {coin} is kept: `coinmill status` says what is, ids are not symbols"
        )));
    }
    owed.retain(is_wanted);
    let mut coins: Vec<&CoinId> = owed.iter().map(|owed| &owed.coin).collect();
    coins.dedup();
    let mut gaps = Vec::new();
    for coin in coins {
        let of_coin = store.gaps(coin, span).await?.into_iter();
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
        *sum.missing.entry(gap.kind.clone()).or_default() += gap.span().map_or(0, length);
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
