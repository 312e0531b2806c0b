//! The calls of a snapshot run: each taken off the month's account, made, landed, and believed if it is of the slot's time.
//! What to ask for is decided by `fetch`; what a body holds is taken in by `intake`.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::arrival::land;
use super::credits::Purse;
use super::in_time::{believe, is_in_time};
use crate::clock::Clock;
use crate::coingecko;
use crate::error::{Error, Result};
use crate::http::{Client, Request, Response};
use crate::landing::{Landed, RunFolder, RunHeader};
use crate::market::Slot;
use crate::store::SnapshotStore;

/// Who makes them.
pub(super) struct Calls {
    pub(super) client: Client,
    pub(super) clock: Clock,
    pub(super) slot: Slot,
    pub(super) purse: Purse,
    pub(super) landing_dir: PathBuf,
    pub(super) header: RunHeader,
    /// Where they land; made before the first one.
    pub(super) folder: Option<Arc<RunFolder>>,
}

impl Calls {
    /// How many were sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.client.spent().calls
    }

    /// One of them, as long as the slot lasts: what landed, and the page of quotes that it is.
    ///
    /// # Errors
    /// [`Error::Past`] once the slot is over; [`Error::Budget`] once the month's calls are spent; otherwise as the client and
    /// the landing give them.
    pub(super) async fn fetch(
        &mut self,
        store: &mut SnapshotStore,
        request: &Request,
    ) -> Result<(Landed, Bytes)> {
        let now = self.clock.now();
        if !is_in_time(self.slot, now) {
            return Err(Error::Past {
                message: format!("slot {} ended before all of it was received", self.slot),
            });
        }
        let folder = match self.folder.take() {
            Some(folder) => folder,
            None => {
                let day = self.slot.start().date_naive();
                Arc::new(RunFolder::create(&self.landing_dir, day, &self.header)?)
            }
        };
        let folder = self.folder.insert(folder);
        let mut credits = self.purse.credits(0);
        credits.take(now, 1).await?;
        let before = self.client.spent().credits;
        let land = |response: &Response| land(folder, request, response);
        let read = |landed: Landed, response: &Response| {
            coingecko::parse(&response.body)?;
            believe(self.slot, &landed)?;
            Ok((landed, response.body.clone()))
        };
        let received = store.beside(self.client.get(request, land, read)).await?;
        credits.settle(self.client.spent().credits - before).await?;
        received
    }
}
