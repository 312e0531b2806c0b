//! `coinmill doctor`: it finds what is wrong, goes on after it, changes nothing and says no secret.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::series::Mill;
use crate::support::command::{code, coinmill, finish, json, run, text};
use crate::support::{Bench, Kind, on_both_databases};

on_both_databases!(
    what_is_well_is_ok_and_stays_as_it_is,
    a_database_that_is_not_made_is_told_with_the_remedy,
    another_currency_is_told,
);

/// The state and the message of each check.
fn findings(value: &Value) -> BTreeMap<String, (String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = value["checks"].as_array().unwrap().iter();
    checks
        .map(|it| {
            (
                text(&it["check"]),
                (text(&it["state"]), text(&it["message"])),
            )
        })
        .collect()
}

/// Every file below a folder, with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

async fn what_is_well_is_ok_and_stays_as_it_is(kind: Kind) {
    let mill = Mill::new(kind, 20).await;
    let (bench, timeseries) = (&mill.bench, &mill.timeseries);
    run(bench, timeseries, &["run", "all", "--top", "3"], &[]).await;
    let folders = [bench.folder.path().to_owned()];
    let mut folders = folders.to_vec();
    if kind == Kind::Sqlite {
        let parents = [bench.database.file(), timeseries.file()];
        folders.extend(parents.map(|file| file.parent().unwrap().to_owned()));
    }
    let all = || -> Vec<_> { folders.iter().map(|folder| files(folder)).collect() };
    let before = all();
    let output = run(bench, timeseries, &["doctor", "--json"], &[]).await;
    assert_eq!(code(&output), 0, "{}", text(&output));
    let value = json(&output);
    let found = findings(&value);
    assert_eq!(value["state"], "ok", "{value}");
    for check in [
        "snapshot database",
        "series database",
        "budget",
        "landing",
        "clock",
        "key and plan",
        "API",
    ] {
        assert_eq!(found[check].0, "ok", "{check}: {value}");
    }
    assert!(all() == before, "it changed a file");
    let calls = mill.bench.calls().into_iter();
    assert_eq!(calls.filter(|(path, _)| path.ends_with("/ping")).count(), 1);
    let output = run(bench, timeseries, &["doctor", "--offline"], &[]).await;
    let said = text(&output);
    assert!(code(&output) == 0 && !said.contains("API"), "{said}");
    assert!(!said.contains('\u{1b}'), "colour in a pipe: {said}");
}

async fn a_database_that_is_not_made_is_told_with_the_remedy(kind: Kind) {
    let mut bench = Bench::market(5).await;
    bench.database = crate::support::Database::bare(kind).await;
    let output = finish(coinmill(&bench, None, &["doctor", "--json"], &[])).await;
    let found = findings(&json(&output));
    let (state, said) = &found["snapshot database"];
    match kind {
        Kind::Sqlite => {
            assert_eq!((code(&output), state.as_str()), (0, "ok"), "{said}");
            assert!(said.contains("the first run makes it"), "{said}");
            assert!(!bench.database.file().exists(), "it was made");
        }
        Kind::Postgres => {
            assert_eq!((code(&output), state.as_str()), (1, "failed"), "{said}");
            assert!(said.contains("coinmill init"), "{said}");
        }
    }
}

async fn another_currency_is_told(kind: Kind) {
    let bench = Bench::new(kind, 5).await;
    bench.run(&[]).await.unwrap();
    let with = [("VS_CURRENCY", "eur")];
    let output = finish(coinmill(
        &bench,
        None,
        &["doctor", "--json", "--offline"],
        &with,
    ))
    .await;
    let found = findings(&json(&output));
    let (state, said) = &found["snapshot database"];
    assert_eq!((code(&output), state.as_str()), (1, "failed"), "{said}");
    assert!(said.contains("COINMILL_VS_CURRENCY=usd"), "{said}");
}

#[tokio::test]
async fn it_goes_on_after_what_fails_and_hangs_on_nothing() {
    let bench = Bench::market(5).await;
    let folder = bench.folder.path();
    // a server that takes connections and says nothing, one that is not there, a file that is no database, and a landing that is a file
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    std::fs::write(folder.join("no.db"), "this is no database at all").unwrap();
    std::fs::write(folder.join("file"), "").unwrap();
    let began = Instant::now();
    let silent_url = format!("postgresql://me:hush0Hush1Hush2@127.0.0.1:{port}/x");
    let no_database = format!("sqlite://{}", folder.join("no.db").display());
    let file = folder.join("file").display().to_string();
    let output = finish(coinmill(
        &bench,
        None,
        &["doctor", "--json"],
        &[
            ("SNAPSHOT_URL", silent_url.as_str()),
            ("TIMESERIES_URL", &no_database),
            (
                "SNAPSHOT_OWNER_URL",
                "postgresql://me:hush0Hush1Hush2@127.0.0.1:1/x",
            ),
            ("LANDING_DIR", &file),
            ("API_URL", "http://127.0.0.1:1"),
        ],
    ))
    .await;
    assert!(
        began.elapsed() < Duration::from_secs(40),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(code(&output), 1, "{}", text(&output));
    let found = findings(&json(&output));
    for check in [
        "snapshot database",
        "snapshot owner",
        "series database",
        "landing",
        "API",
    ] {
        assert_eq!(found[check].0, "failed", "{check}: {found:?}");
    }
    assert!(
        found["snapshot database"].1.contains("no response within"),
        "{found:?}"
    );
    assert!(found["landing"].1.contains("is no folder"), "{found:?}");
    assert_eq!(found["key and plan"].0, "ok", "{found:?}");
    // a setting that cannot be used is another matter
    let output = finish(coinmill(&bench, None, &["doctor"], &[("TOP", "many")])).await;
    assert_eq!(code(&output), 2, "{}", text(&output));
}
