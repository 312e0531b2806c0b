//! Days of half-hours under a tight plan, held against what the market had: every settled point of the coins that are followed, but
//! for what an outage let fall off, which is named once, listed as a gap and healed by the hour.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use coinmill::pipeline::{self, Gaps, RunState};
use coinmill::series::Resolution;

use crate::series::Mill;
use crate::support::{Kind, noon, on_both_databases};

on_both_databases!(
    days_of_half_hours_are_complete,
    what_an_outage_let_fall_off_is_named_once_and_healed_by_the_hour,
    a_coin_that_left_has_one_last_visit,
    charts_of_the_largest_are_kept_where_not_all_fit,
    the_plan_says_what_is_at_risk_and_until_when,
    gaps_say_why_and_what_part_they_are,
    what_nobody_was_owed_is_no_gap,
);

const FIVE: Resolution = Resolution::FiveMinutes;

/// No credits for charts that could wait: 840 half-hours are left of the month, and a fifth is kept back.
const TIGHT: [(&str, &str); 2] = [("top", "6"), ("credits_per_month", "1900")];

/// A schedule beside what the market said: every stamp of every coin, which it gives for a day.
struct Schedule {
    mill: Mill,
    market: BTreeMap<String, BTreeSet<i64>>,
    calls: u64,
    missing: Vec<String>,
}

impl Schedule {
    async fn new(kind: Kind) -> Self {
        Self {
            mill: Mill::new(kind, 6).await,
            market: BTreeMap::new(),
            calls: 0,
            missing: Vec::new(),
        }
    }

    fn now(&self) -> DateTime<Utc> {
        self.mill.bench.sim.now()
    }

    /// Takes note of the market's last day.
    async fn look(&mut self) {
        for coin in self.mill.bench.ranking(6).await {
            let target =
                format!("/coins/{coin}/market_chart?vs_currency=usd&days=1&precision=full");
            let body: serde_json::Value =
                serde_json::from_str(&self.mill.bench.fetch(&target).await).unwrap();
            let prices = body["prices"].as_array().unwrap();
            // the last one is the live point
            let stamps = prices[..prices.len() - 1].iter();
            let stamps = stamps.map(|point| point[0].as_i64().unwrap());
            self.market.entry(coin).or_default().extend(stamps);
        }
    }

    /// Both runs of so many half-hours, or none of them in an outage.
    async fn half_hours(&mut self, count: i64, runs: bool) {
        for _ in 0..count {
            if runs {
                self.both(&TIGHT).await;
            }
            let late = TimeDelta::seconds(30 * 60 + (count * 37) % 5 - 2);
            self.mill.bench.sim.advance(late).unwrap();
            if self.now().timestamp() / 1800 % 24 == 0 {
                self.look().await;
            }
        }
        self.look().await;
    }

    /// The same under these settings, without a look at the market.
    async fn runs(&mut self, count: usize, with: &[(&str, &str)]) {
        for _ in 0..count {
            self.both(with).await;
            self.mill.bench.sim.advance(TimeDelta::minutes(30)).unwrap();
        }
    }

    async fn both(&mut self, with: &[(&str, &str)]) {
        let settings = self.mill.settings(with);
        let observer = pipeline::Observer::none();
        let snapshot = pipeline::run_snapshot(&settings, None, &observer).await;
        let series = self.mill.run(FIVE, with).await.unwrap();
        self.calls += snapshot.unwrap().calls + series.calls;
        self.calls += series.heal.as_ref().map_or(0, |heal| heal.calls);
        let said = series.missing.iter().map(ToString::to_string);
        self.missing.extend(said);
    }

    /// The stamps that are stored, by coin.
    async fn stored(&self) -> BTreeMap<String, BTreeSet<i64>> {
        let mut stored: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
        for (coin, minutes, ts) in self.mill.view().await.into_keys() {
            if minutes == 5 {
                stored.entry(coin).or_default().insert(ts);
            }
        }
        stored
    }

    /// What the market had and is not stored, between the first snapshot and each coin's last visit; and nothing is stored that it
    /// did not have.
    async fn lacking(&self) -> BTreeMap<String, BTreeSet<i64>> {
        let mut lacking = BTreeMap::new();
        let since = noon().timestamp_millis();
        for (coin, stored) in self.stored().await {
            let covered = self.mill.covered(&coin, 5).await;
            let end = covered.last().unwrap().1;
            let market = &self.market[&coin];
            let invented = stored
                .iter()
                .filter(|ts| **ts >= since && !market.contains(ts));
            assert_eq!(invented.count(), 0, "{coin}");
            let lacks: BTreeSet<i64> = market
                .iter()
                .filter(|ts| (since..end).contains(*ts) && !stored.contains(ts))
                .copied()
                .collect();
            if !lacks.is_empty() {
                lacking.insert(coin, lacks);
            }
        }
        lacking
    }

    async fn gaps(&self) -> pipeline::GapsReport {
        let settings = self.mill.settings(&TIGHT);
        pipeline::gaps(&settings, &Gaps::default()).await.unwrap()
    }
}

async fn days_of_half_hours_are_complete(kind: Kind) {
    let mut schedule = Schedule::new(kind).await;
    schedule.half_hours(100, true).await;
    assert_eq!(schedule.lacking().await, BTreeMap::new());
    assert_eq!(schedule.missing, Vec::<String>::new());
    let stored = schedule.stored().await;
    assert_eq!(stored.len(), 6);
    // a snapshot each, and a visit in 46 half-hours of each coin
    assert_eq!(schedule.calls, 100 + 6 * 3, "{}", schedule.calls);
    let gaps = schedule.gaps().await;
    let kinds: BTreeSet<&str> = gaps.gaps.iter().map(|gap| gap.kind.as_str()).collect();
    assert_eq!(
        kinds,
        BTreeSet::from(["not_asked"]),
        "the tails that can wait"
    );
}

async fn what_an_outage_let_fall_off_is_named_once_and_healed_by_the_hour(kind: Kind) {
    let mut schedule = Schedule::new(kind).await;
    schedule.half_hours(60, true).await;
    schedule.half_hours(80, false).await;
    let back = schedule.now().timestamp_millis();
    schedule.half_hours(60, true).await;
    let day = TimeDelta::days(1).num_milliseconds();
    let lacking = schedule.lacking().await;
    assert_eq!(lacking.len(), 6, "forty hours are longer than a day");
    for (coin, stamps) in &lacking {
        let newest = stamps.last().unwrap();
        assert!(
            *newest < back - day,
            "{coin}: {newest} could be had at {back}"
        );
    }
    // each is said once, and since when
    assert_eq!(schedule.missing.len(), 6, "{:?}", schedule.missing);
    for said in &schedule.missing {
        assert!(
            said.contains("are lost") && said.contains("fell off from 2026-01-1"),
            "{said}"
        );
    }
    let gaps = schedule.gaps().await;
    let healed: Vec<_> = gaps
        .gaps
        .iter()
        .filter(|gap| gap.kind == "healed")
        .collect();
    assert_eq!(healed.len(), 6, "{gaps:?}");
    for gap in &healed {
        let span = gap.span().unwrap();
        assert_eq!(gap.lost_at.unwrap().timestamp_millis(), span.start + day);
        assert!(lacking[&gap.coin_id].iter().all(|ts| span.contains(*ts)));
        let hourly = schedule.mill.covered(&gap.coin_id, 60).await;
        assert!(
            hourly
                .iter()
                .any(|(start, end)| *start <= span.start && span.end <= *end)
        );
    }
    assert_eq!(
        schedule
            .mill
            .number("select count(*) from lost where healed_at is null")
            .await,
        0
    );
    let all = gaps
        .all
        .iter()
        .find(|total| total.resolution == FIVE)
        .unwrap();
    let part = all.missing_pct_by_kind["healed"];
    // about sixteen of a hundred hours
    assert!((10.0..25.0).contains(&part), "{part}");
    assert!(!gaps.is_partial(), "what is healed is no failure");
}

async fn a_coin_that_left_has_one_last_visit(kind: Kind) {
    let mut schedule = Schedule::new(kind).await;
    let ranking = schedule.mill.bench.ranking(6).await;
    schedule.runs(20, &TIGHT).await;
    let fewer = [TIGHT[0], TIGHT[1], ("chart_top", "4")];
    schedule.runs(60, &fewer).await;
    let visits = schedule.mill.requested();
    let visits = |coin: &String| visits.iter().filter(|other| *other == coin).count();
    for coin in &ranking[..4] {
        assert_eq!(visits(coin), 2, "{coin}");
    }
    for coin in &ranking[4..] {
        assert_eq!(visits(coin), 2, "{coin}: the last visit, and no more");
    }
    let rows = schedule
        .mill
        .rows("select coin, ends_at from followed where ends_at is not null order by coin")
        .await;
    // ranks move, so some come and go, and who left within the last day may wait for the visit
    let day_ago = (schedule.now() - TimeDelta::days(1)).timestamp_millis();
    assert!(rows.len() >= 2);
    for row in rows.iter().filter(|row| row[1].int() < day_ago) {
        let covered = schedule.mill.covered(row[0].text(), 5).await;
        assert!(covered.last().unwrap().1 >= row[1].int(), "{row:?}");
    }
    assert_eq!(schedule.mill.count("lost").await, 0);
    assert_eq!(schedule.missing, Vec::<String>::new());
}

async fn charts_of_the_largest_are_kept_where_not_all_fit(kind: Kind) {
    let mut schedule = Schedule::new(kind).await;
    let ranking = schedule.mill.bench.ranking(6).await;
    // 1,488 snapshots and 31 lists of all coins leave 98 calls, and three coins take 97
    let small = [("top", "6"), ("credits_per_month", "1617")];
    schedule.runs(50, &small).await;
    let visited: BTreeSet<String> = schedule.mill.requested().into_iter().collect();
    assert_eq!(visited, ranking[..3].iter().cloned().collect());
    assert_eq!(schedule.missing, Vec::<String>::new());
    let report = schedule.mill.run(FIVE, &small).await.unwrap();
    let advice = report.advice.unwrap();
    assert!(
        advice.contains("charts of 3 fit") && advice.contains("COINMILL_CHART_TOP=3"),
        "{advice}"
    );
    let chosen = [small[0], small[1], ("chart_top", "3")];
    let report = schedule.mill.run(FIVE, &chosen).await.unwrap();
    assert_eq!((report.advice, report.state), (None, RunState::Complete));
}

async fn the_plan_says_what_is_at_risk_and_until_when(kind: Kind) {
    let mut schedule = Schedule::new(kind).await;
    let settings = schedule.mill.settings(&TIGHT);
    let plan = pipeline::plan(&settings).await.unwrap();
    assert_eq!((plan.followed, plan.spare), (0, Some(1900 - 840 - 18)));
    schedule.half_hours(8, true).await;
    let plan = pipeline::plan(&settings).await.unwrap();
    assert_eq!(
        (plan.followed, plan.at_risk.len(), plan.credits),
        (6, 0, 14)
    );
    let first = plan.first_to_fall_off.unwrap();
    assert_eq!(first.falls_off_at - first.points_from, TimeDelta::days(1));
    // the first coin's chart was received at noon, and told of ten minutes before
    assert_eq!(first.points_from, noon() - TimeDelta::minutes(10));
    schedule
        .mill
        .bench
        .sim
        .advance(TimeDelta::hours(30))
        .unwrap();
    let plan = pipeline::plan(&settings).await.unwrap();
    assert_eq!(plan.at_risk.len(), 6, "{plan:?}");
    assert!(
        plan.at_risk
            .iter()
            .all(|risk| risk.falls_off_at >= schedule.now())
    );
    // nothing has run for thirty hours, and the gaps of now say so
    let gaps = schedule.gaps().await;
    assert!(gaps.is_partial());
    let kinds = |kind: &str| gaps.gaps.iter().filter(|gap| gap.kind == kind).count();
    assert_eq!((kinds("lost"), kinds("not_asked")), (6, 6), "{gaps:?}");
    assert!(gaps.all[0].missing_pct > 70.0 && gaps.all[0].missing_pct <= 100.0);
}

async fn what_nobody_was_owed_is_no_gap(kind: Kind) {
    let mut schedule = Schedule::new(kind).await;
    schedule.runs(3, &TIGHT).await;
    let fewer = [TIGHT[0], TIGHT[1], ("chart_top", "2")];
    schedule.runs(70, &fewer).await;
    schedule.runs(3, &TIGHT).await;
    let gaps = schedule.gaps().await;
    let said: Vec<_> = gaps
        .gaps
        .iter()
        .filter(|gap| gap.kind != "not_asked")
        .collect();
    assert!(said.is_empty(), "{said:?}");
    assert!(gaps.totals.iter().all(|total| total.missing_pct <= 100.0));
}

async fn gaps_say_why_and_what_part_they_are(kind: Kind) {
    let schedule = Schedule::new(kind).await;
    let mill = &schedule.mill;
    let backfill = async |from: &str, to: &str| {
        let between = pipeline::Reach::Between(from.parse().unwrap(), Some(to.parse().unwrap()));
        mill.backfill(Resolution::Hour, between, &["bitcoin"], &[])
            .await
            .unwrap()
    };
    backfill("2026-01-02T00:00:00Z", "2026-01-05T00:00:00Z").await;
    backfill("2026-01-06T00:00:00Z", "2026-01-09T00:00:00Z").await;
    let gaps = schedule.gaps().await;
    let [gap] = gaps.gaps.as_slice() else {
        panic!("{gaps:?}")
    };
    let said = (
        gap.kind.as_str(),
        gap.starts_at.to_rfc3339(),
        gap.ends_at.to_rfc3339(),
    );
    let day = |day: u32| format!("2026-01-{day:02}T00:00:00+00:00");
    assert_eq!(said, ("not_asked", day(5), day(6)));
    let [total] = gaps.totals.as_slice() else {
        panic!("{gaps:?}")
    };
    assert_eq!(
        (total.owed_hours, total.coin_id.as_deref()),
        (168.0, Some("bitcoin"))
    );
    assert!((total.missing_pct - 100.0 / 7.0).abs() < 1e-9, "{total:?}");
    let observer = pipeline::Observer::none();
    let healed = pipeline::heal(&mill.settings(&[]), None, &observer)
        .await
        .unwrap();
    assert_eq!(
        (healed.state, healed.runs.len(), healed.left),
        (RunState::Complete, 1, 0)
    );
    assert_eq!((healed.runs[0].calls, healed.runs[0].kind), (1, "heal"));
    assert_eq!(schedule.gaps().await.gaps, vec![]);
    let again = pipeline::heal(&mill.settings(&[]), None, &observer)
        .await
        .unwrap();
    assert_eq!(again.runs, vec![]);
    // a coin of which nothing is kept is no coin without gaps
    let wanted = Gaps {
        coins: ["bitcoin", "bitcion", "ethereum-x"]
            .map(|id| id.parse().unwrap())
            .to_vec(),
        ..Gaps::default()
    };
    let error = pipeline::gaps(&mill.settings(&[]), &wanted)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no prices of bitcion are stored: did you mean bitcoin?; no prices of ethereum-x are stored: \
         `coinmill backfill --days 1 --resolution 1h --coins ethereum-x` fetches them"
    );
}
