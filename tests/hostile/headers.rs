//! Headers that are nonsense, huge or of another time: they are believed where they can be, and never at a record's cost.

use chrono::TimeDelta;
use coinmill::error::{Error, Result};
use coinmill::pipeline::{Report, RunState};
use coinmill::series::Resolution;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::series::{BITCOIN, DAY, Mill};
use crate::support::{Bench, Kind, said};

/// A network in front of the market that gives its responses one header more, or another value of one.
struct Front {
    url: String,
    server: JoinHandle<()>,
}

impl Front {
    async fn of(bench: &Bench, name: &'static str, value: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/v3", listener.local_addr().unwrap());
        let (behind, line) = (bench.sim.address(), format!("{name}: {value}\r\n"));
        let server = tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    asked.push(client.read_u8().await.unwrap());
                }
                let asked = String::from_utf8(asked).unwrap();
                let once = asked.replacen("\r\n", "\r\nconnection: close\r\n", 1);
                let mut market = TcpStream::connect(behind).await.unwrap();
                market.write_all(once.as_bytes()).await.unwrap();
                let mut response = Vec::new();
                market.read_to_end(&mut response).await.unwrap();
                // the clock of the market is no call of the API
                if !asked.starts_with("GET /sim/") {
                    response = with(&response, name, &line);
                }
                // a client that does not like the headers is gone by now
                let _ = client.write_all(&response).await;
            }
        });
        Self { url, server }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn with(response: &[u8], name: &str, line: &str) -> Vec<u8> {
    let end = response
        .windows(4)
        .position(|part| part == b"\r\n\r\n")
        .unwrap()
        + 2;
    let head = std::str::from_utf8(&response[..end]).unwrap();
    let same = |line: &&str| !line.to_ascii_lowercase().starts_with(&format!("{name}:"));
    let mut made: String = head.split_inclusive("\r\n").filter(same).collect();
    made.push_str(line);
    [made.as_bytes(), &response[end..]].concat()
}

/// A snapshot of the next slot through that network.
async fn snapshot(bench: &Bench, top: &str, name: &'static str, value: &str) -> Result<Report> {
    bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    let front = Front::of(bench, name, value).await;
    let with = [("top", top), ("attempts", "1"), ("api_url", &*front.url)];
    bench.run(&with).await
}

#[tokio::test]
async fn a_count_that_cannot_be_loses_no_coin() {
    let bench = Bench::new(Kind::Sqlite, 252).await;
    for value in [
        "0",
        "5",
        "125",
        "-1",
        "many",
        "1e3",
        "18446744073709551616",
        "",
    ] {
        let report = snapshot(&bench, "252", "total", value).await.unwrap();
        assert_eq!(
            (report.state, report.stored),
            (RunState::Complete, 252),
            "total: {value}"
        );
        assert_eq!(
            (report.expected, report.received),
            (252, 252),
            "total: {value}"
        );
        assert_eq!(report.calls, 2);
    }
}

#[tokio::test]
async fn a_count_beyond_all_coins_is_no_more_than_was_asked_for() {
    let bench = Bench::new(Kind::Sqlite, 252).await;
    for value in ["253", "18446744073709551615"] {
        let report = snapshot(&bench, "252", "total", value).await.unwrap();
        assert_eq!(
            (report.state, report.expected),
            (RunState::Complete, 252),
            "total: {value}"
        );
    }
}

#[tokio::test]
async fn an_age_that_is_none_is_passed_over_and_one_beyond_bounds_is_old() {
    let bench = Bench::new(Kind::Sqlite, 20).await;
    for value in ["-5", "old", "1.5", "", "0x10"] {
        let outcome = snapshot(&bench, "20", "age", value).await;
        assert_eq!(outcome.unwrap().stored, 20, "age: {value}");
    }
    let before = bench.database.counts().await;
    for value in ["4294967295", "4294967296", "99999999999999999999999999"] {
        let outcome = snapshot(&bench, "20", "age", value).await;
        let chain = said(&outcome.unwrap_err());
        assert!(
            chain.contains("a cache sent a page of"),
            "age: {value}: {chain}"
        );
        assert_eq!(bench.database.counts().await, before);
    }
}

#[tokio::test]
async fn a_date_of_another_time_is_an_error_and_nonsense_is_none() {
    let bench = Bench::new(Kind::Sqlite, 20).await;
    for value in [
        "soon",
        "",
        "Wed, 14 Jan 2026",
        "Sat, 31 Feb 2026 00:00:00 GMT",
    ] {
        let outcome = snapshot(&bench, "20", "date", value).await;
        assert_eq!(outcome.unwrap().stored, 20, "date: {value}");
    }
    let before = bench.database.counts().await;
    for value in [
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 16 Jan 2026 13:10:00 GMT",
        "Tue, 13 Jan 2026 12:10:00 GMT",
    ] {
        let outcome = snapshot(&bench, "20", "date", value).await;
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, Error::Config { .. }),
            "date: {value}: {error:?}"
        );
        assert!(said(&error).contains("the API's clock says"), "{error}");
        assert_eq!(bench.database.counts().await, before);
    }
}

#[tokio::test]
async fn a_long_header_is_kept_like_any_other() {
    let bench = Bench::new(Kind::Sqlite, 20).await;
    for name in ["etag", "cache-control", "x-request-id"] {
        let outcome = snapshot(&bench, "20", name, &"x".repeat(8_000)).await;
        assert_eq!(outcome.unwrap().stored, 20, "{name}");
    }
}

/// A chart's clock says how far it can be believed: one that is wrong must not cover what nobody has answered.
#[tokio::test]
async fn a_chart_of_another_time_covers_nothing() {
    for resolution in Resolution::ALL {
        let calm = Mill::new(Kind::Sqlite, 3).await;
        calm.run(resolution, &BITCOIN).await.unwrap();
        let calm = calm.view().await;
        let mill = Mill::new(Kind::Sqlite, 3).await;
        let now = mill.bench.sim.now().timestamp_millis();
        for (name, value) in [
            ("date", "Fri, 31 Dec 9999 23:59:59 GMT"),
            ("date", "Thu, 15 Jan 2026 12:10:00 GMT"),
            ("date", "Wed, 14 Jan 2026 13:10:00 GMT"),
            ("date", "Tue, 13 Jan 2026 12:10:00 GMT"),
            ("age", "99999999999999999999999999"),
        ] {
            let front = Front::of(&mill.bench, name, value).await;
            let mut with = BITCOIN.to_vec();
            with.extend([("attempts", "1"), ("api_url", &*front.url)]);
            let said = match mill.run(resolution, &with).await {
                Ok(report) => format!("{resolution} {name}: {value}: {report:?}"),
                Err(error) => said(&error),
            };
            assert_eq!(mill.count("price_point").await, 0, "{said}");
            assert!(
                name != "date" || said.contains("the API's clock says"),
                "{said}"
            );
            // an age beyond bounds answers for a day beyond bounds, if at all
            for (start, end) in mill.covered("bitcoin", resolution.minutes().into()).await {
                assert!(start < end && end < now - 365 * DAY, "{said}: to {end}");
            }
        }
        let report = mill.run(resolution, &BITCOIN).await.unwrap();
        assert_eq!((report.state, report.calls), (RunState::Complete, 1));
        assert_eq!(mill.view().await, calm);
    }
}

/// What is asked for again costs a second: longer is not waited than is set.
#[tokio::test]
async fn a_wait_without_end_is_not_waited_for() {
    let bench = Bench::new(Kind::Sqlite, 20).await;
    for value in [
        "18446744073709551615",
        "99999999999999999999999",
        "-1",
        "nan",
    ] {
        bench.fault("503:times=2");
        let front = Front::of(&bench, "retry-after", value).await;
        let with = [
            ("top", "20"),
            ("attempts", "2"),
            ("max_wait", "0.05"),
            ("api_url", &*front.url),
        ];
        let error = bench.run(&with).await.unwrap_err();
        assert!(error.is_retryable(), "{value}: {error:?}");
        bench.sim.clear_faults();
    }
}
