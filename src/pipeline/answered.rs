//! What is known of the charts of a resolution: what has been answered, what has been answered with silence, and so what
//! is still to be asked for. Pure; reading and storing it are done elsewhere.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::reach::is_due;
use crate::market::CoinId;
use crate::series::{Resolution, Span, Spans};
use crate::store::{AnsweredChart, Silence};

/// How far apart two charts have to be received for both to be believed that there is nothing. A response that lost its
/// points may come out of a cache for some minutes.
const APART: TimeDelta = TimeDelta::hours(1);

/// What is known of the charts of a resolution, by coin.
#[derive(Debug, Default)]
pub(super) struct Answered {
    pub(super) coverage: HashMap<CoinId, Spans>,
    pub(super) silences: HashMap<CoinId, Vec<Silence>>,
}

/// What a run is to ask for.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// The spans to ask for, by coin.
    pub(super) gaps: Vec<(CoinId, Vec<Span>)>,
    /// What is not there and not worth asking for yet, in words.
    pub(super) waiting: Vec<String>,
}

impl Answered {
    /// Takes note of a chart: says whether its span is free of what is covered, believes a silence that another chart has
    /// told too, and covers what the chart can be believed for.
    pub(super) fn mark(&mut self, mut chart: AnsweredChart) -> AnsweredChart {
        let Some(span) = chart.span else { return chart };
        let covered = self.coverage.entry(chart.coin.clone()).or_default();
        chart.fresh = covered.is_clear_of(span);
        let received_at = chart.landed.received_at;
        let told = self.silences.entry(chart.coin.clone()).or_default();
        let told_before: Spans = told
            .iter()
            .filter(|(_, at)| (received_at - *at).abs() >= APART)
            .map(|(span, _)| *span)
            .collect();
        let silent = std::mem::take(&mut chart.answer.empty);
        let silent = silent.into_iter().flat_map(|span| covered.gaps_in(span));
        let mut believed = Vec::new();
        for span in silent {
            let doubted = told_before.gaps_in(span);
            let of_span: Spans = doubted.iter().copied().collect();
            believed.extend(of_span.gaps_in(span));
            chart.answer.empty.extend(doubted);
        }
        chart.answer.covers.extend(believed);
        chart.answer.covers.sort_unstable();
        for span in &chart.answer.covers {
            covered.insert(*span);
        }
        told.extend(chart.answer.empty.iter().map(|span| (*span, received_at)));
        chart
    }

    /// What there is to ask for of a span: only where a new settled point can be, and where no chart was silent within the
    /// last hour. With `again`, what is covered is asked for too.
    pub(super) fn due(
        &self,
        coins: &[CoinId],
        resolution: Resolution,
        span: Option<Span>,
        again: bool,
        now: DateTime<Utc>,
    ) -> Due {
        let Some(span) = span else {
            return Due::default();
        };
        let mut due = Due::default();
        for coin in coins {
            let covered = self.coverage.get(coin).filter(|_| !again);
            let mut covered = covered.cloned().unwrap_or_default();
            let silences = self.silences.get(coin).into_iter().flatten();
            let recent = silences.filter(|(_, at)| (now - *at).abs() < APART && !again);
            let silent: Vec<Span> = recent
                .filter_map(|(silent, _)| silent.intersection(span))
                .flat_map(|silent| covered.gaps_in(silent))
                .collect();
            due.waiting.extend(silence(coin, &silent));
            silent.into_iter().for_each(|span| covered.insert(span));
            let mut gaps = covered.gaps_in(span);
            gaps.retain(|gap| is_due(resolution, *gap, span));
            if !gaps.is_empty() {
                due.gaps.push((coin.clone(), gaps));
            }
        }
        due
    }
}

/// Says of a coin where its charts have no points, if there is such a place.
pub(super) fn silence(coin: &CoinId, empty: &[Span]) -> Option<String> {
    let spans: Spans = empty.iter().copied().collect();
    let first = spans.iter().next()?;
    let more = match spans.iter().count() - 1 {
        0 => String::new(),
        more => format!(" and {more} more spans"),
    };
    Some(format!(
        "{coin} (CoinGecko gave no points from {first}{more}: asked for again by a run an hour later)"
    ))
}
