//! How every run begins: what the ledger and the landing are told of it.
//! Taking its lock and writing it down is the store's work.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::{Settings, Thresholds};
use crate::landing::RunHeader;
use crate::quality::Rules;
use crate::store::{RunStart, Scope};

/// What a run is asked for and by which bounds: with its landed bodies, all that its rows follow from.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) top: u32,
    pub(super) coins: Vec<String>,
    pub(super) thresholds: Thresholds,
    pub(super) refuse: Vec<String>,
}

impl Asked {
    /// As it was written into the ledger.
    pub(super) fn of(text: Option<&str>) -> Option<Self> {
        serde_json::from_str(text?).ok()
    }
}

/// What the ledger is told of a run that begins now.
pub(super) fn run_start(
    settings: &Settings,
    rules: &Rules,
    kind: &'static str,
    scope: Scope,
    started_at: DateTime<Utc>,
) -> RunStart {
    let coins = settings.coins.iter().map(ToString::to_string);
    let asked = Asked {
        top: settings.top,
        coins: coins.collect(),
        thresholds: settings.thresholds,
        refuse: settings.refuse.clone(),
    };
    RunStart {
        id: Uuid::now_v7().to_string(),
        kind,
        scope,
        started_at,
        rule_set: rules.name(),
        api_url: settings.api_url.to_string(),
        asked: serde_json::to_string(&asked).unwrap_or_default(),
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
