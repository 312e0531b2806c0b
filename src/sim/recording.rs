//! One recorded response, taken apart into slices of its own bytes, so that no digit of it is ever written anew.
//! Reading files is the business of `folder`, choosing among recordings that of `recorded`.

use std::collections::HashMap;

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use super::query::{self, ChartQuery};

/// What a recording is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordingKind {
    /// A page of `/coins/markets`.
    Markets,
    /// A chart.
    Chart,
    /// `/coins/list`.
    List,
}

/// A recording, as the control endpoint names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recording {
    /// The file's path below the folder.
    pub name: String,
    /// What it is of.
    pub kind: RecordingKind,
    /// When it was made; it is served from then on.
    pub instant: DateTime<Utc>,
}

/// One row of a recorded page.
#[derive(Debug, Clone)]
pub struct RecordedRow {
    /// The coin's id.
    pub id: String,
    /// The market capitalisation, 0 for null.
    pub cap: f64,
    /// The volume, 0 for null.
    pub volume: f64,
    /// The row as received.
    pub text: Bytes,
}

/// A recorded page of `/coins/markets`.
#[derive(Debug)]
pub struct RecordedPage {
    /// The whole file.
    pub bytes: Bytes,
    /// Its rows, in its order.
    pub rows: Vec<RecordedRow>,
    /// The newest `last_updated` in it and half a minute, which is when it can have been received.
    pub instant: Option<DateTime<Utc>>,
}

impl RecordedPage {
    /// Takes a page apart; `None` where it is not an array of objects. `name` dates a page without stamps.
    pub fn parse(name: &str, bytes: Bytes) -> Option<Self> {
        let raw: Vec<&RawValue> = serde_json::from_slice(&bytes).ok()?;
        let mut newest: Option<DateTime<Utc>> = None;
        let mut rows = Vec::with_capacity(raw.len());
        for row in raw {
            let keys: RowKeys = serde_json::from_str(row.get()).ok()?;
            newest = newest.max(
                keys.last_updated
                    .as_str()
                    .and_then(|text| text.parse().ok()),
            );
            rows.push(RecordedRow {
                id: keys.id.as_str().unwrap_or_default().to_owned(),
                cap: keys.market_cap.as_f64().unwrap_or(0.0),
                volume: keys.total_volume.as_f64().unwrap_or(0.0),
                text: bytes.slice_ref(row.get().as_bytes()),
            });
        }
        let instant = newest
            .map(|newest| newest + TimeDelta::seconds(30))
            .or_else(|| date_in(name));
        Some(Self {
            bytes,
            rows,
            instant,
        })
    }
}

#[derive(Deserialize)]
struct RowKeys {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    market_cap: Value,
    #[serde(default)]
    total_volume: Value,
    #[serde(default)]
    last_updated: Value,
}

/// A recorded chart.
#[derive(Debug)]
pub struct RecordedChart {
    /// The whole file.
    pub bytes: Bytes,
    /// What was asked for when it was made.
    pub query: ChartQuery,
    /// Its series in their order: the name, and each point with its stamp in milliseconds.
    pub series: Vec<(String, Vec<(i64, Bytes)>)>,
    /// When it was made.
    pub instant: DateTime<Utc>,
}

/// What is noted beside a recording.
#[derive(Debug, Deserialize)]
pub struct Meta {
    /// The URL that was asked.
    pub url: String,
    /// When, as an HTTP date or in RFC 3339.
    pub recorded_at: String,
}

impl Meta {
    /// When the recording was made.
    pub fn instant(&self) -> Option<DateTime<Utc>> {
        DateTime::parse_from_rfc2822(&self.recorded_at)
            .or_else(|_| DateTime::parse_from_rfc3339(&self.recorded_at))
            .ok()
            .map(|instant| instant.to_utc())
    }

    /// The chart that was asked for; `None` where it was something else.
    pub fn chart(&self) -> Option<ChartQuery> {
        let url = Url::parse(&self.url).ok()?;
        let parameters = query::parameters(url.query().unwrap_or(""));
        let mut parts = url
            .path_segments()?
            .skip_while(|part| *part != "coins")
            .skip(1);
        let id = percent_decode_str(parts.next()?).decode_utf8().ok()?;
        match (parts.next()?, parts.next()) {
            ("market_chart", None) => query::chart(&id, &parameters, self.instant()?).ok(),
            ("market_chart", Some("range")) => query::range(&id, &parameters, self.instant()?).ok(),
            _ => None,
        }
    }
}

impl RecordedChart {
    /// Takes a chart apart; `None` where it is not an object of arrays of points, or `meta` is of something else.
    pub fn parse(bytes: Bytes, meta: &Meta) -> Option<Self> {
        let query = meta.chart()?;
        let names: serde_json::Map<String, Value> = serde_json::from_slice(&bytes).ok()?;
        let mut raw: HashMap<String, Vec<&RawValue>> = serde_json::from_slice(&bytes).ok()?;
        let series = names
            .keys()
            .map(|name| {
                let points = raw.remove(name)?;
                let points: Option<Vec<_>> = points
                    .into_iter()
                    .map(|point| Some((stamp(point)?, bytes.slice_ref(point.get().as_bytes()))))
                    .collect();
                Some((name.clone(), points?))
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self {
            bytes,
            query,
            series,
            instant: meta.instant()?,
        })
    }

    /// The points from `from` to `to` (milliseconds, inclusive), as received; the whole file where that is all of them.
    pub fn within(&self, from: i64, to: i64) -> Bytes {
        let inside = |at: i64| (from..=to).contains(&at);
        if self
            .series
            .iter()
            .all(|(_, points)| points.iter().all(|(at, _)| inside(*at)))
        {
            return self.bytes.clone();
        }
        let mut body = Vec::with_capacity(self.bytes.len());
        for (number, (name, points)) in self.series.iter().enumerate() {
            body.extend_from_slice(if number == 0 { b"{" } else { b"," });
            body.extend_from_slice(Value::from(name.as_str()).to_string().as_bytes());
            body.push(b':');
            join(
                &mut body,
                points
                    .iter()
                    .filter(|(at, _)| inside(*at))
                    .map(|(_, text)| text),
            );
        }
        body.push(b'}');
        body.into()
    }
}

/// Writes an array of texts that are JSON already.
pub fn join<'a>(body: &mut Vec<u8>, texts: impl Iterator<Item = &'a Bytes>) {
    body.push(b'[');
    for (number, text) in texts.enumerate() {
        if number > 0 {
            body.push(b',');
        }
        body.extend_from_slice(text);
    }
    body.push(b']');
}

fn stamp(point: &RawValue) -> Option<i64> {
    let parts: Vec<&RawValue> = serde_json::from_str(point.get()).ok()?;
    parts.first()?.get().parse().ok()
}

fn date_in(name: &str) -> Option<DateTime<Utc>> {
    let date: NaiveDate = name.rsplit('/').next()?.get(..10)?.parse().ok()?;
    Some(date.and_time(NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    const META: &str = r#"{"url":"https://api.coingecko.com/api/v3/coins/a/market_chart?days=30&vs_currency=usd","recorded_at":"Sat, 15 May 2021 14:42:25 GMT"}"#;

    #[test]
    fn a_page_keeps_the_bytes_of_its_rows_and_is_dated_by_the_newest() {
        let text = r#"[{"id":"a","market_cap":1.50,"last_updated":"2024-01-16T00:47:51.492Z"}, {"id":"b","market_cap":null}]"#;
        let page =
            RecordedPage::parse("markets/x.json", Bytes::from_static(text.as_bytes())).unwrap();
        assert_eq!(page.rows[1].text, r#"{"id":"b","market_cap":null}"#);
        assert_eq!(
            page.instant.unwrap().to_rfc3339(),
            "2024-01-16T00:48:21.492+00:00"
        );
        let undated =
            RecordedPage::parse("markets/2024-02-13.json", Bytes::from_static(b"[]")).unwrap();
        assert_eq!(
            undated.instant.unwrap().to_rfc3339(),
            "2024-02-13T00:00:00+00:00"
        );
        assert!(RecordedPage::parse("x", Bytes::from_static(b"{\"error\":1}")).is_none());
    }

    #[test]
    fn a_chart_gives_the_points_of_a_window_digit_for_digit() {
        let text = r#"{"prices":[[1000,1.10],[2000,2e-7],[3000,3]],"market_caps":[[1000,null],[2000,2],[3000,3]]}"#;
        let meta: Meta = serde_json::from_str(META).unwrap();
        let chart = RecordedChart::parse(Bytes::from_static(text.as_bytes()), &meta).unwrap();
        assert_eq!(chart.within(0, 9000), text);
        assert_eq!(
            chart.within(1000, 2500),
            r#"{"prices":[[1000,1.10],[2000,2e-7]],"market_caps":[[1000,null],[2000,2]]}"#
        );
        assert_eq!(chart.query.days.as_deref(), Some("30"));
        assert_eq!(chart.instant.to_rfc3339(), "2021-05-15T14:42:25+00:00");
    }
}
