//! `coinmill price`: what is stored, with its age, and never a call.

use chrono::TimeDelta;

use crate::support::command::{code, coinmill, finish, json, text};
use crate::support::{Bench, Kind, on_both_databases};

on_both_databases!(
    the_newest_stored_price_is_told_with_its_age,
    a_coin_that_is_not_stored_is_an_error_with_candidates,
);

async fn the_newest_stored_price_is_told_with_its_age(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let price = async |arguments: &[&str]| {
        let arguments = [&["price"], arguments].concat();
        finish(coinmill(&bench, None, &arguments, &[])).await
    };
    let nothing = price(&["bitcoin"]).await;
    assert_ne!(code(&nothing), 0);
    assert!(
        text(&nothing).contains("coinmill run snapshot"),
        "{}",
        text(&nothing)
    );

    bench.run(&[]).await.unwrap();
    let calls = bench.calls().len();
    let sql = "select q.current_price, q.price_change_pct_24h from quote q join coin c on c.key = q.coin where c.id = 'bitcoin'";
    let stored = bench.database.row(sql).await;
    let output = price(&["bitcoin"]).await;
    let said = text(&output);
    assert_eq!(code(&output), 0, "{said}");
    let value = stored[0].float();
    assert!(said.contains(&format!("{value} usd")), "{said}");
    assert!(
        said.contains(&format!("{:+.2} %", stored[1].float())),
        "{said}"
    );
    assert!(
        said.contains("2026-01-14T12:00Z") && !said.contains("warning"),
        "{said}"
    );

    let output = price(&["ethereum", "bitcoin", "bitcoin", "--json"]).await;
    let report = json(&output);
    let prices = report["prices"].as_array().unwrap();
    let coins: Vec<_> = prices.iter().map(|price| &price["coin_id"]).collect();
    assert_eq!(coins, ["ethereum", "bitcoin"], "{report}");
    assert_eq!(
        prices[1]["current_price"].as_f64().unwrap().to_bits(),
        value.to_bits()
    );

    // another snapshot without the coin does not hide its price, which is old now
    bench.sim.advance(TimeDelta::minutes(60)).unwrap();
    bench.run(&[("coins", "ethereum")]).await.unwrap();
    let output = price(&["ethereum", "bitcoin"]).await;
    let said = text(&output);
    assert_eq!(code(&output), 0, "{said}");
    assert_eq!(said.matches("warning:").count(), 1, "{said}");
    assert!(said.contains("bitcoin is 1 h"), "{said}");
    let extra = bench.calls().len() - calls;
    assert_eq!(extra, 1, "a price made a call");
}

async fn a_coin_that_is_not_stored_is_an_error_with_candidates(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    bench.run(&[]).await.unwrap();
    for (coin, said) in [
        ("btc", "btc is the symbol of bitcoin"),
        ("bitcion", "did you mean bitcoin?"),
        ("no-such-coin-at-all", "--add-coins no-such-coin-at-all"),
    ] {
        let arguments = ["price", "bitcoin", coin, "--json"];
        let output = finish(coinmill(&bench, None, &arguments, &[])).await;
        assert_eq!(code(&output), 1, "{}", text(&output));
        assert!(text(&output).contains(said), "{}", text(&output));
        assert_eq!(json(&output)["error_kind"], "data");
    }
    let output = finish(coinmill(&bench, None, &["price"], &[])).await;
    assert_eq!(code(&output), 2, "{}", text(&output));
}
