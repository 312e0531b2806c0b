//! The one currency of a database: said by `init` on PostgreSQL, by the first rows stored on SQLite, and verified by every commit.
//! Which currency is wanted is a setting's to say.

use super::connection::Connection;
use super::fault::Dialect;
use super::lock;
use crate::error::{Error, Result};

/// Takes the currency that `init` is given. On PostgreSQL it is written, since a run may not, and another one replaces it as
/// long as nothing is stored. A SQLite file waits for its first rows: a wrong setting must not decide it.
///
/// # Errors
/// [`Error::Config`] where rows in another currency are stored; [`Error::Store`].
pub(super) async fn announce(connection: &mut Connection, vs_currency: &str) -> Result<()> {
    if connection.is_sqlite() {
        return check(connection, vs_currency).await;
    }
    // under the writer's lock, so that no commit comes between the look and the change
    connection
        .transaction(async |connection| {
            lock::writer(connection).await?;
            if is_empty(connection).await? {
                let sql = "insert into setting (name, value) values ('vs_currency', $1) \
                           on conflict (name) do update set value = excluded.value";
                connection.execute(sql, vec![vs_currency.into()]).await?;
            }
            check(connection, vs_currency).await
        })
        .await
}

/// Makes sure that rows in this currency may be stored, and makes it that of a SQLite file that has none yet. To be called
/// inside a commit: another process may have decided since the database was opened.
///
/// # Errors
/// As [`announce`].
pub(super) async fn bind(connection: &mut Connection, vs_currency: &str) -> Result<()> {
    if connection.is_sqlite() {
        let sql = "insert into setting (name, value) values ('vs_currency', $1) on conflict (name) do nothing";
        connection.execute(sql, vec![vs_currency.into()]).await?;
    }
    check(connection, vs_currency).await
}

/// Makes sure that a database holds this currency, or none yet.
///
/// # Errors
/// As [`announce`].
pub(super) async fn check(connection: &mut Connection, vs_currency: &str) -> Result<()> {
    let sql = "select value from setting where name = 'vs_currency'";
    let rows = connection.fetch(sql, vec![]).await?;
    let held = rows.first().map(|row| row.text(0)).transpose()?.flatten();
    match (held, connection.dialect()) {
        (Some(held), _) if held == vs_currency => Ok(()),
        (Some(held), dialect) => {
            let changed = if dialect == Dialect::Postgres && is_empty(connection).await? {
                ", run `coinmill init`, which changes it as long as nothing is stored,"
            } else {
                ","
            };
            Err(Error::config(format!(
                "{} holds prices in {held}, not in {vs_currency}, and a pair of databases holds one currency: set \
                 COINMILL_VS_CURRENCY={held}{changed} or name other databases",
                connection.place()
            )))
        }
        (None, Dialect::Sqlite) => Ok(()),
        (None, Dialect::Postgres) => Err(Error::config(format!(
            "{} does not say its currency: run `coinmill init`",
            connection.place()
        ))),
    }
}

/// True where nothing was ever stored.
async fn is_empty(connection: &mut Connection) -> Result<bool> {
    let rows = connection
        .fetch("select id from landing limit 1", vec![])
        .await?;
    Ok(rows.is_empty())
}
