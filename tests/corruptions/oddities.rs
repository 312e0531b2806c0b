//! Rows at the edge of what one kind of database can hold and the other cannot: they must not stop a whole page on either.
//! Whether such a row is stored or refused is the rules' to say, as long as both kinds do the same.

use crate::runtime;
use crate::support::bodies::{Row, body, quoted};
use crate::support::{Bench, Kind};

/// A text that does not compress, of so many letters.
fn long(length: usize) -> String {
    let mut seed = 1_u64;
    let letter = |_| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'a' + u8::try_from((seed >> 33) % 26).unwrap())
    };
    (0..length).map(letter).collect()
}

#[test]
fn a_row_that_only_one_kind_of_database_could_hold_does_not_stop_the_others() {
    let row = |field: &str, token: String| Row::plain("odd").with(field, token);
    let mut complaints = Vec::new();
    for (what, odd) in [
        ("a long id", row("id", quoted(&long(20_000)))),
        ("a long name", row("name", quoted(&long(20_000)))),
        (
            "a date long before",
            row("ath_date", quoted("-9999-01-01T00:00:00Z")),
        ),
        (
            "the year 0",
            row("atl_date", quoted("0000-01-01T00:00:00Z")),
        ),
        (
            "a date long after",
            row("ath_date", quoted("+200000-01-01T00:00:00Z")),
        ),
        (
            "the largest rank",
            row("market_cap_rank", i64::MAX.to_string()),
        ),
        (
            "the smallest rank",
            row("market_cap_rank", i64::MIN.to_string()),
        ),
        ("a subnormal number", row("ath", "5e-324".to_owned())),
        (
            "a sum of caps beyond all bounds",
            row("market_cap", "1.7e308".to_owned()),
        ),
        (
            "a ratio beyond all bounds",
            row("market_cap", "1e-300".to_owned()).with("total_volume", "1e300"),
        ),
        (
            "a control character",
            row("name", quoted("a\u{1f}b\u{7f}\u{85}")),
        ),
        (
            "characters beyond the first plane",
            row("symbol", quoted("\u{1f7e3}\u{10ffff}")),
        ),
        (
            "a field twice",
            Row::Token(r#"{"id":"odd","id":"odd-2","symbol":"o","symbol":"p"}"#.to_owned()),
        ),
        (
            "fields that nobody knows",
            row("new", "{\"deep\":[1,{}]}".to_owned()),
        ),
    ] {
        let page = body(&[
            Row::plain("a"),
            odd,
            Row::plain("b").with("market_cap", "1.7e308"),
        ]);
        let mut outcomes = Vec::new();
        for kind in [Kind::Sqlite, Kind::Postgres] {
            let outcome = runtime().block_on(async {
                let bench = Bench::new(kind, 1).await;
                // what is refused is asked for once more, and comes as it came
                bench.fault(&format!("body:status=200,times=0,text={page}"));
                bench.run(&[("top", "3"), ("completeness", "0.5")]).await
            });
            match outcome {
                Ok(report) if report.accepted + report.rejected / 2 == 3 => {
                    outcomes.push(report.content_hash)
                }
                Ok(report) => complaints.push(format!("{what}, {kind:?}: {report:?}")),
                Err(error) => complaints.push(format!("{what}, {kind:?}: {}", error.chain())),
            }
        }
        if outcomes.windows(2).any(|pair| pair[0] != pair[1]) {
            complaints.push(format!("{what}: {outcomes:?}"));
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}
