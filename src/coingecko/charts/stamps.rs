//! The stamps of a chart: whether their spacing is the resolution asked for, and which are history. A window that ends now is
//! closed by a live point, which no later fetch returns. How far a chart is settled is `series`'s to say.

use chrono::{DateTime, TimeDelta, Utc};

use crate::quality::{Finding, chart as rules};
use crate::series::{Resolution, Span, days};

/// A range that ends within so long of now is closed by the live point.
const LIVE_EDGE: TimeDelta = TimeDelta::minutes(5);

/// How old a response can be that hides its age.
const HIDDEN_AGE: TimeDelta = TimeDelta::days(1);

/// The oldest that a live point among hourly or five-minutely ones can be: 29 minutes were seen.
const LIVE_AGE: TimeDelta = TimeDelta::hours(1);

/// True where the last stamp of a body is the live point's; `ends` is the end of its window, none is now. Among midnights
/// anything else is, however old: a coin can stall and a cache can hide its age. Elsewhere it has whole seconds, and was up to
/// half an hour old, so just after an hour it can lie before what is settled.
pub(super) fn is_live(
    resolution: Resolution,
    ends: Option<i64>,
    made_at: DateTime<Utc>,
    last: i64,
) -> bool {
    if resolution == Resolution::Day {
        return !is_midnight(last);
    }
    let age = made_at.timestamp_millis().saturating_sub(last);
    ends_within(LIVE_EDGE, ends, made_at) && last % 1000 == 0 && age < LIVE_AGE.num_milliseconds()
}

/// True for a window that ends now, or so long ago at most.
fn ends_within(ago: TimeDelta, ends: Option<i64>, made_at: DateTime<Utc>) -> bool {
    ends.is_none_or(|end| end >= made_at.timestamp_millis() - ago.num_milliseconds())
}

/// From the newest stamp to the end of the span, where a chart that ends about now should have more points: neighbours are up to two
/// and a half steps apart.
pub(super) fn tail(
    stamps: &[i64],
    resolution: Resolution,
    ends: Option<i64>,
    made_at: DateTime<Utc>,
    span: Option<Span>,
) -> Option<Span> {
    let (span, newest) = (span?, *stamps.last()?);
    let tail = Span::new(newest, span.end).filter(|_| span.contains(newest))?;
    let is_short = tail.length() > resolution.step() * 5 / 2;
    (is_short && ends_within(HIDDEN_AGE, ends, made_at)).then_some(tail)
}

/// Daily points are midnights; others sit on no grid.
pub(super) fn on_grid(resolution: Resolution, ts: i64) -> Result<(), Finding> {
    if resolution != Resolution::Day || is_midnight(ts) {
        return Ok(());
    }
    let found = DateTime::from_timestamp_millis(ts).map_or_else(
        || ts.to_string(),
        |at| at.format("%H:%M:%S%.3f").to_string(),
    );
    Err(Finding::new(&rules::OFF_MIDNIGHT, "ts", found))
}

fn is_midnight(ts: i64) -> bool {
    ts % days(1) == 0
}

/// The spacing that says that a chart is not of a resolution, if there is one. Two stamps tell little, since one may be the
/// live point and coins can have no points for hours; but two midnights are a daily chart's.
pub(super) fn odd_spacing(stamps: &[i64], resolution: Resolution) -> Option<i64> {
    let step = resolution.step();
    let mut spacings: Vec<i64> = stamps
        .windows(2)
        .filter_map(|pair| Some(pair.get(1)? - pair.first()?))
        .collect();
    let middle = spacings.len() / 2;
    match spacings.len() {
        0 => None,
        1 => {
            let daily = resolution != Resolution::Day && stamps.iter().all(|ts| ts % days(1) == 0);
            spacings.first().copied().filter(|_| daily)
        }
        _ => {
            let median = *spacings.select_nth_unstable(middle).1;
            Some(median).filter(|median| !(step / 2..=step * 2).contains(median))
        }
    }
}
