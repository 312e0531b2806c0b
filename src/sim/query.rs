//! Reads the parameters of a request into what it asks for, with the real API's refusals.
//! It knows neither the market nor the plan: what is served is decided after it.

use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use url::form_urlencoded;

use super::bodies;
use super::response::Response;

/// How the rows of `/coins/markets` are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By market capitalisation, largest first.
    #[default]
    CapDesc,
    /// By market capitalisation, smallest first.
    CapAsc,
    /// By id.
    IdAsc,
    /// By id, backwards.
    IdDesc,
    /// By volume, largest first.
    VolumeDesc,
    /// By volume, smallest first.
    VolumeAsc,
}

/// What a call of `/coins/markets` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarketsQuery {
    /// The currency of all amounts.
    pub vs_currency: String,
    /// Only these coins; `None` for all.
    pub ids: Option<Vec<String>>,
    /// The order of the rows.
    pub order: Order,
    /// Rows a page, from 1 to 250.
    pub per_page: usize,
    /// The page, from 1.
    pub page: usize,
    /// The spans of the further price-change columns, such as `7d`.
    pub changes: Vec<String>,
    /// True where all digits are asked for (`precision=full`); they are rounded otherwise.
    pub is_exact: bool,
}

impl MarketsQuery {
    /// The rows of this page among all.
    pub fn rows(&self) -> Range<usize> {
        let start = (self.page - 1).saturating_mul(self.per_page);
        start..start.saturating_add(self.per_page)
    }
}

/// The spacing of a chart's points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spacing {
    /// Five minutes.
    FiveMinutes,
    /// An hour.
    Hour,
    /// A day, at midnight UTC.
    Day,
}

/// What a call of `market_chart` or `market_chart/range` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartQuery {
    /// The coin.
    pub id: String,
    /// The currency of all amounts.
    pub vs_currency: String,
    /// From when; `None` for all that there is.
    pub from: Option<DateTime<Utc>>,
    /// Until when, inclusive.
    pub to: DateTime<Utc>,
    /// The days asked for, where the call counts days.
    pub days: Option<String>,
    /// The spacing asked for by `interval`, where it is.
    pub interval: Option<Spacing>,
    /// True where the window ends with the present, so that the live point belongs to it.
    pub ends_now: bool,
}

impl ChartQuery {
    /// The spacing that the API documents for this window.
    pub fn spacing(&self) -> Spacing {
        if let Some(interval) = self.interval {
            return interval;
        }
        let Some(from) = self.from else {
            return Spacing::Day;
        };
        let span = self.to - from;
        if self.ends_now && span <= TimeDelta::days(1) + SLACK {
            Spacing::FiveMinutes
        } else if span <= TimeDelta::days(90) + SLACK {
            Spacing::Hour
        } else {
            Spacing::Day
        }
    }
}

// The client's clock is never quite the server's: a window that ends this close to the present ends now.
const SLACK: TimeDelta = TimeDelta::minutes(5);

/// The parameters of a query string, in order.
pub fn parameters(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

/// The value of a parameter that is given and not empty.
pub fn find<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters
        .iter()
        .find(|(key, value)| key == name && !value.is_empty())
        .map(|(_, value)| value.as_str())
}

/// Reads a call of `/coins/markets`.
///
/// # Errors
/// The real API's refusal of a parameter.
pub fn markets(parameters: &[(String, String)]) -> Result<MarketsQuery, Response> {
    let number = |name: &str| find(parameters, name).and_then(|text| text.parse::<usize>().ok());
    Ok(MarketsQuery {
        vs_currency: currency(parameters)?,
        ids: find(parameters, "ids").map(id_list),
        order: match find(parameters, "order") {
            Some("market_cap_asc") => Order::CapAsc,
            Some("id_asc") => Order::IdAsc,
            Some("id_desc") => Order::IdDesc,
            Some("volume_desc") => Order::VolumeDesc,
            Some("volume_asc") => Order::VolumeAsc,
            _ => Order::CapDesc,
        },
        per_page: number("per_page").unwrap_or(100).clamp(1, 250),
        page: number("page").unwrap_or(1).max(1),
        is_exact: find(parameters, "precision") == Some("full"),
        changes: find(parameters, "price_change_percentage")
            .map(|list| list.split(',').map(|span| span.trim().to_owned()).collect())
            .unwrap_or_default(),
    })
}

/// Reads a call of `market_chart`, which counts days back from `now`.
///
/// # Errors
/// The real API's refusal of a parameter.
pub fn chart(
    id: &str,
    parameters: &[(String, String)],
    now: DateTime<Utc>,
) -> Result<ChartQuery, Response> {
    let vs_currency = currency(parameters)?;
    let days = required(parameters, "days")?;
    let from = if days == "max" {
        None
    } else {
        let count = days
            .parse::<f64>()
            .ok()
            .filter(|count| (0.0..=36_500.0).contains(count));
        let count = count.ok_or_else(|| Response::refused(400, bodies::invalid("days")))?;
        Some(now - TimeDelta::milliseconds(super::noise::whole(count * 86_400_000.0)))
    };
    Ok(ChartQuery {
        id: id.to_owned(),
        vs_currency,
        from,
        to: now,
        days: Some(days.to_owned()),
        interval: interval(parameters)?,
        ends_now: true,
    })
}

/// Reads a call of `market_chart/range`, which names its window in UNIX seconds.
///
/// # Errors
/// The real API's refusal of a parameter.
pub fn range(
    id: &str,
    parameters: &[(String, String)],
    now: DateTime<Utc>,
) -> Result<ChartQuery, Response> {
    let vs_currency = currency(parameters)?;
    let from = instant(parameters, "from")?;
    let to = instant(parameters, "to")?;
    if to < from {
        return Err(Response::refused(
            400,
            bodies::invalid("range: from is after to"),
        ));
    }
    Ok(ChartQuery {
        id: id.to_owned(),
        vs_currency,
        from: Some(from),
        to: to.min(now),
        days: None,
        interval: interval(parameters)?,
        ends_now: to >= now - SLACK,
    })
}

fn currency(parameters: &[(String, String)]) -> Result<String, Response> {
    required(parameters, "vs_currency").map(str::to_ascii_lowercase)
}

fn required<'a>(parameters: &'a [(String, String)], name: &str) -> Result<&'a str, Response> {
    find(parameters, name).ok_or_else(|| Response::refused(422, bodies::missing(name)))
}

// As at CoinGecko: what follows a space in the list is lost without an error.
fn id_list(list: &str) -> Vec<String> {
    let kept = list.split(char::is_whitespace).next().unwrap_or("");
    kept.split(',')
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
        .collect()
}

fn interval(parameters: &[(String, String)]) -> Result<Option<Spacing>, Response> {
    match find(parameters, "interval") {
        None => Ok(None),
        Some("5m") => Ok(Some(Spacing::FiveMinutes)),
        Some("hourly") => Ok(Some(Spacing::Hour)),
        Some("daily") => Ok(Some(Spacing::Day)),
        Some(_) => Err(Response::refused(400, bodies::invalid("interval"))),
    }
}

fn instant(parameters: &[(String, String)], name: &str) -> Result<DateTime<Utc>, Response> {
    let refused = || Response::refused(400, bodies::invalid(name));
    let seconds = required(parameters, name)?
        .parse::<f64>()
        .map_err(|_| refused())?;
    // Beyond year 5138 or a NaN: not UNIX seconds, most often milliseconds.
    if !(0.0..1e11).contains(&seconds) {
        return Err(refused());
    }
    DateTime::from_timestamp_millis(super::noise::whole(seconds * 1000.0)).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-01-14T12:00:00Z".parse().unwrap()
    }

    fn refusal<T: std::fmt::Debug>(result: Result<T, Response>) -> (u16, String) {
        let response = result.unwrap_err();
        (
            response.status,
            String::from_utf8(response.body.to_vec()).unwrap(),
        )
    }

    #[test]
    fn a_space_in_the_list_loses_the_coins_after_it() {
        let query = markets(&parameters(
            "vs_currency=usd&ids=bitcoin,%20ethereum,solana",
        ))
        .unwrap();
        assert_eq!(query.ids.unwrap(), ["bitcoin"]);
    }

    #[test]
    fn a_missing_parameter_is_named() {
        let body = r#"{"error":"Missing parameter vs_currency"}"#.to_owned();
        assert_eq!(refusal(markets(&parameters("page=1"))), (422, body));
        assert_eq!(
            refusal(chart("bitcoin", &parameters("vs_currency=usd"), now())).0,
            422
        );
    }

    #[test]
    fn the_page_is_kept_within_its_bounds() {
        let query = markets(&parameters("vs_currency=usd&per_page=999&page=3")).unwrap();
        assert_eq!(query.rows(), 500..750);
        let query = markets(&parameters("vs_currency=usd&per_page=x&page=0")).unwrap();
        assert_eq!(query.rows(), 0..100);
    }

    #[test]
    fn the_spacing_follows_the_window() {
        let days = |days: &str| {
            chart(
                "a",
                &parameters(&format!("vs_currency=usd&days={days}")),
                now(),
            )
            .unwrap()
            .spacing()
        };
        assert_eq!(days("1"), Spacing::FiveMinutes);
        assert_eq!(days("2"), Spacing::Hour);
        assert_eq!(days("90"), Spacing::Hour);
        assert_eq!(days("91"), Spacing::Day);
        assert_eq!(days("max"), Spacing::Day);
        let span = |from: i64, to: i64| {
            let end = now().timestamp();
            let text = format!(
                "vs_currency=usd&from={}&to={}",
                end - from * 3600,
                end - to * 3600
            );
            range("a", &parameters(&text), now()).unwrap().spacing()
        };
        assert_eq!(span(24, 0), Spacing::FiveMinutes);
        assert_eq!(span(48, 24), Spacing::Hour);
        assert_eq!(span(100 * 24, 0), Spacing::Day);
    }

    #[test]
    fn milliseconds_for_seconds_are_refused() {
        let text = "vs_currency=usd&from=1700000000000&to=1700000001000";
        assert_eq!(
            refusal(range("a", &parameters(text), now())),
            (400, r#"{"error":"invalid from"}"#.into())
        );
    }
}
