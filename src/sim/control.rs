//! The control calls under `/sim`: the clock, the log of calls, the coins, the faults.
//! They are not part of the market, are not counted, and meet no fault.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use super::changes::CoinChange;
use super::fault::Fault;
use super::lock::lock;
use super::noise::whole;
use super::response::{JSON, Response};
use super::state::State;
use crate::error::{Error, Result};

/// The response to a control call; `path` is what follows `/sim`.
pub fn respond(state: &State, method: &str, path: &str, body: &[u8]) -> Response {
    let done = match (method, path.trim_matches('/')) {
        ("GET", "") => Ok(overview(state)),
        ("GET", "clock") => Ok(clock(state)),
        ("POST", "clock") => read(body).and_then(|order| set_clock(state, &order)),
        ("POST", "next") => next(state),
        ("GET", "calls") => Ok(calls(state)),
        ("POST", "coins") => read(body).and_then(|order| change_coin(state, &order)),
        ("POST", "faults") => read(body).and_then(|order| add_faults(state, &order)),
        ("DELETE", "faults") => {
            state.clear_faults();
            Ok(faults(state))
        }
        _ => {
            let said = "no such control call: GET /sim, /sim/clock, /sim/calls; POST /sim/clock, /sim/next, /sim/coins, /sim/faults; DELETE /sim/faults";
            return Response::new(404, JSON, json!({ "error": said }).to_string());
        }
    };
    match done {
        Ok(value) => Response::new(200, JSON, value.to_string()),
        Err(error) => Response::new(400, JSON, json!({ "error": error.chain() }).to_string()),
    }
}

fn overview(state: &State) -> Value {
    let recordings: Vec<Value> = state
        .source
        .recordings()
        .iter()
        .map(|recording| json!({ "name": recording.name, "kind": recording.kind, "instant": text(recording.instant) }))
        .collect();
    json!({
        "now": text(state.clock.now()),
        "frozen": state.clock.is_frozen(),
        "calls": lock(&state.calls).count(),
        "market": state.source.name(),
        "faults": state.pending_faults(),
        "recordings": recordings,
    })
}

fn clock(state: &State) -> Value {
    json!({ "now": text(state.clock.now()), "frozen": state.clock.is_frozen() })
}

// The whole order is read before any of it is carried out: a bad one changes nothing.
fn set_clock(state: &State, order: &Value) -> Result<Value> {
    let fields = order
        .as_object()
        .ok_or_else(|| Error::argument("give an object with `set`, `freeze` or `advance`"))?;
    let mut set = None;
    let mut freeze = None;
    let mut advance = None;
    for (name, value) in fields {
        let refused = || Error::argument(format!("clock option {name} cannot be {value}"));
        match name.as_str() {
            "set" => {
                let instant = value
                    .as_str()
                    .and_then(|text| DateTime::parse_from_rfc3339(text).ok());
                set = Some(instant.ok_or_else(refused)?.to_utc());
            }
            "freeze" => freeze = Some(value.as_bool().ok_or_else(refused)?),
            "advance" => {
                let millis = whole(value.as_f64().ok_or_else(refused)? * 1000.0);
                advance = Some(TimeDelta::try_milliseconds(millis).ok_or_else(refused)?);
            }
            _ => {
                return Err(Error::argument(format!(
                    "no clock option `{name}`: give set, freeze or advance"
                )));
            }
        }
    }
    if let Some(instant) = set {
        state.clock.set(instant)?;
    }
    if let Some(step) = advance {
        state.clock.advance(step)?;
    }
    if let Some(frozen) = freeze {
        state.clock.freeze(frozen);
    }
    Ok(clock(state))
}

// As with the clock, a bad order changes nothing.
fn change_coin(state: &State, order: &Value) -> Result<Value> {
    let wrong = || {
        Error::argument("give an object with the `id` of a coin, and `listed`, `symbol` or `name`")
    };
    let mut fields = order.as_object().ok_or_else(wrong)?.clone();
    let id = fields.remove("id").ok_or_else(wrong)?;
    let id = id.as_str().ok_or_else(wrong)?;
    let mut change = CoinChange::default();
    for (field, value) in &fields {
        match (field.as_str(), value) {
            ("listed", Value::Bool(listed)) => change.listed = Some(*listed),
            ("symbol", Value::String(text)) => change.symbol = Some(text.clone()),
            ("name", Value::String(text)) => change.name = Some(text.clone()),
            _ => return Err(wrong()),
        }
    }
    state.source.change(id, change)?;
    Ok(json!({ "id": id, "changed": fields }))
}

fn next(state: &State) -> Result<Value> {
    let next = state.source.next(state.clock.now()).ok_or_else(|| {
        Error::argument("there is no later recording: set the clock back with POST /sim/clock")
    })?;
    state.clock.set(next)?;
    Ok(clock(state))
}

fn calls(state: &State) -> Value {
    let calls = lock(&state.calls);
    json!({ "calls": calls.count(), "log": calls.recent().collect::<Vec<_>>() })
}

fn faults(state: &State) -> Value {
    json!({ "faults": state.pending_faults() })
}

fn add_faults(state: &State, order: &Value) -> Result<Value> {
    let list = match order {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let read = list
        .iter()
        .map(Fault::from_json)
        .collect::<Result<Vec<_>>>()?;
    for fault in read {
        state.add_fault(fault);
    }
    Ok(faults(state))
}

fn read(body: &[u8]) -> Result<Value> {
    serde_json::from_slice(body)
        .map_err(|error| Error::config("the body is not JSON").because(error))
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::super::clock::{Clock, ClockSetting};
    use super::super::plan::SimPlan;
    use super::super::source::{Market, Source};
    use super::*;

    fn state() -> State {
        let source = Source::open(&Market::Seeded { seed: 1, coins: 5 }).unwrap();
        let clock = Clock::new(ClockSetting::Frozen(
            "2026-01-14T12:00:00Z".parse().unwrap(),
        ))
        .unwrap();
        State::new(
            clock,
            source,
            SimPlan::keyless(),
            Vec::new(),
            watch::channel(false).1,
        )
    }

    fn call(state: &State, method: &str, path: &str, body: &str) -> (u16, Value) {
        let response = respond(state, method, path, body.as_bytes());
        (
            response.status,
            serde_json::from_slice(&response.body).unwrap(),
        )
    }

    #[test]
    fn the_clock_obeys_and_says_where_it_is() {
        let state = state();
        let (status, body) = call(
            &state,
            "POST",
            "/clock",
            r#"{"set":"2026-02-01T00:00:00Z","advance":1.5}"#,
        );
        assert_eq!(
            (status, body),
            (
                200,
                json!({ "now": "2026-02-01T00:00:01.500Z", "frozen": true })
            )
        );
        let (_, body) = call(&state, "POST", "/clock", r#"{"freeze":false}"#);
        assert_eq!(body["frozen"], false);
    }

    #[test]
    fn an_order_that_cannot_be_read_changes_nothing() {
        let state = state();
        for bad in [
            r#"{"set":"2026-02-01T00:00:00Z","advance":"far"}"#,
            r#"{"when":1}"#,
            "[]",
            "no json",
        ] {
            assert_eq!(call(&state, "POST", "/clock", bad).0, 400, "{bad}");
        }
        assert_eq!(call(&state, "POST", "/faults", r#"["cut","boom"]"#).0, 400);
        assert_eq!(call(&state, "GET", "", "").1["faults"], json!([]));
        assert_eq!(
            call(&state, "GET", "/clock", "").1["now"],
            "2026-01-14T12:00:00Z"
        );
    }

    #[test]
    fn a_coin_is_delisted_renamed_and_listed_again() {
        let state = state();
        let listed = || {
            let list = state.source.list(state.clock.now()).unwrap();
            let list: Value = serde_json::from_slice(&list.body).unwrap();
            let coins = list.as_array().unwrap().iter();
            coins
                .map(|it| it["name"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert!(listed().contains(&"Tether".to_owned()));
        for bad in [
            r#"{"id":"none","listed":false}"#,
            r#"{"id":"tether","rank":1}"#,
            r#"{"listed":false}"#,
        ] {
            assert_eq!(call(&state, "POST", "/coins", bad).0, 400, "{bad}");
        }
        assert_eq!(
            call(
                &state,
                "POST",
                "/coins",
                r#"{"id":"tether","listed":false}"#
            )
            .0,
            200
        );
        assert_eq!(
            (listed().len(), listed().contains(&"Tether".to_owned())),
            (4, false)
        );
        let back = r#"{"id":"tether","listed":true,"name":"Tether II"}"#;
        assert_eq!(call(&state, "POST", "/coins", back).0, 200);
        assert!(listed().contains(&"Tether II".to_owned()));
    }

    #[test]
    fn faults_are_set_shown_and_cleared() {
        let state = state();
        let (_, body) = call(
            &state,
            "POST",
            "/faults",
            r#"["cut",{"kind":"429","times":2}]"#,
        );
        assert_eq!(body["faults"], json!(["cut:times=1", "429:times=2"]));
        assert_eq!(call(&state, "DELETE", "/faults", "").1["faults"], json!([]));
        assert_eq!(call(&state, "POST", "/next", "").0, 400);
        assert_eq!(call(&state, "GET", "/nothing", "").0, 404);
    }
}
