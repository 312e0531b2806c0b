//! The recipes of `docs/sql.md`, read from the page itself and run on a filled pair of databases of either kind.
//! Each returns rows, is right on one number, and uses the index that it names.

use chrono::{DateTime, TimeDelta, Utc};
use coinmill::config::Settings;
use coinmill::pipeline::{self, Observer, Reach};
use coinmill::series::Resolution;
use coinmill::sim::CoinChange;
use coinmill::store::TimeseriesStore;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _};

use crate::series::{Mill, wanted};
use crate::support::database::{from_postgres, from_sqlite};
use crate::support::{Bench, Cell, Kind, on_both_databases};

on_both_databases!(every_recipe_of_the_page_returns_rows_and_uses_the_index_that_it_names);

const PAGE: &str = include_str!("../../docs/sql.md");

/// A recipe: its heading, the databases that it reads, and its text.
struct Recipe {
    heading: &'static str,
    of: &'static str,
    index: Option<&'static str>,
    sql: &'static str,
}

/// The recipes of a kind of database. A recipe that names no kind is for both.
fn recipes(kind: Kind) -> Vec<Recipe> {
    let other = match kind {
        Kind::Postgres => "SQLite",
        Kind::Sqlite => "PostgreSQL",
    };
    let mut recipes = Vec::new();
    for section in PAGE.split("\n## ").skip(1) {
        let heading = section.lines().next().unwrap();
        for block in section.split("```sql\n").skip(1) {
            let sql = block.split_once("\n```").unwrap().0;
            let first = sql.lines().next().unwrap();
            let first = first.strip_prefix("-- ").expect("the database");
            let (of, only) = first.split_once(", ").unwrap_or((first, ""));
            let index = sql.lines().find_map(|line| line.strip_prefix("-- uses "));
            if only != other {
                recipes.push(Recipe {
                    heading,
                    of,
                    index,
                    sql,
                });
            }
        }
    }
    recipes
}

/// A connection as the page says to make one.
enum Reader {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Reader {
    async fn of(mill: &Mill, of: &str) -> Self {
        let url = mill.bench.database.url();
        if mill.bench.database.kind() == Kind::Postgres {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            if of != "both" {
                let path = format!("set search_path = {of}");
                connection.execute(AssertSqlSafe(path)).await.unwrap();
            }
            return Self::Postgres(connection);
        }
        let file = match of {
            "timeseries" => mill.timeseries.file(),
            _ => mill.bench.database.file(),
        };
        let options = SqliteConnectOptions::new().filename(file).read_only(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        if of == "both" {
            let attach = format!(
                "attach '{}' as timeseries",
                mill.timeseries.file().display()
            );
            connection.execute(AssertSqlSafe(attach)).await.unwrap();
        }
        Self::Sqlite(connection)
    }

    async fn rows(&mut self, sql: &str) -> Vec<Vec<Cell>> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Postgres(connection) => {
                let rows = sqlx::query(sql).fetch_all(connection).await.unwrap();
                rows.iter().map(from_postgres).collect()
            }
            Self::Sqlite(connection) => {
                let rows = sqlx::query(sql).fetch_all(connection).await.unwrap();
                rows.iter().map(from_sqlite).collect()
            }
        }
    }

    /// How the database finds the rows. PostgreSQL reads so small a table whole, unless it is told not to.
    async fn plan(&mut self, sql: &str) -> String {
        match self {
            Self::Postgres(connection) => {
                let off = "set enable_seqscan = off; set enable_bitmapscan = off";
                connection.execute(off).await.unwrap();
                let sql = AssertSqlSafe(format!("explain {sql}"));
                let rows = sqlx::query(sql).fetch_all(connection).await.unwrap();
                let lines = rows.iter().map(|row| row.get::<String, _>(0));
                lines.collect::<Vec<_>>().join("\n")
            }
            Self::Sqlite(connection) => {
                let sql = AssertSqlSafe(format!("explain query plan {sql}"));
                let rows = sqlx::query(sql).fetch_all(connection).await.unwrap();
                let lines = rows.iter().map(|row| row.get::<String, _>("detail"));
                lines.collect::<Vec<_>>().join("\n")
            }
        }
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Both databases in one of PostgreSQL, or in two files, with a partial slot and a complete one, and with bitcoin's hours
/// but for three days.
async fn filled(kind: Kind) -> Mill {
    let mut mill = Mill::of(Bench::new(kind, 40).await, kind).await;
    if kind == Kind::Postgres {
        let url = mill.bench.database.database_url();
        TimeseriesStore::init(&url, "usd").await.unwrap();
        mill.timeseries = mill.bench.database.again();
    }
    let settings = mill.settings(&[("top", "40"), ("completeness", "0")]);
    listed(&mill, &settings).await;
    let snapshot = async || pipeline::run_snapshot(&settings, None, &Observer::none()).await;
    mill.bench
        .fault("set:times=0,id=solana,field=current_price,value=-1");
    snapshot().await.unwrap();
    mill.bench.sim.clear_faults();
    mill.bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    mill.bench
        .fault("set:times=0,id=dogecoin,field=price_change_percentage_24h,value=-60.5");
    snapshot().await.unwrap();
    mill.bench.sim.clear_faults();
    for (from, until) in [
        ("2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
        ("2026-01-07T00:00:00Z", "2026-01-14T12:00:00Z"),
    ] {
        let reach = Reach::Between(at(from), Some(at(until)));
        let wanted = wanted(Resolution::Hour, reach, &["bitcoin"]);
        pipeline::backfill(&settings, &wanted, &Observer::none())
            .await
            .unwrap();
    }
    mill
}

/// Three lists of all coins, of the days before and of the day: the second lacks a coin for the first time.
async fn listed(mill: &Mill, settings: &Settings) {
    let sim = &mill.bench.sim;
    let now = sim.now();
    for day in 0..3 {
        sim.set_clock(now - TimeDelta::days(2 - day)).unwrap();
        pipeline::run_listing(settings, false, &Observer::none())
            .await
            .unwrap();
        let gone = CoinChange {
            listed: Some(false),
            ..CoinChange::default()
        };
        sim.change_coin("zcash", gone).unwrap();
    }
    let back = CoinChange {
        listed: Some(true),
        ..CoinChange::default()
    };
    sim.change_coin("zcash", back).unwrap();
}

async fn every_recipe_of_the_page_returns_rows_and_uses_the_index_that_it_names(kind: Kind) {
    let mill = filled(kind).await;
    let found = recipes(kind);
    let headings: Vec<&str> = found.iter().map(|recipe| recipe.heading).collect();
    for recipe in &found {
        let heading = recipe.heading;
        let mut reader = Reader::of(&mill, recipe.of).await;
        let rows = reader.rows(recipe.sql).await;
        assert!(!rows.is_empty(), "{heading}");
        right(&mill, heading, &rows).await;
        if let Some(index) = recipe.index {
            let plan = reader.plan(recipe.sql).await;
            let finds = |index: &str| {
                // SQLite names a key's own index by its table and number
                let table = index.trim_end_matches("_key");
                let names = [
                    index,
                    &format!("sqlite_autoindex_{table}_1"),
                    "USING PRIMARY KEY",
                ];
                names.iter().any(|name| plan.contains(name))
            };
            // with a few rows PostgreSQL may choose either key of the quotes
            let is_other =
                kind == Kind::Postgres && index == "quote_coin_slot" && finds("quote_key");
            assert!(finds(index) || is_other, "{heading}: {plan}");
            let is_whole = plan.lines().any(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                line.contains("Seq Scan on quote")
                    || line.contains("Seq Scan on price_point")
                    || matches!(words[..], ["SCAN", "q" | "p" | "o", ..])
            });
            assert!(!is_whole, "{heading}: {plan}");
            // a span is found by the key, not filtered afterwards
            for (time, filters) in [
                ("ts", [" ts >=", " ts_ms >="]),
                ("snapshot_time", [" snapshot_time >=", " snapshot_ms >="]),
            ] {
                let is_found = plan.lines().any(|line| {
                    line.contains(&format!("{time}>?"))
                        || line.contains("Index Cond") && line.contains(&format!("{time} >="))
                });
                let is_filtered = filters.iter().any(|filter| recipe.sql.contains(filter));
                assert!(is_found || !is_filtered, "{heading}: {plan}");
            }
        }
    }
    assert_eq!(headings.len(), 14, "{headings:?}");
}

/// Compares one number of a recipe with what a plain look into the tables, or the market, gives.
async fn right(mill: &Mill, heading: &str, rows: &[Vec<Cell>]) {
    let quote = async |column: &str, coin: &str| {
        let sql = format!(
            "select q.{column} from quote q join coin c on c.key = q.coin where c.id = '{coin}' order by q.snapshot_time desc"
        );
        mill.bench.database.row(&sql).await.remove(0)
    };
    match heading {
        "The newest price of a coin" => {
            assert_eq!(rows.len(), 1);
            assert_eq!(rows[0][2], quote("current_price", "bitcoin").await);
        }
        "The top 10 by volume" => {
            assert_eq!(rows.len(), 10);
            let sql = "select max(total_volume) from quote where snapshot_time = (select max(snapshot_time) from quote)";
            assert_eq!(rows[0][3], mill.bench.database.row(sql).await[0]);
        }
        "What fell by more than 20 % in a day" => {
            assert_eq!(rows[0][0].text(), "dogecoin");
            assert_eq!(rows[0][2].float(), -60.5);
        }
        "A coin's half-hours" => assert_eq!(rows.len(), 2),
        "The coins that were delisted, and since when" => {
            assert_eq!((rows.len(), rows[0][0].text()), (1, "zcash"));
            let sql = "select seen_at from listed where coin_id = 'zcash' and state = 'absent'";
            let since = mill.bench.database.number(sql).await;
            assert_eq!(since, at("2026-01-13T12:10:00Z").timestamp_millis());
        }
        "The coins that a slot lacks, and why" => {
            assert_eq!((rows.len(), rows[0][1].text()), (1, "solana"));
            assert_eq!(rows[0][2].text(), "refused: negative_price");
        }
        "A slot as it was known at a past moment" => {
            assert_eq!(rows.len(), 39);
            assert_eq!(rows[0][0].text(), "bitcoin");
        }
        "Seven days by the hour" => {
            let instant = |text| mill.bench.database.instant(at(text));
            let (from, until) = (
                instant("2026-01-07T12:00:00Z"),
                instant("2026-01-14T12:00:00Z"),
            );
            let sql = format!(
                "select count(*) from price_point where resolution = 60 and ts >= {from} and ts < {until}"
            );
            assert_eq!(rows.len() as i64, mill.number(&sql).await);
            assert!((160..170).contains(&rows.len()), "{}", rows.len());
        }
        "Daily averages" => {
            assert_eq!((rows.len(), rows[6][0].text()), (7, "2026-01-13"));
            assert!((20..=25).contains(&rows[6][4].int()), "{rows:?}");
            let (average, low, high) = (rows[6][1].float(), rows[6][2].float(), rows[6][3].float());
            assert!(low < average && average < high);
        }
        "Daily candles of a week" => {
            let points: i64 = rows.iter().map(|row| row[5].int()).sum();
            let (from, until) = (
                mill.bench.database.instant(at("2026-01-07T00:00:00Z")),
                mill.bench.database.instant(at("2026-01-14T00:00:00Z")),
            );
            let sql = format!(
                "select count(*) from price_point where resolution = 60 and ts >= {from} and ts < {until}"
            );
            assert_eq!((rows.len(), points), (7, mill.number(&sql).await));
            assert!(rows.iter().all(|row| row[3].float() <= row[2].float()));
        }
        "Where points are missing, and why" | "What of a span is missing for a coin" => {
            let hourly = rows.iter().any(|row| {
                row.iter()
                    .any(|cell| *cell == Cell::Text("not_asked".into()))
            });
            assert!(hourly, "{rows:?}");
        }
        "A snapshot beside the prices before it" => {
            assert_eq!((rows.len(), rows[0][0].text()), (1, "bitcoin"));
            let above = 100.0 * (rows[0][1].float() / rows[0][2].float() - 1.0);
            assert!((rows[0][3].float() - above).abs() < 1e-9);
        }
        "Quotes with a warning, by rule" => {
            let dogecoin = rows.iter().find(|row| row[0].text() == "dogecoin");
            assert_eq!(dogecoin.unwrap()[2].text(), "large_change_24h");
        }
        other => panic!("no check of the recipe {other}"),
    }
}
