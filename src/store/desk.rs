//! What both databases have alike: opening, the run's lock, the ledger and its ends.
//! Their tables are the neighbours' work.

use chrono::{DateTime, Utc};

use super::connection::Connection;
use super::currency;
use super::ledger::{self, RunEnd, RunRow, RunStart, Scope};
use super::lock::{self, RunLock};
use super::migrate::Schema;
use super::pin;
use crate::clock::Clock;
use crate::config::DatabaseUrl;
use crate::error::{Error, Result};
use crate::failpoint;

/// One open database with its ledger.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) connection: Connection,
    schema: &'static Schema,
    url: DatabaseUrl,
    vs_currency: String,
    lock: Option<RunLock>,
}

impl Desk {
    /// Opens a database that is ready for this program; `create` makes a SQLite file that is not there.
    pub(crate) async fn open(
        schema: &'static Schema,
        url: &DatabaseUrl,
        vs_currency: &str,
        create: bool,
    ) -> Result<Self> {
        let mut connection = Connection::open(url, schema.name, create).await?;
        schema.check(&mut connection, vs_currency).await?;
        Ok(Self {
            connection,
            schema,
            url: url.clone(),
            vs_currency: vs_currency.to_owned(),
            lock: None,
        })
    }

    /// Takes the lock of a slot or a series for as long as the connection lives, for a run: a role that may only read must
    /// not keep it from one.
    pub(crate) async fn hold(&mut self, scope: Scope) -> Result<()> {
        self.schema.check_may_write(&mut self.connection).await?;
        let held = || {
            let what = match scope {
                Scope::Slot(slot) => format!("slot {slot}"),
                Scope::Series(resolution) => format!("the {resolution} series"),
            };
            Error::Held {
                message: format!("another run is at work on {what}: let it finish"),
            }
        };
        let lock = lock::take(&mut self.connection, &self.url, scope).await?;
        self.lock = Some(lock.ok_or_else(held)?);
        Ok(())
    }

    /// Writes that a run has begun, and that earlier ones have died: those whose lock nobody holds. What they committed and
    /// had no time to stamp gets its instant.
    pub(crate) async fn begin_run(&mut self, run: &RunStart, clock: Clock) -> Result<()> {
        if pin::waits(&mut self.connection).await? {
            pin::stamp(&mut self.connection, clock).await?;
        }
        ledger::begin(&mut self.connection, run).await?;
        for (id, scope) in ledger::running(&mut self.connection, &run.id).await? {
            let Some(scope) = scope else { continue };
            if scope.shares_lock(run.scope, &self.url) {
                ledger::abandon(&mut self.connection, &id, run.started_at).await?;
            } else if let Some(lock) =
                lock::try_lock(&mut self.connection, &self.url, scope).await?
            {
                ledger::abandon(&mut self.connection, &id, run.started_at).await?;
                lock::unlock(&mut self.connection, lock).await?;
            }
        }
        failpoint::pass(failpoint::RUN_BEGUN);
        Ok(())
    }

    /// Stores data of a run in one transaction. `load` writes what can be written beside other writers; then, under the writer's
    /// lock, the database's currency is verified, the commit gets its id, and `work` writes the rest. Once it is durable it
    /// gets its instant. `binds` says that there are rows that decide the currency where it is not decided yet.
    pub(crate) async fn commit<L, T>(
        &mut self,
        run: &str,
        clock: Clock,
        binds: bool,
        load: impl AsyncFnOnce(&mut Connection) -> Result<L>,
        work: impl AsyncFnOnce(&mut Connection, L, i64) -> Result<T>,
    ) -> Result<T> {
        let (vs_currency, lock) = (&self.vs_currency, self.lock.as_ref());
        let done = self
            .connection
            .transaction(async |connection| {
                failpoint::pass(failpoint::COMMIT_BEGUN);
                let loaded = load(connection).await?;
                connection.lock_writer().await?;
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

    /// The pin of an instant: the newest commit that was known then.
    pub(crate) async fn pin(&mut self, at: DateTime<Utc>) -> Result<Option<i64>> {
        pin::of(&mut self.connection, at).await
    }

    /// The pin of now: the newest commit.
    pub(crate) async fn newest_commit(&mut self) -> Result<Option<i64>> {
        pin::newest(&mut self.connection).await
    }

    /// Writes how a run ended.
    pub(crate) async fn end_run(&mut self, id: &str, end: &RunEnd) -> Result<()> {
        if end.drift.is_empty() {
            ledger::end(&mut self.connection, id, end).await?;
        } else {
            let write = async |connection: &mut Connection| ledger::end(connection, id, end).await;
            self.connection.transaction(write).await?;
        }
        failpoint::pass(failpoint::RUN_ENDED);
        Ok(())
    }

    /// Writes that a run failed. That it could not be written down matters less than why it failed.
    pub(crate) async fn fail_run(&mut self, id: &str, end: &RunEnd) {
        if let Err(second) = self.end_run(id, end).await {
            tracing::warn!(
                "the end of run {id} could not be written: {}",
                second.chain()
            );
        }
    }

    /// The newest runs, newest first.
    pub(crate) async fn runs(&mut self, limit: u32) -> Result<Vec<RunRow>> {
        ledger::runs(&mut self.connection, limit).await
    }
}

/// The month of an instant, as the account of calls names it.
pub(crate) fn month(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m").to_string()
}
