//! The recorded market: answers with the newest recording that the clock has reached, in its own bytes.
//! It invents nothing: what was not recorded is refused.

use std::path::Path;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};

use super::bodies;
use super::folder::{self, Folder};
use super::pages::{Key, Upset, page};
use super::query::{ChartQuery, MarketsQuery, Spacing};
use super::recording::{RecordedChart, RecordedPage, RecordedRow, Recording, RecordingKind, join};
use super::response::Response;
use crate::error::Result;

/// A folder of recordings as a market.
#[derive(Debug)]
pub struct RecordedMarket {
    pages: Vec<(DateTime<Utc>, RecordedPage)>,
    charts: Vec<RecordedChart>,
    lists: Vec<(DateTime<Utc>, Bytes)>,
    all: Vec<Recording>,
}

impl RecordedMarket {
    /// Reads the recordings of a folder.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`] where the folder cannot be read or holds none.
    pub fn open(folder: &Path) -> Result<Self> {
        Ok(Self::of(folder::read(folder)?))
    }

    fn of(found: Folder) -> Self {
        let mut all = Vec::new();
        let mut note = |name: &str, kind: RecordingKind, instant: DateTime<Utc>| {
            all.push(Recording {
                name: name.to_owned(),
                kind,
                instant,
            });
        };
        for (name, instant, _) in &found.pages {
            note(name, RecordingKind::Markets, *instant);
        }
        for (name, chart) in &found.charts {
            note(name, RecordingKind::Chart, chart.instant);
        }
        for (name, instant, _) in &found.lists {
            // A list that says nothing of its time was always there, and is no stop for the clock.
            if let Some(instant) = instant {
                note(name, RecordingKind::List, *instant);
            }
        }
        all.sort_by(|a, b| a.instant.cmp(&b.instant).then_with(|| a.name.cmp(&b.name)));
        let mut pages: Vec<_> = found
            .pages
            .into_iter()
            .map(|(_, instant, page)| (instant, page))
            .collect();
        let mut charts: Vec<_> = found.charts.into_iter().map(|(_, chart)| chart).collect();
        let mut lists: Vec<_> = found
            .lists
            .into_iter()
            .map(|(_, at, bytes)| (at.unwrap_or(DateTime::UNIX_EPOCH), bytes))
            .collect();
        pages.sort_by_key(|(instant, _)| *instant);
        charts.sort_by_key(|chart| chart.instant);
        lists.sort_by_key(|(instant, _)| *instant);
        Self {
            pages,
            charts,
            lists,
            all,
        }
    }

    /// All recordings with a known instant, oldest first.
    pub fn recordings(&self) -> &[Recording] {
        &self.all
    }

    /// The instant of the oldest recording.
    pub fn first(&self) -> Option<DateTime<Utc>> {
        self.all.first().map(|recording| recording.instant)
    }

    /// The instant of the next recording after `now`.
    pub fn next(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.all
            .iter()
            .map(|recording| recording.instant)
            .find(|instant| *instant > now)
    }

    /// `/coins/list`.
    ///
    /// # Errors
    /// The refusal, as a response: nothing recorded yet.
    pub fn list(&self, now: DateTime<Utc>) -> Result<Response, Response> {
        let (_, bytes) = self
            .lists
            .iter()
            .rev()
            .find(|(at, _)| *at <= now)
            .ok_or_else(nothing)?;
        Ok(Response::ok(bytes.clone()))
    }

    /// A page of `/coins/markets`.
    ///
    /// # Errors
    /// The refusal, as a response: nothing recorded yet, or another currency.
    pub fn markets(
        &self,
        query: &MarketsQuery,
        upset: &Upset,
        now: DateTime<Utc>,
    ) -> Result<Response, Response> {
        // The rows do not say their currency; all such archives are in US dollars.
        if query.vs_currency != "usd" {
            return Err(nothing());
        }
        let (_, recorded) = self
            .pages
            .iter()
            .rev()
            .find(|(at, _)| *at <= now)
            .ok_or_else(nothing)?;
        let rows: Vec<&RecordedRow> = recorded.rows.iter().collect();
        let page = page(rows, query, upset, |row| Key {
            id: &row.id,
            cap: row.cap,
            volume: row.volume,
        });
        let body = if page.is_everything {
            recorded.bytes.clone()
        } else {
            let mut body = Vec::new();
            join(&mut body, page.rows.iter().map(|row| &row.text));
            body.into()
        };
        Ok(Response::ok(body)
            .with("total", page.total.to_string())
            .with("per-page", query.per_page.to_string()))
    }

    /// A chart.
    ///
    /// # Errors
    /// The refusal, as a response: nothing recorded that answers it.
    pub fn chart(&self, query: &ChartQuery, now: DateTime<Utc>) -> Result<Response, Response> {
        let found = self.charts.iter().rev().filter(|chart| {
            chart.instant <= now
                && chart.query.id == query.id
                && chart.query.vs_currency == query.vs_currency
                && chart.query.spacing() == query.spacing()
        });
        let body = match query.days {
            Some(_) => found
                .into_iter()
                .find(|chart| chart.query.days == query.days)
                .map(|chart| chart.bytes.clone()),
            None => found.into_iter().find_map(|chart| covered(chart, query)),
        };
        body.map(Response::ok).ok_or_else(nothing)
    }
}

// A window may begin a step before the recording's first point: the point before it is older than the window.
fn covered(chart: &RecordedChart, query: &ChartQuery) -> Option<Bytes> {
    let step = match query.spacing() {
        Spacing::FiveMinutes => TimeDelta::minutes(5),
        Spacing::Hour => TimeDelta::hours(1),
        Spacing::Day => TimeDelta::days(1),
    };
    let from = query.from?;
    let begins = chart.query.from.is_none_or(|begin| begin - step <= from);
    let ends = query.to <= chart.query.to + step;
    (begins && ends).then(|| chart.within(from.timestamp_millis(), query.to.timestamp_millis()))
}

fn nothing() -> Response {
    Response::refused(404, bodies::NO_RECORDING)
}

#[cfg(test)]
mod tests {
    use super::super::query::{chart, markets, parameters, range};
    use super::super::recording::Meta;
    use super::*;

    const PAGE: &str = r#"[{"id":"b","market_cap":2.0,"total_volume":1},{"id":"a","market_cap":1.0,"total_volume":9}]"#;
    const CHART: &str =
        r#"{"prices":[[1620000010000,1.0],[1621000020000,2.0],[1621089594000,3.0]]}"#;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn market() -> RecordedMarket {
        let meta: Meta = serde_json::from_str(
            r#"{"url":"https://x/api/v3/coins/a/market_chart?days=30&vs_currency=usd","recorded_at":"Sat, 15 May 2021 14:42:25 GMT"}"#,
        )
        .unwrap();
        let instant = at("2024-01-16T00:48:00Z");
        RecordedMarket::of(Folder {
            pages: vec![(
                "markets/1".into(),
                instant,
                RecordedPage::parse("1", Bytes::from(PAGE)).unwrap(),
            )],
            charts: vec![(
                "chart/1".into(),
                RecordedChart::parse(Bytes::from(CHART), &meta).unwrap(),
            )],
            lists: vec![("list/1".into(), None, Bytes::from("[]"))],
        })
    }

    #[test]
    fn the_clock_stops_at_each_recording_and_ends_at_the_last() {
        let market = market();
        let first = market.first().unwrap();
        assert_eq!(first, at("2021-05-15T14:42:25Z"));
        let second = market.next(first).unwrap();
        assert_eq!(second, at("2024-01-16T00:48:00Z"));
        assert_eq!(market.next(second), None);
    }

    #[test]
    fn nothing_is_served_before_it_was_recorded() {
        let market = market();
        let query = markets(&parameters("vs_currency=usd")).unwrap();
        let early = market.markets(&query, &Upset::default(), at("2024-01-16T00:47:59Z"));
        assert_eq!(early.unwrap_err().body, bodies::NO_RECORDING);
        let response = market
            .markets(&query, &Upset::default(), at("2024-01-16T00:48:00Z"))
            .unwrap();
        assert_eq!(response.body, PAGE);
        assert!(response.headers.contains(&("total", "2".into())));
        assert!(market.list(at("2000-01-01T00:00:00Z")).is_ok());
    }

    #[test]
    fn a_part_of_a_page_is_its_rows_in_their_own_bytes() {
        let query = markets(&parameters("vs_currency=usd&order=volume_desc&per_page=1")).unwrap();
        let response = market()
            .markets(&query, &Upset::default(), at("2025-01-01T00:00:00Z"))
            .unwrap();
        assert_eq!(
            response.body,
            r#"[{"id":"a","market_cap":1.0,"total_volume":9}]"#
        );
    }

    #[test]
    fn a_range_is_served_from_a_chart_that_covers_it() {
        let market = market();
        let now = at("2021-05-15T14:42:25Z");
        let ask = |text: &str| {
            let query = range("a", &parameters(&format!("vs_currency=usd&{text}")), now).unwrap();
            market.chart(&query, now).map(|response| response.body)
        };
        assert_eq!(
            ask("from=1620900000&to=1621050000").unwrap(),
            r#"{"prices":[[1621000020000,2.0]]}"#
        );
        assert_eq!(
            ask("from=1620900000&to=1621089745").unwrap(),
            r#"{"prices":[[1621000020000,2.0],[1621089594000,3.0]]}"#
        );
        assert_eq!(
            ask("from=1610000000&to=1610090000").unwrap_err().status,
            404
        );
        let query = chart(
            "a",
            &parameters("vs_currency=usd&days=30&interval=hourly"),
            now,
        )
        .unwrap();
        assert_eq!(market.chart(&query, now).unwrap().body, CHART);
        let query = chart("a", &parameters("vs_currency=usd&days=7"), now).unwrap();
        assert_eq!(market.chart(&query, now).unwrap_err().status, 404);
    }
}
