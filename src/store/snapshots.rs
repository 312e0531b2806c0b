//! The snapshot database as the pipeline sees it.
//! The statements are in `commit`, `quotes` and `ledger`.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};

use super::account::{self, Account};
use super::commit::{self, SnapshotCommit};
use super::explain::{self, Provenance, RefusedRecord};
use super::frames;
use super::ledger::RunEnd;
use super::names::{self, Named};
use super::quarantine::{self, Refused};
use super::quotes::{self, Presence, SlotState, Warnings};
use super::tables::SnapshotStore;
use super::tally::{self, Holdings};
use super::trace::{self, Committed};
use crate::clock::Clock;
use crate::error::Result;
use crate::frame::Frame;
use crate::market::{CoinId, Quote, Slot};

impl SnapshotStore {
    /// Stores a snapshot whole, with the ledger's row that `end` makes from the slot's content hash, which is returned.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`] where the database holds another currency; [`crate::error::Error::Store`]; then nothing of it was stored.
    pub async fn commit_snapshot(
        &mut self,
        commit: &SnapshotCommit,
        clock: Clock,
        end: impl FnOnce(&str) -> RunEnd,
    ) -> Result<String> {
        commit::commit_snapshot(self, commit, clock, end).await
    }

    /// What was known of a slot at a pin (none is now), or `None` where nothing was committed by then.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn slot_state(&mut self, slot: Slot, pin: Option<i64>) -> Result<Option<SlotState>> {
        quotes::slot_state(&mut self.connection, slot, pin).await
    }

    /// The accounts of the slots of the day before a slot, the newest first.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn accounts_before(&mut self, slot: Slot) -> Result<Vec<Account>> {
        account::of_the_day_before(&mut self.connection, slot).await
    }

    /// Of these coins, those of which a quote of an earlier slot is stored.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn coins_before(&mut self, slot: Slot, coins: &[CoinId]) -> Result<HashSet<CoinId>> {
        quotes::coins_before(&mut self.connection, slot, coins).await
    }

    /// The slots since an instant, and those of them in which each of these coins has a quote.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn presence(&mut self, coins: &[&CoinId], since: DateTime<Utc>) -> Result<Presence> {
        quotes::presence(&mut self.connection, coins, since).await
    }

    /// Where a coin's quote of a slot came from; none where there is none.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn origin_of_quote(
        &mut self,
        slot: Slot,
        coin: &CoinId,
    ) -> Result<Option<Provenance>> {
        explain::of_quote(&mut self.connection, slot, coin).await
    }

    /// What of a coin was refused in a slot.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn refused_quotes(
        &mut self,
        slot: Slot,
        coin: &CoinId,
    ) -> Result<Vec<RefusedRecord>> {
        explain::refused_quotes(&mut self.connection, slot, coin).await
    }

    /// The records of a slot that are in quarantine, as body and place.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn refused_of(&mut self, slot: Slot) -> Result<HashSet<(String, u64)>> {
        quotes::refused_of(&mut self.connection, slot).await
    }

    /// The newest slot of which anything was known at a pin (none is now), of those that began at or before an instant.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn newest_slot(
        &mut self,
        at: Option<DateTime<Utc>>,
        pin: Option<i64>,
    ) -> Result<Option<Slot>> {
        quotes::newest_slot(&mut self.connection, at, pin).await
    }

    /// The quotes of the slots from one to before another, with everything that is derived from them, as they were known at
    /// a pin; none is now.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn quote_frame(&mut self, from: Slot, to: Slot, pin: Option<i64>) -> Result<Frame> {
        frames::quotes(&mut self.connection, from, to, pin, &[]).await
    }

    /// The same of these coins; none named is all.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn quote_frame_of(
        &mut self,
        from: Slot,
        to: Slot,
        pin: Option<i64>,
        coins: &[CoinId],
    ) -> Result<Frame> {
        frames::quotes(&mut self.connection, from, to, pin, coins).await
    }

    /// The slots from one to before another of which anything was known at a pin, in order, each with what was known of it.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn slot_states(
        &mut self,
        from: Slot,
        to: Slot,
        pin: Option<i64>,
    ) -> Result<Vec<(Slot, SlotState)>> {
        quotes::slot_states(&mut self.connection, from, to, pin).await
    }

    /// The first slot of which anything was known at a pin.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn first_slot(&mut self, pin: Option<i64>) -> Result<Option<Slot>> {
        quotes::first_slot(&mut self.connection, pin).await
    }

    /// A slot's quotes, by market cap, the largest first; each with its symbol and name as they were known then.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn quotes(&mut self, slot: Slot) -> Result<Vec<Quote>> {
        quotes::quotes_of(&mut self.connection, slot).await
    }

    /// A coin's newest quote and the slot that it is of; `None` where none is stored.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn newest_quote(&mut self, coin: &CoinId) -> Result<Option<(Slot, Quote)>> {
        quotes::newest_of(&mut self.connection, coin).await
    }

    /// A slot's quotes as they were known at a pin.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn quotes_until(&mut self, slot: Slot, pin: i64) -> Result<Vec<Quote>> {
        quotes::quotes_until(&mut self.connection, slot, pin).await
    }

    /// The bodies that a slot's quotes came from up to and with a run, in the order of their commits; none where the run
    /// stored nothing.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn committed(&mut self, slot: Slot, run: &str) -> Result<Vec<Committed>> {
        trace::of_slot(&mut self.connection, slot, run).await
    }

    /// The refused records that a run validated again and stored.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn requeued_by(&mut self, run: &str) -> Result<Vec<Refused>> {
        let ids = quarantine::stored_by(&mut self.connection, run).await?;
        quarantine::refused(&mut self.connection, Some(&ids)).await
    }

    /// The market cap rank of each of a slot's quotes, and the names of the rules that it breaks, with commas.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn warnings(&mut self, slot: Slot) -> Result<Vec<quotes::RankAndWarnings>> {
        quotes::warnings_of(&mut self.connection, slot).await
    }

    /// The warnings of the quotes of the slots in a half-open span.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn warnings_between(
        &mut self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Warnings> {
        quotes::warnings_between(&mut self.connection, from, until).await
    }

    /// How many records of a slot were refused for each rule.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn refused_of_slot(&mut self, slot: Slot) -> Result<BTreeMap<String, u64>> {
        quarantine::of_slot(&mut self.connection, slot).await
    }

    /// Every coin with its newest symbol and name, the largest first.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn names(&mut self) -> Result<Vec<Named>> {
        names::all(&mut self.connection).await
    }

    /// The market cap ranks of the newest slot.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn newest_ranks(&mut self) -> Result<Vec<(CoinId, Option<i64>)>> {
        quotes::newest_ranks(&mut self.connection).await
    }

    /// What the database holds.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn holdings(&mut self) -> Result<Holdings> {
        tally::of_snapshots(&mut self.connection).await
    }
}
