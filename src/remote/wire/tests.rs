//! Whatever is written is read again as it was, and a cut or strange stream is an error, never a wait or a panic.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::sync::Arc;

use arrow_array::Float64Array;
use proptest::prelude::*;

use super::*;
use crate::frame::{BATCH, Filler, Filling};
use crate::market::CoinId;
use crate::pipeline::{Backfill, Missing, Pin, Reach};
use crate::series::Resolution;
use crate::store::price_columns;

fn sent(said: &Said) -> Said {
    let mut pipe = Vec::new();
    said.write(&mut pipe).unwrap();
    let mut rest = &pipe[..];
    let read = Said::read(&mut rest).unwrap().unwrap();
    assert!(rest.is_empty());
    read
}

fn errors() -> Vec<Error> {
    let message = || "what; and what to do".to_owned();
    vec![
        Error::argument(message()),
        Error::config(message()),
        Error::Source {
            message: message(),
            status: Some(429),
            code: Some(10_011),
            retryable: true,
            cause: Some("underneath".into()),
        },
        Error::budget(message()),
        Error::data(message()),
        Error::store(message(), io::Error::other("underneath")),
        Error::Held { message: message() },
        Error::Past { message: message() },
        Error::stopped(),
        Error::Incomplete {
            message: message(),
            retryable: true,
            report: Box::new(serde_json::json!({"stored": 5, "missing": ["bitcoin"]})),
        },
    ]
}

#[test]
fn an_error_arrives_as_it_was_with_all_its_words() {
    for error in errors() {
        let (text, retryable) = (error.chain(), error.is_retryable());
        let before = format!("{:?}", std::mem::discriminant(&error));
        let Said::Failed(error) = sent(&Said::Failed(error.in_one_text())) else {
            panic!("an error became something else");
        };
        assert_eq!((error.chain(), error.is_retryable()), (text, retryable));
        assert_eq!(format!("{:?}", std::mem::discriminant(&error)), before);
        match error {
            Error::Source { status, code, .. } => {
                assert_eq!((status, code), (Some(429), Some(10_011)));
            }
            Error::Incomplete { report, .. } => {
                assert_eq!(report["missing"][0], "bitcoin");
            }
            _ => {}
        }
    }
}

#[test]
fn an_order_arrives_as_it_was() {
    let wanted = Backfill {
        resolution: Resolution::Hour,
        reach: Reach::Between("2026-01-01T00:00:00.001Z".parse().unwrap(), None),
        coins: vec![CoinId::from_source("boringdao-[old]".to_owned())],
        refetch: true,
        spend: None,
    };
    let order = Order::Begin(Request {
        settings: BTreeMap::from([("api_key".to_owned(), "CG-ä\n\"".to_owned())]),
        call: Call::Backfill(wanted),
    });
    let mut pipe = Vec::new();
    order.write(&mut pipe).unwrap();
    Order::Stop.write(&mut pipe).unwrap();
    let mut rest = &pipe[..];
    let read = Order::read(&mut rest).unwrap().unwrap();
    assert_eq!(format!("{read:?}"), format!("{order:?}"));
    assert!(matches!(Order::read(&mut rest), Ok(Some(Order::Stop))));
    assert!(matches!(Order::read(&mut rest), Ok(None)));
}

#[test]
fn a_greeting_says_the_version_and_nothing_else_is_one() {
    let mut pipe = Vec::new();
    greet(&mut pipe, "0.1.0").unwrap();
    assert_eq!(greeted(&mut &pipe[..]).unwrap().as_deref(), Some("0.1.0"));
    for other in ["", "coinmill 0.1", "Python 3.11\n", &"x".repeat(200)] {
        assert_eq!(greeted(&mut other.as_bytes()).unwrap(), None, "{other}");
    }
}

#[test]
fn a_stream_that_is_cut_is_an_error() {
    let frame = frame(&[Some(1.0)]);
    for said in [
        Said::Done(Returned::Json("[1.5]".to_owned())),
        Said::Done(Returned::Frame(Rows {
            frame,
            missing: Vec::new(),
            warning: None,
            pin: None,
        })),
    ] {
        let mut pipe = Vec::new();
        said.write(&mut pipe).unwrap();
        for length in 1..pipe.len() {
            assert!(Said::read(&mut &pipe[..length]).is_err(), "{length}");
        }
    }
}

proptest! {
    #[test]
    fn rows_arrive_bit_for_bit(numbers in prop::collection::vec(prop::option::of(any::<f64>()), 0..200)) {
        let frame = frame(&numbers);
        let missing = vec![Missing {
            coin_id: Some("bitcoin".to_owned()),
            what: "bitcoin".to_owned(),
            start: "2026-01-01T00:00:00.001Z".parse().unwrap(),
            end: "2026-01-02T00:00:00Z".parse().unwrap(),
            reason: "not fetched".to_owned(),
        }];
        let warning = Some("a span is missing".to_owned());
        let pin: Pin = "t98-77d0e1bb@2026-01-14T12:05:00.123Z".parse().unwrap();
        let rows = Rows { frame: frame.clone(), missing: missing.clone(), warning: warning.clone(), pin: Some(pin.clone()) };
        let Said::Done(Returned::Frame(told)) = sent(&Said::Done(Returned::Frame(rows))) else {
            panic!("rows became something else");
        };
        prop_assert_eq!(&told.frame.schema, &frame.schema);
        prop_assert_eq!(bits(&told.frame), bits(&frame));
        for (read, batch) in told.frame.batches.iter().zip(&frame.batches) {
            prop_assert_eq!(read.column(0), batch.column(0));
        }
        prop_assert_eq!((told.missing, told.warning, told.pin), (missing, warning, Some(pin)));
    }

    #[test]
    fn nonsense_is_an_error_or_the_end(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(said) = Said::read(&mut &bytes[..]) {
            prop_assert!(said.is_none() || bytes.len() >= 9);
        }
    }
}

#[test]
fn rows_of_many_batches_arrive_and_what_comes_after_them_too() {
    let numbers: Vec<_> = (0..)
        .map(|n: u32| Some(f64::from(n)))
        .take(2 * BATCH + 1)
        .collect();
    let frame = frame(&numbers);
    assert_eq!((frame.batches.len(), frame.rows()), (3, 2 * BATCH + 1));
    let rows = Rows {
        frame: frame.clone(),
        missing: Vec::new(),
        warning: None,
        pin: None,
    };
    let mut pipe = Vec::new();
    Said::Done(Returned::Frame(rows)).write(&mut pipe).unwrap();
    Said::Done(Returned::Json("1".to_owned()))
        .write(&mut pipe)
        .unwrap();
    let mut rest = &pipe[..];
    let Ok(Some(Said::Done(Returned::Frame(told)))) = Said::read(&mut rest) else {
        panic!("rows became something else");
    };
    assert_eq!(bits(&told.frame), bits(&frame));
    let next = Said::read(&mut rest).unwrap();
    assert!(matches!(next, Some(Said::Done(Returned::Json(text))) if text == "1"));
}

#[test]
fn totals_come_with_their_rows() {
    let rows = Rows {
        frame: frame(&[Some(1.0), None]),
        missing: Vec::new(),
        warning: None,
        pin: None,
    };
    let totals = frame(&[Some(f64::MIN_POSITIVE)]);
    let mut pipe = Vec::new();
    Said::Done(Returned::FrameAndTotals(rows, totals.clone()))
        .write(&mut pipe)
        .unwrap();
    let Ok(Some(Said::Done(Returned::FrameAndTotals(told, sums)))) = Said::read(&mut &pipe[..])
    else {
        panic!("it is not what was said");
    };
    assert_eq!(bits(&told.frame), bits(&frame(&[Some(1.0), None])));
    assert_eq!(bits(&sums), bits(&totals));
    for end in 1..pipe.len() {
        assert!(Said::read(&mut &pipe[..end]).is_err(), "{end}");
    }
}

/// A frame of prices, whose coins change with each row.
fn frame(numbers: &[Option<f64>]) -> Frame {
    let mut filling = Filling::new(&price_columns().collect::<Vec<_>>());
    for (number, ts) in numbers.iter().zip(0..) {
        for column in filling.columns() {
            match column {
                Filler::Category(values) => values.append_option(Some(&format!("coin-{}", ts % 3))),
                Filler::Time(values) => values.append_value(ts),
                Filler::Float(values) => values.append_option(*number),
                other => panic!("{other:?}"),
            }
        }
        filling.end_row();
    }
    filling.finish().unwrap()
}

fn bits(frame: &Frame) -> Vec<Option<u64>> {
    let prices = |batch: &arrow_array::RecordBatch| {
        let prices = Arc::clone(batch.column(2));
        let prices = prices
            .as_any()
            .downcast_ref::<Float64Array>()
            .unwrap()
            .clone();
        prices
            .iter()
            .map(|price| price.map(f64::to_bits))
            .collect::<Vec<_>>()
    };
    frame.batches.iter().flat_map(prices).collect()
}
