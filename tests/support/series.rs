//! What the tests of time series share: a market with both databases, runs over it, and what the series database then holds.
//! Rows are read by SQL, not through the product; numbers are compared by their bits.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each test takes what it needs, and one that cannot go on should say where"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use coinmill::clock::Clock;
use coinmill::config::Settings;
use coinmill::error::{Error, Result};
use coinmill::market::CoinId;
use coinmill::pipeline::{self, Backfill, Reach, SeriesReport};
use coinmill::series::Resolution;
use coinmill::sim::{ClockSetting, Market, Sim, SimOptions};
use coinmill::store::{IfHeld, RunEnd, RunStart, TimeseriesStore};
use tokio::sync::Notify;

use crate::support::{Bench, Cell, Database, Kind, noon};

pub const SECOND: i64 = 1000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// A coin, a resolution in minutes and a stamp.
pub type Key = (String, i64, i64);

/// Price, market cap and volume as bits; null is none.
pub type Numbers = [Option<u64>; 3];

/// What a series database says now, by key.
pub type View = BTreeMap<Key, Numbers>;

/// A market, a landing and both databases.
pub struct Mill {
    pub bench: Bench,
    pub timeseries: Database,
}

impl Mill {
    /// A seeded market of so many coins, its clock standing still at noon.
    pub async fn new(kind: Kind, coins: usize) -> Self {
        Self::of(Bench::new(kind, coins).await, kind).await
    }

    /// The same from another seed.
    pub async fn seeded(kind: Kind, seed: u64, coins: usize) -> Self {
        let mut mill = Self::new(kind, coins).await;
        let options = SimOptions {
            market: Market::Seeded { seed, coins },
            clock: ClockSetting::Frozen(noon()),
            ..SimOptions::default()
        };
        mill.bench.sim = Sim::start(options).await.unwrap();
        mill
    }

    /// A market of recordings, its clock standing still at the first.
    pub async fn recorded(kind: Kind, folder: PathBuf) -> Self {
        Self::of(Bench::recorded(kind, folder).await, kind).await
    }

    /// A market with a series database of this kind.
    pub async fn of(bench: Bench, kind: Kind) -> Self {
        let timeseries = series_database(kind).await;
        Self { bench, timeseries }
    }

    /// Points of a chart, closed by the live point as in every chart that ends now.
    pub fn closed(&self, points: &str) -> String {
        let now = self.bench.sim.now().timestamp() * SECOND;
        let live = |closing: &str| format!("],[{now},1]]{closing}");
        points
            .replace("]],\"", &live(",\""))
            .replace("]]}", &live("}"))
    }

    /// Answers the next call with these points of a chart, closed.
    pub fn answer(&self, points: &str) {
        self.bench.body(&self.closed(points));
    }

    /// A series database of this kind instead of the one that is there.
    pub async fn lose_series(&mut self, kind: Kind) {
        self.timeseries = series_database(kind).await;
    }

    /// Settings for this market and its databases, with these over them.
    pub fn settings(&self, with: &[(&str, &str)]) -> Settings {
        let url = self.timeseries.url();
        let mut all = vec![("timeseries_url", url.as_str())];
        all.extend(with);
        self.bench.settings(&all)
    }

    /// A snapshot of the top coins.
    pub async fn snapshot(&self, top: &str) {
        let settings = self.settings(&[("top", top)]);
        pipeline::run_snapshot(&settings, None, &pipeline::Observer::none())
            .await
            .unwrap();
    }

    /// A time series run.
    pub async fn run(&self, resolution: Resolution, with: &[(&str, &str)]) -> Result<SeriesReport> {
        pipeline::run_timeseries(
            &self.settings(with),
            resolution,
            &pipeline::Observer::none(),
        )
        .await
    }

    /// A five-minute run for bitcoin alone, which needs no snapshot.
    pub async fn bitcoin(&self) -> Result<SeriesReport> {
        self.run(Resolution::FiveMinutes, &BITCOIN).await
    }

    /// A backfill of these coins, or of the top.
    pub async fn backfill(
        &self,
        resolution: Resolution,
        reach: Reach,
        coins: &[&str],
        with: &[(&str, &str)],
    ) -> Result<SeriesReport> {
        let wanted = wanted(resolution, reach, coins);
        pipeline::backfill(&self.settings(with), &wanted, &pipeline::Observer::none()).await
    }

    /// The rows of a query of the series database.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<Cell>> {
        rows(&self.timeseries, sql).await
    }

    /// The first row of a query.
    pub async fn row(&self, sql: &str) -> Vec<Cell> {
        self.rows(sql).await.into_iter().next().expect("a row")
    }

    /// The one number that a query gives.
    pub async fn number(&self, sql: &str) -> i64 {
        self.row(sql).await[0].int()
    }

    /// How many rows a table has.
    pub async fn count(&self, table: &str) -> i64 {
        self.number(&format!("select count(*) from {table}")).await
    }

    /// How many rows there are of all that runs store, `visit` and the ledger aside.
    pub async fn counts(&self) -> Vec<i64> {
        let mut counts = Vec::new();
        for table in [
            "landing",
            "coin",
            "price_point",
            "price_revision",
            "coverage",
            "quarantine",
        ] {
            counts.push(self.count(table).await);
        }
        let miscounted = self.number(MISCOUNTED).await;
        assert_eq!(miscounted, 0, "the tally is not the count");
        counts
    }

    /// The ledger's states, oldest first.
    pub async fn states(&self) -> Vec<String> {
        let rows = self.rows("select state from run order by id").await;
        rows.iter().map(|row| row[0].text().to_owned()).collect()
    }

    /// What the database says now; nothing stands in it twice.
    pub async fn view(&self) -> View {
        self.read("price_now").await
    }

    /// The same of a table that has a point's columns.
    pub async fn read(&self, table: &str) -> View {
        let sql = format!(
            "select c.id, cast(p.resolution as bigint), p.ts, p.price, p.market_cap, p.volume \
             from {table} p join coin c on c.key = p.coin"
        );
        let mut view = View::new();
        for row in self.rows(&sql).await {
            let key = (row[0].text().to_owned(), row[1].int(), row[2].int());
            let numbers = [&row[3], &row[4], &row[5]].map(bits);
            assert_eq!(
                view.insert(key.clone(), numbers),
                None,
                "{key:?} twice in {table}"
            );
        }
        view
    }

    /// What the API was asked for at a resolution, as spans that neither touch nor overlap.
    pub async fn covered(&self, coin: &str, minutes: i64) -> Vec<(i64, i64)> {
        let sql = format!(
            "select v.starts_at, v.ends_at from coverage v join coin c on c.key = v.coin \
             where c.id = '{coin}' and v.resolution = {minutes} order by v.starts_at, v.ends_at"
        );
        let mut spans: Vec<(i64, i64)> = Vec::new();
        for row in self.rows(&sql).await {
            let (start, end) = (row[0].int(), row[1].int());
            match spans.last_mut().filter(|last| start <= last.1) {
                Some(last) => last.1 = last.1.max(end),
                None => spans.push((start, end)),
            }
        }
        spans
    }

    /// The same for every coin at every resolution.
    pub async fn coverage(&self) -> BTreeMap<(String, i64), Vec<(i64, i64)>> {
        let sql = "select c.id, cast(v.resolution as bigint), v.starts_at, v.ends_at from coverage v \
                   join coin c on c.key = v.coin order by c.id, v.resolution, v.starts_at, v.ends_at";
        let mut coverage: BTreeMap<(String, i64), Vec<(i64, i64)>> = BTreeMap::new();
        for row in self.rows(sql).await {
            let key = (row[0].text().to_owned(), row[1].int());
            let (start, end) = (row[2].int(), row[3].int());
            let spans = coverage.entry(key).or_default();
            match spans.last_mut().filter(|last| start <= last.1) {
                Some(last) => last.1 = last.1.max(end),
                None => spans.push((start, end)),
            }
        }
        coverage
    }

    /// Points that no span covered by their own body holds, covered spans that hold no point, and resolutions that are not
    /// tallied as they are: there are none of either.
    pub async fn torn(&self) -> i64 {
        torn(&self.timeseries).await
    }

    /// The coins that the market was asked for charts of, in order.
    pub fn requested(&self) -> Vec<String> {
        let coin = |(path, _): (String, u16)| {
            let rest = path.strip_prefix("/coins/")?;
            Some(rest.split_once("/market_chart")?.0.to_owned())
        };
        self.bench.calls().into_iter().filter_map(coin).collect()
    }

    /// Writes that a run of a resolution died, so that the next recovers what it landed.
    pub async fn bury(&self, run: &str, kind: &str, resolution: Resolution, began: DateTime<Utc>) {
        let (began, minutes) = (self.timeseries.instant(began), resolution.minutes());
        let sql = format!(
            "insert into run (id, kind, resolution, state, started_at, version, rule_set, api_url) \
             values ('{run}', '{kind}', {minutes}, 'abandoned', {began}, '0', '-', '-')"
        );
        self.rows(&sql).await;
    }
}

/// The rows of a query of a series database.
pub async fn rows(database: &Database, sql: &str) -> Vec<Vec<Cell>> {
    if matches!(database, Database::Postgres { .. }) {
        database.rows("set search_path = timeseries").await;
    }
    database.rows(sql).await
}

/// A run in this process that has some coins and does nothing with them.
pub struct Claimant {
    store: TimeseriesStore,
    run: String,
}

impl Claimant {
    pub async fn of(
        mill: &Mill,
        kind: &'static str,
        resolution: Resolution,
        coins: &[&str],
    ) -> Self {
        let url = mill.timeseries.database_url();
        let mut store = TimeseriesStore::open(&url, "usd").await.unwrap();
        let start = RunStart {
            id: uuid::Uuid::now_v7().to_string(),
            kind,
            scope: resolution.into(),
            started_at: noon(),
            rule_set: "-".to_owned(),
            api_url: "-".to_owned(),
            settings: "{}".to_owned(),
        };
        let coins: Vec<CoinId> = coins.iter().map(|coin| coin.parse().unwrap()).collect();
        let clock = Clock::Frozen(noon());
        let held = store.begin_claiming(&start, clock, &coins, IfHeld::LeaveOut);
        assert_eq!(held.await.unwrap(), []);
        Self {
            store,
            run: start.id,
        }
    }

    /// Ends it in good order.
    pub async fn end(mut self) {
        let end = RunEnd {
            state: "complete",
            finished_at: noon(),
            expected: None,
            received: None,
            accepted: None,
            rejected: None,
            stored: None,
            calls: None,
            score: None,
            content_hash: None,
            error: None,
            report: None,
            drift: Vec::new(),
        };
        self.store.end_run(&self.run, &end).await.unwrap();
        self.store.close().await.unwrap();
    }
}

/// As [`Mill::torn`].
pub async fn torn(database: &Database) -> i64 {
    let torn = "select (select count(*) from price_point p where not exists (select 1 from coverage v where v.coin = p.coin \
                and v.resolution = p.resolution and v.landing = p.landing and p.ts >= v.starts_at and p.ts < v.ends_at)) \
                + (select count(*) from coverage v where not exists (select 1 from price_point p where p.coin = v.coin \
                and p.resolution = v.resolution and p.ts >= v.starts_at and p.ts < v.ends_at)) \
                + (select count(*) from coverage v join landing l on l.id = v.landing where l.\"commit\" <> v.\"commit\") \
                + (select count(*) from empty_span v join landing l on l.id = v.landing where l.\"commit\" <> v.\"commit\")";
    rows(database, torn).await[0][0].int() + rows(database, MISCOUNTED).await[0][0].int()
}

/// Resolutions of which the newest tally is not what a count gives.
const MISCOUNTED: &str = r#"select count(*) from resolution r
    left join (select resolution, count(distinct coin) as coins, count(*) as points, min(ts) as first_ts, max(ts) as newest_ts
               from price_point group by resolution) c on c.resolution = r.minutes
    left join tally t on t.resolution = r.minutes
              and t."commit" = (select max(n."commit") from tally n where n.resolution = r.minutes)
    where coalesce(c.points, 0) <> coalesce(t.points, 0) or coalesce(c.coins, 0) <> coalesce(t.coins, 0)
    or c.first_ts is distinct from t.first_ts or c.newest_ts is distinct from t.newest_ts"#;

async fn series_database(kind: Kind) -> Database {
    let database = Database::bare(kind).await;
    TimeseriesStore::init(&database.database_url(), "usd")
        .await
        .unwrap();
    database
}

/// Bitcoin by name, and no top.
pub const BITCOIN: [(&str, &str); 2] = [("top", "0"), ("coins", "bitcoin")];

/// A backfill.
pub fn wanted(resolution: Resolution, reach: Reach, coins: &[&str]) -> Backfill {
    let coins = coins.iter().map(|coin| coin.parse().unwrap()).collect();
    Backfill {
        resolution,
        reach,
        coins,
        refetch: false,
        spend: None,
    }
}

/// A number's bits, or none for null.
pub fn bits(cell: &Cell) -> Option<u64> {
    match cell {
        Cell::Null => None,
        number => Some(number.float().to_bits()),
    }
}

/// The report within an [`Error::Incomplete`].
pub fn partial(outcome: Result<SeriesReport>) -> serde_json::Value {
    match outcome {
        Err(Error::Incomplete { report, .. }) => *report,
        other => panic!("not incomplete: {other:?}"),
    }
}

/// The outcome of what can be held for a moment by a run that was killed: its connection has to close first.
pub async fn once_free<T>(mut run: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let freed = async {
        loop {
            match run().await {
                Err(Error::Held { .. }) => tokio::task::yield_now().await,
                other => return other,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), freed)
        .await
        .expect("the lock of a run that was killed is never given back")
}

/// Progress that a test can wait for.
#[derive(Default)]
pub struct Watch {
    received: AtomicU64,
    changed: Notify,
}

impl Watch {
    pub fn note(&self, received: u64) {
        self.received.store(received, Ordering::SeqCst);
        self.changed.notify_one();
    }

    /// Returns once so many charts have been received.
    pub async fn until(&self, received: u64) {
        while self.received.load(Ordering::SeqCst) < received {
            self.changed.notified().await;
        }
    }
}

/// A chart's body of raw tokens: stamp, price, market cap, volume.
pub fn chart(points: &[(i64, &str, &str, &str)]) -> String {
    let array = |token: fn(&(i64, &str, &str, &str)) -> String| {
        points.iter().map(token).collect::<Vec<_>>().join(",")
    };
    format!(
        r#"{{"prices":[{}],"market_caps":[{}],"total_volumes":[{}]}}"#,
        array(|point| format!("[{},{}]", point.0, point.1)),
        array(|point| format!("[{},{}]", point.0, point.2)),
        array(|point| format!("[{},{}]", point.0, point.3)),
    )
}

/// A chart of prices this far apart, the first at a stamp; cap and volume are 1.
pub fn prices(first: i64, step: i64, prices: &[&str]) -> String {
    let points: Vec<_> = prices
        .iter()
        .zip(0..)
        .map(|(price, place)| (first + place * step, *price, "1", "1"))
        .collect();
    chart(&points)
}
