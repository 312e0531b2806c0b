//! `coinmill config` and `coinmill completions`: what is in force, and what a shell can complete.

use std::process::{Command, Stdio};

use crate::support::Bench;
use crate::support::command::{code, coinmill, finish, json, text};

#[tokio::test]
async fn each_setting_is_told_with_where_it_comes_from_and_no_secret_is() {
    let bench = Bench::market(5).await;
    std::fs::write(
        bench.folder.path().join("coinmill.toml"),
        "chart_top = 3\ntimeseries_url = \"postgresql://me:hush0Hush1Hush2@h/db\"\n",
    )
    .unwrap();
    let mut command = coinmill(
        &bench,
        None,
        &["config", "--top", "7", "--json"],
        &[("ATTEMPTS", "2")],
    );
    command.env("COINGECKO_API_KEY", crate::support::KEY);
    let output = finish(command).await;
    assert_eq!(code(&output), 0, "{}", text(&output));
    let value = json(&output);
    assert_eq!(value["file"], "coinmill.toml");
    let settings = value["settings"].as_array().unwrap();
    let of = |name: &str| {
        let found = settings.iter().find(|setting| setting["name"] == name);
        let found = found.unwrap();
        let text = |key: &str| found[key].as_str().unwrap_or("null").to_owned();
        [text("value"), text("origin"), text("place")].join(" ")
    };
    assert_eq!(of("top"), "7 argument null");
    assert_eq!(of("attempts"), "2 environment COINMILL_ATTEMPTS");
    assert_eq!(of("chart_top"), "3 file coinmill.toml");
    assert_eq!(of("max_wait"), "130 default null");
    assert_eq!(of("api_key"), "*** environment COINGECKO_API_KEY");
    assert_eq!(
        of("timeseries_url"),
        "postgresql://me:***@h/db file coinmill.toml"
    );
    let output = finish(coinmill(&bench, None, &["config", "--top", "7"], &[])).await;
    let said = text(&output);
    assert!(
        said.contains("7 (--top)") && said.contains("(COINMILL_API_URL)"),
        "{said}"
    );
    let output = finish(coinmill(&bench, None, &["config"], &[("TOP", "many")])).await;
    assert_eq!(code(&output), 2, "{}", text(&output));
}

#[tokio::test]
async fn every_shell_gets_a_script_that_knows_the_commands() {
    let bench = Bench::market(5).await;
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = finish(coinmill(&bench, None, &["completions", shell], &[])).await;
        let script = String::from_utf8(output.stdout.clone()).unwrap();
        assert_eq!(code(&output), 0, "{}", text(&output));
        for word in ["backfill", "max-age", "doctor", "api-url"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        // the shells that are here can say whether it is a script of theirs
        let check = Command::new(shell)
            .args(["-n"])
            .stdin(Stdio::piped())
            .spawn();
        if let Ok(mut check) = check {
            use std::io::Write as _;
            check
                .stdin
                .take()
                .unwrap()
                .write_all(script.as_bytes())
                .unwrap();
            assert!(check.wait().unwrap().success(), "{shell}");
        }
    }
    let output = finish(coinmill(&bench, None, &["completions", "csh"], &[])).await;
    assert_eq!(code(&output), 2);
}
