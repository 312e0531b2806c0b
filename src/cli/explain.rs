//! One number explained, as text for people.
//! Finding out is the pipeline's work.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::layout::{harmless, line};
use crate::pipeline::{Explained, ExplainedPoint, ExplainedQuote, Origin};
use crate::store::RefusedRecord;

/// The quote and the points, each with where it came from.
pub(super) fn text(explained: &Explained) -> String {
    let mut text = String::new();
    if let Some(quote) = &explained.quote {
        quoted(&mut text, &explained.coin_id, quote);
    }
    for point in &explained.points {
        pointed(&mut text, &explained.coin_id, point);
    }
    text
}

fn quoted(text: &mut String, coin: &str, quote: &ExplainedQuote) {
    let _infallible = writeln!(text, "{coin}, quote of {}", stamp(quote.snapshot_time));
    if let Some(values) = &quote.values {
        let columns = [
            ("price", "current_price"),
            ("cap", "market_cap"),
            ("volume", "total_volume"),
            ("updated", "last_updated"),
            ("warnings", "warnings"),
        ];
        for (name, column) in columns {
            let value = values.get(column).filter(|value| !value.is_null());
            let shown = value.map(|value| match value.as_str() {
                Some(text) => harmless(text),
                None => value.to_string(),
            });
            line(text, name, shown.as_deref().unwrap_or("none"));
        }
    }
    if let Some(missing) = &quote.missing {
        line(text, "missing", missing);
    }
    if let Some(origin) = &quote.origin {
        from(text, origin);
    }
    refused(text, &quote.refused);
}

fn pointed(text: &mut String, coin: &str, point: &ExplainedPoint) {
    let resolution = point.resolution;
    let _infallible = writeln!(text, "{coin}, point at {resolution} of {}", stamp(point.ts));
    let count = point.versions.len();
    for (place, version) in point.versions.iter().enumerate() {
        let name = match (place, count) {
            (_, 1) => "value",
            (0, _) => "first",
            (place, count) if place + 1 == count => "now",
            _ => "revised",
        };
        let number = |number: Option<f64>| number.map_or("null".to_owned(), |it| it.to_string());
        let values = format!(
            "price {}, market cap {}, volume {}",
            number(version.price),
            number(version.market_cap),
            number(version.volume)
        );
        line(text, name, &values);
        from(text, &version.origin);
    }
    refused(text, &point.refused);
}

fn from(text: &mut String, origin: &Origin) {
    let it = &origin.provenance;
    line(
        text,
        "body",
        &format!("{} ({} bytes, {})", it.body, it.bytes, origin.landed),
    );
    line(text, "sha256", &it.sha256);
    line(text, "request", &format!("{} ({})", it.request, it.status));
    let known = it.known_at.map_or("not yet".to_owned(), stamp);
    line(
        text,
        "received",
        &format!("{}, known from {known}", stamp(it.received_at)),
    );
    line(
        text,
        "run",
        &format!(
            "{} {}: `coinmill replay {}` makes it again",
            it.kind, it.run, it.run
        ),
    );
    line(
        text,
        "by",
        &format!("coinmill {}, rules {}", it.version, it.rule_set),
    );
}

fn refused(text: &mut String, records: &[RefusedRecord]) {
    for record in records {
        line(
            text,
            "refused",
            &format!(
                "{} ({}): {}",
                record.rule,
                record.reason,
                harmless(&record.raw)
            ),
        );
        line(text, "", &format!("of {}", record.origin.body));
    }
}

fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
