//! Two resolutions beside each other, and a second scheduled run of the same. Coins beside each other are in `coins`.

use std::collections::BTreeMap;
use std::sync::Mutex;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use coinmill::config::Settings;
use coinmill::error::Error;
use coinmill::pipeline::{self, Prices};
use coinmill::series::Resolution;

use crate::readers::{READERS, ended, meanwhile, views};
use crate::series::{Mill, torn};
use crate::slot::until_refused;
use crate::support::command::{coinmill, json, text};
use crate::support::{Kind, on_both_databases};

on_both_databases!(
    a_second_scheduled_run_is_held,
    two_resolutions_grow_beside_each_other,
);

async fn a_second_scheduled_run_is_held(kind: Kind) {
    let mill = Mill::new(kind, 6).await;
    mill.snapshot("6").await;
    let run = |arguments: &[&str]| {
        coinmill(
            &mill.bench,
            Some(&mill.timeseries),
            arguments,
            &[("ATTEMPTS", "2")],
        )
    };
    mill.bench
        .fault("429:path=market_chart,after=3,retry_after=3");
    let scheduled = || ended(run(&["run", "timeseries", "--resolution", "1h", "--json"]));
    let held = async {
        until_refused(&mill.bench).await;
        scheduled().await
    };
    let (first, held) = tokio::join!(scheduled(), held);
    assert_eq!(json(&first)["state"], "complete", "{}", text(&first));
    assert_eq!(held.status.code(), Some(4), "{}", text(&held));
    let words = "another run is at work on the 1h series: let it finish";
    assert!(text(&held).contains(words), "{}", text(&held));
    assert_eq!(mill.states().await, ["complete"]);
    assert_eq!((mill.count("coverage").await, mill.torn().await), (6, 0));
}

/// How many points a reader saw of each coin.
type Sizes = BTreeMap<String, usize>;

/// Two batches each: a hundred charts are one.
async fn two_resolutions_grow_beside_each_other(kind: Kind) {
    let mill = Mill::new(kind, 110).await;
    mill.snapshot("110").await;
    let settings = mill.settings(&[]);
    let views = views(&mill.timeseries);
    let by_sql = views
        .iter()
        .map(|view| async move || assert_eq!(torn(view.database()).await, 0, "half a batch"));
    let resolutions = [Resolution::FiveMinutes, Resolution::Hour];
    let seen = [Mutex::new(Vec::new()), Mutex::new(Vec::new())];
    let by_package = (0..READERS).map(|reader| {
        let (seen, settings) = (&seen[reader % 2], &settings);
        async move || {
            let sizes = sizes(settings, resolutions[reader % 2]).await;
            seen.lock().unwrap().push(sizes);
        }
    });
    let run = |arguments: &[&str]| {
        ended(coinmill(
            &mill.bench,
            Some(&mill.timeseries),
            arguments,
            &[],
        ))
    };
    let work = async {
        tokio::join!(
            run(&["run", "timeseries", "--json"]),
            run(&["backfill", "--days", "2", "--top", "110", "--json"]),
        )
    };
    let (five, hour) = meanwhile(work, by_sql.collect(), by_package.collect()).await;
    for output in [&five, &hour] {
        assert_eq!(json(output)["state"], "complete", "{}", text(output));
        assert_eq!(json(output)["calls"], 110);
    }
    // whoever saw a coin saw all of it, and whoever saw coins saw whole batches of them
    for (resolution, seen) in resolutions.into_iter().zip(seen) {
        let last = sizes(&settings, resolution).await;
        assert_eq!(last.len(), 110);
        for sizes in seen.into_inner().unwrap() {
            assert!(
                [0, 100, 110].contains(&sizes.len()),
                "{} coins",
                sizes.len()
            );
            assert!(
                sizes.iter().all(|(coin, size)| last[coin] == *size),
                "{sizes:?}"
            );
        }
    }
    assert_eq!((mill.count("coverage").await, mill.torn().await), (220, 0));
    assert_eq!(mill.count("price_revision").await, 0);
    assert_eq!(
        mill.view().await.len() as i64,
        mill.count("price_point").await
    );
}

async fn sizes(settings: &Settings, resolution: Resolution) -> Sizes {
    let wanted = Prices {
        coins: Vec::new(),
        start: None,
        end: None,
        resolution,
        as_of: None,
    };
    let frame = match pipeline::prices(settings, &wanted).await {
        Ok(read) => read.frame,
        Err(error) => {
            assert!(matches!(error, Error::Data { .. }), "{error:?}");
            return Sizes::new();
        }
    };
    let mut sizes = Sizes::new();
    for batch in frame.batches {
        let coins = batch.column_by_name("coin_id").unwrap();
        let coins = coins.as_dictionary::<Int32Type>();
        for coin in coins.downcast_dict::<arrow_array::StringArray>().unwrap() {
            *sizes.entry(coin.unwrap().to_owned()).or_default() += 1;
        }
    }
    sizes
}
