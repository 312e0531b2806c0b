//! Refused records validated again: a new run adds what the rules in force accept, and the old one stays as it was.

use coinmill::error::Error;
use coinmill::pipeline::{self, Pick, RunState};
use coinmill::series::Resolution;

use crate::series::{BITCOIN, Mill};
use crate::support::{Bench, Cell, Kind, on_both_databases};

on_both_databases!(
    what_a_looser_rule_accepts_is_added_by_a_new_run,
    what_is_refused_again_says_why_and_can_be_tried_again,
    a_coin_that_came_another_way_is_not_stored_twice,
    a_point_that_was_refused_is_added_and_no_other_is_touched,
    a_chart_that_was_refused_whole_is_added_whole,
    a_body_that_is_gone_stops_it_and_changes_nothing,
    a_rule_picks_its_records,
);

const TOP: (&str, &str) = ("top", "200");
/// Bounds that refuse a part of any market.
const STRICT: [(&str, &str); 3] = [
    ("refuse", "low_volume,large_change_24h"),
    ("min_volume", "1e7"),
    ("max_change_24h", "5"),
];

async fn rows_of_run(bench: &Bench, run: &str) -> Vec<Vec<Cell>> {
    let sql = format!(
        "select r.*, q.* from run r join landing l on l.run = r.id join quote q on q.landing = l.id \
         where r.id = '{run}' order by q.coin"
    );
    bench.database.rows(&sql).await
}

async fn what_a_looser_rule_accepts_is_added_by_a_new_run(kind: Kind) {
    let loose = Bench::new(Kind::Sqlite, 300).await;
    let hash = loose.run(&[TOP]).await.unwrap().content_hash;

    let bench = Bench::new(kind, 300).await;
    let with = [
        TOP,
        STRICT[0],
        STRICT[1],
        STRICT[2],
        ("completeness", "0.5"),
    ];
    let strict = bench.run(&with).await.unwrap();
    assert!(strict.rejected > 2 && strict.content_hash != hash);
    let (before, refused) = (
        rows_of_run(&bench, &strict.run).await,
        bench
            .database
            .rows("select * from quarantine order by id")
            .await,
    );
    let newest = bench.database.number("select max(id) from landing").await;

    let settings = bench.settings(&[TOP]);
    let calls = bench.sim.calls();
    let reports = pipeline::requeue(&settings, &Pick::Open).await.unwrap();
    let [report] = reports.as_slice() else {
        panic!("one slot, one run: {reports:?}")
    };
    assert_eq!(
        (report.state, report.requeued, report.stored, report.present),
        (RunState::Complete, strict.rejected, strict.rejected, 0)
    );
    assert_eq!((&report.content_hash, bench.sim.calls()), (&hash, calls));
    // known from now on, and not before
    let sql = format!("select count(*) from quote where landing > {newest}");
    assert_eq!(bench.database.number(&sql).await, strict.rejected as i64);
    assert_eq!(rows_of_run(&bench, &strict.run).await, before);
    let after = bench
        .database
        .rows("select * from quarantine order by id")
        .await;
    assert_eq!(after, refused);
    let row = bench
        .database
        .row("select kind, state, stored, calls from run order by id desc")
        .await;
    assert_eq!((row[0].text(), row[1].text()), ("requeue", "complete"));
    assert_eq!((row[2].int(), row[3].int()), (strict.rejected as i64, 0));

    assert!(
        pipeline::quarantine(&settings, &Pick::Open)
            .await
            .unwrap()
            .is_empty()
    );
    let all = pipeline::quarantine(&settings, &Pick::All).await.unwrap();
    assert_eq!(all.len() as u64, strict.rejected);
    assert!(
        all.iter()
            .all(|record| record.outcome.as_deref() == Some("stored")
                && record.requeued_by.as_ref() == Some(&report.run))
    );
    assert!(
        pipeline::requeue(&settings, &Pick::Open)
            .await
            .unwrap()
            .is_empty()
    );
    // a later run of the slot finds it complete
    let again = bench.run(&[TOP]).await.unwrap();
    assert_eq!(
        (again.calls, again.stored, again.content_hash),
        (0, 0, hash)
    );
}

async fn what_is_refused_again_says_why_and_can_be_tried_again(kind: Kind) {
    let bench = Bench::new(kind, 20).await;
    let coin = bench.ranking(3).await.remove(2);
    let dear = format!("set:times=0,id={coin},field=current_price,value=\"dear\"");
    bench.fault(&dear);
    let report = bench.run(&[("top", "20")]).await.unwrap();
    assert_eq!((report.state, report.rejected), (RunState::Partial, 2));
    let settings = bench.settings(&[("top", "20")]);
    for _ in 0..2 {
        let reports = pipeline::requeue(&settings, &Pick::Open).await.unwrap();
        assert_eq!(
            (reports[0].state, reports[0].stored),
            (RunState::Partial, 0)
        );
        assert_eq!(reports[0].refused.len(), 2);
        let refused = &reports[0].refused[0];
        assert!(refused.reason.contains("current_price") && refused.reason.contains("dear"));
        assert_eq!(refused.id.to_string(), "s1");
        assert_eq!(reports[0].content_hash, report.content_hash);
    }
    let open = pipeline::quarantine(&settings, &Pick::Open).await.unwrap();
    assert_eq!(open[0].outcome.as_deref(), Some("refused"));
    assert_eq!(open[0].coin_id.as_deref(), Some(coin.as_str()));
    assert_eq!(bench.database.counts().await[4..], [19, 2]);
}

async fn a_coin_that_came_another_way_is_not_stored_twice(kind: Kind) {
    let bench = Bench::new(kind, 300).await;
    let strict = bench
        .run(&[
            ("top", "100"),
            STRICT[0],
            STRICT[1],
            STRICT[2],
            ("completeness", "0.5"),
        ])
        .await
        .unwrap();
    assert!(strict.rejected > 0);
    // a wider selection asks for other pages, by rules that accept them
    let wide = bench.run(&[TOP]).await.unwrap();
    assert_eq!((wide.state, wide.accepted), (RunState::Complete, 200));
    let counts = bench.database.counts().await;
    let settings = bench.settings(&[TOP]);
    let reports = pipeline::requeue(&settings, &Pick::Open).await.unwrap();
    assert_eq!(
        (reports[0].stored, reports[0].present),
        (0, strict.rejected)
    );
    assert_eq!(bench.database.counts().await, counts);
    assert!(
        pipeline::quarantine(&settings, &Pick::Open)
            .await
            .unwrap()
            .is_empty()
    );
}

/// A mill with bitcoin's last day, of which a build with a stricter rule has refused something: a point, or all of it.
async fn stricter(kind: Kind, place: Option<i64>) -> (Mill, crate::series::View, Vec<i64>) {
    let mill = Mill::new(kind, 3).await;
    mill.bitcoin().await.unwrap();
    let (view, counts) = (mill.view().await, mill.counts().await);
    let row = mill.row("select id, path from landing").await;
    let gone = match place {
        None => "true".to_owned(),
        Some(place) => {
            let sql = format!("select ts from price_point order by ts limit 1 offset {place}");
            let stamp = mill.row(&sql).await[0].int();
            let at = chrono::DateTime::from_timestamp_millis(stamp).unwrap();
            format!("ts = {}", mill.timeseries.instant(at))
        }
    };
    mill.rows(&format!("delete from price_point where {gone}"))
        .await;
    match place {
        Some(_) => mill.rows("update tally set points = points - 1").await,
        None => {
            mill.rows("delete from coverage").await;
            mill.rows("delete from tally").await
        }
    };
    let record = place.map_or_else(|| "null".to_owned(), |place| place.to_string());
    let sql = format!(
        "insert into quarantine (id, landing, body, record, coin, rule, reason, raw) \
         values (1, {}, '{}', {record}, 'bitcoin', 'too_strict', 'too strict', '')",
        row[0].int(),
        row[1].text()
    );
    mill.rows(&sql).await;
    (mill, view, counts)
}

async fn a_point_that_was_refused_is_added_and_no_other_is_touched(kind: Kind) {
    let (mill, view, counts) = stricter(kind, Some(7)).await;
    let sql = "select coin, resolution * 1, ts, price, landing from price_point where landing = 1 order by ts";
    let sql = sql.replace("resolution * 1", "cast(resolution as bigint)");
    let others = mill.rows(&sql).await;
    assert_eq!(others.len() + 1, view.len());
    let settings = mill.settings(&BITCOIN);
    let reports = pipeline::requeue(&settings, &Pick::Rule("too_strict".to_owned()))
        .await
        .unwrap();
    assert_eq!(
        (reports[0].resolution, reports[0].stored, reports[0].state),
        (Some(Resolution::FiveMinutes), 1, RunState::Complete)
    );
    assert_eq!(mill.view().await, view);
    assert_eq!(mill.rows(&sql).await, others);
    // one more landing row and span, the same body; no revision
    let expected = [counts[0] + 1, counts[1], counts[2], 0, counts[4] + 1, 1];
    assert_eq!(mill.counts().await, expected);
    assert!(
        pipeline::requeue(&settings, &Pick::Open)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(mill.bitcoin().await.unwrap().calls, 0);
}

async fn a_chart_that_was_refused_whole_is_added_whole(kind: Kind) {
    let (mill, view, _) = stricter(kind, None).await;
    assert!(mill.view().await.is_empty());
    let settings = mill.settings(&BITCOIN);
    let calls = mill.bench.sim.calls();
    let reports = pipeline::requeue(&settings, &Pick::Ids(vec!["t1".parse().unwrap()]))
        .await
        .unwrap();
    assert_eq!((reports[0].stored, mill.view().await), (1, view));
    assert_eq!(mill.bench.sim.calls(), calls);
}

async fn a_body_that_is_gone_stops_it_and_changes_nothing(kind: Kind) {
    let bench = Bench::new(kind, 300).await;
    bench
        .run(&[
            TOP,
            STRICT[0],
            STRICT[1],
            STRICT[2],
            ("completeness", "0.5"),
        ])
        .await
        .unwrap();
    let counts = bench.database.counts().await;
    std::fs::remove_dir_all(bench.landing()).unwrap();
    let settings = bench.settings(&[TOP]);
    let error = pipeline::requeue(&settings, &Pick::Open).await.unwrap_err();
    assert!(matches!(error, Error::Data { .. }), "{error:?}");
    assert!(
        error.to_string().contains("restore the landing folder"),
        "{error}"
    );
    assert_eq!(bench.database.counts().await, counts);
    assert_eq!(bench.database.states().await, ["complete", "failed"]);
    assert!(
        !pipeline::quarantine(&settings, &Pick::Open)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn a_rule_picks_its_records(kind: Kind) {
    let bench = Bench::new(kind, 300).await;
    let report = bench
        .run(&[
            TOP,
            STRICT[0],
            STRICT[1],
            STRICT[2],
            ("completeness", "0.5"),
        ])
        .await
        .unwrap();
    let settings = bench.settings(&[TOP]);
    let pick = |rule: &str| Pick::Rule(rule.to_owned());
    let by_rule = pipeline::quarantine(&settings, &pick("low_volume"))
        .await
        .unwrap();
    assert_eq!(by_rule.len() as u64, report.rejections["low_volume"]);
    assert!(by_rule.iter().all(|record| record.rule == "low_volume"));
    let reports = pipeline::requeue(&settings, &pick("low_volume"))
        .await
        .unwrap();
    assert_eq!(reports[0].stored, by_rule.len() as u64);
    let left = pipeline::quarantine(&settings, &Pick::Open).await.unwrap();
    assert_eq!(left.len() as u64, report.rejected - reports[0].stored);
    let error = pipeline::quarantine(&settings, &Pick::Ids(vec!["s999".parse().unwrap()]))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Argument { .. }) && error.to_string().contains("s999"));
}
