//! Whether everything is there that runs need: databases, landing, clock, API, key and plan.
//! It looks and changes nothing, goes on after what fails, and waits for nothing for long.

mod api;
mod databases;
mod finding;
mod folder;

use serde::Serialize;

pub use finding::{Finding, Health};

use crate::config::{ClockSetting, Settings};
use crate::store::Part;
use databases::{Subject, apart, look, look_if};
use folder::Folder;

/// Below this many bytes of free space the landing is warned about: about a month of the free plan's bodies and rows.
const LITTLE: u64 = 1_000_000_000;

/// Below this many, runs are about to fail.
const TOO_LITTLE: u64 = 50_000_000;

/// All findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Doctor {
    /// The worst of the findings.
    pub state: Health,
    /// What was looked at, in order.
    pub checks: Vec<Finding>,
}

/// Looks at everything; `is_offline` leaves out the API.
pub async fn doctor(settings: &Settings, is_offline: bool) -> Doctor {
    let is_counted =
        settings.plan.credits_per_month.is_some() || settings.plan.calls_per_minute.is_some();
    let subject = |check, url, part, setting| Subject {
        check,
        url,
        part,
        setting,
        vs_currency: &settings.vs_currency,
        is_owner: false,
    };
    let as_owner = |subject| Subject {
        is_owner: true,
        ..subject
    };
    let snapshot_owner = settings.snapshot_owner_url.as_ref().map(|url| {
        as_owner(subject(
            "snapshot owner",
            url,
            Part::Snapshot,
            "COINMILL_SNAPSHOT_OWNER_URL",
        ))
    });
    let timeseries_owner = settings.timeseries_owner_url.as_ref().map(|url| {
        as_owner(subject(
            "series owner",
            url,
            Part::Timeseries,
            "COINMILL_TIMESERIES_OWNER_URL",
        ))
    });
    let budget = is_counted.then(|| {
        subject(
            "budget",
            &settings.budget_url,
            Part::Budget,
            "COINMILL_BUDGET_URL",
        )
    });
    let (snapshot, timeseries, first, second, budget, landing, asked) = tokio::join!(
        look(subject(
            "snapshot database",
            &settings.snapshot_url,
            Part::Snapshot,
            "COINMILL_SNAPSHOT_URL"
        )),
        look(subject(
            "series database",
            &settings.timeseries_url,
            Part::Timeseries,
            "COINMILL_TIMESERIES_URL"
        )),
        look_if(snapshot_owner),
        look_if(timeseries_owner),
        look_if(budget),
        landing(settings),
        async {
            match is_offline {
                true => None,
                false => Some(api::ask(settings).await),
            }
        },
    );
    let mut checks = vec![snapshot.0, timeseries.0];
    checks.extend(
        [first, second]
            .into_iter()
            .flatten()
            .map(|(found, _)| found),
    );
    checks.push(match budget {
        Some((found, _)) => found,
        None => Finding::ok("budget", "not used: the plan has no limits"),
    });
    checks.push(landing);
    let (said, api_ahead) = match asked {
        Some(asked) => (asked.findings, asked.ahead),
        None => (Vec::new(), None),
    };
    let clocks = [
        (api_ahead, settings.api_url.host_str().unwrap_or_default()),
        (snapshot.1, "the snapshot database's server"),
        (timeseries.1, "the series database's server"),
    ];
    checks.push(clock(settings.clock, &clocks));
    checks.push(api::plan(settings));
    checks.extend(said);
    let states = checks.iter().map(|finding| finding.state);
    Doctor {
        state: states.max().unwrap_or(Health::Ok),
        checks,
    }
}

async fn landing(settings: &Settings) -> Finding {
    const LANDING: &str = "landing";
    let place = settings.landing_dir.display();
    let looked = finding::in_time(folder::look(settings.landing_dir.clone())).await;
    let Folder {
        exists,
        blocked,
        free,
    } = match looked {
        Ok(looked) => looked,
        Err(error) => return Finding::of_error(LANDING, &error),
    };
    if let Some(why) = blocked {
        return Finding::failed(LANDING, format!("{place}: {why} (COINMILL_LANDING_DIR)"));
    }
    let there = match exists {
        true => "",
        false => ", which the first run makes",
    };
    let Some(free) = free else {
        return Finding::ok(LANDING, format!("{place}{there}"));
    };
    let space = format!("{} MB free", free / 1_000_000);
    let remedy = "free some space, or set COINMILL_RETENTION_DAYS_LANDING and prune";
    match free {
        ..TOO_LITTLE => Finding::failed(LANDING, format!("{place}: {space}: {remedy}")),
        TOO_LITTLE..LITTLE => Finding::warning(LANDING, format!("{place}: {space}: {remedy}")),
        _ => Finding::ok(LANDING, format!("{place}{there}, {space}")),
    }
}

/// This machine's clock against those that are known. Pure.
fn clock(setting: ClockSetting, others: &[(Option<f64>, &str)]) -> Finding {
    const CLOCK: &str = "clock";
    match setting {
        ClockSetting::System => {}
        ClockSetting::Sim => {
            return Finding::ok(CLOCK, "the simulated market's, as COINMILL_CLOCK says");
        }
        ClockSetting::Frozen(at) => {
            return Finding::warning(
                CLOCK,
                format!(
                    "it stands still at {}, as COINMILL_CLOCK says: unset it for real runs",
                    at.format("%Y-%m-%dT%H:%M:%SZ")
                ),
            );
        }
    }
    let known: Vec<_> = others
        .iter()
        .filter_map(|(ahead, of)| Some(((*ahead)?, *of)))
        .collect();
    let wrong = known.iter().map(|&(ahead, of)| apart(ahead, of));
    let wrong = wrong
        .filter_map(Result::err)
        .max_by_key(|(is_far, _)| *is_far);
    match wrong {
        Some((true, said)) => Finding::failed(CLOCK, said),
        Some((false, said)) => Finding::warning(CLOCK, said),
        None if known.is_empty() => Finding::ok(CLOCK, "nothing to compare it with"),
        None => {
            let with: Vec<&str> = known.iter().map(|(_, of)| *of).collect();
            Finding::ok(CLOCK, format!("within 5 s of {}", with.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_by_a_minute_fails_and_by_seconds_is_warned_about() {
        for (ahead, state, said) in [
            (Some(0.4), Health::Ok, "within 5 s of api"),
            (Some(-7.0), Health::Warning, "7 s ahead of api"),
            (Some(3600.0), Health::Failed, "1 h behind api"),
            (None, Health::Ok, "nothing to compare"),
        ] {
            let finding = clock(ClockSetting::System, &[(ahead, "api"), (None, "other")]);
            assert_eq!(finding.state, state, "{finding:?}");
            assert!(finding.message.contains(said), "{finding:?}");
        }
    }
}
