//! Charts of a source that goes wrong, five-minutely and hourly, held against the market itself and the landed bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use chrono::TimeDelta;
use coinmill::error::{Error, Result};
use coinmill::pipeline::{Reach, SeriesReport};
use coinmill::quality::{CHART_RULES, RECORD_RULES};
use coinmill::series::Resolution;

use crate::faults::{Case, Ends, a_part, of_the_wire};
use crate::landed;
use crate::series::{DAY, HOUR, MINUTE, Mill, Numbers, bits, partial};
use crate::support::chaos::{self, Counts};
use crate::support::{Cell, Kind, missing_of, on_both_databases, said};

on_both_databases!(
    no_fault_of_the_wire_makes_a_five_minute_series_lie,
    no_fault_of_the_wire_makes_a_backfill_lie,
    no_fault_of_a_chart_makes_a_five_minute_series_lie,
    no_fault_of_a_chart_makes_a_backfill_lie,
    points_that_cannot_be_are_refused_by_their_text_and_the_others_stored,
);

/// The coins of these runs; the second is the one whose chart meets the fault.
const COINS: [&str; 3] = ["bitcoin", "ethereum", "tether"];
const NAMED: &str = "bitcoin,ethereum,tether";
const VICTIM: &str = "/coins/ethereum/market_chart";

/// Stamps with their numbers, by coin.
type Charts = BTreeMap<String, BTreeMap<i64, Numbers>>;

/// What the market says of the window, and where what is settled ends.
struct Truth {
    start: i64,
    settled: i64,
    charts: Charts,
}

/// What the database has of the window.
struct Held {
    state: String,
    missing: Vec<String>,
    points: Charts,
    /// What of the window each coin is covered for.
    covered: BTreeMap<String, Vec<(i64, i64)>>,
    refused: BTreeSet<(String, i64)>,
}

impl Held {
    /// Points of the market that are not there, of all coins; and those among them that coverage says were answered.
    fn absent(&self, truth: &Truth) -> (usize, usize) {
        let (mut absent, mut claimed) = (0, 0);
        for (coin, points) in &truth.charts {
            let stored = &self.points[coin];
            for ts in points.keys().filter(|ts| !stored.contains_key(ts)) {
                absent += 1;
                let covers = |span: &(i64, i64)| (span.0..span.1).contains(ts);
                let refused = self.refused.contains(&(coin.clone(), *ts));
                claimed += usize::from(self.covered[coin].iter().any(covers) && !refused);
            }
        }
        (absent, claimed)
    }

    /// Points that the market does not have, or not so.
    fn other(&self, truth: &Truth) -> usize {
        let other = |(coin, points): (&String, &BTreeMap<i64, Numbers>)| {
            let theirs = &truth.charts[coin];
            let other = |(ts, numbers): &(&i64, &Numbers)| theirs.get(ts) != Some(numbers);
            points.iter().filter(other).count()
        };
        self.points.iter().map(other).sum()
    }
}

/// A market over which one window after the other meets a fault.
struct Trial {
    mill: Mill,
    kind: Kind,
    resolution: Resolution,
    counts: BTreeMap<String, Counts>,
    complaints: Vec<String>,
}

impl Trial {
    async fn new(kind: Kind, resolution: Resolution) -> Self {
        Self {
            mill: Mill::new(kind, 12).await,
            kind,
            resolution,
            counts: BTreeMap::new(),
            complaints: Vec::new(),
        }
    }

    fn complain(&mut self, case: &Case, what: impl Display) {
        self.complaints.push(format!("{}: {what}", case.fault));
    }

    /// Goes on to a window of which nearly nothing is there yet. Windows overlap, so that none of it falls off the API.
    async fn next(&self) -> Truth {
        let hours = match self.resolution {
            Resolution::FiveMinutes => 20,
            _ => 46,
        };
        self.mill
            .bench
            .sim
            .advance(TimeDelta::hours(hours))
            .unwrap();
        let now = self.mill.bench.sim.now().timestamp_millis();
        let (start, settled) = match self.resolution {
            Resolution::FiveMinutes => (now - DAY + MINUTE, now - 10 * MINUTE),
            _ => (now / HOUR * HOUR - 2 * DAY, now / HOUR * HOUR),
        };
        let mut charts = Charts::new();
        for coin in COINS {
            let target = match self.resolution {
                Resolution::FiveMinutes => "market_chart?vs_currency=usd&days=1".to_owned(),
                _ => {
                    let (from, to) = ((now - 3 * DAY) / 1000, now / 1000);
                    format!("market_chart/range?vs_currency=usd&from={from}&to={to}")
                }
            };
            let body = self
                .mill
                .bench
                .fetch(&format!("/coins/{coin}/{target}"))
                .await;
            let mut points = landed::points(&body);
            // the chart ends with the live point, which may be half an hour old and is no history
            points.remove(&landed::last_stamp(&body));
            points.retain(|ts, _| (start..settled).contains(ts));
            assert!(points.len() > 40, "{body:.300}");
            charts.insert(coin.to_owned(), points);
        }
        Truth {
            start,
            settled,
            charts,
        }
    }

    async fn meet(&mut self, case: &Case) {
        let fault = case.at(VICTIM);
        self.meet_with(case, &fault).await;
    }

    /// Lets the next window's run meet a fault, then runs again without.
    async fn meet_with(&mut self, case: &Case, fault: &str) {
        let truth = self.next().await;
        let mut counts = Counts {
            injected: 1,
            ..Counts::default()
        };
        self.mill.bench.fault(fault);
        let (first, _) = self.run(case, &case.with, &truth).await;
        let (absent, claimed) = first.absent(&truth);
        counts.silent += claimed as u64;
        let names_it = first.missing.iter().any(|text| text.contains("ethereum"));
        let as_it_should = match case.ends {
            Ends::Whole => first.state == "complete" && absent == 0,
            Ends::Short(_) => first.state == "partial" && names_it && absent > 0,
            Ends::AsSent => first.state == "complete",
        };
        let other = first.other(&truth);
        if !as_it_should || other > 0 || claimed > 0 {
            let (state, missing) = (&first.state, first.missing.join("; "));
            self.complain(
                case,
                format!("{state}, {absent} absent, {claimed} claimed, {other} other, missing {missing:?}"),
            );
        }

        self.mill.bench.sim.clear_faults();
        let rest = match case.ends {
            Ends::Short(rest) => rest,
            // what a cache had not yet is asked for like anything that is new
            Ends::AsSent => u64::from(absent > 0),
            Ends::Whole => 0,
        };
        let (second, calls) = self.run(case, &[], &truth).await;
        let (absent, claimed) = second.absent(&truth);
        counts.paid_twice += calls.saturating_sub(rest);
        counts.silent += claimed as u64;
        counts.lost += absent as u64;
        counts.doubled += second.other(&truth) as u64;
        counts.healed += u64::from(second.state == "complete" && absent == 0);
        let sum = counts.lost + counts.doubled + counts.silent + counts.paid_twice;
        if counts.healed != 1 || sum > 0 || calls != rest {
            let state = &second.state;
            self.complain(
                case,
                format!("then {state} with {calls} calls of {rest}, {counts:?}"),
            );
        }
        let all = self.counts.entry(case.kind().to_owned()).or_default();
        *all = all.and(counts);
    }

    async fn attempt(&self, with: &[(&str, &str)]) -> Result<SeriesReport> {
        let mut all = vec![("top", "0"), ("coins", NAMED)];
        all.extend(with);
        match self.resolution {
            Resolution::FiveMinutes => self.mill.run(self.resolution, &all).await,
            resolution => {
                let reach = Reach::Days(2);
                self.mill.backfill(resolution, reach, &COINS, &all).await
            }
        }
    }

    /// One run, and what of the window the database then has; whatever it says is held against the landed bytes.
    async fn run(&mut self, case: &Case, with: &[(&str, &str)], truth: &Truth) -> (Held, u64) {
        let before = self.mill.bench.sim.calls();
        let outcome = self.attempt(with).await;
        let calls = self.mill.bench.sim.calls() - before;
        let held = self.held(case, outcome, calls, truth).await;
        (held, calls)
    }

    async fn held(
        &mut self,
        case: &Case,
        outcome: Result<SeriesReport>,
        calls: u64,
        truth: &Truth,
    ) -> Held {
        let mill = &self.mill;
        let sql = "select id, state, expected, received, rejected, stored, calls, error from run order by id desc";
        let run = mill.row(sql).await;
        let id = run[0].text();
        let mut wrong = Vec::new();
        let report = match outcome {
            Ok(report) => serde_json::to_value(report).unwrap(),
            outcome @ Err(Error::Incomplete { .. }) => partial(outcome),
            Err(error) => {
                let chain = said(&error);
                serde_json::json!({ "state": "failed", "stored": 0, "error": chain, "missing": ["all of it"], "calls": calls })
            }
        };
        let number = |name: &str| report[name].as_i64().map_or(Cell::Null, Cell::Int);
        let text = |name: &str| {
            let text = report[name].as_str();
            text.map_or(Cell::Null, |text| Cell::Text(text.to_owned()))
        };
        let told = [
            text("state"),
            number("expected"),
            number("received"),
            number("rejected"),
            number("stored"),
            number("calls"),
            text("error"),
        ];
        if run[1..] != told || run[6] != Cell::Int(calls as i64) {
            wrong.push(format!(
                "{calls} calls, told {told:?}, in the ledger {run:?}"
            ));
        }
        let mut held = Held {
            state: run[1].text().to_owned(),
            missing: missing_of(&report),
            points: COINS.map(|coin| (coin.to_owned(), BTreeMap::new())).into(),
            covered: BTreeMap::new(),
            refused: BTreeSet::new(),
        };
        // expected is what was asked for: each chart is received, or missing in whole or in part
        if let (Cell::Int(expected), Cell::Int(received)) = (&run[2], &run[3])
            && (*expected > received + held.missing.len() as i64 || received > expected)
        {
            wrong.push(format!(
                "{expected} expected, {received} received, {:?}",
                held.missing
            ));
        }

        let minutes = self.resolution.minutes();
        let since = mill
            .timeseries
            .instant(chrono::DateTime::from_timestamp_millis(truth.start).unwrap());
        let sql = format!(
            "select c.id, p.ts, p.price, p.market_cap, p.volume, l.run, l.path from price_point p \
             join coin c on c.key = p.coin join landing l on l.id = p.landing \
             where p.resolution = {minutes} and (p.ts >= {since} or l.run = '{id}') order by c.id, p.ts"
        );
        let mut bodies: BTreeMap<String, BTreeMap<i64, Numbers>> = BTreeMap::new();
        let mut stored = 0;
        for row in mill.rows(&sql).await {
            let (coin, ts) = (row[0].text().to_owned(), row[1].int());
            let numbers: Numbers = [&row[2], &row[3], &row[4]].map(bits);
            if row[5].text() == id {
                stored += 1;
                let path = row[6].text();
                let sent = bodies
                    .entry(path.to_owned())
                    .or_insert_with(|| landed::points(&landed::body(&mill.bench.landing(), path)));
                if sent.get(&ts) != Some(&numbers) {
                    wrong.push(format!("{coin} at {ts} is not what {path} says"));
                }
            }
            if ts >= truth.start {
                held.points.get_mut(&coin).unwrap().insert(ts, numbers);
            }
        }
        if run[5] != Cell::Int(stored) {
            wrong.push(format!("{stored} points of {run:?}"));
        }
        if mill.count("price_revision").await > 0 {
            wrong.push("a point that stood was revised".to_owned());
        }
        for coin in COINS {
            let covered = mill.covered(coin, minutes.into()).await;
            if covered.last().is_some_and(|last| last.1 > truth.settled) {
                wrong.push(format!("{coin} is covered past what is settled"));
            }
            held.covered.insert(coin.to_owned(), covered);
        }
        let sql = format!(
            "select q.coin, q.rule, q.reason, q.raw, q.record, q.body from quarantine q \
             join landing l on l.id = q.landing where l.run = '{id}'"
        );
        let refused = mill.rows(&sql).await;
        if run[4] != Cell::Null && run[4] != Cell::Int(refused.len() as i64) {
            wrong.push(format!("{} refused: {run:?}", refused.len()));
        }
        for row in &refused {
            let mut rules = CHART_RULES.into_iter().chain(RECORD_RULES);
            let body = landed::body(&mill.bench.landing(), row[5].text());
            let raw = row[3].text();
            let as_sent = match row[4] {
                Cell::Null => body.starts_with(raw),
                // a point stands in three arrays
                _ => raw
                    .trim_matches(['[', ']'])
                    .split(',')
                    .all(|token| body.contains(token)),
            };
            if !as_sent || row[2].text().is_empty() || !rules.any(|rule| rule.name == row[1].text())
            {
                wrong.push(format!("refused as it was not sent: {row:?}"));
            }
            if let Some(ts) = raw.trim_start_matches('[').split(',').next()
                && let Ok(ts) = ts.parse()
            {
                held.refused.insert((row[0].text().to_owned(), ts));
            }
        }
        wrong
            .into_iter()
            .for_each(|wrong| self.complain(case, wrong));
        held
    }

    fn end(self) {
        let group = match self.resolution {
            Resolution::FiveMinutes => "timeseries",
            _ => "backfill",
        };
        for (kind, counts) in &self.counts {
            chaos::note(&format!("the API: {kind}"), self.kind, group, counts);
        }
        assert!(self.complaints.is_empty(), "{:#?}", self.complaints);
    }
}

async fn wire(kind: Kind, resolution: Resolution) {
    let mut trial = Trial::new(kind, resolution).await;
    for case in of_the_wire(kind) {
        trial.meet(&case).await;
    }
    trial.end();
}

async fn no_fault_of_the_wire_makes_a_five_minute_series_lie(kind: Kind) {
    wire(kind, Resolution::FiveMinutes).await;
}

async fn no_fault_of_the_wire_makes_a_backfill_lie(kind: Kind) {
    wire(kind, Resolution::Hour).await;
}

async fn content(kind: Kind, resolution: Resolution) {
    let mut trial = Trial::new(kind, resolution).await;
    // no chart: refused whole, missing by name, asked for again
    let refused = [
        r#"set:field=prices,value="none""#,
        "set:field=prices,value=null",
        "set:field=prices,value=[]",
        "set:field=market_caps,value=[[1]]",
        "set:field=total_volumes,value=[[1,2]]",
        "drop:field=prices",
        "drop:field=total_volumes",
        "body:status=200,text={}",
        "body:status=200,text=[]",
        "body:status=200,text=[[1,2],[3,4]]",
    ];
    for fault in a_part(kind, refused.to_vec()) {
        let case = Case::new(fault, Ends::Short(1));
        let fault = fault.replacen(':', &format!(":path={VICTIM},"), 1);
        trial.meet_with(&case, &fault).await;
    }
    let mood = Case::new("set:field=mood,value=1", Ends::Whole);
    let fault = mood.fault.replacen(':', &format!(":path={VICTIM},"), 1);
    trial.meet_with(&mood, &fault).await;
    // a cache says how old it is, so what it cannot know yet is not covered
    for (seconds, ends) in [
        (60, Ends::AsSent),
        (3600, Ends::Short(1)),
        (7200, Ends::Short(1)),
    ] {
        let case = Case::new(format!("aged:seconds={seconds}"), ends);
        trial.meet(&case).await;
    }
    trial.end();
}

async fn no_fault_of_a_chart_makes_a_five_minute_series_lie(kind: Kind) {
    content(kind, Resolution::FiveMinutes).await;
}

async fn no_fault_of_a_chart_makes_a_backfill_lie(kind: Kind) {
    content(kind, Resolution::Hour).await;
}

/// Within a good chart: texts and nulls for numbers, stamps out of order, a stamp with two values.
async fn points_that_cannot_be_are_refused_by_their_text_and_the_others_stored(kind: Kind) {
    let mut trial = Trial::new(kind, Resolution::FiveMinutes).await;
    let truth = trial.next().await;
    let target = "/coins/ethereum/market_chart?vs_currency=usd&days=1";
    let body = trial.mill.bench.fetch(target).await;
    let mut chart: serde_json::Value = serde_json::from_str(&body).unwrap();
    let (prices, tokens) = (
        chart["prices"].as_array_mut().unwrap(),
        ["\"7\"", "true", "-1", "{}"],
    );
    for (place, token) in (20..).step_by(10).zip(tokens) {
        prices[place][1] = serde_json::from_str(token).unwrap();
    }
    prices[90][1] = serde_json::Value::Null;
    let empty = prices[90][0].as_i64().unwrap();
    for name in ["prices", "market_caps", "total_volumes"] {
        chart[name].as_array_mut().unwrap().swap(100, 150);
    }
    let fault = format!("body:path={VICTIM},status=200,text={chart}");
    trial.mill.bench.fault(&fault);
    let case = Case::new("points", Ends::AsSent);
    let (held, _) = trial.run(&case, &[], &truth).await;
    assert_eq!((held.state.as_str(), held.refused.len()), ("partial", 4));
    let (absent, claimed) = held.absent(&truth);
    assert_eq!((absent, claimed, held.other(&truth)), (4, 0, 1));
    assert_eq!(held.points["ethereum"][&empty][0], None);
    let counts = Counts {
        injected: 5,
        healed: 5,
        ..Counts::default()
    };
    trial.counts.insert("points".to_owned(), counts);
    trial.end();
}
