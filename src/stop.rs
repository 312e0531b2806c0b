//! A request to stop, from whoever waits for a run: Ctrl-C, a killed task, a parent process that went away.
//! It only carries the request; what ends, and how, is the run's work.

use std::future::Future;

use tokio::sync::watch;

use crate::error::{Error, Result};

/// The side that asks.
#[derive(Debug, Default, Clone)]
pub struct Stopper(watch::Sender<bool>);

/// The side that is asked.
#[derive(Debug, Clone)]
pub struct Stop(Option<watch::Receiver<bool>>);

impl Stopper {
    /// A side that is asked by this one.
    pub fn listen(&self) -> Stop {
        Stop(Some(self.0.subscribe()))
    }

    /// Asks, and says whether anybody is there to hear it. Asking again changes nothing.
    pub fn stop(&self) -> bool {
        self.0.send_replace(true);
        self.0.receiver_count() > 0
    }
}

impl Stop {
    /// Nobody will ask.
    pub fn never() -> Self {
        Self(None)
    }

    /// Returns once it is asked for; never, where nobody can ask any more.
    pub async fn requested(&self) {
        if let Some(receiver) = &self.0
            && receiver
                .clone()
                .wait_for(|requested| *requested)
                .await
                .is_ok()
        {
            return;
        }
        std::future::pending().await
    }

    /// Waits for a result, and drops it unfinished as soon as a stop is asked for.
    ///
    /// # Errors
    /// [`Error::Stopped`]; otherwise the future's own.
    pub async fn or<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.requested() => Err(Error::stopped()),
            done = work => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_stopped_ends_at_once_and_what_is_not_ends_by_itself() {
        let stopper = Stopper::default();
        let stop = stopper.listen();
        assert_eq!(stop.or(async { Ok(1) }).await.unwrap(), 1);
        assert!(stopper.stop());
        let never = stop.or(std::future::pending::<Result<()>>()).await;
        assert!(matches!(never, Err(Error::Stopped { .. })));
        assert_eq!(Stop::never().or(async { Ok(1) }).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_stopper_that_is_gone_asks_for_nothing() {
        let stopper = Stopper::default();
        let stop = stopper.listen();
        drop(stopper);
        assert_eq!(stop.or(async { Ok(1) }).await.unwrap(), 1);
    }

    #[test]
    fn a_stopper_knows_whether_anybody_listens() {
        let stopper = Stopper::default();
        let stop = stopper.listen();
        assert!(stopper.stop());
        drop(stop);
        assert!(!stopper.stop());
    }
}
