//! Gaps and healing as text for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::layout::{line, table};
use super::show;
use crate::pipeline::{GapsReport, GapsTotal, HealReport};
use crate::store::Gap;

/// How many gaps a terminal shows; a script gets them all.
const SHOWN: usize = 40;

/// What is missing, and what part it is.
pub(super) fn gaps(report: &GapsReport) -> String {
    let mut text = String::new();
    if report.gaps.is_empty() {
        text.push_str("no gaps\n");
    } else {
        let header = ["coin", "of", "kind", "from", "until", "lost since"];
        let gaps = report.gaps.iter().take(SHOWN);
        text = table(&header, &[], gaps.map(row).collect()).trim_fmt();
        text.push('\n');
        if report.gaps.len() > SHOWN {
            let more = report.gaps.len() - SHOWN;
            let _infallible = writeln!(text, "and {more} more: --json lists all, or name a coin");
        }
    }
    text.push('\n');
    for total in &report.all {
        line(
            &mut text,
            total.resolution.name(),
            &sum(total, coins(report, total)),
        );
    }
    text
}

/// How many coins a total is of.
fn coins(report: &GapsReport, total: &GapsTotal) -> u64 {
    let of_coins = report.totals.iter();
    of_coins
        .filter(|it| it.resolution == total.resolution)
        .count() as u64
}

fn sum(total: &GapsTotal, coins: u64) -> String {
    let kinds: &BTreeMap<String, f64> = &total.missing_pct_by_kind;
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(kind, part)| format!("{kind} {part:.2} %"))
        .collect();
    let kinds = match kinds.is_empty() {
        true => String::new(),
        false => format!(" ({})", kinds.join(", ")),
    };
    format!(
        "{:.2} % missing of {:.0} hours of {}{kinds}",
        total.missing_pct,
        total.owed_hours,
        show::coins_in_words(coins)
    )
}

fn row(gap: &Gap) -> Vec<String> {
    let at = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M").to_string();
    vec![
        gap.coin_id.clone(),
        gap.resolution.to_string(),
        gap.kind.clone(),
        at(gap.starts_at),
        at(gap.ends_at),
        gap.lost_at.map_or_else(|| "-".to_owned(), at),
    ]
}

/// What came of healing.
pub(super) fn heal(report: &HealReport) -> String {
    if report.runs.is_empty() && report.left == 0 {
        return "nothing to heal that can still be had: no call made\n".to_owned();
    }
    let mut text: String = report.runs.iter().map(show::series).collect();
    if report.left > 0 {
        let left = format!(
            "{} charts: no calls to spare this month, --spend {} fetches them all the same",
            report.left, report.left
        );
        line(&mut text, "left", &left);
    }
    text
}
