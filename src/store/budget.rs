//! The account of calls: how many the month has left, and when the next one may begin. Every process that uses one key shares it.
//! How many calls a run is to make is the planner's to say.

use std::num::NonZeroU32;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::connection::{Connection, Sql};
use super::database::month;
use super::lock::statement_limit;
use super::migrate::BUDGET;
use super::value::Value;
use crate::config::DatabaseUrl;
use crate::error::{Error, Result};
use crate::failpoint;

/// After how long a place of the pace is free again: a minute, and what two calls may differ on their way to CoinGecko, which counts them
/// as they come.
const MINUTE: Duration = Duration::from_secs(62);

/// The most places that the pace is kept in: where a plan has more calls a minute, a place is for several.
const PLACES: u32 = 120;

/// How long a backfill makes way after a scheduled run has wanted to call.
const MAKES_WAY: Duration = Duration::from_secs(10);

/// The longest wait before it is looked again whether a call may begin.
const LOOK: Duration = Duration::from_secs(5);

/// The place of the account, and whose it is.
#[derive(Debug)]
pub struct Budget {
    connection: Connection,
    account: String,
}

/// Whether a call may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// So many may, now.
    Begin(u32),
    /// None may; look again after so long.
    Wait(Duration),
}

impl Budget {
    /// Makes or migrates the tables. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`Error::Config`] when they are newer than the program; [`Error::Store`] when the database cannot be reached or this role may
    /// not create.
    pub async fn init(url: &DatabaseUrl) -> Result<()> {
        let mut connection = Connection::open(url, BUDGET.name, true).await?;
        BUDGET.init(&mut connection, None).await?;
        connection.close().await
    }

    /// Opens the place for a run that makes calls. A SQLite file is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Config`] naming `coinmill init` where the tables are missing or old; [`Error::Store`] when it cannot be reached, or
    /// by a role that may only read.
    pub async fn open(url: &DatabaseUrl, account: String) -> Result<Self> {
        let mut connection = Connection::open(url, BUDGET.name, true).await?;
        connection.limit_statements(statement_limit());
        BUDGET.check(&mut connection, None).await?;
        BUDGET.check_may_write(&mut connection).await?;
        Ok(Self {
            connection,
            account,
        })
    }

    /// Opens it to look at; `None` where it is a SQLite file that no run has made yet.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_existing(url: &DatabaseUrl, account: String) -> Result<Option<Self>> {
        if url.file().is_some_and(|file| !file.exists()) {
            return Ok(None);
        }
        let mut connection = Connection::open(url, BUDGET.name, false).await?;
        BUDGET.check(&mut connection, None).await?;
        Ok(Some(Self {
            connection,
            account,
        }))
    }

    /// Credits charged or reserved in the month that an instant lies in.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn spent(&mut self, now: DateTime<Utc>) -> Result<u64> {
        let sql = "select credits from budget where account = $1 and month = $2";
        let values = vec![self.account.as_str().into(), month(now).into()];
        let rows = self.connection.fetch(sql, values).await?;
        let spent = rows.first().map(|row| row.count(0)).transpose()?.flatten();
        Ok(spent.unwrap_or_default())
    }

    /// The same for whoever has no key to name the account by: that of the address, else the one that has spent most.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn spent_by_any(&mut self, now: DateTime<Utc>) -> Result<u64> {
        let sql = "select coalesce((select credits from budget where account = $1 and month = $2), \
                   (select max(credits) from budget where month = $2), 0)";
        let values = vec![self.account.as_str().into(), month(now).into()];
        let rows = self.connection.fetch(sql, values).await?;
        let spent = rows.first().map(|row| row.count(0)).transpose()?.flatten();
        Ok(spent.unwrap_or_default())
    }

    /// Reserves credits of the month that an instant lies in, before the calls are made. One statement, so that two processes cannot
    /// both have the last one.
    ///
    /// # Errors
    /// [`Error::Budget`] where the month has fewer left; [`Error::Store`].
    pub async fn reserve(&mut self, now: DateTime<Utc>, credits: u64, limit: u64) -> Result<()> {
        let sql = "insert into budget (account, month, credits) select $1, $2, $3 where $3 <= $4 \
                   on conflict (account, month) do update set credits = budget.credits + excluded.credits \
                   where budget.credits + excluded.credits <= $4";
        let values: Vec<Value> = vec![
            self.account.as_str().into(),
            month(now).into(),
            credits.into(),
            limit.into(),
        ];
        if self.connection.execute(sql, values).await? == 1 {
            failpoint::pass(failpoint::CALLS_RESERVED);
            return Ok(());
        }
        let spent = self.spent(now).await?;
        Err(Error::budget(format!(
            "{spent} of the plan's {limit} calls of {} are spent, and {credits} more are needed: wait for the next month, \
             or raise COINMILL_CREDITS_PER_MONTH if the plan has more",
            month(now)
        )))
    }

    /// Gives back credits that were reserved and not charged.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn give_back(&mut self, reserved_at: DateTime<Utc>, credits: u64) -> Result<()> {
        let sql = "update budget set credits = credits - $3 where account = $1 and month = $2";
        let values = vec![
            self.account.as_str().into(),
            month(reserved_at).into(),
            credits.into(),
        ];
        self.connection.execute(sql, values).await.map(drop)
    }

    /// True once an hour: CoinGecko is to be asked what the key has spent. Needs [`Self::make_places`].
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn is_to_be_checked(&mut self, now: DateTime<Utc>) -> Result<bool> {
        let sql = "update turn set checked_at = $2 where account = $1 and (checked_at < $3 or checked_at > $2)";
        let values = vec![
            self.account.as_str().into(),
            now.into(),
            (now - TimeDelta::hours(1)).into(),
        ];
        Ok(self.connection.execute(sql, values).await? == 1)
    }

    /// Takes note of what CoinGecko says was spent in the month of an instant, by whomever: the account is never below it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn learn(&mut self, now: DateTime<Utc>, spent: u64) -> Result<()> {
        let sql = "insert into budget (account, month, credits) values ($1, $2, $3) on conflict (account, month) \
                   do update set credits = excluded.credits where excluded.credits > budget.credits";
        let values = vec![
            self.account.as_str().into(),
            month(now).into(),
            spent.into(),
        ];
        self.connection.execute(sql, values).await.map(drop)
    }

    /// Makes the places for so many calls a minute.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn make_places(&mut self, calls_per_minute: NonZeroU32) -> Result<()> {
        let values = vec![
            self.account.as_str().into(),
            places(calls_per_minute).into(),
        ];
        self.connection.execute(MAKE_PLACES, values).await?;
        let values = vec![self.account.as_str().into()];
        self.connection.execute(MAKE_TURN, values).await.map(drop)
    }

    /// Takes a place, or says when to look again. A backfill, which is not scheduled, makes way for those that are. Needs
    /// [`Self::make_places`].
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn turn(&mut self, calls_per_minute: NonZeroU32, is_scheduled: bool) -> Result<Turn> {
        let account = || Value::from(self.account.as_str());
        let makes_way = if is_scheduled {
            Duration::ZERO
        } else {
            MAKES_WAY
        };
        if is_scheduled {
            let values = vec![account(), millis(MAKES_WAY / 2)];
            self.connection.execute(WANT, values).await?;
        }
        let places = places(calls_per_minute);
        let values = || vec![account(), places.into(), millis(MINUTE), millis(makes_way)];
        if self.connection.execute(TAKE, values()).await? == 1 {
            return Ok(Turn::Begin(calls_per_minute.get() / places));
        }
        let rows = self.connection.fetch(WAIT, values()).await?;
        let wait = rows.first().map(|row| row.int(0)).transpose()?.flatten();
        let wait =
            Duration::from_millis(u64::try_from(wait.unwrap_or_default()).unwrap_or_default());
        Ok(Turn::Wait(wait.clamp(Duration::from_millis(20), LOOK)))
    }

    /// Lets no call of the account begin for so long: CoinGecko has asked for it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn hold(&mut self, wait: Duration) -> Result<()> {
        let values = vec![self.account.as_str().into(), millis(wait)];
        self.connection.execute(HOLD, values).await.map(drop)
    }

    /// Ends the connection in good order.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn close(self) -> Result<()> {
        self.connection.close().await
    }
}

fn places(calls_per_minute: NonZeroU32) -> u32 {
    calls_per_minute.get().min(PLACES)
}

fn millis(duration: Duration) -> Value {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .into()
}

const MAKE_PLACES: Sql = Sql {
    postgres: "insert into pace (account, place, taken_at) \
               select $1, p::integer, 'epoch' from generate_series(1::bigint, $2) p on conflict do nothing",
    sqlite: "insert into pace (account, place, taken_at) \
             with recursive places (place) as (select 1 union all select place + 1 from places where place < $2) \
             select $1, place, 0 from places where true on conflict do nothing",
};

const MAKE_TURN: Sql = Sql {
    postgres: "insert into turn (account, scheduled_at, held_until, checked_at) values ($1, 'epoch', 'epoch', 'epoch') \
               on conflict do nothing",
    sqlite: "insert into turn (account, scheduled_at, held_until, checked_at) values ($1, 0, 0, 0) on conflict do nothing",
};

/// That a scheduled run wants to call, written down now and then.
const WANT: Sql = Sql {
    postgres: "update turn set scheduled_at = clock_timestamp() \
               where account = $1 and scheduled_at < clock_timestamp() - $2 * interval '1 millisecond'",
    sqlite: "update turn set scheduled_at = cast(unixepoch('subsec') * 1000 as integer) \
             where account = $1 and scheduled_at < unixepoch('subsec') * 1000 - $2",
};

/// Takes the place that was taken longest ago, if that is long enough ago, and nobody is to make way or be silent. A place that
/// another process is about to take is passed over.
const TAKE: Sql = Sql {
    postgres: "update pace set taken_at = clock_timestamp() where account = $1 and place = (\
               select p.place from pace p where p.account = $1 and p.place <= $2 \
               and p.taken_at <= clock_timestamp() - $3 * interval '1 millisecond' \
               and not exists (select 1 from turn t where t.account = $1 and (t.held_until > clock_timestamp() \
               or t.scheduled_at > clock_timestamp() - $4 * interval '1 millisecond')) \
               order by p.taken_at limit 1 for update of p skip locked)",
    sqlite: "update pace set taken_at = cast(unixepoch('subsec') * 1000 as integer) where account = $1 and place = (\
             select p.place from pace p where p.account = $1 and p.place <= $2 \
             and p.taken_at <= unixepoch('subsec') * 1000 - $3 \
             and not exists (select 1 from turn t where t.account = $1 and (t.held_until > unixepoch('subsec') * 1000 \
             or t.scheduled_at > unixepoch('subsec') * 1000 - $4)) \
             order by p.taken_at limit 1)",
};

/// How long none may begin, in milliseconds.
const WAIT: Sql = Sql {
    postgres: "select cast(extract(epoch from greatest(\
               (select min(p.taken_at) from pace p where p.account = $1 and p.place <= $2) + $3 * interval '1 millisecond', \
               t.held_until, t.scheduled_at + $4 * interval '1 millisecond') - clock_timestamp()) * 1000 as bigint) \
               from turn t where t.account = $1",
    sqlite: "select cast(max((select min(p.taken_at) from pace p where p.account = $1 and p.place <= $2) + $3, \
             t.held_until, t.scheduled_at + $4) - unixepoch('subsec') * 1000 as integer) from turn t where t.account = $1",
};

const HOLD: Sql = Sql {
    postgres: "update turn set held_until = greatest(held_until, clock_timestamp() + $2 * interval '1 millisecond') \
               where account = $1",
    sqlite: "update turn set held_until = max(held_until, cast(unixepoch('subsec') * 1000 as integer) + $2) where account = $1",
};
