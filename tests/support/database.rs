//! A fresh database of either kind, and raw reads of it that do not pass through the product.
//! Instants are read as milliseconds since 1970 from both kinds, so that rows can be compared.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use coinmill::config::DatabaseUrl;
use coinmill::store::{Budget, SnapshotStore};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, TypeInfo as _, ValueRef as _};
use tempfile::TempDir;
use tokio::sync::Mutex;

/// Where the administrator's URL of the tests' PostgreSQL is.
pub const POSTGRES: &str = "COINMILL_TEST_POSTGRES";

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Postgres,
    Sqlite,
}

/// One value, the same from both kinds.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    /// A whole number, or an instant in milliseconds since 1970.
    Int(i64),
    Float(f64),
    Text(String),
}

impl Cell {
    pub fn int(&self) -> i64 {
        match self {
            Self::Int(number) => *number,
            other => panic!("not a whole number: {other:?}"),
        }
    }

    pub fn float(&self) -> f64 {
        match self {
            Self::Float(number) => *number,
            other => panic!("not a number: {other:?}"),
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            other => panic!("not a text: {other:?}"),
        }
    }

    /// Equal down to the bits.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (a, b) => a == b,
        }
    }
}

/// A database of one test's own.
pub enum Database {
    Postgres {
        url: String,
        /// For raw reads, made at the first.
        reader: Mutex<Option<PgConnection>>,
    },
    Sqlite {
        path: PathBuf,
        _folder: TempDir,
    },
}

/// The administrator's URL.
pub fn administrator() -> String {
    std::env::var(POSTGRES).unwrap_or_else(|_| {
        panic!("{POSTGRES} is not set, so there is no PostgreSQL to test with: run `make test`")
    })
}

/// A URL of the tests' server with this user, password and database.
pub fn postgres_url(user: &str, password: &str, database: &str) -> String {
    let mut url = url::Url::parse(&administrator()).unwrap();
    url.set_username(user).unwrap();
    url.set_password(Some(password)).unwrap();
    url.set_path(database);
    url.into()
}

/// The administrator's URL for another database.
pub fn administrator_of(database: &str) -> String {
    other(&administrator(), database)
}

/// A URL with another database.
fn other(url: &str, database: &str) -> String {
    let mut url = url::Url::parse(url).unwrap();
    url.set_path(database);
    url.into()
}

/// 1 where a snapshot database's newest tally is not what a count gives.
const MISCOUNTED: &str = r#"select count(*) from (select 1 as one) o
    left join (select * from tally order by "commit" desc limit 1) t on 1 = 1
    where coalesce(t.quotes, 0) <> (select count(*) from quote)
    or coalesce(t.snapshots, 0) <> (select count(*) from snapshot_now)
    or coalesce(t.complete, 0) <> (select count(*) from snapshot_now where state = 'complete')
    or coalesce(t.quarantined, 0) <> (select count(*) from quarantine)"#;

impl Database {
    /// A database with the tables of the product, in US dollars.
    pub async fn ready(kind: Kind) -> Self {
        let database = Self::bare(kind).await;
        SnapshotStore::init(&database.database_url(), "usd")
            .await
            .unwrap();
        if kind == Kind::Postgres {
            Budget::init(&database.database_url()).await.unwrap();
        }
        database
    }

    /// A database with nothing in it; of SQLite not even the file.
    pub async fn bare(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("snapshot.db");
                Self::Sqlite {
                    path,
                    _folder: folder,
                }
            }
            Kind::Postgres => Self::bare_on(&administrator()).await,
        }
    }

    /// A database with nothing in it, on the server that a URL leads to.
    pub async fn bare_on(server: &str) -> Self {
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        administer(server, &format!("create database {name}")).await;
        Self::Postgres {
            url: other(server, &name),
            reader: Mutex::default(),
        }
    }

    pub fn url(&self) -> String {
        match self {
            Self::Postgres { url, .. } => url.clone(),
            Self::Sqlite { path, .. } => format!("sqlite://{}", path.display()),
        }
    }

    pub fn database_url(&self) -> DatabaseUrl {
        DatabaseUrl::parse(&self.url()).unwrap()
    }

    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Postgres { .. } => Kind::Postgres,
            Self::Sqlite { .. } => Kind::Sqlite,
        }
    }

    /// A copy as it stands. Of SQLite the journal comes along, as it would after a crash; of PostgreSQL nobody may be
    /// connected to the original.
    pub async fn copy(&self) -> Self {
        match self {
            Self::Sqlite { path, .. } => {
                let folder = tempfile::tempdir().unwrap();
                let to = folder.path().join("snapshot.db");
                std::fs::copy(path, &to).unwrap();
                let journal = PathBuf::from(format!("{}-wal", path.display()));
                if journal.exists() {
                    std::fs::copy(journal, format!("{}-wal", to.display())).unwrap();
                }
                Self::Sqlite {
                    path: to,
                    _folder: folder,
                }
            }
            Self::Postgres { url, reader } => {
                if let Some(reader) = reader.lock().await.take() {
                    reader.close().await.unwrap();
                }
                let name = format!("test_{}", uuid::Uuid::now_v7().simple());
                let sql = format!("create database {name} template {}", self.name());
                administer(&other(url, "postgres"), &sql).await;
                Self::Postgres {
                    url: other(url, &name),
                    reader: Mutex::default(),
                }
            }
        }
    }

    /// The same database of PostgreSQL's, with a reader of its own.
    pub fn again(&self) -> Self {
        match self {
            Self::Postgres { url, .. } => Self::Postgres {
                url: url.clone(),
                reader: Mutex::default(),
            },
            Self::Sqlite { .. } => panic!("a file has one owner"),
        }
    }

    /// Removes a database that PostgreSQL would keep until the tests end.
    pub async fn remove(&self) {
        if let Self::Postgres { url, .. } = self {
            let sql = format!("drop database {} with (force)", self.name());
            administer(&other(url, "postgres"), &sql).await;
        }
    }

    /// Waits until PostgreSQL has noticed that a program which was killed is gone: whatever it had sent is done by then.
    pub async fn until_deserted(&self) {
        if self.kind() == Kind::Sqlite {
            return;
        }
        let sql = "select count(*) from pg_stat_activity where datname = current_database() \
                   and application_name = 'coinmill'";
        let deserted = async { while self.number(sql).await > 0 {} };
        tokio::time::timeout(std::time::Duration::from_secs(30), deserted)
            .await
            .expect("the connection of a program that was killed stays open");
    }

    /// The name of a PostgreSQL database.
    fn name(&self) -> String {
        let url = url::Url::parse(&self.url()).unwrap();
        url.path().trim_start_matches('/').to_owned()
    }

    /// The file of a SQLite database.
    pub fn file(&self) -> &PathBuf {
        match self {
            Self::Postgres { .. } => panic!("PostgreSQL has no file"),
            Self::Sqlite { path, .. } => path,
        }
    }

    /// The rows of a query.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<Cell>> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Postgres { url, reader } => {
                let mut reader = reader.lock().await;
                if reader.is_none() {
                    let mut made = PgConnection::connect(url).await.unwrap();
                    let path = sqlx::query("set search_path = snapshot, budget");
                    path.execute(&mut made).await.unwrap();
                    *reader = Some(made);
                }
                let connection = reader.as_mut().unwrap();
                let rows = sqlx::query(sql).fetch_all(connection).await.unwrap();
                rows.iter().map(from_postgres).collect()
            }
            Self::Sqlite { path, .. } => {
                let options = SqliteConnectOptions::new().filename(path);
                let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
                let budget = path.with_file_name("budget.db");
                if budget.exists() {
                    let attach = format!("attach '{}' as budget", budget.display());
                    let attach = sqlx::query(AssertSqlSafe(attach));
                    attach.execute(&mut connection).await.unwrap();
                }
                let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
                connection.close().await.unwrap();
                rows.iter().map(from_sqlite).collect()
            }
        }
    }

    /// The first row of a query.
    pub async fn row(&self, sql: &str) -> Vec<Cell> {
        self.rows(sql).await.into_iter().next().expect("a row")
    }

    /// The one number that a query gives.
    pub async fn number(&self, sql: &str) -> i64 {
        self.row(sql).await[0].int()
    }

    /// The first column of a query, as texts.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let rows = self.rows(sql).await;
        rows.iter().map(|row| row[0].text().to_owned()).collect()
    }

    /// The columns of a table or view of the snapshot database, in order.
    pub async fn columns(&self, of: &str) -> Vec<String> {
        self.texts(&match self.kind() {
            Kind::Postgres => format!(
                "select column_name::text from information_schema.columns \
                 where table_schema = 'snapshot' and table_name = '{of}' order by ordinal_position"
            ),
            Kind::Sqlite => format!("select name from pragma_table_info('{of}') order by cid"),
        })
        .await
    }

    /// The ledger's states, oldest first.
    pub async fn states(&self) -> Vec<String> {
        self.texts("select state from run order by id").await
    }

    /// How many rows there are of what runs store: landing, coin, coin_name, slots, quote and quarantine.
    pub async fn counts(&self) -> Vec<i64> {
        let mut counts = Vec::new();
        for table in [
            "landing",
            "coin",
            "coin_name",
            "snapshot_now",
            "quote",
            "quarantine",
        ] {
            counts.push(self.number(&format!("select count(*) from {table}")).await);
        }
        assert_eq!(
            self.number(MISCOUNTED).await,
            0,
            "the tally is not the count"
        );
        counts
    }

    /// An instant as a literal of this database's.
    pub fn instant(&self, at: DateTime<Utc>) -> String {
        match self {
            Self::Postgres { .. } => format!("timestamptz '{}'", at.to_rfc3339()),
            Self::Sqlite { .. } => at.timestamp_millis().to_string(),
        }
    }
}

/// Runs a statement on a server.
async fn administer(server: &str, sql: &str) {
    let mut connection = PgConnection::connect(server).await.unwrap();
    let sql = AssertSqlSafe(sql.to_owned());
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

pub fn from_postgres(row: &PgRow) -> Vec<Cell> {
    let cell = |column: usize| {
        let value = row.try_get_raw(column).unwrap();
        if value.is_null() {
            return Cell::Null;
        }
        match value.type_info().name() {
            "INT8" => Cell::Int(row.get(column)),
            "INT4" => Cell::Int(row.get::<i32, _>(column).into()),
            "FLOAT8" => Cell::Float(row.get(column)),
            "TIMESTAMPTZ" => Cell::Int(row.get::<DateTime<Utc>, _>(column).timestamp_millis()),
            "BOOL" => Cell::Int(row.get::<bool, _>(column).into()),
            "TEXT" => Cell::Text(row.get(column)),
            "DATE" => Cell::Text(row.get::<chrono::NaiveDate, _>(column).to_string()),
            other => panic!("a column of type {other}"),
        }
    };
    (0..row.len()).map(cell).collect()
}

pub fn from_sqlite(row: &SqliteRow) -> Vec<Cell> {
    let cell = |column: usize| {
        let value = row.try_get_raw(column).unwrap();
        if value.is_null() {
            return Cell::Null;
        }
        match value.type_info().name() {
            "INTEGER" => Cell::Int(row.get(column)),
            "REAL" => Cell::Float(row.get(column)),
            "BOOL" => Cell::Int(row.get::<bool, _>(column).into()),
            "TEXT" => Cell::Text(row.get(column)),
            other => panic!("a value of type {other}"),
        }
    };
    (0..row.len()).map(cell).collect()
}
