//! The program in a shell that has the reader's URLs alone: every command that reads works, and each that does not says in one
//! line whose URL belongs into which setting.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;
use std::time::SystemTime;

use crate::Cluster;
use crate::files::password;
use crate::support::assert_silent;
use crate::support::command::{code, coinmill, finish, json, text};
use crate::support::database::postgres_url;

/// Which role each setting names.
fn urls<'a>(settings: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
    let url = |&(setting, role): &(&'a str, &str)| {
        let database = match setting.starts_with("SNAPSHOT") {
            true => "airflow_snapshot",
            false => "airflow_timeseries",
        };
        (setting, postgres_url(role, &password(role), database))
    };
    settings.iter().map(url).collect()
}

const OWNER: [(&str, &str); 4] = [
    ("SNAPSHOT_URL", "coinmill_reader"),
    ("TIMESERIES_URL", "coinmill_reader"),
    ("SNAPSHOT_OWNER_URL", "coinmill_owner"),
    ("TIMESERIES_OWNER_URL", "coinmill_owner"),
];

/// Settings with the URLs of one role alone.
fn alone(role: &'static str) -> [(&'static str, &'static str); 2] {
    [("SNAPSHOT_URL", role), ("TIMESERIES_URL", role)]
}

impl Cluster {
    /// Runs the program with these URLs.
    async fn command(&self, urls_of: &[(&str, &str)], arguments: &[&str]) -> Output {
        let urls = urls(urls_of);
        let mut with: Vec<(&str, &str)> = vec![("TOP", "50")];
        with.extend(urls.iter().map(|(name, url)| (*name, url.as_str())));
        let output = finish(coinmill(&self.bench, None, arguments, &with)).await;
        assert!(!text(&output).contains("p@ss"), "{}", text(&output));
        output
    }

    /// The one line with which it refuses.
    async fn refusal(&self, urls_of: &[(&str, &str)], arguments: &[&str]) -> String {
        let output = self.command(urls_of, arguments).await;
        assert!(
            [1, 2].contains(&code(&output)),
            "{arguments:?}: {}",
            text(&output)
        );
        assert!(output.stdout.is_empty(), "{}", text(&output));
        let said = String::from_utf8(output.stderr).unwrap();
        // of three runs each says why
        let lines = if arguments.starts_with(&["run", "all"]) {
            3
        } else {
            1
        };
        assert_eq!(said.matches('\n').count(), lines, "one line each: {said}");
        assert_silent(&said);
        said
    }
}

/// When each file and folder was last changed.
fn changed(folder: &Path) -> BTreeMap<String, SystemTime> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let about = path.metadata().unwrap();
        found.insert(path.display().to_string(), about.modified().unwrap());
        if about.is_dir() {
            found.extend(changed(&path));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shell_with_the_reader_s_urls_alone_reads_everything_and_writes_nothing() {
    let cluster = Cluster::new().await;
    let writer = alone("coinmill_writer");
    let reader = alone("coinmill_reader");
    let done = cluster.command(&OWNER, &["init"]).await;
    assert_eq!(code(&done), 0, "{}", text(&done));
    let wrong = "set:field=current_price,id=bitcoin,times=0,value=-1";
    cluster.bench.sim.add_fault(wrong.parse().unwrap());
    let snapshot = cluster
        .command(&writer, &["run", "snapshot", "--json"])
        .await;
    assert_eq!(code(&snapshot), 3, "{}", text(&snapshot));
    let snapshot = json(&snapshot)["run"].as_str().unwrap().to_owned();
    let series = cluster
        .command(&writer, &["run", "timeseries", "--json"])
        .await;
    assert!([0, 3].contains(&code(&series)), "{}", text(&series));
    let series = json(&series)["run"].as_str().unwrap().to_owned();

    let (landed, calls) = (changed(&cluster.bench.landing()), cluster.bench.sim.calls());
    assert!(!landed.is_empty());
    for arguments in [
        &["status", "--json"] as &[&str],
        &["runs"],
        &["export", "--to", "lake"],
        &["quarantine", "list"],
        &["quarantine", "show", "s1"],
        &["search", "eth"],
        &["resolve", "ethereum"],
        &["replay", &snapshot],
        &["replay", &series],
    ] {
        let output = cluster.command(&reader, arguments).await;
        assert_eq!(code(&output), 0, "{arguments:?}: {}", text(&output));
    }
    let runs = cluster.command(&reader, &["runs", "--json"]).await;
    for arguments in [
        &["run", "snapshot"] as &[&str],
        &["run", "all"],
        &["run", "listing"],
        &["run", "snapshot", "--slot", "2026-01-14T11:30:00Z"],
        &["quarantine", "requeue", "s1"],
    ] {
        let said = cluster.refusal(&reader, arguments).await;
        assert!(
            said.contains("coinmill_reader may only read postgresql://coinmill_reader:***@"),
            "{arguments:?}: {said}"
        );
        assert!(said.contains("COINMILL_SNAPSHOT_URL"), "{said}");
    }
    for arguments in [
        &["run", "timeseries"] as &[&str],
        &["backfill", "--days", "2"],
    ] {
        let said = cluster.refusal(&reader, arguments).await;
        assert!(said.contains("coinmill_reader may only read"), "{said}");
        assert!(said.contains("COINMILL_TIMESERIES_URL"), "{said}");
    }
    // nothing was landed, asked for or written down
    assert_eq!(changed(&cluster.bench.landing()), landed);
    assert_eq!(cluster.bench.sim.calls(), calls);
    let after = cluster.command(&reader, &["runs", "--json"]).await;
    assert_eq!(text(&after), text(&runs));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_by_a_lesser_role_says_that_it_needs_the_owner() {
    let cluster = Cluster::new().await;
    for is_made in [false, true] {
        if is_made {
            let done = cluster.command(&OWNER, &["init"]).await;
            assert_eq!(code(&done), 0, "{}", text(&done));
        }
        for role in ["coinmill_reader", "coinmill_writer"] {
            let said = cluster.refusal(&alone(role), &["init"]).await;
            assert!(
                said.contains(&format!("{role} may not create tables in ")),
                "{is_made}: {said}"
            );
            assert!(said.contains("needs the owner"), "{said}");
            assert!(said.contains("COINMILL_SNAPSHOT_OWNER_URL"), "{said}");
            assert!(!said.contains("TIMESERIES"), "{said}");
            // the one database has its owner named, the other not
            let half = [&OWNER[..3], &[("TIMESERIES_URL", role)]].concat();
            let said = cluster.refusal(&half, &["init"]).await;
            assert!(said.contains("COINMILL_TIMESERIES_OWNER_URL"), "{said}");
        }
    }
}

/// Retention of everything.
const RETENTION: [&str; 4] = ["--retention-days-5m", "1", "--retention-days-landing", "1"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_owner_prunes() {
    let cluster = Cluster::new().await;
    let writer = alone("coinmill_writer");
    let done = cluster.command(&OWNER, &["init"]).await;
    assert_eq!(code(&done), 0, "{}", text(&done));
    for what in ["snapshot", "timeseries"] {
        let done = cluster.command(&writer, &["run", what]).await;
        assert_eq!(code(&done), 0, "{}", text(&done));
    }
    let later = cluster.bench.sim.now() + chrono::TimeDelta::days(9);
    cluster.bench.sim.set_clock(later).unwrap();
    let runs = cluster.command(&writer, &["runs", "--json"]).await;
    let landed = changed(&cluster.bench.landing());
    let prune = [&["prune"], &RETENTION[..]].concat();
    let dry = [&prune[..], &["--dry-run"]].concat();
    for role in ["coinmill_reader", "coinmill_writer"] {
        let said = cluster.refusal(&alone(role), &prune).await;
        assert!(
            said.contains(&format!("{role} may not delete from ")),
            "{said}"
        );
        assert!(said.contains("COINMILL_SNAPSHOT_OWNER_URL"), "{said}");
        // the one database has its owner named, the other not
        let half = [
            ("SNAPSHOT_URL", role),
            ("SNAPSHOT_OWNER_URL", "coinmill_owner"),
            ("TIMESERIES_URL", role),
        ];
        let said = cluster.refusal(&half, &prune).await;
        assert!(said.contains("COINMILL_TIMESERIES_OWNER_URL"), "{said}");
        // to look is to read
        let told = cluster.command(&alone(role), &dry).await;
        assert_eq!(code(&told), 0, "{}", text(&told));
    }
    // nothing was deleted or written down
    assert_eq!(changed(&cluster.bench.landing()), landed);
    let after = cluster.command(&writer, &["runs", "--json"]).await;
    assert_eq!(text(&after), text(&runs));

    let done = cluster
        .command(&OWNER, &[&prune[..], &["--json"]].concat())
        .await;
    assert_eq!(code(&done), 0, "{}", text(&done));
    let report = json(&done);
    assert!(report["pruned"][0]["points"].as_u64().unwrap() > 1000);
    assert_eq!(report["pruned"][1]["bodies"], 51);
    assert!(changed(&cluster.bench.landing()).is_empty());
    // the writer goes on, and the reader is told
    // of eight days in which nothing ran the points are lost
    for (what, exit_code) in [("snapshot", 0), ("timeseries", 3)] {
        let done = cluster.command(&writer, &["run", what]).await;
        assert_eq!(code(&done), exit_code, "{}", text(&done));
    }
    let runs = cluster
        .command(&alone("coinmill_reader"), &["runs", "--json"])
        .await;
    let runs = json(&runs);
    let first = runs["runs"].as_array().unwrap().last().unwrap();
    let said = cluster
        .refusal(
            &alone("coinmill_reader"),
            &["replay", first["run"].as_str().unwrap()],
        )
        .await;
    assert!(said.contains("by retention_days_landing = 1"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_init_a_reader_is_told_to_have_it_run() {
    let cluster = Cluster::new().await;
    for arguments in [&["status"] as &[&str], &["runs"], &["quarantine", "list"]] {
        let said = cluster.refusal(&alone("coinmill_reader"), arguments).await;
        assert!(said.contains("run `coinmill init`"), "{said}");
    }
}
