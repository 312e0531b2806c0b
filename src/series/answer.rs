//! What a chart answers for: all of the span that was asked for, or only where it has points.
//! Arithmetic only; when a silence is believed in the end is the pipeline's to decide.

use super::{Resolution, Span, Spans, days};

/// What a chart says of its span.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Where it can be believed.
    pub covers: Vec<Span>,
    /// Where it has no points though it should, so that it cannot be told from a response that lost them.
    pub empty: Vec<Span>,
}

impl Answer {
    /// A chart with at least half of the points that its span should have answers for all of it: what is not there is not at
    /// the source. One with fewer answers only where its points are. `stamps` are in order and inside the span.
    pub fn of(resolution: Resolution, span: Span, stamps: &[i64]) -> Self {
        let expected = steps_in(resolution, span);
        let came = i64::try_from(stamps.len()).unwrap_or(i64::MAX);
        if came.saturating_mul(2) >= expected {
            return Self {
                covers: vec![span],
                empty: Vec::new(),
            };
        }
        let step = resolution.step();
        let near = |stamp: i64| Span::new(stamp, stamp + step)?.intersection(span);
        let mut covers: Vec<Span> = Vec::new();
        for piece in stamps.iter().filter_map(|stamp| near(*stamp)) {
            match covers.last_mut() {
                // up to two and a half steps apart, points are neighbours: charts do not sit on a grid
                Some(last) if piece.start - last.end <= step * 3 / 2 => last.end = piece.end,
                _ => covers.push(piece),
            }
        }
        let covered: Spans = covers.iter().copied().collect();
        Self {
            covers,
            empty: covered.gaps_in(span),
        }
    }
}

/// How many points a span has where none is missing.
fn steps_in(resolution: Resolution, span: Span) -> i64 {
    match resolution {
        // daily points are midnights
        Resolution::Day => {
            (span.end - 1).div_euclid(days(1)) - (span.start - 1).div_euclid(days(1))
        }
        _ => span.length() / resolution.step(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000;

    fn hours(start: i64, end: i64) -> Span {
        Span {
            start: start * HOUR,
            end: end * HOUR,
        }
    }

    fn hourly(span: Span, at: &[i64]) -> Answer {
        let stamps: Vec<i64> = at.iter().map(|hour| hour * HOUR + 39_000).collect();
        Answer::of(Resolution::Hour, span, &stamps)
    }

    #[test]
    fn half_of_the_points_answer_for_all_of_the_span() {
        let span = hours(0, 10);
        for at in [&[0, 1, 2, 3, 4][..], &[0, 2, 4, 6, 8], &[5, 6, 7, 8, 9]] {
            assert_eq!(hourly(span, at).covers, [span]);
        }
    }

    #[test]
    fn fewer_answer_only_where_they_are() {
        let answer = hourly(hours(0, 100), &[10, 11, 13, 50]);
        let from = |hour: i64| hour * HOUR + 39_000;
        let piece = |start, end| Span {
            start: from(start),
            end: from(end),
        };
        assert_eq!(answer.covers, [piece(10, 14), piece(50, 51)]);
        assert_eq!(answer.empty.len(), 3);
    }

    #[test]
    fn nothing_answers_for_nothing() {
        let span = hours(0, 48);
        assert_eq!(hourly(span, &[]).empty, [span]);
        // where no point can be, none is missing
        let short = Span {
            start: 0,
            end: HOUR / 2,
        };
        assert_eq!(hourly(short, &[]).covers, [short]);
    }

    #[test]
    fn daily_points_are_counted_by_midnights() {
        let day = 24 * HOUR;
        let span = Span {
            start: day / 2,
            end: 3 * day + 1,
        };
        assert_eq!(steps_in(Resolution::Day, span), 3);
        assert_eq!(
            Answer::of(Resolution::Day, span, &[day, 3 * day]).covers,
            [span]
        );
        let answer = Answer::of(Resolution::Day, span, &[day]);
        assert_eq!((answer.covers.len(), answer.empty.len()), (1, 2));
    }

    proptest! {
        #[test]
        fn covered_and_empty_make_up_the_span_and_every_point_is_covered(
            offsets in proptest::collection::btree_set(0..200_i64 * HOUR, 0..80),
        ) {
            let span = hours(0, 200);
            let stamps: Vec<i64> = offsets.into_iter().collect();
            let Answer { covers, empty } = Answer::of(Resolution::Hour, span, &stamps);
            let covered: Spans = covers.iter().copied().collect();
            prop_assert_eq!(covered.gaps_in(span), empty.clone());
            let is_covered = |stamp: &i64| covers.iter().any(|span| span.contains(*stamp));
            prop_assert!(stamps.iter().all(is_covered));
        }
    }
}
