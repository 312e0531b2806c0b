//! What the databases hold after a run, read by SQL, and how it differs from what an undisturbed run leaves.
//! Keys and ids of rows may differ; what they say may not.

use std::collections::BTreeMap;

use crate::series::{Mill, View};
use crate::support::Cell;
use crate::support::tally::Seen;
use crate::work::Work;

/// The content of the database that a kind of run writes.
pub enum Content {
    /// Not looked at yet.
    Nothing,
    Snapshot {
        quotes: BTreeMap<String, Vec<Cell>>,
        hash: String,
        counts: Vec<i64>,
    },
    Series {
        points: View,
        coverage: BTreeMap<(String, i64), Vec<(i64, i64)>>,
        counts: Vec<i64>,
    },
}

const QUOTES: &str = "select c.id, q.market_cap_rank, q.current_price, q.market_cap, q.total_volume, q.circulating_supply, \
    q.ath, q.ath_date, q.last_updated, q.liquidity_category from quote q join coin c on c.key = q.coin";

impl Content {
    pub async fn of(work: Work, mill: &Mill) -> Self {
        if work != Work::Snapshot {
            return Self::Series {
                points: mill.view().await,
                coverage: mill.coverage().await,
                counts: mill.counts().await,
            };
        }
        let database = &mill.bench.database;
        let mut quotes = BTreeMap::new();
        for mut row in database.rows(QUOTES).await {
            let coin = row.remove(0).text().to_owned();
            assert!(quotes.insert(coin, row).is_none(), "a quote twice");
        }
        let hash = database
            .texts("select content_hash from snapshot_now")
            .await;
        Self::Snapshot {
            quotes,
            hash: hash.concat(),
            // a body that gave some of a slot's rows is named again by the commit that brings the rest
            counts: database.counts().await.split_off(1),
        }
    }

    /// What is missing here of `calm`, what is too much, and whether the accounts agree.
    pub fn compare(&self, calm: &Self, seen: &mut Seen) {
        match (self, calm) {
            (
                Self::Snapshot {
                    quotes,
                    hash,
                    counts,
                },
                Self::Snapshot {
                    quotes: calm,
                    hash: calm_hash,
                    counts: calm_counts,
                },
            ) => {
                let same =
                    |a: &Vec<Cell>, b: &Vec<Cell>| a.iter().zip(b).all(|(a, b)| a.is_same(b));
                differ(quotes, calm, same, seen);
                seen.expect(hash == calm_hash, || format!("content {hash}"));
                rows(counts, calm_counts, seen);
            }
            (
                Self::Series {
                    points,
                    coverage,
                    counts,
                },
                Self::Series {
                    points: calm,
                    coverage: calm_coverage,
                    counts: calm_counts,
                },
            ) => {
                differ(points, calm, PartialEq::eq, seen);
                seen.expect(coverage == calm_coverage, || {
                    format!("coverage {coverage:?}")
                });
                rows(counts, calm_counts, seen);
            }
            _ => panic!("two kinds of run"),
        }
    }
}

fn differ<K: Ord, V>(
    here: &BTreeMap<K, V>,
    calm: &BTreeMap<K, V>,
    same: impl Fn(&V, &V) -> bool,
    seen: &mut Seen,
) {
    let kept = |(key, value): &(&K, &V)| here.get(key).is_some_and(|found| same(found, value));
    seen.lost += calm.iter().filter(|row| !kept(row)).count() as u64;
    seen.doubled += here.keys().filter(|key| !calm.contains_key(key)).count() as u64;
}

/// A revision, or a body that was stored twice, shows in no key.
fn rows(here: &[i64], calm: &[i64], seen: &mut Seen) {
    let more = here
        .iter()
        .zip(calm)
        .map(|(here, calm)| (here - calm).max(0));
    seen.doubled = seen.doubled.max(more.sum::<i64>().unsigned_abs());
    seen.expect(here == calm, || format!("rows {here:?}, not {calm:?}"));
}
