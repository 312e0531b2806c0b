//! What `db-init/` makes of a cluster: whose the databases are, who may connect to each, and that no password is logged; for
//! a superuser and for an administrator who is none, on a cluster that is new and on one that is not.

use coinmill::pipeline;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use crate::Cluster;
use crate::files::{DATABASES, PASSWORDS, Renamed, db_init, password};
use crate::support::database::{administrator, postgres_url};
use crate::support::resolve;

const ROLES: [&str; 4] = [
    "airflow",
    "coinmill_owner",
    "coinmill_writer",
    "coinmill_reader",
];

/// Runs statements as a superuser.
async fn administer(sql: &str) {
    let mut connection = PgConnection::connect(&administrator()).await.unwrap();
    let sql = AssertSqlSafe(sql.to_owned());
    connection.execute(sqlx::raw_sql(sql)).await.unwrap();
}

/// The one text that a query gives a superuser.
async fn ask(sql: &str) -> String {
    let mut connection = PgConnection::connect(&administrator()).await.unwrap();
    let sql = AssertSqlSafe(sql.to_owned());
    sqlx::query_scalar(sql)
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

/// An administrator as managed servers have them: no superuser, but it makes roles and databases.
async fn managing(renamed: &Renamed) -> String {
    let name = renamed.name("administrator");
    administer(&format!(
        "create role {name} login createrole createdb password 'managing'"
    ))
    .await;
    postgres_url(&name, "managing", "postgres")
}

/// Looks at who owns each database and who may connect to it, with the names that `name` gives.
async fn is_as_promised(name: impl Fn(&str) -> String) {
    let stranger = name("stranger");
    administer(&format!(
        "drop role if exists {stranger}; create role {stranger} login password '{}'",
        password(&stranger).replace('\'', "''")
    ))
    .await;
    for database in DATABASES {
        let (owner, others): (_, &[&str]) = match database {
            "airflow" => ("airflow", &[]),
            _ => ("coinmill_owner", &["coinmill_writer", "coinmill_reader"]),
        };
        let sql = format!(
            "select pg_get_userbyid(datdba)::text from pg_database where datname = '{}'",
            name(database)
        );
        assert_eq!(ask(&sql).await, name(owner), "{database}");
        for role in ROLES.into_iter().chain(["stranger"]) {
            let role_name = name(role);
            let url = postgres_url(&role_name, &password(&role_name), &name(database));
            let refused = PgConnection::connect(&url).await.err().map(|error| {
                let said = error.as_database_error().expect("PostgreSQL refuses");
                said.code().unwrap().into_owned()
            });
            let expected = (role != owner && !others.contains(&role)).then(|| "42501".to_owned());
            assert_eq!(refused, expected, "{role} on {database}");
        }
    }
}

/// `coinmill init` by the owner, on both databases.
async fn init(renamed: &Renamed) {
    let owner = renamed.name("coinmill_owner");
    let url = |database| postgres_url(&owner, &password(&owner), &renamed.name(database));
    let settings = resolve(vec![
        ("snapshot_url", url("airflow_snapshot")),
        ("timeseries_url", url("airflow_timeseries")),
    ]);
    pipeline::init(&settings.unwrap()).await.unwrap();
}

#[tokio::test]
async fn each_database_has_its_owner_and_only_named_roles_connect() {
    let _cluster = Cluster::new().await;
    for _ in 0..2 {
        is_as_promised(|name| match name {
            "stranger" => "test_stranger".to_owned(),
            name => name.to_owned(),
        })
        .await;
        db_init(&administrator());
    }
}

/// `coinmill db-init` by an administrator, with these passwords.
async fn by_the_program(administrator: &str, given: &[(&str, String)]) -> std::process::Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_coinmill"));
    command.args(["db-init", "--json", "--url", administrator]);
    for (_, variable) in PASSWORDS {
        command.env_remove(variable);
    }
    command.envs(given.iter().map(|(name, value)| (name, value)));
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_program_makes_what_psql_makes_and_may_repeat_it() {
    let cluster = Cluster::new().await;
    for database in DATABASES {
        administer(&format!("drop database {database} with (force)")).await;
    }
    administer("alter role coinmill_writer password 'another'").await;
    let name = |name: &str| match name {
        "stranger" => "test_stranger".to_owned(),
        name => name.to_owned(),
    };
    let given = PASSWORDS.map(|(role, variable)| (variable, password(role)));
    for _ in 0..2 {
        let output = by_the_program(&administrator(), &given).await;
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.matches("\"password_set\":true").count(), 4, "{said}");
        assert!(!said.contains("p@ss"), "{said}");
        is_as_promised(name).await;
        cluster.init().await;
        cluster.run_as("coinmill_writer").await.unwrap();
    }
    // psql finds nothing to change, and a password that is not given stays
    let acl = "select string_agg(datname || ' ' || datacl::text, ', ' order by datname) from pg_database \
               where datname like 'airflow%'";
    let before = ask(acl).await;
    db_init(&administrator());
    assert_eq!(ask(acl).await, before);
    let output = by_the_program(&administrator(), &[]).await;
    assert!(output.status.success(), "{output:?}");
    is_as_promised(name).await;
}

#[tokio::test]
async fn the_program_says_who_has_to_run_it_and_on_what() {
    let _cluster = Cluster::new().await;
    let reader = postgres_url(
        "coinmill_reader",
        &password("coinmill_reader"),
        "airflow_snapshot",
    );
    let broken = ("COINMILL_OWNER_PASSWORD", "two\nlines".to_owned());
    for (url, given, code, said) in [
        (reader.as_str(), vec![], 1, "no administrator of"),
        (
            "postgresql://me@127.0.0.1:1/postgres",
            vec![],
            1,
            "cannot be reached",
        ),
        ("sqlite://a.db", vec![], 2, "a SQLite file needs none"),
        (
            &administrator(),
            vec![broken],
            1,
            "a password may not hold a line break",
        ),
    ] {
        let output = by_the_program(url, &given).await;
        assert_eq!(output.status.code(), Some(code), "{url}: {output:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(said), "{url}: {text}");
        assert!(!text.contains("p@ss") && !text.contains("two"), "{text}");
    }
}

#[tokio::test]
async fn an_administrator_who_is_no_superuser_makes_the_same_and_may_repeat_it() {
    let renamed = Renamed::new();
    let administrator = managing(&renamed).await;
    for _ in 0..2 {
        renamed.db_init(&administrator);
        is_as_promised(|name| renamed.name(name)).await;
        init(&renamed).await;
    }
}

/// Databases and roles of an older `db-init/`, and rights that somebody gave too freely.
#[tokio::test]
async fn a_cluster_that_has_them_already_is_brought_up_to_date() {
    for is_superuser in [true, false] {
        let renamed = Renamed::new();
        let managing = managing(&renamed).await;
        let by = if is_superuser {
            administrator()
        } else {
            managing
        };
        let mut connection = PgConnection::connect(&by).await.unwrap();
        for role in ["airflow", "coinmill_owner", "coinmill_writer"] {
            let sql = format!("create role {} login", renamed.name(role));
            let sql = AssertSqlSafe(sql);
            connection.execute(sqlx::raw_sql(sql)).await.unwrap();
        }
        for database in DATABASES {
            let sql = format!("create database {}", renamed.name(database));
            let sql = AssertSqlSafe(sql);
            connection.execute(sqlx::raw_sql(sql)).await.unwrap();
            for role in ["airflow", "coinmill_writer"] {
                let (database, role) = (renamed.name(database), renamed.name(role));
                let sql = AssertSqlSafe(format!("grant all on database {database} to {role}"));
                connection.execute(sqlx::raw_sql(sql)).await.unwrap();
            }
        }
        renamed.db_init(&by);
        init(&renamed).await;
        is_as_promised(|name| renamed.name(name)).await;
        renamed.db_init(&by);
        init(&renamed).await;
        is_as_promised(|name| renamed.name(name)).await;
    }
}

#[tokio::test]
async fn a_password_that_is_not_given_stays_as_it_was() {
    let renamed = Renamed::new();
    let by = administrator();
    renamed.db_init(&by);
    let owner = renamed.name("coinmill_owner");
    let given = [
        ("AIRFLOW_DATABASE_PASSWORD", String::new()),
        ("COINMILL_OWNER_PASSWORD", "another=one=".to_owned()),
    ];
    let output = renamed.apply(&by, &given);
    assert!(output.status.success(), "{output:?}");
    let connect = async |role: &str, password: &str, database: &str| {
        let url = postgres_url(&renamed.name(role), password, &renamed.name(database));
        PgConnection::connect(&url).await
    };
    let airflow = password(&renamed.name("airflow"));
    connect("airflow", &airflow, "airflow").await.unwrap();
    let writer = password(&renamed.name("coinmill_writer"));
    connect("coinmill_writer", &writer, "airflow_snapshot")
        .await
        .unwrap();
    connect("coinmill_owner", "another=one=", "airflow_snapshot")
        .await
        .unwrap();
    connect("coinmill_owner", &password(&owner), "airflow_snapshot")
        .await
        .unwrap_err();
}

/// The server's log, from `from` on.
async fn log(from: usize) -> String {
    let folder = ask("select setting from pg_settings where name = 'data_directory'").await;
    let path = std::path::Path::new(&folder).join("log");
    let text = std::fs::read(&path).expect("tests/postgres.py has the log in the cluster's folder");
    String::from_utf8_lossy(&text[from..]).into_owned()
}

#[tokio::test]
async fn passwords_are_in_no_log_and_in_no_error() {
    let renamed = Renamed::new();
    let managing = managing(&renamed).await;
    administer(&format!(
        "alter role {0} set log_statement = 'all'; alter role {0} set log_error_verbosity = 'verbose'",
        renamed.name("administrator")
    ))
    .await;
    let from = log(0).await.len();
    renamed.db_init(&managing);

    // a role whose password is not for this administrator to set
    let foreign = Renamed::new();
    administer(&format!(
        "create role {} login superuser",
        foreign.name("airflow")
    ))
    .await;
    let secret = "never-to-be-seen";
    let given = [("AIRFLOW_DATABASE_PASSWORD", secret.to_owned())];
    let output = foreign.apply(&managing, &given);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("cannot be set: "), "{said}");

    let given = [("COINMILL_OWNER_PASSWORD", format!("{secret}\nof two lines"))];
    let output = foreign.apply(&managing, &given);
    let broken = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        broken.contains("a password may not hold a line break"),
        "{broken}"
    );

    let log = log(from).await;
    assert!(
        log.contains("create role") && log.contains("alter role %I password %L"),
        "statements are logged: {log}"
    );
    for text in [&log, &said, &broken] {
        for hidden in ["p@ss", secret, "of two lines"] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
    }
}
