//! `coinmill rules`: each rule with its verdict, its bound, its reason and its counts.
//! Which rules there are, and what they flagged, is the pipeline's to say.

use std::fmt::Write as _;

use super::layout::{table, with_notes, wrapped};
use super::settings::SettingArguments;
use super::show::of_quotes;
use super::{COMPLETE, print};
use crate::error::Result;
use crate::pipeline::{self, RuleInForce, RulesReport};
use crate::planner::grouped;
use crate::quality::Verdict;

pub(super) async fn rules(days: u32, settings: SettingArguments, json: bool) -> Result<u8> {
    let settings = settings.load()?;
    let report = pipeline::rules(&settings, days).await?;
    print(json, &report, || text(&report))?;
    Ok(COMPLETE)
}

fn text(report: &RulesReport) -> String {
    let days = match report.days {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), grouped);
    let row = |rule: &RuleInForce| {
        vec![
            rule.rule.to_owned(),
            rule.of.to_owned(),
            match rule.verdict {
                Verdict::Reject => "reject",
                Verdict::Warn => "warn",
            }
            .to_owned(),
            rule.bound.clone().unwrap_or_else(|| "-".to_owned()),
            count(rule.newest),
            count(rule.recent),
        ]
    };
    let note = |rule: &RuleInForce| {
        let settings: Vec<&str> = rule.settings.keys().copied().collect();
        let settings = match settings[..] {
            [] => String::new(),
            _ => format!("; set by {}", settings.join(", ")),
        };
        let reason = wrapped(&format!("{}{settings}", rule.reason), 3);
        format!("   {reason}\n   {}", wrapped(rule.source, 3))
    };
    let header = ["rule", "of", "verdict", "bound", "newest", &days];
    let rows = report.rules.iter().map(row).collect();
    let table = table(&header, &[4, 5], rows);
    let mut text = with_notes(&table, report.rules.iter().map(note));
    text.push_str("\n\n");
    if let (Some(slot), Some(newest)) = (report.newest_snapshot, report.newest) {
        let slot = slot.format("%Y-%m-%dT%H:%MZ");
        let warned = of_quotes(newest.warned, newest.quotes);
        let _infallible = writeln!(text, " newest: snapshot {slot}, {warned}");
    }
    if let Some(recent) = report.recent {
        let warned = of_quotes(recent.warned, recent.quotes);
        let _infallible = writeln!(text, " {days}: {warned}");
    } else {
        text.push_str(" no counts: there is no database yet, `coinmill run snapshot` makes it\n");
    }
    let score = wrapped(&format!("score: {}", report.score), 1);
    let _infallible = writeln!(text, " {score}\n rule set: {}", report.rule_set);
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::pipeline::Warned;
    use crate::quality::{FORMULA, all_rules};

    fn report(count: Option<u64>) -> RulesReport {
        let rule = |rule: &'static crate::quality::Rule| RuleInForce {
            rule: rule.name,
            of: "quote",
            version: rule.version,
            verdict: rule.verdict,
            bound: Some("< 1e-12, > 1e6".to_owned()),
            settings: BTreeMap::from([("min_price", 1e-12), ("max_price", 1e6)]),
            reason: rule.reason,
            source: rule.source,
            newest: count,
            recent: count.map(|count| count * 48),
        };
        RulesReport {
            rule_set: "0123456789ab".to_owned(),
            score: FORMULA,
            days: 7,
            newest_snapshot: count.map(|_| "2026-01-14T12:00:00Z".parse().unwrap()),
            newest: count.map(|_| Warned {
                quotes: 1000,
                warned: 12,
            }),
            recent: count.map(|_| Warned {
                quotes: 336_000,
                warned: 4000,
            }),
            rules: all_rules().map(rule).collect(),
        }
    }

    #[test]
    fn the_list_fits_80_columns_with_large_counts() {
        let text = text(&report(Some(20_000)));
        let too_long: Vec<&str> = text
            .lines()
            .filter(|line| line.chars().count() > 80)
            // these are wrapped where there is a terminal
            .filter(|line| !line.starts_with("   ") && !line.starts_with(" score"))
            .collect();
        assert!(too_long.is_empty(), "{too_long:#?}");
        assert!(text.contains("12 of 1,000 quotes have a warning"), "{text}");
        assert!(text.contains("960,000") && text.contains("score: 1 - "));
    }

    #[test]
    fn without_a_database_there_are_no_counts() {
        let text = text(&report(None));
        assert!(
            text.contains("no counts: there is no database yet"),
            "{text}"
        );
        assert!(!text.contains("newest: snapshot"), "{text}");
    }
}
