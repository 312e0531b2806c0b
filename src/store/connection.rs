//! One connection to either database: statements, bulk inserts and transactions with one face.
//! It knows no table; the SQL comes from its neighbours.

use std::future::Future;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use tokio::time::{Instant, MissedTickBehavior, sleep};

use super::cells::Cells;
use super::copy;
use super::fault::{Dialect, fault, fault_of_sqlite};
use super::sqlite;
use super::value::{Row, Value, bind_columns, bind_postgres, bind_sqlite, written_out};
use crate::config::DatabaseUrl;
use crate::error::{Error, Result};
use crate::statements;

/// The longest wait for a server to take a connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// So that a server notices within 45 s that a client's host has vanished, and lets go what its session holds.
const KEEPALIVES: &str = "set tcp_keepalives_idle = 15; set tcp_keepalives_interval = 10; set tcp_keepalives_count = 3; \
    set tcp_user_timeout = '45s'";

/// The longest wait for another process to finish its SQLite commit.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The most values that SQLite takes in one statement (`SQLITE_MAX_VARIABLE_NUMBER`).
const SQLITE_VALUES: usize = 32_766;

/// A statement in both dialects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sql {
    pub(crate) postgres: &'static str,
    pub(crate) sqlite: &'static str,
}

impl From<&'static str> for Sql {
    /// Text that both understand.
    fn from(text: &'static str) -> Self {
        Self {
            postgres: text,
            sqlite: text,
        }
    }
}

#[derive(Debug)]
enum Inner {
    Postgres(Box<PgConnection>),
    Sqlite(Box<SqliteConnection>),
}

/// A driver's own connection, for what only it can do.
#[derive(Debug)]
pub(crate) enum Driver<'a> {
    Postgres(&'a mut PgConnection),
    Sqlite(&'a mut SqliteConnection),
}

/// One connection to a database of either kind.
#[derive(Debug)]
pub(crate) struct Connection {
    inner: Inner,
    /// The database as it may be shown.
    place: String,
    /// When its server last heard of it.
    heard: Instant,
    /// How long the server may hear nothing of it, where it holds a lock.
    silence: Option<Duration>,
    /// How long a statement of a run may take: a server can vanish, too.
    limit: Option<Duration>,
    /// A statement was left half done, or a transaction could not be ended: nothing more may be written.
    is_lost: bool,
}

impl Connection {
    /// Connects. On PostgreSQL the schema becomes the search path, so that no statement has to name it. A SQLite file is
    /// made where `create` says so.
    pub(crate) async fn open(
        url: &DatabaseUrl,
        schema: &'static str,
        create: bool,
    ) -> Result<Self> {
        let place = url.to_string();
        match url {
            DatabaseUrl::Sqlite(path) => {
                if create
                    && let Some(folder) = path
                        .parent()
                        .filter(|folder| !folder.as_os_str().is_empty())
                {
                    std::fs::create_dir_all(folder).map_err(|error| {
                        let remedy =
                            "make its parent writable, or choose another with COINMILL_DATA_DIR";
                        Error::store(
                            format!("the folder {} cannot be made: {remedy}", folder.display()),
                            error,
                        )
                    })?;
                }
                if !create && !path.exists() {
                    return Err(Error::config(format!(
                        "there is no database {place} yet: `coinmill run {schema}` makes it"
                    )));
                }
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(create)
                    .journal_mode(SqliteJournalMode::Wal)
                    // a commit that was reported is on the disk
                    .synchronous(SqliteSynchronous::Full)
                    .busy_timeout(BUSY_TIMEOUT)
                    // our SQL says nothing to whoever reads the log
                    .disable_statement_logging();
                let opened = open_file(&options).await;
                let inner = opened.map_err(|error| fault(Dialect::Sqlite, &place, error))?;
                Ok(Self::over(Inner::Sqlite(Box::new(inner)), place))
            }
            DatabaseUrl::Postgres { .. } => {
                let wrong = |error| fault(Dialect::Postgres, &place, error);
                let options: PgConnectOptions =
                    url.expose().unwrap_or_default().parse().map_err(wrong)?;
                let options = options
                    .application_name("coinmill")
                    .disable_statement_logging();
                let session = AssertSqlSafe(format!(
                    "set search_path = {schema}; set timezone = 'UTC'; set standard_conforming_strings = on; {KEEPALIVES}"
                ));
                let opened = tokio::time::timeout(CONNECT_TIMEOUT, async {
                    let mut inner = PgConnection::connect_with(&options).await?;
                    inner.execute(sqlx::raw_sql(session)).await?;
                    Ok(inner)
                });
                let opened = opened.await.unwrap_or_else(|_| Err(timed_out()));
                let inner = opened.map_err(wrong)?;
                Ok(Self::over(Inner::Postgres(Box::new(inner)), place))
            }
        }
    }

    /// Connects to look, and to change nothing: a SQLite file has to be there, and is opened read-only.
    pub(crate) async fn open_to_look(url: &DatabaseUrl, schema: &'static str) -> Result<Self> {
        let Some(path) = url.file() else {
            return Self::open(url, schema, false).await;
        };
        let place = url.to_string();
        let log = path.with_file_name(
            path.file_name()
                .map(|name| format!("{}-wal", name.to_string_lossy()))
                .unwrap_or_default(),
        );
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            // where nobody has the file open, SQLite would make its log and leave it there
            .immutable(!log.exists())
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let opened = SqliteConnection::connect_with(&options).await;
        let inner = opened.map_err(|error| fault(Dialect::Sqlite, &place, error))?;
        Ok(Self::over(Inner::Sqlite(Box::new(inner)), place))
    }

    fn over(inner: Inner, place: String) -> Self {
        Self {
            inner,
            place,
            heard: Instant::now(),
            silence: None,
            limit: None,
            is_lost: false,
        }
    }

    /// The database as it may be shown.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Which kind of database this is.
    pub(crate) fn dialect(&self) -> Dialect {
        match self.inner {
            Inner::Postgres(_) => Dialect::Postgres,
            Inner::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// True for SQLite.
    pub(crate) fn is_sqlite(&self) -> bool {
        self.dialect() == Dialect::Sqlite
    }

    /// Runs one statement and says how many rows it touched.
    pub(crate) async fn execute(&mut self, sql: impl Into<Sql>, values: Vec<Value>) -> Result<u64> {
        let (sql, limit) = (sql.into(), self.usable()?);
        let done = match &mut self.inner {
            Inner::Postgres(inner) => {
                let query = bind_postgres(sqlx::query(sql.postgres), values);
                let done = within(limit, query.execute(&mut **inner)).await;
                done.map(|done| done.rows_affected())
            }
            Inner::Sqlite(inner) => {
                statements::note(&self.place, sql.sqlite);
                let done = bind_sqlite(sqlx::query(sql.sqlite), values)
                    .execute(&mut **inner)
                    .await;
                done.map(|done| done.rows_affected())
            }
        };
        self.heard_of(done)
    }

    /// Runs one query and returns its rows.
    pub(crate) async fn fetch(
        &mut self,
        sql: impl Into<Sql>,
        values: Vec<Value>,
    ) -> Result<Vec<Row>> {
        let (sql, limit) = (sql.into(), self.usable()?);
        let rows = match &mut self.inner {
            Inner::Postgres(inner) => {
                let query = bind_postgres(sqlx::query(sql.postgres), values);
                let rows = within(limit, query.fetch_all(&mut **inner)).await;
                rows.map(|rows| rows.into_iter().map(Row::Postgres).collect())
            }
            Inner::Sqlite(inner) => {
                statements::note(&self.place, sql.sqlite);
                let rows = bind_sqlite(sqlx::query(sql.sqlite), values)
                    .fetch_all(&mut **inner)
                    .await;
                rows.map(|rows| rows.into_iter().map(Row::Sqlite).collect())
            }
        };
        self.heard_of(rows)
    }

    /// Runs a query and hands its rows over as they come: on PostgreSQL by a binary COPY. Where a row is refused, nothing more may
    /// be asked on this connection.
    pub(crate) async fn each(
        &mut self,
        sql: impl Into<Sql>,
        values: Vec<Value>,
        mut row: impl FnMut(&Cells<'_>) -> Result<()>,
    ) -> Result<()> {
        let (sql, limit) = (sql.into(), self.usable()?);
        let done = match &mut self.inner {
            Inner::Postgres(inner) => {
                let query = written_out(sql.postgres, &values);
                let copy = format!("copy ({query}) to stdout (format binary)");
                let rows = async {
                    let mut pieces = inner.copy_out_raw(&copy).await?;
                    let mut rows = copy::Rows::default();
                    while let Some(piece) = pieces.try_next().await? {
                        let taken = rows.take(&piece, |copied| row(&Cells::Postgres(copied)));
                        if taken.is_err() {
                            return Ok(taken);
                        }
                    }
                    Ok(rows.end())
                };
                within(limit, rows).await
            }
            Inner::Sqlite(inner) => {
                statements::note(&self.place, sql.sqlite);
                return sqlite::on(inner, &self.place, |sqlite| {
                    sqlite::each(sqlite, &self.place, sql.sqlite, values, |found| {
                        row(&Cells::Sqlite(found))
                    })
                })
                .await;
            }
        };
        let done = self.heard_of(done).flatten();
        // what is left of a COPY stands between this and the next statement
        self.is_lost |= done.is_err();
        done
    }

    /// Runs a script of several statements without values.
    pub(crate) async fn script(&mut self, sql: impl Into<Sql>) -> Result<()> {
        let (sql, limit) = (sql.into(), self.usable()?);
        self.raw(
            limit,
            async |postgres| {
                postgres
                    .execute(sqlx::raw_sql(sql.postgres))
                    .await
                    .map(drop)
            },
            async |sqlite| sqlite.execute(sqlx::raw_sql(sql.sqlite)).await.map(drop),
        )
        .await
    }

    /// Runs a script for PostgreSQL that is made of numbers of ours.
    pub(crate) async fn text(&mut self, text: String) -> Result<()> {
        let limit = self.usable()?;
        self.raw(
            limit,
            async |postgres| {
                postgres
                    .execute(sqlx::raw_sql(AssertSqlSafe(text)))
                    .await
                    .map(drop)
            },
            async |_| Ok(()),
        )
        .await
    }

    /// Inserts rows in as few statements as can be: on PostgreSQL one, with an array for each column. (A COPY of few rows waits 40 ms,
    /// as its end is a second write and the driver does not set `TCP_NODELAY`.) Table and columns are ours, never data.
    pub(crate) async fn insert(
        &mut self,
        table: &'static str,
        columns: &[&'static str],
        rows: &[Vec<Value>],
    ) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let names = columns.join(", ");
        let limit = self.usable()?.map(|limit| limit * 2);
        self.raw(
            limit,
            async |postgres| {
                let places: Vec<String> = (1..=columns.len()).map(|n| format!("${n}")).collect();
                let sql = AssertSqlSafe(format!(
                    "insert into {table} ({names}) select * from unnest({})",
                    places.join(", ")
                ));
                let query = bind_columns(sqlx::query(sql), rows);
                query.execute(postgres).await.map(drop)
            },
            async |sqlite| {
                let place = format!("({})", vec!["?"; columns.len()].join(", "));
                for chunk in rows.chunks((SQLITE_VALUES / columns.len().max(1)).max(1)) {
                    let places = vec![place.as_str(); chunk.len()].join(", ");
                    let sql =
                        AssertSqlSafe(format!("insert into {table} ({names}) values {places}"));
                    let values = chunk.iter().flatten().cloned().collect();
                    let query = bind_sqlite(sqlx::query(sql), values).persistent(false);
                    query.execute(&mut *sqlite).await?;
                }
                Ok(())
            },
        )
        .await
    }

    /// How long a statement may take, as long as there may be another.
    fn usable(&self) -> Result<Option<Duration>> {
        if self.is_lost {
            return Err(self.broken(sqlx::Error::Io(std::io::ErrorKind::NotConnected.into())));
        }
        Ok(self.limit)
    }

    /// Makes a statement that takes longer than this an error, after which the connection is not used any more: where packets are
    /// dropped nobody else says so. On PostgreSQL; a load may take twice as long.
    pub(crate) fn limit_statements(&mut self, limit: Duration) {
        self.limit = Some(limit).filter(|_| !self.is_sqlite());
    }

    /// The error of a connection that was there, and is not any more.
    fn broken(&self, error: sqlx::Error) -> Error {
        let message = format!(
            "the connection to {} broke: start the server where it is down, and run it again, it resumes",
            self.place
        );
        Error::Store {
            message,
            retryable: true,
            cause: Some(error.into()),
        }
    }

    /// The result of a statement, whose error may mean that there can be no other.
    fn heard_of<T>(&mut self, done: sqlx::Result<T>) -> Result<T> {
        self.heard = Instant::now();
        let is_lost = matches!(done, Err(sqlx::Error::Io(_)));
        self.is_lost |= is_lost;
        done.map_err(|error| match self.dialect() {
            Dialect::Postgres if is_lost => self.broken(error),
            dialect => fault(dialect, &self.place, error),
        })
    }

    /// Loads rows as only the databases' own connections can.
    pub(crate) async fn load<T>(
        &mut self,
        on_postgres: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
        on_sqlite: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let limit = self.usable()?.map(|limit| limit * 2);
        let done = match &mut self.inner {
            Inner::Postgres(inner) => within(limit, on_postgres(inner)).await,
            Inner::Sqlite(inner) => {
                let place = &self.place;
                return sqlite::on(inner, place, |sqlite| {
                    on_sqlite(sqlite).map_err(|error| fault_of_sqlite(place, error))
                })
                .await;
            }
        };
        self.heard_of(done)
    }

    async fn raw<T>(
        &mut self,
        limit: Option<Duration>,
        on_postgres: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
        on_sqlite: impl AsyncFnOnce(&mut SqliteConnection) -> sqlx::Result<T>,
    ) -> Result<T> {
        let done = match &mut self.inner {
            Inner::Postgres(inner) => within(limit, on_postgres(inner)).await,
            Inner::Sqlite(inner) => on_sqlite(inner).await,
        };
        self.heard_of(done)
    }

    /// Makes this a session that its server ends when nothing is heard of it for so long, as is due to one that holds a lock:
    /// a process that is frozen, and one whose host has vanished, must not keep it. Who waits for something else has to do it
    /// [`Self::beside`].
    pub(crate) async fn end_when_silent(&mut self, silence: Duration) -> Result<()> {
        if self.is_sqlite() {
            return Ok(());
        }
        let (silent, waits) = (silence.as_millis(), lock_timeout(silence).as_millis());
        self.text(format!(
            "set idle_session_timeout = {silent}; set idle_in_transaction_session_timeout = {silent}; \
             set lock_timeout = {waits}"
        ))
        .await?;
        self.silence = Some(silence);
        Ok(())
    }

    /// Waits for something else, and lets the server hear meanwhile that this session lives.
    pub(crate) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        let Some(beat) = self.beat() else {
            return Ok(work.await);
        };
        let mut work = std::pin::pin!(work);
        let mut beats = tokio::time::interval_at(self.heard + beat, beat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                _ = beats.tick() => self.script("select 1").await?,
            }
        }
    }

    /// Lets the server hear that this session lives, where that is due: for work that does not wait for anything.
    pub(crate) async fn show_life(&mut self) -> Result<()> {
        match self.beat() {
            Some(beat) if self.heard.elapsed() >= beat => self.script("select 1").await,
            _ => Ok(()),
        }
    }

    /// How often the server has to hear of this session: three times in what it takes for silence.
    fn beat(&self) -> Option<Duration> {
        self.silence.map(|silence| silence / 3)
    }

    /// Runs `work` in one transaction, and commits it unless it fails. On SQLite it has the writer's lock from its beginning.
    pub(crate) async fn transaction<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let begin = Sql {
            // after the wait for the writer's lock a statement sees what was committed meanwhile, whatever the server's default
            postgres: "begin isolation level read committed",
            sqlite: "begin immediate",
        };
        self.begun_by(begin, work).await
    }

    /// Runs reads that all see the database as it is at one moment, whoever commits meanwhile.
    pub(crate) async fn at_one_moment<T>(
        &mut self,
        reads: impl AsyncFnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let begin = Sql {
            postgres: "begin isolation level repeatable read read only",
            sqlite: "begin",
        };
        self.begun_by(begin, reads).await
    }

    async fn begun_by<T>(
        &mut self,
        begin: Sql,
        work: impl AsyncFnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.script(begin).await?;
        match work(self).await {
            Ok(done) => match self.script("commit").await {
                Ok(()) => Ok(done),
                Err(error) => self.roll_back(error).await,
            },
            Err(error) => self.roll_back(error).await,
        }
    }

    /// Ends a transaction that failed, so that what is written next is no part of it.
    async fn roll_back<T>(&mut self, error: Error) -> Result<T> {
        if let Err(second) = self.script("rollback").await {
            // the connection may be what failed; then the server rolls back by itself. SQLite has done so already where the
            // commit failed for good
            tracing::debug!("rollback: {}", second.chain());
            self.is_lost |= !self.is_sqlite();
        }
        Err(error)
    }

    /// The driver's own connection.
    pub(crate) fn driver(&mut self) -> Driver<'_> {
        match &mut self.inner {
            Inner::Postgres(inner) => Driver::Postgres(inner),
            Inner::Sqlite(inner) => Driver::Sqlite(inner),
        }
    }

    /// Ends the connection in good order. Dropping it does no harm, but leaves SQLite's journal to the next one.
    pub(crate) async fn close(self) -> Result<()> {
        let dialect = self.dialect();
        let closed = match self.inner {
            Inner::Postgres(inner) => inner.close().await,
            Inner::Sqlite(inner) => inner.close().await,
        };
        closed.map_err(|error| fault(dialect, &self.place, error))
    }
}

/// Opens a file. Where several processes make it at once SQLite says that it is locked without having waited: the change to a
/// write-ahead log is a read that wants to write.
async fn open_file(options: &SqliteConnectOptions) -> sqlx::Result<SqliteConnection> {
    let began = Instant::now();
    let is_locked = |error: &sqlx::Error| {
        let said = error.as_database_error().and_then(DatabaseError::code);
        said.is_some_and(|code| code == "5")
    };
    loop {
        match SqliteConnection::connect_with(options).await {
            Err(error) if is_locked(&error) && began.elapsed() < BUSY_TIMEOUT => {
                sleep(Duration::from_millis(20)).await;
            }
            opened => return opened,
        }
    }
}

/// How long a statement waits for another session's lock: it has to say so before its own limit.
pub(crate) fn lock_timeout(silence: Duration) -> Duration {
    silence * 2 / 3
}

/// What comes of a statement within a time, if there is one. After it the statement is dropped half done.
async fn within<T>(
    limit: Option<Duration>,
    statement: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    match limit {
        None => statement.await,
        Some(limit) => tokio::time::timeout(limit, statement)
            .await
            .unwrap_or_else(|_| Err(timed_out())),
    }
}

fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}
