//! What the schedule takes of the plan, as text for people.

use chrono::{DateTime, Utc};

use super::layout::{line, table};
use crate::pipeline::{PlanReport, Risk};
use crate::planner::{Load, grouped};

/// What the schedule takes of the plan.
pub(super) fn plan(plan: &PlanReport) -> String {
    let pace = plan.calls_per_minute;
    let pace = pace.map_or_else(
        || "no limit a minute".to_owned(),
        |calls| format!("{calls} calls a minute"),
    );
    let limit = plan.outlook.credits_per_month;
    let a_month = limit.map_or_else(
        || "no monthly limit".to_owned(),
        |limit| format!("{} a month", grouped(limit)),
    );
    let days = plan.outlook.runs_per_month / 48;
    let header = ["", "calls a run", "a day", &format!("in {days} days")];
    let row = |load: &Load| {
        vec![
            load.what.clone(),
            format!("{:.1}", load.calls_per_run),
            format!("{:.0}", load.calls_per_day),
            grouped(load.calls_per_month),
        ]
    };
    let loads = &plan.outlook.loads;
    let rows = loads.parts.iter().chain([&loads.total]);
    let mut text = table(&header, &[1, 2, 3], rows.map(row).collect()).trim_fmt();
    text.push_str("\n\n");
    let mut line = |name: &str, value: String| line(&mut text, name, &value);
    line("plan", format!("{}: {pace}, {a_month}", plan.plan));
    if let Some(limit) = limit {
        line(
            plan.month.as_str(),
            format!(
                "{} of {} calls spent, {} still needed, {} to spare",
                grouped(plan.credits),
                grouped(limit),
                grouped(plan.needed),
                grouped(plan.spare.unwrap_or_default()),
            ),
        );
    }
    if let Some(short) = plan.short.filter(|short| *short > 0) {
        line(
            "short",
            format!(
                "{} calls lack until the month ends: snapshots go first, then charts of the largest; raise \
                 COINMILL_CREDITS_PER_MONTH if the plan has more",
                grouped(short)
            ),
        );
    }
    if let Some(room) = plan.outlook.room {
        line(
            "room",
            format!(
                "charts of {} coins, {} are kept",
                grouped(room),
                plan.followed
            ),
        );
    }
    if let Some(risk) = &plan.first_to_fall_off {
        line("first", format!("{}: {}", risk.coin_id, falls_off(risk)));
    }
    for risk in plan.at_risk.iter().take(RISKS) {
        line("at risk", format!("{}: {}", risk.coin_id, falls_off(risk)));
    }
    match plan.at_risk.len() {
        0 => line("at risk", "nothing".to_owned()),
        count if count > RISKS => line("at risk", format!("and {} more coins", count - RISKS)),
        _ => {}
    }
    if let Some(advice) = &plan.outlook.advice {
        line("advice", advice.clone());
    }
    text
}

/// How many coins at risk are named.
const RISKS: usize = 10;

fn falls_off(risk: &Risk) -> String {
    let at = |at: DateTime<Utc>| at.format("%m-%d %H:%M").to_string();
    format!(
        "points from {} on fall off at {} unless a run comes before",
        at(risk.points_from),
        at(risk.falls_off_at)
    )
}
