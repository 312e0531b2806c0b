//! Where an instant lies in its day and in its week, as points on two circles.
//! Days and weeks are those of UTC, weeks begin on Monday.

use std::f64::consts::TAU;

const DAY: i64 = 86_400_000_000;
const WEEK: i64 = 7 * DAY;

/// 1970 began on a Thursday.
const FIRST_MONDAY: i64 = 4 * DAY;

/// Sine and cosine of the time of the day, then of the time of the week: `sin(2π·t/T)` and `cos(2π·t/T)`, where t is the
/// time since midnight, or since Monday's midnight, in UTC, and T a day, or a week.
///
/// So 23:59 and 00:01 are neighbours, which they are not as numbers.
/// Source: scikit-learn, "Time-related feature engineering", trigonometric features,
/// <https://scikit-learn.org/stable/auto_examples/applications/plot_cyclical_feature_engineering.html>.
pub fn cyclical(stamp: i64) -> [f64; 4] {
    let (day_sin, day_cos) = angle(stamp.rem_euclid(DAY), DAY).sin_cos();
    let since_monday = (stamp.rem_euclid(WEEK) - FIRST_MONDAY).rem_euclid(WEEK);
    let (week_sin, week_cos) = angle(since_monday, WEEK).sin_cos();
    [day_sin, day_cos, week_sin, week_cos]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a week of microseconds is exact"
)]
fn angle(part: i64, whole: i64) -> f64 {
    TAU * (part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_circles_begin_at_midnight_and_on_monday() {
        // Monday 2026-01-05, 00:00
        let monday = 1_767_571_200_000_000;
        assert_eq!(cyclical(monday), [0.0, 1.0, 0.0, 1.0]);
        let [sin, cos, _, _] = cyclical(monday + DAY / 4);
        assert!((sin - 1.0).abs() < 1e-15 && cos.abs() < 1e-15);
        // half of the week is Thursday at noon
        let [_, _, sin, cos] = cyclical(monday + WEEK / 2);
        assert!(sin.abs() < 1e-15 && (cos + 1.0).abs() < 1e-15);
    }

    #[test]
    fn instants_before_1970_have_their_place_too() {
        assert_eq!(cyclical(-3 * DAY - 100 * WEEK), cyclical(4 * DAY));
    }
}
