//! What a chart covers: all of the span that was requested, or only where it has points.
//! Arithmetic only; when a span is believed to be empty is the pipeline's to decide.

use super::{Resolution, Span, Spans, days};

/// What a chart says of its span.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChartCoverage {
    /// Where it can be believed.
    pub covers: Vec<Span>,
    /// Where it has no points though it should, so that it cannot be told from a response that lost them.
    pub empty: Vec<Span>,
    /// Where its points are refused, so that it is not known what stands there.
    pub refused: Vec<Span>,
}

impl ChartCoverage {
    /// A chart with at least half of the points that its span should have covers all of it: what is not there does not
    /// exist. One with fewer covers only where its points are. `stamps` are in order and inside the span.
    /// Points at the stamps in `holes` are refused.
    pub fn of(resolution: Resolution, span: Span, stamps: &[i64], holes: &[i64]) -> Self {
        let mut all = [stamps, holes].concat();
        all.sort_unstable();
        let mut coverage = Self::of_all(resolution, span, &all);
        coverage.refused = refused(resolution.step(), stamps, holes)
            .into_iter()
            .filter_map(|hole| hole.intersection(span))
            .collect();
        let refused: Spans = coverage.refused.iter().copied().collect();
        let covers = coverage.covers.iter();
        coverage.covers = covers.flat_map(|span| refused.gaps_in(*span)).collect();
        coverage
    }

    fn of_all(resolution: Resolution, span: Span, stamps: &[i64]) -> Self {
        let expected = steps_in(resolution, span);
        let came = i64::try_from(stamps.len()).unwrap_or(i64::MAX);
        if came.saturating_mul(2) >= expected {
            return Self {
                covers: vec![span],
                ..Self::default()
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
        // less than a step before the first point, or after the last, there is none to miss
        let (slivers, empty): (Vec<Span>, Vec<Span>) = covered
            .gaps_in(span)
            .into_iter()
            .partition(|gap| gap.length() < step && !covers.is_empty());
        covers.extend(slivers);
        covers.sort_unstable();
        Self {
            covers,
            empty,
            refused: Vec::new(),
        }
    }
}

/// From each refused point, or the first of several, to the next accepted one, or for a step.
fn refused(step: i64, stamps: &[i64], holes: &[i64]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for hole in holes {
        let next = stamps.iter().copied().find(|stamp| stamp > hole);
        let end = next.map_or(hole + step, |next| next.min(hole + step * 5 / 2));
        match spans.last_mut() {
            Some(last) if last.end >= *hole => last.end = last.end.max(end),
            _ => spans.extend(Span::new(*hole, end)),
        }
    }
    spans
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

    fn hourly(span: Span, at: &[i64]) -> ChartCoverage {
        let stamps: Vec<i64> = at.iter().map(|hour| hour * HOUR + 39_000).collect();
        ChartCoverage::of(Resolution::Hour, span, &stamps, &[])
    }

    #[test]
    fn half_of_the_points_cover_all_of_the_span() {
        let span = hours(0, 10);
        for at in [&[0, 1, 2, 3, 4][..], &[0, 2, 4, 6, 8], &[5, 6, 7, 8, 9]] {
            assert_eq!(hourly(span, at).covers, [span]);
        }
    }

    #[test]
    fn fewer_points_cover_only_where_they_are() {
        let coverage = hourly(hours(0, 100), &[10, 11, 13, 50]);
        let from = |hour: i64| hour * HOUR + 39_000;
        let piece = |start, end| Span {
            start: from(start),
            end: from(end),
        };
        assert_eq!(coverage.covers, [piece(10, 14), piece(50, 51)]);
        assert_eq!(coverage.empty.len(), 3);
    }

    #[test]
    fn a_refused_point_is_not_covered() {
        let at = |hour: i64| hour * HOUR + 39_000;
        let stamps: Vec<i64> = (0..10).filter(|h| ![3, 4, 7].contains(h)).map(at).collect();
        let holes = [at(3), at(4), at(7)];
        let coverage = ChartCoverage::of(Resolution::Hour, hours(0, 10), &stamps, &holes);
        let span = |start, end| Span { start, end };
        assert_eq!(coverage.refused, [span(at(3), at(5)), span(at(7), at(8))]);
        assert_eq!(
            coverage.covers,
            [span(0, at(3)), span(at(5), at(7)), span(at(8), 10 * HOUR)]
        );
        // where every point is refused, none of the span is covered
        let coverage =
            ChartCoverage::of(Resolution::Hour, hours(0, 3), &[], &[at(0), at(1), at(2)]);
        assert_eq!(coverage.refused, [span(at(0), 3 * HOUR)]);
    }

    #[test]
    fn a_chart_without_points_covers_nothing() {
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
            ChartCoverage::of(Resolution::Day, span, &[day, 3 * day], &[]).covers,
            [span]
        );
        let coverage = ChartCoverage::of(Resolution::Day, span, &[day], &[]);
        // half a day before the first midnight there is none to miss
        assert_eq!((coverage.covers.len(), coverage.empty.len()), (2, 1));
    }

    proptest! {
        #[test]
        fn covered_and_empty_make_up_the_span_and_every_point_is_covered(
            offsets in proptest::collection::btree_set(0..200_i64 * HOUR, 0..80),
        ) {
            let span = hours(0, 200);
            let stamps: Vec<i64> = offsets.into_iter().collect();
            let ChartCoverage { covers, empty, .. } = ChartCoverage::of(Resolution::Hour, span, &stamps, &[]);
            let covered: Spans = covers.iter().copied().collect();
            prop_assert_eq!(covered.gaps_in(span), empty.clone());
            let is_covered = |stamp: &i64| covers.iter().any(|span| span.contains(*stamp));
            prop_assert!(stamps.iter().all(is_covered));
        }
    }
}
