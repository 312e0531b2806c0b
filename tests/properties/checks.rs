//! What holds for every input of the parsers, the error-body reader and the landing reader, whoever made the bytes.
//! A check panics where it does not hold. The property tests and the fuzz targets call the same ones.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use coinmill::coingecko;
use coinmill::coingecko::charts::{self, Chart, Window};
use coinmill::error::Error;
use coinmill::http::{self, Request, Response};
use coinmill::landing::{self, Landed};
use coinmill::market::{CoinId, Quote};
use coinmill::provider;
use coinmill::quality::{self, Context, Finding};
use serde::de::IgnoredAny;

/// The key that the client sends in these checks.
pub const KEY: &str = "CG-hush0Hush1Hush2";

/// The day of the landings in these checks.
pub const DAY: &str = "2026-01-14";

/// Their one run.
pub const RUN: &str = "r1";

/// Its one body.
pub const FILE: &str = "0001-coins-markets.zst";

/// The most records of a page: a longer array is none.
const LONGEST_PAGE: usize = 250;

/// The most characters of a wrong value that a reason repeats.
const SHOWN: usize = 80;

/// The most characters of what a rule says of a quote: two numbers, written out.
const LONGEST_NUMBERS: usize = 800;

/// The most characters of a body that a message repeats.
const LONGEST_WORDS: usize = 400;

/// When the bodies that tell no time were made.
pub fn noon() -> DateTime<Utc> {
    "2026-01-14T12:10:00Z".parse().unwrap()
}

/// A body of `/coins/markets`.
pub fn markets(body: &[u8]) {
    let Ok(records) = coingecko::parse(body) else {
        let array = serde_json::from_slice::<Vec<&serde_json::value::RawValue>>(body);
        let is_page = array.is_ok_and(|array| array.len() <= LONGEST_PAGE);
        assert!(!is_page, "a whole page was refused");
        return;
    };
    let mut rest = body.as_ptr_range();
    for record in records {
        let raw = record.raw.as_bytes().as_ptr_range();
        assert!(
            rest.start <= raw.start && raw.end <= rest.end,
            "a record is no part of its body"
        );
        rest.start = raw.end;
        match record.quote {
            Ok(quote) => {
                assert_eq!(record.id.as_deref(), Some(quote.id.as_str()));
                believable(&quote);
            }
            Err(findings) => {
                assert!(!findings.is_empty(), "refused without a reason");
                findings.iter().for_each(|finding| storable(finding, SHOWN));
            }
        }
    }
}

/// What both databases can hold, and nothing that a parser made up.
fn believable(quote: &Quote) {
    let plain = |number: f64| number.is_finite() && !(number == 0.0 && number.is_sign_negative());
    assert!(quote.measures.into_iter().flatten().all(plain), "{quote:?}");
    let id = quote.id.as_str();
    assert!((1..=1_000).contains(&id.len()) && !quote.symbol.is_empty());
    let texts = [
        Some(id),
        Some(quote.symbol.as_str()),
        quote.name.as_deref(),
        quote.roi_currency.as_deref(),
    ];
    assert!(texts.into_iter().flatten().all(|text| !text.contains('\0')));
    for instant in [quote.ath_date, quote.atl_date, quote.last_updated]
        .into_iter()
        .flatten()
    {
        let whole = instant.timestamp_subsec_nanos() % 1_000_000 == 0;
        assert!((0..=9999).contains(&instant.year()) && whole, "{instant}");
    }
    let context = Context {
        sent_at: noon(),
        rules: &quality::Rules::default(),
    };
    for finding in quality::validate(quote, &context) {
        storable(&finding, LONGEST_NUMBERS);
    }
}

/// A reason is short, and a text that PostgreSQL takes.
fn storable(finding: &Finding, longest: usize) {
    let said = finding.reason();
    assert!(finding.found.chars().count() <= longest, "{said}");
    assert!(!said.contains('\0'), "{said:?}");
}

/// A body of a chart behind a line with the millisecond at which it was made; without that line, at [`noon`].
pub fn chart(input: &[u8]) {
    let (made_at, body) = dated(input);
    let (to, day) = (made_at.timestamp(), 86_400);
    for window in [
        Window::LastDay,
        Window::Hourly {
            from: to - 30 * day,
            to,
        },
        Window::Hourly {
            from: to - 12 * day,
            to: to - 9 * day,
        },
        Window::Daily { days: 90 },
    ] {
        let coin = CoinId::from_source("bitcoin".to_owned());
        chart_of(body, &Chart { coin, window }, made_at);
    }
}

fn dated(input: &[u8]) -> (DateTime<Utc>, &[u8]) {
    let line = input.iter().position(|byte| *byte == b'\n');
    line.and_then(|end| {
        let millisecond = std::str::from_utf8(input.get(..end)?).ok()?.parse().ok()?;
        let instant = DateTime::from_timestamp_millis(millisecond)?;
        let told = (1970..=9999).contains(&instant.year());
        told.then_some((instant, input.get(end + 1..)?))
    })
    .unwrap_or((noon(), input))
}

fn chart_of(body: &[u8], chart: &Chart, made_at: DateTime<Utc>) {
    let Ok(parsed) = charts::parse(body, chart, made_at) else {
        let json = serde_json::from_slice::<IgnoredAny>(body);
        assert!(json.is_err(), "whole JSON was taken for a cut body");
        return;
    };
    let points = &parsed.points;
    assert!(
        points.windows(2).all(|pair| pair[0].ts < pair[1].ts),
        "stamps out of order or twice"
    );
    assert!(points.is_empty() || parsed.span.is_some());
    if let Some(span) = parsed.span {
        assert!(span.end <= chart.resolution().settled(made_at));
        assert!(points.iter().all(|point| span.contains(point.ts)));
    }
    let numbers = points
        .iter()
        .flat_map(|point| [point.price, point.market_cap, point.volume]);
    assert!(
        numbers
            .flatten()
            .all(|number| number.is_finite() && number.is_sign_positive())
    );
    for (_, finding, text) in &parsed.refused {
        storable(finding, SHOWN);
        assert!(!text.contains('\0'));
    }
}

/// A body under a status that refuses, and under one that does not; with the key in it too.
pub fn error_body(body: &[u8]) {
    refused(body);
    // a source that repeats the key
    let (head, tail) = body.split_at(body.len() / 2);
    refused(&[head, KEY.as_bytes(), tail].concat());
    // and one whose repetition the end of the message cuts
    let text: String = String::from_utf8_lossy(head)
        .chars()
        .filter(|c| c.is_alphanumeric())
        .collect();
    if !text.contains("CG") {
        let padded = format!("{text:a<390}{KEY}");
        assert!(!refused(padded.as_bytes()).contains("CG-hush"));
    }
}

/// All that the refusals of a body say.
fn refused(body: &[u8]) -> String {
    let mut all = String::new();
    if let Some(words) = provider::words(body) {
        let length = words.message.chars().count();
        assert!((1..=LONGEST_WORDS).contains(&length), "{length} characters");
        assert!(
            !words.message.chars().any(char::is_control),
            "{:?}",
            words.message
        );
    }
    let request = Request {
        path: vec!["coins".to_owned(), "markets".to_owned()],
        query: Vec::new(),
    };
    let line = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let headers = BTreeMap::from([
        (
            "retry-after".to_owned(),
            String::from_utf8_lossy(line).into_owned(),
        ),
        (
            "date".to_owned(),
            "Wed, 14 Jan 2026 12:10:00 GMT".to_owned(),
        ),
    ]);
    // one of the refusing statuses, so that a run is short
    let refusing = [302, 400, 401, 403, 404, 429, 503];
    for status in [200, refusing[body.len() % refusing.len()]] {
        let response = Response {
            url: String::new(),
            status,
            headers: headers.clone(),
            body: body.to_vec().into(),
            received_at: noon(),
        };
        let Some(refusal) = http::refusal(&request, &response, Some(KEY)) else {
            assert_eq!(status, 200, "a refusal was taken for an answer");
            continue;
        };
        let said = refusal.error.chain();
        assert!(matches!(refusal.error, Error::Source { .. }), "{said}");
        assert!(!said.contains(KEY), "the key shows in: {said}");
        assert!(!format!("{:?}", refusal.error).contains(KEY));
        assert!(!said.chars().any(char::is_control), "{said:?}");
        assert!(said.chars().count() <= LONGEST_WORDS + 400, "{said}");
        all.push_str(&said);
    }
    all
}

/// A manifest, a zero byte, and the file of one body: whatever they hold, a landing gives back what was landed or nothing.
pub fn landing(input: &[u8]) {
    let split = input.iter().position(|byte| *byte == 0);
    let (manifest, file) = input.split_at(split.unwrap_or(input.len()));
    let base = tempfile::tempdir().unwrap();
    let write = |path: &Path, bytes: &[u8]| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let root = base.path().join("landing");
    let folder = root.join(DAY).join(RUN);
    write(&folder.join("manifest.jsonl"), manifest);
    write(&folder.join(FILE), file.get(1..).unwrap_or_default());
    // a whole body that is not of this landing, and what a manifest would have to say of it
    write(&base.path().join("outside").join(FILE), &foreign());
    let foreign_hash = landing::sha256(FOREIGN);

    let day: NaiveDate = DAY.parse().unwrap();
    for (header, bodies) in landing::runs_of(&root, day).unwrap() {
        assert_eq!(header.run, RUN);
        for landed in bodies {
            read_back(&root, &landed);
            let claimed = Landed {
                sha256: foreign_hash.clone(),
                ..landed.clone()
            };
            assert!(
                landing::read(&root, &claimed).is_err(),
                "read outside of the landing: {}",
                landed.path
            );
            recovered(&landed);
        }
    }
}

fn read_back(root: &Path, landed: &Landed) {
    match landing::read(root, landed) {
        Ok(body) => {
            assert_eq!(landing::sha256(&body), landed.sha256);
            let file = root.join(&landed.path).canonicalize().unwrap();
            assert!(file.starts_with(root.canonicalize().unwrap()), "{file:?}");
        }
        Err(error) => assert!(matches!(error, Error::Data { .. }), "{error:?}"),
    }
}

/// What a later run makes of a line of the manifest before it reads the body.
fn recovered(landed: &Landed) {
    assert!(landed.made_at() <= landed.sent_at());
    let _ = coingecko::requested_ids(landed.url());
    if let Some(chart) = Chart::of_url(landed.url(), "usd") {
        let body = br#"{"prices":[[1768392000000,1]],"market_caps":[[1768392000000,1]],"total_volumes":[[1768392000000,1]]}"#;
        chart_of(body, &chart, landed.made_at());
    }
}

const FOREIGN: &[u8] = b"a body that was landed elsewhere";

/// [`FOREIGN`] as a file of zstd: one raw block, as RFC 8878 lays it out.
fn foreign() -> Vec<u8> {
    let size = u8::try_from(FOREIGN.len()).unwrap();
    let block = (u32::from(size) << 3 | 1).to_le_bytes();
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x20, size];
    [&frame[..], &block[..3], FOREIGN].concat()
}
