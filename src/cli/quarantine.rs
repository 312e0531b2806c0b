//! `coinmill quarantine`: refused records listed, shown, and judged again.
//! What is refused and what is accepted now is the pipeline's to say.

use clap::Subcommand;
use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::settings::SettingArguments;
use super::{COMPLETE, PARTIAL, print};
use crate::error::{Error, Result};
use crate::pipeline::{self, Pick, Quarantined, RefusedId, RequeueReport};

#[derive(Debug, Subcommand)]
pub(super) enum Quarantine {
    /// The refused records that are not known to be stored, the newest first
    List {
        /// Also those that were stored when they were judged again
        #[arg(long)]
        all: bool,
        /// Only those that broke this rule
        #[arg(long, conflicts_with = "all")]
        rule: Option<String>,
        /// How many
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// One refused record: its rule, its reason, where it came from and its own bytes
    Show {
        /// Its number, such as s12 or t3
        id: RefusedId,
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// Judge refused records again by the rules in force; what is accepted now is stored by a new run
    Requeue {
        /// Their numbers, such as s12 or t3
        ids: Vec<RefusedId>,
        /// All that broke this rule and are not known to be stored
        #[arg(long, conflicts_with = "ids")]
        rule: Option<String>,
        /// All that are not known to be stored
        #[arg(long, conflicts_with_all = ["ids", "rule"])]
        all: bool,
        #[command(flatten)]
        settings: SettingArguments,
    },
}

pub(super) async fn quarantine(what: Quarantine, json: bool) -> Result<u8> {
    match what {
        Quarantine::List {
            all,
            rule,
            limit,
            settings,
        } => {
            let settings = settings.load()?;
            let pick = match rule {
                Some(rule) => Pick::Rule(rule),
                None if all => Pick::All,
                None => Pick::Open,
            };
            let found = pipeline::quarantine(&settings, &pick).await?;
            let shown = found.get(..limit).unwrap_or(&found);
            print(json, &shown, || list(shown, found.len()))?;
            Ok(COMPLETE)
        }
        Quarantine::Show { id, settings } => {
            let settings = settings.load()?;
            let found = pipeline::quarantine(&settings, &Pick::Ids(vec![id])).await?;
            let record = found
                .first()
                .ok_or_else(|| Error::argument(format!("there is no {id} in the quarantine")))?;
            print(json, record, || one(record))?;
            Ok(COMPLETE)
        }
        Quarantine::Requeue {
            ids,
            rule,
            all,
            settings,
        } => {
            let settings = settings.load()?;
            let pick = match rule {
                Some(rule) => Pick::Rule(rule),
                None if all => Pick::Open,
                None if ids.is_empty() => {
                    return Err(Error::argument(
                        "say which: their numbers, such as s12 or t3, or --rule NAME, or --all",
                    ));
                }
                None => Pick::Ids(ids),
            };
            let reports = pipeline::requeue(&settings, &pick).await?;
            print(json, &reports, || requeued(&reports))?;
            let refused = reports.iter().any(|report| !report.refused.is_empty());
            Ok(if refused { PARTIAL } else { COMPLETE })
        }
    }
}

/// What a record is of: its slot or its resolution.
fn of(record: &Quarantined) -> String {
    let slot = record
        .slot
        .map(|slot| slot.format("%m-%d %H:%M").to_string());
    slot.or_else(|| record.resolution.map(|resolution| resolution.to_string()))
        .unwrap_or_else(|| "-".to_owned())
}

/// Text for a terminal: a source's control characters must not reach it.
fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

fn list(shown: &[Quarantined], count: usize) -> String {
    if shown.is_empty() {
        return "nothing is in quarantine".to_owned();
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["id", "of", "coin", "rule", "reason", "since"]);
    for record in shown {
        let since = match record.outcome.as_deref() {
            Some("refused") => "refused again",
            Some("present") => "stored from another body",
            Some(_) => "stored",
            None => "",
        };
        let reason: String = record.reason.chars().take(80).collect();
        table.add_row([
            record.id.to_string(),
            of(record),
            harmless(record.coin.as_deref().unwrap_or("-")),
            record.rule.clone(),
            harmless(&reason),
            since.to_owned(),
        ]);
    }
    let more = match count - shown.len() {
        0 => String::new(),
        more => format!("\n {more} more: --limit {count}"),
    };
    format!("{table}{more}")
}

fn one(record: &Quarantined) -> String {
    let place = match record.record {
        Some(place) => format!("{}, record {place}", record.body),
        None => format!("{}, the whole body", record.body),
    };
    let since = match (&record.outcome, &record.requeued_by) {
        (Some(outcome), Some(run)) => format!("{outcome} by run {run}"),
        _ => "never judged again".to_owned(),
    };
    format!(
        "{}  {}  {}\n  rule      {}\n  reason    {}\n  run       {}\n  landed    {place}\n  since     {since}\n\n{}",
        record.id,
        of(record),
        harmless(record.coin.as_deref().unwrap_or("-")),
        record.rule,
        harmless(&record.reason),
        record.run,
        harmless(&record.raw),
    )
}

fn requeued(reports: &[RequeueReport]) -> String {
    if reports.is_empty() {
        return "nothing is in quarantine that is not stored".to_owned();
    }
    let mut lines = Vec::new();
    for report in reports {
        let what = match (report.slot, report.resolution) {
            (Some(slot), _) => format!("slot {slot}"),
            (None, Some(resolution)) => format!("{resolution} series"),
            (None, None) => String::new(),
        };
        let present = match report.present {
            0 => String::new(),
            present => format!(", {present} there from another body"),
        };
        lines.push(format!(
            "requeue of {what}  {}\n  records   {} judged again, {} stored{present}, {} refused again\n  run       {}",
            report.state,
            report.requeued,
            report.stored,
            report.refused.len(),
            report.run
        ));
        for refused in &report.refused {
            lines.push(format!(
                "  {:<9} {}",
                refused.id.to_string(),
                harmless(&refused.reason)
            ));
        }
    }
    lines.join("\n")
}
