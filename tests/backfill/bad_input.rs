//! What a user can ask for wrongly: each gets an error that names the remedy, costs no call and leaves nothing behind.

use chrono::{DateTime, TimeDelta, Utc};
use coinmill::error::Error;
use coinmill::pipeline::{Reach, RunState};
use coinmill::series::Resolution;

use crate::series::{Mill, partial};
use crate::support::{Kind, noon, on_both_databases, said};

on_both_databases!(
    a_span_that_cannot_be_names_what_would_be_right,
    an_unknown_coin_alone_is_an_error,
    an_unknown_coin_among_others_is_named_and_the_others_are_stored,
);

const ALL: [Resolution; 3] = [Resolution::FiveMinutes, Resolution::Hour, Resolution::Day];

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn a_span_that_cannot_be_names_what_would_be_right(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let between = |from: &str, to: &str| Reach::Between(at(from), Some(at(to)));
    let demo: &[(&str, &str)] = &[("plan", "keyless")];
    let (hour, day, five) = (Resolution::Hour, Resolution::Day, Resolution::FiveMinutes);
    let short: &[(&str, &str)] = &[("plan", "keyless"), ("history_days", "30")];
    let mut cases = vec![
        (
            hour,
            between("2020-01-01T00:00:00Z", "2020-02-01T00:00:00Z"),
            demo,
            vec!["365 days", "COINMILL_HISTORY_DAYS"],
        ),
        (day, Reach::Days(400), demo, vec!["--days 365", "keyless"]),
        (hour, Reach::Days(366), demo, vec!["--days 365"]),
        (
            hour,
            Reach::Days(31),
            short,
            vec!["--days 30", "COINMILL_HISTORY_DAYS"],
        ),
        (
            five,
            Reach::Days(2),
            &[],
            vec!["--days 1", "--resolution 1h"],
        ),
        (
            five,
            between("2026-01-10T00:00:00Z", "2026-01-11T00:00:00Z"),
            &[],
            vec!["one day only", "--resolution 1h"],
        ),
    ];
    for resolution in ALL {
        let backwards = between("2026-01-13T00:00:00Z", "2026-01-12T00:00:00Z");
        cases.push((
            resolution,
            backwards,
            &[],
            vec!["2026-01-13T00:00Z", "--from must be before --until"],
        ));
        let empty = between("2026-01-14T00:00:00Z", "2026-01-14T00:00:00Z");
        cases.push((
            resolution,
            empty,
            &[],
            vec!["--from must be before --until"],
        ));
        let ahead = between("2026-01-15T00:00:00Z", "2026-01-16T00:00:00Z");
        cases.push((
            resolution,
            ahead,
            &[],
            vec!["2026-01-15T00:00Z", "still to come"],
        ));
        let ahead = Reach::Between(noon() + TimeDelta::days(9), None);
        cases.push((
            resolution,
            ahead,
            &[],
            vec!["--from must be before --until"],
        ));
    }
    for (resolution, reach, with, words) in cases {
        let outcome = mill.backfill(resolution, reach, &["bitcoin"], with).await;
        let error = outcome.expect_err(&format!("{resolution} {reach:?}"));
        assert!(
            matches!(error, Error::Argument { .. }) && !error.is_retryable(),
            "{error:?}"
        );
        let chain = said(&error);
        for word in words {
            assert!(chain.contains(word), "{word:?} is not in: {chain}");
        }
    }
    // nor a day of no days, which would be complete with nothing
    let error = mill.backfill(hour, Reach::Days(0), &["bitcoin"], &[]).await;
    assert!(
        matches!(error, Err(Error::Argument { .. })),
        "--days 0 gave {error:?}"
    );
    assert_eq!((mill.bench.sim.calls(), mill.states().await.len()), (0, 0));
}

async fn an_unknown_coin_alone_is_an_error(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    for resolution in ALL {
        let outcome = mill
            .backfill(resolution, Reach::Days(1), &["no-such-coin"], &[])
            .await;
        let error = outcome.unwrap_err();
        let chain = said(&error);
        assert!(
            chain.contains("no-such-coin") && chain.contains("coin not found"),
            "{chain}"
        );
        assert!(!error.is_retryable(), "{error:?}");
    }
    assert_eq!(mill.counts().await, [0; 6]);
    assert_eq!(
        (mill.states().await, mill.bench.sim.calls()),
        (vec!["failed".to_owned(); 3], 3)
    );
}

async fn an_unknown_coin_among_others_is_named_and_the_others_are_stored(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let ranking = mill.bench.ranking(3).await;
    let coins = [&*ranking[0], "no-such-coin", &*ranking[1]];
    let hour = Resolution::Hour;
    let report = partial(mill.backfill(hour, Reach::Days(3), &coins, &[]).await);
    assert_eq!(
        (&report["expected"], &report["received"]),
        (&3.into(), &2.into())
    );
    let missing = report["missing"].as_array().unwrap();
    assert_eq!(
        (missing.len(), &missing[0]["coin_id"]),
        (1, &"no-such-coin".into())
    );
    let missing = missing[0]["reason"].as_str().unwrap();
    assert!(missing.contains("coin not found"), "{missing}");
    // where so much may be missing, it is no error, and still said
    let lenient = [("completeness", "0.5")];
    let coins = [&*ranking[2], "no-such-coin"];
    let report = mill
        .backfill(hour, Reach::Days(3), &coins, &lenient)
        .await
        .unwrap();
    assert_eq!((report.state, report.received), (RunState::Partial, 1));
    assert!(report.missing[0].what == "no-such-coin");
    let stored = "select count(distinct coin) from price_point";
    assert_eq!(mill.number(stored).await, 3);
    assert_eq!(mill.states().await, ["partial", "partial"]);
    let error = mill.row("select report from run order by id desc").await;
    assert!(error[0].text().contains("no-such-coin"));
}
