//! How an instant is written in JSON, wherever it stands.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

/// Writes an instant, or null, in the one form that all our JSON has: RFC 3339 in UTC with milliseconds,
/// `2026-01-31T00:30:00.000Z`. For serde's `serialize_with`.
///
/// # Errors
/// As the serializer gives them.
pub fn stamp<S: Serializer>(
    at: &(impl Copy + Into<Option<DateTime<Utc>>>),
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let at: Option<DateTime<Utc>> = (*at).into();
    at.map(text).serialize(serializer)
}

/// An instant in that form.
pub fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
