//! A JSON number as the double nearest to it.
//! Where it stands and what it means is known elsewhere.

use crate::quality::{Rule, record};

/// The double nearest to a JSON value's own digits, or the rule that it breaks. Negative zero becomes zero, as SQLite would
/// make it.
pub(super) fn double(json: &str) -> Result<f64, &'static Rule> {
    // what begins like a number in valid JSON is one; the standard library rounds every length of digits correctly
    if !json.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return Err(&record::WRONG_TYPE);
    }
    match json.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number + 0.0),
        Ok(_) => Err(&record::NON_FINITE),
        Err(_) => Err(&record::WRONG_TYPE),
    }
}
