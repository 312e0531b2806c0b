//! What of the rows asked for is not there, by coin and span: the complement of coverage within what could be stored by then.
//! Pure. Reading rows and coverage is its neighbours' work.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::pin::Pin;
use super::reach::is_due;
use crate::frame::Frame;
use crate::market::CoinId;
use crate::series::{Resolution, Span, Spans};
use crate::store::EmptySpan;

/// Rows that were read, and what is missing of them.
#[derive(Debug, Clone)]
pub struct Read {
    /// The rows.
    pub frame: Frame,
    /// What is not there.
    pub missing: Vec<Missing>,
    /// The same in words for whoever wrote the span, where that is not there in whole.
    pub warning: Option<String>,
    /// As of which the rows can be read again; none of what is not read by a pin.
    pub pin: Option<Pin>,
}

/// A span of a coin, or something else of a slot, that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The coin; none where it is not known which coins are missing.
    pub coin_id: Option<String>,
    /// What is missing, for people: the coin, or ranks of a slot.
    pub what: String,
    /// Its first instant.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub start: DateTime<Utc>,
    /// The first instant after it.
    #[serde(serialize_with = "crate::stamp::stamp")]
    pub end: DateTime<Utc>,
    /// Why it is missing.
    pub reason: String,
}

/// Why a span is not covered.
fn reason(gap: Span, told: Option<&Vec<EmptySpan>>) -> &'static str {
    let told = told.into_iter().flatten();
    let mut told = told.filter(|it| it.span.intersection(gap).is_some());
    match told.next_back() {
        None => "not fetched",
        Some(empty) if empty.is_refused => "refused: see the quarantine",
        Some(_) => "the response had no points: a run an hour later fetches them again",
    }
}

/// The span that was asked for, with an open side where no bound was written, and how far it could be stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) resolution: Resolution,
    pub(super) start: Option<i64>,
    pub(super) end: Option<i64>,
    pub(super) settled: i64,
    /// True where it is read as it was known in the past.
    pub(super) is_past: bool,
    /// The oldest instant that the plan reaches.
    pub(super) oldest: Option<i64>,
    /// The instant before which points were pruned.
    pub(super) pruned: Option<i64>,
}

impl Wanted {
    /// The span that a coin is compared with, whose coverage begins and ends so: a written bound, as far as it is settled,
    /// and its own where none was written. A bound beyond the coin's own leaves the open side to all that could be there.
    pub(super) fn of(self, own: Span) -> Option<Span> {
        let start = match (self.start, self.end) {
            (Some(start), _) => start,
            (None, Some(end)) if end <= own.start => 0,
            (None, _) => own.start,
        };
        let end = match (self.end, self.start) {
            (Some(end), _) => end.min(self.settled),
            (None, Some(start)) if start >= own.end => self.settled,
            (None, _) => own.end,
        };
        Span::new(start, end)
    }

    /// The span within which the coverage of coins has to be known.
    pub(super) fn of_all(self, ends: &BTreeMap<CoinId, Span>) -> Option<Span> {
        let spans = || ends.values().filter_map(|own| self.of(*own));
        let start = spans().map(|span| span.start).min()?;
        let end = spans().map(|span| span.end).max()?;
        Span::new(start, end)
    }

    /// What of it is not covered, by coin and time. A gap that can hold no point yet is none; one that reaches over the instant
    /// before which points were pruned is two.
    pub(super) fn missing(
        self,
        ends: &BTreeMap<CoinId, Span>,
        coverage: &HashMap<CoinId, Spans>,
        empty_spans: &HashMap<CoinId, Vec<EmptySpan>>,
    ) -> Vec<Missing> {
        let none = Spans::default();
        let mut missing = Vec::new();
        for (coin, own) in ends {
            let Some(checked) = self.of(*own) else {
                continue;
            };
            let settled = Span {
                end: self.settled.max(checked.end),
                ..checked
            };
            let gaps = coverage.get(coin).unwrap_or(&none).gaps_in(checked);
            let due = gaps
                .into_iter()
                .flat_map(|gap| self.at_the_horizon(gap))
                .filter(|gap| is_due(self.resolution, *gap, settled));
            missing.extend(due.map(|gap| Missing {
                coin_id: Some(coin.to_string()),
                what: coin.to_string(),
                start: DateTime::from_timestamp_millis(gap.start).unwrap_or_default(),
                end: DateTime::from_timestamp_millis(gap.end).unwrap_or_default(),
                reason: reason(gap, empty_spans.get(coin)).to_owned(),
            }));
        }
        missing
    }

    /// A gap before and after the instant before which points were pruned.
    fn at_the_horizon(self, gap: Span) -> impl Iterator<Item = Span> {
        let horizon = self.pruned.unwrap_or(gap.start).clamp(gap.start, gap.end);
        let parts = [(gap.start, horizon), (horizon, gap.end)];
        parts
            .into_iter()
            .filter_map(|(start, end)| Span::new(start, end))
    }

    /// What is missing in words, where a bound was written.
    pub(super) fn warning(
        self,
        ends: &BTreeMap<CoinId, Span>,
        missing: &[Missing],
    ) -> Option<String> {
        if self.start.is_none() && self.end.is_none() {
            return None;
        }
        let (coin, own) = missing.first().and_then(|first| {
            let is_first = |coin: &CoinId| Some(coin.as_str()) == first.coin_id.as_deref();
            ends.iter().find(|(coin, _)| is_first(coin))
        })?;
        let mut coins: Vec<&str> = missing
            .iter()
            .filter_map(|span| span.coin_id.as_deref())
            .collect();
        coins.dedup();
        let count = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        let are = if missing.len() == 1 { "is" } else { "are" };
        Some(format!(
            "{coin} is stored from {own}; {} of {} {are} missing: see frame.missing; {}",
            count(missing.len(), "span"),
            count(coins.len(), "coin"),
            self.remedy(&coins, missing)?
        ))
    }

    /// The command that fetches what is missing.
    fn remedy(self, coins: &[&str], missing: &[Missing]) -> Option<String> {
        if self.is_past {
            return Some("what was fetched after `as_of` is not shown".to_owned());
        }
        let named = match coins.len() {
            ..=NAMED => coins.join(","),
            _ => "…".to_owned(),
        };
        if self.resolution == Resolution::FiveMinutes {
            return Some(format!(
                "`coinmill backfill --days 1 --resolution 5m --coins {named}` fetches the last day, which is all that CoinGecko \
                 keeps at 5m"
            ));
        }
        let first = missing.iter().map(|span| span.start).min()?;
        let oldest = self.oldest.and_then(DateTime::from_timestamp_millis);
        let start = oldest.map_or(first, |oldest| oldest.max(first));
        // whole seconds, none of which may be left out
        let end = missing.iter().map(|span| span.end).max()? + TimeDelta::milliseconds(999);
        let shown = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%SZ");
        if start >= end {
            return Some(format!(
                "the plan reaches back to {}, and no further: they cannot be fetched",
                shown(start)
            ));
        }
        let them = match start > first {
            true => "what the plan reaches of them",
            false => "them",
        };
        Some(format!(
            "`coinmill backfill --from {} --until {} --resolution {} --coins {named}` fetches {them}",
            shown(start),
            shown(end),
            self.resolution
        ))
    }
}

/// The most coins that a command is written out for.
const NAMED: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn wanted(start: Option<i64>, end: Option<i64>) -> Wanted {
        Wanted {
            resolution: Resolution::Hour,
            start,
            end,
            settled: 100 * HOUR,
            is_past: false,
            oldest: None,
            pruned: None,
        }
    }

    fn spans(wanted: Wanted, covered: &[(i64, i64)]) -> Vec<(i64, i64)> {
        let covered: Spans = covered
            .iter()
            .filter_map(|&(start, end)| Span::new(start * HOUR, end * HOUR))
            .collect();
        let own = Span {
            start: covered.iter().next().unwrap().start,
            end: covered.iter().last().unwrap().end,
        };
        let coin: CoinId = "bitcoin".parse().unwrap();
        let missing = wanted.missing(
            &BTreeMap::from([(coin.clone(), own)]),
            &HashMap::from([(coin, covered)]),
            &HashMap::new(),
        );
        let hour = |at: DateTime<Utc>| at.timestamp_millis() / HOUR;
        missing
            .iter()
            .map(|span| (hour(span.start), hour(span.end)))
            .collect()
    }

    #[test]
    fn without_bounds_a_coin_is_checked_between_its_own() {
        let covered = [(10, 20), (30, 40)];
        assert_eq!(spans(wanted(None, None), &covered), [(20, 30)]);
    }

    #[test]
    fn a_written_bound_is_checked_as_far_as_it_is_settled() {
        let covered = [(10, 20), (30, 40)];
        let ask = |start: Option<i64>, end: Option<i64>| {
            let ms = |hour| hour * HOUR;
            spans(wanted(start.map(ms), end.map(ms)), &covered)
        };
        assert_eq!(ask(Some(5), None), [(5, 10), (20, 30)]);
        assert_eq!(ask(Some(15), Some(35)), [(20, 30)]);
        assert_eq!(ask(None, Some(500)), [(20, 30), (40, 100)]);
        assert_eq!(ask(Some(60), None), [(60, 100)]);
        assert_eq!(ask(None, Some(5)), [(0, 5)]);
        assert_eq!(ask(Some(200), Some(300)), []);
    }

    #[test]
    fn a_gap_is_two_where_points_were_pruned() {
        let pruned = Wanted {
            pruned: Some(15 * HOUR),
            ..wanted(Some(5 * HOUR), None)
        };
        assert_eq!(spans(pruned, &[(20, 30)]), [(5, 15), (15, 20)]);
        assert_eq!(spans(pruned, &[(15, 30)]), [(5, 15)]);
        assert_eq!(spans(pruned, &[(10, 12), (14, 30)]), [(5, 10), (12, 14)]);
    }

    #[test]
    fn a_gap_that_can_hold_no_point_yet_is_none() {
        let almost = Wanted {
            settled: 40 * HOUR + HOUR / 2,
            ..wanted(Some(30 * HOUR), Some(99 * HOUR))
        };
        assert_eq!(spans(almost, &[(30, 40)]), []);
    }
}
