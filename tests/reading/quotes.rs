//! Quotes of a slot, and what of it was known when: what came later than an instant is not in what was known then, and what
//! was missing then is missing in it.

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use chrono::{DateTime, TimeDelta, Utc};
use coinmill::error::Error;
use coinmill::pipeline::{self, Pick, Quotes, Read};

use crate::support::{Bench, Cell, Kind, noon, on_both_databases, report_of, said};

on_both_databases!(
    a_slot_is_read_as_it_was_known_with_what_was_missing_then,
    what_was_requeued_is_known_from_then_on,
    a_slot_is_chosen_among_those_that_were_known,
    before_anything_was_known_is_an_error_that_says_so,
    a_commit_that_waits_for_its_instant_is_known_to_now_alone,
    a_name_is_that_of_the_commit_and_not_of_a_later_one,
    a_span_is_every_slot_with_those_that_are_not_there,
);

const TOP: (&str, &str) = ("top", "300");

fn minutes(after: i64) -> DateTime<Utc> {
    noon() + TimeDelta::minutes(after)
}

fn wanted(at: Option<i64>, as_of: Option<i64>) -> Quotes {
    Quotes {
        at: at.map(minutes),
        as_of: as_of.map(|at| minutes(at).into()),
        ..Quotes::default()
    }
}

async fn read(bench: &Bench, wanted: Quotes) -> Read {
    let settings = bench.settings(&[]);
    pipeline::quotes(&settings, &wanted).await.unwrap()
}

/// What an error says, which is one of data.
async fn refused(bench: &Bench, wanted: Quotes) -> String {
    let settings = bench.settings(&[]);
    let error = pipeline::quotes(&settings, &wanted).await.unwrap_err();
    assert!(matches!(error, Error::Data { .. }), "{error:?}");
    said(&error)
}

fn counts(read: &Read) -> (usize, usize) {
    (read.frame.rows(), read.missing.len())
}

/// The slot of what was read.
fn slot(read: &Read) -> DateTime<Utc> {
    let column = read.frame.batches[0]
        .column_by_name("snapshot_time")
        .unwrap();
    let stamps = column.as_primitive::<TimestampMillisecondType>();
    DateTime::from_timestamp_millis(stamps.value(0)).unwrap()
}

/// A slot of which half came at 12:10, and the rest at 12:20.
async fn halved(kind: Kind) -> Bench {
    let bench = Bench::new(kind, 300).await;
    bench.fault("503:path=page=2");
    let half = bench.run(&[TOP, ("attempts", "1")]).await;
    assert_eq!(report_of(half)["stored"], 150);
    bench.sim.clear_faults();
    bench.sim.advance(TimeDelta::minutes(10)).unwrap();
    assert_eq!(bench.run(&[TOP]).await.unwrap().stored, 150);
    bench
}

async fn a_slot_is_read_as_it_was_known_with_what_was_missing_then(kind: Kind) {
    let bench = halved(kind).await;
    let now = read(&bench, Quotes::default()).await;
    assert_eq!(counts(&now), (300, 0));
    // the slot that holds an instant, with all that came for it by now
    assert_eq!(read(&bench, wanted(Some(-5), None)).await.frame, now.frame);
    let then = read(&bench, wanted(None, Some(5))).await;
    assert_eq!(then.frame.rows(), 150);
    let missing: Vec<_> = then
        .missing
        .iter()
        .map(|it| (it.what.as_str(), it.reason.as_str()))
        .collect();
    assert_eq!(missing, [("ranks 151 to 300", "page 2 of 2")]);
    assert_eq!(
        read(&bench, wanted(Some(-5), Some(5))).await.frame,
        then.frame
    );
    // at the very instant of the second commit it is known
    let whole = read(&bench, wanted(None, Some(10))).await;
    assert_eq!((whole.frame, whole.missing), (now.frame, vec![]));
    // a run that adds nothing makes no moment of knowledge
    let commits = r#"select count(*) from "commit""#;
    let before = bench.database.number(commits).await;
    bench.run(&[TOP]).await.unwrap();
    assert_eq!((bench.database.number(commits).await, before), (before, 2));
}

async fn what_was_requeued_is_known_from_then_on(kind: Kind) {
    let bench = Bench::new(kind, 300).await;
    let strict = [
        TOP,
        ("refuse", "large_change_24h"),
        ("max_change_24h", "5"),
        ("completeness", "0.5"),
    ];
    let refused = bench.run(&strict).await.unwrap().rejected;
    assert!(refused > 0);
    bench.sim.advance(TimeDelta::hours(2)).unwrap();
    let settings = bench.settings(&[TOP]);
    pipeline::requeue(&settings, &Pick::Open).await.unwrap();
    let rows = async |as_of| read(&bench, wanted(Some(0), as_of)).await.frame.rows() as u64;
    assert_eq!(rows(None).await, 300);
    assert_eq!(rows(Some(119)).await, 300 - refused);
    assert_eq!(rows(Some(120)).await, 300);
}

async fn a_slot_is_chosen_among_those_that_were_known(kind: Kind) {
    let bench = halved(kind).await;
    bench.sim.advance(TimeDelta::minutes(20)).unwrap();
    bench.run(&[TOP]).await.unwrap();
    let (first, second) = (minutes(-10), minutes(20));
    for (at, as_of, expected) in [
        (None, None, second),
        (Some(500), None, second),
        (None, Some(29), first),
        (None, Some(30), second),
        // the slot holds the instant, and nothing of it was known
        (Some(25), Some(25), first),
        (Some(25), Some(40), second),
        (Some(19), Some(40), first),
    ] {
        let found = slot(&read(&bench, wanted(at, as_of)).await);
        assert_eq!(found, expected, "at {at:?} as of {as_of:?}");
    }
    assert_eq!(
        refused(&bench, wanted(Some(-11), Some(40))).await,
        "no snapshot at or before 2026-01-14T11:59:00Z was stored by 2026-01-14T12:50:00Z"
    );
    assert_eq!(
        refused(&bench, wanted(Some(-11), None)).await,
        "there is no snapshot at or before 2026-01-14T11:59:00Z"
    );
}

async fn before_anything_was_known_is_an_error_that_says_so(kind: Kind) {
    let bench = Bench::new(kind, 300).await;
    let none = refused(&bench, Quotes::default()).await;
    assert!(none.starts_with("there is no snapshot yet"), "{none}");
    let words = "nothing was stored by 2026-01-14T12:09:00Z: the first snapshot was taken later";
    assert_eq!(refused(&bench, wanted(None, Some(-1))).await, words);
    bench.run(&[TOP]).await.unwrap();
    assert_eq!(refused(&bench, wanted(None, Some(-1))).await, words);
    assert_eq!(refused(&bench, wanted(Some(5), Some(-1))).await, words);
}

async fn a_commit_that_waits_for_its_instant_is_known_to_now_alone(kind: Kind) {
    let bench = halved(kind).await;
    // as a death between the two commits leaves it
    let lose = r#"update "commit" set at = null where id = 2"#;
    bench.database.rows(lose).await;
    let rows = async |as_of| read(&bench, wanted(None, as_of)).await.frame.rows();
    assert_eq!((rows(None).await, rows(Some(60)).await), (300, 150));
    // the next run stamps it, though it has nothing to store
    bench.sim.advance(TimeDelta::minutes(5)).unwrap();
    bench.run(&[TOP]).await.unwrap();
    assert_eq!((rows(Some(14)).await, rows(Some(15)).await), (150, 300));
    let stamps = bench.database.rows(r#"select at from "commit""#).await;
    assert!(!stamps.contains(&vec![Cell::Null]), "{stamps:?}");
}

async fn a_name_is_that_of_the_commit_and_not_of_a_later_one(kind: Kind) {
    let bench = Bench::new(kind, 5).await;
    let five = [("top", "5")];
    bench.run(&five).await.unwrap();
    bench.sim.advance(TimeDelta::minutes(30)).unwrap();
    bench.fault("set:field=symbol,id=bitcoin,value=\"xbt\"");
    bench.run(&five).await.unwrap();
    let symbol = async |wanted| {
        let read = read(&bench, wanted).await;
        let text = |name: &str| {
            let column = read.frame.batches[0].column_by_name(name).unwrap();
            let texts = column.as_string::<i32>().iter().flatten();
            texts.map(str::to_owned).collect::<Vec<_>>()
        };
        let place = text("coin_id").iter().position(|id| id == "bitcoin");
        text("symbol")[place.unwrap()].clone()
    };
    assert_eq!(symbol(wanted(None, None)).await, "xbt");
    assert_eq!(symbol(wanted(Some(0), None)).await, "btc");
    assert_eq!(symbol(wanted(None, Some(29))).await, "btc");
    assert_eq!(symbol(wanted(None, Some(30))).await, "xbt");
}

async fn a_span_is_every_slot_with_those_that_are_not_there(kind: Kind) {
    let bench = halved(kind).await;
    bench.sim.advance(TimeDelta::minutes(80)).unwrap();
    bench.run(&[TOP]).await.unwrap();
    let span = |start: i64, end: Option<i64>, as_of: Option<i64>| Quotes {
        start: Some(minutes(start)),
        end: end.map(minutes),
        ..wanted(None, as_of)
    };
    let missed = |read: &Read| -> Vec<(i64, i64, String)> {
        let after = |at: DateTime<Utc>| (at - noon()).num_minutes();
        let missing = read.missing.iter();
        missing
            .map(|it| (after(it.start), after(it.end), it.what.clone()))
            .collect()
    };
    let quotes = "quotes".to_owned();
    // slots begin at 12:00, ten minutes before the clock began
    let all = read(&bench, span(-10, None, None)).await;
    assert_eq!(all.frame.rows(), 600);
    assert_eq!(missed(&all), [(20, 80, quotes.clone())]);
    assert!(
        all.warning
            .unwrap()
            .starts_with("2 half-hours have no snapshot: ")
    );
    // a half-hour that is not over is not missing yet, and what was known then is read
    let cut = read(&bench, span(-40, Some(1000), Some(5))).await;
    assert_eq!(cut.frame.rows(), 150);
    let half = "ranks 151 to 300".to_owned();
    assert_eq!(missed(&cut), [(-40, -10, quotes), (-10, 20, half)]);
    let of_one = Quotes {
        coins: vec!["bitcoin".parse().unwrap()],
        ..span(-10, Some(81), None)
    };
    assert_eq!(counts(&read(&bench, of_one).await), (2, 1));
    // bounds between half-hours: the slots that begin within them
    assert_eq!(read(&bench, span(-9, Some(80), None)).await.frame.rows(), 0);
    let both = Quotes {
        at: Some(noon()),
        ..span(0, None, None)
    };
    let error = pipeline::quotes(&bench.settings(&[]), &both).await;
    assert!(said(&error.unwrap_err()).contains("not both"));
}
