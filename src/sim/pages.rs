//! Cuts a page out of a market's rows: order, ids, position, and what a fault does to the order.
//! It does not know what a row is, so that the seeded and the recorded market page alike.

use super::query::{MarketsQuery, Order};

/// What the order of rows goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key<'a> {
    /// The coin's id.
    pub id: &'a str,
    /// The market capitalisation.
    pub cap: f64,
    /// The volume.
    pub volume: f64,
}

/// What faults have done to the market's rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upset {
    /// At each of these positions, the row and the one before it have changed places, in this order.
    pub swaps: Vec<usize>,
    /// The coin that is missing from the page.
    pub vanished: Option<String>,
    /// The coin that stands in the place of the page's last one.
    pub doubled: Option<String>,
}

/// A page and how many rows there are on all.
#[derive(Debug, PartialEq)]
pub struct Page<T> {
    /// The rows of the page.
    pub rows: Vec<T>,
    /// How many rows all pages have.
    pub total: usize,
    /// True where the page is all rows in their own order.
    pub is_everything: bool,
}

/// The page that a query asks for, from all rows by market capitalisation.
pub fn page<T: Clone>(
    mut rows: Vec<T>,
    query: &MarketsQuery,
    upset: &Upset,
    key: impl for<'a> Fn(&'a T) -> Key<'a>,
) -> Page<T> {
    let everything = rows.len();
    if let Some(ids) = &query.ids {
        rows.retain(|row| ids.iter().any(|id| id == key(row).id));
    }
    match query.order {
        Order::CapDesc => {
            if query.ids.is_none() {
                for at in &upset.swaps {
                    if *at > 0 && *at < rows.len() {
                        rows.swap(at - 1, *at);
                    }
                }
            }
        }
        Order::CapAsc => rows.reverse(),
        Order::IdAsc => rows.sort_by(|a, b| key(a).id.cmp(key(b).id)),
        Order::IdDesc => rows.sort_by(|a, b| key(b).id.cmp(key(a).id)),
        Order::VolumeDesc => rows.sort_by(|a, b| key(b).volume.total_cmp(&key(a).volume)),
        Order::VolumeAsc => rows.sort_by(|a, b| key(a).volume.total_cmp(&key(b).volume)),
    }
    let total = rows.len();
    let wanted = query.rows();
    let doubled = upset
        .doubled
        .as_ref()
        .and_then(|id| rows.iter().find(|row| key(row).id == id).cloned());
    let mut rows: Vec<T> = rows
        .into_iter()
        .skip(wanted.start)
        .take(wanted.len())
        .collect();
    if let Some(gone) = &upset.vanished {
        rows.retain(|row| key(row).id != gone);
    }
    let is_everything = query.order == Order::CapDesc
        && upset.swaps.is_empty()
        && doubled.is_none()
        && rows.len() == everything;
    if let (Some(last), Some(again)) = (rows.last_mut(), doubled) {
        *last = again;
    }
    Page {
        rows,
        total,
        is_everything,
    }
}

#[cfg(test)]
mod tests {
    use super::super::query::{markets, parameters};
    use super::*;

    const ALL: [&str; 6] = ["f", "e", "d", "c", "b", "a"];

    fn ask(text: &str, upset: &Upset) -> Page<&'static str> {
        let query = markets(&parameters(&format!("vs_currency=usd&{text}"))).unwrap();
        page(ALL.to_vec(), &query, upset, |id| Key {
            id,
            cap: 0.0,
            volume: 0.0,
        })
    }

    #[test]
    fn pages_follow_each_other_and_end() {
        let calm = Upset::default();
        assert_eq!(ask("per_page=4&page=1", &calm).rows, ["f", "e", "d", "c"]);
        assert_eq!(ask("per_page=4&page=2", &calm).rows, ["b", "a"]);
        assert_eq!(
            ask("per_page=4&page=3", &calm),
            Page {
                rows: vec![],
                total: 6,
                is_everything: false
            }
        );
        assert!(ask("", &calm).is_everything);
    }

    #[test]
    fn unknown_ids_are_left_out_without_an_error() {
        let page = ask("ids=a,nothing,f", &Upset::default());
        assert_eq!((page.rows, page.total), (vec!["f", "a"], 2));
        assert_eq!(
            ask("order=id_asc&per_page=2", &Upset::default()).rows,
            ["a", "b"]
        );
    }

    #[test]
    fn a_shift_repeats_one_coin_and_hides_another_until_the_page_is_read_again() {
        let shifted = Upset {
            swaps: vec![3],
            ..Upset::default()
        };
        let before = ask("per_page=3&page=1", &Upset::default()).rows;
        let after = ask("per_page=3&page=2", &shifted).rows;
        assert_eq!([before, after].concat(), ["f", "e", "d", "d", "b", "a"]);
        assert_eq!(ask("per_page=3&page=1", &shifted).rows, ["f", "e", "c"]);
    }

    #[test]
    fn a_vanished_coin_is_missing_from_its_page_only() {
        let upset = Upset {
            vanished: Some("e".into()),
            ..Upset::default()
        };
        let page = ask("per_page=3&page=1", &upset);
        assert_eq!((page.rows, page.total), (vec!["f", "d"], 6));
    }

    #[test]
    fn a_doubled_coin_takes_the_place_of_the_page_s_last_one() {
        let upset = |id: &str| Upset {
            doubled: Some(id.into()),
            ..Upset::default()
        };
        let page = ask("per_page=3&page=2", &upset("f"));
        assert_eq!((page.rows, page.total), (vec!["c", "b", "f"], 6));
        assert!(!ask("", &upset("f")).is_everything);
        assert_eq!(
            ask("per_page=3&page=2", &upset("nothing")).rows,
            ["c", "b", "a"]
        );
    }
}
