//! The quality of a snapshot: its rejections and warnings counted, and one number that a person can act on.
//! Rules and verdicts are its neighbours' work; here they are only counted.

use std::collections::{BTreeMap, HashSet};

use super::{Finding, QUOTE_RULES, Verdict};

/// The score's formula, for help texts.
pub const FORMULA: &str =
    "1 - (missing + warned / 10) / all, each coin counting as 1 / its market cap rank";

/// What a warning costs, as a share of what a missing coin of the same rank costs. With a tenth, a missing bitcoin costs
/// more than a warning of every quote, up to a snapshot of 12,000 coins (whose weights add up to 10).
const COST_OF_A_WARNING: f64 = 0.1;

/// The quality of what a slot holds, and of what a run refused.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Quality {
    /// Records that broke each rejecting rule.
    pub rejections: BTreeMap<&'static str, u64>,
    /// Accepted quotes that broke each warning rule.
    pub warnings: BTreeMap<&'static str, u64>,
    /// Accepted quotes that broke any warning rule.
    pub warned: u64,
    /// The market cap rank of each accepted quote, and whether it is warned about.
    accepted: Vec<(Option<u64>, bool)>,
}

impl Quality {
    /// Counts what refuses a record.
    pub fn reject(&mut self, findings: &[Finding]) {
        let rejects = |finding: &&Finding| finding.verdict == Verdict::Reject;
        for finding in findings.iter().filter(rejects) {
            *self.rejections.entry(finding.rule.name).or_default() += 1;
        }
    }

    /// Counts an accepted quote by its market cap rank and by the names of the rules that it breaks. Names of rules that are
    /// no longer in force are passed over.
    pub fn accept<'a>(&mut self, rank: Option<i64>, names: impl IntoIterator<Item = &'a str>) {
        let mut is_warned = false;
        for name in names {
            if let Some((rule, _)) = QUOTE_RULES.iter().find(|(rule, _)| rule.name == name) {
                *self.warnings.entry(rule.name).or_default() += 1;
                is_warned = true;
            }
        }
        self.warned += u64::from(is_warned);
        let rank = rank.and_then(|rank| u64::try_from(rank).ok());
        self.accepted
            .push((rank.filter(|rank| *rank > 0), is_warned));
    }

    /// The score, in \[0, 1\]: `1 - (missing + warned / 10) / all`, each coin counting as 1 / its market cap rank.
    ///
    /// `all` is the sum over the expected coins, `missing` over those of them that are not accepted, `warned` over accepted
    /// quotes with a warning. The ranks of missing coins are the best ones that no accepted quote has: so what is not known
    /// counts as if it were the largest. An accepted quote without a rank counts as the last of the expected. With
    /// `is_by_name`, where coins were chosen by name alone, ranks have nothing to do with what is expected, and each coin
    /// counts as 1. `None` where nothing was expected.
    pub fn score(&self, expected: u64, is_by_name: bool) -> Option<f64> {
        if expected == 0 {
            return None;
        }
        if self.accepted.is_empty() {
            return Some(0.0);
        }
        let count = self.accepted.len() as u64;
        let last = expected.max(count);
        let weight = |rank: u64| if is_by_name { 1.0 } else { 1.0 / real(rank) };
        let (mut held, mut accepted, mut warned) = (HashSet::new(), 0.0, 0.0);
        for (rank, is_warned) in &self.accepted {
            held.extend(*rank);
            let weight = weight(rank.unwrap_or(last));
            accepted += weight;
            warned += if *is_warned { weight } else { 0.0 };
        }
        let free = (1u64..).filter(|rank| !held.contains(rank));
        let missing = free.take(usize::try_from(expected.saturating_sub(count)).unwrap_or(0));
        let missing: f64 = missing.map(weight).sum();
        Some((accepted - COST_OF_A_WARNING * warned) / (accepted + missing))
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "ranks and counts of coins are far below 2^53"
)]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSMETIC: [&str; 1] = ["stale_quote"];

    /// A snapshot of the top so many coins, without the ranks that `missing` says and with a warning where `warned` says.
    fn snapshot(top: u64, missing: impl Fn(i64) -> bool, warned: impl Fn(i64) -> bool) -> Quality {
        let mut quality = Quality::default();
        for rank in (1..)
            .take(usize::try_from(top).unwrap())
            .filter(|rank| !missing(*rank))
        {
            let names = if warned(rank) { &COSMETIC[..] } else { &[] };
            quality.accept(Some(rank), names.iter().copied());
        }
        quality
    }

    fn score(top: u64, missing: impl Fn(i64) -> bool, warned: impl Fn(i64) -> bool) -> f64 {
        let quality = snapshot(top, missing, warned);
        quality.score(top, false).unwrap()
    }

    #[test]
    fn the_score_is_one_for_the_best_and_nothing_where_nothing_came() {
        assert_eq!(score(100, |_| false, |_| false), 1.0);
        assert_eq!(Quality::default().score(100, false), Some(0.0));
        assert_eq!(Quality::default().score(0, false), None);
        // a slot that once was to hold less
        assert_eq!(
            snapshot(101, |_| false, |_| false).score(100, false),
            Some(1.0)
        );
    }

    #[test]
    fn a_missing_bitcoin_weighs_more_than_any_number_of_warnings() {
        for top in [100, 250, 1000, 12_000] {
            let without_bitcoin = score(top, |rank| rank == 1, |_| false);
            let all_warned = score(top, |_| false, |_| true);
            assert!(
                without_bitcoin < all_warned,
                "{top}: {without_bitcoin} {all_warned}"
            );
            assert!((all_warned - 0.9).abs() < 1e-12);
            let a_quarter = score(top, |_| false, |rank| rank % 4 == 0);
            assert!(
                a_quarter > 0.97 && without_bitcoin < 0.9,
                "{top}: {a_quarter}"
            );
        }
    }

    #[test]
    fn the_larger_the_coin_the_more_it_weighs() {
        let without = |missing| score(1000, |rank| rank == missing, |_| false);
        assert!(without(1) < without(2) && without(2) < without(100));
        assert!(without(1000) > 0.9998 && without(1000) < 1.0);
        let warned = |warned| score(1000, |_| false, |rank| rank == warned);
        assert!(warned(1) < warned(2) && warned(1) > without(1));
    }

    #[test]
    fn the_score_is_the_formula_s() {
        let all = 1.0 + 1.0 / 2.0 + 1.0 / 3.0 + 1.0 / 4.0;
        let found = score(4, |rank| rank == 3, |rank| rank == 2);
        let by_hand = 1.0 - (1.0 / 3.0 + 0.1 / 2.0) / all;
        assert!((found - by_hand).abs() < 1e-12, "{found} {by_hand}");
    }

    #[test]
    fn a_quote_without_a_rank_counts_as_the_last_one() {
        let mut quality = Quality::default();
        for rank in [Some(1), None, Some(0), Some(-5)] {
            quality.accept(rank, []);
        }
        quality.accept(None, COSMETIC);
        let found = quality.score(5, false).unwrap();
        let by_hand = 1.0 - 0.1 / 5.0 / (1.0 + 4.0 / 5.0);
        assert!((found - by_hand).abs() < 1e-12, "{found} {by_hand}");
    }

    #[test]
    fn coins_chosen_by_name_weigh_the_same() {
        let mut quality = Quality::default();
        quality.accept(Some(8), []);
        quality.accept(Some(4000), COSMETIC);
        assert_eq!(quality.score(4, true), Some((2.0 - 0.1) / 4.0));
        assert_eq!(quality.warned, 1);
    }

    #[test]
    fn a_quote_with_two_warnings_is_one_quote_with_a_warning() {
        let mut quality = Quality::default();
        quality.accept(
            Some(1),
            "stale_quote,low_volume,no_rule_of_today".split(','),
        );
        quality.accept(Some(2), ["no_rule_of_today"]);
        assert_eq!(quality.warned, 1);
        assert_eq!(
            quality.warnings,
            BTreeMap::from([("low_volume", 1), ("stale_quote", 1)])
        );
    }
}
