//! Every number leads back to its bytes: a quote, a point, what it was before, and what was refused.

use chrono::TimeDelta;
use coinmill::landing;
use coinmill::pipeline::{self, Explain, Explained, Origin};
use coinmill::series::Resolution;

use crate::series::{HOUR, MINUTE, Mill, prices};
use crate::support::{Kind, noon, on_both_databases};

on_both_databases!(
    a_quote_and_a_point_lead_to_the_bytes_that_hold_them,
    a_revision_and_a_refused_value_are_told_beside_the_first_one,
    a_body_that_is_gone_or_damaged_is_said_to_be,
    what_is_not_stored_is_an_error_that_names_the_remedy,
);

fn wanted(coin: &str, at: i64, resolution: Option<Resolution>) -> Explain {
    Explain {
        coin: coin.parse().unwrap(),
        at: chrono::DateTime::from_timestamp_millis(at).unwrap(),
        resolution,
    }
}

async fn explained(mill: &Mill, wanted: &Explain) -> Explained {
    pipeline::explain(&mill.settings(&[]), wanted)
        .await
        .unwrap()
}

/// The text of the body that an origin names.
fn body(mill: &Mill, origin: &Origin) -> String {
    let root = &mill.settings(&[]).landing_dir;
    let landed = landing::find(root, &origin.provenance.body, &origin.provenance.sha256).unwrap();
    String::from_utf8(landing::read(root, &landed).unwrap()).unwrap()
}

async fn a_quote_and_a_point_lead_to_the_bytes_that_hold_them(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.snapshot("3").await;
    let report = mill
        .run(Resolution::FiveMinutes, &[("top", "3")])
        .await
        .unwrap();
    let found = explained(&mill, &wanted("bitcoin", noon().timestamp_millis(), None)).await;
    let quote = found.quote.unwrap();
    let (values, origin) = (quote.values.unwrap(), quote.origin.unwrap());
    assert_eq!(
        (origin.landed, &*origin.provenance.kind),
        ("there", "snapshot")
    );
    assert!(origin.provenance.request.contains("/coins/markets"));
    let records: serde_json::Value = serde_json::from_str(&body(&mill, &origin)).unwrap();
    let records = records.as_array().unwrap().iter();
    let record = records
        .clone()
        .find(|record| record["id"] == "bitcoin")
        .unwrap();
    assert_eq!(
        values["current_price"].as_f64(),
        record["current_price"].as_f64()
    );
    // an hour before, where there is no quote
    let at = noon().timestamp_millis() - HOUR;
    let found = explained(&mill, &wanted("bitcoin", at, None)).await;
    assert!(found.quote.is_none());
    let [point] = &found.points[..] else {
        panic!("{:?}", found.points);
    };
    let ts = point.ts.timestamp_millis();
    assert!(at - ts < 13 * MINUTE && ts <= at);
    let [version] = &point.versions[..] else {
        panic!("{:?}", point.versions);
    };
    assert_eq!(version.origin.provenance.run, report.run);
    let chart: serde_json::Value = serde_json::from_str(&body(&mill, &version.origin)).unwrap();
    let prices = chart["prices"].as_array().unwrap();
    let stored = prices
        .iter()
        .find(|pair| pair[0].as_i64() == Some(ts))
        .unwrap();
    assert_eq!(stored[1].as_f64(), version.price);
}

async fn a_revision_and_a_refused_value_are_told_beside_the_first_one(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let first = noon().timestamp_millis() - 20 * HOUR;
    for values in [["1", "2", "3"], ["1", "2.5", "-3"], ["1", "2.75", "3"]] {
        mill.bench.sim.advance(TimeDelta::hours(1)).unwrap();
        mill.answer(&prices(first, 5 * MINUTE, &values));
        mill.bitcoin().await.unwrap();
    }
    let fine = Some(Resolution::FiveMinutes);
    let found = explained(&mill, &wanted("bitcoin", first + 5 * MINUTE, fine)).await;
    assert!(found.quote.is_none());
    let versions = &found.points[0].versions;
    let known: Vec<Option<f64>> = versions.iter().map(|version| version.price).collect();
    assert_eq!(known, [2.0, 2.5, 2.75].map(Some));
    let runs: std::collections::BTreeSet<&str> = versions
        .iter()
        .map(|version| &*version.origin.provenance.run)
        .collect();
    assert_eq!(runs.len(), 3);
    let found = explained(&mill, &wanted("bitcoin", first + 10 * MINUTE, fine)).await;
    let [refused] = &found.points[0].refused[..] else {
        panic!("{:?}", found.points);
    };
    assert_eq!(
        (&*refused.rule, found.points[0].versions.len()),
        ("negative_price", 1)
    );
    assert!(refused.raw.contains("-3"));
}

async fn a_body_that_is_gone_or_damaged_is_said_to_be(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.snapshot("3").await;
    let asked = wanted("bitcoin", noon().timestamp_millis(), None);
    let state = async || {
        explained(&mill, &asked)
            .await
            .quote
            .unwrap()
            .origin
            .unwrap()
    };
    let file = mill
        .settings(&[])
        .landing_dir
        .join(state().await.provenance.body);
    std::fs::write(&file, b"other bytes").unwrap();
    assert_eq!(state().await.landed, "damaged");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(state().await.landed, "gone");
}

async fn what_is_not_stored_is_an_error_that_names_the_remedy(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.snapshot("3").await;
    let settings = mill.settings(&[]);
    let asked = wanted("bitcoin", noon().timestamp_millis() - 90 * HOUR, None);
    let error = pipeline::explain(&settings, &asked).await.unwrap_err();
    assert!(
        error.to_string().contains("coinmill gaps bitcoin"),
        "{error}"
    );
}
