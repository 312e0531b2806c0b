//! The grid that candles lie on: a length and a time zone as bars.
//! What lies in a bar is not known here.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::series::{Resolution, Span};

const MINUTE: i64 = 60_000;
const MINUTES_OF_A_DAY: u32 = 1440;

/// How long a candle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Every {
    count: u32,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

impl Unit {
    const ALL: [(&str, Self); 5] = [
        ("mo", Self::Month),
        ("m", Self::Minute),
        ("h", Self::Hour),
        ("d", Self::Day),
        ("w", Self::Week),
    ];
}

impl Every {
    /// One hour.
    pub const HOUR: Self = Self {
        count: 1,
        unit: Unit::Hour,
    };

    /// The resolutions whose points can make a candle of this length, the best one first: one of hours is made of five-minute points
    /// or of hourly ones, a shorter one of five-minute points alone.
    pub fn resolutions(self) -> &'static [Resolution] {
        match self.minutes() {
            Some(minutes) if minutes < 60 => &[Resolution::FiveMinutes],
            _ => &[Resolution::FiveMinutes, Resolution::Hour],
        }
    }

    /// How many minutes it has, where it is shorter than a day.
    fn minutes(self) -> Option<u32> {
        match self.unit {
            Unit::Minute => Some(self.count),
            Unit::Hour => self.count.checked_mul(60),
            _ => None,
        }
    }
}

impl FromStr for Every {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::argument(format!(
                "{text:?} is no length of a candle: give minutes or hours that divide a day (5m, 15m, 30m, 1h, 4h, 12h), or \
                 days, weeks or months (1d, 1w, 1mo)"
            ))
        };
        let (count, unit) = Unit::ALL
            .iter()
            .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))
            .ok_or_else(wrong)?;
        let count = count
            .parse()
            .ok()
            .filter(|count| (1..=1000).contains(count));
        let every = Self {
            count: count.ok_or_else(wrong)?,
            unit,
        };
        let divides = |whole: u32, part: u32| whole.is_multiple_of(part);
        let fits = match (every.minutes(), unit) {
            (Some(minutes), _) => minutes >= 5 && divides(MINUTES_OF_A_DAY, minutes),
            (None, Unit::Month) => divides(12, every.count),
            _ => true,
        };
        fits.then_some(every).ok_or_else(wrong)
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Unit::ALL.iter().find(|(_, unit)| *unit == self.unit);
        write!(f, "{}{}", self.count, name.map_or("", |(name, _)| name))
    }
}

impl Serialize for Every {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Every {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The time zone of a name, as the IANA database has it.
///
/// # Errors
/// [`Error::Argument`] for one that it does not have.
pub fn zone(name: &str) -> Result<Tz> {
    name.parse().map_err(|_| {
        Error::argument(format!(
            "there is no time zone {name:?}: give UTC, or a name such as Europe/Berlin"
        ))
    })
}

/// Bars of one length in a time zone, without gaps between them.
///
/// Days begin at midnight of the zone, weeks on Monday (ISO 8601), months on their first day; several of them are numbered from
/// 1970-01-01 on. Shorter bars are numbered from midnight by the time that passes, so none reaches over a midnight: where clocks are
/// put forward or back, a day's last bars are fewer or more, and its last one may be shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    every: Every,
    zone: Tz,
}

impl Grid {
    /// The grid of a length in a zone.
    pub fn new(every: Every, zone: Tz) -> Self {
        Self { every, zone }
    }

    /// The bar that holds an instant, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`Error::Argument`] for an instant that no calendar has.
    pub fn bar_of(&self, ts: i64) -> Result<Span> {
        self.bar(ts)
            .ok_or_else(|| Error::argument(format!("no calendar has the instant {ts}")))
    }

    fn bar(&self, ts: i64) -> Option<Span> {
        let at = DateTime::from_timestamp_millis(ts)?.with_timezone(&self.zone);
        let date = at.date_naive();
        let (first, next) = match self.every.minutes() {
            Some(_) => (date, date.succ_opt()?),
            None => self.days(date)?,
        };
        let (start, end) = (self.midnight(first)?, self.midnight(next)?);
        let Some(minutes) = self.every.minutes() else {
            return Span::new(start, end);
        };
        let step = i64::from(minutes) * MINUTE;
        let start = start + (ts - start).div_euclid(step) * step;
        Span::new(start, end.min(start + step))
    }

    /// The first day of a bar of days, weeks or months, and that of the next.
    fn days(&self, date: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
        let count = i64::from(self.every.count);
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
        // the week of 1970-01-01, a Thursday, began three days before
        let (length, offset) = match self.every.unit {
            Unit::Month => {
                let months = i64::from(date.year()) * 12 + i64::from(date.month0());
                let first = months.div_euclid(count) * count;
                let day = |months: i64| {
                    let month = u32::try_from(months.rem_euclid(12)).ok()? + 1;
                    NaiveDate::from_ymd_opt(i32::try_from(months.div_euclid(12)).ok()?, month, 1)
                };
                return Some((day(first)?, day(first + count)?));
            }
            Unit::Week => (count * 7, 3),
            _ => (count, 0),
        };
        let number = date.signed_duration_since(epoch).num_days() + offset;
        let first = epoch + TimeDelta::days(number.div_euclid(length) * length - offset);
        Some((
            first,
            first.checked_add_days(Days::new(length.unsigned_abs()))?,
        ))
    }

    /// The first instant of a day of the zone: clocks may be put forward over its midnight, and put back to it.
    fn midnight(&self, date: NaiveDate) -> Option<i64> {
        const QUARTER: i64 = 15;
        (0..=100)
            .filter_map(|quarters| {
                let local = date.and_time(NaiveTime::MIN) + TimeDelta::minutes(quarters * QUARTER);
                self.zone.from_local_datetime(&local).earliest()
            })
            .map(|at| at.with_timezone(&Utc).timestamp_millis())
            .next()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grid(every: &str, zone: Tz) -> Grid {
        Grid::new(every.parse().unwrap(), zone)
    }

    fn ms(text: &str) -> i64 {
        text.parse::<DateTime<Utc>>().unwrap().timestamp_millis()
    }

    /// The bar of an instant, as texts in the zone.
    fn bar(every: &str, zone: Tz, at: &str) -> (String, String) {
        let span = grid(every, zone).bar_of(ms(at)).unwrap();
        let shown = |ts| {
            let at = DateTime::from_timestamp_millis(ts).unwrap();
            at.with_timezone(&zone).format("%m-%d %H:%M %z").to_string()
        };
        (shown(span.start), shown(span.end))
    }

    #[test]
    fn bars_lie_where_a_clock_of_the_zone_says() {
        let said = |every, zone, at, start: &str, end: &str| {
            assert_eq!(bar(every, zone, at), (start.to_owned(), end.to_owned()));
        };
        let at = "2026-01-14T12:34:56Z";
        said("1h", Tz::UTC, at, "01-14 12:00 +0000", "01-14 13:00 +0000");
        said("15m", Tz::UTC, at, "01-14 12:30 +0000", "01-14 12:45 +0000");
        said("1d", Tz::UTC, at, "01-14 00:00 +0000", "01-15 00:00 +0000");
        said("1w", Tz::UTC, at, "01-12 00:00 +0000", "01-19 00:00 +0000");
        said("1mo", Tz::UTC, at, "01-01 00:00 +0000", "02-01 00:00 +0000");
        said("3mo", Tz::UTC, at, "01-01 00:00 +0000", "04-01 00:00 +0000");
        let kolkata = Tz::Asia__Kolkata;
        said("1h", kolkata, at, "01-14 18:00 +0530", "01-14 19:00 +0530");
        let berlin = Tz::Europe__Berlin;
        // clocks go from 02:00 to 03:00: a day of 23 hours
        let forward = "2026-03-29T12:00:00Z";
        said(
            "1d",
            berlin,
            forward,
            "03-29 00:00 +0100",
            "03-30 00:00 +0200",
        );
        said(
            "4h",
            berlin,
            forward,
            "03-29 13:00 +0200",
            "03-29 17:00 +0200",
        );
        said(
            "4h",
            berlin,
            "2026-03-29T21:30:00Z",
            "03-29 21:00 +0200",
            "03-30 00:00 +0200",
        );
        // and from 03:00 to 02:00
        said(
            "1h",
            berlin,
            "2026-10-25T00:30:00Z",
            "10-25 02:00 +0200",
            "10-25 02:00 +0100",
        );
        said(
            "1h",
            berlin,
            "2026-10-25T01:30:00Z",
            "10-25 02:00 +0100",
            "10-25 03:00 +0100",
        );
        // in Beirut from 00:00 to 01:00
        said(
            "1d",
            Tz::Asia__Beirut,
            "2026-03-29T12:00:00Z",
            "03-29 01:00 +0300",
            "03-30 00:00 +0300",
        );
    }

    #[test]
    fn a_length_is_written_as_it_reads_and_others_are_errors() {
        for text in [
            "5m", "15m", "1h", "4h", "24h", "1d", "3d", "2w", "1mo", "6mo",
        ] {
            assert_eq!(text.parse::<Every>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "h",
            "0h",
            "-1h",
            "1",
            "7h",
            "1m",
            "7m",
            "5mo",
            "1y",
            "1.5h",
            "99999999999d",
            "1 h",
        ] {
            let error = text.parse::<Every>().unwrap_err().to_string();
            assert!(error.contains("5m, 15m"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn bars_follow_each_other_in_every_zone(
            every in prop::sample::select(&["5m", "1h", "4h", "1d", "3d", "1w", "1mo", "6mo"][..]),
            zone in prop::sample::select(&chrono_tz::TZ_VARIANTS[..]),
            ts in 1_230_768_000_000i64..4_102_444_800_000,
        ) {
            let grid = grid(every, zone);
            let bar = grid.bar_of(ts).unwrap();
            prop_assert!(bar.contains(ts));
            prop_assert_eq!(grid.bar_of(bar.start).unwrap(), bar);
            prop_assert_eq!(grid.bar_of(bar.end - 1).unwrap(), bar);
            prop_assert_eq!(grid.bar_of(bar.end).unwrap().start, bar.end);
            prop_assert_eq!(grid.bar_of(bar.start - 1).unwrap().end, bar.start);
        }
    }
}
