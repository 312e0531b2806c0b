//! How far a series run reaches. Pure.
//! How many calls it makes is the planner's to say; fetching and storing are the run's work.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::coingecko::charts::{Chart, Window, first_midnight};
use crate::error::{Error, Result};
use crate::market::CoinId;
use crate::provider::Plan;
use crate::series::{Resolution, Span, days};

/// Which history to fetch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Backfill {
    /// The resolution.
    pub resolution: Resolution,
    /// How far.
    pub reach: Reach,
    /// Only these coins; empty is the top.
    pub coins: Vec<CoinId>,
    /// Ask also for what is covered: points that are found are added, and values that differ become revisions.
    pub refetch: bool,
    /// The most calls to spend, also such as the schedule needs; else those that it leaves.
    pub spend: Option<u64>,
}

/// How far a backfill goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reach {
    /// The last so many days.
    Days(u32),
    /// From an instant to another, or to now.
    Between(DateTime<Utc>, Option<DateTime<Utc>>),
}

/// What a regular run keeps up with: the last day at `5m`, and as much as one call gives at the others.
pub(super) fn recent(now: DateTime<Utc>, resolution: Resolution, plan: &Plan) -> Option<Span> {
    let count = match resolution {
        Resolution::FiveMinutes => 1,
        Resolution::Hour => 2,
        Resolution::Day => 30,
    };
    let settled = resolution.settled(now);
    Span::new(
        (settled - days(count)).max(oldest(resolution, plan, now).unwrap_or(i64::MIN)),
        settled,
    )
}

/// The oldest instant that the plan and CoinGecko serve at a resolution, with an hour's or a minute's margin for the time
/// that passes until the call is made. A daily chart is asked for by a number of days, which no passing time makes more.
pub(super) fn oldest(resolution: Resolution, plan: &Plan, now: DateTime<Utc>) -> Option<i64> {
    match resolution {
        Resolution::FiveMinutes => {
            Some((now - TimeDelta::days(1) + TimeDelta::minutes(1)).timestamp_millis())
        }
        Resolution::Hour => plan
            .history_days
            .map(|reach| (now + TimeDelta::hours(1)).timestamp_millis() - days(reach)),
        Resolution::Day => plan
            .history_days
            .map(|reach| now.timestamp_millis() - days(reach)),
    }
}

/// A chart as it can be asked for at an instant: a long run comes to its last charts when the oldest hours that it planned
/// for have left the plan's reach.
pub(super) fn in_reach(mut chart: Chart, plan: &Plan, now: DateTime<Utc>) -> Chart {
    if let (Window::Hourly { from, to }, Some(reach)) = (&mut chart.window, plan.history_days) {
        let oldest = (now + WAIT).timestamp() - days(reach) / 1000;
        if oldest < *to {
            *from = oldest.max(*from);
        }
    }
    chart
}

/// The longest that a call waits for its turn.
const WAIT: TimeDelta = TimeDelta::minutes(5);

/// The span of a backfill, once it is known that it can be had.
pub(super) fn span(wanted: &Backfill, plan: &Plan, now: DateTime<Utc>) -> Result<Option<Span>> {
    let settled = wanted.resolution.settled(now);
    let (start, end) = match wanted.reach {
        Reach::Days(0) => {
            return Err(Error::argument(
                "a span of 0 days is empty: ask for --days 1 or more",
            ));
        }
        Reach::Days(count) => (settled - days(count), settled),
        Reach::Between(from, to) => {
            let to = to.unwrap_or(now);
            if from >= to {
                return Err(Error::argument(format!(
                    "the span begins at {} and ends at {}: --from must be before --until",
                    from.format("%Y-%m-%dT%H:%MZ"),
                    to.format("%Y-%m-%dT%H:%MZ")
                )));
            }
            if from >= now {
                return Err(Error::argument(format!(
                    "the span begins at {}, which is still to come",
                    from.format("%Y-%m-%dT%H:%MZ")
                )));
            }
            (from.timestamp_millis(), to.timestamp_millis().min(settled))
        }
    };
    let Some(oldest) = oldest(wanted.resolution, plan, now) else {
        return Ok(Span::new(start, end));
    };
    let is_beyond = match (wanted.reach, wanted.resolution) {
        // a number of days that the plan has is never refused: what of it is beyond reach at this time of the day is left out
        (Reach::Days(count), Resolution::FiveMinutes) => count > 1,
        (Reach::Days(count), _) => plan.history_days.is_some_and(|reach| count > reach),
        (Reach::Between(..), Resolution::Day) => Span::new(start, end)
            .and_then(first_midnight)
            .is_some_and(|midnight| midnight < oldest),
        // what is as long as the reach begins a little before it by the time it is asked for
        (Reach::Between(..), _) => start < oldest - days(1) / 8,
    };
    if is_beyond {
        let name = wanted.resolution.name();
        return Err(Error::argument(match (wanted.resolution, plan.history_days) {
            (Resolution::FiveMinutes, _) => {
                "CoinGecko keeps five-minute points for one day only: ask for --days 1, or for --resolution 1h".to_owned()
            }
            (_, Some(reach)) => format!(
                "the plan {} reaches {reach} days back at {name}, and the span begins before that: ask for --days {reach} \
                 at the most, or set COINMILL_HISTORY_DAYS if the plan has more",
                plan.kind
            ),
            (_, None) => format!("CoinGecko has nothing so old at {name}"),
        }));
    }
    Ok(Span::new(start.max(oldest), end))
}

/// True for a gap that can hold a point: a day's is at midnight; at the end of what is settled, a step has to pass before
/// there can be a new one.
pub(super) fn is_due(resolution: Resolution, gap: Span, span: Span) -> bool {
    match resolution {
        Resolution::Day => first_midnight(gap).is_some(),
        _ => gap.end < span.end || gap.length() >= resolution.step().min(span.length()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::coingecko::charts::{Window, charts};
    use crate::provider::PlanKind;

    fn now() -> DateTime<Utc> {
        "2026-01-02T14:42:25Z".parse().unwrap()
    }

    fn wanted(resolution: Resolution, reach: Reach) -> Backfill {
        Backfill {
            resolution,
            reach,
            coins: Vec::new(),
            refetch: false,
            spend: None,
        }
    }

    fn demo() -> Plan {
        Plan::documented(PlanKind::Demo)
    }

    #[test]
    fn a_year_is_what_the_demo_plan_reaches_and_a_day_more_is_refused() {
        let year = span(&wanted(Resolution::Hour, Reach::Days(365)), &demo(), now())
            .unwrap()
            .unwrap();
        assert!(year.length() > days(365) - days(1) / 8);
        let error = span(&wanted(Resolution::Hour, Reach::Days(366)), &demo(), now())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("--days 365") && error.contains("COINMILL_HISTORY_DAYS"),
            "{error}"
        );
        let unlimited = Plan::documented(PlanKind::Unlimited);
        assert!(
            span(
                &wanted(Resolution::Day, Reach::Days(4000)),
                &unlimited,
                now()
            )
            .is_ok()
        );
    }

    proptest! {
        #[test]
        fn a_whole_reach_is_asked_for_within_the_plan_and_as_far_as_it_goes(
            second in 0i64..3 * 86_400,
            is_daily in any::<bool>(),
            reach in 30u32..=400,
        ) {
            let now = now() + TimeDelta::seconds(second);
            let resolution = if is_daily { Resolution::Day } else { Resolution::Hour };
            let plan = Plan { history_days: Some(reach), ..demo() };
            let span = span(&wanted(resolution, Reach::Days(reach)), &plan, now).unwrap().unwrap();
            let oldest = now.timestamp_millis() - days(reach);
            for chart in charts(&"bitcoin".parse().unwrap(), resolution, &[span], now) {
                match chart.window {
                    Window::Daily { days } => prop_assert!(days <= reach),
                    Window::Hourly { from, .. } => prop_assert!(from * 1000 >= oldest),
                    Window::LastDay => prop_assert!(false, "nobody asked for five minutes"),
                }
            }
            prop_assert_eq!(span.end, resolution.settled(now));
            let lost = Span { start: oldest, end: span.start };
            match resolution {
                Resolution::Day => prop_assert_eq!(first_midnight(lost), None),
                _ => prop_assert!(lost.length() <= 3_600_000),
            }
        }
    }

    #[test]
    fn a_span_of_days_begins_with_its_first_midnight() {
        let from = |text: &str| {
            let reach = Reach::Between(text.parse().unwrap(), None);
            span(&wanted(Resolution::Day, reach), &demo(), now())
        };
        // a day of which the plan no longer has the midnight is not asked for, and one that has no midnight left is no loss
        assert!(from("2025-01-02T00:00:01Z").is_ok());
        let error = from("2025-01-02T00:00:00Z").unwrap_err().to_string();
        assert!(error.contains("365 days"), "{error}");
    }

    #[test]
    fn five_minute_points_are_there_for_a_day() {
        assert!(
            span(
                &wanted(Resolution::FiveMinutes, Reach::Days(1)),
                &demo(),
                now()
            )
            .is_ok()
        );
        let error = span(
            &wanted(Resolution::FiveMinutes, Reach::Days(2)),
            &demo(),
            now(),
        )
        .unwrap_err()
        .to_string();
        assert!(error.contains("--resolution 1h"), "{error}");
    }

    #[test]
    fn a_span_that_cannot_be_is_refused() {
        let between = |from: &str, to: Option<&str>| {
            let reach = Reach::Between(from.parse().unwrap(), to.map(|to| to.parse().unwrap()));
            span(&wanted(Resolution::Hour, reach), &demo(), now())
        };
        assert!(
            between("2026-01-01T00:00:00Z", Some("2025-12-01T00:00:00Z"))
                .unwrap_err()
                .to_string()
                .contains("before --until")
        );
        assert!(
            between("2026-01-03T00:00:00Z", Some("2026-01-04T00:00:00Z"))
                .unwrap_err()
                .to_string()
                .contains("still to come")
        );
        assert!(
            between("2020-01-01T00:00:00Z", None)
                .unwrap_err()
                .to_string()
                .contains("365 days")
        );
        let end = between("2026-01-01T00:00:00Z", None).unwrap().unwrap().end;
        assert_eq!(end, Resolution::Hour.settled(now()));
    }

    #[test]
    fn a_chart_that_is_asked_for_late_begins_where_the_plan_still_reaches() {
        let (from, to) = (now().timestamp() - days(365) / 1000, now().timestamp());
        let chart = Chart {
            coin: CoinId::from_source("bitcoin".to_owned()),
            window: Window::Hourly { from, to },
        };
        let late = now() + TimeDelta::hours(3);
        let window = in_reach(chart.clone(), &demo(), late).window;
        let later = from + (TimeDelta::hours(3) + WAIT).num_seconds();
        assert_eq!(window, Window::Hourly { from: later, to });
        let unlimited = Plan::documented(PlanKind::Unlimited);
        assert_eq!(in_reach(chart.clone(), &unlimited, late), chart);
    }
}
