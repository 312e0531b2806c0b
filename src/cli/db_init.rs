//! `coinmill db-init`: roles, databases and schemas on a PostgreSQL server, by its administrator.
//! The statements are those of `db-init/`, which `store` runs.

use std::env;
use std::fmt::Write as _;

use serde::Serialize;

use super::layout::line;
use super::{COMPLETE, print};
use crate::config::DatabaseUrl;
use crate::error::Result;
use crate::store::{PreparedRole, prepare_server};

#[derive(Debug, clap::Args)]
pub(super) struct DbInitArguments {
    /// The server, as its administrator: postgresql://postgres@localhost; the password is better left to PGPASSWORD or
    /// ~/.pgpass, since other users can see arguments
    #[arg(long, value_name = "URL", value_parser = DatabaseUrl::parse)]
    url: DatabaseUrl,
}

/// What there is now.
#[derive(Serialize)]
struct Prepared {
    url: String,
    roles: Vec<Role>,
}

#[derive(Serialize)]
struct Role {
    role: String,
    /// The variable that its password comes from.
    variable: String,
    /// True where the variable held one; else the role keeps what it has.
    password_set: bool,
}

pub(super) async fn db_init(arguments: DbInitArguments, json: bool) -> Result<u8> {
    let given = |variable: &str| env::var(variable).ok();
    let roles = prepare_server(&arguments.url, given).await?;
    let role = |prepared: PreparedRole| Role {
        role: prepared.role,
        variable: prepared.variable,
        password_set: prepared.was_given,
    };
    let prepared = Prepared {
        url: arguments.url.to_string(),
        roles: roles.into_iter().map(role).collect(),
    };
    print(json, &prepared, || text(&prepared))?;
    Ok(COMPLETE)
}

fn text(prepared: &Prepared) -> String {
    let mut text = format!(
        "roles, databases and schemas are ready on {}\n",
        prepared.url
    );
    for role in &prepared.roles {
        let password = match role.password_set {
            true => "its password is set".to_owned(),
            false => format!("keeps its password, if any: {} is not set", role.variable),
        };
        let _infallible = writeln!(text, "  {:<16} {password}", role.role);
    }
    line(
        &mut text,
        "next",
        "`coinmill init` as coinmill_owner makes the tables",
    );
    text
}
