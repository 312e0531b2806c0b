//! The snapshot database as the pipeline sees it.
//! The statements are in `commit`, `quotes` and `ledger`.

use std::collections::HashSet;
use std::future::Future;

use chrono::{DateTime, Utc};

use super::account::{self, Account};
use super::commit::{self, SnapshotCommit};
use super::connection::Connection;
use super::desk::{Desk, month};
use super::ledger::{self, RunEnd, RunRow, RunStart, Scope};
use super::migrate::SNAPSHOT;
use super::names::{self, Named};
use super::quarantine::{self, Refused};
use super::quotes::{self, Holdings, SlotState};
use super::table::{self, Table};
use super::trace::{self, Committed};
use crate::clock::Clock;
use crate::config::DatabaseUrl;
use crate::contract::Drift;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::market::{CoinId, Quote, Slot};

/// The snapshot database.
#[derive(Debug)]
pub struct SnapshotStore(Desk);

impl SnapshotStore {
    /// Makes or migrates the tables, and writes the currency of a PostgreSQL database; a SQLite file takes that of its first
    /// rows. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`Error::Config`] when the database is newer than the program or holds another currency; [`Error::Store`] when it
    /// cannot be reached or this role may not create.
    pub async fn init(url: &DatabaseUrl, vs_currency: &str) -> Result<()> {
        let mut connection = Connection::open(url, SNAPSHOT.name, true).await?;
        SNAPSHOT.init(&mut connection, vs_currency).await?;
        connection.close().await
    }

    /// Opens the database for a run. A SQLite file is made if it is not there; on PostgreSQL nothing is ever created.
    ///
    /// # Errors
    /// [`Error::Config`] naming `coinmill init` where the tables are missing or old, or the currency that it holds;
    /// [`Error::Store`] when it cannot be reached.
    pub async fn open(url: &DatabaseUrl, vs_currency: &str) -> Result<Self> {
        Desk::open(&SNAPSHOT, url, vs_currency, true)
            .await
            .map(Self)
    }

    /// Opens the database for reading what is there.
    ///
    /// # Errors
    /// As [`SnapshotStore::open`], and [`Error::Config`] where there is no SQLite file.
    pub async fn open_existing(url: &DatabaseUrl, vs_currency: &str) -> Result<Self> {
        Desk::open(&SNAPSHOT, url, vs_currency, false)
            .await
            .map(Self)
    }

    /// Takes the slot's lock for as long as this store lives.
    ///
    /// # Errors
    /// [`Error::Held`] where another run has it; [`Error::Store`] for a role that may only read.
    pub async fn hold(&mut self, slot: Slot) -> Result<()> {
        self.0.hold(Scope::Slot(slot)).await
    }

    /// Waits for something else, and keeps the run's lock meanwhile: a session of which nothing is heard loses it.
    ///
    /// # Errors
    /// [`Error::Store`] where it is lost.
    pub async fn beside<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        self.0.connection.beside(work).await
    }

    /// Keeps the run's lock during work that waits for nothing.
    ///
    /// # Errors
    /// As [`Self::beside`].
    pub async fn show_life(&mut self) -> Result<()> {
        self.0.connection.show_life().await
    }

    /// Writes that a run has begun, and that earlier ones have died: those whose lock nobody holds. Needs [`Self::hold`].
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn begin_run(&mut self, run: &RunStart, clock: Clock) -> Result<()> {
        self.0.begin_run(run, clock).await
    }

    /// Writes how a run ended that stores nothing.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn end_run(&mut self, id: &str, end: &RunEnd) -> Result<()> {
        self.0.end_run(id, end).await
    }

    /// Writes that a run failed; where that cannot be written, it is logged.
    pub async fn fail_run(&mut self, id: &str, end: &RunEnd) {
        self.0.fail_run(id, end).await;
    }

    /// One run of the ledger.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn run(&mut self, id: &str) -> Result<Option<RunRow>> {
        ledger::run(&mut self.0.connection, id).await
    }

    /// Fields of CoinGecko's bodies that are not as they are known to be, over all runs.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn drift(&mut self) -> Result<Vec<Drift>> {
        ledger::drift(&mut self.0.connection).await
    }

    /// The refused records with these numbers, or all of them, the newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn refused(&mut self, ids: Option<&[i64]>) -> Result<Vec<Refused>> {
        quarantine::refused(&mut self.0.connection, ids).await
    }

    /// Reserves credits of the month that an instant lies in, before the calls are made.
    ///
    /// # Errors
    /// [`Error::Budget`] where the month has fewer left; [`Error::Store`].
    pub async fn reserve_credits(
        &mut self,
        now: DateTime<Utc>,
        credits: u64,
        limit: u64,
    ) -> Result<()> {
        let month = month(now);
        if ledger::reserve(&mut self.0.connection, &month, credits, limit).await? {
            failpoint::pass(failpoint::CALLS_RESERVED);
            return Ok(());
        }
        let spent = ledger::credits(&mut self.0.connection, &month).await?;
        Err(Error::budget(format!(
            "{spent} of the plan's {limit} calls of {month} are spent, and {credits} more are needed: wait for the next month, \
             or raise COINMILL_CREDITS_PER_MONTH if the plan has more"
        )))
    }

    /// Gives back credits that were reserved and not charged.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn give_back_credits(
        &mut self,
        reserved_at: DateTime<Utc>,
        credits: u64,
    ) -> Result<()> {
        ledger::give_back(&mut self.0.connection, &month(reserved_at), credits).await
    }

    /// Credits charged or reserved in the month that an instant lies in.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn credits(&mut self, now: DateTime<Utc>) -> Result<u64> {
        ledger::credits(&mut self.0.connection, &month(now)).await
    }

    /// Stores a snapshot whole, with the ledger's row that `end` makes from the slot's content hash, which is returned.
    ///
    /// # Errors
    /// [`Error::Config`] where the database holds another currency; [`Error::Store`]; then nothing of it was stored.
    pub async fn commit_snapshot(
        &mut self,
        commit: &SnapshotCommit,
        clock: Clock,
        end: impl FnOnce(&str) -> RunEnd,
    ) -> Result<String> {
        commit::commit_snapshot(&mut self.0, commit, clock, end).await
    }

    /// What was known of a slot at a pin (none is now), or `None` where nothing was committed by then.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn slot_state(&mut self, slot: Slot, pin: Option<i64>) -> Result<Option<SlotState>> {
        quotes::slot_state(&mut self.0.connection, slot, pin).await
    }

    /// The accounts of the slots of the day before a slot, the newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn accounts_before(&mut self, slot: Slot) -> Result<Vec<Account>> {
        account::of_the_day_before(&mut self.0.connection, slot).await
    }

    /// Of these coins, those of which a quote of an earlier slot is stored.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn coins_before(&mut self, slot: Slot, coins: &[CoinId]) -> Result<HashSet<CoinId>> {
        quotes::coins_before(&mut self.0.connection, slot, coins).await
    }

    /// The records of a slot that are in quarantine, as body and place.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn refused_of(&mut self, slot: Slot) -> Result<HashSet<(String, u64)>> {
        quotes::refused_of(&mut self.0.connection, slot).await
    }

    /// The newest slot of which anything was known at a pin (none is now), of those that began at or before an instant.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn newest_slot(
        &mut self,
        at: Option<DateTime<Utc>>,
        pin: Option<i64>,
    ) -> Result<Option<Slot>> {
        quotes::newest_slot(&mut self.0.connection, at, pin).await
    }

    /// The pin of an instant: the newest commit that was known then. `None` where nothing was.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn pin(&mut self, at: DateTime<Utc>) -> Result<Option<i64>> {
        self.0.pin(at).await
    }

    /// The pin of now: the newest commit. `None` where nothing was ever committed.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn newest_commit(&mut self) -> Result<Option<i64>> {
        self.0.newest_commit().await
    }

    /// The quotes of the slots from one to before another, with everything that is derived from them, as they were known at
    /// a pin; none is now.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn quote_table(&mut self, from: Slot, to: Slot, pin: Option<i64>) -> Result<Table> {
        table::quotes(&mut self.0.connection, from, to, pin).await
    }

    /// A slot's quotes, by market cap, the largest first; each with its symbol and name as they were known then.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn quotes(&mut self, slot: Slot) -> Result<Vec<Quote>> {
        quotes::quotes_of(&mut self.0.connection, slot).await
    }

    /// A slot's quotes as they were known at a pin.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn quotes_until(&mut self, slot: Slot, pin: i64) -> Result<Vec<Quote>> {
        quotes::quotes_until(&mut self.0.connection, slot, pin).await
    }

    /// The bodies that a slot's quotes came from up to and with a run, in the order of their commits; none where the run
    /// stored nothing.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn committed(&mut self, slot: Slot, run: &str) -> Result<Vec<Committed>> {
        trace::of_slot(&mut self.0.connection, slot, run).await
    }

    /// The refused records that a run validated again and stored.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn requeued_by(&mut self, run: &str) -> Result<Vec<Refused>> {
        let ids = quarantine::stored_by(&mut self.0.connection, run).await?;
        quarantine::refused(&mut self.0.connection, Some(&ids)).await
    }

    /// The warnings of a slot's quotes: the names of the rules that each breaks, with commas.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn warnings(&mut self, slot: Slot) -> Result<Vec<String>> {
        quotes::warnings_of(&mut self.0.connection, slot).await
    }

    /// Every coin with its newest symbol and name, the largest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn names(&mut self) -> Result<Vec<Named>> {
        names::all(&mut self.0.connection).await
    }

    /// The newest runs, newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn runs(&mut self, limit: u32) -> Result<Vec<RunRow>> {
        self.0.runs(limit).await
    }

    /// Counts what the database holds.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn holdings(&mut self) -> Result<Holdings> {
        quotes::holdings(&mut self.0.connection).await
    }

    /// Ends the connection in good order, and with it the lock.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn close(self) -> Result<()> {
        self.0.connection.close().await
    }
}
