//! Whether the API responds, whether it knows the key, and whether key, plan and host belong together.
//! One call (two on a paid plan) that no account counts: a doctor must not write.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::finding::{Finding, in_time};
use crate::clock::Clock;
use crate::coingecko::{KeyUse, key, parse_key};
use crate::config::Settings;
use crate::error::Result;
use crate::http::{Client, Request};
use crate::provider::{Plan, PlanKind};
use crate::stop::Stop;

/// The longest that one call may take.
const TIMEOUT: Duration = Duration::from_secs(10);

const API: &str = "API";
const PLAN: &str = "key and plan";

/// Whether key, plan and host belong together, as far as they tell without a call. Pure.
pub(super) fn plan(settings: &Settings) -> Finding {
    let kind = settings.plan.kind;
    if let Err(error) = settings.check_key() {
        return Finding::of_error(PLAN, &error);
    }
    let host = settings.api_url.host_str().unwrap_or_default();
    let host_of = |kind| {
        let url = url::Url::parse(Plan::documented(kind).default_api_url()).ok();
        url.and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_default()
    };
    let (public, paid) = (host_of(PlanKind::Demo), host_of(PlanKind::Paid));
    let remedy = "unset COINMILL_API_URL, or correct COINMILL_PLAN";
    if kind == PlanKind::Paid && host == public {
        return Finding::failed(
            PLAN,
            format!("the plan paid is served by {paid}, and not by {host}: {remedy}"),
        );
    }
    if matches!(kind, PlanKind::Demo | PlanKind::Keyless) && host == paid {
        return Finding::failed(
            PLAN,
            format!("{host} serves the plan paid, and {kind} is set: {remedy}"),
        );
    }
    if kind == PlanKind::Keyless && settings.api_key.is_some() {
        return Finding::warning(
            PLAN,
            "a key is set, and the plan keyless makes no use of what it allows: unset COINMILL_PLAN, or set it to demo or paid",
        );
    }
    let key = match settings.api_key {
        Some(_) => "a key is set",
        None => "no key",
    };
    let limit = match settings.plan.calls_per_minute {
        Some(calls) => format!("{calls} calls a minute"),
        None => "no limit a minute".to_owned(),
    };
    let month = match settings.plan.credits_per_month {
        Some(calls) => format!("{calls} a month"),
        None => "no limit a month".to_owned(),
    };
    Finding::ok(PLAN, format!("{kind}, {key}: {limit}, {month}"))
}

/// What the API said.
pub(super) struct Asked {
    pub(super) findings: Vec<Finding>,
    /// By how much its clock is ahead of this machine's, in seconds.
    pub(super) ahead: Option<f64>,
}

/// Asks the API whether it is there, and on a paid plan what is left of the key.
pub(super) async fn ask(settings: &Settings) -> Asked {
    // without the key that the plan needs there is no client, and `plan` says so
    if settings.check_key().is_err() {
        return Asked {
            findings: Vec::new(),
            ahead: None,
        };
    }
    let settings = Settings {
        attempts: 1,
        timeout: settings.timeout.min(TIMEOUT),
        ..settings.clone()
    };
    let client = match Client::new(&settings, Clock::System, Stop::never(), None) {
        Ok(client) => client,
        Err(error) => {
            return Asked {
                findings: vec![Finding::of_error(API, &error)],
                ahead: None,
            };
        }
    };
    let (mut ahead, began) = (None, Utc::now());
    let ping = Request {
        path: vec!["ping".to_owned()],
        query: Vec::new(),
    };
    let heard = |response: &crate::http::Response| {
        let age = response.headers.get("age").map_or("0", String::as_str);
        // a cache repeats an old Date
        if age.trim() == "0" {
            ahead = response
                .date()
                .map(|date| ahead_of(date, began, response.received_at));
        }
        Ok(())
    };
    let pinged = in_time(client.get(&ping, heard, |(), _| Ok(()))).await;
    let mut findings = vec![match pinged {
        Ok(()) => Finding::ok(API, format!("{} responds", settings.api_url)),
        Err(error) => Finding::of_error(API, &error),
    }];
    let responds = findings
        .iter()
        .all(|finding| finding.state == super::finding::Health::Ok);
    if responds && settings.plan.kind == PlanKind::Paid {
        let used = in_time(client.get(&key(), |_| Ok(()), |(), body| parse_key(&body.body))).await;
        findings.push(of_key(used, settings.plan.credits_per_month));
    }
    Asked { findings, ahead }
}

/// By how much a `Date`, which has no parts of a second, is ahead of the middle of the call, in seconds.
fn ahead_of(date: DateTime<Utc>, began: DateTime<Utc>, ended: DateTime<Utc>) -> f64 {
    let middle = began + (ended - began) / 2;
    (date - middle).as_seconds_f64() + 0.5
}

/// What is left of a key. Pure.
fn of_key(used: Result<KeyUse>, credits: Option<u64>) -> Finding {
    const KEY: &str = "key";
    let used = match used {
        Ok(used) => used,
        Err(error) => return Finding::of_error(KEY, &error),
    };
    let spent = format!("{} of {} calls spent this month", used.spent, used.credits);
    if used.spent >= used.credits {
        return Finding::failed(
            KEY,
            format!("{spent}: wait for the next month, or raise the plan"),
        );
    }
    if credits.is_some_and(|credits| credits != used.credits) {
        let remedy = format!("set COINMILL_CREDITS_PER_MONTH={}", used.credits);
        return Finding::warning(
            KEY,
            format!("{spent}, and the plan is set to another number: {remedy}"),
        );
    }
    Finding::ok(KEY, spent)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Health;
    use super::*;
    use crate::config::Layers;

    fn found(settings: &[(&str, &str)]) -> Finding {
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let layers = Layers::default().with_arguments(settings).unwrap();
        plan(&Settings::resolve(&layers).unwrap())
    }

    #[test]
    fn key_plan_and_host_have_to_belong_together() {
        let public = "https://api.coingecko.com/api/v3";
        let pro = "https://pro-api.coingecko.com/api/v3";
        for (settings, state, said) in [
            (&[][..], Health::Ok, "no key"),
            (&[("api_key", "CG-hush")], Health::Ok, "demo"),
            (&[("plan", "demo")], Health::Failed, "COINMILL_API_KEY"),
            (
                &[
                    ("plan", "paid"),
                    ("api_key", "CG-hush"),
                    ("api_url", public),
                ],
                Health::Failed,
                "pro-api.coingecko.com",
            ),
            (
                &[("api_key", "CG-hush"), ("api_url", pro)],
                Health::Failed,
                "COINMILL_PLAN",
            ),
            (
                &[("api_key", "CG-hush"), ("plan", "keyless")],
                Health::Warning,
                "a key is set",
            ),
            (
                &[("plan", "unlimited"), ("api_url", "http://127.0.0.1:1")],
                Health::Ok,
                "no limit",
            ),
        ] {
            let finding = found(settings);
            assert_eq!(finding.state, state, "{finding:?}");
            assert!(finding.message.contains(said), "{finding:?}");
            assert!(!finding.message.contains("hush"), "{finding:?}");
        }
    }

    #[test]
    fn what_is_left_of_a_key_is_held_against_the_plan() {
        let used = |spent, credits| Ok(KeyUse { spent, credits });
        assert_eq!(of_key(used(1, 500), Some(500)).state, Health::Ok);
        assert_eq!(of_key(used(1, 500), None).state, Health::Ok);
        assert_eq!(of_key(used(1, 500), Some(100)).state, Health::Warning);
        assert_eq!(of_key(used(500, 500), Some(500)).state, Health::Failed);
    }

    #[test]
    fn a_date_is_held_against_the_middle_of_the_call() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let (began, ended) = (at("2026-01-14T12:00:00Z"), at("2026-01-14T12:00:02Z"));
        assert!(ahead_of(at("2026-01-14T12:00:01Z"), began, ended).abs() < 1.0);
        assert!(ahead_of(at("2026-01-14T12:10:01Z"), began, ended) > 599.0);
    }
}
