//! What retention means for reading and fetching: what to say of what was pruned, and which span is worth fetching.
//! Pure, but for the record of what was pruned. Deleting is `prune`'s work.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::missing::Missing;
use super::pin::AsOf;
use super::reach::{Backfill, Reach};
use crate::config::{Kept, Retention};
use crate::error::{Error, Result};
use crate::landing;
use crate::market::CoinId;
use crate::series::{Resolution, Span};
use crate::store::{Database, Pruned, Tables, TimeseriesStore};

/// An instant as these texts have it.
fn shown(at: DateTime<Utc>) -> impl std::fmt::Display {
    at.format("%Y-%m-%dT%H:%M:%SZ")
}

/// What to say of points that were pruned.
pub(super) fn points_pruned(resolution: Resolution, pruned: &Pruned) -> String {
    format!(
        "points at {resolution} before {} {}",
        shown(pruned.before),
        were_pruned(Kept::Points(resolution), pruned)
    )
}

/// Whether what was known at a commit is still there in whole, of points from a start on: where something was pruned since then, no
/// pin can be given of it. By an instant that is `missing`; a pin gives the same rows for ever, or none.
///
/// # Errors
/// [`Error::Data`] for a pin of which something is gone.
pub(super) async fn is_kept(
    store: &mut TimeseriesStore,
    as_of: Option<&AsOf>,
    commit: i64,
    resolution: Resolution,
    start: i64,
) -> Result<bool> {
    let kept = Kept::Points(resolution);
    let pruned = store.pruned_after(kept, commit).await?;
    let pruned = pruned.filter(|pruned| start < pruned.before.timestamp_millis());
    match (pruned, as_of) {
        (Some(pruned), Some(AsOf::Pin(pin))) => Err(Error::data(format!(
            "the pin {pin} is gone for this span: {}; give a start from there on",
            points_pruned(resolution, &pruned)
        ))),
        (pruned, _) => Ok(pruned.is_none()),
    }
}

fn were_pruned(of: Kept, pruned: &Pruned) -> String {
    format!(
        "were pruned at {}, by {} = {}",
        shown(pruned.at),
        of.setting(),
        pruned.days
    )
}

/// What to say of a landed body that was pruned; `None` of one that was not.
pub(super) fn body_pruned(path: &str, pruned: &Pruned) -> Option<String> {
    let day = landing::day_of(path)?;
    (day < pruned.before.date_naive()).then(|| {
        format!(
            "the landed body {path} is gone: bodies from before {} {}",
            shown(pruned.before),
            were_pruned(Kept::Landing, pruned)
        )
    })
}

/// The error of a body that could not be read, which says that it was pruned where that is why.
pub(super) async fn or_pruned<T: Tables>(
    store: &mut Database<T>,
    path: &str,
    error: Error,
) -> Error {
    match store.pruned(Kept::Landing).await {
        Ok(Some(pruned)) => body_pruned(path, &pruned).map_or(error, Error::data),
        _ => error,
    }
}

/// Until when all that was pruned was asked for: where no start was written, and some coin begins only where that ends.
pub(super) fn open_until(
    pruned: &Pruned,
    ends: &BTreeMap<CoinId, Span>,
    start: Option<DateTime<Utc>>,
    end: Option<DateTime<Utc>>,
) -> Option<DateTime<Utc>> {
    let horizon = pruned.before.timestamp_millis();
    let is_open = start.is_none() && ends.values().any(|own| own.start >= horizon);
    is_open.then(|| end.unwrap_or(DateTime::<Utc>::MAX_UTC))
}

/// Puts what was pruned of some spans into one of its own, which is the first: of which coins there were points is not known
/// any more. Where no start was written, all that was pruned was asked for, until an instant. Says how many there are of it.
pub(super) fn in_one(
    missing: &mut Vec<Missing>,
    resolution: Resolution,
    pruned: &Pruned,
    open_until: Option<DateTime<Utc>>,
) -> usize {
    let (gone, rest): (Vec<Missing>, Vec<Missing>) = std::mem::take(missing)
        .into_iter()
        .partition(|span| span.end <= pruned.before);
    *missing = rest;
    let all = pruned.first.zip(open_until);
    let spans = gone.iter().map(|span| (span.start, span.end)).chain(all);
    let start = spans.clone().map(|(start, _)| start).min();
    let end = spans.map(|(_, end)| end.min(pruned.before)).max();
    let (Some(start), Some(end)) = (start, end) else {
        return 0;
    };
    if start >= end {
        return 0;
    }
    let of_all = Missing {
        coin_id: None,
        what: format!("points before {}", shown(pruned.before)),
        start,
        end,
        reason: points_pruned(resolution, pruned),
    };
    missing.insert(0, of_all);
    1
}

/// The instant from which on points are kept, in milliseconds since 1970.
pub(super) fn kept_from(resolution: Resolution, retention: Retention, now: DateTime<Utc>) -> i64 {
    let before = retention.before(Kept::Points(resolution), now);
    before.map_or(i64::MIN, |before| before.timestamp_millis())
}

/// A span without what the next prune would delete.
pub(super) fn worth_fetching(
    span: Option<Span>,
    resolution: Resolution,
    retention: Retention,
    now: DateTime<Utc>,
) -> Option<Span> {
    let span = span?;
    let start = span.start.max(kept_from(resolution, retention, now));
    Span::new(start, span.end)
}

/// The same for a backfill.
///
/// # Errors
/// [`Error::Argument`] where its span was written to begin before.
pub(super) fn worth_a_backfill(
    wanted: &Backfill,
    span: Option<Span>,
    retention: Retention,
    now: DateTime<Utc>,
) -> Result<Option<Span>> {
    let kept = Kept::Points(wanted.resolution);
    let (Some(before), Some(days)) = (retention.before(kept, now), retention.days(kept)) else {
        return Ok(span);
    };
    let is_beyond = match wanted.reach {
        // days that are kept are never refused: what of them is before the midnight is left out
        Reach::Days(count) => count > days,
        Reach::Between(from, _) => from < before,
    };
    if is_beyond {
        return Err(Error::argument(format!(
            "points at {} are kept for {days} days, and the span begins before {}, so the next prune would delete what is \
             fetched: ask for --days {days} at the most, or raise or unset COINMILL_{}",
            wanted.resolution,
            shown(before),
            kept.setting().to_ascii_uppercase()
        )));
    }
    Ok(worth_fetching(span, wanted.resolution, retention, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn span(start: &str, end: &str) -> Missing {
        Missing {
            coin_id: Some("bitcoin".to_owned()),
            what: "bitcoin".to_owned(),
            start: at(start),
            end: at(end),
            reason: "not fetched".to_owned(),
        }
    }

    const PRUNED: &str = "2026-01-13T00:00:00Z";

    fn pruned() -> Pruned {
        Pruned {
            before: at(PRUNED),
            first: Some(at("2026-01-01T00:00:00Z")),
            at: at("2026-01-14T12:10:00Z"),
            days: 1,
        }
    }

    fn told(
        mut missing: Vec<Missing>,
        open_until: Option<DateTime<Utc>>,
    ) -> Vec<(Option<String>, String, String)> {
        in_one(&mut missing, Resolution::Hour, &pruned(), open_until);
        let words = |span: Missing| {
            let (start, end) = (span.start.date_naive(), span.end.date_naive());
            (span.coin_id, start.to_string(), end.to_string())
        };
        missing.into_iter().map(words).collect()
    }

    #[test]
    fn what_was_pruned_is_one_span_whatever_the_coins() {
        let gap = |start: &str, end: &str| span(start, end);
        let pruned_span = |start: &str| (None, start.to_owned(), "2026-01-13".to_owned());
        let days = [
            gap("2026-01-05T00:00:00Z", PRUNED),
            gap("2026-01-03T00:00:00Z", PRUNED),
            gap("2026-01-13T12:00:00Z", "2026-01-14T00:00:00Z"),
        ];
        let not_fetched = (
            Some("bitcoin".to_owned()),
            "2026-01-13".to_owned(),
            "2026-01-14".to_owned(),
        );
        assert_eq!(
            told(days.to_vec(), None),
            [pruned_span("2026-01-03"), not_fetched.clone()]
        );
        assert_eq!(
            told(days[2..].to_vec(), None),
            std::slice::from_ref(&not_fetched)
        );
        assert_eq!(
            told(days[2..].to_vec(), Some(at("2026-01-14T00:00:00Z"))),
            [pruned_span("2026-01-01"), not_fetched]
        );
        let mut missing = days[..1].to_vec();
        in_one(&mut missing, Resolution::Hour, &pruned(), None);
        assert_eq!(
            missing[0].reason,
            "points at 1h before 2026-01-13T00:00:00Z were pruned at 2026-01-14T12:10:00Z, by retention_days_1h = 1"
        );
    }
}
