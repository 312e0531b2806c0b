//! Coins whose names are paths, SQL, URLs and worse: they are values, and nothing but values, wherever they go.

use std::path::Path;

use coinmill::market::CoinId;
use coinmill::pipeline::{self, FileFormat, Observer, Prices, RunState};
use coinmill::series::Resolution;

use crate::series::{HOUR, MINUTE, Mill, prices};
use crate::support::bodies::{Row, body, quoted};
use crate::support::{Kind, noon, on_both_databases};

on_both_databases!(names_that_mean_harm_are_stored_as_they_are_and_write_nowhere_else);

/// Ids, symbols and names.
fn names() -> Vec<String> {
    let names = [
        "../../etc/passwd",
        "/etc/passwd",
        "a/../../b",
        "..\\..\\windows",
        "%2e%2e%2f%00",
        "%00",
        "'; drop table quote; --",
        "\"; delete from coin; --",
        "' || (select 1) || '",
        "$1",
        "?1",
        "{};[]",
        "x?vs_currency=eur&days=1#",
        "a b,c",
        "a\r\nx-cg-pro-api-key: b",
        "\u{202e}nioctib",
        "🪙",
        "ÄÖ\u{301}",
    ];
    let mut names: Vec<String> = names.map(str::to_owned).into();
    names.push("x".repeat(1_000));
    names
}

async fn names_that_mean_harm_are_stored_as_they_are_and_write_nowhere_else(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let names = names();
    let row = |name: &String| {
        let text = quoted(name);
        Row::plain(name).with("symbol", &text).with("name", &text)
    };
    let mut rows: Vec<Row> = names.iter().map(row).collect();
    let endless = "x".repeat(10_000);
    rows.push(row(&endless));
    // the record without a usable id has its page read again
    let text = body(&rows);
    mill.bench.fault(&format!(
        "body:path=/coins/markets,times=0,status=200,text={text}"
    ));
    let top = rows.len().to_string();
    let report = mill
        .bench
        .run(&[("top", &top), ("completeness", "0.9")])
        .await
        .unwrap();
    assert_eq!(
        (report.state, report.accepted, report.rejected),
        (RunState::Partial, names.len() as u64, 2)
    );
    let refused = mill
        .bench
        .database
        .row("select rule, coin from quarantine")
        .await;
    assert_eq!(
        (refused[0].text(), refused[1].text()),
        ("unstorable_text", &*endless)
    );

    // read back as they were sent, each as id, symbol and name
    let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    let sql = "select coin_id, symbol, name from v_latest_prices";
    let mut stored = mill.bench.database.rows(sql).await;
    stored.sort_by(|left, right| left[0].text().cmp(right[0].text()));
    let stored: Vec<_> = stored
        .iter()
        .map(|row| [&row[0], &row[1], &row[2]].map(|cell| cell.text()))
        .collect();
    assert_eq!(
        stored,
        sorted.iter().map(|name| [*name; 3]).collect::<Vec<_>>()
    );

    // their charts: each is asked for by a path of its own
    let chart = mill.closed(&prices(
        noon().timestamp_millis() - 3 * HOUR,
        5 * MINUTE,
        &["1", "2", "3", "4"],
    ));
    mill.bench.fault(&format!(
        "body:path=/market_chart,times=0,status=200,text={chart}"
    ));
    let report = mill.run(Resolution::FiveMinutes, &[]).await.unwrap();
    assert_eq!(
        (report.state, report.received, report.stored),
        (
            RunState::Partial,
            names.len() as u64,
            4 * names.len() as u64
        )
    );
    let asked: std::collections::HashSet<String> = mill.requested().into_iter().collect();
    assert_eq!(asked.len(), names.len());
    assert!(mill.bench.sim.call_log().iter().all(|call| !call.key));
    let settings = mill.settings(&[]);
    for name in &names {
        let wanted = Prices {
            coins: vec![CoinId::from_source(name.clone())],
            start: None,
            end: None,
            resolution: Resolution::FiveMinutes,
            as_of: None,
        };
        let read = pipeline::prices(&settings, &wanted).await.unwrap();
        assert_eq!(read.frame.rows(), 4, "{name:?}");
    }
    for format in [FileFormat::Parquet, FileFormat::Csv] {
        let folder = mill.bench.folder.path().join("export");
        pipeline::export(&settings, &folder, format, (None, None), &Observer::none())
            .await
            .unwrap();
    }

    // nothing lies anywhere but where the settings say, and no name has become a path
    let mut files = Vec::new();
    list(mill.bench.folder.path(), &mut files);
    assert!(files.len() > names.len());
    for file in &files {
        let inside = file.strip_prefix(mill.bench.folder.path()).unwrap();
        let inside = inside.to_str().unwrap();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-./=_".contains(c);
        let deep = inside.split('/').count();
        assert!(
            (inside.starts_with("landing/2026-01-14/") && deep == 4)
                || (inside.starts_with("export/") && deep <= 5),
            "{inside}"
        );
        assert!(inside.chars().all(plain) && inside.len() < 250, "{inside}");
    }
    let above = mill.bench.folder.path().parent().unwrap();
    assert!(!above.join("b").exists() && !above.join("etc").exists());
}

fn list(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, files);
        } else {
            files.push(path);
        }
    }
}
