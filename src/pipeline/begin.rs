//! How every run begins: what the ledger and the landing are told of it.
//! Taking its lock and writing it down is the store's work.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::terms::{RunSettings, Terms};
use crate::landing::RunHeader;
use crate::store::{RunStart, Scope};

/// What the ledger is told of a run that begins now.
pub(super) fn run_start(
    terms: &Terms,
    run_settings: &RunSettings,
    kind: &'static str,
    scope: Scope,
    started_at: DateTime<Utc>,
) -> RunStart {
    RunStart {
        id: Uuid::now_v7().to_string(),
        kind,
        scope,
        started_at,
        rule_set: terms.rules.name(),
        api_url: terms.api_url.to_string(),
        settings: serde_json::to_string(run_settings).unwrap_or_default(),
    }
}

/// The first line of its manifest.
pub(super) fn run_header(vs_currency: &str, start: &RunStart) -> RunHeader {
    RunHeader {
        run: start.id.clone(),
        kind: start.kind.to_owned(),
        slot: match start.scope {
            Scope::Slot(slot) => Some(slot.to_string()),
            Scope::Series(_) | Scope::Old | Scope::Listing => None,
        },
        vs_currency: vs_currency.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: start.started_at,
    }
}
