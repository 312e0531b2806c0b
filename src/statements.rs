//! The statements that were sent to SQLite, so that a test can ask how each is planned.
//! Only with the feature `failpoints`: without it, which is in every release, noting one is nothing.

#[cfg(feature = "failpoints")]
use std::collections::BTreeSet;
#[cfg(feature = "failpoints")]
use std::sync::{Mutex, PoisonError};

/// Databases, each with a statement.
#[cfg(feature = "failpoints")]
static NOTED: Mutex<BTreeSet<(String, &'static str)>> = Mutex::new(BTreeSet::new());

/// Notes a statement to a database.
#[cfg(feature = "failpoints")]
pub(crate) fn note(place: &str, sql: &'static str) {
    let mut noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
    noted.insert((place.to_owned(), sql));
}

/// Notes a statement to a database.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn note(_place: &str, _sql: &'static str) {}

/// The databases and statements that were noted in this process since it was last asked.
#[cfg(feature = "failpoints")]
pub fn noted() -> BTreeSet<(String, &'static str)> {
    std::mem::take(&mut NOTED.lock().unwrap_or_else(PoisonError::into_inner))
}
