//! How every run begins: what the ledger and the landing are told of it.
//! Taking its lock and writing it down is the store's work.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::config::Settings;
use crate::landing::RunHeader;
use crate::quality::Rules;
use crate::store::{RunStart, Scope};

/// What the ledger is told of a run that begins now.
pub(super) fn run_start(
    settings: &Settings,
    rules: &Rules,
    kind: &'static str,
    scope: Scope,
    started_at: DateTime<Utc>,
) -> RunStart {
    let asked = serde_json::json!({
        "top": settings.top,
        "coins": settings.coins,
        "thresholds": settings.thresholds,
        "refuse": settings.refuse,
    });
    RunStart {
        id: Uuid::now_v7().to_string(),
        kind,
        scope,
        started_at,
        rule_set: rules.name(),
        source: settings.api_url.to_string(),
        asked: asked.to_string(),
    }
}

/// The first line of its manifest.
pub(super) fn run_header(settings: &Settings, start: &RunStart) -> RunHeader {
    RunHeader {
        run: start.id.clone(),
        kind: start.kind.to_owned(),
        slot: match start.scope {
            Scope::Slot(slot) => Some(slot.to_string()),
            Scope::Series(_) => None,
        },
        vs_currency: settings.vs_currency.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: start.started_at,
    }
}
