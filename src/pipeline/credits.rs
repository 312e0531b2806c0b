//! The plan's monthly calls, reserved in blocks before they are made and given back where they were not charged.
//! The account itself is in the snapshot database, which every process shares.

use std::future::Future;

use chrono::{DateTime, Utc};

use crate::error::{Error, Result};
use crate::store::SnapshotStore;

/// Calls reserved at once: few enough that a run that dies takes little with it.
const BLOCK: u64 = 20;

/// A run's view of the account. Without a limit nothing is written.
pub(super) struct Credits<'a> {
    store: &'a mut SnapshotStore,
    limit: Option<u64>,
    reserved: u64,
    taken: u64,
    reserved_at: Option<DateTime<Utc>>,
}

impl<'a> Credits<'a> {
    /// The account in a database, with the plan's limit.
    pub(super) fn new(store: &'a mut SnapshotStore, limit: Option<u64>) -> Self {
        Self {
            store,
            limit,
            reserved: 0,
            taken: 0,
            reserved_at: None,
        }
    }

    /// Takes one call of the account, and reserves some of the `wanted` ones ahead.
    ///
    /// # Errors
    /// [`Error::Budget`] where the month has none left.
    pub(super) async fn take(&mut self, now: DateTime<Utc>, wanted: u64) -> Result<()> {
        let Some(limit) = self.limit else {
            return Ok(());
        };
        if self.taken == self.reserved {
            let block = wanted.clamp(1, BLOCK);
            let reserved = match self.store.reserve_credits(now, block, limit).await {
                Ok(()) => block,
                // the month's last calls are fewer than a block
                Err(Error::Budget { .. }) if block > 1 => {
                    self.store.reserve_credits(now, 1, limit).await?;
                    1
                }
                Err(error) => return Err(error),
            };
            self.reserved += reserved;
            self.reserved_at = Some(now);
        }
        self.taken += 1;
        Ok(())
    }

    /// Makes a call, and keeps the lock of the account's database meanwhile, where the run has it.
    ///
    /// # Errors
    /// As [`SnapshotStore::beside`], and the call's own.
    pub(super) async fn during<T>(&mut self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.store.beside(call).await?
    }

    /// Brings the account to what was charged.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) async fn settle(self, charged: u64) -> Result<()> {
        let Some(at) = self.reserved_at else {
            return Ok(());
        };
        if charged > self.reserved {
            return self
                .store
                .reserve_credits(at, charged - self.reserved, u64::MAX >> 1)
                .await;
        }
        let unused = self.reserved - charged;
        self.store.give_back_credits(at, unused).await
    }
}
