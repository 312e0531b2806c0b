//! Symbols and names over time: a row when one changes, and every quote read with the names of its own time.

use chrono::TimeDelta;

use crate::support::bodies::{Row, body, quoted};
use crate::support::{Bench, Cell, Kind, on_both_databases};

on_both_databases!(
    a_new_symbol_or_name_is_a_new_row_and_the_old_quotes_keep_the_old_one,
    a_name_that_is_taken_away_is_a_change_too,
    an_old_slot_that_is_finished_late_keeps_its_names_and_disturbs_no_other,
);

/// The history of one coin: symbol and name of each quote, oldest slot first.
async fn history(bench: &Bench, coin: &str) -> Vec<(String, Cell)> {
    let sql = format!(
        "select symbol, name from v_price_history where coin_id = '{coin}' order by snapshot_time"
    );
    let rows = bench.database.rows(&sql).await;
    rows.into_iter()
        .map(|row| (row[0].text().to_owned(), row[1].clone()))
        .collect()
}

fn name(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

async fn a_new_symbol_or_name_is_a_new_row_and_the_old_quotes_keep_the_old_one(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let other = Row::plain("other");
    let coin = Row::plain("matic-network")
        .with("symbol", quoted("matic"))
        .with("name", quoted("Polygon"));
    let slots = [
        coin.clone(),
        coin.clone(),
        coin.clone().with("symbol", quoted("pol")),
        coin.with("symbol", quoted("pol"))
            .with("name", quoted("Polygon \u{1f7e3} (ex-MATIC)")),
    ];
    for row in slots {
        let now = quoted(&bench.sim.now().to_rfc3339());
        let rows = [
            row.with("last_updated", &now),
            other.clone().with("last_updated", &now),
        ];
        bench.body(&body(&rows));
        bench.run(&[("top", "2")]).await.unwrap();
        bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    }
    assert_eq!(
        bench
            .database
            .number("select count(*) from coin_name")
            .await,
        4
    );
    let expected = [
        ("matic".to_owned(), name("Polygon")),
        ("matic".to_owned(), name("Polygon")),
        ("pol".to_owned(), name("Polygon")),
        ("pol".to_owned(), name("Polygon \u{1f7e3} (ex-MATIC)")),
    ];
    assert_eq!(history(&bench, "matic-network").await, expected);
    let sql = "select symbol, name from v_latest_prices where coin_id = 'matic-network'";
    let latest = bench.database.row(sql).await;
    assert_eq!((latest[0].text(), &latest[1]), ("pol", &expected[3].1));
}

async fn a_name_that_is_taken_away_is_a_change_too(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    for token in ["\"A\"", "null", "null", "\"A\""] {
        let now = quoted(&bench.sim.now().to_rfc3339());
        let row = Row::plain("a")
            .with("name", token)
            .with("last_updated", &now);
        bench.body(&body(&[row]));
        bench.run(&[("top", "1")]).await.unwrap();
        bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    }
    let names: Vec<Cell> = history(&bench, "a")
        .await
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    assert_eq!(names, [name("A"), Cell::Null, Cell::Null, name("A")]);
    assert_eq!(
        bench
            .database
            .number("select count(*) from coin_name")
            .await,
        3
    );
}

async fn an_old_slot_that_is_finished_late_keeps_its_names_and_disturbs_no_other(kind: Kind) {
    let mut bench = Bench::new(kind, 20).await;
    let first = coinmill::market::Slot::containing(bench.sim.now());
    for symbol in ["old", "new", "new"] {
        let now = quoted(&bench.sim.now().to_rfc3339());
        let row = Row::plain("a")
            .with("symbol", quoted(symbol))
            .with("last_updated", &now);
        bench.body(&body(&[row]));
        bench.run(&[("top", "1")]).await.unwrap();
        bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    }
    bench.database = crate::support::Database::ready(kind).await;
    let second = coinmill::market::Slot::containing(first.end());
    let third = coinmill::market::Slot::containing(second.end());
    for slot in [second, first, third] {
        bench.run_for(slot, &[("top", "1")]).await.unwrap();
    }
    let symbols: Vec<String> = history(&bench, "a")
        .await
        .into_iter()
        .map(|(symbol, _)| symbol)
        .collect();
    assert_eq!(symbols, ["old", "new", "new"]);
}
