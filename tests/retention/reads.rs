//! Reads: what was pruned is missing and says so, whatever the pin.

use chrono::{DateTime, TimeDelta, Utc};
use coinmill::candles::zone;
use coinmill::error::Error;
use coinmill::pipeline::{self, AsOf, Candles, Missing, Pin, Prices, Reach, Read};
use coinmill::series::Resolution;

use crate::scene::{four_days, prune, yesterday};
use crate::series::Mill;
use crate::support::{Kind, noon, on_both_databases, said};

on_both_databases!(
    a_span_from_before_the_horizon_says_what_was_pruned,
    an_instant_from_before_the_prune_says_so_too,
    a_pin_from_before_the_prune_gives_the_same_rows_or_none,
    a_span_after_the_horizon_misses_nothing_more_than_before,
    where_nothing_is_left_it_is_said_why,
    what_was_pruned_can_be_fetched_again_once_it_is_kept,
);

fn of(start: Option<DateTime<Utc>>, as_of: Option<DateTime<Utc>>) -> Prices {
    Prices {
        coins: Vec::new(),
        start,
        end: None,
        resolution: Resolution::Hour,
        as_of: as_of.map(AsOf::from),
    }
}

async fn read(mill: &Mill, wanted: &Prices) -> Read {
    pipeline::prices(&mill.settings(&[]), wanted).await.unwrap()
}

/// The one span that was pruned, before which there is none, and what else is missing.
fn pruned(read: &Read) -> (Missing, &[Missing]) {
    let [first, rest @ ..] = read.missing.as_slice() else {
        panic!("nothing is missing")
    };
    assert_eq!(first.coin_id, None);
    assert_eq!(first.what, "points before 2026-01-13T00:00:00Z");
    assert_eq!(
        first.reason,
        "points at 1h before 2026-01-13T00:00:00Z were pruned at 2026-01-14T12:10:00Z, by retention_days_1h = 1"
    );
    assert!(
        rest.iter().all(|span| span.start >= yesterday()),
        "{rest:?}"
    );
    (first.clone(), rest)
}

const ONE_DAY: [(&str, &str); 1] = [("retention_days_1h", "1")];

async fn a_span_from_before_the_horizon_says_what_was_pruned(kind: Kind) {
    let mill = four_days(kind).await;
    let start = noon() - TimeDelta::days(5);
    prune(&mill, &ONE_DAY).await.unwrap();
    for coins in [&[][..], &["bitcoin"], &["bitcoin", "ethereum"]] {
        let wanted = Prices {
            coins: coins.iter().map(|coin| coin.parse().unwrap()).collect(),
            ..of(Some(start), None)
        };
        let read = read(&mill, &wanted).await;
        let (gone, _) = pruned(&read);
        assert_eq!((gone.start, gone.end), (start, yesterday()));
        let warning = read.warning.unwrap();
        assert!(warning.contains("by retention_days_1h = 1"), "{warning}");
        assert!(read.frame.rows() > 0);
    }
    // an end alone asks for all that was before it
    let wanted = Prices {
        end: Some(yesterday() + TimeDelta::hours(3)),
        ..of(None, None)
    };
    let until = read(&mill, &wanted).await;
    assert_eq!(pruned(&until).0.end, yesterday());
    assert_eq!(until.frame.rows(), 4 * 3);
    let wanted = Prices {
        end: Some(yesterday() - TimeDelta::hours(3)),
        ..of(None, None)
    };
    let before = read(&mill, &wanted).await;
    assert_eq!(pruned(&before).0.end, yesterday() - TimeDelta::hours(3));
    assert_eq!(before.frame.rows(), 0);
    // and nothing written asks for everything
    let all = read(&mill, &of(None, None)).await;
    let (gone, rest) = pruned(&all);
    assert!(gone.start < noon() - TimeDelta::days(6), "{gone:?}");
    assert_eq!((rest, &all.warning), (&[][..], &None));
}

async fn an_instant_from_before_the_prune_says_so_too(kind: Kind) {
    let mill = four_days(kind).await;
    let pin = noon() + TimeDelta::minutes(1);
    let start = Some(noon() - TimeDelta::days(3));
    let before = read(&mill, &of(start, Some(pin))).await;
    mill.bench
        .sim
        .set_clock(noon() + TimeDelta::hours(1))
        .unwrap();
    prune(&mill, &ONE_DAY).await.unwrap();
    let after = read(&mill, &of(start, Some(pin))).await;
    let [gone, ..] = after.missing.as_slice() else {
        panic!("nothing is missing")
    };
    assert!(
        gone.reason.contains("were pruned at 2026-01-14T13:10:00Z"),
        "{gone:?}"
    );
    assert!(after.frame.rows() < before.frame.rows());
    // from the horizon on the pin shows what it showed
    let since = read(&mill, &of(Some(yesterday()), Some(pin))).await;
    assert_eq!(since.missing, []);
    assert_eq!(since.frame.rows(), after.frame.rows());
}

async fn a_pin_from_before_the_prune_gives_the_same_rows_or_none(kind: Kind) {
    let mill = four_days(kind).await;
    let settings = mill.settings(&[]);
    let pin = pipeline::pin(&settings, None).await.unwrap();
    let at = |start: Option<DateTime<Utc>>, pin: &Pin| Prices {
        as_of: Some(AsOf::Pin(pin.clone())),
        ..of(start, None)
    };
    let late = Some(yesterday());
    let before = read(&mill, &at(late, &pin)).await;
    let later = noon() + TimeDelta::hours(1);
    mill.bench.sim.set_clock(later).unwrap();
    prune(&mill, &ONE_DAY).await.unwrap();
    let early = Some(yesterday() - TimeDelta::minutes(1));
    for start in [None, early] {
        let error = pipeline::prices(&settings, &at(start, &pin))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Data { .. }), "{error:?}");
        let said = said(&error);
        assert!(
            said.contains("is gone for this span: points at 1h before 2026-01-13"),
            "{said}"
        );
    }
    let after = read(&mill, &at(late, &pin)).await;
    assert_eq!(after.frame.batches, before.frame.batches);
    assert_eq!(after.missing, before.missing);
    // candles of five-minute and hourly points, of which the hourly ones are gone
    let candles = Candles {
        coins: Vec::new(),
        every: "1h".parse().unwrap(),
        zone: zone("UTC").unwrap(),
        start: Some(yesterday() - TimeDelta::hours(1)),
        end: None,
        as_of: Some(AsOf::Pin(pin.clone())),
    };
    let error = pipeline::candles(&settings, &candles).await.unwrap_err();
    assert!(said(&error).contains("is gone for this span"), "{error}");
    // by an instant they are there as far as they are, and no pin is given of them
    let by_instant = Candles {
        start: None,
        as_of: Some((noon() + TimeDelta::minutes(1)).into()),
        ..candles
    };
    let read_by_instant = pipeline::candles(&settings, &by_instant).await.unwrap();
    assert_eq!(read_by_instant.pin, None);
    assert!(read_by_instant.missing[0].reason.contains("were pruned"));
    let now = read(&mill, &of(None, None)).await;
    assert!(now.pin.is_some());
    assert_eq!(
        read(&mill, &of(None, Some(noon() + TimeDelta::minutes(1))))
            .await
            .pin,
        None
    );
    // other resolutions are whole, and a pin that was made since then knows no more than there is
    let daily = Prices {
        resolution: Resolution::Day,
        ..at(None, &pin)
    };
    read(&mill, &daily).await;
    let new = pipeline::pin(&settings, None).await.unwrap();
    let all = read(&mill, &at(None, &new)).await;
    assert_eq!(
        all.frame.batches,
        read(&mill, &of(None, None)).await.frame.batches
    );
}

async fn a_span_after_the_horizon_misses_nothing_more_than_before(kind: Kind) {
    let mill = four_days(kind).await;
    for resolution in Resolution::ALL {
        let wanted = Prices {
            resolution,
            ..of(Some(yesterday()), None)
        };
        let before = read(&mill, &wanted).await;
        let setting = format!("retention_days_{resolution}");
        prune(&mill, &[(&setting, "1")]).await.unwrap();
        let after = read(&mill, &wanted).await;
        assert_eq!(after.missing, before.missing);
        assert_eq!(after.frame.rows(), before.frame.rows());
    }
}

async fn where_nothing_is_left_it_is_said_why(kind: Kind) {
    let mill = four_days(kind).await;
    mill.bench
        .sim
        .set_clock(noon() + TimeDelta::days(60))
        .unwrap();
    prune(&mill, &ONE_DAY).await.unwrap();
    for as_of in [None, Some(noon() + TimeDelta::minutes(1))] {
        for coins in [vec![], vec!["bitcoin".parse().unwrap()]] {
            let wanted = Prices {
                coins,
                ..of(None, as_of)
            };
            let error = pipeline::prices(&mill.settings(&[]), &wanted)
                .await
                .unwrap_err();
            assert!(matches!(error, Error::Data { .. }), "{error:?}");
            let said = said(&error);
            let why = "points at 1h before 2026-03-14T00:00:00Z were pruned at 2026-03-15T12:10:00Z, by retention_days_1h = 1";
            assert!(said.contains(why), "{said}");
            assert!(!said.contains("fetched later"), "{said}");
        }
    }
}

async fn what_was_pruned_can_be_fetched_again_once_it_is_kept(kind: Kind) {
    let mill = four_days(kind).await;
    let view = mill.view().await;
    prune(&mill, &ONE_DAY).await.unwrap();
    let week = Reach::Days(7);
    let again = mill.backfill(Resolution::Hour, week, &[], &[("top", "4")]);
    again.await.unwrap();
    assert_eq!(mill.view().await, view);
    let start = Some(noon() - TimeDelta::days(5));
    assert_eq!(read(&mill, &of(start, None)).await.missing, []);
    mill.counts().await;
}
