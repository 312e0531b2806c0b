//! One column, one name, one kind: the migrations of both databases held against the lists of the program, against each other
//! and against the data dictionary.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_wrap,
    reason = "a test that cannot go on should say where"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use coinmill::market::{self, quote_columns, stored_columns};
use coinmill::series::POINT_COLUMNS;
use coinmill::store::price_columns;
use coinmill::store::{Budget, SnapshotStore, TimeseriesStore};

use crate::support::{Database, Kind};

/// The kind of each column, by table or view, and column.
type Columns = BTreeMap<(String, String), String>;

/// The databases of a kind, made by the migrations.
async fn databases(kind: Kind) -> [(&'static str, Database); 3] {
    let (snapshot, timeseries) = (Database::bare(kind).await, Database::bare(kind).await);
    let budget = Database::bare(kind).await;
    Budget::init(&budget.database_url()).await.unwrap();
    SnapshotStore::init(&snapshot.database_url(), "usd")
        .await
        .unwrap();
    TimeseriesStore::init(&timeseries.database_url(), "usd")
        .await
        .unwrap();
    [
        ("snapshot", snapshot),
        ("timeseries", timeseries),
        ("budget", budget),
    ]
}

/// What a database has, with one word for a kind in both dialects. Instants are whole milliseconds in SQLite's tables and texts
/// in its views.
async fn columns(schema: &str, database: &Database) -> Columns {
    let sql = match database.kind() {
        Kind::Postgres => format!(
            "select table_name || '.' || column_name || ':' || data_type from information_schema.columns \
             where table_schema = '{schema}' and table_name not like '\\_%'"
        ),
        Kind::Sqlite => "select m.name || '.' || p.name || ':' || lower(p.type) from sqlite_master m, pragma_table_info(m.name) p \
                         where m.type in ('table', 'view') and m.name not like '\\_%' escape '\\' and m.name not like 'sqlite%'"
            .to_owned(),
    };
    let named = |text: &String| {
        let (path, kind) = text.split_once(':').unwrap();
        let (table, column) = path.split_once('.').unwrap();
        let kind = match kind {
            "double precision" | "real" => "number",
            "bigint" | "integer" | "smallint" => "whole",
            "timestamp with time zone" => "instant",
            other => other,
        };
        ((table.to_owned(), column.to_owned()), kind.to_owned())
    };
    database.texts(&sql).await.iter().map(named).collect()
}

#[tokio::test]
async fn both_databases_have_the_same_columns_of_the_same_kinds() {
    let (postgres, sqlite) = (
        databases(Kind::Postgres).await,
        databases(Kind::Sqlite).await,
    );
    for ((schema, postgres), (_, sqlite)) in postgres.iter().zip(&sqlite) {
        let (postgres, sqlite) = (
            columns(schema, postgres).await,
            columns(schema, sqlite).await,
        );
        let names = |columns: &Columns| columns.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&postgres), names(&sqlite), "{schema}");
        for (column, kind) in &postgres {
            let other = sqlite[column].as_str();
            // an expression of a SQLite view has no type, and a column of a union none that counts
            let fits = match kind.as_str() {
                "instant" => matches!(other, "whole" | "blob" | ""),
                kind => other == kind || matches!(other, "blob" | ""),
            };
            assert!(fits, "{schema} {column:?}: {kind} and {other:?}");
        }
    }
}

/// Whoever looks with psql, DBeaver or a notebook's SQL is told what a table and each of its columns is.
#[tokio::test]
async fn everything_in_postgresql_has_a_comment() {
    for (schema, database) in databases(Kind::Postgres).await {
        let silent = format!(
            "select c.relname || '.' || coalesce(a.attname, '') from pg_class c \
             left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
             where c.relnamespace = '{schema}'::regnamespace and c.relkind in ('r', 'v') and c.relname not like '\\_%' \
             and (col_description(c.oid, a.attnum) is null or obj_description(c.oid, 'pg_class') is null)"
        );
        assert_eq!(
            database.texts(&silent).await,
            Vec::<String>::new(),
            "{schema}"
        );
        let of = "select col_description('quote'::regclass, attnum) from pg_attribute \
                  where attrelid = 'quote'::regclass and attname = 'current_price'";
        if schema == "snapshot" {
            assert_eq!(database.texts(of).await, ["Price of one coin"]);
        }
    }
}

#[tokio::test]
async fn tables_views_and_frames_follow_the_lists() {
    let [(_, snapshot), (_, timeseries), _] = databases(Kind::Postgres).await;
    let snapshot = columns("snapshot", &snapshot).await;
    let timeseries = columns("timeseries", &timeseries).await;
    let kind = |column: &market::Column| match column.kind {
        market::Kind::Text | market::Kind::Category => "text",
        market::Kind::Int => "whole",
        market::Kind::Float => "number",
        market::Kind::Time => "instant",
        market::Kind::Bool => "whole",
    };
    for column in stored_columns() {
        let place = ("quote".to_owned(), column.name.to_owned());
        assert_eq!(snapshot[&place], kind(&column), "{place:?}");
    }
    for view in ["v_price_history", "v_current_snapshot", "v_latest_prices"] {
        for column in quote_columns() {
            let place = (view.to_owned(), column.name.to_owned());
            assert_eq!(snapshot[&place], kind(&column), "{place:?}");
        }
    }
    for table in [
        "price_point",
        "price_revision",
        "price_now",
        "v_price_series",
    ] {
        for column in POINT_COLUMNS {
            let place = (table.to_owned(), column.name.to_owned());
            assert_eq!(timeseries[&place], "number", "{place:?}");
        }
    }
    for column in price_columns() {
        let place = ("v_price_series".to_owned(), column.name.to_owned());
        assert_eq!(timeseries[&place], kind(&column), "{place:?}");
    }
}

/// Names of the dictionary's tables and lists, in backquotes; `price_change_pct_1h`, `_24h` stands for both.
fn dictionary() -> BTreeSet<String> {
    let text = include_str!("../docs/data-dictionary.md");
    let quoted = text.split('`').skip(1).step_by(2);
    let mut names = BTreeSet::new();
    let mut last = String::new();
    for name in quoted {
        if let (Some(suffix), Some(stem)) = (name.strip_prefix('_'), last.rfind('_')) {
            names.insert(format!("{}_{suffix}", &last[..stem]));
        } else {
            last = name.trim_matches('"').to_owned();
            names.insert(last.clone());
        }
    }
    names
}

/// No two names for one thing: what is in a database or a frame is in the dictionary, under that name alone.
#[tokio::test]
async fn every_column_is_in_the_dictionary_and_former_names_are_nowhere() {
    let dictionary = dictionary();
    let mut unknown = BTreeSet::new();
    for (schema, database) in databases(Kind::Sqlite).await {
        for (table, column) in columns(schema, &database).await.into_keys() {
            unknown.extend(
                [table, column]
                    .into_iter()
                    .filter(|name| !dictionary.contains(name)),
            );
        }
    }
    assert!(
        unknown.is_empty(),
        "not in docs/data-dictionary.md: {unknown:?}"
    );
    for former in [
        "observed_at",
        "committed_at",
        "ath_change_percentage",
        "price_change_percentage_24h",
        "market_cap_change_percentage_24h",
        "roi_percentage",
        "adopted_by",
        "asked_again",
        "asked_at",
        "dominance",
    ] {
        assert!(!dictionary.contains(former), "{former}");
    }
}

/// Databases of users were made by these: whoever has one gets what comes later by a migration of its own, and sqlx refuses a database
/// that was made by another text.
#[test]
fn a_migration_that_databases_were_made_by_never_changes() {
    let settled = [
        (
            "migrations/budget/postgres/0001_budget.sql",
            "b709e9f25e31174f7fd08d78b7464dc8104c05e6ae28b50a7d8ca29485591e82",
        ),
        (
            "migrations/budget/sqlite/0001_budget.sql",
            "d89593b1cbb5d858d2853d274f7cbacb99833008946de4de50bf2308e203a4f5",
        ),
        (
            "migrations/snapshot/postgres/0001_snapshot.sql",
            "61ab2de5fafa0ccfe292672866dab995b0e8371d6f7bbaecfe96fbc1071edd08",
        ),
        (
            "migrations/snapshot/sqlite/0001_snapshot.sql",
            "325795570549c98c944fb113a2fa8ce1e78008f9e2a0ffe4fd35c68cc153a5dd",
        ),
        (
            "migrations/timeseries/postgres/0001_timeseries.sql",
            "05085ab43a6b49192d8c5d8f8d79975407397cf361a347a90308c16fc432c452",
        ),
        (
            "migrations/timeseries/sqlite/0001_timeseries.sql",
            "b59578d701882609a22cdbe811d6763128c6953b5bb8ec539fe22d9c5b4d664b",
        ),
    ];
    for (path, hash) in settled {
        let place = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let text = std::fs::read(place).unwrap();
        assert_eq!(
            coinmill::landing::sha256(&text),
            hash,
            "{path} is settled: write a new migration beside it"
        );
    }
}
