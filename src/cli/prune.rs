//! `coinmill prune`: what is kept no longer, deleted or only told.
//! Deleting is the pipeline's work.

use super::layout::table;
use super::settings::SettingArguments;
use super::{COMPLETE, print};
use crate::error::Result;
use crate::pipeline::{self, PruneReport, PrunedPart};

pub(super) async fn prune(dry_run: bool, settings: SettingArguments, json: bool) -> Result<u8> {
    let settings = settings.load()?;
    let report = pipeline::prune(&settings, dry_run).await?;
    print(json, &report, || text(&report))?;
    Ok(COMPLETE)
}

fn text(report: &PruneReport) -> String {
    if report.pruned.is_empty() {
        return "no retention is set (retention_days_5m, retention_days_1h, retention_days_1d, retention_days_landing): \
                nothing is pruned"
            .to_owned();
    }
    let did = match report.is_dry_run {
        true => "would be deleted; nothing was",
        false => "deleted",
    };
    let header = ["what", "before", "points", "revisions", "bodies", "bytes"];
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let row = |part: &PrunedPart| {
        vec![
            part.what.to_owned(),
            part.before.format("%Y-%m-%dT%H:%MZ").to_string(),
            number(part.points),
            number(part.revisions),
            number(part.bodies),
            number(part.bytes),
        ]
    };
    let rows = report.pruned.iter().map(row).collect();
    let table = table(&header, &[2, 3, 4, 5], rows).trim_fmt();
    let kept = report.pruned.iter().filter_map(|part| part.bodies_kept);
    let kept = match kept.sum() {
        0 => String::new(),
        kept => format!(
            "\n{kept} bodies that are as old are kept: their runs are at work, a later run may recover them, or neither ledger knows \
             their runs"
        ),
    };
    format!("{did}:\n{table}{kept}")
}
