//! What the settings ask of a plan, month after month, and what of it cannot be had, in words.
//! It looks at no database: what a month has spent already is not its matter.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::means::Means;
use super::{REVISIT, SLOTS_A_DAY};
use crate::provider::Plan;

/// What the schedule asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Demand {
    /// Coins of a snapshot, by market cap.
    pub top: u64,
    /// Coins by name.
    pub named: u64,
    /// Calls for the largest coins of a snapshot.
    pub pages: u64,
    /// Calls for those by name.
    pub lists: u64,
    /// Coins whose five-minute charts are wanted.
    pub charts: u64,
}

/// Calls for one purpose.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Load {
    /// For what.
    pub what: String,
    /// Calls a run, on average.
    pub calls_per_run: f64,
    /// Calls a day, on average.
    pub calls_per_day: f64,
    /// Calls in a month as long as the running one.
    pub calls_per_month: u64,
}

/// The calls of the schedule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Loads {
    /// By purpose.
    pub parts: Vec<Load>,
    /// All of them.
    pub total: Load,
}

/// What a plan makes of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outlook {
    /// What is asked for.
    pub demand: Demand,
    /// What that takes.
    pub loads: Loads,
    /// Half-hours of the running month.
    pub runs_per_month: u64,
    /// The plan's calls a month; null is no limit.
    pub credits_per_month: Option<u64>,
    /// Of how many coins the five-minute history can be kept complete; null is no limit.
    pub room: Option<u64>,
    /// What cannot be had, in words; null where all can.
    pub advice: Option<String>,
}

impl Demand {
    /// Calls of one snapshot.
    pub fn snapshot(&self) -> u64 {
        self.pages + self.lists
    }

    /// What it takes, and what of it cannot be had of a plan.
    pub fn outlook(self, plan: &Plan, now: DateTime<Utc>) -> Outlook {
        let means = Means::of(plan, 0, self.snapshot(), false, now);
        let slots = means.month.slots;
        Outlook {
            demand: self,
            loads: self.loads(slots),
            runs_per_month: slots,
            credits_per_month: plan.credits_per_month,
            room: means.room(),
            advice: self.advice(plan, &means),
        }
    }

    fn loads(self, slots: u64) -> Loads {
        let coins = |count: u64| if count == 1 { "coin" } else { "coins" };
        let mut parts = Vec::new();
        if self.pages > 0 {
            let what = format!("snapshots of {} {}", grouped(self.top), coins(self.top));
            parts.push(Load::of(what, slots * self.pages, slots));
        }
        if self.lists > 0 {
            let what = format!("{} {} by name", grouped(self.named), coins(self.named));
            parts.push(Load::of(what, slots * self.lists, slots));
        }
        if self.charts > 0 {
            let what = format!("charts of {} {}", grouped(self.charts), coins(self.charts));
            parts.push(Load::of(what, visits(self.charts, slots), slots));
        }
        if self.snapshot() > 0 {
            let what = "list of all coins".to_owned();
            parts.push(Load::of(what, slots / SLOTS_A_DAY, slots));
        }
        let total = parts.iter().map(|part| part.calls_per_month).sum();
        Loads {
            parts,
            total: Load::of("total".to_owned(), total, slots),
        }
    }

    fn advice(self, plan: &Plan, means: &Means) -> Option<String> {
        let slots = means.month.slots;
        let days = slots / SLOTS_A_DAY;
        if let Some(credits) = means.credits
            && slots * self.snapshot() > credits
        {
            let a_day = SLOTS_A_DAY * self.snapshot();
            let pages = (credits / slots).saturating_sub(self.lists);
            let fits = match pages {
                0 => "not even one call in each half-hour fits: take".to_owned(),
                pages => format!("the top {} fit, or take", grouped(pages * 250)),
            };
            return Some(format!(
                "snapshots of {} coins take {} credits in {days} days and the plan {} has {}: the month runs dry after {} \
                 days; {fits} a plan with {} credits a month",
                grouped(self.top + self.named),
                grouped(slots * self.snapshot()),
                plan.kind,
                grouped(credits),
                credits / a_day,
                grouped(hundreds(slots * self.snapshot())),
            ));
        }
        let room = means.room().filter(|room| self.charts > *room)?;
        let hours = self.rotation_hours(means)?;
        let lost = 100.0 * (1.0 - 24.0 / hours);
        let remedy = match means.credits {
            Some(credits) if self.loads(slots).total.calls_per_month > credits => {
                let needed = self.loads(slots).total.calls_per_month;
                format!("a plan with {} credits a month", grouped(hundreds(needed)))
            }
            _ => "a plan with more calls a minute".to_owned(),
        };
        Some(format!(
            "{} coins rotate every {hours:.0} h, CoinGecko keeps 24 h: about {lost:.0} % of the five-minute points would be lost; \
             charts of {} fit, so those of the largest are kept: set COINMILL_CHART_TOP={room}, or take {remedy}",
            grouped(self.charts),
            grouped(room),
        ))
    }

    /// How long it takes to fetch every coin's chart once.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of calls are far below 2^53"
    )]
    fn rotation_hours(self, means: &Means) -> Option<f64> {
        let slots = means.month.slots;
        let by_month = means.credits.map(|credits| {
            let charts = credits.saturating_sub(slots * self.snapshot() + slots / SLOTS_A_DAY);
            charts as f64 / (slots as f64 / 2.0)
        });
        let by_pace = means.a_run.map(|calls| calls as f64 * 2.0);
        let an_hour = match (by_month, by_pace) {
            (Some(by_month), Some(by_pace)) => by_month.min(by_pace),
            (by_month, by_pace) => by_month.or(by_pace)?,
        };
        Some(self.charts as f64 / an_hour.max(1e-3))
    }
}

impl Load {
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of calls are far below 2^53"
    )]
    fn of(what: String, calls: u64, slots: u64) -> Self {
        let a_run = calls as f64 / slots as f64;
        Self {
            what,
            calls_per_run: a_run,
            calls_per_day: a_run * SLOTS_A_DAY as f64,
            calls_per_month: calls,
        }
    }
}

/// The visits of a month.
fn visits(coins: u64, slots: u64) -> u64 {
    (coins * slots).div_ceil(REVISIT)
}

/// The next hundred.
fn hundreds(calls: u64) -> u64 {
    calls.div_ceil(100) * 100
}

/// A number with commas.
pub fn grouped(number: u64) -> String {
    grouped_digits(&number.to_string())
}

/// The digits of a number with commas.
pub fn grouped_digits(digits: &str) -> String {
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::PlanKind;

    fn outlook(top: u64, charts: u64, kind: PlanKind) -> Outlook {
        let demand = Demand {
            top,
            named: 0,
            pages: top.div_ceil(250),
            lists: 0,
            charts,
        };
        let june = "2026-06-10T12:00:00Z".parse().unwrap();
        demand.outlook(&Plan::documented(kind), june)
    }

    #[test]
    fn the_default_fits_the_free_plan() {
        let outlook = outlook(250, 250, PlanKind::Demo);
        assert_eq!(outlook.advice, None);
        let calls: Vec<u64> = outlook
            .loads
            .parts
            .iter()
            .map(|it| it.calls_per_month)
            .collect();
        assert_eq!(calls, [1_440, 7_827, 30]);
        assert_eq!(outlook.loads.total.calls_per_month, 9_297);
        assert!((outlook.loads.total.calls_per_run - 6.456).abs() < 0.01);
    }

    #[test]
    fn what_cannot_be_had_is_said_with_what_fits() {
        let advice = outlook(500, 500, PlanKind::Demo).advice.unwrap();
        for words in [
            "500 coins rotate every 51 h",
            "keeps 24 h",
            "about 53 %",
            "charts of 226 fit",
            "COINMILL_CHART_TOP=226",
            "18,600 credits a month",
        ] {
            assert!(advice.contains(words), "{words}: {advice}");
        }
        assert_eq!(outlook(500, 226, PlanKind::Demo).advice, None);
        let advice = outlook(5_000, 0, PlanKind::Demo).advice.unwrap();
        for words in [
            "28,800 credits in 30 days",
            "after 10 days",
            "the top 1,500 fit",
        ] {
            assert!(advice.contains(words), "{words}: {advice}");
        }
        let advice = outlook(250, 5_000, PlanKind::Keyless).advice.unwrap();
        assert!(
            advice.contains("charts of 2,254 fit") && advice.contains("calls a minute"),
            "{advice}"
        );
        assert_eq!(outlook(250, 20_000, PlanKind::Unlimited).advice, None);
    }
}
