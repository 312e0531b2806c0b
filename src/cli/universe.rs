//! `coinmill universe`: the coins of a past snapshot, also those that have died or been renamed since, as a table or as JSON.
//! They are read by the pipeline.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::args::UniverseArguments;
use super::layout::{line, shortened, table};
use super::rows::{Row, objects, rows, value};
use super::show::{LONGEST_SYMBOL, dash};
use super::{COMPLETE, PARTIAL, print};
use crate::error::Result;
use crate::frame::{Cell, Shown, WIDE};
use crate::pipeline::{self, Read, Universe};

/// How many coins a terminal shows unless it is told; a script gets them all.
const SHOWN: usize = 40;

/// The longest id that a terminal shows whole.
const LONGEST: usize = 20;

/// The longest name, which leaves room for the largest market cap and a date in 80 columns.
const LONGEST_NAME: usize = 14;

/// The most coins that are named as renamed or delisted.
const NAMED: usize = 5;

pub(super) async fn universe(arguments: UniverseArguments, json: bool) -> Result<u8> {
    let (settings, wanted) = arguments.load()?;
    let read = pipeline::universe(&settings, &wanted).await?;
    let object = serde_json::json!({ "coins": objects(&read.frame), "missing": read.missing });
    print(json, &object, || text(&read, &wanted))?;
    Ok(match read.missing.is_empty() {
        true => COMPLETE,
        false => PARTIAL,
    })
}

fn text(read: &Read, wanted: &Universe) -> String {
    let rows = rows(&read.frame);
    let most = wanted.top.map_or(SHOWN, |_| rows.len());
    let shown: Vec<&Row<'_>> = rows.iter().take(most).collect();
    let caps: Vec<_> = shown.iter().map(|row| value(row, "market_cap")).collect();
    let caps = match read.frame.schema.field_with_name("market_cap") {
        Ok(field) => Shown::new("market_cap", field.data_type(), &caps, WIDE).cells,
        Err(_) => Vec::new(),
    };
    let caps = caps.into_iter().map(|cap| cap.unwrap_or_else(dash));
    let header = ["rank", "coin", "symbol", "name", "market cap", "delisted"];
    let lines = shown.iter().zip(caps).map(|(row, cap)| {
        let or_dash = |name, most| words(row, name).map_or_else(dash, |it| shortened(it, most));
        vec![
            match value(row, "market_cap_rank") {
                Some(Cell::Int(rank)) => rank.to_string(),
                _ => dash(),
            },
            or_dash("coin_id", LONGEST),
            or_dash("symbol", LONGEST_SYMBOL),
            or_dash("name", LONGEST_NAME),
            cap,
            day(row, "delisted_at"),
        ]
    });
    let mut text = table(&header, &[0, 4], lines.collect()).trim_fmt();
    text.push('\n');
    if let more @ 1.. = rows.len() - shown.len() {
        let _infallible = writeln!(text, "and {more} more: --top {} shows all", rows.len());
    }
    text.push('\n');
    line(&mut text, "universe", &summary(&rows));
    if let Some(renamed) = renamed(&rows) {
        line(&mut text, "renamed", &renamed);
    }
    let missing: Vec<String> = read.missing.iter().map(|it| it.what.clone()).collect();
    if !missing.is_empty() {
        line(&mut text, "missing", &some(&missing));
    }
    if let Some(warning) = &read.warning {
        line(&mut text, "warning", warning);
    }
    text
}

fn summary(rows: &[Row<'_>]) -> String {
    let at = rows
        .first()
        .and_then(|row| instant_of(row, "snapshot_time"));
    let at = at.map_or_else(dash, |at| at.format("%Y-%m-%dT%H:%MZ").to_string());
    let gone = rows
        .iter()
        .filter(|row| value(row, "delisted_at").is_some());
    let coins = super::show::coins_in_words(rows.len() as u64);
    match gone.count() {
        0 => format!("{coins} of the snapshot {at}"),
        gone => format!("{coins} of the snapshot {at}, {gone} of them delisted since"),
    }
}

/// Coins that are called otherwise by now.
fn renamed(rows: &[Row<'_>]) -> Option<String> {
    let other = |row: &Row<'_>, then, now| match (words(row, then), words(row, now)) {
        (then, Some(now)) if then != Some(now) => Some(shortened(now, LONGEST)),
        _ => None,
    };
    let renamed: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let now =
                other(row, "name", "name_now").or_else(|| other(row, "symbol", "symbol_now"))?;
            let coin = shortened(words(row, "coin_id")?, LONGEST);
            Some(format!("{coin} is {now} by now"))
        })
        .collect();
    (!renamed.is_empty()).then(|| some(&renamed))
}

/// The first of some texts, and how many more there are.
fn some(texts: &[String]) -> String {
    let first: Vec<&str> = texts.iter().take(NAMED).map(String::as_str).collect();
    match texts.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn words<'a>(row: &Row<'a>, name: &str) -> Option<&'a str> {
    match value(row, name) {
        Some(Cell::Text(text)) => Some(text),
        _ => None,
    }
}

fn instant_of(row: &Row<'_>, name: &str) -> Option<DateTime<Utc>> {
    match value(row, name) {
        Some(Cell::Time(stamp)) => DateTime::from_timestamp_millis(stamp),
        _ => None,
    }
}

fn day(row: &Row<'_>, name: &str) -> String {
    let at = instant_of(row, name);
    at.map(|at| at.format("%Y-%m-%d").to_string())
        .unwrap_or_default()
}
