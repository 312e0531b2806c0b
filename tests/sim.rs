//! The market server over real sockets: paging, keys, clock, recordings, in `sim/faults.rs` its faults and in `sim/command.rs`
//! the command.
//! The figures themselves are tested beside their code.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::collections::HashSet;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use coinmill::sim::{Market, RecordingKind, Sim, SimOptions, SimPlan};
use serde_json::{Value, json};

#[path = "sim/client.rs"]
mod client;
#[path = "sim/command.rs"]
mod command;
#[path = "sim/faults.rs"]
mod faults;
#[path = "sim/start.rs"]
mod start;

use client::{AGENT, control, get, receive, send};
use start::{recorded, recordings, seeded};

#[tokio::test]
async fn a_response_is_dated_by_the_simulator_s_clock_and_cached_like_a_real_one() {
    let sim = seeded(5).await;
    let response = get(&sim, "/ping").await;
    assert_eq!(
        (response.status, response.text().as_str()),
        (200, r#"{"gecko_says":"(V3) To the Moon!"}"#)
    );
    assert_eq!(
        response.header("date"),
        Some("Wed, 14 Jan 2026 12:00:00 GMT")
    );
    assert_eq!(response.head.to_lowercase().matches("\r\ndate:").count(), 1);
    assert_eq!(
        response.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(response.header("cache-control"), Some("public, max-age=30"));
    assert_eq!(sim.url(), format!("http://{}/api/v3", sim.address()));
}

#[tokio::test]
async fn every_coin_is_on_exactly_one_page() {
    let sim = seeded(600).await;
    let mut ids = Vec::new();
    for page in 1..=3 {
        let response = get(
            &sim,
            &format!("/coins/markets?vs_currency=usd&per_page=250&page={page}"),
        )
        .await;
        assert_eq!(
            (response.header("total"), response.header("per-page")),
            (Some("600"), Some("250"))
        );
        let rows = response.json();
        ids.extend(
            rows.as_array()
                .unwrap()
                .iter()
                .map(|row| row["id"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(ids.len(), 600);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 600);
    let list = get(&sim, "/coins/list?include_platform=true").await.json();
    assert_eq!(list.as_array().unwrap().len(), 600);
}

#[tokio::test]
async fn refusals_have_the_real_statuses_and_bodies() {
    let sim = seeded(200).await;
    for (target, status, body) in [
        (
            "/coins/markets",
            422,
            r#"{"error":"Missing parameter vs_currency"}"#,
        ),
        (
            "/coins/markets?vs_currency=usdt",
            400,
            r#"{"error":"invalid vs_currency"}"#,
        ),
        (
            "/coins/nothing/market_chart?vs_currency=usd&days=1",
            404,
            r#"{"error":"coin not found"}"#,
        ),
    ] {
        let response = get(&sim, target).await;
        assert_eq!((response.status, response.text().as_str()), (status, body));
    }
    let nameless = receive(send(&sim, "GET", "/api/v3/ping", "", "").await).await;
    assert_eq!(nameless.status, 403);
    assert!(nameless.text().contains("descriptive User-Agent"));
    assert_eq!(sim.calls(), 4);
}

#[tokio::test]
async fn a_key_is_checked_by_header_and_host() {
    for (plan, own, other, code) in [
        (
            SimPlan::demo("right"),
            "x-cg-demo-api-key",
            "x-cg-pro-api-key",
            10010,
        ),
        (
            SimPlan::paid("right"),
            "x-cg-pro-api-key",
            "x-cg-demo-api-key",
            10011,
        ),
    ] {
        let sim = Sim::start(SimOptions {
            plan,
            ..SimOptions::default()
        })
        .await
        .unwrap();
        let ask = async |header: &str, key: &str| {
            let headers = format!("{AGENT}{header}: {key}\r\n");
            receive(send(&sim, "GET", "/api/v3/ping", &headers, "").await).await
        };
        assert_eq!(ask(own, "right").await.status, 200);
        let wrong = ask(own, "wrong").await;
        assert_eq!(
            (wrong.status, &wrong.json()["status"]["error_code"]),
            (401, &json!(10002))
        );
        let misplaced = ask(other, "right").await;
        assert_eq!(
            (misplaced.status, &misplaced.json()["status"]["error_code"]),
            (400, &json!(code))
        );
    }
}

#[tokio::test]
async fn the_clock_is_moved_by_the_handle_and_by_control_calls() {
    let sim = seeded(5).await;
    sim.advance(TimeDelta::minutes(30)).unwrap();
    assert_eq!(
        control(&sim, "GET", "/sim/clock", &Value::Null).await["now"],
        "2026-01-14T12:30:00Z"
    );
    let order = json!({ "set": "2026-02-01T00:00:00Z", "freeze": false });
    assert_eq!(
        control(&sim, "POST", "/sim/clock", &order).await["frozen"],
        false
    );
    assert!(!sim.is_frozen());
    assert!(sim.now() >= "2026-02-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap());
    assert_eq!(sim.calls(), 0);
}

#[tokio::test]
async fn the_log_of_calls_is_kept_without_keys_and_without_control_calls() {
    let sim = seeded(5).await;
    get(&sim, "/ping?x_cg_demo_api_key=hush").await;
    get(&sim, "/nothing").await;
    for header in [
        "x-cg-pro-api-key: hush",
        "Authorization: hush",
        "x-cg-demo-api-key:",
    ] {
        let headers = format!("{AGENT}{header}\r\n");
        receive(send(&sim, "GET", "/api/v3/ping", &headers, "").await).await;
    }
    let log = control(&sim, "GET", "/sim/calls", &Value::Null).await;
    assert_eq!(log["calls"], 5);
    assert_eq!(
        log["log"][1],
        json!({ "method": "GET", "path": "/nothing", "status": 404, "key": false })
    );
    let shown: Vec<bool> = sim.call_log().iter().map(|call| call.key).collect();
    assert_eq!(shown, [true, false, true, true, false]);
    assert!(!log.to_string().contains("hush"));
}

#[tokio::test]
async fn options_that_cannot_be_are_refused_with_the_remedy() {
    let start = async |market| {
        Sim::start(SimOptions {
            market,
            ..SimOptions::default()
        })
        .await
        .unwrap_err()
        .chain()
    };
    assert!(
        start(Market::Seeded {
            seed: 1,
            coins: 20_001
        })
        .await
        .contains("from 1 to 20000")
    );
    let folder = PathBuf::from("no-such-folder");
    assert!(
        start(Market::Recorded { folder })
            .await
            .contains("name one that is there")
    );
    let sim = seeded(5).await;
    let taken = SimOptions {
        bind: sim.address(),
        ..SimOptions::default()
    };
    assert!(
        Sim::start(taken)
            .await
            .unwrap_err()
            .to_string()
            .contains("choose another address")
    );
}

#[tokio::test]
async fn every_recorded_page_is_served_byte_for_byte_at_its_own_time() {
    let Some(folder) = recordings() else { return };
    let sim = recorded(folder.clone()).await;
    assert!(sim.is_frozen());
    let all = sim.recordings().to_vec();
    assert_eq!(sim.now(), all[0].instant);
    let pages: Vec<_> = all
        .iter()
        .filter(|recording| recording.kind == RecordingKind::Markets)
        .collect();
    assert!(pages.len() >= 41);
    for page in pages {
        sim.set_clock(page.instant).unwrap();
        let file = std::fs::read(folder.join(&page.name)).unwrap();
        let rows: Vec<Value> = serde_json::from_slice(&file).unwrap();
        let response = get(&sim, "/coins/markets?vs_currency=usd&per_page=250&page=1").await;
        assert!(response.body == file, "{}", page.name);
        assert_eq!(
            response.header("total"),
            Some(rows.len().to_string().as_str())
        );
        let part = get(&sim, "/coins/markets?vs_currency=usd&per_page=7&page=2").await;
        assert_eq!(part.json().as_array().unwrap().as_slice(), &rows[7..14]);
        let text = part.text();
        assert!(String::from_utf8_lossy(&file).contains(text.trim_matches(['[', ']'])));
    }
}

#[tokio::test]
async fn the_recorded_clock_goes_from_recording_to_recording() {
    let Some(folder) = recordings() else { return };
    let sim = recorded(folder).await;
    let mut instants: Vec<_> = sim
        .recordings()
        .iter()
        .map(|recording| recording.instant)
        .collect();
    instants.dedup();
    for instant in &instants[1..] {
        let told = control(&sim, "POST", "/sim/next", &Value::Null).await;
        assert_eq!(told["frozen"], true);
        assert_eq!(sim.now(), *instant);
    }
    assert_eq!(sim.next_recording(), None);
    let overview = control(&sim, "GET", "/sim", &Value::Null).await;
    assert_eq!(
        overview["recordings"].as_array().unwrap().len(),
        sim.recordings().len()
    );
}

#[tokio::test]
async fn recorded_charts_are_served_whole_and_in_part() {
    let Some(folder) = recordings() else { return };
    let sim = recorded(folder.clone()).await;
    let charts: Vec<_> = sim
        .recordings()
        .iter()
        .filter(|item| item.kind == RecordingKind::Chart)
        .cloned()
        .collect();
    assert!(charts.len() >= 4);
    for (name, query) in [
        ("chart/bitcoin-days-1-a.json", "days=1"),
        ("chart/bitcoin-days-1-b.json", "days=1"),
        (
            "chart/bitcoin-days-30-hourly.json",
            "days=30&interval=hourly",
        ),
        ("chart/bitcoin-days-90-daily.json", "days=90&interval=daily"),
    ] {
        let Some(chart) = charts.iter().find(|chart| chart.name == name) else {
            continue;
        };
        sim.set_clock(chart.instant).unwrap();
        let response = get(
            &sim,
            &format!("/coins/bitcoin/market_chart?vs_currency=usd&{query}"),
        )
        .await;
        assert!(
            response.body == std::fs::read(folder.join(name)).unwrap(),
            "{name}"
        );
    }
    let (from, to) = (1_619_000_000, 1_620_000_000);
    let part = get(
        &sim,
        &format!("/coins/bitcoin/market_chart/range?vs_currency=usd&from={from}&to={to}"),
    )
    .await;
    let points = part.json()["prices"].as_array().unwrap().clone();
    assert!(points.len() > 250);
    assert!(
        points
            .iter()
            .all(|point| (from * 1000..=to * 1000).contains(&point[0].as_i64().unwrap()))
    );
    let none = get(&sim, "/coins/ethereum/market_chart?vs_currency=usd&days=1").await;
    assert_eq!(
        (none.status, none.text().as_str()),
        (404, r#"{"error":"no recording"}"#)
    );
}
