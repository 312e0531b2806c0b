//! The words of price history as types: points, resolutions, spans of time.
//! Arithmetic only; what the API serves for a span is `coingecko`'s to know.

mod coverage;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use coverage::ChartCoverage;

use crate::error::{Error, Result};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// How far apart the points of a chart are, as the API gives them; never resampled before they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resolution {
    /// Five minutes: the API has the last 24 hours only.
    FiveMinutes,
    /// One hour.
    Hour,
    /// One day, at 00:00 UTC.
    Day,
}

impl Resolution {
    /// Every resolution, finest first.
    pub const ALL: [Self; 3] = [Self::FiveMinutes, Self::Hour, Self::Day];

    /// The name in settings, reports and views.
    pub fn name(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }

    /// The step in minutes: the number in the databases.
    pub fn minutes(self) -> i16 {
        match self {
            Self::FiveMinutes => 5,
            Self::Hour => 60,
            Self::Day => 1440,
        }
    }

    /// The resolution of a number in the databases.
    pub fn of_minutes(minutes: i64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|resolution| i64::from(resolution.minutes()) == minutes)
    }

    /// The step in milliseconds.
    pub fn step(self) -> i64 {
        i64::from(self.minutes()) * MINUTE
    }

    /// How far a chart received at an instant can be believed, as the first millisecond that cannot: ten minutes before
    /// (`5m`), the beginning of the running hour (`1h`), just past the last midnight once it is 00:35 (`1d`).
    ///
    /// Source: CoinGecko's notes on `/coins/{id}/market_chart/range` (the last UTC day is ready 35 minutes after
    /// midnight), and recorded charts, whose younger points no later fetch returned.
    pub fn settled(self, received: DateTime<Utc>) -> i64 {
        let now = received.timestamp_millis();
        match self {
            Self::FiveMinutes => now - 10 * MINUTE,
            Self::Hour => now - now.rem_euclid(HOUR),
            Self::Day => {
                let midnight = now - now.rem_euclid(DAY);
                let ready = received.hour() > 0 || received.minute() >= 35;
                if ready {
                    midnight + 1
                } else {
                    midnight - DAY + 1
                }
            }
        }
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Resolution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Resolution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for Resolution {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|resolution| resolution.name() == text)
            .ok_or_else(|| {
                Error::argument(format!("unknown resolution {text:?}: use 5m, 1h or 1d"))
            })
    }
}

/// One point of a coin's chart. Null at the API is `None`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PricePoint {
    /// The API's own stamp, in milliseconds since 1970.
    pub ts: i64,
    /// Price of one coin, in `vs_currency`.
    pub price: Option<f64>,
    /// Market cap, in `vs_currency`.
    pub market_cap: Option<f64>,
    /// Traded value of the 24 hours before, in `vs_currency`.
    pub volume: Option<f64>,
}

/// A number of a point.
#[derive(Debug, Clone, Copy)]
pub struct PointColumn {
    /// The one name of its column: in tables, views, frames and files.
    pub name: &'static str,
    /// Where it stands in a point.
    pub of: fn(&PricePoint) -> Option<f64>,
}

/// The numbers of a point, in order: the list that loading, frames and comparisons follow. The migrations are written by hand; a
/// test holds them against it.
pub const POINT_COLUMNS: [PointColumn; 3] = [
    PointColumn {
        name: "price",
        of: |point| point.price,
    },
    PointColumn {
        name: "market_cap",
        of: |point| point.market_cap,
    },
    PointColumn {
        name: "volume",
        of: |point| point.volume,
    },
];

/// A half-open span of time in milliseconds since 1970: `start` belongs to it, `end` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Its first millisecond.
    pub start: i64,
    /// The first millisecond after it.
    pub end: i64,
}

impl Span {
    /// The span, or `None` where it would be empty.
    pub fn new(start: i64, end: i64) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    /// True for an instant inside.
    pub fn contains(self, ts: i64) -> bool {
        (self.start..self.end).contains(&ts)
    }

    /// What both have in common.
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// Its length in milliseconds.
    pub fn length(self) -> i64 {
        self.end - self.start
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |ts| {
            DateTime::from_timestamp_millis(ts)
                .map_or_else(String::new, |t| t.format("%Y-%m-%dT%H:%MZ").to_string())
        };
        write!(f, "{} to {}", shown(self.start), shown(self.end))
    }
}

/// A set of instants as sorted spans that neither touch nor overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// Adds a span.
    pub fn insert(&mut self, span: Span) {
        let mut merged = span;
        self.0.retain(|&held| {
            let apart = held.end < merged.start || merged.end < held.start;
            if !apart {
                merged = Span {
                    start: merged.start.min(held.start),
                    end: merged.end.max(held.end),
                };
            }
            apart
        });
        let place = self.0.partition_point(|held| held.start < merged.start);
        self.0.insert(place, merged);
    }

    /// The spans, in order.
    pub fn iter(&self) -> impl Iterator<Item = Span> {
        self.0.iter().copied()
    }

    /// True where nothing of a span is held.
    pub fn is_clear_of(&self, span: Span) -> bool {
        self.0.iter().all(|held| held.intersection(span).is_none())
    }

    /// What of a span is not held, in order.
    pub fn gaps_in(&self, span: Span) -> Vec<Span> {
        let mut gaps = Vec::new();
        let mut from = span.start;
        for held in self.0.iter().filter_map(|held| held.intersection(span)) {
            gaps.extend(Span::new(from, held.start));
            from = held.end;
        }
        gaps.extend(Span::new(from, span.end));
        gaps
    }
}

impl FromIterator<Span> for Spans {
    fn from_iter<I: IntoIterator<Item = Span>>(spans: I) -> Self {
        let mut set = Self::default();
        for span in spans {
            set.insert(span);
        }
        set
    }
}

/// A number of days in milliseconds.
pub fn days(count: u32) -> i64 {
    TimeDelta::days(i64::from(count)).num_milliseconds()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn settled_is_what_no_later_fetch_would_change() {
        let settled = |resolution: Resolution, text: &str| {
            DateTime::from_timestamp_millis(resolution.settled(at(text)))
                .unwrap()
                .to_rfc3339()
        };
        assert_eq!(
            settled(Resolution::FiveMinutes, "2026-01-02T14:42:25Z"),
            "2026-01-02T14:32:25+00:00"
        );
        assert_eq!(
            settled(Resolution::Hour, "2026-01-02T14:42:25Z"),
            "2026-01-02T14:00:00+00:00"
        );
        assert_eq!(
            settled(Resolution::Day, "2026-01-02T14:42:25Z"),
            "2026-01-02T00:00:00.001+00:00"
        );
        assert_eq!(
            settled(Resolution::Day, "2026-01-02T00:34:59Z"),
            "2026-01-01T00:00:00.001+00:00"
        );
        assert_eq!(
            settled(Resolution::Day, "2026-01-02T00:35:00Z"),
            "2026-01-02T00:00:00.001+00:00"
        );
    }

    #[test]
    fn a_resolution_is_written_as_it_reads() {
        for resolution in Resolution::ALL {
            assert_eq!(resolution.name().parse::<Resolution>().unwrap(), resolution);
            assert_eq!(
                Resolution::of_minutes(i64::from(resolution.minutes())),
                Some(resolution)
            );
        }
        assert!(
            "10m"
                .parse::<Resolution>()
                .unwrap_err()
                .to_string()
                .contains("5m, 1h or 1d")
        );
    }

    #[test]
    fn spans_that_touch_become_one() {
        let spans: Spans = [(0, 10), (20, 30), (10, 20)]
            .into_iter()
            .filter_map(|(a, b)| Span::new(a, b))
            .collect();
        assert_eq!(
            spans.iter().collect::<Vec<_>>(),
            [Span { start: 0, end: 30 }]
        );
        assert_eq!(
            spans.gaps_in(Span { start: -5, end: 35 }),
            [Span { start: -5, end: 0 }, Span { start: 30, end: 35 }]
        );
    }

    proptest! {
        #[test]
        fn a_set_of_spans_holds_just_the_instants_put_in(
            pairs in proptest::collection::vec((0i64..60, 1i64..10), 0..12),
            window in (0i64..60, 1i64..30),
        ) {
            let put: Vec<Span> = pairs.iter().map(|&(start, length)| Span { start, end: start + length }).collect();
            let spans: Spans = put.iter().copied().collect();
            let held = |ts| put.iter().any(|span| span.contains(ts));
            for ts in -1..80 {
                prop_assert_eq!(spans.iter().any(|span| span.contains(ts)), held(ts));
            }
            let list: Vec<Span> = spans.iter().collect();
            prop_assert!(list.windows(2).all(|pair| pair[0].end < pair[1].start));
            let window = Span { start: window.0, end: window.0 + window.1 };
            let gaps = spans.gaps_in(window);
            for ts in window.start..window.end {
                prop_assert_eq!(gaps.iter().any(|gap| gap.contains(ts)), !held(ts));
            }
        }
    }
}
