//! The ways in which one row can be corrupted: each refusing rule in each field that it covers.
//! What must follow is `corruptions`'s to say.

use proptest::prelude::*;

use crate::support::bodies::Row;

/// One corruption of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Corruption {
    /// The rule that it breaks.
    pub rule: &'static str,
    /// The field that it breaks it in; `record` for the row itself.
    pub field: &'static str,
    /// What then stands in the field; nothing where the field is taken away.
    token: Option<&'static str>,
}

const NUMBERS: [&str; 17] = [
    "current_price",
    "market_cap",
    "fully_diluted_valuation",
    "total_volume",
    "high_24h",
    "low_24h",
    "price_change_24h",
    "price_change_percentage_24h",
    "market_cap_change_24h",
    "market_cap_change_percentage_24h",
    "circulating_supply",
    "total_supply",
    "max_supply",
    "ath",
    "ath_change_percentage",
    "atl",
    "atl_change_percentage",
];
const TEXTS: [&str; 3] = ["id", "symbol", "name"];
const DATES: [&str; 3] = ["ath_date", "atl_date", "last_updated"];

/// Every corruption there is. The markets of these tests stand at 2026-01-14T12:10:00Z.
pub fn every_corruption() -> Vec<Corruption> {
    let mut all = Vec::new();
    let mut add = |rule: &'static str, field: &'static str, tokens: &[&'static str]| {
        all.extend(tokens.iter().map(|&token| Corruption {
            rule,
            field,
            token: Some(token),
        }));
    };
    add(
        "not_an_object",
        "record",
        &[
            "null",
            "true",
            "7",
            "\"bitcoin\"",
            "[]",
            "[{\"id\":\"bitcoin\"}]",
        ],
    );
    add("missing_id", "id", &["null", "\"\""]);
    add("missing_symbol", "symbol", &["null", "\"\""]);
    for field in NUMBERS {
        add(
            "wrong_type",
            field,
            &["\"12.5\"", "\"\"", "true", "{}", "[]", "[1]", "\"NaN\""],
        );
        add("non_finite", field, &["1e999", "-1e999", "1e400"]);
    }
    for field in TEXTS {
        add(
            "wrong_type",
            field,
            &["7", "0", "true", "{}", "[]", "\"\\ud800\""],
        );
        add("unstorable_text", field, &["\"a\\u0000b\"", "\"\\u0000\""]);
    }
    for field in DATES {
        add(
            "wrong_type",
            field,
            &[
                "7",
                "1768392600000",
                "\"\"",
                "\"yesterday\"",
                "\"2026-13-01T00:00:00Z\"",
                "true",
                "{}",
            ],
        );
    }
    add(
        "wrong_type",
        "market_cap_rank",
        &[
            "1.5",
            "\"1\"",
            "true",
            "1e999",
            "99999999999999999999",
            "{}",
        ],
    );
    add(
        "wrong_type",
        "roi",
        &[
            "7",
            "\"x\"",
            "true",
            "{\"times\":\"x\"}",
            "{\"percentage\":true}",
            "{\"currency\":7}",
            "{\"times\":[1]}",
        ],
    );
    add(
        "non_finite",
        "roi",
        &[
            "{\"times\":1e999}",
            "{\"percentage\":-1e999,\"currency\":\"usd\"}",
        ],
    );
    add("unstorable_text", "roi", &["{\"currency\":\"a\\u0000\"}"]);
    for (rule, field) in [
        ("negative_price", "current_price"),
        ("negative_market_cap", "market_cap"),
        ("negative_volume", "total_volume"),
    ] {
        add(
            rule,
            field,
            &["-1", "-0.01", "-1e-300", "-5e-324", "-1e300"],
        );
    }
    add(
        "future_stamp",
        "last_updated",
        &[
            "\"2026-01-14T12:20:00.001Z\"",
            "\"2026-01-15T00:00:00Z\"",
            "\"2026-01-14T13:10:00+00:00\"",
            "\"9999-12-31T23:59:59Z\"",
        ],
    );
    add(
        "ancient_stamp",
        "last_updated",
        &[
            "\"2008-12-31T23:59:59.999Z\"",
            "\"1970-01-01T00:00:00Z\"",
            "\"0001-01-01T00:00:00Z\"",
        ],
    );
    for (rule, field) in [("missing_id", "id"), ("missing_symbol", "symbol")] {
        all.push(Corruption {
            rule,
            field,
            token: None,
        });
    }
    all
}

/// Any of them.
pub fn corruption() -> impl Strategy<Value = Corruption> {
    prop::sample::select(every_corruption())
}

impl Corruption {
    /// The row with it.
    pub fn applied_to(&self, row: &Row) -> Row {
        match (self.field, self.token) {
            ("record", Some(token)) => Row::Token(token.to_owned()),
            (field, Some(token)) => row.clone().with(field, token),
            (field, None) => row.clone().without(field),
        }
    }
}
