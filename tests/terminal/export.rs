//! `coinmill export --format csv`: the same folders as for Parquet, and every number digit for digit.

use std::path::Path;

use crate::series::Mill;
use crate::support::command::{code, json, run, text};
use crate::support::{Kind, on_both_databases};

on_both_databases!(csv_has_the_same_days_and_every_digit);

/// The rows of a CSV file, header first.
fn rows(file: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_path(file)
        .unwrap();
    let records = reader.records();
    records
        .map(|record| record.unwrap().iter().map(str::to_owned).collect())
        .collect()
}

async fn csv_has_the_same_days_and_every_digit(kind: Kind) {
    let mill = Mill::new(kind, 20).await;
    let coinmill =
        async |arguments: &[&str]| run(&mill.bench, &mill.timeseries, arguments, &[]).await;
    coinmill(&["run", "all", "--top", "3"]).await;
    let folder = mill.bench.folder.path().join("lake");
    let to = folder.display().to_string();
    let parquet = json(&coinmill(&["export", "--to", &to, "--json"]).await);
    let output = coinmill(&["export", "--to", &to, "--format", "csv", "--json"]).await;
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert_eq!(json(&output), parquet, "another number of files or rows");
    let quotes = rows(&folder.join("quotes/date=2026-01-14/quotes.csv"));
    let place = |name: &str| quotes[0].iter().position(|column| column == name).unwrap();
    let sql =
        "select c.id, q.current_price, q.max_supply from quote q join coin c on c.key = q.coin";
    let stored = mill.bench.database.rows(sql).await;
    assert_eq!(quotes.len() - 1, stored.len());
    for row in &quotes[1..] {
        assert_eq!(row[place("snapshot_time")], "2026-01-14T12:00:00.000Z");
        let coin = &row[place("coin_id")];
        let stored = stored
            .iter()
            .find(|stored| stored[0].text() == coin)
            .unwrap();
        let price: f64 = row[place("current_price")].parse().unwrap();
        assert_eq!(price.to_bits(), stored[1].float().to_bits(), "{coin}");
    }
    let points = parquet["points"].as_u64().unwrap();
    let mut read = 0;
    for day in ["2026-01-13", "2026-01-14"] {
        let file = format!("prices/resolution=5m/date={day}/prices.csv");
        read += rows(&folder.join(file)).len() as u64 - 1;
    }
    assert_eq!(read, points);
    // nothing half-written is left
    let days = std::fs::read_dir(folder.join("quotes/date=2026-01-14")).unwrap();
    assert_eq!(days.count(), 2);
}
