//! What a database says of itself, for whoever looks for a fault: version, schema, role and clock.
//! It changes nothing: no file is made or migrated, and no lock is taken.

use chrono::{DateTime, Utc};

use super::connection::{Connection, Sql};
use super::ledger::needed;
use super::migrate::{BUDGET, SNAPSHOT, Schema, TIMESERIES};
use crate::config::DatabaseUrl;
use crate::error::{Error, Result};

/// One of the three schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Quotes and their ledger.
    Snapshot,
    /// Charts and their ledger.
    Timeseries,
    /// The account of calls.
    Budget,
}

impl Part {
    fn schema(self) -> &'static Schema {
        match self {
            Self::Snapshot => &SNAPSHOT,
            Self::Timeseries => &TIMESERIES,
            Self::Budget => &BUDGET,
        }
    }
}

/// A database as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The server or library with its version, such as `PostgreSQL 17.2`.
    pub server: String,
    /// The server's version as PostgreSQL counts them (170002); `None` on SQLite.
    pub server_number: Option<i64>,
    /// The role that is connected; `None` on SQLite.
    pub role: Option<String>,
    /// The version of the schema; `None` where there are no tables that this role can see.
    pub schema: Option<i64>,
    /// The version that this program needs.
    pub needed: i64,
    /// The currency of what is stored, where that is decided.
    pub vs_currency: Option<String>,
    /// True where this role may write down a run. Known only where the schema is there.
    pub may_write: bool,
    /// True where this role may create tables.
    pub may_create: bool,
    /// The server's clock; `None` on SQLite.
    pub clock: Option<DateTime<Utc>>,
}

/// Looks at a database that is there.
///
/// # Errors
/// [`Error::Store`] when it cannot be reached or read; [`Error::Config`] when it is another of the databases, or newer than
/// the program.
pub async fn inspect(url: &DatabaseUrl, part: Part) -> Result<Inspection> {
    let schema = part.schema();
    let mut connection = Connection::open_to_look(url, schema.name).await?;
    let found = look(&mut connection, part).await;
    // a failed look ends the connection, too
    connection.close().await.and(found)
}

async fn look(connection: &mut Connection, part: Part) -> Result<Inspection> {
    let schema = part.schema();
    let (version, needed_version) = schema.versions(connection).await?;
    let about = Sql {
        postgres: "select 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1), \
                   current_setting('server_version_num')::bigint, current_user::text, clock_timestamp(), \
                   coalesce(has_schema_privilege(to_regnamespace($1)::oid, 'create'), \
                   has_database_privilege(current_database(), 'create'))::integer::bigint",
        sqlite: "select 'SQLite ' || sqlite_version(), cast(null as integer), cast(null as text), cast(null as integer), 1 \
                 where $1 is not null",
    };
    let rows = connection.fetch(about, vec![schema.name.into()]).await?;
    let row = needed(rows.first(), "the version")?;
    let mut found = Inspection {
        server: needed(row.text(0)?, "the version")?,
        server_number: row.int(1)?,
        role: row.text(2)?,
        clock: row.time(3)?,
        may_create: row.int(4)? == Some(1),
        schema: version,
        needed: needed_version,
        vs_currency: None,
        may_write: connection.is_sqlite(),
    };
    if version.is_none() {
        return Ok(found);
    }
    if part != Part::Budget {
        let sql = "select value from setting where name = 'vs_currency'";
        let rows = connection.fetch(sql, vec![]).await?;
        found.vs_currency = rows.first().map(|row| row.text(0)).transpose()?.flatten();
    }
    if !connection.is_sqlite() {
        found.may_write = match schema.check_may_write(connection).await {
            Ok(()) => true,
            // a connection that broke is another matter than a right that is not there
            Err(Error::Store {
                retryable: false, ..
            }) => false,
            Err(error) => return Err(error),
        };
    }
    Ok(found)
}
