//! A fresh database of either kind, and raw reads of it that do not pass through the product.
//! Instants are read as milliseconds since 1970 from both kinds, so that rows can be compared.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use coinmill::config::DatabaseUrl;
use coinmill::store::SnapshotStore;
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
    let mut url = url::Url::parse(&administrator()).unwrap();
    url.set_path(database);
    url.into()
}

impl Database {
    /// A database with the tables of the product, in US dollars.
    pub async fn ready(kind: Kind) -> Self {
        let database = Self::bare(kind).await;
        SnapshotStore::init(&database.database_url(), "usd")
            .await
            .unwrap();
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
            Kind::Postgres => {
                let name = format!("test_{}", uuid::Uuid::now_v7().simple());
                let mut connection = PgConnection::connect(&administrator()).await.unwrap();
                let sql = AssertSqlSafe(format!("create database {name}"));
                sqlx::query(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
                let (url, reader) = (administrator_of(&name), Mutex::default());
                Self::Postgres { url, reader }
            }
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
                    let path = sqlx::query("set search_path = snapshot");
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

    /// The ledger's states, oldest first.
    pub async fn states(&self) -> Vec<String> {
        self.texts("select state from run order by id").await
    }

    /// How many rows there are of what runs store: landing, coin, coin_name, snapshot, quote and quarantine.
    pub async fn counts(&self) -> Vec<i64> {
        let mut counts = Vec::new();
        for table in [
            "landing",
            "coin",
            "coin_name",
            "snapshot",
            "quote",
            "quarantine",
        ] {
            counts.push(self.number(&format!("select count(*) from {table}")).await);
        }
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

fn from_postgres(row: &PgRow) -> Vec<Cell> {
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
            "TEXT" => Cell::Text(row.get(column)),
            other => panic!("a column of type {other}"),
        }
    };
    (0..row.len()).map(cell).collect()
}

fn from_sqlite(row: &SqliteRow) -> Vec<Cell> {
    let cell = |column: usize| {
        let value = row.try_get_raw(column).unwrap();
        if value.is_null() {
            return Cell::Null;
        }
        match value.type_info().name() {
            "INTEGER" => Cell::Int(row.get(column)),
            "REAL" => Cell::Float(row.get(column)),
            "TEXT" => Cell::Text(row.get(column)),
            other => panic!("a value of type {other}"),
        }
    };
    (0..row.len()).map(cell).collect()
}
