//! How long what is kept: in days, by resolution and for the landing; unset is for ever.
//! Arithmetic only; deleting what is older is the pipeline's work.

use chrono::{DateTime, TimeDelta, Utc};

use super::layers::Layers;
use crate::error::Result;
use crate::series::Resolution;

/// What has a retention of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The points of a resolution.
    Points(Resolution),
    /// The received bodies.
    Landing,
}

impl Kept {
    /// All of them, in the order of their settings.
    pub const ALL: [Self; 4] = [
        Self::Points(Resolution::FiveMinutes),
        Self::Points(Resolution::Hour),
        Self::Points(Resolution::Day),
        Self::Landing,
    ];

    /// The setting that says how long.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Points(Resolution::FiveMinutes) => "retention_days_5m",
            Self::Points(Resolution::Hour) => "retention_days_1h",
            Self::Points(Resolution::Day) => "retention_days_1d",
            Self::Landing => "retention_days_landing",
        }
    }

    /// Its name in tables and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Points(resolution) => resolution.name(),
            Self::Landing => "landing",
        }
    }
}

/// How many days of each are kept; none is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention([Option<u32>; Kept::ALL.len()]);

impl Retention {
    /// What the settings say.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`] for what is no number of days.
    pub(super) fn read(layers: &Layers) -> Result<Self> {
        let mut days = [None; Kept::ALL.len()];
        for (kept, days) in Kept::ALL.into_iter().zip(&mut days) {
            *days = layers.read_in(kept.setting(), 1..=u32::MAX)?;
        }
        Ok(Self(days))
    }

    /// How many days of something are kept.
    pub fn days(self, of: Kept) -> Option<u32> {
        let mut all = Kept::ALL.into_iter().zip(self.0);
        all.find(|(kept, _)| *kept == of).and_then(|(_, days)| days)
    }

    /// The instant before which something is not kept: the last midnight (UTC) less its days.
    pub fn before(self, of: Kept, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let days = TimeDelta::days(self.days(of)?.into());
        let midnight = now.date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
        // what is older than every instant is kept for ever
        midnight.checked_sub_signed(days)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_days_are_kept_from_midnight_on() {
        let now = "2026-01-14T12:10:00Z".parse().unwrap();
        let retention = Retention([Some(1), None, Some(u32::MAX), Some(30)]);
        let before = |of| retention.before(of, now).map(|at| at.to_string());
        let points = |resolution| before(Kept::Points(resolution));
        assert_eq!(
            points(Resolution::FiveMinutes).as_deref(),
            Some("2026-01-13 00:00:00 UTC")
        );
        assert_eq!(points(Resolution::Hour), None);
        assert_eq!(points(Resolution::Day), None);
        assert_eq!(
            before(Kept::Landing).as_deref(),
            Some("2025-12-15 00:00:00 UTC")
        );
    }
}
