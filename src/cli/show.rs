//! Results as text for people.
//! Scripts get the same values as JSON, without passing here.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::layout::{line, shortened, table, with_notes, wrapped};
use crate::config::Settings;
use crate::market::{CoinId, Measure, Quote};
use crate::pipeline::{ListingReport, Report, SeriesReport, Status, Unknown, outlook};
use crate::planner::{grouped, grouped_digits};
use crate::store::RunRow;

/// The longest id and symbol that a table of prices shows whole.
pub(super) const LONGEST_NAME: usize = 18;
pub(super) const LONGEST_SYMBOL: usize = 8;

/// What `init` says.
#[derive(Debug, Serialize)]
pub(super) struct Ready {
    snapshot_url: String,
    timeseries_url: String,
    budget_url: String,
    vs_currency: String,
    /// What of the settings the plan cannot give.
    advice: Option<String>,
}

impl Ready {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            snapshot_url: settings.snapshot_owner().to_string(),
            timeseries_url: settings.timeseries_owner().to_string(),
            budget_url: settings.budget_owner_url.to_string(),
            vs_currency: settings.vs_currency.clone(),
            advice: outlook(settings, Utc::now()).advice,
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "ready for prices in {}:\n  {}\n  {}",
            self.vs_currency, self.snapshot_url, self.timeseries_url
        );
        if self.budget_url != self.snapshot_url {
            let _infallible = write!(text, "\n  {}", self.budget_url);
        }
        if let Some(advice) = &self.advice {
            let _infallible = write!(text, "\n{}", wrapped(advice, 0));
        }
        text
    }
}

/// The result of a snapshot.
pub(super) fn report(report: &Report) -> String {
    let mut text = format!("snapshot {}  {}\n", report.slot, report.state);
    let is_known = report.stored == 0
        && report.calls == 0
        && report.error.is_none()
        && report.missing.is_empty();
    if is_known {
        let _infallible = writeln!(
            text,
            " all {} coins were stored already: nothing stored twice, no call made",
            report.accepted
        );
    }
    let mut line = |name: &str, value: String| line(&mut text, name, &value);
    for unknown in &report.unknown {
        line("unknown", knows_no(unknown));
    }
    if !report.refused.is_empty() {
        let coins = report.refused.iter();
        let coins: Vec<String> = coins
            .map(|refused| format!("{} ({})", refused.coin_id, refused.rules.join(", ")))
            .collect();
        line(
            "left out",
            format!("{}: as `refuse` says", coins.join(", ")),
        );
    }
    if is_known {
        return text;
    }
    let refused = if report.rejected == 0 {
        String::new()
    } else {
        format!(
            ", {} refused{}",
            report.rejected,
            counts(&report.rejections)
        )
    };
    line(
        "coins",
        format!(
            "{} of {} expected, {} new{refused}",
            report.accepted, report.expected, report.stored
        ),
    );
    for missing in &report.missing {
        line("missing", missing.to_string());
    }
    if let Some(score) = report.score {
        line("quality", format!("{score:.4}"));
        let warned = of_quotes(report.warned, report.accepted);
        line("warnings", format!("{warned}{}", counts(&report.warnings)));
    }
    line("calls", calls(report.calls, report.recovered));
    for drift in &report.drift {
        line("contract", drift.to_string());
    }
    if let Some(advice) = &report.advice {
        line("advice", advice.clone());
    }
    if let Some(error) = &report.error {
        line("stopped", error.clone());
    }
    if let Some(hash) = &report.content_hash {
        line("content", hash.clone());
    }
    if let Some(landing) = &report.landing_folder {
        line("landing", landing.clone());
    }
    let timings = report.timings;
    let (fetch, validate, commit) = (timings.fetch_s, timings.validate_s, timings.commit_s);
    line(
        "seconds",
        format!(
            "{:.2} (fetch {fetch:.2}, validate {validate:.2}, commit {commit:.2})",
            fetch + validate + commit
        ),
    );
    text
}

/// How many of so many quotes have a warning, as a sentence.
pub(super) fn of_quotes(warned: u64, quotes: u64) -> String {
    let quotes = grouped(quotes);
    match warned {
        0 => format!("none of {quotes} quotes has a warning"),
        1 => format!("1 of {quotes} quotes has a warning"),
        more => format!("{} of {quotes} quotes have a warning", grouped(more)),
    }
}

/// How many coins, as people say it.
pub(super) fn coins_in_words(coins: u64) -> String {
    match coins {
        1 => "1 coin".to_owned(),
        more => format!("{} coins", grouped(more)),
    }
}

/// Calls made, and bodies that cost none.
fn calls(calls: u64, recovered: u64) -> String {
    match recovered {
        0 => calls.to_string(),
        1 => format!("{calls}, 1 body recovered from the landing"),
        more => format!("{calls}, {more} bodies recovered from the landing"),
    }
}

fn knows_no(unknown: &Unknown) -> String {
    format!("CoinGecko knows no {unknown}")
}

/// The result of a run of the list of all coins.
pub(super) fn listing(report: &ListingReport) -> String {
    let day = report.received_at.format("%Y-%m-%d");
    let mut text = format!("list of all coins {day}  {}\n", report.state);
    let coins = grouped(report.accepted);
    let mut line = |name: &str, value: String| line(&mut text, name, &value);
    if report.is_known() {
        line("coins", format!("{coins}, stored already: no call made"));
        return text;
    }
    let refused = match report.rejected {
        0 => String::new(),
        rejected => format!(", {rejected} refused"),
    };
    line(
        "coins",
        format!(
            "{coins}: {} new, {} renamed, {} listed again, {} absent{refused}",
            grouped(report.appeared),
            report.renamed,
            report.returned,
            report.absent
        ),
    );
    let named: Vec<&str> = report
        .delisted
        .iter()
        .take(DELISTED)
        .map(CoinId::as_str)
        .collect();
    match report.delisted.len() - named.len() {
        0 if named.is_empty() => {}
        0 => line("delisted", named.join(", ")),
        more => line("delisted", format!("{} and {more} more", named.join(", "))),
    }
    line("calls", calls(report.calls, report.recovered));
    for drift in &report.drift {
        line("contract", drift.to_string());
    }
    if let Some(landing) = &report.landing_folder {
        line("landing", landing.clone());
    }
    let (fetch, commit) = (report.timings.fetch_s, report.timings.commit_s);
    line(
        "seconds",
        format!(
            "{:.2} (fetch {fetch:.2}, commit {commit:.2})",
            fetch + commit
        ),
    );
    text
}

/// How many delisted coins a terminal is told by name.
const DELISTED: usize = 20;

/// The result of a time series run.
pub(super) fn series(report: &SeriesReport) -> String {
    let mut text = format!("{} {}  {}\n", report.kind, report.resolution, report.state);
    let mut line = |name: &str, value: String| line(&mut text, name, &value);
    if report.expected == 0 && report.stored == 0 {
        let said = match report.missing.is_empty() && report.postponed == 0 {
            true => "nothing new is due by now: no call made",
            false => "no charts to fetch: no call made",
        };
        line("points", said.to_owned());
    } else {
        let revised = if report.revisions == 0 {
            String::new()
        } else {
            format!(", {} revised", report.revisions)
        };
        let refused = if report.rejected == 0 {
            String::new()
        } else {
            format!(", {} refused", report.rejected)
        };
        line("points", format!("{} new{revised}{refused}", report.stored));
        line(
            "charts",
            format!("{} of {} expected", report.received, report.expected),
        );
    }
    if report.postponed > 0 {
        line(
            "later",
            match report.postponed {
                1 => {
                    "1 coin waits for a later run: this run's share of the plan is spent".to_owned()
                }
                more => format!(
                    "{more} coins wait for a later run: this run's share of the plan is spent"
                ),
            },
        );
    }
    for missing in &report.missing {
        line("missing", missing.to_string());
    }
    for unknown in &report.unknown {
        line("unknown", knows_no(unknown));
    }
    line("calls", calls(report.calls, report.recovered));
    for drift in &report.drift {
        line("contract", drift.to_string());
    }
    if let Some(advice) = &report.advice {
        line("advice", advice.clone());
    }
    if let Some(error) = &report.error {
        line("stopped", error.clone());
    }
    if let Some(landing) = &report.landing_folder {
        line("landing", landing.clone());
    }
    let timings = report.timings;
    line(
        "seconds",
        format!(
            "{:.2} ({:.2} in commits, while charts are fetched)",
            timings.fetch_s, timings.commit_s
        ),
    );
    if let Some(heal) = &report.heal {
        text.push_str(&series(heal));
    }
    text
}

fn counts(counts: &BTreeMap<&'static str, u64>) -> String {
    if counts.is_empty() {
        return String::new();
    }
    let list: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    format!(" ({})", list.join(", "))
}

/// The first quotes of a slot.
pub(super) fn prices(quotes: &[Quote], vs_currency: &str) -> String {
    let header = [
        "rank",
        "coin",
        "symbol",
        &format!("price ({vs_currency})"),
        "24 h %",
        "market cap",
    ];
    let row = |quote: &Quote| {
        vec![
            quote
                .market_cap_rank
                .map_or_else(dash, |rank| rank.to_string()),
            shortened(quote.id.as_str(), LONGEST_NAME),
            shortened(&quote.symbol, LONGEST_SYMBOL),
            quote
                .measure(Measure::CurrentPrice)
                .map_or_else(dash, |price| price.to_string()),
            quote
                .measure(Measure::PriceChangePct24h)
                .map_or_else(dash, |change| format!("{change:+.2}")),
            quote
                .measure(Measure::MarketCap)
                .map_or_else(dash, thousands),
        ]
    };
    table(&header, &[0, 3, 4, 5], quotes.iter().map(row).collect()).trim_fmt()
}

/// The ledger.
pub(super) fn runs(runs: &[RunRow]) -> String {
    if runs.is_empty() {
        return "no runs yet: `coinmill run snapshot` makes the first".to_owned();
    }
    let header = [
        "began", "of", "state", "received", "new", "refused", "calls",
    ];
    let row = |run: &RunRow| {
        let number = |number: Option<u64>| number.map_or_else(dash, |number| number.to_string());
        vec![
            run.started_at.format("%m-%d %H:%M").to_string(),
            match (run.slot, run.resolution) {
                (Some(slot), _) => format!("{} {}", run.kind, slot.format("%m-%d %H:%M")),
                (None, Some(resolution)) => format!("{} {resolution}", run.kind),
                (None, None) => run.kind.clone(),
            },
            run.state.clone(),
            match (run.received, run.expected) {
                (Some(received), Some(expected)) => format!("{received} of {expected}"),
                _ => dash(),
            },
            number(run.stored),
            number(run.rejected),
            number(run.calls),
        ]
    };
    let note = |run: &RunRow| {
        let score = run.score.map(|score| format!(", quality {score:.4}"));
        let error = run
            .error
            .as_ref()
            .map(|error| format!("\n   {}", wrapped(error, 3)));
        let (score, error) = (score.unwrap_or_default(), error.unwrap_or_default());
        format!("   run {}{score}{error}", run.id)
    };
    let table = table(&header, &[3, 4, 5, 6], runs.iter().map(row).collect());
    with_notes(&table, runs.iter().map(note))
}

/// What the databases hold.
pub(super) fn status(status: &Status) -> String {
    let held = &status.snapshot;
    let when = |at: Option<DateTime<Utc>>| {
        at.map_or_else(dash, |at| at.format("%Y-%m-%dT%H:%MZ").to_string())
    };
    let snapshots = match held.snapshots {
        0 => "none yet".to_owned(),
        count => format!(
            "{count} ({} complete), {} to {}",
            held.complete,
            when(held.first_slot),
            when(held.newest_slot)
        ),
    };
    let quotes = format!(
        "{} of {}, {} refused",
        held.quotes,
        coins_in_words(held.coins),
        held.quarantined
    );
    let credits = match status.credits_per_month {
        Some(limit) => format!(
            "{} of {limit} calls spent in {}",
            status.credits, status.month
        ),
        None => "no monthly limit".to_owned(),
    };
    let stale = match status.is_stale {
        false => "",
        true => "; stale, since nothing was received for more than half an hour",
    };
    let current = format!("slot {}: {}{stale}", status.slot, status.snapshot_state);
    let mut text = String::new();
    line(&mut text, "database", &status.snapshot_url);
    line(&mut text, "snapshots", &snapshots);
    line(&mut text, "quotes", &quotes);
    if let Some(newest) = &status.newest {
        let warned = of_quotes(newest.warned, newest.quotes);
        line(&mut text, "warnings", &format!("newest snapshot: {warned}"));
    }
    if let Some(list) = &status.listing {
        let (coins, at) = (coins_in_words(list.coins), when(Some(list.received_at)));
        line(&mut text, "list", &format!("{coins} at {at}"));
    }
    line(&mut text, "series", &status.timeseries_url);
    for held in &status.timeseries {
        let (first, newest) = (when(held.first), when(held.newest));
        let points = format!(
            "{} at {} of {}, {first} to {newest}",
            held.points,
            held.resolution,
            coins_in_words(held.coins)
        );
        line(&mut text, "points", &points);
    }
    if status.timeseries.is_empty() {
        line(&mut text, "points", "none yet");
    }
    line(&mut text, "current", &current);
    line(&mut text, "plan", &format!("{}: {credits}", status.plan));
    if let Some(advice) = &status.advice {
        line(&mut text, "advice", advice);
    }
    line(&mut text, "landing", &status.landing_dir);
    for drift in &status.drift {
        let (first, last) = (when(Some(drift.first_seen)), when(Some(drift.last_seen)));
        line(
            &mut text,
            "contract",
            &format!("{drift}, {first} to {last}"),
        );
    }
    text
}

pub(super) fn dash() -> String {
    "-".to_owned()
}

fn thousands(number: f64) -> String {
    let text = format!("{number:.0}");
    match text.strip_prefix('-') {
        Some(digits) => format!("-{}", grouped_digits(digits)),
        None => grouped_digits(&text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_fits_80_columns_and_an_error_has_a_line_of_its_own() {
        let at: DateTime<Utc> = "2026-01-14T12:10:00Z".parse().unwrap();
        let error = "CoinGecko cannot be reached: ".repeat(5);
        let run = RunRow {
            id: "01a21e3d-f50f-75d2-85ed-8f5960b1c05a".to_owned(),
            kind: "snapshot".to_owned(),
            slot: Some(at),
            resolution: None,
            state: "abandoned".to_owned(),
            started_at: at,
            finished_at: None,
            expected: Some(20_000),
            received: Some(19_750),
            accepted: None,
            rejected: Some(250),
            stored: Some(19_500),
            calls: Some(80),
            score: Some(0.9851),
            content_hash: None,
            version: String::new(),
            rule_set: String::new(),
            api_url: String::new(),
            error: Some(error.clone()),
        };
        let text = runs(&[run]);
        let lines: Vec<&str> = text.lines().collect();
        let [header, row, id, last] = lines[..] else {
            panic!("{text}")
        };
        for line in [header, row, id] {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(row.contains("19750 of 20000") && id.contains("01a21e3d-f50f"));
        assert_eq!(last.trim(), error.trim());
    }

    #[test]
    fn warned_quotes_are_counted_in_a_sentence() {
        assert_eq!(of_quotes(12, 1000), "12 of 1,000 quotes have a warning");
        assert_eq!(of_quotes(1, 100), "1 of 100 quotes has a warning");
        assert_eq!(of_quotes(0, 100), "none of 100 quotes has a warning");
    }

    #[test]
    fn long_numbers_are_grouped() {
        for (number, text) in [
            (0.0, "0"),
            (999.0, "999"),
            (1000.0, "1,000"),
            (1_431_781_265_416.4, "1,431,781,265,416"),
        ] {
            assert_eq!(thousands(number), text);
        }
    }
}
