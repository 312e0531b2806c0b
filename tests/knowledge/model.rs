//! What a database holds and by which commit each part of it came, read by SQL; and what follows for what is known at a pin.

use std::collections::BTreeMap;

use coinmill::market::CoinId;
use coinmill::series::{PricePoint, Span};
use coinmill::store::PricesQuery;

use crate::commits::{Base, RESOLUTIONS, Store, slot_of};
use crate::series::rows;
use crate::support::{Cell, Database};

/// Facts by their key, and for each the values that it had: by which commit, and received when.
type History = BTreeMap<Vec<String>, Vec<(i64, i64, String)>>;

/// A database whose writers are done.
pub struct Model {
    base: Base,
    /// The instants of the commits, by id.
    pub stamps: Vec<Cell>,
    facts: History,
}

const POINTS: &str = r#"select c.id, cast(p.resolution as bigint), p.ts, p.price, l."commit", l.received_at
    from (select * from price_point union all select * from price_revision) p
    join coin c on c.key = p.coin join landing l on l.id = p.landing"#;

/// Quotes with the symbol that came with them, whatever came under the same key later.
const QUOTES: &str = r#"select q.snapshot_time, c.id, q.current_price, l."commit", l.received_at
    from quote q join coin c on c.key = q.coin join landing l on l.id = q.landing"#;

const ACCOUNTS: &str = r#"select snapshot_time, received, "commit" from snapshot"#;

impl Model {
    pub async fn of(base: Base, database: &Database) -> Self {
        let read = async |sql: &str| match base {
            Base::Snapshot => database.rows(sql).await,
            Base::Series => rows(database, sql).await,
        };
        let mut facts = History::new();
        let mut add = |key: &[&Cell], value: &Cell, commit: &Cell, received: i64| {
            let key = key.iter().map(|cell| format!("{cell:?}")).collect();
            let value = (commit.int(), received, format!("{value:?}"));
            facts.entry(key).or_default().push(value);
        };
        match base {
            Base::Series => {
                for row in read(POINTS).await {
                    add(&[&row[0], &row[1], &row[2]], &row[3], &row[4], row[5].int());
                }
            }
            Base::Snapshot => {
                for row in read(QUOTES).await {
                    add(&[&row[0], &row[1]], &row[2], &row[3], row[4].int());
                }
                for row in read(ACCOUNTS).await {
                    add(&[&row[0]], &row[1], &row[2], 0);
                }
            }
        }
        let stamps = read(r#"select at from "commit" order by id"#).await;
        Self {
            base,
            stamps: stamps.into_iter().map(|mut row| row.remove(0)).collect(),
            facts,
        }
    }

    /// What is known at a pin: of each fact the newest value of the commits up to it.
    fn known(&self, pin: i64) -> BTreeMap<Vec<String>, String> {
        let newest = |values: &Vec<(i64, i64, String)>| {
            let known = values.iter().filter(|value| value.0 <= pin);
            known
                .max_by_key(|value| (value.0, value.1))
                .map(|value| value.2.clone())
        };
        let facts = self.facts.iter();
        facts
            .filter_map(|(key, values)| Some((key.clone(), newest(values)?)))
            .collect()
    }

    /// Holds what the store says of a pin against it.
    pub async fn compare(&self, store: &mut Store, pin: i64) {
        let text = |cell: Cell| format!("{cell:?}");
        let mut found = BTreeMap::new();
        match store {
            Store::Series(store) => {
                for resolution in RESOLUTIONS {
                    let query = PricesQuery {
                        coins: Vec::new(),
                        resolution,
                        span: Span {
                            start: 0,
                            end: i64::from(u32::MAX) * 1000,
                        },
                        pin: Some(pin),
                    };
                    let note = |coin: &CoinId, point: PricePoint| {
                        let minutes = Cell::Int(resolution.minutes().into());
                        let key = [Cell::Text(coin.to_string()), minutes, Cell::Int(point.ts)];
                        let price = Cell::Float(point.price.unwrap());
                        found.insert(key.map(text).to_vec(), text(price));
                        Ok(())
                    };
                    store.each_point(&query, note).await.unwrap();
                }
            }
            Store::Snapshot(store) => {
                for writer in 0..RESOLUTIONS.len() {
                    let slot = slot_of(writer);
                    let start = Cell::Int(slot.start().timestamp_millis());
                    for quote in store.quotes_until(slot, pin).await.unwrap() {
                        // each commit gave its coin a new symbol: an older quote keeps the one that came with it
                        let price = quote.measures[0].unwrap();
                        assert_eq!(quote.symbol, format!("{writer}-{price}"));
                        let key = [start.clone(), Cell::Text(quote.id.to_string())];
                        found.insert(key.map(text).to_vec(), text(Cell::Float(price)));
                    }
                    if let Some(state) = store.slot_state(slot, Some(pin)).await.unwrap() {
                        let received = Cell::Int(state.received as i64);
                        found.insert(vec![text(start)], text(received));
                        let missing = &state.account.missing[0].what;
                        assert_eq!(*missing, format!("after-{}", state.received));
                    }
                }
            }
        }
        assert_eq!(found, self.known(pin), "{:?} at pin {pin}", self.base);
    }
}
