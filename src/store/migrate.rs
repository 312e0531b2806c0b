//! The schemas: versioned migrations, and whether a database is ready for this program.
//! The tables themselves are in `migrations/`; applied migrations never change.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, SqlSafeStr};

use super::connection::{Connection, Driver, Sql};
use super::currency;
use super::fault::{Dialect, fault};
use super::value::Value;
use crate::error::{Error, Result};
use crate::landing::sha256;

/// One database's schema in both dialects.
#[derive(Debug)]
pub(crate) struct Schema {
    /// Its name on PostgreSQL.
    pub(crate) name: &'static str,
    migrations: &'static [(i64, &'static str, Sql)],
    grants: &'static str,
    /// A table that every run writes to.
    written: &'static str,
}

/// A migration of a schema, by its version and its name.
macro_rules! migration {
    ($schema:literal, $version:literal, $name:literal) => {
        (
            $version,
            $name,
            Sql {
                postgres: include_str!(concat!(
                    "../../migrations/",
                    $schema,
                    "/postgres/000",
                    $version,
                    "_",
                    $name,
                    ".sql"
                )),
                sqlite: include_str!(concat!(
                    "../../migrations/",
                    $schema,
                    "/sqlite/000",
                    $version,
                    "_",
                    $name,
                    ".sql"
                )),
            },
        )
    };
}

/// The snapshot database.
pub(crate) static SNAPSHOT: Schema = Schema {
    name: "snapshot",
    migrations: &[
        migration!("snapshot", 1, "snapshot"),
        migration!("snapshot", 2, "runs"),
        migration!("snapshot", 3, "listing"),
    ],
    grants: include_str!("../../migrations/snapshot/postgres/grants.sql"),
    written: "run",
};

/// The time series database.
pub(crate) static TIMESERIES: Schema = Schema {
    name: "timeseries",
    migrations: &[
        migration!("timeseries", 1, "timeseries"),
        migration!("timeseries", 2, "ohlc"),
    ],
    grants: include_str!("../../migrations/timeseries/postgres/grants.sql"),
    written: "run",
};

/// The account of calls, in a database of its own or in the one with the snapshots.
pub(crate) static BUDGET: Schema = Schema {
    name: "budget",
    migrations: &[migration!("budget", 1, "budget")],
    grants: include_str!("../../migrations/budget/postgres/grants.sql"),
    written: "budget",
};

/// What PostgreSQL's clients say of tables, views and columns.
const COMMENTS: &str = include_str!("../../migrations/comments.sql");

/// What a database says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readiness {
    Ready,
    /// Made by an older program, or not made at all.
    Behind(Option<i64>),
}

/// Writes the comments, unless the newest are there, which that of the migrations' own table says: to look at each takes longer than
/// all else that a repeated `init` does.
async fn comment(connection: &mut Connection, is_new: bool) -> Result<()> {
    let digest: String = sha256(COMMENTS.as_bytes()).chars().take(16).collect();
    let newest = format!("The migrations that have run, and the comments {digest}");
    let sql = "select obj_description('_sqlx_migrations'::regclass, 'pg_class')";
    let rows = connection.fetch(sql, vec![]).await?;
    let said = rows.first().map(|row| row.text(0)).transpose()?.flatten();
    if is_new || said.as_deref() != Some(newest.as_str()) {
        connection.script(COMMENTS).await?;
        let text = format!("comment on table _sqlx_migrations is '{newest}'");
        connection.text(text).await?;
    }
    Ok(())
}

impl Schema {
    /// One of the two, by its name.
    pub(crate) fn of(name: &str) -> &'static Self {
        if name == SNAPSHOT.name {
            &SNAPSHOT
        } else {
            &TIMESERIES
        }
    }

    fn newest(&self) -> i64 {
        let versions = self.all().map(|(version, ..)| version);
        versions.max().unwrap_or_default()
    }

    fn all(&self) -> impl Iterator<Item = (i64, &'static str, Sql)> {
        self.migrations.iter().copied().chain(of_a_later_version())
    }

    fn migrator(&self, dialect: Dialect) -> Migrator {
        let migration = |(version, description, sql): (i64, &'static str, Sql)| {
            let text = match dialect {
                Dialect::Postgres => sql.postgres,
                Dialect::Sqlite => sql.sqlite,
            };
            Migration::new(
                version,
                Cow::Borrowed(description),
                MigrationType::Simple,
                text.into_sql_str(),
                false,
            )
        };
        Migrator::with_migrations(self.all().map(migration).collect())
    }

    async fn readiness(&self, connection: &mut Connection) -> Result<Readiness> {
        let there = Sql {
            postgres: "select 1::bigint where to_regclass('_sqlx_migrations') is not null",
            sqlite: "select 1 from sqlite_master where name = '_sqlx_migrations'",
        };
        if connection.fetch(there, vec![]).await?.is_empty() {
            return Ok(Readiness::Behind(None));
        }
        let sql = "select max(version), max(case when version = 1 then description end) from _sqlx_migrations where success";
        let rows = connection.fetch(sql, vec![]).await?;
        let row = rows.first();
        // two SQLite files may be named the wrong way round
        let found = row.map(|row| row.text(1)).transpose()?.flatten();
        if let Some(found) = found.filter(|found| found != self.name) {
            return Err(Error::config(format!(
                "{} is the {found} database, and not the {}: correct COINMILL_{}_URL",
                connection.place(),
                self.name,
                self.name.to_uppercase()
            )));
        }
        let version = row.map(|row| row.int(0)).transpose()?.flatten();
        let newest = self.newest();
        match version {
            Some(version) if version > newest => Err(Error::config(format!(
                "the schema of {} is version {version}, and this coinmill knows {newest}: upgrade coinmill",
                connection.place()
            ))),
            Some(version) if version == newest => Ok(Readiness::Ready),
            version => Ok(Readiness::Behind(version)),
        }
    }

    /// The version that a database has, if any, and the one that this program needs.
    ///
    /// # Errors
    /// [`Error::Config`] when the database is newer than the program or another one; [`Error::Store`].
    pub(crate) async fn versions(&self, connection: &mut Connection) -> Result<(Option<i64>, i64)> {
        let newest = self.newest();
        Ok(match self.readiness(connection).await? {
            Readiness::Ready => (Some(newest), newest),
            Readiness::Behind(version) => (version, newest),
        })
    }

    /// Makes or migrates the schema, and writes its currency on PostgreSQL, if it has one. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`Error::Config`] when the database is newer than the program or holds another currency; [`Error::Store`], also for a
    /// role that may not create.
    pub(crate) async fn init(
        &self,
        connection: &mut Connection,
        vs_currency: Option<&str>,
    ) -> Result<()> {
        self.check_may_create(connection).await?;
        if let Driver::Postgres(postgres) = connection.driver() {
            // `create schema if not exists` asks for the right to create even where the schema is there
            let sql = AssertSqlSafe(format!(
                "do $$ begin if to_regnamespace('{0}') is null then create schema {0}; end if; end $$",
                self.name
            ));
            let made = sqlx::Executor::execute(postgres, sqlx::raw_sql(sql)).await;
            made.map_err(|error| fault(Dialect::Postgres, connection.place(), error))?;
        }
        let is_behind = self.readiness(connection).await? != Readiness::Ready;
        if is_behind {
            self.migrate(connection).await?;
            tracing::info!(
                "{} is at schema version {}",
                connection.place(),
                self.newest()
            );
        }
        if connection.dialect() == Dialect::Postgres {
            connection.script(self.grants).await?;
            comment(connection, is_behind).await?;
        }
        match vs_currency {
            Some(vs_currency) => currency::announce(connection, vs_currency).await,
            None => Ok(()),
        }
    }

    /// Refuses a role that may not create here. PostgreSQL would only warn it of some of what it may not do.
    async fn check_may_create(&self, connection: &mut Connection) -> Result<()> {
        if connection.is_sqlite() {
            return Ok(());
        }
        let may = "select current_user::text, coalesce(has_schema_privilege(to_regnamespace($1)::oid, 'create'), \
                   has_database_privilege(current_database(), 'create'))::integer::bigint";
        match unprivileged(connection, may, vec![self.name.into()]).await? {
            None => Ok(()),
            Some(role) => Err(Error::Store {
                message: format!(
                    "{role} may not create tables in {}: `coinmill init` needs the owner, whom COINMILL_{}_OWNER_URL names",
                    connection.place(),
                    self.name.to_ascii_uppercase()
                ),
                retryable: false,
                cause: None,
            }),
        }
    }

    /// Makes sure that this role may write down a run: before a lock is taken, a body landed or a call made.
    ///
    /// # Errors
    /// [`Error::Store`] naming the setting of the writer.
    pub(crate) async fn check_may_write(&self, connection: &mut Connection) -> Result<()> {
        if connection.is_sqlite() {
            return Ok(());
        }
        let may = "select current_user::text, has_table_privilege($1, 'insert')::integer::bigint";
        match unprivileged(connection, may, vec![self.written.into()]).await? {
            None => Ok(()),
            Some(role) => Err(Error::Store {
                message: format!(
                    "{role} may only read {}: a run needs the writer, whom COINMILL_{}_URL names",
                    connection.place(),
                    self.name.to_ascii_uppercase()
                ),
                retryable: false,
                cause: None,
            }),
        }
    }

    /// Makes sure that this role may delete what is kept no longer.
    ///
    /// # Errors
    /// [`Error::Store`] naming the setting of the owner.
    pub(crate) async fn check_may_delete(&self, connection: &mut Connection) -> Result<()> {
        if connection.is_sqlite() {
            return Ok(());
        }
        let may =
            "select current_user::text, has_table_privilege('pruned', 'delete')::integer::bigint";
        match unprivileged(connection, may, vec![]).await? {
            None => Ok(()),
            Some(role) => Err(Error::Store {
                message: format!(
                    "{role} may not delete from {}: `coinmill prune` needs the owner, whom COINMILL_{}_OWNER_URL names",
                    connection.place(),
                    self.name.to_ascii_uppercase()
                ),
                retryable: false,
                cause: None,
            }),
        }
    }

    async fn migrate(&self, connection: &mut Connection) -> Result<()> {
        let (dialect, place) = (connection.dialect(), connection.place().to_owned());
        let migrator = self.migrator(dialect);
        let migrated = match connection.driver() {
            Driver::Postgres(postgres) => migrator.run_direct(None, postgres, false).await,
            Driver::Sqlite(sqlite) => migrate_alone(&migrator, sqlite).await,
        };
        migrated.map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => fault(dialect, &place, error),
            MigrateError::VersionMismatch(_) | MigrateError::VersionMissing(_) => Error::config(format!(
                "the schema of {place} was made by another build of coinmill: use that build, or a new database"
            ))
            .because(error),
            error => Error::store(format!("{place} cannot be migrated"), error),
        })
    }

    /// Makes sure that a run can use the database: SQLite files are made or migrated on the spot, PostgreSQL never.
    ///
    /// # Errors
    /// [`Error::Config`] naming `coinmill init`, or what else would help.
    pub(crate) async fn check(
        &self,
        connection: &mut Connection,
        vs_currency: Option<&str>,
    ) -> Result<()> {
        match self.readiness(connection).await? {
            Readiness::Ready => match vs_currency {
                Some(vs_currency) => currency::check(connection, vs_currency).await,
                None => Ok(()),
            },
            Readiness::Behind(_) if connection.dialect() == Dialect::Sqlite => {
                self.init(connection, vs_currency).await
            }
            Readiness::Behind(None) => Err(Error::config(format!(
                "{} has no coinmill tables that this role can see: run `coinmill init`",
                connection.place()
            ))),
            Readiness::Behind(Some(version)) => Err(Error::config(format!(
                "the schema of {} is version {version}, and this coinmill needs {}: run `coinmill init`",
                connection.place(),
                self.newest()
            ))),
        }
    }
}

/// Migrates a SQLite file while no other process does: whoever comes second finds it done.
async fn migrate_alone(
    migrator: &Migrator,
    sqlite: &mut SqliteConnection,
) -> std::result::Result<(), MigrateError> {
    let mut whole = sqlite.begin_with("begin immediate").await?;
    migrator.run_direct(None, &mut *whole, false).await?;
    Ok(whole.commit().await?)
}

/// What a later version would add, by which tests hold that a filled database can be upgraded.
#[cfg(feature = "failpoints")]
fn of_a_later_version() -> Option<(i64, &'static str, Sql)> {
    let sql = "create table later (id integer)";
    std::env::var_os("COINMILL_TEST_LATER_VERSION").map(|_| (1_000, "later", Sql::from(sql)))
}

#[cfg(not(feature = "failpoints"))]
fn of_a_later_version() -> Option<(i64, &'static str, Sql)> {
    None
}

/// The role's name, where a query for it and for whether it may (1) says that it may not.
async fn unprivileged(
    connection: &mut Connection,
    may: &'static str,
    values: Vec<Value>,
) -> Result<Option<String>> {
    let rows = connection.fetch(may, values).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    Ok(if row.int(1)? == Some(0) {
        row.text(0)?
    } else {
        None
    })
}
