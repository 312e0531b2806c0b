//! Points: what is before the horizon goes with all that is known of it, and nothing else does.

use chrono::TimeDelta;
use coinmill::error::Error;
use coinmill::pipeline;

use crate::scene::{at, files, four_days, part, prune, yesterday};
use crate::series::{MINUTE, Mill};
use crate::support::{Cell, Kind, noon, on_both_databases, said};

on_both_databases!(
    nothing_is_pruned_where_no_retention_is_set,
    what_is_no_number_of_days_is_refused,
    a_dry_run_changes_nothing_and_says_what_would_be_deleted,
    what_is_before_the_horizon_goes_and_nothing_else,
    each_resolution_has_its_own_retention,
    a_second_prune_finds_nothing_to_do,
    everything_can_be_too_old,
    a_coin_that_left_goes_whole,
);

const ONE_DAY: [(&str, &str); 1] = [("retention_days_5m", "1")];

async fn nothing_is_pruned_where_no_retention_is_set(kind: Kind) {
    let mill = four_days(kind).await;
    let before = (mill.standing().await, files(&mill.bench.landing()));
    let report = prune(&mill, &[]).await.unwrap();
    assert_eq!((report.pruned.len(), report.is_dry_run), (0, false));
    assert_eq!(
        (mill.standing().await, files(&mill.bench.landing())),
        before
    );
}

async fn what_is_no_number_of_days_is_refused(kind: Kind) {
    let mill = Mill::new(kind, 2).await;
    for setting in [
        "retention_days_5m",
        "retention_days_1h",
        "retention_days_1d",
        "retention_days_landing",
    ] {
        for days in ["0", "-1", "1.5", "a month", ""] {
            let error = mill.bench.try_settings(&[(setting, days)]).unwrap_err();
            assert!(matches!(error, Error::Config { .. }), "{error:?}");
            let said = said(&error);
            assert!(said.contains("a whole number of at least 1"), "{said}");
            assert!(said.contains(setting), "{said}");
        }
        // longer than there is time
        let settings = mill.settings(&[(setting, "4294967295")]);
        let report = pipeline::prune(&settings, false).await.unwrap();
        assert!(report.pruned.is_empty());
    }
}

async fn a_dry_run_changes_nothing_and_says_what_would_be_deleted(kind: Kind) {
    let mill = four_days(kind).await;
    let with = [
        ("retention_days_5m", "1"),
        ("retention_days_1h", "2"),
        ("retention_days_1d", "3"),
        ("retention_days_landing", "2"),
    ];
    let before = (mill.standing().await, files(&mill.bench.landing()));
    let dry = pipeline::prune(&mill.settings(&with), true).await.unwrap();
    assert!(dry.is_dry_run);
    assert_eq!(
        (mill.standing().await, files(&mill.bench.landing())),
        before
    );
    let wet = prune(&mill, &with).await.unwrap();
    assert!(!wet.is_dry_run);
    assert_eq!(dry.pruned, wet.pruned);
    assert_eq!(wet.pruned.len(), 4);
    for part in &wet.pruned {
        let much = part.points.or(part.bodies).unwrap();
        assert!(much > 0, "{part:?}");
    }
}

async fn what_is_before_the_horizon_goes_and_nothing_else(kind: Kind) {
    let mill = four_days(kind).await;
    // where a chart was empty: before, over and after the horizon
    let (start, day) = (yesterday(), TimeDelta::days(1));
    for (landing, from, to) in [
        (1, -day * 2, -day),
        (2, -day, day),
        (3, TimeDelta::zero(), day),
    ] {
        let of = |at| mill.timeseries.instant(start + at);
        let sql = format!(
            "insert into empty_span (coin, resolution, starts_at, ends_at, is_refused, \"commit\", landing) \
             values (1, 5, {}, {}, 0, 1, {landing})",
            of(from),
            of(to)
        );
        mill.rows(&sql).await;
    }
    let (view, horizon) = (
        mill.since(5, yesterday()).await,
        yesterday().timestamp_millis(),
    );
    let mut others = Vec::new();
    let (mut kept, mut counted) = (Vec::new(), Vec::new());
    for table in ["price_point", "price_revision", "coverage", "empty_span"] {
        others.push(at(&mill, table, 5, false).await);
        let mut rows = at(&mill, table, 5, true).await;
        let all = rows.len();
        if table.starts_with("price") {
            rows.retain(|row| row[2].int() >= horizon);
        } else {
            rows.retain(|row| row[3].int() > horizon);
            for row in &mut rows {
                row[2] = Cell::Int(row[2].int().max(horizon));
            }
        }
        counted.push((all - rows.len()) as u64);
        kept.push(rows);
    }
    let landed = mill.rows("select * from landing order by id").await;

    let report = prune(&mill, &ONE_DAY).await.unwrap();
    let done = part(&report, "5m");
    assert_eq!(
        (done.before, done.days, done.setting),
        (yesterday(), 1, "retention_days_5m")
    );
    assert_eq!(
        (done.points, done.revisions),
        (Some(counted[0]), Some(counted[1]))
    );
    assert!(counted[0] > 500 && counted[1] > 0, "{counted:?}");
    for (place, table) in ["price_point", "price_revision", "coverage", "empty_span"]
        .into_iter()
        .enumerate()
    {
        assert_eq!(at(&mill, table, 5, false).await, others[place], "{table}");
        let mut rows = at(&mill, table, 5, true).await;
        let key = |row: &Vec<Cell>| {
            row.iter()
                .map(Cell::clone)
                .map(|c| format!("{c:?}"))
                .collect::<Vec<_>>()
        };
        rows.sort_by_key(key);
        kept[place].sort_by_key(key);
        assert_eq!(rows, kept[place], "{table}");
    }
    assert_eq!(mill.view().await, view);
    // a row of a body stays when its points go, and the sums are those of what is left
    assert_eq!(mill.rows("select * from landing order by id").await, landed);
    mill.counts().await;
    let status = pipeline::status(&mill.settings(&[])).await.unwrap();
    let held = &status.timeseries[0];
    let five = mill
        .row("select count(*), count(distinct coin), min(ts), max(ts) from price_point where resolution = 5")
        .await;
    let stamp = |at: Option<chrono::DateTime<chrono::Utc>>| at.unwrap().timestamp_millis();
    assert_eq!(
        [
            held.points as i64,
            held.coins as i64,
            stamp(held.first),
            stamp(held.newest)
        ],
        [five[0].int(), five[1].int(), five[2].int(), five[3].int()]
    );
    // who did it, and what, is written down
    let run = mill
        .row("select kind, state, slot, cast(resolution as bigint) from run order by started_at desc, id desc")
        .await;
    assert_eq!((run[0].text(), run[1].text()), ("prune", "complete"));
    assert_eq!((&run[2], &run[3]), (&Cell::Null, &Cell::Null));
    let sums = "select cast(sum(points) as bigint), cast(sum(revisions) as bigint), min(before), max(before), max(days) from pruned";
    assert_eq!(
        mill.row(sums).await,
        [
            Cell::Int(counted[0] as i64),
            Cell::Int(counted[1] as i64),
            Cell::Int(horizon),
            Cell::Int(horizon),
            Cell::Int(1)
        ]
    );
    let stamped = r#"select count(*) from "commit" where at is null"#;
    assert_eq!(mill.number(stamped).await, 0);
    // no point is needed of the snapshot database
    assert_eq!(
        mill.bench
            .database
            .number("select count(*) from pruned")
            .await,
        0
    );
}

async fn each_resolution_has_its_own_retention(kind: Kind) {
    let mill = four_days(kind).await;
    let with = [("retention_days_1h", "3"), ("retention_days_1d", "5")];
    let mut view = mill.since(60, yesterday() - TimeDelta::days(2)).await;
    let oldest = (yesterday() - TimeDelta::days(4)).timestamp_millis();
    view.retain(|key, _| key.1 != 1440 || key.2 >= oldest);
    prune(&mill, &with).await.unwrap();
    assert_eq!(mill.view().await, view);
    mill.counts().await;
    // a day's point is at its midnight: that of the horizon stays
    let first = mill.number("select count(*) from price_point where resolution = 1440");
    assert_eq!(first.await, 4 * 6);
}

async fn a_second_prune_finds_nothing_to_do(kind: Kind) {
    let mill = four_days(kind).await;
    let all = [&ONE_DAY[..], &[("retention_days_landing", "1")]].concat();
    prune(&mill, &all).await.unwrap();
    let (pruned, commits) = (
        "select count(*) from pruned",
        "select count(*) from \"commit\"",
    );
    let before = (mill.number(pruned).await, mill.number(commits).await);
    let report = prune(&mill, &all).await.unwrap();
    assert_eq!(part(&report, "5m").points, Some(0));
    assert_eq!(part(&report, "landing").bodies, Some(0));
    assert_eq!(
        (mill.number(pruned).await, mill.number(commits).await),
        before
    );
    // a day later there is a day more
    mill.bench
        .sim
        .set_clock(noon() + TimeDelta::days(1))
        .unwrap();
    let report = prune(&mill, &all).await.unwrap();
    assert!(part(&report, "5m").points > Some(250));
    mill.counts().await;
}

async fn everything_can_be_too_old(kind: Kind) {
    let mill = four_days(kind).await;
    mill.bench
        .sim
        .set_clock(noon() + TimeDelta::days(60))
        .unwrap();
    let with = [
        ("retention_days_5m", "1"),
        ("retention_days_1h", "1"),
        ("retention_days_1d", "1"),
    ];
    prune(&mill, &with).await.unwrap();
    for table in ["price_point", "price_revision", "coverage", "empty_span"] {
        assert_eq!(mill.count(table).await, 0, "{table}");
    }
    mill.counts().await;
    let status = pipeline::status(&mill.settings(&[])).await.unwrap();
    for held in &status.timeseries {
        assert_eq!((held.points, held.coins, held.first), (0, 0, None));
    }
    // what comes then is counted from there
    mill.snapshot("4").await;
    mill.run(coinmill::series::Resolution::FiveMinutes, &with)
        .await
        .unwrap();
    mill.counts().await;
}

async fn a_coin_that_left_goes_whole(kind: Kind) {
    let mill = four_days(kind).await;
    let gone = yesterday().timestamp_millis() - MINUTE;
    let at = chrono::DateTime::from_timestamp_millis(gone).unwrap();
    let at = mill.timeseries.instant(at);
    for table in ["price_point", "price_revision"] {
        mill.rows(&format!(
            "delete from {table} where coin = 2 and resolution = 5 and ts >= {at}"
        ))
        .await;
    }
    mill.rows(&format!(
        "delete from coverage where coin = 2 and resolution = 5 and ends_at > {at}"
    ))
    .await;
    mill.rows("delete from tally where resolution = 5").await;
    mill.rows(
        "insert into tally select 5, (select max(id) from \"commit\"), count(distinct coin), count(*), min(ts), max(ts) \
         from price_point where resolution = 5",
    )
    .await;
    mill.counts().await;
    prune(&mill, &ONE_DAY).await.unwrap();
    mill.counts().await;
    let coins = "select count(distinct coin) from price_point where resolution = 5";
    assert_eq!(mill.number(coins).await, 3);
}
