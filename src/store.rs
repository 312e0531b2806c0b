//! The databases: one face, two backends. All SQL of the product is below this folder, in `migrations/` or in `db-init/`.
//! What to store and when is the pipeline's decision.

mod commit;
mod connection;
mod copy;
mod fault;
mod ledger;
mod lock;
mod migrate;
mod quotes;
mod value;

use chrono::{DateTime, Utc};

pub use commit::{QuoteRow, RefusedRow, SnapshotCommit};
pub use ledger::{RunEnd, RunRow, RunStart};
pub use quotes::{Holdings, SlotState};

use crate::config::DatabaseUrl;
use crate::error::{Error, Result};
use crate::market::{Quote, Slot};
use connection::Connection;
use lock::RunLock;

/// The snapshot database.
#[derive(Debug)]
pub struct SnapshotStore {
    connection: Connection,
    url: DatabaseUrl,
    lock: Option<RunLock>,
}

impl SnapshotStore {
    /// Makes or migrates the tables and writes the database's currency. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`Error::Config`] when the database is newer than the program or holds another currency; [`Error::Store`] when it
    /// cannot be reached or this role may not create.
    pub async fn init(url: &DatabaseUrl, vs_currency: &str) -> Result<()> {
        let mut connection = Connection::open(url, migrate::SNAPSHOT.name, true).await?;
        migrate::SNAPSHOT.init(&mut connection, vs_currency).await?;
        connection.close().await
    }

    /// Opens the database for a run. A SQLite file is made if it is not there; on PostgreSQL nothing is ever created.
    ///
    /// # Errors
    /// [`Error::Config`] naming `coinmill init` where the tables are missing or old, or the currency that it holds;
    /// [`Error::Store`] when it cannot be reached.
    pub async fn open(url: &DatabaseUrl, vs_currency: &str) -> Result<Self> {
        Self::connect(url, vs_currency, true).await
    }

    /// Opens the database for reading what is there.
    ///
    /// # Errors
    /// As [`SnapshotStore::open`], and [`Error::Config`] where there is no SQLite file.
    pub async fn open_existing(url: &DatabaseUrl, vs_currency: &str) -> Result<Self> {
        Self::connect(url, vs_currency, false).await
    }

    async fn connect(url: &DatabaseUrl, vs_currency: &str, create: bool) -> Result<Self> {
        let mut connection = Connection::open(url, migrate::SNAPSHOT.name, create).await?;
        migrate::SNAPSHOT
            .check(&mut connection, vs_currency)
            .await?;
        Ok(Self {
            connection,
            url: url.clone(),
            lock: None,
        })
    }

    /// Takes the slot's lock for as long as this store lives.
    ///
    /// # Errors
    /// [`Error::Held`] where another run has it.
    pub async fn hold(&mut self, slot: Slot) -> Result<()> {
        let held = || Error::Held {
            message: format!("another run is at work on slot {slot}: let it finish"),
        };
        let lock = lock::try_lock(&mut self.connection, &self.url, slot)
            .await?
            .ok_or_else(held)?;
        self.lock = Some(lock);
        Ok(())
    }

    /// Writes that a run has begun, and that earlier ones have died: those whose lock nobody holds. Needs [`Self::hold`].
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn begin_run(&mut self, run: &RunStart) -> Result<()> {
        ledger::begin(&mut self.connection, run).await?;
        for (id, slot) in ledger::running(&mut self.connection, run.kind, &run.id).await? {
            let ours = slot == run.slot || self.url.file().is_some();
            if ours {
                ledger::abandon(&mut self.connection, &id, run.started_at).await?;
            } else if let Some(slot) = slot
                && let Some(lock) = lock::try_lock(&mut self.connection, &self.url, slot).await?
            {
                ledger::abandon(&mut self.connection, &id, run.started_at).await?;
                lock::unlock(&mut self.connection, lock, slot).await?;
            }
        }
        Ok(())
    }

    /// Writes how a run ended that stores nothing.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn end_run(&mut self, id: &str, end: &RunEnd) -> Result<()> {
        ledger::end(&mut self.connection, id, end).await
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
        if ledger::reserve(&mut self.connection, &month, credits, limit).await? {
            return Ok(());
        }
        let spent = ledger::credits(&mut self.connection, &month).await?;
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
        ledger::give_back(&mut self.connection, &month(reserved_at), credits).await
    }

    /// Credits charged or reserved in the month that an instant lies in.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn credits(&mut self, now: DateTime<Utc>) -> Result<u64> {
        ledger::credits(&mut self.connection, &month(now)).await
    }

    /// Stores a snapshot whole, with the ledger's row that `end` makes from the slot's content hash, which is returned.
    ///
    /// # Errors
    /// [`Error::Store`]; then nothing of it was stored.
    pub async fn commit_snapshot(
        &mut self,
        commit: &SnapshotCommit,
        end: impl FnOnce(&str) -> RunEnd,
    ) -> Result<String> {
        commit::commit_snapshot(&mut self.connection, commit, end).await
    }

    /// What is known of a slot, or `None` where nothing was ever committed.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn slot_state(&mut self, slot: Slot) -> Result<Option<SlotState>> {
        quotes::slot_state(&mut self.connection, slot).await
    }

    /// The newest slot that holds anything.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn newest_slot(&mut self) -> Result<Option<Slot>> {
        quotes::newest_slot(&mut self.connection).await
    }

    /// A slot's quotes, by market cap, the largest first; each with its symbol and name as they were known then.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn quotes(&mut self, slot: Slot) -> Result<Vec<Quote>> {
        quotes::quotes_of(&mut self.connection, slot).await
    }

    /// The warnings of a slot's quotes: the names of the rules that each breaks, with commas.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn warnings(&mut self, slot: Slot) -> Result<Vec<String>> {
        quotes::warnings_of(&mut self.connection, slot).await
    }

    /// The newest runs, newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn runs(&mut self, limit: u32) -> Result<Vec<RunRow>> {
        ledger::runs(&mut self.connection, limit).await
    }

    /// Counts what the database holds.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn holdings(&mut self) -> Result<Holdings> {
        quotes::holdings(&mut self.connection).await
    }

    /// Ends the connection in good order, and with it the lock.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn close(self) -> Result<()> {
        self.connection.close().await
    }
}

fn month(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m").to_string()
}
