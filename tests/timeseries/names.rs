//! Symbols and names in the time series database, and the view that has them.

use chrono::TimeDelta;

use coinmill::series::Resolution;

use crate::series::Mill;
use crate::support::bodies::{Row, body};
use crate::support::{Kind, on_both_databases};

on_both_databases!(
    series_know_their_coins_by_symbol_and_name,
    a_renamed_coin_has_a_row_more_and_the_view_its_newest_name,
    the_series_of_one_coin_is_read_by_its_key,
);

async fn series_know_their_coins_by_symbol_and_name(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.snapshot("3").await;
    mill.run(Resolution::FiveMinutes, &[]).await.unwrap();
    let sql = "select distinct coin_id || ' ' || symbol || ' ' || name || ' ' || resolution from v_price_series order by 1";
    let series = texts(&mill, sql).await;
    let sql = "select coin_id || ' ' || symbol || ' ' || name || ' 5m' from v_current_snapshot order by coin_id";
    assert_eq!(series, mill.bench.database.texts(sql).await);
    assert_eq!(series.len(), 3);
    // the same names again are no news
    mill.bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    mill.run(Resolution::FiveMinutes, &[]).await.unwrap();
    let rows = mill.number("select count(*) from coin_name").await;
    assert_eq!(rows, 3);
}

async fn a_renamed_coin_has_a_row_more_and_the_view_its_newest_name(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    for name in ["First", "Second"] {
        let text = format!("\"{name}\"");
        mill.bench
            .body(&body(&[Row::plain("bitcoin").with("name", &text)]));
        mill.snapshot("1").await;
        mill.run(Resolution::FiveMinutes, &[("top", "1")])
            .await
            .unwrap();
        mill.bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    }
    let sql = r#"select name from coin_name order by "commit""#;
    assert_eq!(texts(&mill, sql).await, ["First", "Second"]);
    let sql = "select distinct name from v_price_series";
    assert_eq!(texts(&mill, sql).await, ["Second"]);
}

async fn the_series_of_one_coin_is_read_by_its_key(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.snapshot("3").await;
    mill.run(Resolution::FiveMinutes, &[]).await.unwrap();
    let filter = match kind {
        Kind::Postgres => "ts >= now()",
        Kind::Sqlite => "ts_ms >= 1768392000000",
    };
    let sql = format!(
        "select ts, price from v_price_series where coin_id = 'bitcoin' and resolution = '5m' and {filter}"
    );
    let (plan, key) = match kind {
        Kind::Sqlite => {
            let rows = mill.rows(&format!("explain query plan {sql}")).await;
            let lines: Vec<&str> = rows.iter().map(|row| row[3].text()).collect();
            (
                lines.join("\n"),
                "SEARCH p USING PRIMARY KEY (coin=? AND resolution=? AND ts>?)",
            )
        }
        Kind::Postgres => {
            let sql = format!("explain {sql}");
            mill.number("select count(set_config('enable_seqscan', 'off', false))")
                .await;
            (texts(&mill, &sql).await.join("\n"), "price_point_key")
        }
    };
    assert!(plan.contains(key), "{plan}");
}

async fn texts(mill: &Mill, sql: &str) -> Vec<String> {
    let rows = mill.rows(sql).await.into_iter();
    rows.map(|row| row[0].text().to_owned()).collect()
}
