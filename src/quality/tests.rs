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
        answered_at: now(),
        rules,
    };
    judge(quote, &context)
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
            broken(set(Measure::CurrentPrice, 1e-7)),
        ),
        ("low_market_cap", broken(set(Measure::MarketCap, 999_999.0))),
        ("low_volume", broken(set(Measure::TotalVolume, 99_999.0))),
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
        !broken(|quote| quote.measures[Measure::MarketCap as usize] = Some(1e6))
            .contains(&"low_market_cap")
    );
}

#[test]
fn the_score_is_one_for_the_best_and_falls_with_what_is_missing_or_strange() {
    let clean = Quality::default();
    assert_eq!(clean.score(100, 100), Some(1.0));
    assert_eq!(clean.score(100, 50), Some(0.5));
    assert_eq!(clean.score(100, 101), Some(1.0));
    assert_eq!(clean.score(100, 0), Some(0.0));
    assert_eq!(clean.score(0, 0), None);
    let warned = Quality {
        warnings: BTreeMap::from([("low_volume", 14)]),
        ..Quality::default()
    };
    assert_eq!(warned.score(100, 100), Some(0.99));
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
    quality.count(&findings);
    assert_eq!(quality.rejections, BTreeMap::from([("zero_price", 1)]));
}
