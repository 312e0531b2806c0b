//! Every recorded page of the real market through the recorded market server into both kinds of database, digit for digit.
//! The numbers are read back by SQL and held against the standard library's reading of the recordings' own tokens.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_wrap,
    reason = "a test that cannot go on should say where"
)]

mod support;

use std::collections::{BTreeMap, HashMap};

use chrono::DateTime;
use coinmill::market::{Quote, Slot};
use coinmill::pipeline::RunState;
use coinmill::quality::{Context, Rules, Verdict, validate};
use coinmill::sim::{Recording, RecordingKind};
use serde_json::value::RawValue;

use support::{Bench, Cell, Database, Kind, on_both_databases, recordings};

/// The numbers of a quote: its columns have the names of the API's fields.
const NUMBERS: [&str; 18] = [
    "current_price",
    "market_cap",
    "fully_diluted_valuation",
    "total_volume",
    "high_24h",
    "low_24h",
    "price_change_24h",
    "price_change_percentage_24h",
    "market_cap_change_24h",
    "market_cap_change_percentage_24h",
    "circulating_supply",
    "total_supply",
    "max_supply",
    "ath",
    "ath_change_percentage",
    "atl",
    "atl_change_percentage",
    "market_cap_rank",
];

type Fields<'a> = HashMap<String, &'a RawValue>;

on_both_databases!(every_recorded_number_is_stored_once_and_digit_for_digit);

async fn every_recorded_number_is_stored_once_and_digit_for_digit(kind: Kind) {
    let Some(folder) = recordings::folder() else {
        return;
    };
    let bench = Bench::recorded(kind, folder.clone()).await;
    let pages = pages(&bench);
    assert!(pages.len() >= 41);
    let mut compared = 0;
    for page in &pages {
        let text = std::fs::read_to_string(folder.join(&page.name)).unwrap();
        let rows: Vec<Fields<'_>> = serde_json::from_str(&text).unwrap();
        bench.sim.set_clock(page.instant).unwrap();
        let report = bench.run(&[]).await.unwrap();
        assert_eq!(
            (report.state, report.rejected),
            (RunState::Complete, 0),
            "{}",
            page.name
        );
        assert_eq!(
            (report.stored, report.calls),
            (rows.len() as u64, 1),
            "{}",
            page.name
        );
        // the hash is read back from the database: where it is that of the recording, it is the same on both kinds
        assert_eq!(
            report.content_hash,
            Some(hash(report.slot, &text)),
            "{}",
            page.name
        );
        compared += compare(&bench.database, report.slot, &rows, &page.name).await;
    }
    println!("{compared} values compared");
    assert!(compared > 80_000);
    let (counts, calls) = (bench.database.counts().await, bench.sim.calls());
    assert_eq!((calls, counts[5]), (pages.len() as u64, 0));
    for page in &pages {
        bench.sim.set_clock(page.instant).unwrap();
        let again = bench.run(&[]).await.unwrap();
        assert_eq!(
            (again.state, again.stored, again.calls),
            (RunState::Complete, 0, 0),
            "{}",
            page.name
        );
    }
    assert_eq!(
        (bench.database.counts().await, bench.sim.calls()),
        (counts, calls)
    );
}

/// What the bounds of the warnings were chosen on. `cargo nextest run --test recordings --no-capture hardly` prints the table.
#[test]
fn an_ordinary_page_is_hardly_warned_about() {
    let Some(folder) = recordings::folder() else {
        return;
    };
    let rules = Rules::default();
    let (mut quotes, mut warned, mut counts) = (0, 0, BTreeMap::<&str, usize>::new());
    let files = std::fs::read_dir(folder.join("markets")).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let is_page = |file: &std::path::PathBuf| file.extension().is_some_and(|it| it == "json");
    for file in files.filter(is_page) {
        let bytes = std::fs::read(file).unwrap();
        let page = coinmill::coingecko::parse(&bytes).unwrap();
        let page: Vec<Quote> = page
            .into_iter()
            .map(|record| record.quote.unwrap())
            .collect();
        // the recordings do not say when they were sent: just after their newest quote
        let sent_at = page
            .iter()
            .filter_map(|quote| quote.last_updated)
            .max()
            .unwrap();
        let context = Context {
            sent_at,
            rules: &rules,
        };
        let mut here = 0;
        for quote in &page {
            let findings = validate(quote, &context);
            assert!(
                findings
                    .iter()
                    .all(|finding| finding.verdict == Verdict::Warn)
            );
            here += usize::from(!findings.is_empty());
            for finding in findings {
                *counts.entry(finding.rule.name).or_default() += 1;
            }
        }
        assert!(here * 20 < page.len(), "{here} of {} quotes", page.len());
        quotes += page.len();
        warned += here;
    }
    println!("{warned} of {quotes} quotes have a warning: {counts:?}");
    assert!(warned * 50 < quotes, "{warned} of {quotes}: {counts:?}");
}

/// The content hash of a recording, without a database between.
fn hash(slot: Slot, text: &str) -> String {
    let records = coinmill::coingecko::parse(text.as_bytes()).unwrap();
    let quotes: Vec<_> = records
        .into_iter()
        .map(|record| record.quote.unwrap())
        .collect();
    coinmill::content::snapshot_hash(slot, &quotes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_landing_of_recordings_gives_the_same_hashes_again_without_a_call() {
    let Some(folder) = recordings::folder() else {
        return;
    };
    let mut bench = Bench::recorded(Kind::Sqlite, folder).await;
    let pages: Vec<Recording> = pages(&bench).into_iter().step_by(8).collect();
    let mut hashes = Vec::new();
    for page in &pages {
        bench.sim.set_clock(page.instant).unwrap();
        hashes.push(bench.run(&[]).await.unwrap().content_hash);
    }
    let calls = bench.sim.calls();
    bench.database = Database::ready(Kind::Postgres).await;
    for (page, hash) in pages.iter().zip(hashes) {
        let report = bench
            .run_for(Slot::containing(page.instant), &[])
            .await
            .unwrap();
        assert_eq!(
            (report.state, report.content_hash),
            (RunState::Complete, hash),
            "{}",
            page.name
        );
    }
    assert_eq!(bench.sim.calls(), calls);
}

fn pages(bench: &Bench) -> Vec<Recording> {
    let markets = |recording: &&Recording| recording.kind == RecordingKind::Markets;
    bench
        .sim
        .recordings()
        .iter()
        .filter(markets)
        .cloned()
        .collect()
}

/// Holds a slot's rows against the recording's and says how many values were compared.
async fn compare(database: &Database, slot: Slot, rows: &[Fields<'_>], page: &str) -> usize {
    let sql = format!(
        "select c.id, {}, ath_date, atl_date, last_updated, roi_times, roi_pct, roi_currency, n.symbol, n.name \
         from quote q join coin c on c.key = q.coin join coin_name n on n.coin = q.coin \
         join landing l on l.id = q.landing and n.\"commit\" = \
         (select max(m.\"commit\") from coin_name m where m.coin = q.coin and m.\"commit\" <= l.\"commit\") \
         where snapshot_time = {}",
        // a column's name differs from its field's in one word
        NUMBERS.join(", ").replace("percentage", "pct"),
        database.instant(slot.start()),
    );
    let stored = database.rows(&sql).await;
    let stored: HashMap<&str, &[Cell]> = stored
        .iter()
        .map(|row| (row[0].text(), &row[1..]))
        .collect();
    assert_eq!(stored.len(), rows.len(), "{page}");
    let mut compared = 0;
    for fields in rows {
        let id: String = serde_json::from_str(fields["id"].get()).unwrap();
        for (column, (name, expected)) in expected(fields).into_iter().enumerate() {
            let found = &stored[id.as_str()][column];
            assert!(
                found.is_same(&expected),
                "{page} {id} {name}: {expected:?} became {found:?}"
            );
            compared += usize::from(expected != Cell::Null);
        }
    }
    compared
}

/// What must be stored of a recorded row, in the order of the query.
fn expected(fields: &Fields<'_>) -> Vec<(&'static str, Cell)> {
    let token = |name: &str| {
        fields
            .get(name)
            .map(|raw| raw.get())
            .filter(|text| *text != "null")
    };
    let mut cells: Vec<(&'static str, Cell)> = Vec::new();
    for name in NUMBERS {
        let cell = match token(name) {
            None => Cell::Null,
            Some(text) if name == "market_cap_rank" => Cell::Int(text.parse().unwrap()),
            Some(text) => Cell::Float(text.parse().unwrap()),
        };
        cells.push((name, cell));
    }
    for name in ["ath_date", "atl_date", "last_updated"] {
        let instant = |text: &str| {
            DateTime::parse_from_rfc3339(text.trim_matches('"'))
                .unwrap()
                .timestamp_millis()
        };
        cells.push((
            name,
            token(name).map_or(Cell::Null, |text| Cell::Int(instant(text))),
        ));
    }
    let roi: Option<Fields<'_>> = token("roi").map(|text| serde_json::from_str(text).unwrap());
    let part = |name: &str| roi.as_ref().and_then(|roi| Some(roi.get(name)?.get()));
    for name in ["times", "percentage"] {
        cells.push((
            name,
            part(name).map_or(Cell::Null, |text| Cell::Float(text.parse().unwrap())),
        ));
    }
    let text = |token: Option<&str>| match token {
        None => Cell::Null,
        Some(token) => Cell::Text(serde_json::from_str(token).unwrap()),
    };
    cells.push(("currency", text(part("currency"))));
    cells.push(("symbol", text(token("symbol"))));
    cells.push(("name", text(token("name"))));
    cells
}
