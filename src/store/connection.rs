//! One connection to either database: statements, bulk inserts and transactions with one face.
//! It knows no table; the SQL comes from its neighbours.

use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection};
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Postgres, Sqlite};

use super::copy;
use super::fault::{Kind, fault};
use super::value::{Row, Value};
use crate::config::DatabaseUrl;
use crate::error::{Error, Result};

/// The longest wait for a server to take a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

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

/// One connection to a database of either kind.
#[derive(Debug)]
pub(crate) struct Connection {
    inner: Inner,
    /// The database as it may be shown.
    place: String,
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
                let opened = SqliteConnection::connect_with(&options).await;
                let inner = opened.map_err(|error| fault(Kind::Sqlite, &place, error))?;
                Ok(Self {
                    inner: Inner::Sqlite(Box::new(inner)),
                    place,
                })
            }
            DatabaseUrl::Postgres { .. } => {
                let wrong = |error| fault(Kind::Postgres, &place, error);
                let options: PgConnectOptions =
                    url.expose().unwrap_or_default().parse().map_err(wrong)?;
                let options = options
                    .application_name("coinmill")
                    .disable_statement_logging();
                let opened =
                    tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options))
                        .await;
                let mut inner = opened.map_err(|_| wrong(timed_out()))?.map_err(wrong)?;
                let session =
                    AssertSqlSafe(format!("set search_path = {schema}; set timezone = 'UTC'"));
                inner.execute(sqlx::raw_sql(session)).await.map_err(wrong)?;
                Ok(Self {
                    inner: Inner::Postgres(Box::new(inner)),
                    place,
                })
            }
        }
    }

    /// The database as it may be shown.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Which kind of database this is.
    pub(crate) fn kind(&self) -> Kind {
        match self.inner {
            Inner::Postgres(_) => Kind::Postgres,
            Inner::Sqlite(_) => Kind::Sqlite,
        }
    }

    /// True for SQLite.
    pub(crate) fn is_sqlite(&self) -> bool {
        self.kind() == Kind::Sqlite
    }

    /// Runs one statement and says how many rows it touched.
    pub(crate) async fn execute(&mut self, sql: impl Into<Sql>, values: Vec<Value>) -> Result<u64> {
        let sql = sql.into();
        let done = match &mut self.inner {
            Inner::Postgres(inner) => {
                let done = bind_postgres(sqlx::query(sql.postgres), values)
                    .execute(&mut **inner)
                    .await;
                done.map(|done| done.rows_affected())
            }
            Inner::Sqlite(inner) => {
                let done = bind_sqlite(sqlx::query(sql.sqlite), values)
                    .execute(&mut **inner)
                    .await;
                done.map(|done| done.rows_affected())
            }
        };
        done.map_err(|error| fault(self.kind(), &self.place, error))
    }

    /// Runs one query and returns its rows.
    pub(crate) async fn fetch(
        &mut self,
        sql: impl Into<Sql>,
        values: Vec<Value>,
    ) -> Result<Vec<Row>> {
        let sql = sql.into();
        let rows = match &mut self.inner {
            Inner::Postgres(inner) => {
                let rows = bind_postgres(sqlx::query(sql.postgres), values)
                    .fetch_all(&mut **inner)
                    .await;
                rows.map(|rows| rows.into_iter().map(Row::Postgres).collect())
            }
            Inner::Sqlite(inner) => {
                let rows = bind_sqlite(sqlx::query(sql.sqlite), values)
                    .fetch_all(&mut **inner)
                    .await;
                rows.map(|rows| rows.into_iter().map(Row::Sqlite).collect())
            }
        };
        rows.map_err(|error| fault(self.kind(), &self.place, error))
    }

    /// Runs a script of several statements without values.
    pub(crate) async fn script(&mut self, sql: impl Into<Sql>) -> Result<()> {
        let sql = sql.into();
        let done = match &mut self.inner {
            Inner::Postgres(inner) => inner.execute(sqlx::raw_sql(sql.postgres)).await.map(drop),
            Inner::Sqlite(inner) => inner.execute(sqlx::raw_sql(sql.sqlite)).await.map(drop),
        };
        done.map_err(|error| fault(self.kind(), &self.place, error))
    }

    /// Inserts rows: one binary COPY on PostgreSQL, as few statements as its limit allows on SQLite. Table and columns are
    /// ours, never data.
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
        let done = match &mut self.inner {
            Inner::Postgres(inner) => {
                copy_in(
                    inner,
                    &format!("copy {table} ({names}) from stdin (format binary)"),
                    rows,
                )
                .await
            }
            Inner::Sqlite(inner) => {
                let place = format!("({})", vec!["?"; columns.len()].join(", "));
                let mut done = Ok(());
                for chunk in rows.chunks((SQLITE_VALUES / columns.len().max(1)).max(1)) {
                    let places = vec![place.as_str(); chunk.len()].join(", ");
                    let sql =
                        AssertSqlSafe(format!("insert into {table} ({names}) values {places}"));
                    let query =
                        bind_sqlite(sqlx::query(sql), chunk.iter().flatten().cloned().collect());
                    done = query
                        .persistent(false)
                        .execute(&mut **inner)
                        .await
                        .map(drop);
                    if done.is_err() {
                        break;
                    }
                }
                done
            }
        };
        done.map_err(|error| fault(self.kind(), &self.place, error))
    }

    /// Runs `work` in one transaction, and commits it unless it fails. On SQLite it has the writer's lock from its beginning.
    pub(crate) async fn transaction<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.script(Sql {
            // after the wait for the writer's lock a statement sees what was committed meanwhile, whatever the server's default
            postgres: "begin isolation level read committed",
            sqlite: "begin immediate",
        })
        .await?;
        match work(self).await {
            Ok(done) => {
                self.script("commit").await?;
                Ok(done)
            }
            Err(error) => {
                // the connection may be what failed; then the server rolls back by itself
                if let Err(second) = self.script("rollback").await {
                    tracing::debug!("rollback: {}", second.chain());
                }
                Err(error)
            }
        }
    }

    /// Waits for the database's writer lock, and holds it until the transaction ends: whoever has it later sees what this one
    /// commits. Taking it again changes nothing.
    pub(crate) async fn lock_writer(&mut self) -> Result<()> {
        match self.kind() {
            Kind::Postgres => self.script(WRITER_LOCK).await,
            Kind::Sqlite => Ok(()),
        }
    }

    /// The PostgreSQL connection itself, for what only it can do.
    pub(crate) fn postgres(&mut self) -> Option<&mut PgConnection> {
        match &mut self.inner {
            Inner::Postgres(inner) => Some(inner),
            Inner::Sqlite(_) => None,
        }
    }

    /// The SQLite connection itself, for what only it can do.
    pub(crate) fn sqlite(&mut self) -> Option<&mut SqliteConnection> {
        match &mut self.inner {
            Inner::Postgres(_) => None,
            Inner::Sqlite(inner) => Some(inner),
        }
    }

    /// Ends the connection in good order. Dropping it does no harm, but leaves SQLite's journal to the next one.
    pub(crate) async fn close(self) -> Result<()> {
        let kind = self.kind();
        let closed = match self.inner {
            Inner::Postgres(inner) => inner.close().await,
            Inner::Sqlite(inner) => inner.close().await,
        };
        closed.map_err(|error| fault(kind, &self.place, error))
    }
}

/// One writer at a time commits to a PostgreSQL database. The first number, "coim" in ASCII, keeps our advisory locks
/// apart from those of other programs; the second is 0 for the writer and a slot for a run.
const WRITER_LOCK: &str = "select pg_advisory_xact_lock(1668245869, 0)";

async fn copy_in(
    connection: &mut PgConnection,
    statement: &str,
    rows: &[Vec<Value>],
) -> sqlx::Result<()> {
    let mut copy = connection.copy_in_raw(statement).await?;
    copy.send(copy::encode(rows)).await?;
    copy.finish().await.map(drop)
}

fn bind_postgres(
    mut query: Query<'_, Postgres, PgArguments>,
    values: Vec<Value>,
) -> Query<'_, Postgres, PgArguments> {
    for value in values {
        query = match value {
            Value::Text(value) => query.bind(value),
            Value::Int(value) => query.bind(value),
            Value::Float(value) => query.bind(value),
            Value::Time(value) => query.bind(value),
        };
    }
    query
}

fn bind_sqlite(
    mut query: Query<'_, Sqlite, SqliteArguments>,
    values: Vec<Value>,
) -> Query<'_, Sqlite, SqliteArguments> {
    for value in values {
        query = match value {
            Value::Text(value) => query.bind(value),
            Value::Int(value) => query.bind(value),
            Value::Float(value) => query.bind(value),
            Value::Time(value) => query.bind(value.map(|instant| instant.timestamp_millis())),
        };
    }
    query
}

fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}
