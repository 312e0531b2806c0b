use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::quality::RECORD_RULES;

fn whole() -> Value {
    json!({
        "id": "bitcoin", "symbol": "btc", "name": "Bitcoin", "image": "https://example.invalid/1.png",
        "current_price": 71509, "market_cap": 1_431_781_265_416_u64, "market_cap_rank": 1,
        "fully_diluted_valuation": 1_431_781_265_416_u64, "total_volume": 56_787_502_491_u64, "high_24h": 72379,
        "low_24h": 67805, "price_change_24h": 3081.76, "price_change_percentage_24h": 4.50372,
        "market_cap_change_24h": 62_625_537_072_u64, "market_cap_change_percentage_24h": 4.57403,
        "circulating_supply": 20_012_856.0, "total_supply": 20_012_856.0, "max_supply": 21_000_000.0, "ath": 126_080,
        "ath_change_percentage": -43.2829, "ath_date": "2025-10-06T18:57:42.558Z", "atl": 67.81,
        "atl_change_percentage": 105_356.298_52, "atl_date": "2013-07-06T00:00:00.000Z",
        "roi": {"times": 2.5, "currency": "usd", "percentage": 250.1}, "last_updated": "2026-04-08T01:55:42.179Z"
    })
}

fn body(records: &[Value]) -> Vec<u8> {
    serde_json::to_vec(records).unwrap()
}

fn broken_rules(record: &Value) -> Vec<(&'static str, &'static str)> {
    let body = body(std::slice::from_ref(record));
    let parsed = parse(&body).unwrap();
    match &parsed[0].quote {
        Ok(_) => Vec::new(),
        Err(findings) => findings
            .iter()
            .map(|finding| (finding.rule.name, finding.field))
            .collect(),
    }
}

#[test]
fn every_field_is_read() {
    let mut whole = whole();
    for span in CHANGES.split(',') {
        whole[format!("price_change_percentage_{span}_in_currency")] = json!(1.5);
    }
    let body = body(&[whole]);
    let record = parse(&body).unwrap().remove(0);
    assert_eq!(record.drift, []);
    let quote = record.quote.unwrap();
    assert!(quote.measures.iter().all(Option::is_some));
    assert_eq!(quote.measure(Measure::RoiPct), Some(250.1));
    assert_eq!(
        (quote.market_cap_rank, quote.roi_currency.as_deref()),
        (Some(1), Some("usd"))
    );
    assert_eq!(
        quote.last_updated.unwrap().timestamp_millis(),
        1_775_613_342_179
    );
}

#[test]
fn only_id_and_symbol_must_be_there() {
    for record in [json!({"id": "a", "symbol": "b"}), {
        let nulls = whole()
            .as_object()
            .unwrap()
            .keys()
            .map(|key| (key.clone(), Value::Null))
            .collect();
        let mut record = Value::Object(nulls);
        record["id"] = json!("a");
        record["symbol"] = json!("b");
        record
    }] {
        assert_eq!(broken_rules(&record), []);
    }
    assert_eq!(
        broken_rules(&json!({"symbol": "b"})),
        [("missing_id", "id")]
    );
    assert_eq!(
        broken_rules(&json!({"id": "", "symbol": "b"})),
        [("missing_id", "id")]
    );
    assert_eq!(
        broken_rules(&json!({"id": "a"})),
        [("missing_symbol", "symbol")]
    );
    assert_eq!(broken_rules(&json!(["a"])), [("not_an_object", "record")]);
}

#[test]
fn numbers_keep_their_digits_whatever_they_look_like() {
    let body = br#"[{"id":"a","symbol":"b","current_price":2.839e-09,"market_cap":-0.0,"max_supply":115792089237316195423570985008687907853269984665640564039457,"atl_change_percentage":679101.123456789}]"#;
    let quote = parse(body).unwrap().remove(0).quote.unwrap();
    assert_eq!(quote.measure(Measure::CurrentPrice), Some(2.839e-9));
    assert_eq!(quote.measure(Measure::MarketCap).map(f64::to_bits), Some(0));
    assert_eq!(
        quote.measure(Measure::MaxSupply),
        "115792089237316195423570985008687907853269984665640564039457"
            .parse()
            .ok()
    );
    assert_eq!(
        quote.measure(Measure::AtlChangePct),
        Some(679_101.123_456_789)
    );
}

#[test]
fn a_number_beyond_all_bounds_costs_only_its_record() {
    let body = br#"[{"id":"a","symbol":"b","current_price":1e999},{"id":"c","symbol":"d","current_price":1}]"#;
    let records = parse(body).unwrap();
    assert_eq!(
        records[0].quote.as_ref().unwrap_err()[0].rule.name,
        "non_finite"
    );
    assert_eq!(records[0].id.as_deref(), Some("a"));
    assert!(records[1].quote.is_ok());
}

#[test]
fn a_text_that_postgres_cannot_hold_is_refused() {
    assert_eq!(
        broken_rules(&json!({"id": "a\u{0}", "symbol": "b"}))[0],
        ("unstorable_text", "id")
    );
    assert_eq!(
        broken_rules(&json!({"id": "a", "symbol": "b", "name": "x\u{0}"})),
        [("unstorable_text", "name")]
    );
}

#[test]
fn what_is_no_array_may_pass_on_another_try() {
    for body in [&b"[{\"id\":\"a\""[..], b"{}", b"", b"\xff", b"[NaN]"] {
        assert!(parse(body).unwrap_err().is_retryable(), "{body:?}");
    }
}

#[test]
fn the_pages_hold_the_top_coins_and_hardly_more() {
    let lengths = |top| pages(top).iter().map(|page| page.rows).collect::<Vec<_>>();
    assert_eq!(lengths(0), Vec::<u32>::new());
    assert_eq!(lengths(100), [100]);
    assert_eq!(lengths(250), [250]);
    assert_eq!(lengths(251), [126, 126]);
    assert_eq!(lengths(1000), [250; 4]);
    assert_eq!(pages(1000)[2].ranks(), (501, 750));
}

#[test]
fn coins_by_name_are_requested_in_lists_that_coingecko_takes() {
    let coins: Vec<CoinId> = (0..600)
        .map(|n| format!("a-rather-long-coin-id-{n}").parse().unwrap())
        .collect();
    let requests = by_ids("usd", &coins);
    let asked: Vec<CoinId> = requests
        .iter()
        .flat_map(|(_, coins)| coins.clone())
        .collect();
    assert_eq!(asked, coins);
    let base = "http://h/api/v3".parse().unwrap();
    assert!(
        requests
            .iter()
            .all(|(request, _)| request.url(&base).as_str().len() < 4_200)
    );
    assert!(by_ids("usd", &[]).is_empty());
}

fn wrong() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(true)),
        Just(json!({"a": 1})),
        Just(json!([1])),
        Just(json!("not-a-number-or-date")),
    ]
}

proptest! {
    #[test]
    fn a_wrong_type_in_any_field_is_caught_and_named(index in 0usize..26, wrong in wrong()) {
        let mut record = whole();
        let name = record.as_object().unwrap().keys().nth(index).unwrap().clone();
        let texts = ["id", "symbol", "name", "image"];
        prop_assume!(name != "image");
        prop_assume!(!(wrong.is_string() && texts.contains(&name.as_str())));
        // an object is what `roi` may be
        prop_assume!(!(name == "roi" && wrong.is_object()));
        record[&name] = wrong;
        let broken = broken_rules(&record);
        prop_assert!(broken.iter().any(|(rule, field)| *rule == "wrong_type" && *field == name), "{name}: {broken:?}");
    }

    #[test]
    fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&body);
    }

    #[test]
    fn any_double_survives_the_trip_through_json(bits in any::<u64>()) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite() && number != 0.0);
        let body = body(&[json!({"id": "a", "symbol": "b", "ath": number})]);
        let quote = parse(&body).unwrap().remove(0).quote.unwrap();
        prop_assert_eq!(quote.measure(Measure::Ath), Some(number));
    }
}

/// As `quality` holds it for the rules of quotes: what makes a record no quote is written down beside its rule's version.
#[test]
fn a_reading_that_decides_otherwise_has_another_version() {
    let mut records = vec![json!(null), json!([]), json!("x"), json!(1)];
    for field in whole().as_object().unwrap().keys() {
        let long = "x".repeat(1_001);
        for value in [
            json!(null),
            json!("x"),
            json!(1.5),
            json!("a\0b"),
            json!(long),
            json!({}),
            json!(true),
        ] {
            let mut record = whole();
            record[field] = value;
            records.push(record);
        }
    }
    let mut said = BTreeMap::new();
    for (place, record) in records.iter().enumerate() {
        for (rule, field) in broken_rules(record) {
            said.entry(rule)
                .or_insert_with(Vec::new)
                .push((place, field));
        }
    }
    let said: Vec<String> = RECORD_RULES
        .iter()
        .filter_map(|rule| Some((rule, said.get(rule.name)?)))
        .map(|(rule, broken)| format!("{} {} {}", rule.name, rule.version, print(broken)))
        .collect();
    let written = [
        "not_an_object 1 e4a72019",
        "missing_id 1 3fb557f1",
        "missing_symbol 1 30aa0ceb",
        "wrong_type 1 94eb61ae",
        "unstorable_text 1 1f681fed",
    ];
    assert_eq!(
        said, written,
        "give a rule that has changed the next version"
    );
}

fn print(said: &impl std::fmt::Debug) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, format!("{said:?}").as_bytes());
    hex::encode(hash)[..8].to_owned()
}
