//! Pins: the same rows in the same order, whatever is stored later; and those that are of another database, or of nothing.

use chrono::TimeDelta;
use coinmill::candles::zone;
use coinmill::error::Error;
use coinmill::frame::Frame;
use coinmill::pipeline::{self, AsOf, Candles, Missing, Pin, Prices, Quotes, Reach, Read};
use coinmill::series::Resolution;

use crate::series::Mill;
use crate::support::{Kind, noon, on_both_databases, said};

on_both_databases!(
    a_pin_reads_the_same_rows_whatever_is_stored_later,
    commits_of_one_millisecond_are_told_apart,
    a_pin_of_an_instant_is_what_was_known_then,
    a_pin_of_other_databases_is_an_error,
    a_pin_of_nothing_is_an_error,
);

fn quotes(as_of: Option<&str>) -> Quotes {
    Quotes {
        start: Some(noon() - TimeDelta::hours(1)),
        as_of: as_of.map(|text| text.parse().unwrap()),
        ..Quotes::default()
    }
}

fn prices(as_of: Option<&str>) -> Prices {
    Prices {
        coins: Vec::new(),
        start: Some(noon() - TimeDelta::days(3)),
        end: None,
        resolution: Resolution::Hour,
        as_of: as_of.map(|text| text.parse().unwrap()),
    }
}

fn candles(as_of: Option<&str>) -> Candles {
    Candles {
        coins: Vec::new(),
        every: "1h".parse().unwrap(),
        zone: zone("UTC").unwrap(),
        start: None,
        end: None,
        as_of: as_of.map(|text| text.parse().unwrap()),
    }
}

/// The three reads that take account of a pin, each with its own part of it.
async fn reads(mill: &Mill, as_of: Option<&str>) -> [Read; 3] {
    let settings = mill.settings(&[]);
    [
        pipeline::quotes(&settings, &quotes(as_of)).await.unwrap(),
        pipeline::prices(&settings, &prices(as_of)).await.unwrap(),
        pipeline::candles(&settings, &candles(as_of)).await.unwrap(),
    ]
}

/// All that a pin has to keep: the rows in their order, and what was missing of them. A reason is advice of the moment.
fn kept(reads: &[Read; 3]) -> Vec<(Frame, Vec<Missing>)> {
    let missing = |read: &Read| -> Vec<Missing> {
        let missing = read.missing.iter().cloned();
        missing
            .map(|it| Missing {
                reason: String::new(),
                ..it
            })
            .collect()
    };
    let kept = reads.iter().map(|read| (read.frame.clone(), missing(read)));
    kept.collect()
}

fn same(one: &[(Frame, Vec<Missing>)], other: &[(Frame, Vec<Missing>)]) {
    assert_eq!(one.len(), other.len());
    for ((frame, missing), (other, also)) in one.iter().zip(other) {
        assert_eq!(frame.batches, other.batches);
        assert_eq!(missing, also);
    }
}

async fn pin(mill: &Mill) -> String {
    let pin = pipeline::pin(&mill.settings(&[]), None).await.unwrap();
    pin.to_string()
}

/// Four coins with a snapshot and two days of hours.
async fn filled(kind: Kind) -> Mill {
    let mill = Mill::new(kind, 6).await;
    mill.snapshot("4").await;
    let days = Reach::Days(2);
    mill.backfill(Resolution::Hour, days, &[], &[("top", "4")])
        .await
        .unwrap();
    mill
}

async fn a_pin_reads_the_same_rows_whatever_is_stored_later(kind: Kind) {
    let mill = filled(kind).await;
    let now = reads(&mill, None).await;
    let pinned = pin(&mill).await;
    let before = reads(&mill, Some(&pinned)).await;
    same(&kept(&now), &kept(&before));
    assert!(before.iter().all(|read| read.frame.rows() > 0));
    // each read says where it can be read again
    let of_reads: Vec<String> = before
        .iter()
        .map(|read| read.pin.as_ref().unwrap().to_string())
        .collect();
    let (snapshot, series) = pinned.split_once('/').unwrap();
    assert_eq!(of_reads[0].split('@').next(), Some(snapshot));
    assert_eq!(of_reads[1], series);
    assert_eq!(of_reads[2], series);
    // the slot's other coins, more history, another resolution, later values and the next snapshot
    mill.bench.run(&[("top", "6")]).await.unwrap();
    for (resolution, days) in [(Resolution::Hour, 5), (Resolution::FiveMinutes, 1)] {
        let reach = Reach::Days(days);
        mill.backfill(resolution, reach, &[], &[("top", "6")])
            .await
            .unwrap();
    }
    mill.rows(
        "insert into price_revision (coin, resolution, ts, landing, price) \
         select p.coin, p.resolution, p.ts, (select max(m.landing) from price_point m), 1.0 \
         from price_point p where p.resolution = 60 and p.landing = (select min(m.landing) from price_point m)",
    )
    .await;
    mill.bench.sim.advance(TimeDelta::hours(7)).unwrap();
    mill.bench.run(&[("top", "6")]).await.unwrap();
    let after = reads(&mill, None).await;
    for (now, before) in after.iter().zip(&before) {
        assert!(now.frame.rows() > before.frame.rows());
    }
    same(&kept(&reads(&mill, Some(&pinned)).await), &kept(&before));
    // and so does what a read said of itself
    let settings = mill.settings(&[]);
    let again = pipeline::prices(&settings, &prices(Some(&of_reads[1]))).await;
    assert_eq!(again.unwrap().frame.batches, before[1].frame.batches);
}

/// The market's clock stands still, so every commit has the same instant: only its id says which was first.
async fn commits_of_one_millisecond_are_told_apart(kind: Kind) {
    let mill = filled(kind).await;
    let pinned = pin(&mill).await;
    let before = reads(&mill, Some(&pinned)).await;
    let reach = Reach::Days(5);
    mill.backfill(Resolution::Hour, reach, &[], &[("top", "6")])
        .await
        .unwrap();
    same(&kept(&reads(&mill, Some(&pinned)).await), &kept(&before));
    let instant = mill.bench.sim.now().to_rfc3339();
    let by_instant = reads(&mill, Some(&instant)).await;
    assert!(by_instant[1].frame.rows() > before[1].frame.rows());
}

async fn a_pin_of_an_instant_is_what_was_known_then(kind: Kind) {
    let mill = filled(kind).await;
    let then = mill.bench.sim.now();
    let by_instant = reads(&mill, Some(&then.to_rfc3339())).await;
    mill.bench.sim.advance(TimeDelta::hours(1)).unwrap();
    mill.bench.run(&[("top", "4")]).await.unwrap();
    let settings = mill.settings(&[]);
    let pinned = pipeline::pin(&settings, Some(then)).await.unwrap();
    assert_eq!(AsOf::Pin(pinned.clone()).at(), then);
    let by_pin = reads(&mill, Some(&pinned.to_string())).await;
    same(&kept(&by_pin), &kept(&by_instant));
    let early = then - TimeDelta::days(1);
    let error = pipeline::pin(&settings, Some(early)).await.unwrap_err();
    assert!(
        said(&error).starts_with("nothing was stored by 2026-01-13T12:10:00Z"),
        "{error}"
    );
    let late = then + TimeDelta::days(1);
    let error = pipeline::pin(&settings, Some(late)).await.unwrap_err();
    assert!(matches!(error, Error::Argument { .. }), "{error:?}");
}

async fn a_pin_of_other_databases_is_an_error(kind: Kind) {
    let (mill, other) = (filled(kind).await, filled(kind).await);
    let pinned = pin(&other).await;
    let settings = mill.settings(&[]);
    let of_quotes = pipeline::quotes(&settings, &quotes(Some(&pinned))).await;
    let of_prices = pipeline::prices(&settings, &prices(Some(&pinned))).await;
    for (error, name) in [
        (of_quotes.unwrap_err(), "another snapshot database"),
        (of_prices.unwrap_err(), "another time series database"),
    ] {
        assert!(matches!(error, Error::Data { .. }), "{error:?}");
        let said = said(&error);
        assert!(
            said.contains(name) && said.contains("is another run's"),
            "{said}"
        );
    }
    // one that is further on than this database is
    let (commit, rest) = pinned.split_once('-').unwrap();
    let far = format!("{commit}000-{rest}");
    let error = pipeline::quotes(&settings, &quotes(Some(&far)))
        .await
        .unwrap_err();
    assert!(said(&error).contains("is not there"), "{error}");
}

async fn a_pin_of_nothing_is_an_error(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let settings = mill.settings(&[]);
    let error = pipeline::pin(&settings, None).await.unwrap_err();
    assert!(said(&error).starts_with("nothing is stored yet"), "{error}");
    mill.snapshot("3").await;
    let pinned: Pin = pipeline::pin(&settings, None).await.unwrap();
    assert!(!pinned.to_string().contains('/'), "{pinned}");
    let days = Reach::Days(2);
    mill.backfill(Resolution::Hour, days, &[], &[("top", "3")])
        .await
        .unwrap();
    let wanted = prices(Some(&pinned.to_string()));
    let error = pipeline::prices(&settings, &wanted).await.unwrap_err();
    assert!(
        said(&error).contains("has nothing of the time series database"),
        "{error}"
    );
}
