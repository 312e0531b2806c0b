//! Commits made by hand, the smallest that there are: a quote of a slot, or a point of a chart.

use chrono::{DateTime, TimeDelta, Utc};
use coinmill::clock::Clock;
use coinmill::landing::Landed;
use coinmill::market::{CoinId, MEASURES, Measure, Quote, Slot};
use coinmill::series::{ChartCoverage, PricePoint, Resolution, Span};
use coinmill::store::{
    Absent, Account, QuoteRow, ReceivedChart, RunEnd, RunStart, Scope, SeriesCommit,
    SnapshotCommit, SnapshotStore, TimeseriesStore,
};

use crate::support::{Database, noon, noon_slot};

/// The coins of all commits: writers share them.
pub fn coin(number: u32) -> CoinId {
    format!("coin-{number}").parse().unwrap()
}

/// The slot of a writer.
pub fn slot_of(writer: usize) -> Slot {
    let half_hours = i32::try_from(writer).unwrap();
    Slot::containing(noon_slot().start() + Slot::LENGTH * half_hours)
}

fn run_of(writer: usize) -> String {
    format!("run-{writer}")
}

/// A body that nobody has: its row is all that a commit needs.
fn landed(run: &str, number: u32) -> Landed {
    Landed {
        path: format!("{run}/{number}"),
        request: "GET /".to_owned(),
        status: 200,
        headers: Default::default(),
        sha256: String::new(),
        bytes: 0,
        received_at: noon() + TimeDelta::seconds(number.into()),
    }
}

fn start(writer: usize, scope: Scope) -> RunStart {
    RunStart {
        id: run_of(writer),
        kind: "test",
        scope,
        started_at: Utc::now(),
        rule_set: String::new(),
        api_url: String::new(),
        settings: "{}".to_owned(),
    }
}

/// A store that a writer commits to, under a run that has begun.
pub enum Store {
    Snapshot(SnapshotStore),
    Series(TimeseriesStore),
}

/// Which of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    Snapshot,
    Series,
}

/// What a commit brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A point of a span that is not covered yet, of a coin by its number.
    New(u32),
    /// Another value for the point before, and the same point where that was never stored.
    Again,
}

/// A commit of a writer: no two have the same number.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub number: u32,
    pub what: What,
    /// The coin of the newest step that brought a new one, and its number.
    pub before: (u32, u32),
}

pub const RESOLUTIONS: [Resolution; 3] =
    [Resolution::FiveMinutes, Resolution::Hour, Resolution::Day];

const DAY: i64 = 86_400_000;

/// The stamp of a step's point.
fn ts(number: u32) -> i64 {
    i64::from(number) * DAY
}

impl Store {
    pub async fn open(base: Base, database: &Database) -> Self {
        let url = database.database_url();
        match base {
            Base::Snapshot => Self::Snapshot(SnapshotStore::open(&url, "usd").await.unwrap()),
            Base::Series => Self::Series(TimeseriesStore::open(&url, "usd").await.unwrap()),
        }
    }

    /// Begins a run, which also stamps what waits for its instant.
    pub async fn begin(&mut self, writer: usize) {
        let clock = Clock::System;
        match self {
            Self::Snapshot(store) => {
                let start = start(writer, Scope::Slot(slot_of(writer)));
                store.begin_run(&start, clock).await.unwrap();
            }
            Self::Series(store) => {
                let scope = Scope::Series(RESOLUTIONS[writer % RESOLUTIONS.len()]);
                store.begin_run(&start(writer, scope), clock).await.unwrap();
            }
        }
    }

    pub async fn commit(&mut self, writer: usize, step: Step) {
        match self {
            Self::Snapshot(store) => snapshot(store, writer, step).await,
            Self::Series(store) => chart(store, writer, step).await,
        }
    }

    pub async fn pin(&mut self, at: DateTime<Utc>) -> i64 {
        let pin = match self {
            Self::Snapshot(store) => store.pin(at).await,
            Self::Series(store) => store.pin(at).await,
        };
        pin.unwrap().unwrap_or_default()
    }

    pub async fn newest(&mut self) -> i64 {
        let newest = match self {
            Self::Snapshot(store) => store.newest_commit().await,
            Self::Series(store) => store.newest_commit().await,
        };
        newest.unwrap().unwrap_or_default()
    }
}

/// A quote of a coin that its writer's slot does not hold yet, under a symbol of its own.
async fn snapshot(store: &mut SnapshotStore, writer: usize, step: Step) {
    let mut measures = [None; MEASURES];
    measures[Measure::CurrentPrice as usize] = Some(f64::from(step.number));
    let quote = Quote {
        id: coin(step.number),
        symbol: format!("{writer}-{}", step.number),
        name: None,
        market_cap_rank: None,
        measures,
        ath_date: None,
        atl_date: None,
        roi_currency: None,
        last_updated: None,
    };
    let commit = SnapshotCommit {
        run: run_of(writer),
        slot: slot_of(writer),
        top: 0,
        expected: 1000,
        received: step.number.into(),
        account: Account {
            missing: vec![Absent::coin(
                format!("after-{}", step.number),
                "not received",
            )],
            ..Account::default()
        },
        bodies: vec![landed(&run_of(writer), step.number)],
        quotes: vec![QuoteRow {
            quote,
            derived: Default::default(),
            warnings: Vec::new(),
            body: 0,
        }],
        refused: Vec::new(),
        requeued: Vec::new(),
    };
    let end = |hash: &str| RunEnd {
        state: "running",
        finished_at: Utc::now(),
        expected: None,
        received: None,
        accepted: None,
        rejected: None,
        stored: None,
        calls: None,
        score: None,
        content_hash: Some(hash.to_owned()),
        error: None,
        report: None,
        drift: Vec::new(),
    };
    let committed = store.commit_snapshot(&commit, Clock::System, end).await;
    committed.unwrap();
}

/// A chart of one point, whose price is the step's number.
async fn chart(store: &mut TimeseriesStore, writer: usize, step: Step) {
    let (of, at) = match step.what {
        What::New(of) => (of, step.number),
        What::Again => step.before,
    };
    let span = Span {
        start: ts(at),
        end: ts(at + 1),
    };
    let chart = ReceivedChart {
        landed: landed(&run_of(writer), step.number),
        coin: coin(of),
        resolution: RESOLUTIONS[writer % RESOLUTIONS.len()],
        span: Some(span),
        coverage: ChartCoverage {
            covers: vec![span],
            ..ChartCoverage::default()
        },
        behind: None,
        tail: None,
        last: None,
        points: vec![PricePoint {
            ts: ts(at),
            price: Some(f64::from(step.number)),
            market_cap: None,
            volume: None,
        }],
        refused: Vec::new(),
        fresh: matches!(step.what, What::New(_)),
    };
    let commit = SeriesCommit {
        charts: vec![chart],
        ..SeriesCommit::default()
    };
    let committed = store.commit(&run_of(writer), &commit, Clock::System).await;
    committed.unwrap();
}
