//! A calendar month in half-hours.
//! Arithmetic only.

use chrono::{DateTime, Datelike, TimeZone, Utc};

use crate::market::Slot;

/// A calendar month (UTC), seen from one of its half-hours. Half-hours are counted from 1970 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month {
    /// The running half-hour.
    pub now: i64,
    /// The first half-hour of the next month.
    pub end: i64,
    /// How many the whole month has.
    pub slots: u64,
}

impl Month {
    /// The month of an instant.
    pub fn of(now: DateTime<Utc>) -> Self {
        let (year, month) = (now.year(), now.month());
        let next = match month {
            12 => (year + 1, 1),
            _ => (year, month + 1),
        };
        let first = |(year, month)| {
            let first = Utc.with_ymd_and_hms(year, month, 1, 0, 0, 0).single();
            Slot::containing(first.unwrap_or(now)).number()
        };
        let (begin, end) = (first((year, month)), first(next));
        Self {
            now: Slot::containing(now).number(),
            end,
            slots: (end - begin).unsigned_abs().max(1),
        }
    }

    /// How many are left, the running one included.
    pub fn left(self) -> u64 {
        (self.end - self.now).unsigned_abs().max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_half_hour_is_one_of_those_that_are_left() {
        let month = |text: &str| Month::of(text.parse().unwrap());
        // 29 days and 9.5 hours
        assert_eq!(month("2026-01-02T14:42:25Z").left(), 1411);
        assert_eq!(month("2026-01-31T23:59:59Z").left(), 1);
        assert_eq!(month("2026-12-31T23:00:00Z").left(), 2);
        assert_eq!(month("2026-02-01T00:00:00Z").slots, 28 * 48);
        assert_eq!(month("2028-02-29T12:00:00Z").slots, 29 * 48);
    }
}
