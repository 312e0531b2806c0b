//! The writer of a series run: batches go to the database while the next charts are on their way.
//! One commit at a time; the store is with it, and comes back.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use tokio::task::{JoinError, JoinHandle};

use super::arrival::blocking;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::landing::RunFolder;
use crate::store::{SeriesCommit, Stored, TimeseriesStore};

/// A store that may be at work on a batch.
pub(super) struct Writer {
    /// Where the bodies of the batches are, which are on the disk before their rows are.
    folder: Arc<RunFolder>,
    clock: Clock,
    run: String,
    state: State,
    /// What all commits have added.
    pub(super) stored: Stored,
    /// Seconds spent in commits.
    pub(super) seconds: f64,
}

enum State {
    Idle(Box<TimeseriesStore>),
    Busy(JoinHandle<Committed>),
    Settled(std::result::Result<Box<Committed>, JoinError>),
    Lost,
}

/// The store after a commit, what came of it, and its seconds.
type Committed = (TimeseriesStore, Result<Stored>, f64);

impl Writer {
    pub(super) fn new(
        folder: Arc<RunFolder>,
        clock: Clock,
        run: &str,
        store: TimeseriesStore,
    ) -> Self {
        Self {
            folder,
            clock,
            run: run.to_owned(),
            state: State::Idle(Box::new(store)),
            stored: Stored::default(),
            seconds: 0.0,
        }
    }

    /// Begins to store a batch, once the one before is stored.
    ///
    /// # Errors
    /// [`Error::Store`] of the batch before.
    pub(super) async fn write(&mut self, batch: SeriesCommit) -> Result<()> {
        let mut store = self.idle().await?;
        let (folder, clock, run) = (Arc::clone(&self.folder), self.clock, self.run.clone());
        self.state = State::Busy(tokio::spawn(async move {
            let began = Instant::now();
            failpoint::pass(failpoint::BEFORE_COMMIT);
            let landed = blocking(move || folder.sync());
            let stored = store.commit_landed(&run, &batch, clock, landed).await;
            (store, stored, began.elapsed().as_secs_f64())
        }));
        Ok(())
    }

    /// True while a batch is on its way.
    pub(super) fn is_busy(&self) -> bool {
        matches!(&self.state, State::Busy(commit) if !commit.is_finished())
    }

    /// Waits until none is on its way any more. What came of it is for [`Self::idle`] to say.
    pub(super) async fn settled(&mut self) {
        if let State::Busy(commit) = &mut self.state {
            let joined = commit.await;
            self.state = State::Settled(joined.map(Box::new));
        }
    }

    /// Waits for something else, and keeps the series' lock meanwhile.
    ///
    /// # Errors
    /// As [`TimeseriesStore::beside`].
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        match &mut self.state {
            State::Idle(store) => store.beside(work).await,
            // the commit under way is heard of
            State::Busy(_) | State::Settled(_) | State::Lost => Ok(work.await),
        }
    }

    /// Waits for the batch under way and gives the store back.
    ///
    /// # Errors
    /// [`Error::Store`] of that batch; the store can be had by calling again.
    pub(super) async fn idle(&mut self) -> Result<TimeseriesStore> {
        let lost = || Error::data("a commit was lost: the process is short of something");
        self.settled().await;
        match std::mem::replace(&mut self.state, State::Lost) {
            State::Idle(store) => Ok(*store),
            State::Busy(_) | State::Lost => Err(lost()),
            State::Settled(committed) => {
                let (store, stored, seconds) = *committed.map_err(|error| lost().because(error))?;
                self.seconds += seconds;
                match stored {
                    Ok(stored) => {
                        self.stored.points += stored.points;
                        self.stored.revisions += stored.revisions;
                        Ok(store)
                    }
                    Err(error) => {
                        self.state = State::Idle(Box::new(store));
                        Err(error)
                    }
                }
            }
        }
    }
}

impl Drop for Writer {
    /// A run that is given up takes its commit with it: the connection closes and the database rolls back.
    fn drop(&mut self) {
        if let State::Busy(commit) = &self.state {
            commit.abort();
        }
    }
}
