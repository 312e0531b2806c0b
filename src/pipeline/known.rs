//! What is known of the charts of a resolution: what is covered, where charts were empty, and so what
//! is still to be fetched. Pure; reading and storing it are done elsewhere.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::reach::is_due;
use crate::market::CoinId;
use crate::series::{ChartCoverage, Resolution, Span, Spans};
use crate::store::{Absent, EmptySpan, ReceivedChart};

/// How far apart two charts have to be received for both to be believed that there is nothing. A response that lost its
/// points may come out of a cache for some minutes.
const APART: TimeDelta = TimeDelta::hours(1);

/// What is known of the charts of a resolution, by coin.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Of what ends before this instant, in milliseconds since 1970, nothing is known.
    pub(super) since: i64,
    /// What is before this instant is not kept, and so not stored, though a window may reach over it.
    pub(super) kept_from: i64,
    pub(super) coverage: HashMap<CoinId, Spans>,
    pub(super) empty_spans: HashMap<CoinId, Vec<EmptySpan>>,
}

/// What a run is to fetch.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// The spans to fetch, by coin.
    pub(super) gaps: Vec<(CoinId, Vec<Span>)>,
    /// What is not there and not worth fetching yet.
    pub(super) waiting: Vec<Absent>,
}

impl Known {
    /// Takes note of a chart: says whether its span is free of what is covered, believes that a span is empty where another
    /// chart was empty too, and covers what the chart can be believed for.
    pub(super) fn mark(&mut self, mut chart: ReceivedChart) -> ReceivedChart {
        let Some(span) = chart.span else { return chart };
        self.leave_out_what_is_not_kept(&mut chart);
        let covered = self.coverage.entry(chart.coin.clone()).or_default();
        chart.fresh = self.since <= span.start && covered.is_clear_of(span);
        let received_at = chart.landed.received_at;
        let noted = self.empty_spans.entry(chart.coin.clone()).or_default();
        let told_before = noted
            .iter()
            .filter(|it| !it.is_refused && (received_at - it.received_at).abs() >= APART)
            .map(|it| it.span);
        let empty_before: Spans = told_before.clone().collect();
        // a cache that is behind ends later each time, so only where another chart ended with the same point is it the coin
        // that has stalled
        let agreed = chart.tail.and_then(|tail| {
            let same = told_before.filter(|it| it.start == tail.start);
            Span::new(tail.start, same.map(|it| it.end).max()?.min(tail.end))
        });
        if let Some(agreed) = agreed {
            chart.points.extend(chart.last.take());
            chart.coverage.covers.push(agreed);
        }
        let empty = std::mem::take(&mut chart.coverage.empty);
        let empty = empty.into_iter().flat_map(|span| covered.gaps_in(span));
        let mut believed = Vec::new();
        for span in empty {
            let doubted = empty_before.gaps_in(span);
            let of_span: Spans = doubted.iter().copied().collect();
            believed.extend(of_span.gaps_in(span));
            chart.coverage.empty.extend(doubted);
        }
        chart.coverage.covers.extend(believed);
        chart.coverage.covers.sort_unstable();
        // what a better chart has covered stays covered
        let refused = std::mem::take(&mut chart.coverage.refused);
        let refused = refused.into_iter().flat_map(|span| covered.gaps_in(span));
        chart.coverage.refused = refused.collect();
        for span in &chart.coverage.covers {
            covered.insert(*span);
        }
        // whole, however much of it is covered, since its beginning is what charts are compared by
        chart.tail = chart.tail.filter(|tail| !covered.gaps_in(*tail).is_empty());
        let empty_span = |is_refused| {
            move |span: &Span| EmptySpan {
                span: *span,
                received_at,
                is_refused,
            }
        };
        noted.extend(chart.empty().iter().map(empty_span(false)));
        noted.extend(chart.coverage.refused.iter().map(empty_span(true)));
        chart
    }

    fn leave_out_what_is_not_kept(&self, chart: &mut ReceivedChart) {
        chart.points.retain(|point| point.ts >= self.kept_from);
        if let Some(tail) = chart.tail.take_if(|tail| tail.start < self.kept_from) {
            chart.coverage.empty.push(tail);
            chart.last = None;
        }
        let ChartCoverage {
            covers,
            empty,
            refused,
        } = &mut chart.coverage;
        for spans in [covers, empty, refused] {
            let all = std::mem::take(spans).into_iter();
            *spans = all
                .filter_map(|span| Span::new(span.start.max(self.kept_from), span.end))
                .collect();
        }
    }

    /// What there is to fetch of a span: only where a new settled point can be, and where no chart was empty within the
    /// last hour. With `again`, what is covered is fetched too.
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
            let noted = self.empty_spans.get(coin).map_or(&[][..], Vec::as_slice);
            let within = |spans: Vec<Span>, covered: &Spans| -> Vec<Span> {
                let within = spans.into_iter().filter_map(|it| it.intersection(span));
                within.flat_map(|it| covered.gaps_in(it)).collect()
            };
            let recent = |is_refused: bool| -> Vec<Span> {
                let recent = noted.iter().filter(|it| {
                    it.is_refused == is_refused && (now - it.received_at).abs() < APART
                });
                recent.map(|it| it.span).collect()
            };
            let (mut empty, mut refused) = (Vec::new(), Vec::new());
            if !again {
                empty = within(recent(false), &covered);
                refused = within([recent(true), refused_twice(noted)].concat(), &covered);
            }
            due.waiting.extend(no_points(coin, &empty));
            due.waiting.extend(refusal(coin, &refused));
            let waiting = empty.into_iter().chain(refused);
            waiting.for_each(|span| covered.insert(span));
            let mut gaps = covered.gaps_in(span);
            gaps.retain(|gap| is_due(resolution, *gap, span));
            if !gaps.is_empty() {
                due.gaps.push((coin.clone(), gaps));
            }
        }
        due
    }
}

/// Where two charts, received far enough apart, both had only points that were refused: a third would have no others.
fn refused_twice(noted: &[EmptySpan]) -> Vec<Span> {
    let refused: Vec<&EmptySpan> = noted.iter().filter(|it| it.is_refused).collect();
    let pairs = refused.iter().enumerate().flat_map(|(place, first)| {
        refused
            .iter()
            .skip(place + 1)
            .map(move |other| (first, other))
    });
    pairs
        .filter(|(first, other)| (first.received_at - other.received_at).abs() >= APART)
        .filter_map(|(first, other)| first.span.intersection(other.span))
        .collect()
}

/// Says of a coin where the points of its charts are refused, if there is such a place.
pub(super) fn refusal(coin: &CoinId, refused: &[Span]) -> Option<Absent> {
    let (first, more) = named(refused)?;
    let reason =
        format!("points from {first}{more} are refused: `coinmill quarantine list` says why");
    Some(Absent::coin(coin.as_str(), reason))
}

/// The first of some spans, and how many more there are.
fn named(spans: &[Span]) -> Option<(Span, String)> {
    let spans: Spans = spans.iter().copied().collect();
    let first = spans.iter().next()?;
    let more = match spans.iter().count() - 1 {
        0 => String::new(),
        1 => " and 1 more span".to_owned(),
        more => format!(" and {more} more spans"),
    };
    Some((first, more))
}

/// Says of a coin where its charts have no points, if there is such a place.
pub(super) fn no_points(coin: &CoinId, empty: &[Span]) -> Option<Absent> {
    let (first, more) = named(empty)?;
    let reason = format!(
        "CoinGecko gave no points from {first}{more}: a run an hour later fetches them again"
    );
    Some(Absent::coin(coin.as_str(), reason))
}
