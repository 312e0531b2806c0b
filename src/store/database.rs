//! What both databases have alike: opening, the run's lock, the ledger and its ends, and how data is committed.
//! Their tables are the neighbours' work.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;

use chrono::{DateTime, Utc};

use super::claims;
use super::coins;
use super::connection::Connection;
use super::currency;
use super::landings;
use super::ledger::{self, RunEnd, RunRow, RunStart};
use super::lock::{self, Key, RunLock};
use super::migrate::Schema;
use super::pin;
use super::quarantine::{self, Refused};
use crate::clock::Clock;
use crate::config::DatabaseUrl;
use crate::contract::Drift;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::market::{CoinId, Slot};

/// The tables that tell one database from the other.
pub trait Tables: Default + Debug {
    /// The name of their schema.
    const SCHEMA: &'static str;
    /// Says by a run's id what its landed bodies are: `in use` by it, `settled`, or `left` by one that died; no row for another's run.
    const BODIES: &'static str;
}

/// One open database with its ledger.
#[derive(Debug)]
pub struct Database<T> {
    pub(super) connection: Connection,
    pub(super) url: DatabaseUrl,
    vs_currency: String,
    pub(super) lock: Option<RunLock>,
    pub(super) tables: T,
}

impl<T: Tables> Database<T> {
    /// Makes or migrates the tables, and writes the currency of a PostgreSQL database; a SQLite file takes that of its first
    /// rows. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`Error::Config`] when the database is newer than the program or holds another currency; [`Error::Store`] when it
    /// cannot be reached or this role may not create.
    pub async fn init(url: &DatabaseUrl, vs_currency: &str) -> Result<()> {
        let mut connection = Connection::open(url, T::SCHEMA, true).await?;
        Schema::of(T::SCHEMA)
            .init(&mut connection, Some(vs_currency))
            .await?;
        connection.close().await
    }

    /// Opens the database for a run. A SQLite file is made if it is not there; on PostgreSQL nothing is ever created.
    ///
    /// # Errors
    /// [`Error::Config`] naming `coinmill init` where the tables are missing or old, or the currency that it holds;
    /// [`Error::Store`] when it cannot be reached.
    pub async fn open(url: &DatabaseUrl, vs_currency: &str) -> Result<Self> {
        Self::open_or(url, vs_currency, true).await
    }

    /// Opens the database for reading what is there.
    ///
    /// # Errors
    /// As [`Self::open`], and [`Error::Config`] where there is no SQLite file.
    pub async fn open_existing(url: &DatabaseUrl, vs_currency: &str) -> Result<Self> {
        Self::open_or(url, vs_currency, false).await
    }

    async fn open_or(url: &DatabaseUrl, vs_currency: &str, create: bool) -> Result<Self> {
        let mut connection = Connection::open(url, T::SCHEMA, create).await?;
        if create {
            connection.limit_statements(lock::statement_limit());
        }
        Schema::of(T::SCHEMA)
            .check(&mut connection, Some(vs_currency))
            .await?;
        Ok(Self {
            connection,
            url: url.clone(),
            vs_currency: vs_currency.to_owned(),
            lock: None,
            tables: T::default(),
        })
    }

    /// Makes this a connection that a run writes by.
    ///
    /// # Errors
    /// [`Error::Store`] for a role that may only read, which must not keep a lock from a run.
    pub(super) async fn for_a_run(&mut self) -> Result<()> {
        self.connection.limit_statements(lock::statement_limit());
        self.check_may_write().await
    }

    /// Takes the lock of a slot, for as long as this store lives.
    ///
    /// # Errors
    /// [`Error::Held`] where another run has it; [`Error::Store`] for a role that may only read.
    pub async fn hold(&mut self, slot: Slot) -> Result<()> {
        let what = format!("another run is at work on slot {slot}");
        self.take(Key::Slot(slot), &what).await
    }

    /// Takes the lock of a prune, for as long as this store lives.
    ///
    /// # Errors
    /// As [`Self::hold`].
    pub async fn hold_what_is_old(&mut self) -> Result<()> {
        self.take(Key::Prune, "another prune is at work").await
    }

    /// Takes the lock of the list of all coins, for as long as this store lives.
    ///
    /// # Errors
    /// As [`Self::hold`].
    pub async fn hold_the_list(&mut self) -> Result<()> {
        let what = "another run is at work on the list of all coins";
        self.take(Key::Listing, what).await
    }

    async fn take(&mut self, key: Key, what: &str) -> Result<()> {
        self.for_a_run().await?;
        let lock = lock::take(&mut self.connection, &self.url, &key).await?;
        let held = || Error::Held {
            message: format!("{what}: let it finish"),
        };
        self.lock = Some(lock.ok_or_else(held)?);
        Ok(())
    }

    /// Makes sure that this role may write here.
    ///
    /// # Errors
    /// [`Error::Store`] naming the setting of the writer.
    pub async fn check_may_write(&mut self) -> Result<()> {
        let schema = Schema::of(T::SCHEMA);
        schema.check_may_write(&mut self.connection).await
    }

    /// Makes sure that this role may delete here.
    ///
    /// # Errors
    /// [`Error::Store`] naming the setting of the owner.
    pub async fn check_may_delete(&mut self) -> Result<()> {
        Schema::of(T::SCHEMA)
            .check_may_delete(&mut self.connection)
            .await
    }

    /// Waits for something else, and keeps the run's lock meanwhile: a session of which nothing is heard loses it.
    ///
    /// # Errors
    /// [`Error::Store`] where it is lost.
    pub async fn beside<R>(&mut self, work: impl Future<Output = R>) -> Result<R> {
        self.connection.beside(work).await
    }

    /// Keeps the run's lock during work that waits for nothing.
    ///
    /// # Errors
    /// As [`Self::beside`].
    pub async fn show_life(&mut self) -> Result<()> {
        self.connection.show_life().await
    }

    /// Writes that a run has begun, and that earlier ones have died: those whose lock nobody holds. What they committed and
    /// had no time to stamp gets its instant. Needs [`Self::hold`].
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn begin_run(&mut self, run: &RunStart, clock: Clock) -> Result<()> {
        self.stamp_what_waits(clock).await?;
        ledger::begin(&mut self.connection, run).await?;
        let own = Key::of(&run.id, run.scope);
        for (id, scope) in ledger::running(&mut self.connection, &run.id).await? {
            let Some(key) = scope.map(|scope| Key::of(&id, scope)) else {
                continue;
            };
            if key.shares_lock(&own, &self.url)
                || !lock::is_taken(&mut self.connection, &self.url, &key).await?
            {
                ledger::abandon(&mut self.connection, &id, run.started_at).await?;
            }
        }
        failpoint::pass(failpoint::RUN_BEGUN);
        Ok(())
    }

    pub(super) async fn stamp_what_waits(&mut self, clock: Clock) -> Result<()> {
        if pin::waits(&mut self.connection).await? {
            pin::stamp(&mut self.connection, clock).await?;
        }
        Ok(())
    }

    /// Stores data of a run in one transaction. `load` writes what can be written beside other writers; then, under the writer's
    /// lock, the database's currency is verified, the commit gets its id, and `work` writes the rest. Once it is durable it
    /// gets its instant. `binds` says that there are rows that decide the currency where it is not decided yet.
    pub(super) async fn in_commit<L, R>(
        &mut self,
        run: &str,
        clock: Clock,
        binds: bool,
        load: impl AsyncFnOnce(&mut Connection) -> Result<L>,
        work: impl AsyncFnOnce(&mut Connection, L, i64) -> Result<R>,
    ) -> Result<R> {
        let (vs_currency, lock) = (&self.vs_currency, self.lock.as_ref());
        let done = self
            .connection
            .transaction(async |connection| {
                failpoint::pass(failpoint::COMMIT_BEGUN);
                let loaded = load(connection).await?;
                lock::writer(connection).await?;
                if let Some(lock) = lock {
                    lock::prove(connection, lock).await?;
                }
                if binds {
                    currency::bind(connection, vs_currency).await?;
                } else {
                    currency::check(connection, vs_currency).await?;
                }
                let id = pin::assign(connection, run).await?;
                let done = work(connection, loaded, id).await?;
                failpoint::pass(failpoint::COMMIT_NOT_SENT);
                Ok(done)
            })
            .await?;
        failpoint::pass(failpoint::COMMITTED);
        // what is stored is stored: the next writer would do it
        if let Err(error) = pin::stamp(&mut self.connection, clock).await {
            tracing::warn!(
                "the instant of a commit of run {run} could not be written: {}",
                error.chain()
            );
        }
        failpoint::pass(failpoint::COMMIT_STAMPED);
        Ok(done)
    }

    /// The pin of an instant: the newest commit that was known then. `None` where nothing was.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn pin(&mut self, at: DateTime<Utc>) -> Result<Option<i64>> {
        pin::of(&mut self.connection, at).await
    }

    /// The id of the run that made a commit; `None` where there is no such commit.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn run_of(&mut self, commit: i64) -> Result<Option<String>> {
        pin::run_of(&mut self.connection, commit).await
    }

    /// The pin of now: the newest commit. `None` where nothing was ever committed.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn newest_commit(&mut self) -> Result<Option<i64>> {
        pin::newest(&mut self.connection).await
    }

    /// Writes how a run ended.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn end_run(&mut self, id: &str, end: &RunEnd) -> Result<()> {
        let has_claims = self.lock.as_ref().is_some_and(RunLock::is_of_series);
        let write = async |connection: &mut Connection| {
            ledger::end(connection, id, end).await?;
            if has_claims {
                claims::drop_all(connection, id).await?;
            }
            Ok(())
        };
        self.connection.transaction(write).await?;
        failpoint::pass(failpoint::RUN_ENDED);
        Ok(())
    }

    /// Writes that a run failed. That it could not be written down matters less than why it failed.
    pub async fn fail_run(&mut self, id: &str, end: &RunEnd) {
        if let Err(second) = self.end_run(id, end).await {
            tracing::warn!(
                "the end of run {id} could not be written: {}",
                second.chain()
            );
        }
    }

    /// The newest runs, newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn runs(&mut self, limit: u32) -> Result<Vec<RunRow>> {
        ledger::runs(&mut self.connection, limit).await
    }

    /// One run of the ledger.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn run(&mut self, id: &str) -> Result<Option<RunRow>> {
        ledger::run(&mut self.connection, id).await
    }

    /// The ids of runs that begin or end with a part of an id, the newest first, up to a number.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn run_ids(&mut self, part: &str, limit: u32) -> Result<Vec<String>> {
        ledger::ids_like(&mut self.connection, part, limit).await
    }

    /// Fields of response bodies that are not as they are known to be, over all runs.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn drift(&mut self) -> Result<Vec<Drift>> {
        ledger::drift(&mut self.connection).await
    }

    /// The landed bodies of a run's folder that some commit has used, by path.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn used_bodies(&mut self, folder: &str) -> Result<Vec<String>> {
        landings::paths_in(&mut self.connection, folder).await
    }

    /// Those of some coins of which nothing was ever stored.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn never_stored(&mut self, coins: &[CoinId]) -> Result<Vec<CoinId>> {
        coins::never_stored(&mut self.connection, coins).await
    }

    /// The refused records with these numbers, or all of them, the newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn refused(&mut self, ids: Option<&[i64]>) -> Result<Vec<Refused>> {
        quarantine::refused(&mut self.connection, ids).await
    }

    /// How many records, received since an instant, were refused for each rule.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn refused_since(&mut self, since: DateTime<Utc>) -> Result<BTreeMap<String, u64>> {
        quarantine::since(&mut self.connection, since).await
    }

    /// Ends the connection in good order, and with it the lock.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn close(self) -> Result<()> {
        self.connection.close().await
    }
}

/// The month of an instant, as the account of calls names it.
pub(crate) fn month(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m").to_string()
}
