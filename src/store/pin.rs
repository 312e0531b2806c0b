//! Commits as moments of knowledge: their ids, the instants that they get once they are durable, and the pin of an instant.
//! A pin is a commit's id and takes account of the commits up to it; what each of them brought is its neighbours' work.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use super::coins::highest;
use super::connection::Connection;
use super::lock;
use crate::clock::Clock;
use crate::error::Result;

/// Assigns the next id to this commit of a run. Under the writer's lock, so that whoever commits later has a higher one.
pub(super) async fn assign(connection: &mut Connection, run: &str) -> Result<i64> {
    let id = highest(connection, r#"select max(id) from "commit""#).await? + 1;
    let sql = r#"insert into "commit" (id, run) values ($1, $2)"#;
    connection.execute(sql, vec![id.into(), run.into()]).await?;
    Ok(id)
}

/// Writes the present instant to each commit that has none, in a short transaction of its own: all that it sees are durable,
/// and readers can see them. Also to those of writers that died before they came to it.
///
/// Under the writer's lock: the clock is read after the last commit, and no instant is before that of a lower id, whatever
/// the clocks of the writers say.
pub(super) async fn stamp(connection: &mut Connection, clock: Clock) -> Result<()> {
    let write = async |connection: &mut Connection| {
        lock::writer(connection).await?;
        let rows = connection
            .fetch(r#"select max(at) from "commit""#, vec![])
            .await?;
        let before = rows.first().map(|row| row.time(0)).transpose()?.flatten();
        let now = whole_milliseconds(clock.now());
        let at = before.map_or(now, |before| now.max(before));
        let sql = r#"update "commit" set at = $1 where at is null"#;
        connection.execute(sql, vec![at.into()]).await.map(drop)
    };
    connection.transaction(write).await
}

/// The first whole millisecond that is not before an instant: SQLite's instants have no smaller parts, and a commit must not
/// count as known before it was.
fn whole_milliseconds(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_round_up(TimeDelta::milliseconds(1))
        .unwrap_or(at)
}

/// True where a commit waits for its instant. Those that do are the newest ones, since each stamp leaves none.
pub(super) async fn waits(connection: &mut Connection) -> Result<bool> {
    let sql = r#"select id from "commit" where at is null limit 1"#;
    Ok(!connection.fetch(sql, vec![]).await?.is_empty())
}

/// The pin of an instant: the newest commit that was known then. `None` where nothing was.
pub(super) async fn of(connection: &mut Connection, at: DateTime<Utc>) -> Result<Option<i64>> {
    let sql = r#"select id from "commit" where at <= $1 order by at desc, id desc limit 1"#;
    let rows = connection.fetch(sql, vec![at.into()]).await?;
    Ok(rows.first().map(|row| row.int(0)).transpose()?.flatten())
}

/// The run of a commit; none where there is no such commit.
pub(super) async fn run_of(connection: &mut Connection, commit: i64) -> Result<Option<String>> {
    let sql = r#"select run from "commit" where id = $1"#;
    let rows = connection.fetch(sql, vec![commit.into()]).await?;
    Ok(rows.first().map(|row| row.text(0)).transpose()?.flatten())
}

/// The pin of now: the newest commit, whether or not it has its instant. `None` where nothing was ever committed.
pub(super) async fn newest(connection: &mut Connection) -> Result<Option<i64>> {
    let rows = connection
        .fetch(r#"select max(id) from "commit""#, vec![])
        .await?;
    Ok(rows.first().map(|row| row.int(0)).transpose()?.flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_rounded_up() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let whole = at("2026-01-14T12:00:00.001Z");
        assert_eq!(whole_milliseconds(at("2026-01-14T12:00:00.000001Z")), whole);
        assert_eq!(whole_milliseconds(whole), whole);
    }
}
