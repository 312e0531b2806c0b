//! Each fault of the simulator as a client sees it on the wire.
//! When a fault acts, and how it is written, is tested beside its code.

use std::io::Read;
use std::time::Duration;

use chrono::TimeDelta;
use coinmill::sim::Sim;
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::client::{AGENT, Received, control, get, receive, send};
use super::start::{recorded, seeded};

const PAGE: &str = "/coins/markets?vs_currency=usd&per_page=50";

/// The response to the next call for a page of the market, which this fault meets.
async fn met(sim: &Sim, fault: &str) -> Received {
    sim.add_fault(fault.parse().unwrap());
    get(sim, PAGE).await
}

fn ids(response: &Received) -> Vec<String> {
    let rows = response.json();
    let id = |row: &Value| row["id"].as_str().unwrap().to_owned();
    rows.as_array().unwrap().iter().map(id).collect()
}

#[tokio::test]
async fn faults_of_every_kind_reach_the_wire() {
    let sim = seeded(50).await;
    let faults = json!([
        "429:retry_after=7",
        { "kind": "429", "retry_after_date": 30 },
        "throttled",
        "1015",
        "503",
        "html:status=504",
        "html:status=200",
        "limit200",
        "body:status=418,text={\"odd\":[1,2]}",
    ]);
    control(&sim, "POST", "/sim/faults", &faults).await;
    let refused = get(&sim, "/ping").await;
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (429, Some("7"))
    );
    let refused = get(&sim, "/ping").await;
    assert_eq!(
        refused.header("retry-after"),
        Some("Wed, 14 Jan 2026 12:00:30 GMT")
    );
    assert_eq!(get(&sim, "/ping").await.text(), "Throttled");
    assert_eq!(get(&sim, "/ping").await.text(), "error code: 1015");
    assert_eq!(get(&sim, "/ping").await.status, 503);
    let page = get(&sim, "/ping").await;
    assert!(page.status == 504 && page.text().contains("504: Gateway time-out"));
    let page = get(&sim, "/ping").await;
    assert!(
        page.status == 200
            && page
                .header("content-type")
                .unwrap()
                .starts_with("text/html")
    );
    let notice = get(&sim, "/ping").await;
    assert_eq!(
        (notice.status, &notice.json()["status"]["error_code"]),
        (200, &json!(429))
    );
    let odd = get(&sim, "/ping").await;
    assert_eq!((odd.status, odd.json()), (418, json!({ "odd": [1, 2] })));
    assert_eq!(get(&sim, "/ping").await.status, 200);
}

#[tokio::test]
async fn a_cut_response_ends_before_its_promised_length() {
    let sim = seeded(250).await;
    let target = "/coins/markets?vs_currency=usd&per_page=250";
    let good = get(&sim, target).await;
    sim.add_fault("cut:path=/coins/markets".parse().unwrap());
    let cut = get(&sim, target).await;
    assert!(good.is_whole && !cut.is_whole);
    assert_eq!(cut.header("content-length"), good.header("content-length"));
    assert!(!cut.body.is_empty() && good.body.starts_with(&cut.body));
    sim.add_fault("truncate".parse().unwrap());
    let truncated = get(&sim, target).await;
    assert!(truncated.is_whole && truncated.body.len() == good.body.len() / 2);
}

#[tokio::test]
async fn a_stalled_response_stays_half_and_does_not_keep_the_server_from_stopping() {
    let sim = seeded(5).await;
    sim.add_fault("stall:times=0".parse().unwrap());
    let mut stream = send(&sim, "GET", "/api/v3/coins/list", AGENT, "").await;
    let mut seen = Vec::new();
    while !seen.windows(4).any(|part| part == b"\r\n\r\n") || seen.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0);
    }
    let address = sim.address();
    sim.stop().await;
    let _ = stream.read_to_end(&mut seen).await;
    let text = String::from_utf8(seen).unwrap();
    assert!(text.contains("bitcoin") && !text.ends_with(']'));
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_field_holds_what_it_is_told_to_in_every_row_or_in_that_of_one_coin() {
    let sim = seeded(100).await;
    let response = met(&sim, r#"set:field=current_price,value="text""#).await;
    assert!(response.is_whole && response.header("total") == Some("100"));
    let rows = response.json();
    let rows = rows.as_array().unwrap();
    assert!(rows.len() == 50 && rows.iter().all(|row| row["current_price"] == "text"));
    let good = get(&sim, PAGE).await;
    let response = met(&sim, r#"set:field=seen,id=ethereum,value={"a":[]}"#).await;
    let (was, is) = (good.json(), response.json());
    for (was, is) in was.as_array().unwrap().iter().zip(is.as_array().unwrap()) {
        if is["id"] == "ethereum" {
            assert_eq!(is["seen"], json!({ "a": [] }));
        } else {
            assert_eq!(was, is);
        }
    }
    let response = met(&sim, "set:field=ath,id=bitcoin,value=1e999").await;
    assert!(response.text().contains(r#""ath":1e999"#));
    let response = met(&sim, "drop:field=symbol").await;
    let rows = response.json();
    let keeps = |row: &Value| row.get("symbol").is_none() && row.get("name").is_some();
    assert!(rows.as_array().unwrap().iter().all(keeps));
    assert!(get(&sim, PAGE).await.body == good.body);
}

#[tokio::test]
async fn a_chart_has_wrong_types_and_misses_series() {
    let sim = seeded(5).await;
    let chart = "/coins/bitcoin/market_chart?vs_currency=usd&days=1";
    let faults = json!([
        { "kind": "set", "field": "prices", "value": null, "path": "/market_chart" },
        "drop:path=/market_chart,field=total_volumes",
    ]);
    control(&sim, "POST", "/sim/faults", &faults).await;
    let response = get(&sim, chart).await.json();
    assert!(response["prices"].is_null() && response["market_caps"].is_array());
    let response = get(&sim, chart).await.json();
    assert!(response["prices"].is_array() && response.get("total_volumes").is_none());
}

#[tokio::test]
async fn a_refusal_meets_no_change_of_its_fields() {
    let sim = seeded(5).await;
    sim.add_fault("set:field=error,value=1".parse().unwrap());
    let response = get(&sim, "/coins/markets").await;
    assert_eq!(
        response.text(),
        r#"{"error":"Missing parameter vs_currency"}"#
    );
}

#[tokio::test]
async fn a_doubled_coin_is_on_two_pages_and_another_on_none() {
    let sim = seeded(100).await;
    sim.add_fault("double:id=bitcoin,path=&page=2".parse().unwrap());
    let (first, second) = (
        ids(&get(&sim, &format!("{PAGE}&page=1")).await),
        ids(&get(&sim, &format!("{PAGE}&page=2")).await),
    );
    assert_eq!((first.len(), second.len()), (50, 50));
    assert!(first.contains(&"bitcoin".to_owned()));
    assert_eq!(second.last().unwrap(), "bitcoin");
    let again = ids(&get(&sim, &format!("{PAGE}&page=2")).await);
    assert_eq!(again[..49], second[..49]);
    assert_ne!(again[49], "bitcoin");
}

#[tokio::test]
async fn an_aged_response_says_so_and_one_that_goes_back_does_not() {
    let sim = seeded(100).await;
    let chart = "/coins/bitcoin/market_chart?vs_currency=usd&days=1";
    let (page, points) = (get(&sim, PAGE).await, get(&sim, chart).await);
    sim.advance(TimeDelta::seconds(90)).unwrap();
    assert!(get(&sim, PAGE).await.body != page.body);
    let aged = met(&sim, "aged:seconds=90").await;
    assert!(aged.body == page.body);
    assert_eq!(aged.header("date"), Some("Wed, 14 Jan 2026 12:01:30 GMT"));
    assert_eq!(
        (aged.header("age"), aged.header("cf-cache-status")),
        (Some("90"), Some("HIT"))
    );
    sim.add_fault("back:seconds=90,times=2".parse().unwrap());
    let back = get(&sim, PAGE).await;
    assert!(back.body == page.body && get(&sim, chart).await.body == points.body);
    assert_eq!(back.header("date"), aged.header("date"));
    assert_eq!(
        (back.header("age"), back.header("cf-cache-status")),
        (None, None)
    );
}

#[tokio::test]
async fn a_recorded_market_goes_back_to_an_earlier_recording_or_refuses() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("markets")).unwrap();
    let page = |day: u32| {
        format!(r#"[{{"id":"bitcoin","last_updated":"2024-01-{day}T00:00:00.000Z","ath":1.50}}]"#)
    };
    for day in [16, 17] {
        let file = folder.path().join(format!("markets/2024-01-{day}.json"));
        std::fs::write(file, page(day)).unwrap();
    }
    let sim = recorded(folder.path().into()).await;
    sim.next_recording().unwrap();
    assert_eq!(get(&sim, PAGE).await.text(), page(17));
    for (kind, age) in [("aged", Some("1")), ("back", None)] {
        let older = met(&sim, &format!("{kind}:seconds=1")).await;
        assert_eq!((older.text(), older.header("age")), (page(16), age));
        let none = met(&sim, &format!("{kind}:seconds=100000")).await;
        assert_eq!(
            (none.status, none.text().as_str(), none.header("age")),
            (404, r#"{"error":"no recording"}"#, None)
        );
    }
}

#[tokio::test]
async fn a_dripping_response_never_ends_and_does_not_keep_the_server_from_stopping() {
    let sim = seeded(5).await;
    sim.add_fault("drip".parse().unwrap());
    let mut stream = send(&sim, "GET", "/api/v3/coins/list", AGENT, "").await;
    let mut seen = Vec::new();
    let drops = |seen: &[u8]| seen.windows(6).filter(|part| part == b"1\r\n \r\n").count();
    while drops(&seen) < 4 {
        assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0);
    }
    sim.stop().await;
    let _ = stream.read_to_end(&mut seen).await;
    let text = String::from_utf8(seen).unwrap().to_lowercase();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("http/1.1 200") && head.contains("transfer-encoding: chunked"));
    assert!(!head.contains("content-length"));
    assert!(body.starts_with("1\r\n[\r\n1\r\n \r\n") && !body.ends_with("0\r\n\r\n"));
}

#[tokio::test]
async fn a_huge_response_is_the_good_one_with_blanks_in_it() {
    let sim = seeded(50).await;
    let good = get(&sim, PAGE).await;
    let huge = met(&sim, "huge:mb=3").await;
    assert!(huge.is_whole && huge.header("content-length").is_none());
    assert_eq!(huge.body.len(), good.body.len() + 3_000_000);
    assert_eq!(huge.json(), good.json());
}

#[tokio::test]
async fn a_client_that_leaves_a_huge_response_leaves_the_server_well() {
    let sim = seeded(50).await;
    sim.add_fault("huge".parse().unwrap());
    let target = format!("/api/v3{PAGE}");
    let mut stream: TcpStream = send(&sim, "GET", &target, AGENT, "").await;
    let mut start = vec![0; 1_000_000];
    stream.read_exact(&mut start).await.unwrap();
    drop(stream);
    assert_eq!(get(&sim, PAGE).await.status, 200);
    let stopped = tokio::time::timeout(Duration::from_secs(5), sim.stop()).await;
    assert!(stopped.is_ok());
}

#[tokio::test]
async fn a_bomb_is_small_on_the_wire_and_the_good_response_with_blanks_in_it() {
    let sim = seeded(50).await;
    let good = get(&sim, PAGE).await;
    let bomb = met(&sim, "bomb:mb=3").await;
    assert_eq!(bomb.header("content-encoding"), Some("gzip"));
    assert!(bomb.is_whole && bomb.body.len() < 100_000);
    let mut unfolded = Vec::new();
    GzDecoder::new(bomb.body.as_slice())
        .read_to_end(&mut unfolded)
        .unwrap();
    assert_eq!(unfolded.len(), good.body.len() + 3_000_000);
    let unfolded: Value = serde_json::from_slice(&unfolded).unwrap();
    assert_eq!(unfolded, good.json());
    assert!(met(&sim, "bomb").await.body.len() < 1_000_000);
    sim.add_fault("bomb:mb=3".parse().unwrap());
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().user_agent("a test").build();
    let asked = client.unwrap().get(format!("{}{PAGE}", sim.url())).send();
    let unfolded = asked.await.unwrap().bytes().await.unwrap();
    assert_eq!(unfolded.len(), good.body.len() + 3_000_000);
}

#[tokio::test]
async fn a_redirect_names_its_place_and_a_key_that_follows_it_is_seen_there() {
    let (sim, other) = (seeded(5).await, seeded(5).await);
    let to = format!("{}/ping?a=1,2", other.url());
    let response = met(&sim, &format!("redirect:to={to}")).await;
    assert_eq!((response.status, response.body.len()), (302, 0));
    assert_eq!(response.header("location"), Some(to.as_str()));
    let response = met(&sim, "redirect:status=308,to=/elsewhere").await;
    assert_eq!(
        (response.status, response.header("location")),
        (308, Some("/elsewhere"))
    );
    let statuses: Vec<u16> = sim.call_log().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [302, 308]);
    for key in ["x-cg-demo-api-key: hush\r\n", ""] {
        let headers = format!("{AGENT}{key}");
        receive(send(&other, "GET", "/api/v3/ping", &headers, "").await).await;
    }
    let shown: Vec<bool> = other.call_log().iter().map(|call| call.key).collect();
    assert_eq!(shown, [true, false]);
}
