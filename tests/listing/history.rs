//! What the lists of several days make of a coin: when it was first listed, what it was called, and since when it is gone.

use chrono::TimeDelta;
use coinmill::pipeline::{self, RunState};

use super::{change, delist, list, list_with, tomorrow};
use crate::support::{Bench, Kind, noon, on_both_databases};

on_both_databases!(
    a_delisting_is_a_fact_with_the_date_of_the_first_list_without_it,
    a_coin_that_comes_back_is_listed_again,
    another_name_is_one_more_row_and_the_same_list_is_none,
    a_list_can_be_rebuilt_from_its_body,
    a_list_of_eighteen_thousand_coins_is_stored_and_read_in_seconds,
);

async fn states(bench: &Bench, coin: &str) -> Vec<(String, i64)> {
    let sql =
        format!("select state, seen_at from listed where coin_id = '{coin}' order by \"commit\"");
    let rows = bench.database.rows(&sql).await;
    rows.iter()
        .map(|row| (row[0].text().to_owned(), row[1].int()))
        .collect()
}

async fn a_delisting_is_a_fact_with_the_date_of_the_first_list_without_it(kind: Kind) {
    let bench = Bench::new(kind, 100).await;
    let first = list(&bench).await.unwrap();
    assert_eq!(
        (first.state, first.calls, first.accepted),
        (RunState::Complete, 1, 100)
    );
    assert_eq!((first.appeared, first.stored, first.absent), (100, 100, 0));
    delist(&bench, "tether");
    tomorrow(&bench);
    let second = list(&bench).await.unwrap();
    assert_eq!(
        (second.absent, second.stored, second.delisted.len()),
        (1, 1, 0)
    );
    assert_eq!(
        bench
            .database
            .number("select count(*) from v_coins where delisted_at is not null")
            .await,
        0
    );
    tomorrow(&bench);
    let third = list(&bench).await.unwrap();
    assert_eq!(
        (third.delisted, third.stored),
        (vec!["tether".parse().unwrap()], 1)
    );
    tomorrow(&bench);
    assert_eq!(list(&bench).await.unwrap().stored, 0);
    let day = |days: i64| (noon() + TimeDelta::days(days)).timestamp_millis();
    let state = |state: &str, days| (state.to_owned(), day(days));
    assert_eq!(
        states(&bench, "tether").await,
        [state("listed", 0), state("absent", 1), state("delisted", 2)]
    );
    let at = match kind {
        Kind::Postgres => "(extract(epoch from delisted_at) * 1000)::bigint",
        Kind::Sqlite => "cast(round((julianday(delisted_at) - 2440587.5) * 86400000) as integer)",
    };
    let sql = format!("select coin_id, state, {at} from v_coins where delisted_at is not null");
    let rows = bench.database.rows(&sql).await;
    assert_eq!(
        (rows.len(), rows[0][0].text(), rows[0][1].text()),
        (1, "tether", "delisted")
    );
    assert_eq!(rows[0][2].int(), day(1));
    assert_eq!(
        bench.database.number("select count(*) from listing").await,
        4
    );
    // coins of the list alone are not among those of which something is stored
    assert_eq!(bench.database.number("select count(*) from coin").await, 0);
}

async fn a_coin_that_comes_back_is_listed_again(kind: Kind) {
    let bench = Bench::new(kind, 50).await;
    list(&bench).await.unwrap();
    delist(&bench, "tether");
    for _ in 0..2 {
        tomorrow(&bench);
        list(&bench).await.unwrap();
    }
    change(&bench, "tether", Some(true), None);
    tomorrow(&bench);
    assert_eq!(list(&bench).await.unwrap().returned, 1);
    let rows = bench
        .database
        .rows("select state, delisted_at from v_coins where coin_id = 'tether'")
        .await;
    assert_eq!(rows[0][0].text(), "listed");
    assert_eq!(rows[0][1], crate::support::Cell::Null);
    let states: Vec<String> = states(&bench, "tether")
        .await
        .into_iter()
        .map(|it| it.0)
        .collect();
    assert_eq!(states, ["listed", "absent", "delisted", "listed"]);
}

async fn another_name_is_one_more_row_and_the_same_list_is_none(kind: Kind) {
    let bench = Bench::new(kind, 50).await;
    list(&bench).await.unwrap();
    change(&bench, "tether", None, Some("Tether II"));
    tomorrow(&bench);
    let renamed = list(&bench).await.unwrap();
    assert_eq!((renamed.renamed, renamed.stored), (1, 1));
    let sql = "select name from listed where coin_id = 'tether' order by \"commit\"";
    let rows = bench.database.rows(sql).await;
    let names: Vec<&str> = rows.iter().map(|row| row[0].text()).collect();
    assert_eq!(names, ["Tether", "Tether II"]);
}

async fn a_list_can_be_rebuilt_from_its_body(kind: Kind) {
    let bench = Bench::new(kind, 50).await;
    let first = list(&bench).await.unwrap();
    delist(&bench, "tether");
    change(&bench, "bitcoin", None, Some("Bit Coin"));
    tomorrow(&bench);
    let second = list(&bench).await.unwrap();
    for (report, coins) in [(first, 50), (second, 49)] {
        let replayed = pipeline::replay(&bench.settings(&[]), &report.run)
            .await
            .unwrap();
        assert!(replayed.is_same, "{replayed:?}");
        assert_eq!(
            (replayed.stored, replayed.rebuilt, replayed.bodies),
            (coins, coins, 1)
        );
        assert_eq!(Some(replayed.rebuilt_hash), report.content_hash);
    }
}

async fn a_list_of_eighteen_thousand_coins_is_stored_and_read_in_seconds(kind: Kind) {
    let bench = Bench::new(kind, 18_000).await;
    let first = list(&bench).await.unwrap();
    assert_eq!(first.stored, 18_000);
    tomorrow(&bench);
    let second = list(&bench).await.unwrap();
    let began = std::time::Instant::now();
    let rows = bench
        .database
        .rows("select count(*), count(delisted_at), max(name) from v_coins")
        .await;
    let view = began.elapsed().as_secs_f64();
    assert_eq!(rows[0][0].int(), 18_000);
    let began = std::time::Instant::now();
    let wanted = pipeline::Search {
        text: "usdc".to_owned(),
        limit: 20,
    };
    pipeline::search(&bench.settings(&[]), &wanted)
        .await
        .unwrap();
    let search = began.elapsed().as_secs_f64();
    let size = match kind {
        Kind::Postgres => {
            let sql = "select (pg_total_relation_size('snapshot.listed'))::bigint";
            bench.database.number(sql).await
        }
        Kind::Sqlite => {
            let sql = "select page_count * page_size from pragma_page_count(), pragma_page_size()";
            bench.database.number(sql).await
        }
    };
    println!(
        "{kind:?}: first {:?}, second {:?}, view {view:.3} s, search {search:.3} s, {size} bytes",
        first.timings, second.timings
    );
    assert!(first.timings.commit_s < 20.0 && view < 5.0 && search < 5.0);
    assert!(list_with(&bench, &[], false).await.unwrap().is_known());
}
