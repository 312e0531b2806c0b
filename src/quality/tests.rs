use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::*;
use crate::market::{MEASURES, Measure};

fn plain() -> Quote {
    let mut measures = [None; MEASURES];
    for (measure, value) in [
        (Measure::CurrentPrice, 10.0),
        (Measure::MarketCap, 1e9),
        (Measure::FullyDilutedValuation, 1e9),
        (Measure::TotalVolume, 1e8),
        (Measure::High24h, 11.0),
        (Measure::Low24h, 9.0),
        (Measure::PriceChangePct24h, 1.0),
        (Measure::CirculatingSupply, 1e8),
        (Measure::TotalSupply, 1e8),
        (Measure::MaxSupply, 1e8),
        (Measure::Ath, 20.0),
        (Measure::Atl, 1.0),
    ] {
        measures[measure as usize] = Some(value);
    }
    Quote {
        id: "bitcoin".parse().unwrap(),
        symbol: "btc".to_owned(),
        name: Some("Bitcoin".to_owned()),
        market_cap_rank: Some(1),
        measures,
        ath_date: None,
        atl_date: None,
        roi_currency: None,
        last_updated: Some(now()),
    }
}

fn now() -> DateTime<Utc> {
    "2026-04-08T01:55:42.179Z".parse().unwrap()
}

fn findings(quote: &Quote, rules: &Rules) -> Vec<Finding> {
    let context = Context {
        sent_at: now(),
        rules,
    };
    validate(quote, &context)
}

fn broken(change: impl FnOnce(&mut Quote)) -> Vec<&'static str> {
    let mut quote = plain();
    change(&mut quote);
    findings(&quote, &Rules::default())
        .iter()
        .map(|finding| finding.rule.name)
        .collect()
}

#[test]
fn an_unremarkable_quote_breaks_no_rule() {
    assert_eq!(broken(|_| {}), Vec::<&str>::new());
}

#[test]
fn every_rule_is_broken_by_its_own_example() {
    let set = |measure: Measure, value: f64| {
        move |quote: &mut Quote| quote.measures[measure as usize] = Some(value)
    };
    let null = |measure: Measure| move |quote: &mut Quote| quote.measures[measure as usize] = None;
    let seen_at =
        |instant: DateTime<Utc>| move |quote: &mut Quote| quote.last_updated = Some(instant);
    let mut examples: Vec<(&str, Vec<&str>)> = vec![
        ("negative_price", broken(set(Measure::CurrentPrice, -1.0))),
        ("negative_market_cap", broken(set(Measure::MarketCap, -1.0))),
        ("negative_volume", broken(set(Measure::TotalVolume, -1e-9))),
        (
            "future_stamp",
            broken(seen_at(now() + TimeDelta::seconds(601))),
        ),
        (
            "ancient_stamp",
            broken(seen_at("2008-12-31T23:59:59Z".parse().unwrap())),
        ),
        ("null_price", broken(null(Measure::CurrentPrice))),
        ("zero_price", broken(set(Measure::CurrentPrice, 0.0))),
        (
            "price_out_of_bounds",
            broken(set(Measure::CurrentPrice, 1e-13)),
        ),
        ("low_market_cap", broken(set(Measure::MarketCap, 9_999.0))),
        ("low_volume", broken(set(Measure::TotalVolume, 999.0))),
        (
            "large_change_24h",
            broken(set(Measure::PriceChangePct24h, -50.1)),
        ),
        (
            "outside_24h_range",
            broken(set(Measure::CurrentPrice, 11.5)),
        ),
        (
            "stale_quote",
            broken(seen_at(now() - TimeDelta::seconds(3601))),
        ),
        ("missing_stamp", broken(|quote| quote.last_updated = None)),
        (
            "circulating_above_total",
            broken(set(Measure::TotalSupply, 1e7)),
        ),
        ("supply_above_max", broken(set(Measure::MaxSupply, 1e7))),
        (
            "valuation_below_cap",
            broken(set(Measure::FullyDilutedValuation, 1e8)),
        ),
        ("above_ath", broken(set(Measure::Ath, 9.5))),
        ("negative_measure", broken(set(Measure::Atl, -1.0))),
    ];
    for (rule, found) in &examples {
        assert!(found.contains(rule), "{rule}: {found:?}");
    }
    examples.dedup_by_key(|(rule, _)| *rule);
    assert_eq!(examples.len(), QUOTE_RULES.len(), "a rule has no example");
}

#[test]
fn what_is_at_a_bound_is_within_it() {
    assert!(
        !broken(|quote| quote.last_updated = Some(now() + TimeDelta::minutes(10)))
            .contains(&"future_stamp")
    );
    assert!(
        !broken(|quote| quote.last_updated = Some("2009-01-01T00:00:00Z".parse().unwrap()))
            .contains(&"ancient_stamp")
    );
    assert!(
        !broken(|quote| quote.measures[Measure::MarketCap as usize] = Some(1e4))
            .contains(&"low_market_cap")
    );
}

/// The fields of a quote are renewed at different moments: only what no lag and no rounding explains is a contradiction.
#[test]
fn what_contradicts_itself_by_no_more_than_one_percent_is_not_remarkable() {
    let cases = [
        (Measure::CurrentPrice, 11.0, "outside_24h_range"),
        (
            Measure::FullyDilutedValuation,
            1e9 / 1.01,
            "valuation_below_cap",
        ),
        (Measure::TotalSupply, 1e8 / 1.01, "circulating_above_total"),
        (Measure::MaxSupply, 1e8 / 1.01, "supply_above_max"),
        (Measure::Ath, 10.0 / 1.01, "above_ath"),
    ];
    for (field, value, rule) in cases {
        let shifted = |share: f64| {
            let outward = if field == Measure::CurrentPrice {
                1.01
            } else {
                1.0
            };
            let direction = if field == Measure::CurrentPrice {
                share
            } else {
                1.0 / share
            };
            broken(|quote| quote.measures[field as usize] = Some(value * outward * direction))
        };
        assert!(!shifted(0.9999).contains(&rule), "{rule}");
        assert!(shifted(1.0001).contains(&rule), "{rule}");
    }
    let low = |price| broken(|quote| quote.measures[Measure::CurrentPrice as usize] = Some(price));
    assert!(!low(8.911).contains(&"outside_24h_range"));
    assert!(low(8.909).contains(&"outside_24h_range"));
}

#[test]
fn a_cap_of_0_is_low_only_where_the_supply_is_known() {
    let with_supply = |supply| {
        broken(|quote| {
            quote.measures[Measure::MarketCap as usize] = Some(0.0);
            quote.measures[Measure::CirculatingSupply as usize] = supply;
        })
    };
    assert!(with_supply(Some(1e8)).contains(&"low_market_cap"));
    for unknown in [None, Some(0.0)] {
        assert!(!with_supply(unknown).contains(&"low_market_cap"));
    }
}

#[test]
fn a_volume_of_0_is_low_only_where_the_price_moves() {
    let with_change = |change| {
        broken(|quote| {
            quote.measures[Measure::TotalVolume as usize] = Some(0.0);
            quote.measures[Measure::PriceChangePct24h as usize] = change;
        })
    };
    for stands in [0.0, 1.0, -1.0] {
        assert!(!with_change(Some(stands)).contains(&"low_volume"));
    }
    for moves in [Some(1.1), Some(-1.1), None] {
        assert!(with_change(moves).contains(&"low_volume"));
    }
}

#[test]
fn every_bound_that_a_rule_names_is_a_setting() {
    for rule in all_rules() {
        if let Bound::Set(limits) = rule.bound {
            assert!(!limits.is_empty());
            for limit in limits {
                assert!(
                    Thresholds::default().get(limit.setting()).is_some(),
                    "{limit:?}"
                );
            }
        }
    }
}

#[test]
fn the_rules_are_named_by_their_bounds_and_verdicts() {
    let rules = |thresholds, refuse: &[&str]| {
        let refuse: Vec<String> = refuse.iter().map(|name| (*name).to_owned()).collect();
        Rules::new(thresholds, &refuse)
    };
    let name = |thresholds, refuse: &[&str]| rules(thresholds, refuse).unwrap().name();
    let usual = Thresholds::default();
    let other = Thresholds {
        min_price: 0.0,
        ..usual
    };
    assert_eq!(name(usual, &[]), name(usual, &[]));
    assert_ne!(name(usual, &[]), name(other, &[]));
    assert_ne!(name(usual, &[]), name(usual, &["zero_price"]));
    for wrong in ["zero", "negative_price"] {
        let said = rules(usual, &[wrong]).unwrap_err().to_string();
        assert!(said.contains(wrong) && said.contains("above_ath"), "{said}");
    }
}

#[test]
fn a_warning_can_be_made_a_refusal() {
    let mut quote = plain();
    quote.measures[Measure::CurrentPrice as usize] = Some(0.0);
    assert!(!rejects(&findings(&quote, &Rules::default())));
    let strict = Rules::new(Thresholds::default(), &["zero_price".to_owned()]).unwrap();
    let findings = findings(&quote, &strict);
    assert!(rejects(&findings));
    let mut quality = Quality::default();
    quality.reject(&findings);
    assert_eq!(quality.rejections, BTreeMap::from([("zero_price", 1)]));
}

/// Quotes on either side of every bound that a check has, one field at a time.
fn probes() -> Vec<Quote> {
    let mut probes = Vec::new();
    let mut probe = |change: &dyn Fn(&mut Quote)| {
        let mut quote = plain();
        change(&mut quote);
        probes.push(quote);
    };
    let values = [
        None,
        Some(-50.5),
        Some(-1e-9),
        Some(0.0),
        Some(1e-13),
        Some(1e-12),
        Some(1e-7),
        Some(1e-6),
        Some(0.5),
        Some(8.9),
        Some(8.95),
        Some(9.0),
        Some(9.95),
        Some(11.1),
        Some(11.2),
        Some(20.5),
        Some(50.0),
        Some(50.5),
        Some(9e2),
        Some(1e3),
        Some(9e3),
        Some(1e4),
        Some(9e4),
        Some(1e5),
        Some(9e5),
        Some(1e6),
        Some(1.1e6),
        Some(9e7),
        Some(9.95e7),
        Some(2e8),
        Some(9e8),
        Some(9.95e8),
        Some(2e9),
    ];
    for field in Measure::ALL {
        for value in values {
            probe(&|quote| quote.measures[*field as usize] = value);
        }
    }
    probe(&|quote| quote.last_updated = None);
    for seconds in [-3_601, -3_600, 0, 600, 601] {
        probe(&|quote| quote.last_updated = Some(now() + TimeDelta::seconds(seconds)));
    }
    for second in ["2008-12-31T23:59:59Z", "2009-01-01T00:00:00Z"] {
        probe(&|quote| quote.last_updated = Some(second.parse().unwrap()));
    }
    probes
}

/// The rule set's name must change when a check does. What each check says of the probes is written down here beside its
/// version: another saying needs the next version.
#[test]
fn a_check_that_decides_otherwise_has_another_version() {
    let rules = Rules::default();
    let context = Context {
        sent_at: now(),
        rules: &rules,
    };
    let probes = probes();
    let said: Vec<String> = QUOTE_RULES
        .iter()
        .map(|(rule, check)| {
            let broken: String = probes
                .iter()
                .map(|quote| {
                    if check(quote, &context).is_some() {
                        '1'
                    } else {
                        '0'
                    }
                })
                .collect();
            let print = hex::encode(digest(&SHA256, broken.as_bytes()));
            format!("{} {} {}", rule.name, rule.version, &print[..8])
        })
        .collect();
    let written = [
        "negative_price 1 fe872fb5",
        "negative_market_cap 1 956b3cee",
        "negative_volume 1 1e2b06a2",
        "future_stamp 1 45516dcb",
        "ancient_stamp 1 8ce86e05",
        "null_price 1 a934935c",
        "zero_price 1 b42381c5",
        "price_out_of_bounds 2 6c28404e",
        "low_market_cap 2 5e8c0a72",
        "low_volume 2 047cd1b6",
        "large_change_24h 1 2537fc6f",
        "outside_24h_range 2 1efbdd2a",
        "stale_quote 1 87541154",
        "missing_stamp 1 04728718",
        "circulating_above_total 2 2c2aa1dd",
        "supply_above_max 2 5051dd82",
        "valuation_below_cap 2 d3b9a1c8",
        "above_ath 2 fd99db4c",
        "negative_measure 1 82b6895d",
    ];
    assert_eq!(
        said, written,
        "give a check that has changed the next version"
    );
}

#[test]
fn the_name_of_a_rule_set_tells_versions_apart() {
    let name = |version| {
        let rule = Rule {
            version,
            ..QUOTE_RULES[0].0
        };
        Rules::default().name_of([&rule].into_iter())
    };
    assert_ne!(name(1), name(2));
    assert_eq!(name(1), name(1));
}
