//! Prices: every coin that was asked for or an error that says what there is, and every span that is not there by coin.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int32Type, TimestampMillisecondType};
use arrow_array::{Array as _, StringArray};
use chrono::{DateTime, TimeDelta, Utc};
use coinmill::config::Settings;
use coinmill::error::{Error, Result};
use coinmill::market::CoinId;
use coinmill::pipeline::{self, Missing, Prices, Reach, Read};
use coinmill::series::{PricePoint, Resolution, Span};
use coinmill::store::{PricesQuery, TimeseriesStore};

use crate::series::{DAY, MINUTE, Mill, bits};
use crate::support::{Kind, noon, on_both_databases, said};

on_both_databases!(
    a_coin_that_is_not_stored_is_an_error_that_says_what_is,
    names_are_no_need_where_there_is_no_snapshot_database,
    nothing_at_a_resolution_says_at_which_there_is_something,
    a_span_that_is_none_is_refused,
    what_is_not_covered_is_listed_by_coin_and_span,
    what_is_missing_is_what_was_missing_then,
    what_cannot_be_stored_yet_is_not_missing,
    a_coin_s_coverage_is_read_alone_and_within_the_span,
    rows_of_many_batches_are_those_of_the_database,
    a_commit_while_points_are_read_is_in_none_of_them,
    bounds_within_a_millisecond_are_kept,
);

const HOURLY: Resolution = Resolution::Hour;

fn ago(days: i64) -> DateTime<Utc> {
    noon() - TimeDelta::days(days)
}

fn of(coins: &[&str]) -> Prices {
    Prices {
        coins: coins.iter().map(|coin| coin.parse().unwrap()).collect(),
        start: None,
        end: None,
        resolution: HOURLY,
        as_of: None,
    }
}

async fn read(settings: &Settings, wanted: &Prices) -> Result<Read> {
    pipeline::prices(settings, wanted).await
}

/// What an error says, which is one of data.
async fn refused(settings: &Settings, wanted: &Prices) -> String {
    let error = read(settings, wanted).await.unwrap_err();
    assert!(matches!(error, Error::Data { .. }), "{error:?}");
    said(&error)
}

/// A mill with a snapshot, and two days of bitcoin and of ethereum.
async fn filled(kind: Kind) -> Mill {
    let mill = Mill::new(kind, 20).await;
    mill.snapshot("20").await;
    let coins = ["bitcoin", "ethereum"];
    mill.backfill(HOURLY, Reach::Days(2), &coins, &[])
        .await
        .unwrap();
    mill
}

async fn a_coin_that_is_not_stored_is_an_error_that_says_what_is(kind: Kind) {
    let mill = filled(kind).await;
    let settings = mill.settings(&[]);
    for (coins, words) in [
        (
            &["bitcon"][..],
            "no prices of bitcon are stored: did you mean bitcoin?",
        ),
        (&["btc"], "btc is the symbol of bitcoin: give the id"),
        (
            &["bitcoin", "bitcon"],
            "no prices of bitcon are stored: did you mean bitcoin?",
        ),
        (
            &["btc", "ETH"],
            "btc is the symbol of bitcoin: give the id; ETH is the symbol of ethereum: give the id",
        ),
        (
            &["dogecoin"],
            "no prices of dogecoin are stored: `coinmill backfill --days 1 --resolution 1h --coins dogecoin` fetches them",
        ),
        (
            &["nothing-like-it"],
            "no prices of nothing-like-it are stored",
        ),
    ] {
        let chain = refused(&settings, &of(coins)).await;
        assert!(chain.starts_with(words), "{coins:?}: {chain}");
    }
    let twice = read(&settings, &of(&["bitcoin", "bitcoin"])).await.unwrap();
    let once = read(&settings, &of(&["bitcoin"])).await.unwrap();
    assert_eq!(twice.frame, once.frame);
}

async fn names_are_no_need_where_there_is_no_snapshot_database(kind: Kind) {
    let mill = filled(kind).await;
    let away = mill.bench.folder.path().join("away.db");
    let url = format!("sqlite://{}", away.display());
    let settings = mill.settings(&[("snapshot_url", &url)]);
    let chain = refused(&settings, &of(&["bitcon"])).await;
    assert_eq!(
        chain,
        "no prices of bitcon are stored: did you mean bitcoin?"
    );
    let chain = refused(&settings, &of(&["btc"])).await;
    assert!(chain.starts_with("no prices of btc are stored"), "{chain}");
    assert!(!away.exists());
}

async fn nothing_at_a_resolution_says_at_which_there_is_something(kind: Kind) {
    let mill = Mill::new(kind, 20).await;
    let settings = mill.settings(&[]);
    let chain = refused(&settings, &of(&["bitcoin"])).await;
    assert!(chain.starts_with("no prices are stored yet"), "{chain}");
    mill.bitcoin().await.unwrap();
    for coins in [&[][..], &["bitcoin"]] {
        let chain = refused(&settings, &of(coins)).await;
        assert_eq!(
            chain,
            "nothing is stored at 1h: 5m is stored from 2026-01-13T12:10Z to 2026-01-14T12:00Z"
        );
    }
    // and of one coin where there are others
    mill.backfill(HOURLY, Reach::Days(2), &["ethereum"], &[])
        .await
        .unwrap();
    let chain = refused(&settings, &of(&["bitcoin"])).await;
    assert!(
        chain.starts_with("no prices of bitcoin are stored at 1h: 5m is stored from 2026-01-13"),
        "{chain}"
    );
}

async fn a_span_that_is_none_is_refused(kind: Kind) {
    let mill = filled(kind).await;
    let settings = mill.settings(&[]);
    let now = noon();
    for (start, end, words) in [
        (now, Some(ago(1)), "start must be before end"),
        (ago(1), Some(ago(1)), "start must be before end"),
        (now + TimeDelta::hours(1), None, "still to come"),
    ] {
        let wanted = Prices {
            start: Some(start),
            end,
            ..of(&["bitcoin"])
        };
        let error = read(&settings, &wanted).await.unwrap_err();
        assert!(
            matches!(error, Error::Argument { .. }) && said(&error).contains(words),
            "{error:?}"
        );
    }
}

async fn what_is_not_covered_is_listed_by_coin_and_span(kind: Kind) {
    let mill = Mill::new(kind, 20).await;
    let settings = mill.settings(&[]);
    for (coin, from, to) in [
        ("bitcoin", 12, 10),
        ("bitcoin", 6, 3),
        ("ethereum", 8, 4),
        ("dogecoin", 30, 0),
    ] {
        let reach = Reach::Between(ago(from), Some(ago(to)));
        mill.backfill(HOURLY, reach, &[coin], &[]).await.unwrap();
    }
    let settled = noon() - TimeDelta::minutes(10);
    let span = |coin: &str, start: DateTime<Utc>, end: DateTime<Utc>| Missing {
        coin_id: Some(coin.to_owned()),
        what: coin.to_owned(),
        start,
        end,
        reason: "not fetched".to_owned(),
    };
    // between a coin's own ends, where no bound was written: nothing to warn of
    let all = read(&settings, &of(&[])).await.unwrap();
    assert_eq!(all.missing, [span("bitcoin", ago(10), ago(6))]);
    assert_eq!(all.warning, None);
    // a bound that was written counts, as far as it is settled
    let wanted = Prices {
        start: Some(ago(14)),
        end: Some(noon() + TimeDelta::days(1)),
        ..of(&["ethereum", "bitcoin", "dogecoin"])
    };
    let part = read(&settings, &wanted).await.unwrap();
    assert_eq!(
        part.missing,
        [
            span("bitcoin", ago(14), ago(12)),
            span("bitcoin", ago(10), ago(6)),
            span("bitcoin", ago(3), settled),
            span("ethereum", ago(14), ago(8)),
            span("ethereum", ago(4), settled),
        ]
    );
    let warning = part.warning.unwrap();
    assert_eq!(
        warning,
        "bitcoin is stored from 2026-01-02T12:10Z to 2026-01-11T12:10Z; 5 spans of 2 coins are missing: see frame.missing; \
         `coinmill backfill --from 2025-12-31T12:10:00Z --until 2026-01-14T12:00:00Z --resolution 1h --coins bitcoin,ethereum` \
         fetches them"
    );
    let whole = Prices {
        start: Some(ago(5)),
        end: Some(ago(4)),
        ..of(&[])
    };
    let whole = read(&settings, &whole).await.unwrap();
    assert_eq!((whole.missing, whole.warning), (vec![], None));
    assert!(whole.frame.rows() >= 3 * 22);
}

async fn what_is_missing_is_what_was_missing_then(kind: Kind) {
    let mill = Mill::new(kind, 5).await;
    let settings = mill.settings(&[]);
    let backfill = async |from: i64, to: i64| {
        let reach = Reach::Between(ago(from), Some(ago(to)));
        mill.backfill(HOURLY, reach, &["bitcoin"], &[])
            .await
            .unwrap()
    };
    backfill(4, 2).await;
    let then = noon();
    mill.bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    backfill(8, 4).await;
    let wanted = Prices {
        start: Some(ago(8)),
        end: Some(ago(2)),
        ..of(&["bitcoin"])
    };
    assert_eq!(read(&settings, &wanted).await.unwrap().missing, []);
    let wanted = Prices {
        as_of: Some(then.into()),
        ..wanted
    };
    let known = read(&settings, &wanted).await.unwrap();
    let spans: Vec<_> = known
        .missing
        .iter()
        .map(|span| (span.start, span.end))
        .collect();
    assert_eq!(spans, [(ago(8), ago(4))]);
    assert!(known.warning.unwrap().contains("fetched after `as_of`"));
    // a coin that was learned of later
    let reach = Reach::Days(2);
    mill.backfill(HOURLY, reach, &["ethereum"], &[])
        .await
        .unwrap();
    let wanted = Prices {
        as_of: Some(then.into()),
        ..of(&["ethereum"])
    };
    let chain = refused(&settings, &wanted).await;
    assert!(
        chain.starts_with("no prices of ethereum were stored by 2026-01-14T12:10:00Z"),
        "{chain}"
    );
}

async fn what_cannot_be_stored_yet_is_not_missing(kind: Kind) {
    let mill = Mill::new(kind, 5).await;
    let settings = mill.settings(&[]);
    mill.bitcoin().await.unwrap();
    let day = Resolution::Day;
    mill.backfill(day, Reach::Days(9), &["bitcoin"], &[])
        .await
        .unwrap();
    let missing = async |resolution: Resolution, start: DateTime<Utc>| {
        let wanted = Prices {
            start: Some(start),
            end: Some(noon() + TimeDelta::days(1)),
            resolution,
            ..of(&["bitcoin"])
        };
        read(&settings, &wanted).await.unwrap().missing
    };
    let five = Resolution::FiveMinutes;
    assert_eq!(missing(five, noon() - TimeDelta::hours(20)).await, []);
    // less than a step later nothing new can be due, and a run would ask for nothing
    mill.bench.sim.advance(TimeDelta::minutes(4)).unwrap();
    assert_eq!(missing(five, noon() - TimeDelta::hours(20)).await, []);
    mill.bench.sim.advance(TimeDelta::minutes(4)).unwrap();
    let late = missing(five, noon() - TimeDelta::hours(20)).await;
    assert_eq!(late.len(), 1);
    assert_eq!(late[0].end - late[0].start, TimeDelta::minutes(8));
    // of days only midnights count
    let midnight = noon().timestamp_millis().div_euclid(DAY) * DAY;
    let at = |ts: i64| DateTime::from_timestamp_millis(ts).unwrap();
    assert_eq!(missing(day, at(midnight - 9 * DAY + MINUTE)).await, []);
    assert_eq!(missing(day, at(midnight - 9 * DAY)).await.len(), 1);
}

async fn a_coin_s_coverage_is_read_alone_and_within_the_span(kind: Kind) {
    let mill = filled(kind).await;
    let reach = Reach::Between(ago(12), Some(ago(9)));
    mill.backfill(HOURLY, reach, &["bitcoin", "ethereum"], &[])
        .await
        .unwrap();
    let mut store = TimeseriesStore::open_existing(&mill.timeseries.database_url(), "usd")
        .await
        .unwrap();
    let bitcoin = "bitcoin".parse().unwrap();
    let span = Span {
        start: ago(11).timestamp_millis(),
        end: ago(5).timestamp_millis(),
    };
    let found = store
        .coverage_of(HOURLY, &[&bitcoin], span, i64::MAX)
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    let spans: Vec<Span> = found[&bitcoin].iter().collect();
    assert_eq!(
        spans,
        [Span {
            start: ago(12).timestamp_millis(),
            end: ago(9).timestamp_millis()
        }]
    );
    let before = store
        .coverage_of(HOURLY, &[&bitcoin], span, 0)
        .await
        .unwrap();
    assert!(before.is_empty());
    store.close().await.unwrap();
}

/// A coin's id, a stamp and the price's bits.
type Price = (String, i64, Option<u64>);

/// More rows than a batch holds, of coins whose keys are in another order than their ids, some of them revised.
async fn rows_of_many_batches_are_those_of_the_database(kind: Kind) {
    let mill = filled(kind).await;
    let first = "select id from coin where id < 'bitcoin' order by id limit 1";
    let first = mill.bench.database.texts(first).await.remove(0);
    mill.backfill(HOURLY, Reach::Days(2), &[&first], &[])
        .await
        .unwrap();
    let at = |seconds: &str| match kind {
        Kind::Postgres => format!("to_timestamp({seconds})"),
        Kind::Sqlite => format!("1000 * ({seconds})"),
    };
    let numbers = match kind {
        Kind::Postgres => "generate_series(1, 70000) s (n)",
        Kind::Sqlite => {
            "(with recursive r (n) as (values (1) union all select n + 1 from r where n < 70000) select n from r) s"
        }
    };
    let old = at("1500000000 + n");
    for sql in [
        format!(
            "insert into price_point (coin, resolution, ts, price, landing) \
             select 1, 60, {old}, 0.1 * n, 1 from {numbers} where n % 100 > 0"
        ),
        format!(
            "insert into price_revision (coin, resolution, ts, price, landing) \
             select 1, 60, {old}, case when n % 3 > 0 then 0.3 * n end, 2 from {numbers} where n % 1000 = 1"
        ),
    ] {
        mill.rows(&sql).await;
    }
    let ts = match kind {
        Kind::Postgres => "(extract(epoch from p.ts) * 1000)::bigint",
        Kind::Sqlite => "p.ts",
    };
    let sql = format!("select c.id, {ts}, p.price from price_now p join coin c on c.key = p.coin");
    let rows = mill.rows(&sql).await;
    let mut stored: Vec<Price> = rows
        .iter()
        .map(|row| (row[0].text().to_owned(), row[1].int(), bits(&row[2])))
        .collect();
    stored.sort();
    let frame = read(&mill.settings(&[]), &of(&[])).await.unwrap().frame;
    assert_eq!((frame.batches.len(), frame.rows()), (2, stored.len()));
    let mut shown: Vec<Price> = Vec::new();
    for batch in &frame.batches {
        let coins = batch.column(0).as_dictionary::<Int32Type>();
        assert_eq!(coins.values().len(), 3, "one dictionary for all");
        let coins = coins.downcast_dict::<StringArray>().unwrap();
        let stamps = batch.column(1).as_primitive::<TimestampMillisecondType>();
        let prices = batch.column(2).as_primitive::<Float64Type>();
        for ((coin, ts), price) in coins.into_iter().zip(stamps).zip(prices) {
            shown.push((
                coin.unwrap().to_owned(),
                ts.unwrap(),
                price.map(f64::to_bits),
            ));
        }
    }
    assert!(shown == stored, "by coin and stamp, bit for bit");
}

/// Coins are read one after the other: a commit between two of them must not show in the second alone.
async fn a_commit_while_points_are_read_is_in_none_of_them(kind: Kind) {
    let mill = filled(kind).await;
    let url = mill.timeseries.database_url();
    let mut store = TimeseriesStore::open_existing(&url, "usd").await.unwrap();
    let before = mill.count("price_point").await;
    for pin in [store.newest_commit().await.unwrap(), None] {
        let query = PricesQuery {
            coins: Vec::new(),
            resolution: HOURLY,
            span: Span {
                start: 0,
                end: noon().timestamp_millis(),
            },
            pin,
        };
        let (mut points, mut coins) = (0, Vec::new());
        let before = if pin.is_some() {
            before
        } else {
            mill.count("price_point").await
        };
        let count = |coin: &CoinId, _: PricePoint| {
            if coins.is_empty() {
                let days = Reach::Days(if pin.is_some() { 4 } else { 6 });
                let more = mill.backfill(HOURLY, days, &["bitcoin", "ethereum"], &[]);
                let more = || tokio::runtime::Handle::current().block_on(more);
                assert!(tokio::task::block_in_place(more).unwrap().stored > 90);
            }
            if coins.last() != Some(coin) {
                coins.push(coin.clone());
            }
            points += 1;
            Ok(())
        };
        store.each_point(&query, count).await.unwrap();
        assert_eq!((coins.len(), points), (2, before), "{pin:?}");
    }
}

/// From one bound on to before another, to the microsecond: paging by the last stamp and a little more repeats no row.
async fn bounds_within_a_millisecond_are_kept(kind: Kind) {
    let mill = filled(kind).await;
    let settings = mill.settings(&[]);
    let all = read(&settings, &of(&["bitcoin"])).await.unwrap().frame;
    let stamps = all.batches[0].column(1);
    let tenth = stamps.as_primitive::<TimestampMillisecondType>().value(9);
    let tenth = DateTime::from_timestamp_millis(tenth).unwrap();
    let little = TimeDelta::microseconds(1);
    for (start, end, rows) in [
        (Some(tenth), None, all.rows() - 9),
        (Some(tenth + little), None, all.rows() - 10),
        (None, Some(tenth), 9),
        (None, Some(tenth + little), 10),
        (Some(tenth), Some(tenth + little), 1),
        (Some(tenth - little), Some(tenth), 0),
    ] {
        let wanted = Prices {
            start,
            end,
            ..of(&["bitcoin"])
        };
        let found = read(&settings, &wanted).await.unwrap().frame.rows();
        assert_eq!(found, rows, "{start:?} {end:?}");
    }
}
