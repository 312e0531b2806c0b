//! What the API changes after it was stored: the first value stays, the newest is what stands.

use chrono::TimeDelta;
use coinmill::frame;
use coinmill::pipeline::{self, SeriesReport};
use coinmill::series::Resolution;

use crate::series::{HOUR, MINUTE, Mill, chart, prices};
use crate::support::{Cell, Kind, noon, on_both_databases};

on_both_databases!(
    a_changed_value_is_a_revision_and_the_first_one_stays,
    a_null_that_becomes_a_value_is_a_revision_and_so_is_the_reverse,
    the_newest_of_several_revisions_stands,
    a_point_that_a_later_response_leaves_out_stays,
    a_negative_zero_is_zero,
    revisions_are_read_with_what_they_replaced,
);

/// Where the charts of these tests begin: twenty hours before the clock, so that the next visits hold it too.
fn first() -> i64 {
    noon().timestamp_millis() - 20 * HOUR
}

/// A run that is answered with this, an hour after the one before: so few points leave the rest of the day open.
async fn run_on(mill: &Mill, body: &str) -> SeriesReport {
    mill.bench.sim.advance(TimeDelta::hours(1)).unwrap();
    mill.answer(body);
    let report = mill.bitcoin().await.unwrap();
    assert_eq!((report.calls, report.rejected), (1, 0));
    report
}

fn made(report: &SeriesReport) -> (u64, u64) {
    (report.stored, report.revisions)
}

/// Prices by their place in the chart.
async fn column(mill: &Mill, table: &str, column: &str) -> Vec<(i64, Option<f64>)> {
    let sql = format!("select ts, {column} from {table} order by ts, landing");
    let place = |ts: i64| (ts - first()) / (5 * MINUTE);
    let number = |cell: &Cell| (*cell != Cell::Null).then(|| cell.float());
    mill.rows(&sql)
        .await
        .iter()
        .map(|row| (place(row[0].int()), number(&row[1])))
        .collect()
}

async fn a_changed_value_is_a_revision_and_the_first_one_stays(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let body = |values: &[&str]| prices(first(), 5 * MINUTE, values);
    let report = run_on(&mill, &body(&["1", "2", "3", "4"])).await;
    assert_eq!(made(&report), (4, 0));
    let report = run_on(&mill, &body(&["1", "2.5", "3", "4e0", "5"])).await;
    assert_eq!(made(&report), (1, 1));
    let first_known = [1.0, 2.0, 3.0, 4.0, 5.0].map(Some);
    let known_now = [1.0, 2.5, 3.0, 4.0, 5.0].map(Some);
    let values = async |table| {
        let column = column(&mill, table, "price").await;
        column
            .into_iter()
            .map(|(_, price)| price)
            .collect::<Vec<_>>()
    };
    assert_eq!(values("price_point").await, first_known);
    assert_eq!(values("price_now").await, known_now);
    assert_eq!(
        column(&mill, "price_revision", "price").await,
        [(1, Some(2.5))]
    );
    // the row that stands names the body that it came from
    let sql = "select n.landing, l.run from price_now n join landing l on l.id = n.landing where n.price = 2.5";
    let row = mill.row(sql).await;
    assert_eq!((row[0].int(), row[1].text()), (2, &*report.run));
    let ledger = mill
        .row("select stored, report from run order by id desc")
        .await;
    assert_eq!(ledger[0].int(), 1);
    assert!(ledger[1].text().contains(r#""revisions":1"#));
    // the same answer again is no news
    let report = run_on(&mill, &body(&["1", "2.5", "3", "4", "5"])).await;
    assert_eq!(made(&report), (0, 0));
}

async fn a_null_that_becomes_a_value_is_a_revision_and_so_is_the_reverse(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let at = |place: i64| first() + place * 5 * MINUTE;
    let body = |cap: &'static str, volume: &'static str, price: &'static str| {
        let points = [
            (at(0), "1", cap, "1"),
            (at(1), "1", "1", volume),
            (at(2), price, "1", "1"),
        ];
        chart(&points)
    };
    assert_eq!(
        made(&run_on(&mill, &body("null", "null", "7")).await),
        (3, 0)
    );
    assert_eq!(
        made(&run_on(&mill, &body("null", "null", "7")).await),
        (0, 0)
    );
    assert_eq!(made(&run_on(&mill, &body("5", "0", "null")).await), (0, 3));
    let caps = column(&mill, "price_now", "market_cap").await;
    assert_eq!(caps, [(0, Some(5.0)), (1, Some(1.0)), (2, Some(1.0))]);
    let volumes = column(&mill, "price_now", "volume").await;
    assert_eq!(volumes, [(0, Some(1.0)), (1, Some(0.0)), (2, Some(1.0))]);
    let now = column(&mill, "price_now", "price").await;
    assert_eq!(now, [(0, Some(1.0)), (1, Some(1.0)), (2, None)]);
    let then = column(&mill, "price_point", "price").await;
    assert_eq!(then[2], (2, Some(7.0)));
    assert_eq!(
        column(&mill, "price_point", "market_cap").await[0],
        (0, None)
    );
}

async fn the_newest_of_several_revisions_stands(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    for (price, expected) in [
        ("10", (3, 0)),
        ("11", (0, 1)),
        ("12", (0, 1)),
        ("10", (0, 1)),
    ] {
        let body = prices(first(), 5 * MINUTE, &["1", price, "3"]);
        assert_eq!(made(&run_on(&mill, &body).await), expected, "{price}");
    }
    let revisions = column(&mill, "price_revision", "price").await;
    assert_eq!(
        revisions,
        [(1, Some(11.0)), (1, Some(12.0)), (1, Some(10.0))]
    );
    let now = column(&mill, "price_now", "price").await;
    assert_eq!(now, [(0, Some(1.0)), (1, Some(10.0)), (2, Some(3.0))]);
    // what was known before each is still to be told: by the body that brought it
    let sql = "select landing from price_revision order by landing";
    let landings: Vec<i64> = mill
        .rows(sql)
        .await
        .iter()
        .map(|row| row[0].int())
        .collect();
    assert_eq!(landings, [2, 3, 4]);
}

async fn a_point_that_a_later_response_leaves_out_stays(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let at = |place: i64| first() + place * 5 * MINUTE;
    run_on(&mill, &prices(first(), 5 * MINUTE, &["1", "2", "3", "4"])).await;
    let points = [
        (at(0), "1", "1", "1"),
        (at(2), "3", "1", "1"),
        (at(3), "4", "1", "1"),
    ];
    assert_eq!(made(&run_on(&mill, &chart(&points)).await), (0, 0));
    assert_eq!(column(&mill, "price_now", "price").await.len(), 4);
}

async fn a_negative_zero_is_zero(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let body = prices(first(), 5 * MINUTE, &["1", "-0.0", "-0", "-0e5"]);
    assert_eq!(made(&run_on(&mill, &body).await), (4, 0));
    let view = mill.view().await;
    assert!(
        view.values()
            .all(|numbers| numbers[0] != Some((-0.0_f64).to_bits()))
    );
    assert_eq!(
        view.values()
            .filter(|numbers| numbers[0] == Some(0))
            .count(),
        3
    );
    // and that it is written otherwise the next time is no change
    let body = prices(first(), 5 * MINUTE, &["1", "0.0", "-0.0", "0"]);
    assert_eq!(made(&run_on(&mill, &body).await), (0, 0));
}

async fn revisions_are_read_with_what_they_replaced(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    let mut runs = Vec::new();
    for price in ["10", "11", "12"] {
        let body = prices(first(), 5 * MINUTE, &["1", price, "3"]);
        runs.push(run_on(&mill, &body).await.run);
    }
    let settings = mill.settings(&[]);
    let read = async |wanted: pipeline::Revisions| {
        let read = pipeline::revisions(&settings, &wanted).await.unwrap();
        let column = |name: &str| -> Vec<String> {
            let cells = read.frame.values(read.frame.column(name).unwrap());
            cells.map(|cell| format!("{cell:?}")).collect()
        };
        (
            column("replaced_price"),
            column("price"),
            column("run"),
            column("ts"),
        )
    };
    let float = |number: f64| format!("{:?}", Some(frame::Cell::Float(number)));
    let text = |text: &String| format!("{:?}", Some(frame::Cell::Text(text)));
    let (replaced, price, run, ts) = read(pipeline::Revisions::default()).await;
    assert_eq!(replaced, [10.0, 11.0].map(float));
    assert_eq!(price, [11.0, 12.0].map(float));
    assert_eq!(run, [text(&runs[1]), text(&runs[2])]);
    let at = first() + 5 * MINUTE;
    assert_eq!(ts[0], format!("{:?}", Some(frame::Cell::Time(at))));
    let since = |ms: i64| pipeline::Revisions {
        start: chrono::DateTime::from_timestamp_millis(ms),
        coins: vec!["bitcoin".parse().unwrap()],
        resolution: Some(Resolution::FiveMinutes),
        ..pipeline::Revisions::default()
    };
    assert_eq!(read(since(at)).await.0.len(), 2);
    assert!(read(since(at + 1)).await.0.is_empty());
    let of_another = pipeline::Revisions {
        coins: vec!["btc".parse().unwrap()],
        ..pipeline::Revisions::default()
    };
    let error = pipeline::revisions(&settings, &of_another).await;
    let said = error.unwrap_err().to_string();
    assert!(
        said.starts_with("no prices of btc are stored: `coinmill backfill"),
        "{said}"
    );
}
