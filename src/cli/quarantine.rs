//! `coinmill quarantine`: refused records listed, shown, and validated again.
//! What is refused and what is accepted now is decided by the pipeline.

use clap::Subcommand;
use serde::Serialize;

use super::layout::{harmless, line, shortened, table, with_notes, wrapped};
use super::settings::SettingArguments;
use super::{COMPLETE, PARTIAL, print};
use crate::error::{Error, Result};
use crate::pipeline::{self, Pick, Quarantined, RefusedId, RequeueReport};

/// The longest coin's id that the list shows whole.
const LONGEST_NAME: usize = 24;

#[derive(Debug, Subcommand)]
pub(super) enum Quarantine {
    /// The refused records that are not known to be stored, the newest first
    List {
        /// Also those that were stored when they were validated again
        #[arg(long)]
        stored: bool,
        /// Only those that broke this rule
        #[arg(long, conflicts_with = "stored")]
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
    /// Validate refused records again by the rules in force; what is accepted now is stored by a new run
    ///
    /// Exit code 3 where records are refused again.
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

/// A list for scripts.
#[derive(Serialize)]
struct List<'a> {
    records: &'a [Quarantined],
    /// How many are beyond the limit.
    more: usize,
}

/// The results of a requeue for scripts.
#[derive(Serialize)]
struct Requeues<'a> {
    requeues: &'a [RequeueReport],
}

pub(super) async fn quarantine(what: Quarantine, json: bool) -> Result<u8> {
    match what {
        Quarantine::List {
            stored,
            rule,
            limit,
            settings,
        } => {
            let settings = settings.load()?;
            let none = match &rule {
                Some(rule) => format!("nothing that {rule} refused is in quarantine"),
                None => "nothing is in quarantine".to_owned(),
            };
            let pick = match rule {
                Some(rule) => Pick::Rule(rule),
                None if stored => Pick::All,
                None => Pick::Open,
            };
            let found = pipeline::quarantine(&settings, &pick).await?;
            let records = found.get(..limit).unwrap_or(&found);
            let more = found.len() - records.len();
            print(json, &List { records, more }, || list(records, more, none))?;
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
                        "no records are chosen: give their numbers, such as s12 or t3, or --rule NAME, or --all",
                    ));
                }
                None => Pick::Ids(ids),
            };
            let reports = pipeline::requeue(&settings, &pick).await?;
            let done = Requeues { requeues: &reports };
            print(json, &done, || requeued(&reports))?;
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

fn list(shown: &[Quarantined], more: usize, none: String) -> String {
    if shown.is_empty() {
        return none;
    }
    let row = |record: &Quarantined| {
        vec![
            record.id.to_string(),
            of(record),
            shortened(record.coin_id.as_deref().unwrap_or("-"), LONGEST_NAME),
            record.rule.clone(),
            match record.outcome.as_deref() {
                Some("refused") => "refused again",
                Some("present") => "stored already",
                Some(_) => "stored",
                None => "",
            }
            .to_owned(),
        ]
    };
    let table = table(
        &["id", "of", "coin", "rule", "since"],
        &[],
        shown.iter().map(row).collect(),
    );
    let reasons = shown
        .iter()
        .map(|record| format!("   {}", wrapped(&harmless(&record.reason), 3)));
    let more = match more {
        0 => String::new(),
        more => format!("\n {more} more: --limit {}", shown.len() + more),
    };
    format!("{}{more}", with_notes(&table, reasons))
}

fn one(record: &Quarantined) -> String {
    let place = match record.record {
        Some(place) => format!("{}, record {place}", record.body),
        None => format!("{}, the whole body", record.body),
    };
    let since = match (&record.outcome, &record.requeued_by) {
        (Some(outcome), Some(run)) => format!("{outcome} by run {run}"),
        _ => "never validated again".to_owned(),
    };
    let coin = harmless(record.coin_id.as_deref().unwrap_or("-"));
    let mut text = format!("{}  {}  {coin}\n", record.id, of(record));
    line(&mut text, "rule", &record.rule);
    line(&mut text, "reason", &harmless(&record.reason));
    line(&mut text, "run", &record.run);
    line(&mut text, "landed", &place);
    line(&mut text, "since", &since);
    format!("{text}\n{}", harmless(&record.raw))
}

fn requeued(reports: &[RequeueReport]) -> String {
    if reports.is_empty() {
        return "no refused record is left to validate again".to_owned();
    }
    let mut text = String::new();
    for report in reports {
        let what = match (report.slot, report.resolution) {
            (Some(slot), _) => format!("slot {slot}"),
            (None, Some(resolution)) => format!("{resolution} series"),
            (None, None) => String::new(),
        };
        let present = match report.present {
            0 => String::new(),
            present => format!(", {present} stored already"),
        };
        text.push_str(&format!("requeue of {what}  {}\n", report.state));
        let records = format!(
            "{} validated again, {} stored{present}, {} refused again",
            report.requeued,
            report.stored,
            report.refused.len()
        );
        line(&mut text, "records", &records);
        line(&mut text, "run", &report.run);
        for refused in &report.refused {
            line(
                &mut text,
                &refused.id.to_string(),
                &harmless(&refused.reason),
            );
        }
    }
    text
}
