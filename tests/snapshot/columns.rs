//! The columns that are derived, and the views with the names that people look for.

use std::collections::HashSet;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Float64Type;
use coinmill::derive;
use coinmill::market::{quote_columns, stored_columns};
use coinmill::pipeline;
use coinmill::store::SnapshotStore;

use crate::support::bodies::{Row, body, quoted};
use crate::support::{Bench, Cell, Kind, noon, noon_slot, on_both_databases};

on_both_databases!(
    tables_views_and_frames_have_the_columns_of_the_list,
    further_price_changes_are_asked_for_and_need_not_be_there,
    the_current_snapshot_is_one_slot,
    what_is_measured_in_dollars_is_null_or_off_in_another_currency,
    the_latest_prices_have_the_columns_that_people_look_for,
    the_latest_price_of_a_coin_that_left_the_top_says_how_old_it_is,
    derived_columns_are_stored_with_the_quote,
    derived_columns_are_null_where_an_input_is,
    warnings_stand_beside_the_quote_that_breaks_them,
    dominance_is_a_part_of_the_slot_as_it_was_known,
    dominance_beyond_all_bounds_is_null,
    a_view_over_one_coin_uses_its_index,
    ids_sort_by_their_bytes,
);

const VIEW: &str = "coin_id, symbol, name, snapshot_time, market_cap_rank, current_price, market_cap, total_volume, high_24h, \
                    low_24h, price_change_24h, price_change_pct_24h, circulating_supply, ath, market_cap_category, \
                    dominance_pct, volume_to_cap, ath_distance_pct, range_volatility_24h_pct, liquidity_category, \
                    trend_category, warnings, last_updated";

const VIEWS: [&str; 3] = ["v_latest_prices", "v_price_history", "v_current_snapshot"];

/// There is one list of columns: tables, views and frames have these names, in this order, and no others.
async fn tables_views_and_frames_have_the_columns_of_the_list(kind: Kind) {
    let bench = Bench::new(kind, 3).await;
    bench.run(&[("top", "3")]).await.unwrap();
    let listed: Vec<&str> = quote_columns().map(|column| column.name).collect();
    for view in VIEWS {
        let found = bench.database.columns(view).await;
        let (millisecond, rest) = found.split_last().unwrap();
        assert_eq!(
            (millisecond.as_str(), rest),
            ("snapshot_ms", &own(&listed)[..]),
            "{view}"
        );
    }
    let stored: Vec<&str> = stored_columns().map(|column| column.name).collect();
    let table = [&["snapshot_time", "coin"][..], &stored, &["landing"]].concat();
    assert_eq!(bench.database.columns("quote").await, own(&table));
    let frame = pipeline::quotes(&bench.settings(&[]), &pipeline::Quotes::default())
        .await
        .unwrap();
    let schema = frame.frame.schema;
    let framed: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    assert_eq!(framed, listed);
    let distinct: HashSet<&str> = listed.iter().copied().collect();
    assert_eq!(distinct.len(), listed.len());
}

fn own(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The price changes over further spans are columns, and null where a body was landed without them.
async fn further_price_changes_are_asked_for_and_need_not_be_there(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    bench.run(&[("top", "5")]).await.unwrap();
    let sql = "select count(*) from quote where price_change_pct_1h is not null and price_change_pct_7d is not null";
    assert!(bench.database.number(sql).await > 0);
    bench.sim.advance(chrono::TimeDelta::minutes(30)).unwrap();
    // the source's own field names, each with another number of many digits
    let spans = ["1h", "7d", "14d", "30d", "200d", "1y"];
    let mut row = Row::plain("b");
    for (place, span) in spans.iter().enumerate() {
        let field = format!("price_change_percentage_{span}_in_currency");
        row = row.with(&field, format!("-{place}.12345678901234567"));
    }
    bench.body(&body(&[row]));
    bench.run(&[("top", "1")]).await.unwrap();
    let columns = spans
        .map(|span| format!("price_change_pct_{span}"))
        .join(", ");
    let sql = format!("select {columns} from v_current_snapshot");
    let numbers: Vec<f64> = bench
        .database
        .row(&sql)
        .await
        .iter()
        .map(Cell::float)
        .collect();
    let sent = (0..spans.len()).map(|place| format!("-{place}.12345678901234567").parse().unwrap());
    assert_eq!(numbers, sent.collect::<Vec<f64>>());
    bench.sim.advance(chrono::TimeDelta::minutes(30)).unwrap();
    bench.body(&body(&[Row::plain("a")]));
    let report = bench.run(&[("top", "1")]).await.unwrap();
    assert_eq!(report.stored, 1);
    let drift = bench.database.texts("select field from schema_drift").await;
    assert!(
        drift.iter().all(|field| !field.ends_with("_in_currency")),
        "{drift:?}"
    );
    let sql =
        "select q.price_change_pct_1y from quote q join coin c on c.key = q.coin where c.id = 'a'";
    assert_eq!(bench.database.row(sql).await, [Cell::Null]);
}

/// The classes of market caps and the bounds beyond which an amount is warned about are dollars.
async fn what_is_measured_in_dollars_is_null_or_off_in_another_currency(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    bench.body(&body(&[Row::plain("a").with("total_volume", "1e-3")]));
    let settings = bench.settings(&[("top", "1"), ("vs_currency", "btc")]);
    pipeline::init(&settings).await.unwrap();
    let report = pipeline::run_snapshot(&settings, None, &pipeline::Observer::none()).await;
    assert_eq!(report.unwrap().stored, 1);
    let sql = "select market_cap_category, volume_to_cap, warnings from quote";
    let row = bench.database.row(sql).await;
    assert_eq!((&row[0], &row[2]), (&Cell::Null, &Cell::Null));
    assert!(row[1].float() > 0.0);
}

/// The newest snapshot alone, the largest coin first: a coin that has left it is not in it.
async fn the_current_snapshot_is_one_slot(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    bench.body(&body(&[Row::plain("a"), Row::plain("b")]));
    bench.run(&[("top", "2")]).await.unwrap();
    bench.sim.advance(chrono::TimeDelta::minutes(30)).unwrap();
    bench.body(&body(&[
        Row::plain("b"),
        Row::plain("c").with("market_cap", "9e9"),
    ]));
    bench.run(&[("top", "2")]).await.unwrap();
    let rows = bench
        .database
        .rows("select coin_id from v_current_snapshot")
        .await;
    let ids: Vec<&str> = rows.iter().map(|row| row[0].text()).collect();
    assert_eq!(ids, ["c", "b"]);
    let sql = "select count(*) from v_price_history where snapshot_ms >= (select max(snapshot_ms) from v_price_history)";
    assert_eq!(bench.database.number(sql).await, 2);
}

async fn the_latest_prices_have_the_columns_that_people_look_for(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    bench.body(&body(&[Row::plain("a")
        .with("price_change_24h", "-0.25")
        .with("circulating_supply", "3e8")]));
    bench.run(&[("top", "1")]).await.unwrap();
    for view in VIEWS {
        let row = bench
            .database
            .row(&format!("select {VIEW} from {view}"))
            .await;
        let texts: Vec<&str> = row[..3].iter().map(|cell| cell.text()).collect();
        assert_eq!(texts, ["a", "a", "A"]);
        assert_eq!(row[4], Cell::Int(7));
        let numbers: Vec<f64> = row[5..14].iter().map(|cell| cell.float()).collect();
        assert_eq!(
            numbers,
            [12.5, 5e9, 2.5e8, 13.0, 12.0, -0.25, -2.5, 3e8, 25.0]
        );
        let (slot, observed) = match kind {
            Kind::Postgres => (
                Cell::Int(noon_slot().start().timestamp_millis()),
                Cell::Int(noon().timestamp_millis() - 59_877),
            ),
            Kind::Sqlite => {
                let text = |text: &str| Cell::Text(text.to_owned());
                (
                    text("2026-01-14T12:00:00.000Z"),
                    text("2026-01-14T12:09:00.123Z"),
                )
            }
        };
        assert_eq!((&row[3], &row[22]), (&slot, &observed));
    }
}

async fn the_latest_price_of_a_coin_that_left_the_top_says_how_old_it_is(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    bench.body(&body(&[Row::plain("a"), Row::plain("b")]));
    bench.run(&[("top", "2")]).await.unwrap();
    bench.sim.advance(chrono::TimeDelta::minutes(30)).unwrap();
    bench.body(&body(&[Row::plain("b"), Row::plain("c")]));
    bench.run(&[("top", "2")]).await.unwrap();
    let sql = "select coin_id, snapshot_time from v_latest_prices order by coin_id";
    let rows = bench.database.rows(sql).await;
    let ids: Vec<&str> = rows.iter().map(|row| row[0].text()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_ne!(rows[0][1], rows[1][1]);
    assert_eq!(rows[1][1], rows[2][1]);
    assert_eq!(
        bench
            .database
            .number("select count(*) from v_price_history")
            .await,
        4
    );
}

async fn derived_columns_are_stored_with_the_quote(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let small = Row::plain("b")
        .with("market_cap", "1000000000")
        .with("total_volume", "1e9")
        .with("price_change_percentage_24h", "9");
    bench.body(&body(&[Row::plain("a"), small]));
    bench.run(&[("top", "2")]).await.unwrap();
    let sql = "select market_cap_category, liquidity_category, trend_category, dominance_pct, volume_to_cap, ath_distance_pct, \
               range_volatility_24h_pct from v_price_history order by coin_id";
    let rows = bench.database.rows(sql).await;
    let texts = |row: &[Cell]| {
        row[..3]
            .iter()
            .map(|cell| cell.text().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(&rows[0]), ["mid", "medium", "down"]);
    assert_eq!(texts(&rows[1]), ["small", "high", "strong_up"]);
    let numbers = |row: &[Cell]| row[3..].iter().map(|cell| cell.float()).collect::<Vec<_>>();
    let range = derive::range_volatility(13.0, 12.0).unwrap();
    assert_eq!(numbers(&rows[0]), [100.0 * 5e9 / 6e9, 0.05, -50.0, range]);
    assert_eq!(numbers(&rows[1]), [100.0 * 1e9 / 6e9, 1.0, -50.0, range]);
}

async fn derived_columns_are_null_where_an_input_is(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let row = format!(
        r#"[{{"id":"a","symbol":"b","last_updated":{}}}]"#,
        quoted("2026-01-14T12:09:00Z")
    );
    bench.body(&row);
    bench.run(&[("top", "1")]).await.unwrap();
    let sql = "select name, market_cap_rank, current_price, market_cap_category, dominance_pct, volume_to_cap, \
               ath_distance_pct, range_volatility_24h_pct, liquidity_category, trend_category from v_latest_prices";
    assert!(
        bench
            .database
            .row(sql)
            .await
            .iter()
            .all(|cell| *cell == Cell::Null)
    );
}

async fn warnings_stand_beside_the_quote_that_breaks_them(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let strange = Row::plain("b")
        .with("current_price", "30")
        .with("last_updated", "null");
    bench.body(&body(&[
        Row::plain("a"),
        strange,
        Row::plain("c").with("current_price", "null"),
    ]));
    let report = bench.run(&[("top", "3")]).await.unwrap();
    let sql = "select warnings from quote q join coin c on c.key = q.coin order by c.id";
    let rows = bench.database.rows(sql).await;
    assert_eq!(rows[0][0], Cell::Null);
    assert_eq!(
        rows[1][0].text(),
        "outside_24h_range,missing_stamp,above_ath"
    );
    assert_eq!(rows[2][0].text(), "null_price");
    assert_eq!(report.warnings.values().sum::<u64>(), 4);
    let score = bench.database.row("select score from run").await[0].float();
    assert_eq!(report.score, Some(score));
    assert!(score > 0.9 && score < 1.0);
}

/// A coin's part of the market is its part of the slot as it was known at the pin, not of what happened to be stored first.
async fn dominance_is_a_part_of_the_slot_as_it_was_known(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let rest = Row::plain("b").with("market_cap", "1e9");
    bench.body(&body(&[Row::plain("a")]));
    bench.run(&[("top", "1")]).await.unwrap();
    bench.body(&body(&[Row::plain("a"), rest]));
    bench.run(&[("top", "2")]).await.unwrap();
    let pins = bench
        .database
        .rows(r#"select id from "commit" order by id"#)
        .await;
    let pins: Vec<i64> = pins.iter().map(|row| row[0].int()).collect();
    let mut store = SnapshotStore::open_existing(&bench.database.database_url(), "usd")
        .await
        .unwrap();
    let mut known = Vec::new();
    for pin in [Some(pins[0]), Some(pins[1]), None] {
        let slot = noon_slot();
        let frame = store.quote_frame(slot, slot.next(), pin).await.unwrap();
        let parts = frame.batches[0].column_by_name("dominance_pct").unwrap();
        known.push(parts.as_primitive::<Float64Type>().values().to_vec());
    }
    let whole = vec![100.0 * 5e9 / 6e9, 100.0 * 1e9 / 6e9];
    assert_eq!(known, [vec![100.0], whole.clone(), whole]);
    for view in VIEWS {
        let sql = format!("select dominance_pct from {view} order by market_cap desc");
        let rows = bench.database.rows(&sql).await;
        assert_eq!(
            rows,
            [
                [Cell::Float(100.0 * 5e9 / 6e9)],
                [Cell::Float(100.0 * 1e9 / 6e9)]
            ]
        );
    }
}

/// Where the quotient is no number on one of the databases, it is null on both, and the view can still be read.
async fn dominance_beyond_all_bounds_is_null(kind: Kind) {
    for (caps, parts) in [
        (["1e308", "1e308"], [Cell::Null, Cell::Null]),
        (["1e250", "1"], [Cell::Null, Cell::Null]),
        (["0", "0"], [Cell::Null, Cell::Null]),
        (["1e10", "1e-310"], [Cell::Float(100.0), Cell::Null]),
        (["1e10", "0"], [Cell::Float(100.0), Cell::Float(0.0)]),
        (["1e10", "null"], [Cell::Float(100.0), Cell::Null]),
    ] {
        let bench = Bench::new(kind, 20).await;
        let row = |coin: &str, cap: &str| Row::plain(coin).with("market_cap", cap);
        bench.body(&body(&[row("a", caps[0]), row("b", caps[1])]));
        bench.run(&[("top", "2")]).await.unwrap();
        let sql = "select dominance_pct from v_price_history order by coin_id";
        let rows = bench.database.rows(sql).await;
        assert_eq!([rows[0][0].clone(), rows[1][0].clone()], parts, "{caps:?}");
    }
}

/// How a statement is planned, where it may use any index.
async fn plan(bench: &Bench, sql: &str) -> String {
    match bench.database.kind() {
        Kind::Sqlite => {
            let rows = bench
                .database
                .rows(&format!("explain query plan {sql}"))
                .await;
            let lines: Vec<&str> = rows.iter().map(|row| row[3].text()).collect();
            lines.join("\n")
        }
        Kind::Postgres => {
            // a table of some rows is read whole unless that is forbidden
            bench
                .database
                .number("select count(set_config('enable_seqscan', 'off', false))")
                .await;
            bench
                .database
                .texts(&format!("explain {sql}"))
                .await
                .join("\n")
        }
    }
}

async fn a_view_over_one_coin_uses_its_index(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    bench.run(&[("top", "5")]).await.unwrap();
    let plan = |sql: &'static str| plan(&bench, sql);
    let history =
        plan("select snapshot_time, dominance_pct from v_price_history where coin_id = 'bitcoin'")
            .await;
    assert!(history.contains("quote_coin_slot"), "{history}");
    let current = plan("select coin_id, dominance_pct from v_current_snapshot").await;
    assert!(
        current.contains("quote_key") || current.contains("sqlite_autoindex_quote"),
        "{current}"
    );
    let latest = plan("select coin_id, dominance_pct from v_latest_prices").await;
    assert!(
        !latest.contains("SCAN q") && !latest.contains("Seq Scan on quote"),
        "{latest}"
    );
}

/// The same order on both databases, whatever the collation that PostgreSQL was set up with.
async fn ids_sort_by_their_bytes(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let ids = ["B", "Z-1", "_x", "a", "boringdao-[old]", "é"];
    bench.body(&body(&ids.map(Row::plain)));
    bench.run(&[("top", "6")]).await.unwrap();
    let rows = bench
        .database
        .texts("select coin_id from v_price_history order by coin_id")
        .await;
    assert_eq!(rows, ids);
    let rows = bench
        .database
        .texts("select coin_id from v_current_snapshot")
        .await;
    assert_eq!(rows, ids);
}
