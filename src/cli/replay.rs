//! `coinmill replay`: a run rebuilt from its landing, and how it compares.
//! Rebuilding is the pipeline's work.

use super::settings::SettingArguments;
use super::{COMPLETE, PARTIAL, print};
use crate::error::Result;
use crate::pipeline::{self, Change, Difference, Replay};

/// Differences that are printed for people; scripts get all.
const SHOWN: usize = 50;

pub(super) async fn replay(run: &str, settings: SettingArguments, json: bool) -> Result<u8> {
    let settings = settings.load()?;
    let replayed = pipeline::replay(&settings, run).await?;
    print(json, &replayed, || text(&replayed))?;
    Ok(if replayed.is_same { COMPLETE } else { PARTIAL })
}

fn text(replayed: &Replay) -> String {
    let what = match (replayed.slot, replayed.resolution) {
        (Some(slot), _) => slot.to_string(),
        (None, Some(resolution)) => resolution.to_string(),
        (None, None) => String::new(),
    };
    let verdict = if replayed.is_same {
        "the same"
    } else {
        "different"
    };
    let rules = if replayed.rule_set == replayed.rule_set_now {
        format!("{}, as then", replayed.rule_set)
    } else {
        format!("{} now, {} then", replayed.rule_set_now, replayed.rule_set)
    };
    let mut lines = vec![
        format!("replay of {} {what}  {verdict}", replayed.kind),
        format!(
            " rows      {} stored, {} rebuilt from {} landed bodies",
            replayed.stored, replayed.rebuilt, replayed.bodies
        ),
        format!(" rules     {rules}"),
        format!(" stored    {}", replayed.stored_hash),
        format!(" rebuilt   {}", replayed.rebuilt_hash),
    ];
    lines.extend(replayed.differences.iter().take(SHOWN).map(line));
    if replayed.differences.len() > SHOWN {
        let more = replayed.differences.len() - SHOWN;
        lines.push(format!("  and {more} more: --json gives all"));
    }
    lines.join("\n")
}

fn line(difference: &Difference) -> String {
    let row = &difference.row;
    let value = |value: &Option<String>| value.clone().unwrap_or_default();
    match difference.change {
        Change::Added => format!("  + {row}"),
        Change::Removed => format!("  - {row}"),
        Change::Changed => format!(
            "  ~ {row} {}: {} -> {}",
            difference.column.unwrap_or_default(),
            value(&difference.stored),
            value(&difference.rebuilt)
        ),
    }
}
