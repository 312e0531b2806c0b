//! Which run is meant by a part of its id: the beginning or the end, as people copy it from `coinmill runs`.
//! It chooses only where one run alone can be meant.

use crate::error::{Error, Result};
use crate::store::{SnapshotStore, TimeseriesStore};

/// The most candidates that an error lists.
const LISTED: u32 = 5;

/// The whole id of the run that a part of it names, in either ledger. A text that names none is given back as it is.
///
/// # Errors
/// [`Error::Argument`] listing the runs that can be meant, where there are several; [`Error::Store`].
pub(super) async fn whole_id(
    store: &mut SnapshotStore,
    series: Option<&mut TimeseriesStore>,
    part: &str,
) -> Result<String> {
    let part = part.trim().trim_end_matches('…').to_ascii_lowercase();
    let is_of_an_id = |c: char| c.is_ascii_hexdigit() || c == '-';
    if part.is_empty() || !part.chars().all(is_of_an_id) {
        return Err(unknown(&part));
    }
    // one more than is listed says whether there are more
    let mut found = store.run_ids(&part, LISTED + 1).await?;
    if let Some(series) = series {
        found.extend(series.run_ids(&part, LISTED + 1).await?);
    }
    chosen(&part, found)
}

/// The only one of the ids found, or the one that is the text itself. Pure.
fn chosen(part: &str, mut found: Vec<String>) -> Result<String> {
    // ids begin with their time, so the newest come first
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.dedup();
    match found.as_slice() {
        [] => Ok(part.to_owned()),
        [one] => Ok(one.clone()),
        several if several.iter().any(|id| id == part) => Ok(part.to_owned()),
        several => {
            let listed = several.iter().take(LISTED as usize);
            let listed: Vec<&str> = listed.map(String::as_str).collect();
            let more = match several.len() > listed.len() {
                true => " and more",
                false => "",
            };
            Err(Error::argument(format!(
                "{part} can be any of these runs: {}{more}; write more of the id",
                listed.join(", ")
            )))
        }
    }
}

/// The error for a text that names no run.
pub(super) fn unknown(run: &str) -> Error {
    Error::argument(format!(
        "there is no run {run} in either ledger: `coinmill runs` lists them"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_an_id_is_enough_where_no_other_run_has_it() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(chosen("01", ids(&["01-a"])).unwrap(), "01-a");
        assert_eq!(chosen("01", ids(&[])).unwrap(), "01");
        assert_eq!(chosen("01", ids(&["01", "01-a"])).unwrap(), "01");
        assert_eq!(chosen("01", ids(&["01-a", "01-a"])).unwrap(), "01-a");
        let error = chosen("01", ids(&["01-a", "01-b"])).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("01-b, 01-a; write more"), "{said}");
        let many = ids(&["1a", "1b", "1c", "1d", "1e", "1f"]);
        let said = chosen("1", many).unwrap_err().to_string();
        assert!(
            said.contains("1b and more") && !said.contains("1a"),
            "{said}"
        );
    }
}
