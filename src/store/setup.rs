//! A PostgreSQL server prepared for coinmill by its administrator: roles, databases and schemas, as `db-init/` has them.
//! The files are the ones that psql is given; of psql's own commands the few that they use are done here.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _};

use super::connection::CONNECT_TIMEOUT;
use super::fault::{Dialect, fault};
use crate::config::DatabaseUrl;
use crate::error::{Error, Result};

/// The files, in their order.
const FILES: [&str; 4] = [
    include_str!("../../db-init/01_roles.sql"),
    include_str!("../../db-init/02_databases.sql"),
    include_str!("../../db-init/03_snapshot_schema.sql"),
    include_str!("../../db-init/04_timeseries_schema.sql"),
];

/// The oldest server that the files are for.
const OLDEST: i32 = 150_000;

/// A role whose password was set, or left as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedRole {
    /// The role.
    pub role: String,
    /// The variable that its password comes from.
    pub variable: String,
    /// True where the variable held one.
    pub was_given: bool,
}

/// What one part of a file asks for.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Statements.
    Run(String),
    /// `\gexec`: each value that the last query gives is a statement.
    RunEach(String),
    /// `\connect`: the rest is for this database.
    Connect(String),
    /// `\copy … from program`: lines `role=password` into a table. The roles with their variables, and the statement.
    Passwords(Vec<(String, String)>, String),
}

/// Makes or corrects roles, databases and schemas. Repeating it changes only what is different. A role's password comes from
/// `password`, by the name of its variable; where there is none, the role keeps what it has.
///
/// # Errors
/// [`Error::Argument`] for what is no PostgreSQL URL; [`Error::Config`] for a server that is too old; [`Error::Store`] when it
/// cannot be reached, or this role is no administrator.
pub async fn prepare_server(
    administrator: &DatabaseUrl,
    password: impl Fn(&str) -> Option<String>,
) -> Result<Vec<PreparedRole>> {
    let place = administrator.to_string();
    let wrong = |error| said(&place, error);
    let url = administrator.expose().ok_or_else(|| {
        Error::argument("roles and databases are PostgreSQL's: a SQLite file needs none")
    })?;
    let mut options: PgConnectOptions = url.parse().map_err(wrong)?;
    if options.get_database().is_none() {
        options = options.database("postgres");
    }
    let options = options
        .application_name("coinmill db-init")
        .disable_statement_logging();
    let mut connection = connected(&options, &place).await?;
    let version = "select current_setting('server_version_num')::integer";
    let version: i32 = sqlx::query_scalar(version)
        .fetch_one(&mut connection)
        .await
        .map_err(wrong)?;
    if version < OLDEST {
        return Err(Error::config(format!(
            "{place} is PostgreSQL {}, and coinmill needs 15 or newer: upgrade the server",
            version / 10_000
        )));
    }
    let mut roles = Vec::new();
    for file in FILES {
        for step in steps(file)? {
            match step {
                Step::Run(text) => run(&mut connection, text).await.map_err(wrong)?,
                Step::RunEach(text) => run_each(&mut connection, text).await.map_err(wrong)?,
                Step::Connect(database) => {
                    connection.close().await.map_err(wrong)?;
                    connection = connected(&options.clone().database(&database), &place).await?;
                }
                Step::Passwords(wanted, statement) => {
                    let mut lines = String::new();
                    for (role, variable) in wanted {
                        let given = password(&variable).unwrap_or_default();
                        lines.push_str(&format!("{role}={given}\n"));
                        let was_given = !given.is_empty();
                        roles.push(PreparedRole {
                            role,
                            variable,
                            was_given,
                        });
                    }
                    copy(&mut connection, &statement, lines)
                        .await
                        .map_err(wrong)?;
                }
            }
        }
    }
    connection.close().await.map_err(wrong)?;
    Ok(roles)
}

async fn connected(options: &PgConnectOptions, place: &str) -> Result<PgConnection> {
    let opened = tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await;
    let timed_out = || sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    let opened = opened.unwrap_or_else(|_| Err(timed_out()));
    opened.map_err(|error| said(place, error))
}

async fn run(connection: &mut PgConnection, text: String) -> sqlx::Result<()> {
    let done = connection.execute(sqlx::raw_sql(AssertSqlSafe(text))).await;
    done.map(drop)
}

async fn run_each(connection: &mut PgConnection, text: String) -> sqlx::Result<()> {
    let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(text)));
    for row in rows.await? {
        for place in 0..row.len() {
            if let Some(statement) = row.try_get::<Option<String>, _>(place)? {
                run(connection, statement).await?;
            }
        }
    }
    Ok(())
}

async fn copy(connection: &mut PgConnection, statement: &str, lines: String) -> sqlx::Result<()> {
    let mut copy = connection.copy_in_raw(statement).await?;
    copy.send(lines.into_bytes()).await?;
    copy.finish().await.map(drop)
}

/// The error of the server, with what an administrator can do.
fn said(place: &str, error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|said| said.code());
    if code.is_some_and(|code| code == "42501") {
        let message = format!(
            "this role is no administrator of {place}: connect as a superuser, or as a role with CREATEDB and CREATEROLE"
        );
        return Error::store(message, error);
    }
    fault(Dialect::Postgres, place, error)
}

/// What a file asks for, in order. Pure.
///
/// # Errors
/// [`Error::Data`] for a command of psql that is not known here.
fn steps(file: &str) -> Result<Vec<Step>> {
    let (mut steps, mut text) = (Vec::new(), String::new());
    let flush = |steps: &mut Vec<Step>, text: &mut String| {
        if !text.trim().is_empty() {
            steps.push(Step::Run(std::mem::take(text)));
        }
        text.clear();
    };
    for line in file.lines() {
        let Some(command) = line.strip_prefix('\\') else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let unknown = || Error::data(format!("db-init: \\{command} is not known"));
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        match name {
            // every error ends it here, too
            "set" => {}
            "gexec" => steps.push(Step::RunEach(std::mem::take(&mut text))),
            "connect" => {
                flush(&mut steps, &mut text);
                steps.push(Step::Connect(rest.trim().to_owned()));
            }
            "copy" => {
                flush(&mut steps, &mut text);
                steps.push(passwords(rest).ok_or_else(unknown)?);
            }
            _ => return Err(unknown()),
        }
    }
    flush(&mut steps, &mut text);
    Ok(steps)
}

/// Reads `TABLE from program 'printf "%s\n" "ROLE=$VARIABLE" …' with (…)`.
fn passwords(command: &str) -> Option<Step> {
    let (table, rest) = command.split_once(" from program '")?;
    let (program, format) = rest.split_once('\'')?;
    let wanted = program.split('"').filter_map(|word| word.split_once("=$"));
    let wanted: Vec<_> = wanted
        .map(|(role, variable)| (role.to_owned(), variable.to_owned()))
        .collect();
    let is_plain = program.starts_with("printf \"%s\\n\" ") && !wanted.is_empty();
    let statement = format!("copy {table} from stdin{format}");
    is_plain.then_some(Step::Passwords(wanted, statement))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_understood_and_none_of_it_is_left_out() {
        let (mut databases, mut each) = (Vec::new(), 0);
        for file in FILES {
            let steps = steps(file).unwrap();
            let mut kept = 0;
            for step in &steps {
                match step {
                    Step::Run(text) => kept += text.lines().count(),
                    Step::RunEach(text) => {
                        assert!(!text.trim_end().ends_with(';'), "{text}");
                        kept += text.lines().count();
                        each += 1;
                    }
                    Step::Connect(database) => databases.push(database.clone()),
                    Step::Passwords(roles, statement) => {
                        assert_eq!(roles.len(), 4);
                        assert_eq!(roles[0].1, "AIRFLOW_DATABASE_PASSWORD");
                        assert_eq!(
                            statement,
                            r"copy given from stdin with (format csv, delimiter E'\x01', quote E'\x02')"
                        );
                    }
                }
            }
            let lines = file.lines();
            let of_psql = lines.clone().filter(|line| line.starts_with('\\')).count();
            assert_eq!(kept, lines.count() - of_psql, "{file}");
        }
        assert_eq!(databases, ["airflow_snapshot", "airflow_timeseries"]);
        assert_eq!(each, 3);
    }

    #[test]
    fn a_command_that_is_not_known_is_not_passed_over() {
        let error = steps("select 1;\n\\i more.sql\n").unwrap_err().to_string();
        assert!(error.contains("\\i more.sql"), "{error}");
        assert!(steps("\\copy t from 'file'\n").is_err());
    }
}
