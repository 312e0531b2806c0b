//! What is found by the list: candidates, the one id that is meant, what a wrong id may have been, and the universe of a past moment.

use chrono::TimeDelta;
use coinmill::frame::{Cell, cell};
use coinmill::pipeline::{self, Read, Search, Universe};

use super::{change, delist, list, tomorrow};
use crate::support::{Bench, Kind, noon, on_both_databases};

on_both_databases!(
    candidates_are_found_in_the_list_and_none_is_chosen,
    without_a_list_only_coins_of_snapshots_are_found_and_that_is_said,
    wrong_ids_get_suggestions_from_the_list_without_a_call,
    a_universe_has_the_coins_that_have_died_or_been_renamed_since,
    a_universe_of_more_than_is_stored_says_so,
    nothing_of_a_universe_is_known_before_it_was,
);

/// A column's texts; a null is empty.
fn texts(read: &Read, name: &str) -> Vec<String> {
    let batches = read.frame.batches.iter();
    let columns = batches.filter_map(|batch| Some((batch.num_rows(), batch.column_by_name(name)?)));
    let cells = columns.flat_map(|(rows, column)| (0..rows).map(move |row| cell(column, row)));
    let text = |cell: Option<Cell<'_>>| match cell {
        Some(Cell::Text(text)) => text.to_owned(),
        Some(Cell::Int(number) | Cell::Time(number)) => number.to_string(),
        _ => String::new(),
    };
    cells.map(text).collect()
}

async fn candidates_are_found_in_the_list_and_none_is_chosen(kind: Kind) {
    let bench = Bench::new(kind, 500).await;
    bench.run(&[("top", "100")]).await.unwrap();
    list(&bench).await.unwrap();
    let settings = bench.settings(&[]);
    let search = async |text: &str| {
        let wanted = Search {
            text: text.to_owned(),
            limit: 3,
        };
        pipeline::search(&settings, &wanted).await.unwrap()
    };
    let weth = search("WETH").await;
    assert_eq!(
        (weth.coins[0].coin_id.as_str(), weth.coins[0].fits.name()),
        ("weth", "id")
    );
    assert_eq!((weth.coins.len(), weth.warning.as_deref()), (3, None));
    assert!(weth.found >= 5, "{}", weth.found);
    assert_eq!(search("bitcoin").await.coins[0].market_cap_rank, Some(1));
    // only the list has it
    assert_eq!(search("wise").await.coins[0].coin_id, "wise-token11");
    assert_eq!(search("no such coin at all").await.coins, []);
    for (text, id) in [
        ("bitcoin", "bitcoin"),
        ("BTC", "bitcoin"),
        ("WISE", "wise-token11"),
        ("USDC", "usd-coin"),
    ] {
        assert_eq!(
            pipeline::resolve(&settings, text).await.unwrap().as_str(),
            id
        );
    }
    let error = pipeline::resolve(&settings, "eth")
        .await
        .unwrap_err()
        .to_string();
    let said =
        "eth can be any of 2 coins: ethereum (Ethereum, rank 2), bridged-wrapped-ether-starkgate";
    assert!(
        error.starts_with(said) && error.ends_with("give the id"),
        "{error}"
    );
    let calls = bench.sim.calls();
    assert_eq!(calls, 2);
}

async fn without_a_list_only_coins_of_snapshots_are_found_and_that_is_said(kind: Kind) {
    let bench = Bench::new(kind, 50).await;
    bench.run(&[("top", "5")]).await.unwrap();
    let wanted = Search {
        text: "solana".to_owned(),
        limit: 20,
    };
    let report = pipeline::search(&bench.settings(&[]), &wanted)
        .await
        .unwrap();
    assert_eq!(report.coins, []);
    assert!(report.warning.unwrap().contains("coinmill run listing"));
    let error = pipeline::resolve(&bench.settings(&[]), "solana")
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("coinmill run listing"),
        "{error}"
    );
}

async fn wrong_ids_get_suggestions_from_the_list_without_a_call(kind: Kind) {
    let bench = Bench::new(kind, 200).await;
    list(&bench).await.unwrap();
    delist(&bench, "safemoon");
    for _ in 0..2 {
        tomorrow(&bench);
        list(&bench).await.unwrap();
    }
    bench.run(&[("top", "5")]).await.unwrap();
    let settings = bench.settings(&[]);
    let price = async |coin: &str| {
        let asked = [coin.parse().unwrap()];
        pipeline::price(&settings, &asked)
            .await
            .unwrap_err()
            .to_string()
    };
    let calls = bench.sim.calls();
    assert_eq!(
        price("lunc").await,
        "lunc is the symbol of terra-luna: give the id"
    );
    assert!(
        price("safemoon")
            .await
            .contains("it is delisted since 2026-01-15")
    );
    let monero = price("monero").await;
    assert!(
        monero.ends_with("--add-coins monero` fetches it"),
        "{monero}"
    );
    let wanted = pipeline::Quotes {
        coins: vec!["chainlnk".parse().unwrap()],
        ..Default::default()
    };
    let error = pipeline::quotes(&settings, &wanted)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("did you mean chainlink?"), "{error}");
    assert_eq!(bench.sim.calls(), calls);
    bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    let report = bench
        .run(&[("top", "5"), ("add_coins", "xmr,safemoon")])
        .await
        .unwrap();
    let unknown: Vec<String> = report.unknown.iter().map(ToString::to_string).collect();
    assert_eq!(
        unknown,
        [
            "xmr: did you mean monero?",
            "safemoon: delisted since 2026-01-15"
        ]
    );
}

async fn a_universe_has_the_coins_that_have_died_or_been_renamed_since(kind: Kind) {
    let bench = Bench::new(kind, 100).await;
    bench.run(&[("top", "50")]).await.unwrap();
    list(&bench).await.unwrap();
    delist(&bench, "tether");
    change(&bench, "ripple", None, Some("Ripple II"));
    for _ in 0..2 {
        tomorrow(&bench);
        bench.run(&[("top", "50")]).await.unwrap();
        list(&bench).await.unwrap();
    }
    let settings = bench.settings(&[]);
    let then = Universe {
        top: Some(10),
        at: Some(noon()),
        as_of: None,
    };
    let read = pipeline::universe(&settings, &then).await.unwrap();
    assert_eq!(
        (
            read.frame.rows(),
            read.missing.len(),
            read.warning.as_deref()
        ),
        (10, 0, None)
    );
    let ids = texts(&read, "coin_id");
    let place = |coin: &str| ids.iter().position(|id| id == coin).unwrap();
    assert_eq!(place("bitcoin"), 0);
    let (tether, ripple) = (place("tether"), place("ripple"));
    let slot = |days: i64| {
        let slot = coinmill::market::Slot::containing(noon() + TimeDelta::days(days));
        slot.start().timestamp_millis().to_string()
    };
    assert_eq!(texts(&read, "last_seen")[tether], slot(0));
    assert_eq!(texts(&read, "last_seen")[ripple], slot(2));
    let gone = (noon() + TimeDelta::days(1)).timestamp_millis().to_string();
    assert_eq!(
        (
            &texts(&read, "delisted_at")[tether],
            &texts(&read, "delisted_at")[ripple]
        ),
        (&gone, &String::new())
    );
    let names = |name: &str| texts(&read, name)[ripple].clone();
    assert_eq!(
        (names("name"), names("name_now")),
        ("XRP".to_owned(), "Ripple II".to_owned())
    );
    let now = pipeline::universe(&settings, &Universe::default())
        .await
        .unwrap();
    assert!(now.frame.rows() == 50 && !texts(&now, "coin_id").contains(&"tether".to_owned()));
    // as it was known then, nobody had died
    let as_of = Universe {
        as_of: Some((noon() + TimeDelta::hours(12)).into()),
        ..then
    };
    let read = pipeline::universe(&settings, &as_of).await.unwrap();
    assert!(texts(&read, "delisted_at").iter().all(String::is_empty));
    assert_eq!(texts(&read, "name_now")[ripple], "XRP");
}

async fn a_universe_of_more_than_is_stored_says_so(kind: Kind) {
    let bench = Bench::new(kind, 100).await;
    bench.run(&[("top", "20")]).await.unwrap();
    let wanted = Universe {
        top: Some(50),
        ..Default::default()
    };
    let read = pipeline::universe(&bench.settings(&[]), &wanted)
        .await
        .unwrap();
    assert_eq!(
        (read.frame.rows(), read.missing[0].what.as_str()),
        (20, "ranks 21 to 50")
    );
    assert!(read.warning.unwrap().contains("of the top 50 of slot"));
}

async fn nothing_of_a_universe_is_known_before_it_was(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    list(&bench).await.unwrap();
    let settings = bench.settings(&[]);
    let none = pipeline::universe(&settings, &Universe::default())
        .await
        .unwrap_err();
    assert!(none.to_string().contains("coinmill run snapshot"), "{none}");
    bench.run(&[("top", "20")]).await.unwrap();
    let early = Universe {
        as_of: Some((noon() - TimeDelta::days(1)).into()),
        ..Default::default()
    };
    let error = pipeline::universe(&settings, &early).await.unwrap_err();
    assert!(
        error.to_string().contains("nothing was stored by"),
        "{error}"
    );
}
