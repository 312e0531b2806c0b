//! Whether the newest snapshot is complete and recent: one verdict for cron, systemd and monitoring.
//! It reads what is stored; nothing here calls CoinGecko.

use std::time::Duration;

use serde::Serialize;

use super::status::if_there;
use crate::config::Settings;
use crate::error::Result;
use crate::http;
use crate::market::Slot;
use crate::store::{Absent, SnapshotTables};

/// The most of what is missing that the reason names.
const NAMED: usize = 3;

/// The verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The newest snapshot is complete and recent.
    Complete,
    /// It is recent, and something of it is missing.
    Partial,
    /// It is older than it may be.
    Late,
    /// There is none.
    Missing,
}

/// A verdict and its grounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// The verdict.
    pub state: Verdict,
    /// The newest slot that holds anything.
    #[serde(rename = "snapshot_time")]
    pub slot: Option<Slot>,
    /// How long ago that half-hour began, in seconds; never below 0.
    pub age_s: Option<u64>,
    /// The oldest that it may be, in seconds.
    pub max_age_s: u64,
    /// Coins expected in it.
    pub expected: Option<u64>,
    /// What of it is not stored, and why.
    pub missing: Vec<Absent>,
    /// The verdict in words, with the remedy where there is one.
    pub reason: String,
}

/// Looks at the newest snapshot. Its age is counted from the start of its half-hour.
///
/// # Errors
/// [`crate::error::Error::Config`] where the database is not set up; [`crate::error::Error::Store`] when it cannot be read.
pub async fn check(settings: &Settings, max_age: Duration) -> Result<Check> {
    let now = http::now(settings).await;
    let newest =
        match if_there::<SnapshotTables>(&settings.snapshot_url, &settings.vs_currency).await? {
            None => None,
            Some(mut store) => {
                let slot = store.newest_slot(None, None).await?;
                let newest = match slot {
                    None => None,
                    Some(slot) => store
                        .slot_state(slot, None)
                        .await?
                        .map(|state| (slot, state)),
                };
                store.close().await?;
                newest
            }
        };
    let Some((slot, state)) = newest else {
        return Ok(Check {
            state: Verdict::Missing,
            slot: None,
            age_s: None,
            max_age_s: max_age.as_secs(),
            expected: None,
            missing: Vec::new(),
            reason: format!(
                "there is no snapshot in {} yet: `coinmill run snapshot` takes the first",
                settings.snapshot_url
            ),
        });
    };
    // a clock that was set back makes nothing old
    let age = (now - slot.start()).to_std().unwrap_or_default();
    let missing = (!state.is_complete()).then_some(state.account.missing.as_slice());
    let (verdict, reason) = judged(slot, age, max_age, missing, state.expected);
    Ok(Check {
        state: verdict,
        slot: Some(slot),
        age_s: Some(age.as_secs()),
        max_age_s: max_age.as_secs(),
        expected: Some(state.expected),
        missing: state.account.missing,
        reason,
    })
}

/// Age before completeness: what is late is late, however complete it was. Pure.
fn judged(
    slot: Slot,
    age: Duration,
    max_age: Duration,
    missing: Option<&[Absent]>,
    expected: u64,
) -> (Verdict, String) {
    let old = in_words(age);
    if age > max_age {
        let reason = format!(
            "the newest snapshot, {slot}, is {old} old, and {} is the most: see `coinmill runs` for why none came since",
            in_words(max_age)
        );
        return (Verdict::Late, reason);
    }
    let Some(missing) = missing else {
        let reason = format!("snapshot {slot} is complete ({expected} coins) and {old} old");
        return (Verdict::Complete, reason);
    };
    let named: Vec<String> = missing.iter().take(NAMED).map(Absent::to_string).collect();
    let more = match missing.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let reason = format!(
        "snapshot {slot} is partial: {}{more} missing, of {expected} coins",
        named.join(", ")
    );
    (Verdict::Partial, reason)
}

/// A length of time as people write it: its two largest parts, and seconds only below an hour.
pub fn in_words(length: Duration) -> String {
    let seconds = length.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    let parts = match (days, hours, minutes) {
        (0, 0, 0) => [(rest, "s"), (0, "")],
        (0, 0, _) => [(minutes, "min"), (if minutes < 10 { rest } else { 0 }, "s")],
        (0, ..) => [(hours, "h"), (minutes, "min")],
        _ => [(days, "d"), (hours, "h")],
    };
    let said = parts.iter().enumerate();
    let said = said.filter(|(place, (number, _))| *place == 0 || *number > 0);
    let said: Vec<String> = said
        .map(|(_, (number, unit))| format!("{number} {unit}"))
        .collect();
    said.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_is_judged_before_completeness() {
        let slot: Slot = "2026-01-14T12:00Z".parse().unwrap();
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        for (age, is_complete, verdict) in [
            (minutes(45), true, Verdict::Complete),
            (minutes(45) + Duration::from_millis(1), true, Verdict::Late),
            (minutes(0), false, Verdict::Partial),
            (minutes(46), false, Verdict::Late),
        ] {
            let missing = [Absent::coin("bitcoin", "not sent")];
            let missing = (!is_complete).then_some(&missing[..]);
            let (found, reason) = judged(slot, age, minutes(45), missing, 250);
            assert_eq!(found, verdict, "{reason}");
            assert!(reason.contains("2026-01-14T12:00Z"), "{reason}");
        }
    }

    #[test]
    fn a_length_of_time_is_said_by_its_two_largest_parts() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (62, "1 min 2 s"),
            (12 * 60 + 5, "12 min"),
            (3_600, "1 h"),
            (5_430, "1 h 30 min"),
            (200_000, "2 d 7 h"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), text);
        }
    }
}
