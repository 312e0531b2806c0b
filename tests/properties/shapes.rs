//! Inputs in the shapes that are really met: bodies of the simulated market, its refusals, and a landing of the product's own.
//! The property tests damage them; the fuzz targets begin with them. What they are read as is not known here.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use coinmill::landing::{Arrival, RunFolder, RunHeader};
use coinmill::sim::{ClockSetting, Market, RecordingKind, Sim, SimOptions};
use serde_json::Value;

use crate::bodies::{Row, body, quoted};
use crate::checks::{DAY, FILE, KEY, RUN, noon};

/// The inputs of each target, under its name.
#[derive(Debug, Default, Clone)]
pub struct Shapes {
    pub markets: Vec<Vec<u8>>,
    pub chart: Vec<Vec<u8>>,
    pub error_body: Vec<Vec<u8>>,
    pub landing: Vec<Vec<u8>>,
}

/// Those that are made here, once a process.
pub static MADE: LazyLock<Shapes> = LazyLock::new(|| wait(made()));

async fn made() -> Shapes {
    let options = SimOptions {
        market: Market::Seeded { seed: 1, coins: 40 },
        clock: ClockSetting::Frozen(noon()),
        ..SimOptions::default()
    };
    let sim = Sim::start(options).await.unwrap();
    let mut markets = Vec::new();
    for query in [
        "per_page=12&page=1",
        "per_page=3&page=13",
        "per_page=5&page=8",
    ] {
        markets.push(get(&sim, &format!("/coins/markets?vs_currency=usd&{query}")).await);
    }
    let odd = Row::plain("boringdao-[old]")
        .with("roi", r#"{"times":-0.5,"currency":"btc","percentage":1e2}"#)
        .with("name", quoted("Ünïcode \u{1fa99} \"quoted\""))
        .with("market_cap_rank", "null")
        .with("ath_date", quoted("2021-11-10T14:24:11.849+02:00"));
    let rows = [odd, Row::plain("_"), Row::Token("null".to_owned())];
    markets.push(body(&rows).into_bytes());

    let mut chart = Vec::new();
    let now = noon().timestamp();
    let range = format!("/range?vs_currency=usd&from={}&to={now}", now - 3 * 86_400);
    for query in [
        "?vs_currency=usd&days=1",
        "?vs_currency=usd&days=30&interval=daily",
        &range,
    ] {
        chart.push(get(&sim, &format!("/coins/bitcoin/market_chart{query}")).await);
    }
    chart.push(br#"{"prices":[],"market_caps":[],"total_volumes":[]}"#.to_vec());
    chart.push(
        br#"{"prices":[[1768305600000,1],[1768388400000,2.5e-9]],"market_caps":[[1768305600000,null],[1768388400000,0]],"total_volumes":[[1768305600000,-0],[1768388400000,7]]}"#.to_vec(),
    );
    let chart = chart.iter().map(|body| made_at(noon(), body)).collect();

    let landing = landings(&[&markets[1], b"Throttled", b""]);
    Shapes {
        error_body: refusals(&sim).await,
        markets,
        chart,
        landing,
    }
}

async fn get(sim: &Sim, target: &str) -> Vec<u8> {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().user_agent("a test").build();
    let url = format!("{}{target}", sim.url());
    let response = client.unwrap().get(url).send().await.unwrap();
    response.bytes().await.unwrap().to_vec()
}

/// Every refusal that the simulated market knows, and the shapes of others.
async fn refusals(sim: &Sim) -> Vec<Vec<u8>> {
    let mut refusals = Vec::new();
    for kind in [
        "400",
        "401",
        "403",
        "404",
        "429",
        "500",
        "503",
        "throttled",
        "1015",
        "html:status=403",
        "html:status=414",
        "html:status=504",
        "limit200",
    ] {
        sim.add_fault(kind.parse().unwrap());
        refusals.push(get(sim, "/coins/markets?vs_currency=usd").await);
    }
    for target in [
        "/coins/markets",
        "/coins/markets?vs_currency=xyz",
        "/coins/nowhere/market_chart?vs_currency=usd&days=1",
        "/nowhere",
    ] {
        refusals.push(get(sim, target).await);
    }
    let others = [
        r#"{"error":{"status":{"timestamp":"2026-01-14T12:10:00.000+00:00","error_code":10012,"error_message":"Your request exceeds the allowed time range."}}}"#,
        r#"{"timestamp":"2026-01-14T12:10:00.000+00:00","error_code":10010,"status":{"error_message":"please change your root URL"}}"#,
        r#"{"error":{"code":7,"message":"no \"such\" \u20ac"}}"#,
        r#"{"status":{"error_code":10002,"error_message":"API Key Missing. Please v"#,
        "120\nThrottled",
        "Wed, 14 Jan 2026 12:11:00 GMT\n<title>a\n  b</title>",
        "[]",
    ];
    refusals.extend(others.map(|body| body.as_bytes().to_vec()));
    refusals.push(format!(r#"{{"error":"{KEY} is not a key"}}"#).into_bytes());
    refusals
}

/// A landing of one body each, and manifests that somebody has edited.
fn landings(bodies: &[&[u8]]) -> Vec<Vec<u8>> {
    let headers = BTreeMap::from([
        ("age".to_owned(), "12".to_owned()),
        (
            "date".to_owned(),
            "Wed, 14 Jan 2026 12:10:00 GMT".to_owned(),
        ),
    ]);
    let url = |place: usize| match place {
        0 => "http://127.0.0.1:1/api/v3/coins/markets?vs_currency=usd&ids=bitcoin%2C_&page=1",
        1 => {
            "http://127.0.0.1:1/api/v3/coins/bitcoin/market_chart?vs_currency=usd&days=90&interval=daily"
        }
        _ => {
            "http://127.0.0.1:1/api/v3/coins/_/market_chart/range?vs_currency=usd&from=1768219200&to=1768392000"
        }
    };
    let mut landings = Vec::new();
    for (place, body) in bodies.iter().enumerate() {
        let root = tempfile::tempdir().unwrap();
        let header = RunHeader {
            run: RUN.to_owned(),
            kind: "snapshot".to_owned(),
            slot: Some("2026-01-14T12:00Z".to_owned()),
            vs_currency: "usd".to_owned(),
            version: "0".to_owned(),
            started_at: noon(),
        };
        let folder = RunFolder::create(root.path(), DAY.parse().unwrap(), &header).unwrap();
        let arrival = Arrival {
            url: url(place),
            status: 200,
            headers: &headers,
            body,
            received_at: noon(),
        };
        folder.land("/coins/markets", arrival).unwrap();
        let manifest = fs::read(folder.path().join("manifest.jsonl")).unwrap();
        let file = fs::read(folder.path().join(FILE)).unwrap();
        let input = |manifest: &[u8]| [manifest, b"\0", &file].concat();
        landings.push(input(&manifest));
        let text = String::from_utf8(manifest).unwrap();
        let path = format!("{DAY}/{RUN}/{FILE}");
        for other in ["../outside/", "x/../../outside/", "/", "./"] {
            let led_away = text.replace(&path, &format!("{other}{FILE}"));
            landings.push(input(led_away.as_bytes()));
        }
        for (old, new) in [
            ("1768392000", "9223372036854775807"),
            ("days=90", "days=4294967295"),
            ("\"12\"", "\"4294967295\""),
            ("\"Wed, ", "\""),
            ("\"2026-01-14T12:10:00Z\"", "\"-262143-01-01T00:00:00Z\""),
            (
                "\"2026-01-14T12:10:00Z\"",
                "\"+262142-12-31T23:59:59.999Z\"",
            ),
        ] {
            let (header, line) = text.split_once('\n').unwrap();
            let undated = line.replace("\"date\"", "\"no-date\"");
            let edited = format!("{header}\n{}", undated.replace(old, new));
            landings.push(input(edited.as_bytes()));
            let aged = edited.replace("\"12\"", "\"4294967295\"");
            landings.push(input(aged.as_bytes()));
        }
    }
    landings
}

/// Writes the inputs as the corpora of the fuzz targets; with the real recordings where there is a folder of them.
pub fn write_corpora(into: &Path, recordings: Option<PathBuf>) {
    let write = |target: &str, kind: &str, inputs: &[Vec<u8>]| {
        let folder = into.join(target);
        fs::create_dir_all(&folder).unwrap();
        for (place, input) in inputs.iter().enumerate() {
            fs::write(folder.join(format!("{kind}-{place:02}")), input).unwrap();
        }
    };
    let mut sets = vec![("made", MADE.clone())];
    sets.extend(recordings.map(|folder| ("recorded", wait(recorded(folder)))));
    for (kind, shapes) in sets {
        write("markets", kind, &shapes.markets);
        write("chart", kind, &shapes.chart);
        write("error_body", kind, &shapes.error_body);
        write("landing", kind, &shapes.landing);
    }
}

async fn recorded(folder: PathBuf) -> Shapes {
    let market = Market::Recorded {
        folder: folder.clone(),
    };
    let options = SimOptions {
        market,
        ..SimOptions::default()
    };
    let sim = Sim::start(options).await.unwrap();
    let mut shapes = Shapes::default();
    for recording in sim.recordings() {
        let body = fs::read(folder.join(&recording.name)).unwrap();
        match recording.kind {
            RecordingKind::Markets => shapes.markets.push(body),
            RecordingKind::Chart => shapes.chart.push(made_at(recording.instant, &body)),
            RecordingKind::List => {}
        }
    }
    let refused = fs::read(folder.join("errors/bodies.json")).unwrap();
    let refused: Vec<Value> = serde_json::from_slice(&refused).unwrap();
    let bytes = |refused: &Value| refused["body"].as_str().unwrap().as_bytes().to_vec();
    shapes.error_body = refused.iter().map(bytes).collect();
    let pages: Vec<&[u8]> = shapes.markets.iter().map(Vec::as_slice).take(3).collect();
    shapes.landing = landings(&pages);
    shapes
}

/// A chart's body behind the line that says when it was made.
fn made_at(instant: DateTime<Utc>, body: &[u8]) -> Vec<u8> {
    let line = format!("{}\n", instant.timestamp_millis());
    [line.as_bytes(), body].concat()
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}
