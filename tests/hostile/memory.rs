//! Bodies that would fill the machine's memory: the command ends with a clear error under a limit that ordinary runs keep to.

use std::process::Command;

use coinmill::sim::{Fault, FaultKind};

use crate::support::{Bench, Kind};

/// The address space that the command gets, in kilobytes. An undisturbed run with eight calls at once needs less than 250 MB
/// on two cores; the rest is for eight bodies of 16 MB, and for machines with more cores, whose threads take more.
const LIMIT: u64 = 1_000_000;

/// A little less than the longest body that is read.
const LONG: usize = (16 << 20) - 300;

/// Eight charts are asked for at once.
const COINS: &str = "bitcoin,ethereum,tether,a,b,c,d,e";

/// What came of a command: its exit code, and all that it said.
struct Ended {
    code: Option<i32>,
    said: String,
}

async fn command(bench: &Bench, arguments: &[&str]) -> Ended {
    let mut command = Command::new("sh");
    let script = format!("ulimit -v {LIMIT} && exec \"$0\" \"$@\"");
    command
        .args(["-c", &script, env!("CARGO_BIN_EXE_coinmill")])
        .args(arguments)
        .current_dir(bench.folder.path());
    for (name, value) in [
        ("API_URL", bench.sim.url()),
        ("PLAN", "unlimited".to_owned()),
        ("CLOCK", "sim".to_owned()),
        ("ATTEMPTS", "1".to_owned()),
        ("DATA_DIR", "data".to_owned()),
    ] {
        command.env(format!("COINMILL_{name}"), value);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let said = [&*output.stdout, &*output.stderr].concat();
    Ended {
        code: output.status.code(),
        said: String::from_utf8(said).unwrap(),
    }
}

/// A body of so many parts, as many as there is room for.
fn filled(first: &str, part: &str, last: &str) -> String {
    let room = LONG - first.len() - last.len();
    format!("{first}{}{last}", part.repeat(room / part.len()))
}

/// So many keys.
fn keys(count: u32) -> String {
    let keys: Vec<String> = (0..count)
        .map(|number| format!("\"key{number:07}\":1"))
        .collect();
    keys.join(",")
}

/// A chart of nearly a million points.
fn points() -> String {
    let points: Vec<String> = (0..330_000)
        .map(|number| format!("[{},1]", 1_768_300_000_000_u64 + number))
        .collect();
    let points = points.join(",");
    format!(r#"{{"prices":[{points}],"market_caps":[{points}],"total_volumes":[]}}"#)
}

fn nested() -> String {
    let half = LONG / 2;
    format!("{}{}", "[".repeat(half), "]".repeat(half))
}

fn always(kind: FaultKind) -> Fault {
    Fault {
        path: "/coins/".to_owned(),
        times: 0,
        ..Fault::once(kind)
    }
}

const SNAPSHOT: &[&str] = &["run", "snapshot", "--top", "8"];
const SERIES: &[&str] = &["run", "timeseries", "--top", "0", "--coins", COINS];
const ONE_CHART: &[&str] = &["run", "timeseries", "--top", "0", "--coins", "bitcoin"];

/// Runs the command while each call is answered so. It fails, in some words and with little on the disk beside the landing.
async fn ends(bench: &Bench, kind: FaultKind, arguments: &[&str], words: &str) {
    bench.sim.clear_faults();
    bench.sim.add_fault(always(kind));
    let ended = command(bench, arguments).await;
    let said = format!("{arguments:?} {:?}: {:.2000}", ended.code, ended.said);
    assert!(matches!(ended.code, Some(1 | 3)), "{said}");
    assert!(ended.said.contains(words), "{words}: {said}");
    assert!(
        ended.said.len() < 5_000 && !ended.said.contains("panicked"),
        "{said}"
    );
    let data = bench.folder.path().join("data");
    std::fs::remove_dir_all(data.join("landing")).unwrap_or_default();
    if arguments != SNAPSHOT {
        let database = std::fs::metadata(data.join("timeseries.db")).unwrap();
        assert!(
            database.len() < 1_000_000,
            "{} bytes: {said}",
            database.len()
        );
    }
    std::fs::remove_dir_all(data).unwrap();
}

fn sends(status: u16, text: String) -> FaultKind {
    assert!(text.len() < 16 << 20, "{}", text.len());
    FaultKind::Body { status, text }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ordinary_run_keeps_to_the_limit() {
    let bench = Bench::new(Kind::Sqlite, 20).await;
    let ended = command(&bench, &["run", "all", "--top", "20"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_without_an_end_are_not_read_to_it() {
    let bench = Bench::new(Kind::Sqlite, 8).await;
    for kind in [FaultKind::Huge(500), FaultKind::Bomb(2_000)] {
        for arguments in [SNAPSHOT, SERIES] {
            ends(
                &bench,
                kind.clone(),
                arguments,
                "is over 16 MB, which no real one is",
            )
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_of_many_parts_are_not_built_up_in_memory() {
    let bench = Bench::new(Kind::Sqlite, 8).await;
    for text in [filled("[1", ",1", "]"), filled("[{}", ",{}", "]")] {
        ends(&bench, sends(500, text), SERIES, "the API refused").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_many_parts_are_not_built_up_in_memory() {
    let bench = Bench::new(Kind::Sqlite, 8).await;
    let no_page = "is not a whole JSON array of at most 250 records";
    for text in [
        filled("[1", ",1", "]"),
        filled("[{}", ",{}", "]"),
        format!("{{{}}}", keys(1_000_000)),
    ] {
        ends(&bench, sends(200, text), SNAPSHOT, no_page).await;
    }
    // a page of one record, which is no quote
    for text in [nested(), format!("[{{{}}}]", keys(300_000))] {
        ends(&bench, sends(200, text), SNAPSHOT, "holds 0 of 8 coins").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn charts_of_many_parts_are_not_built_up_in_memory() {
    let bench = Bench::new(Kind::Sqlite, 8).await;
    for text in [
        filled("[1", ",1", "]"),
        nested(),
        format!("{{{}}}", keys(1_000_000)),
        points(),
        filled(r#"{"prices":""#, "long ", r#""}"#),
    ] {
        ends(&bench, sends(200, text), ONE_CHART, "the body is no chart").await;
    }
}
