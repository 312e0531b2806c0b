//! `/coins/{id}/market_chart` and its range: which requests give which span at which resolution, and the body as points.
//! Pure. Points are validated here too, since a chart has no other fields to compare them with.

mod points;
mod stamps;
mod wire;

use chrono::{DateTime, Utc};
use serde::de::IgnoredAny;
use url::Url;

use points::point;
use wire::Wire;

use crate::contract::Deviation;
use crate::error::{Error, Result};
use crate::http::Request;
use crate::market::CoinId;
use crate::quality::{FUTURE_TOLERANCE, Finding, Rule, chart as rules};
use crate::series::{PricePoint, Resolution, Span, days};

/// The longest range for which CoinGecko sends hourly points.
const HOURLY_DAYS: u32 = 90;

/// The shortest range that we ask for: for one of a day or less that ends now, CoinGecko sends five-minute points.
const SHORTEST_RANGE: i64 = 2 * 86_400;

/// The endpoint, as reports name it.
pub const ENDPOINT: &str = "/coins/{id}/market_chart";

/// What one request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// The last 24 hours, five-minutely.
    LastDay,
    /// Hourly, from one UNIX second to another.
    Hourly {
        /// UNIX seconds.
        from: i64,
        /// UNIX seconds.
        to: i64,
    },
    /// The last days, daily.
    Daily {
        /// How many.
        days: u32,
    },
}

/// One chart request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// The coin.
    pub coin: CoinId,
    /// What of it.
    pub window: Window,
}

impl Chart {
    /// The resolution that it asks for.
    pub fn resolution(&self) -> Resolution {
        match self.window {
            Window::LastDay => Resolution::FiveMinutes,
            Window::Hourly { .. } => Resolution::Hour,
            Window::Daily { .. } => Resolution::Day,
        }
    }

    /// The request.
    pub fn request(&self, vs_currency: &str) -> Request {
        let mut path = vec![
            "coins".to_owned(),
            self.coin.to_string(),
            "market_chart".to_owned(),
        ];
        let mut query = vec![("vs_currency", vs_currency.to_owned())];
        match self.window {
            Window::LastDay => query.push(("days", "1".to_owned())),
            Window::Hourly { from, to } => {
                path.push("range".to_owned());
                query.extend([("from", from.to_string()), ("to", to.to_string())]);
            }
            Window::Daily { days } => {
                query.extend([("days", days.to_string()), ("interval", "daily".to_owned())])
            }
        }
        query.push(("precision", "full".to_owned()));
        Request { path, query }
    }

    /// The chart that a landed URL asked for in a currency, or `None` for any other.
    pub fn of_url(url: &str, vs_currency: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let parts: Vec<&str> = url.path_segments()?.collect();
        let place = parts.iter().rposition(|part| *part == "market_chart")?;
        let encoded = parts.get(place.checked_sub(1)?)?;
        let coin = percent_encoding::percent_decode_str(encoded)
            .decode_utf8()
            .ok()?
            .into_owned();
        let get = |name: &str| {
            url.query_pairs()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        if get("vs_currency")? != vs_currency {
            return None;
        }
        let window = match (get("from"), get("days"), get("interval").as_deref()) {
            (Some(from), _, None) => Window::Hourly {
                from: seconds(&from)?,
                to: seconds(&get("to")?)?,
            },
            (None, Some(days), None) if days == "1" => Window::LastDay,
            (None, Some(days), Some("daily")) => Window::Daily {
                days: days.parse().ok().filter(|days| *days < 100_000)?,
            },
            _ => return None,
        };
        Some(Self {
            coin: CoinId::from_source(coin),
            window,
        })
    }

    /// How far what it asks for is settled at an instant.
    pub fn settled_by(&self, at: DateTime<Utc>) -> i64 {
        let settled = self.resolution().settled(at);
        match self.window {
            Window::Hourly { to, .. } => settled.min(to * 1000),
            Window::LastDay | Window::Daily { .. } => settled,
        }
    }

    /// The span that a body covers, when it was made at an instant and begins with a stamp; never past what is settled.
    /// The last day may begin some seconds before its 24 hours.
    fn span_of(&self, sent_at: DateTime<Utc>, first: Option<i64>) -> Option<Span> {
        let settled = self.resolution().settled(sent_at);
        // `Date` counts whole seconds, so CoinGecko's window began up to one later
        let ago = |count: u32| {
            let start = sent_at.timestamp_millis() + 1000 - days(count);
            first.map_or(start, |first| first.min(start))
        };
        match self.window {
            Window::LastDay => Span::new(ago(1), settled),
            Window::Hourly { from, to } => Span::new(from * 1000, settled.min(to * 1000)),
            Window::Daily { days } => Span::new(ago(days), settled),
        }
    }
}

/// UNIX seconds of a landed URL, which anyone may have edited; what lies thousands of years away is none of ours.
fn seconds(text: &str) -> Option<i64> {
    let seconds = text.parse::<i64>().ok()?;
    (seconds.abs() < 100_000_000_000).then_some(seconds)
}

/// The fewest requests that cover the gaps of a coin, oldest first. `None` where CoinGecko has nothing so old at
/// this resolution any more. `now` is CoinGecko's clock.
pub fn charts(
    coin: &CoinId,
    resolution: Resolution,
    gaps: &[Span],
    now: DateTime<Utc>,
) -> Vec<Chart> {
    let chart = |window| Chart {
        coin: coin.clone(),
        window,
    };
    let now_ms = now.timestamp_millis();
    match resolution {
        Resolution::FiveMinutes => {
            let reach = Span {
                start: now_ms - days(1),
                end: now_ms,
            };
            let any = gaps.iter().any(|gap| gap.intersection(reach).is_some());
            if any {
                vec![chart(Window::LastDay)]
            } else {
                Vec::new()
            }
        }
        Resolution::Hour => joined(gaps)
            .into_iter()
            .flat_map(|gap| hourly(gap, now.timestamp()))
            .map(chart)
            .collect(),
        Resolution::Day => {
            let oldest = gaps.iter().filter_map(|gap| first_midnight(*gap)).min();
            let count = |midnight: i64| {
                u32::try_from((now_ms - midnight + days(1) - 1).div_euclid(days(1)))
                    .unwrap_or(1)
                    .max(1)
            };
            oldest
                .map(|midnight| {
                    chart(Window::Daily {
                        days: count(midnight),
                    })
                })
                .into_iter()
                .collect()
        }
    }
}

/// The first midnight of a span: daily points lie nowhere else.
pub fn first_midnight(span: Span) -> Option<i64> {
    let midnight = (span.start + days(1) - 1).div_euclid(days(1)) * days(1);
    span.contains(midnight).then_some(midnight)
}

/// Gaps in order, those together that one window can hold: what lies between them is received again, which costs nothing, and a
/// call for each of many holes would.
fn joined(gaps: &[Span]) -> Vec<Span> {
    let mut joined: Vec<Span> = Vec::new();
    for gap in gaps {
        match joined.last_mut() {
            Some(last) if gap.end - last.start <= days(HOURLY_DAYS) => {
                last.end = last.end.max(gap.end);
            }
            _ => joined.push(*gap),
        }
    }
    joined
}

/// Windows of one length, so that the last is not a short one; a short gap is stretched, to now first, since what lies
/// before it may be beyond the plan.
fn hourly(gap: Span, now: i64) -> Vec<Window> {
    let from = gap.start.div_euclid(1000);
    let to = gap.end.div_euclid(1000) + i64::from(gap.end.rem_euclid(1000) > 0);
    let to = to.max((from + SHORTEST_RANGE).min(now));
    let from = from.min(to - SHORTEST_RANGE);
    let longest = days(HOURLY_DAYS) / 1000;
    let count = (to - from + longest - 1) / longest;
    let edge = |index: i64| from + (to - from) * index / count;
    (0..count)
        .map(|index| Window::Hourly {
            from: edge(index),
            to: edge(index + 1),
        })
        .collect()
}

/// What a body holds.
#[derive(Debug, Default)]
pub struct Points {
    /// The span that it covers; none where it was refused whole.
    pub span: Option<Span>,
    /// The points of the span, in the order of their stamps, each stamp once.
    pub points: Vec<PricePoint>,
    /// What was refused: its place in the arrays (`None` for the whole body), why, and its text.
    pub refused: Vec<(Option<u64>, Finding, String)>,
    /// The stamps of points whose numbers are refused, in order: what stands there is not known.
    pub holes: Vec<i64>,
    /// From the newest stamp to the end of the span, where a chart that ends about now should have more points. A response out of
    /// a cache that hides its age is such a one, and then its newest point was live; so is the chart of a coin that has stalled.
    pub tail: Option<Span>,
    /// Fields that a chart is not known to have, or lacks.
    pub drift: Vec<(Deviation, String)>,
}

/// What a body of a chart, made at an instant, holds, and what was refused of it. A body that is no chart, whose arrays do
/// not belong together or whose spacing is not the resolution asked for is refused whole.
///
/// # Errors
/// [`Error::Source`], retryable, when the body is not JSON: it was cut.
pub fn parse(body: &[u8], chart: &Chart, made_at: DateTime<Utc>) -> Result<Points> {
    let whole = |rule: &'static Rule, found: String| {
        let text = String::from_utf8_lossy(body).chars().take(SHOWN).collect();
        // the parser's words repeat a text that stands where it must not, however long it is
        let found: String = found.chars().take(SHOWN).collect();
        let finding = Finding::new(rule, "body", found);
        Points {
            refused: vec![(None, finding, text)],
            ..Points::default()
        }
    };
    let wire: Wire<'_> = match serde_json::from_slice(body) {
        Ok(wire) => wire,
        // JSON, but of another shape
        Err(error) if serde_json::from_slice::<IgnoredAny>(body).is_ok() => {
            // the reason repeats what stood there, however long it is
            let found = error.to_string().chars().take(80).collect();
            return Ok(whole(&rules::NOT_A_CHART, found));
        }
        Err(error) => {
            return Err(Error::Source {
                message: "the API's body of a chart is not whole JSON".to_owned(),
                status: None,
                code: None,
                retryable: true,
                cause: Some(error.into()),
            });
        }
    };
    let Wire {
        prices,
        market_caps,
        total_volumes,
        drift,
    } = wire;
    let missing = drift
        .iter()
        .find(|(deviation, _)| *deviation == Deviation::Missing);
    if let Some((_, name)) = missing {
        let found = format!("no {name}");
        return Ok(Points {
            drift,
            ..whole(&rules::NOT_A_CHART, found)
        });
    }
    let belong = prices.len() == market_caps.len()
        && prices.len() == total_volumes.len()
        && prices
            .iter()
            .zip(&market_caps)
            .zip(&total_volumes)
            .all(|((p, m), v)| p.0 == m.0 && p.0 == v.0);
    if !belong {
        let found = format!(
            "{} prices, {} market caps, {} volumes",
            prices.len(),
            market_caps.len(),
            total_volumes.len()
        );
        return Ok(Points {
            drift,
            ..whole(&rules::UNEVEN_ARRAYS, found)
        });
    }
    let resolution = chart.resolution();
    let Some(nominal) = chart.span_of(made_at, None) else {
        return Ok(Points {
            drift,
            ..Points::default()
        });
    };
    // a stamp far outside what was asked for says nothing of the chart
    let near = nominal.start - 2 * resolution.step()
        ..=made_at.timestamp_millis() + FUTURE_TOLERANCE.num_milliseconds();
    let mut stamps: Vec<i64> = prices
        .iter()
        .map(|(ts, _)| *ts)
        .filter(|ts| near.contains(ts))
        .collect();
    stamps.sort_unstable();
    stamps.dedup();
    if let Some(spacing) = stamps::odd_spacing(&stamps, resolution) {
        let found = format!("{spacing} ms between points, asked for {resolution}");
        return Ok(Points {
            drift,
            ..whole(&rules::WRONG_GRANULARITY, found)
        });
    }
    let ends = match chart.window {
        Window::Hourly { to, .. } => Some(to * 1000),
        Window::LastDay | Window::Daily { .. } => None,
    };
    let ends_live = prices
        .last()
        .is_some_and(|(ts, _)| stamps::is_live(resolution, ends, made_at, *ts));
    let last = prices.len() - usize::from(ends_live);
    let span = chart.span_of(made_at, stamps.first().copied());
    let mut parsed = Points {
        span,
        points: Vec::with_capacity(prices.len()),
        refused: Vec::new(),
        holes: Vec::new(),
        tail: stamps::tail(&stamps, resolution, ends, made_at, span),
        drift,
    };
    let Some(span) = span else { return Ok(parsed) };
    let rows = prices
        .iter()
        .zip(&market_caps)
        .zip(&total_volumes)
        .enumerate();
    let mut read: Vec<(usize, PricePoint)> = Vec::with_capacity(last);
    for (place, ((p, m), v)) in rows.take(last) {
        if !span.contains(p.0) {
            continue;
        }
        let checked = stamps::on_grid(resolution, p.0).and_then(|()| {
            let point = point(p.0, p.1, m.1, v.1);
            parsed.holes.extend(point.is_err().then_some(p.0));
            point
        });
        match checked {
            Ok(point) => read.push((place, point)),
            Err(finding) => parsed
                .refused
                .push((Some(place as u64), finding, String::new())),
        }
    }
    // a stable sort: of a stamp that stands twice the first counts
    if !read.is_sorted_by_key(|(_, point)| point.ts) {
        read.sort_by_key(|(_, point)| point.ts);
    }
    for (place, point) in read {
        match parsed.points.last() {
            Some(first) if first.ts == point.ts => {
                if *first != point {
                    let found = point.ts.to_string();
                    let finding = Finding::new(&rules::CONTRADICTORY_STAMP, "ts", found);
                    let refused = (Some(place as u64), finding, String::new());
                    parsed.refused.push(refused);
                }
            }
            _ => parsed.points.push(point),
        }
    }
    parsed.refused.sort_by_key(|(place, ..)| *place);
    let raw = |place: usize| {
        let (p, m, v) = (
            prices.get(place)?,
            market_caps.get(place)?,
            total_volumes.get(place)?,
        );
        Some(format!(
            "[{},{},{},{}]",
            p.0,
            p.1.get(),
            m.1.get(),
            v.1.get()
        ))
    };
    for (place, _, text) in &mut parsed.refused {
        let place = place.and_then(|place| usize::try_from(place).ok());
        *text = place.and_then(raw).unwrap_or_default();
    }
    let points = &parsed.points;
    parsed
        .holes
        .retain(|ts| points.binary_search_by_key(ts, |point| point.ts).is_err());
    parsed.holes.sort_unstable();
    Ok(parsed)
}

/// The most characters of a refused body that are kept beside the reason: the body itself is in the landing.
const SHOWN: usize = 1_000;

#[cfg(test)]
mod tests;
