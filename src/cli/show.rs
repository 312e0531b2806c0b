//! Results as text for people.
//! Machines get the same values as JSON, without passing here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use chrono::{DateTime, Utc};
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use crate::config::{DatabaseUrl, Settings};
use crate::market::{Measure, Quote};
use crate::pipeline::{Exported, Report, SeriesReport, Status, Unknown};
use crate::store::RunRow;

/// What `init` says.
#[derive(Debug, Serialize)]
pub(super) struct Ready {
    snapshot: String,
    timeseries: String,
    vs_currency: String,
}

impl Ready {
    pub(super) fn of(settings: &Settings) -> Self {
        let shown = |owner: &Option<DatabaseUrl>, url: &DatabaseUrl| {
            owner.as_ref().unwrap_or(url).to_string()
        };
        Self {
            snapshot: shown(&settings.snapshot_owner_url, &settings.snapshot_url),
            timeseries: shown(&settings.timeseries_owner_url, &settings.timeseries_url),
            vs_currency: settings.vs_currency.clone(),
        }
    }

    pub(super) fn text(&self) -> String {
        format!(
            "ready for prices in {}:\n  {}\n  {}",
            self.vs_currency, self.snapshot, self.timeseries
        )
    }
}

/// What came of a run.
pub(super) fn report(report: &Report) -> String {
    let mut text = format!("snapshot {}  {}\n", report.slot, report.state);
    let is_known = report.stored == 0
        && report.calls == 0
        && report.error.is_none()
        && report.missing.is_empty();
    if is_known {
        let _infallible = writeln!(
            text,
            "  all {} coins were stored already: nothing stored twice, no call spent",
            report.accepted
        );
    }
    let mut line = |name: &str, value: String| {
        let _infallible = writeln!(text, "  {name:<9} {value}");
    };
    for Unknown { coin, did_you_mean } in &report.unknown {
        let meant = did_you_mean.as_ref();
        let meant = meant.map_or_else(String::new, |id| format!(": did you mean {id}?"));
        line("unknown", format!("CoinGecko knows no {coin}{meant}"));
    }
    if !report.refused.is_empty() {
        let coins = report.refused.iter();
        let coins: Vec<String> = coins
            .map(|refused| format!("{} ({})", refused.coin, refused.rule))
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
        line("missing", missing.clone());
    }
    if let Some(score) = report.score {
        line("quality", format!("{score:.4}{}", counts(&report.warnings)));
    }
    let reused = if report.reused == 0 {
        String::new()
    } else {
        format!(", {} landed before", report.reused)
    };
    line("calls", format!("{}{reused}", report.calls));
    for drift in &report.drift {
        line("contract", drift.to_string());
    }
    if let Some(error) = &report.error {
        line("stopped", error.clone());
    }
    if let Some(hash) = &report.content_hash {
        line("content", hash.clone());
    }
    if let Some(landing) = &report.landing {
        line("landing", landing.clone());
    }
    let timings = report.timings;
    let (fetch, judge, commit) = (timings.fetch_s, timings.judge_s, timings.commit_s);
    line(
        "seconds",
        format!(
            "{:.2} (fetch {fetch:.2}, judge {judge:.2}, commit {commit:.2})",
            fetch + judge + commit
        ),
    );
    text
}

/// What came of a time series run.
pub(super) fn series(report: &SeriesReport) -> String {
    let mut text = format!("{} {}  {}\n", report.kind, report.resolution, report.state);
    let mut line = |name: &str, value: String| {
        let _infallible = writeln!(text, "  {name:<9} {value}");
    };
    if report.expected == 0 && report.stored == 0 {
        let said = match report.missing.is_empty() && report.postponed == 0 {
            true => "everything that the source can have settled is stored: no call spent",
            false => "nothing was asked for: no call spent",
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
            format!(
                "{} coins wait for a later run: this run's share of the plan is used",
                report.postponed
            ),
        );
    }
    for missing in &report.missing {
        line("missing", missing.clone());
    }
    let reused = if report.reused == 0 {
        String::new()
    } else {
        format!(", {} landed before", report.reused)
    };
    line("calls", format!("{}{reused}", report.calls));
    for drift in &report.drift {
        line("contract", drift.to_string());
    }
    if let Some(error) = &report.error {
        line("stopped", error.clone());
    }
    if let Some(landing) = &report.landing {
        line("landing", landing.clone());
    }
    let timings = report.timings;
    line(
        "seconds",
        format!(
            "{:.2} (commits {:.2} of it, while charts came)",
            timings.fetch_s, timings.commit_s
        ),
    );
    text
}

/// What an export wrote.
pub(super) fn exported(exported: &Exported, folder: &Path) -> String {
    let Exported {
        files,
        quotes,
        points,
        absent,
    } = exported;
    let without = absent.as_ref().map_or_else(String::new, |absent| {
        format!(
            "\n  no prices: there is no database {absent} yet, `coinmill run timeseries` makes it"
        )
    });
    format!(
        "{quotes} quotes and {points} price points in {files} files under {}{without}",
        folder.display()
    )
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
    let mut table = plain(&[
        "rank",
        "coin",
        "symbol",
        &format!("price ({vs_currency})"),
        "24 h %",
        "market cap",
        "updated",
    ]);
    for quote in quotes {
        table.add_row([
            quote
                .market_cap_rank
                .map_or_else(dash, |rank| rank.to_string()),
            quote.id.to_string(),
            quote.symbol.clone(),
            quote
                .measure(Measure::CurrentPrice)
                .map_or_else(dash, |price| price.to_string()),
            quote
                .measure(Measure::PriceChangePct24h)
                .map_or_else(dash, |change| format!("{change:+.2}")),
            quote
                .measure(Measure::MarketCap)
                .map_or_else(dash, thousands),
            quote
                .last_updated
                .map_or_else(dash, |at| at.format("%H:%M:%S").to_string()),
        ]);
    }
    right(&mut table, &[0, 3, 4, 5]);
    table.to_string()
}

/// The ledger.
pub(super) fn runs(runs: &[RunRow]) -> String {
    if runs.is_empty() {
        return "no runs yet: `coinmill run snapshot` makes the first".to_owned();
    }
    let mut table = plain(&[
        "began", "kind", "of", "state", "received", "new", "refused", "calls", "score", "run",
    ]);
    for run in runs {
        let number = |number: Option<u64>| number.map_or_else(dash, |number| number.to_string());
        let coins = match (run.received, run.expected) {
            (Some(received), Some(expected)) => format!("{received} of {expected}"),
            _ => dash(),
        };
        table.add_row([
            run.started_at.format("%Y-%m-%d %H:%M:%S").to_string(),
            run.kind.clone(),
            match (run.slot, run.resolution) {
                (Some(slot), _) => slot.format("%m-%d %H:%M").to_string(),
                (None, Some(resolution)) => resolution.to_string(),
                (None, None) => dash(),
            },
            run.state.clone(),
            coins,
            number(run.stored),
            number(run.rejected),
            number(run.calls),
            run.score.map_or_else(dash, |score| format!("{score:.4}")),
            run.id.clone(),
        ]);
        if let Some(error) = &run.error {
            table.add_row([String::new(), String::new(), String::new(), error.clone()]);
        }
    }
    right(&mut table, &[4, 5, 6, 7, 8]);
    table.to_string()
}

/// What the databases hold.
pub(super) fn status(status: &Status) -> String {
    let held = &status.snapshot;
    let when = |at: Option<DateTime<Utc>>| {
        at.map_or_else(dash, |at| at.format("%Y-%m-%dT%H:%MZ").to_string())
    };
    let mut table = plain(&[]);
    let snapshots = format!(
        "{} ({} complete), {} to {}",
        held.snapshots,
        held.complete,
        when(held.first_slot),
        when(held.newest_slot)
    );
    let points: Vec<String> = status
        .timeseries
        .iter()
        .map(|held| {
            let (first, newest) = (when(held.first), when(held.newest));
            format!(
                "{} at {} of {} coins, {first} to {newest}",
                held.points, held.resolution, held.coins
            )
        })
        .collect();
    let points = if points.is_empty() {
        "none yet".to_owned()
    } else {
        points.join("\n")
    };
    let credits = match status.credits_per_month {
        Some(limit) => format!(
            "{} of {limit} calls spent in {}",
            status.credits, status.month
        ),
        None => "no monthly limit".to_owned(),
    };
    for (name, value) in [
        ("database", status.snapshot_url.clone()),
        ("snapshots", snapshots),
        (
            "quotes",
            format!(
                "{} of {} coins, {} refused",
                held.quotes, held.coins, held.quarantined
            ),
        ),
        ("series", status.timeseries_url.clone()),
        ("points", points),
        (
            "current",
            match status.is_stale {
                false => format!("slot {}: {}", status.slot, status.slot_state),
                true => format!(
                    "slot {}: {}; stale, for nothing has come for more than half an hour",
                    status.slot, status.slot_state
                ),
            },
        ),
        ("plan", format!("{}: {credits}", status.plan)),
        ("landing", status.landing_dir.clone()),
    ] {
        table.add_row([name.to_owned(), value]);
    }
    for drift in &status.drift {
        let (first, last) = (when(Some(drift.first_seen)), when(Some(drift.last_seen)));
        table.add_row(["contract".to_owned(), format!("{drift}, {first} to {last}")]);
    }
    table.to_string()
}

fn plain(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    if !header.is_empty() {
        table.set_header(header);
    }
    table
}

fn right(table: &mut Table, columns: &[usize]) {
    for &column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn dash() -> String {
    "-".to_owned()
}

fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

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
