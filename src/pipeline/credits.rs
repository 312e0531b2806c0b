//! The account of a run's calls: the month's, reserved in blocks before they are made and given back where they were not charged, and
//! the minute's, of which each call takes a place. The account itself is in the budget's database, which every process shares.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::coingecko;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::http::{Client, Response, Turns};
use crate::provider::{Plan, PlanKind};
use crate::stop::Stop;
use crate::store::{Budget, Turn};

/// Calls reserved at once: few enough that a run that dies takes little with it.
const BLOCK: u64 = 20;

/// How long a place for several calls is good for.
const FRESH: Duration = Duration::from_secs(1);

/// Who makes calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// A run of the half-hour, which goes first.
    Schedule,
    /// A run that takes as long as it takes.
    Backfill,
}

/// The account, as a run finds it. Without a limit there is none, and nothing is written.
#[derive(Clone)]
pub(super) struct Purse {
    budget: Option<Arc<Mutex<Budget>>>,
    calls_per_minute: Option<NonZeroU32>,
    credits_per_month: Option<u64>,
}

impl Purse {
    /// Opens the account of the settings' key.
    ///
    /// # Errors
    /// As [`Budget::open`]: then nothing is called.
    pub(super) async fn open(settings: &Settings) -> Result<Self> {
        let Plan {
            calls_per_minute,
            credits_per_month,
            ..
        } = settings.plan;
        let budget = if calls_per_minute.is_none() && credits_per_month.is_none() {
            None
        } else {
            let mut budget = Budget::open(&settings.budget_url, settings.account()).await?;
            if let Some(calls) = calls_per_minute {
                budget.make_places(calls).await?;
            }
            Some(Arc::new(Mutex::new(budget)))
        };
        Ok(Self {
            budget,
            calls_per_minute,
            credits_per_month,
        })
    }

    /// Asks CoinGecko, once an hour and where the plan can say it, what the key has spent by whomever. That it does not say it keeps no
    /// run from beginning.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Stopped`].
    pub(super) async fn compare(
        &self,
        settings: &Settings,
        clock: Clock,
        stop: &Stop,
    ) -> Result<()> {
        let (Some(budget), PlanKind::Paid) = (&self.budget, settings.plan.kind) else {
            return Ok(());
        };
        let now = clock.now();
        if !budget.lock().await.is_to_be_checked(now).await? {
            return Ok(());
        }
        let turns = self.turns(Caller::Schedule);
        let client = Client::new(settings, clock, stop.clone(), turns)?;
        let read = |(), response: &Response| coingecko::parse_key(&response.body);
        match client.get(&coingecko::key(), |_| Ok(()), read).await {
            Ok(said) => budget.lock().await.learn(now, said.spent).await,
            Err(error @ Error::Stopped { .. }) => Err(error),
            Err(error) => {
                tracing::warn!("what the key has spent is not known: {}", error.chain());
                Ok(())
            }
        }
    }

    /// Calls charged or reserved in the month of an instant.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) async fn spent(&self, now: DateTime<Utc>) -> Result<u64> {
        match &self.budget {
            Some(budget) => budget.lock().await.spent(now).await,
            None => Ok(0),
        }
    }

    /// Who says when each call of a run may begin; nobody where the plan has no pace.
    pub(super) fn turns(&self, caller: Caller) -> Option<Arc<dyn Turns>> {
        let (budget, calls_per_minute) = (self.budget.clone()?, self.calls_per_minute?);
        Some(Arc::new(Pace {
            budget,
            calls_per_minute,
            is_scheduled: caller == Caller::Schedule,
            granted: Mutex::new((0, Instant::now())),
        }))
    }

    /// The month's calls for a run, of which it leaves so many to others.
    pub(super) fn credits(&self, left_to_others: u64) -> Credits {
        Credits {
            budget: self.budget.clone(),
            limit: self
                .credits_per_month
                .map(|limit| limit.saturating_sub(left_to_others)),
            reserved: 0,
            taken: 0,
            reserved_at: None,
        }
    }
}

/// The places of a minute, shared with other processes.
struct Pace {
    budget: Arc<Mutex<Budget>>,
    calls_per_minute: NonZeroU32,
    is_scheduled: bool,
    /// Calls that may begin, and since when. Whoever waits holds it, so that the others keep their order.
    granted: Mutex<(u32, Instant)>,
}

impl Pace {
    async fn take(&self) -> Result<()> {
        let mut granted = self.granted.lock().await;
        while granted.0 == 0 || granted.1.elapsed() > FRESH {
            let mut budget = self.budget.lock().await;
            let turn = budget.turn(self.calls_per_minute, self.is_scheduled).await;
            drop(budget);
            match turn? {
                Turn::Begin(calls) => *granted = (calls.max(1), Instant::now()),
                Turn::Wait(wait) => sleep(wait).await,
            }
        }
        granted.0 -= 1;
        Ok(())
    }
}

impl Turns for Pace {
    fn turn(&self) -> BoxFuture<'_, Result<()>> {
        self.take().boxed()
    }

    fn hold(&self, wait: Duration) -> BoxFuture<'_, Result<()>> {
        async move { self.budget.lock().await.hold(wait).await }.boxed()
    }
}

/// A run's view of the month.
pub(super) struct Credits {
    budget: Option<Arc<Mutex<Budget>>>,
    limit: Option<u64>,
    reserved: u64,
    taken: u64,
    reserved_at: Option<DateTime<Utc>>,
}

impl Credits {
    /// Takes one call of the account, and reserves some of the `wanted` ones ahead.
    ///
    /// # Errors
    /// [`Error::Budget`] where the month has none left.
    pub(super) async fn take(&mut self, now: DateTime<Utc>, wanted: u64) -> Result<()> {
        let (Some(limit), Some(budget)) = (self.limit, &self.budget) else {
            return Ok(());
        };
        if self.taken == self.reserved {
            let mut budget = budget.lock().await;
            let block = wanted.clamp(1, BLOCK);
            let reserved = match budget.reserve(now, block, limit).await {
                Ok(()) => block,
                // the month's last calls are fewer than a block
                Err(Error::Budget { .. }) if block > 1 => {
                    budget.reserve(now, 1, limit).await?;
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

    /// Brings the account to what was charged.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) async fn settle(self, charged: u64) -> Result<()> {
        let (Some(at), Some(budget)) = (self.reserved_at, &self.budget) else {
            return Ok(());
        };
        let mut budget = budget.lock().await;
        if charged > self.reserved {
            return budget
                .reserve(at, charged - self.reserved, u64::MAX >> 1)
                .await;
        }
        budget.give_back(at, self.reserved - charged).await
    }
}
