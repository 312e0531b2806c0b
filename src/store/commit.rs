//! The commit of a snapshot: rows, quarantine, names, slot and ledger in one transaction.
//! What to commit is decided before; here it becomes durable, or nothing of it does.

use std::collections::{HashMap, HashSet};

use super::account::Account;
use super::coins;
use super::connection::Connection;
use super::landings;
use super::ledger::{self, RunEnd, needed};
use super::names::{self, Name};
use super::quarantine::{self, RefusedRow, Requeued};
use super::quotes::{self, SlotState, stored_values};
use super::tables::SnapshotStore;
use super::tally::{self, SlotAdded};
use super::value::Value;
use crate::clock::Clock;
use crate::content::snapshot_hash;
use crate::derive::{Derived, total_market_cap};
use crate::error::Result;
use crate::failpoint;
use crate::landing::Landed;
use crate::market::{CoinId, Quote, Slot, stored_columns};

/// A quote to store.
#[derive(Debug, Clone)]
pub struct QuoteRow {
    /// The quote.
    pub quote: Quote,
    /// What is derived from it.
    pub derived: Derived,
    /// The names of the warning rules that it breaks.
    pub warnings: Vec<&'static str>,
    /// Which of the commit's bodies it came from.
    pub body: usize,
}

/// Everything that a snapshot run stores.
#[derive(Debug, Clone)]
pub struct SnapshotCommit {
    /// The run.
    pub run: String,
    /// The slot.
    pub slot: Slot,
    /// How many coins by market cap were asked for.
    pub top: u32,
    /// Coins expected: as many of those as there are, and those asked for by name.
    pub expected: u64,
    /// Records received for them over all runs of the slot, refused ones included.
    pub received: u64,
    /// Who was asked for by name, and who is not there and why: a slot of which nothing is missing is complete.
    pub account: Account,
    /// The bodies that the rows came from.
    pub bodies: Vec<Landed>,
    /// Quotes of coins that the slot does not hold yet, each coin once.
    pub quotes: Vec<QuoteRow>,
    /// Records refused.
    pub refused: Vec<RefusedRow>,
    /// Records of earlier runs that were validated again.
    pub requeued: Vec<Requeued>,
}

impl SnapshotCommit {
    /// True where nothing of the slot is missing.
    pub fn is_complete(&self) -> bool {
        self.account.missing.is_empty()
    }

    /// True where it adds nothing to what a slot holds and says of itself: reading the same bodies again is no news.
    pub fn is_known(&self, state: &SlotState) -> bool {
        self.quotes.is_empty()
            && self.refused.is_empty()
            && self.requeued.is_empty()
            && (u64::from(self.top), self.expected, self.received)
                == (state.top, state.expected, state.received)
            && self.account == state.account
    }
}

/// Stores it, and lets `end` make the ledger's row from the slot's content hash. Returns that hash.
pub(crate) async fn commit_snapshot(
    store: &mut SnapshotStore,
    commit: &SnapshotCommit,
    clock: Clock,
    end: impl FnOnce(&str) -> RunEnd,
) -> Result<String> {
    let binds = !commit.bodies.is_empty();
    // a slot's rows are few, and names are compared with the newest: all of it is under the writer's lock
    let load = async |_: &mut Connection| Ok(());
    let work = async |connection: &mut Connection, (): (), id: i64| {
        let landings = landings::reserve(connection, commit.bodies.len()).await?;
        let bodies = landings.iter().copied().zip(&commit.bodies);
        landings::insert(connection, &commit.run, id, bodies).await?;
        let ids: Vec<&CoinId> = commit.quotes.iter().map(|row| &row.quote.id).collect();
        let keys = coins::keys(connection, &ids).await?;
        insert_names(connection, commit, id, &keys, &landings).await?;
        insert_quotes(connection, commit, &keys, &landings).await?;
        failpoint::pass(failpoint::COMMIT_HALF_DONE);
        let quarantined = insert_refused(connection, commit, &landings).await?;
        quarantine::note(connection, &commit.run, &commit.requeued).await?;
        let held = quotes::quotes_of(connection, commit.slot).await?;
        let hash = snapshot_hash(commit.slot, &held);
        let before = quotes::slot_state(connection, commit.slot, None).await?;
        insert_account(connection, commit, id, &hash, total_market_cap(&held)).await?;
        let was_complete = before.as_ref().is_some_and(SlotState::is_complete);
        let added = SlotAdded {
            snapshots: i64::from(before.is_none()),
            complete: i64::from(commit.is_complete()) - i64::from(was_complete),
            quotes: commit.quotes.len() as u64,
            quarantined,
        };
        tally::add_slot(connection, id, added).await?;
        ledger::end(connection, &commit.run, &end(&hash)).await?;
        Ok(hash)
    };
    store.in_commit(&commit.run, clock, binds, load, work).await
}

async fn insert_names(
    connection: &mut Connection,
    SnapshotCommit { quotes, bodies, .. }: &SnapshotCommit,
    commit: i64,
    keys: &HashMap<CoinId, i64>,
    landings: &[i64],
) -> Result<()> {
    let named = quotes.iter().filter_map(|row| {
        Some(Name {
            coin: *keys.get(&row.quote.id)?,
            symbol: &row.quote.symbol,
            name: row.quote.name.as_deref(),
            seen: Some((*landings.get(row.body)?, bodies.get(row.body)?.received_at)),
        })
    });
    names::insert(connection, commit, named.collect()).await
}

async fn insert_quotes(
    connection: &mut Connection,
    commit: &SnapshotCommit,
    keys: &HashMap<CoinId, i64>,
    landings: &[i64],
) -> Result<()> {
    let mut columns = vec!["snapshot_time", "coin"];
    columns.extend(stored_columns().map(|column| column.name));
    columns.push("landing");
    let mut rows = Vec::with_capacity(commit.quotes.len());
    for QuoteRow {
        quote,
        derived,
        warnings,
        body,
    } in &commit.quotes
    {
        let coin = needed(keys.get(&quote.id).copied(), "coin.key")?;
        let landing = needed(landings.get(*body).copied(), "landing.id")?;
        let mut row: Vec<Value> = vec![commit.slot.start().into(), coin.into()];
        row.extend(stored_values(quote, derived, warnings));
        row.push(landing.into());
        rows.push(row);
    }
    connection.insert("quote", &columns, &rows).await
}

async fn insert_refused(
    connection: &mut Connection,
    commit: &SnapshotCommit,
    landings: &[i64],
) -> Result<u64> {
    let known: HashSet<(String, u64)> = quotes::refused_of(connection, commit.slot).await?;
    let mut rows = Vec::new();
    for refused in &commit.refused {
        let body = needed(commit.bodies.get(refused.body), "landing.path")?;
        if !known.contains(&(body.path.clone(), refused.record.unwrap_or_default())) {
            let landing = needed(landings.get(refused.body).copied(), "landing.id")?;
            rows.push((landing, body.path.as_str(), refused));
        }
    }
    quarantine::insert(connection, rows).await
}

/// Writes the account of the slot from this commit on.
async fn insert_account(
    connection: &mut Connection,
    commit: &SnapshotCommit,
    id: i64,
    hash: &str,
    total_market_cap: Option<f64>,
) -> Result<()> {
    let sql = "insert into snapshot (snapshot_time, \"commit\", top, expected, received, state, content_hash, \
               total_market_cap, named, missing, unknown, refused, retried) \
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    let state = match commit.is_complete() {
        true => "complete",
        false => "partial",
    };
    let mut values = vec![
        commit.slot.start().into(),
        id.into(),
        commit.top.into(),
        commit.expected.into(),
        commit.received.into(),
        state.into(),
        hash.into(),
        total_market_cap.into(),
    ];
    values.extend(commit.account.values());
    connection.execute(sql, values).await.map(drop)
}
