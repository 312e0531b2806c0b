//! Answers a call of the market: who may come in, which fault meets it, and which endpoint it is for.
//! It is a plain function from a request to a response; sockets are in `server`, the control calls in `control`.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::bodies;
use super::faults::Action;
use super::lock::lock;
use super::pages::Upset;
use super::plan::{Host, Keys};
use super::query::{self, ChartQuery, MarketsQuery, Spacing};
use super::response::Response;
use super::state::State;

/// A request as the market sees it.
pub struct Request<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path below the API's root, as sent.
    pub path: &'a str,
    /// The query string, as sent.
    pub query: &'a str,
    /// True where the request says what sends it.
    pub has_user_agent: bool,
    /// The keys in its headers.
    pub keys: Keys,
}

/// The response to a request, with whatever fault meets it.
pub fn respond(state: &State, request: &Request<'_>, now: DateTime<Utc>) -> Response {
    if !request.has_user_agent {
        return Response::refused(403, bodies::NO_USER_AGENT);
    }
    let whole = if request.query.is_empty() {
        request.path.to_owned()
    } else {
        format!("{}?{}", request.path, request.query)
    };
    let action = state.decide(&whole);
    if let Some(response) = action.as_ref().and_then(|action| action.response(now)) {
        return response;
    }
    let response = admitted(state, request, action.as_ref(), now).unwrap_or_else(|refusal| refusal);
    match action {
        Some(action) => action.applied(response),
        None => response,
    }
}

fn admitted(
    state: &State,
    request: &Request<'_>,
    action: Option<&Action>,
    now: DateTime<Utc>,
) -> Result<Response, Response> {
    let parameters = query::parameters(request.query);
    let either = |header: &Option<String>, name: &str| {
        header
            .clone()
            .or_else(|| query::find(&parameters, name).map(str::to_owned))
    };
    let keys = Keys {
        demo: either(&request.keys.demo, "x_cg_demo_api_key"),
        pro: either(&request.keys.pro, "x_cg_pro_api_key"),
    };
    state.plan.admit(&keys, now)?;
    lock(&state.minute)
        .take(state.plan.calls_per_minute, Instant::now())
        .map_err(|wait| {
            Response::refused(429, bodies::RATE_LIMIT).with("retry-after", wait.to_string())
        })?;
    // Who may come in is decided now; what is seen may be older.
    let then = action.map_or(now, |action| action.instant(now));
    endpoint(state, request, &parameters, action, then)
}

fn endpoint(
    state: &State,
    request: &Request<'_>,
    parameters: &[(String, String)],
    action: Option<&Action>,
    now: DateTime<Utc>,
) -> Result<Response, Response> {
    let parts: Vec<String> = request
        .path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match (request.method, parts.as_slice()) {
        ("GET", ["ping"]) => Ok(Response::ok(r#"{"gecko_says":"(V3) To the Moon!"}"#)),
        ("GET", ["key"]) => key(state),
        ("GET", ["coins", "list"]) => state.source.list(now),
        ("GET", ["coins", "markets"]) => {
            let query = query::markets(parameters)?;
            let upset = upset(state, &query, action);
            state.source.markets(&query, &upset, now)
        }
        ("GET", ["coins", id, "market_chart"]) => {
            let query = query::chart(id, parameters, now)?;
            within_plan(state, &query, now)?;
            state.source.chart(&query, now)
        }
        ("GET", ["coins", id, "market_chart", "range"]) => {
            let query = query::range(id, parameters, now)?;
            within_plan(state, &query, now)?;
            state.source.chart(&query, now)
        }
        _ => Err(Response::refused(404, bodies::NOT_FOUND)),
    }
}

fn upset(state: &State, query: &MarketsQuery, action: Option<&Action>) -> Upset {
    let mut upset = Upset::default();
    match action {
        Some(Action::Shift) => lock(&state.swaps).push(query.rows().start),
        Some(Action::Vanish(id)) => upset.vanished = Some(id.clone()),
        Some(Action::Double(id)) => upset.doubled = Some(id.clone()),
        _ => {}
    }
    upset.swaps.clone_from(&lock(&state.swaps));
    upset
}

fn within_plan(state: &State, query: &ChartQuery, now: DateTime<Utc>) -> Result<(), Response> {
    if let Some(days) = state.plan.history_days() {
        // An hour's grace, since the client counted its days on its own clock.
        let earliest = now - TimeDelta::days(days) - TimeDelta::hours(1);
        if query.from.is_none_or(|from| from < earliest) {
            return Err(Response::refused(401, bodies::beyond_history(now)));
        }
    }
    let Some(interval) = query.interval else {
        return Ok(());
    };
    if interval == Spacing::FiveMinutes && state.plan.host != Host::Paid {
        return Err(Response::refused(401, bodies::PRO_ONLY));
    }
    let longest = match interval {
        Spacing::FiveMinutes => TimeDelta::days(10),
        Spacing::Hour => TimeDelta::days(100),
        Spacing::Day => return Ok(()),
    };
    // An hour's grace here too.
    if query
        .from
        .is_none_or(|from| query.to - from > longest + TimeDelta::hours(1))
    {
        return Err(Response::refused(
            400,
            bodies::invalid("time range for this interval"),
        ));
    }
    Ok(())
}

fn key(state: &State) -> Result<Response, Response> {
    if state.plan.host != Host::Paid {
        return Err(Response::refused(401, bodies::PRO_ONLY));
    }
    let credit: u64 = 500_000;
    let used = lock(&state.calls).count();
    let body = json!({
        "plan": "Analyst",
        "rate_limit_request_per_minute": state.plan.calls_per_minute.unwrap_or(500),
        "monthly_call_credit": credit,
        "current_total_monthly_calls": used,
        "current_remaining_monthly_calls": credit.saturating_sub(used),
    });
    Ok(Response::ok(body.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tokio::sync::watch;

    use super::super::clock::{Clock, ClockSetting};
    use super::super::plan::SimPlan;
    use super::super::source::{Market, Source};
    use super::*;

    fn state(plan: SimPlan, faults: &[&str]) -> State {
        let source = Source::open(&Market::Seeded {
            seed: 1,
            coins: 200,
        })
        .unwrap();
        let clock = Clock::new(ClockSetting::Frozen(
            "2026-01-14T12:00:00Z".parse().unwrap(),
        ))
        .unwrap();
        let faults = faults.iter().map(|text| text.parse().unwrap()).collect();
        State::new(clock, source, plan, faults, watch::channel(false).1)
    }

    fn get(state: &State, target: &str) -> Response {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request {
            method: "GET",
            path,
            query,
            has_user_agent: true,
            keys: Keys::default(),
        };
        respond(state, &request, state.clock.now())
    }

    fn ids(response: &Response) -> Vec<String> {
        let rows: Vec<Value> = serde_json::from_slice(&response.body).unwrap();
        rows.iter()
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn history_ends_where_the_plan_s_does() {
        let keyless = state(SimPlan::keyless(), &[]);
        assert_eq!(
            get(
                &keyless,
                "/coins/bitcoin/market_chart?vs_currency=usd&days=365"
            )
            .status,
            200
        );
        for days in ["366", "max"] {
            let response = get(
                &keyless,
                &format!("/coins/bitcoin/market_chart?vs_currency=usd&days={days}"),
            );
            assert_eq!(response.status, 401);
            let body: Value = serde_json::from_slice(&response.body).unwrap();
            assert_eq!(body["error"]["status"]["error_code"], 10012);
        }
        let paid = state(
            SimPlan {
                host: Host::Paid,
                key: None,
                calls_per_minute: None,
            },
            &[],
        );
        let asked = "/coins/bitcoin/market_chart?vs_currency=usd&days=max&x_cg_pro_api_key=any";
        assert_eq!(get(&paid, asked).status, 200);
    }

    #[test]
    fn awkward_ids_are_found_in_their_encoded_form() {
        let state = state(SimPlan::keyless(), &[]);
        for id in ["boringdao-%5Bold%5D", "_", "bitCNY", "boringdao-[old]"] {
            assert_eq!(
                get(
                    &state,
                    &format!("/coins/{id}/market_chart?vs_currency=usd&days=1")
                )
                .status,
                200,
                "{id}"
            );
        }
        let unknown = get(&state, "/coins/nothing/market_chart?vs_currency=usd&days=1");
        assert_eq!(
            (unknown.status, unknown.body.as_ref()),
            (404, bodies::COIN_NOT_FOUND.as_bytes())
        );
        assert_eq!(get(&state, "/coins/bitcoin/nothing").status, 404);
    }

    #[test]
    fn a_shift_makes_pages_miss_one_coin_and_repeat_another() {
        let state = state(SimPlan::keyless(), &["shift"]);
        let page = |number: u32| {
            ids(&get(
                &state,
                &format!("/coins/markets?vs_currency=usd&per_page=50&page={number}"),
            ))
        };
        let (first, second) = (page(1), page(2));
        assert_eq!(first.last(), second.first());
        let again = page(1);
        assert_ne!(again.last(), first.last());
        assert!(!second.contains(again.last().unwrap()));
        state.clear_faults();
        assert_eq!(page(1), first);
    }

    #[test]
    fn a_vanished_coin_comes_back_when_the_fault_is_spent() {
        let state = state(SimPlan::keyless(), &["vanish:id=bitcoin"]);
        let page = || ids(&get(&state, "/coins/markets?vs_currency=usd"));
        assert!(!page().contains(&"bitcoin".to_owned()));
        assert!(page().contains(&"bitcoin".to_owned()));
    }

    #[test]
    fn truncated_json_is_half_of_the_good_one() {
        let state = state(SimPlan::keyless(), &["truncate"]);
        let half = get(&state, "/coins/list").body;
        let all = get(&state, "/coins/list").body;
        assert!(all.starts_with(&half) && half.len() == all.len() / 2);
    }

    #[test]
    fn a_caller_without_a_name_is_refused() {
        let state = state(SimPlan::keyless(), &[]);
        let request = Request {
            method: "GET",
            path: "/ping",
            query: "",
            has_user_agent: false,
            keys: Keys::default(),
        };
        let response = respond(&state, &request, state.clock.now());
        assert_eq!(
            (response.status, response.body.as_ref()),
            (403, bodies::NO_USER_AGENT.as_bytes())
        );
    }

    #[test]
    fn the_minute_of_the_plan_is_held() {
        let plan = SimPlan {
            calls_per_minute: Some(2),
            ..SimPlan::keyless()
        };
        let state = state(plan, &[]);
        assert_eq!(get(&state, "/ping").status, 200);
        assert_eq!(get(&state, "/ping").status, 200);
        let refused = get(&state, "/ping");
        assert_eq!(refused.status, 429);
        assert!(
            refused
                .headers
                .iter()
                .any(|(name, _)| *name == "retry-after")
        );
    }

    #[test]
    fn five_minutes_by_interval_are_for_paid_plans() {
        let asked = "/coins/bitcoin/market_chart?vs_currency=usd&days=5&interval=5m";
        assert_eq!(get(&state(SimPlan::keyless(), &[]), asked).status, 401);
        let long = "/coins/bitcoin/market_chart?vs_currency=usd&days=120&interval=hourly";
        assert_eq!(get(&state(SimPlan::keyless(), &[]), long).status, 400);
    }
}
