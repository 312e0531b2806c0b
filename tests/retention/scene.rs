//! A mill that has been at work for some days, and everything that a prune could touch of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use coinmill::error::Result;
use coinmill::pipeline::{self, PruneReport, PrunedPart, Reach};
use coinmill::series::Resolution;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::series::{Mill, View};
use crate::support::{Cell, Kind, noon};

/// Coins of the market.
pub const COINS: usize = 4;

/// What is before this, one day's retention does not keep.
pub fn yesterday() -> DateTime<Utc> {
    "2026-01-13T00:00:00Z".parse().unwrap()
}

/// Four days, each with a snapshot and a run at `5m`, and on the last of them a week at `1h` and ten days at `1d`. Some points
/// of each resolution have a later value.
pub async fn four_days(kind: Kind) -> Mill {
    let mill = Mill::new(kind, COINS).await;
    for day in (0..4).rev() {
        mill.bench
            .sim
            .set_clock(noon() - TimeDelta::days(day))
            .unwrap();
        mill.snapshot("4").await;
        mill.run(Resolution::FiveMinutes, &[]).await.unwrap();
    }
    for (resolution, days) in [(Resolution::Hour, 7), (Resolution::Day, 10)] {
        let done = mill.backfill(resolution, Reach::Days(days), &[], &[("top", "4")]);
        done.await.unwrap();
    }
    mill.rows("insert into price_revision select * from price_point p where (p.resolution, p.landing) in (\
               select m.resolution, min(m.landing) from price_point m group by m.resolution)")
        .await;
    mill
}

/// A prune with these settings.
pub async fn prune(mill: &Mill, with: &[(&str, &str)]) -> Result<PruneReport> {
    pipeline::prune(&mill.settings(with), false).await
}

/// What it did of one thing, or would do.
pub fn part<'a>(report: &'a PruneReport, what: &str) -> &'a PrunedPart {
    report.pruned.iter().find(|part| part.what == what).unwrap()
}

/// The rows of a table that are at a resolution, or at all others.
pub async fn at(mill: &Mill, table: &str, minutes: i64, is_at: bool) -> Vec<Vec<Cell>> {
    let not = if is_at { "" } else { "not" };
    let which = format!("{not} resolution = {minutes}");
    mill.read_rows(table, &which).await
}

impl Mill {
    /// The rows of a table with these of its columns that have one kind in both databases.
    pub async fn read_rows(&self, table: &str, which: &str) -> Vec<Vec<Cell>> {
        let columns = match table {
            "price_point" | "price_revision" => "ts, price, market_cap, volume",
            _ => "starts_at, ends_at",
        };
        let sql = format!(
            "select coin, cast(resolution as bigint), {columns}, landing from {table} where {which} \
             order by coin, resolution, {columns}, landing"
        );
        self.rows(&sql).await
    }

    /// What stands in the tables that a prune may touch, and in those that it may not.
    pub async fn standing(&self) -> Vec<Vec<Vec<Cell>>> {
        let mut all = Vec::new();
        for table in ["price_point", "price_revision", "coverage", "empty_span"] {
            all.push(self.read_rows(table, "1 = 1").await);
        }
        for sql in [
            "select id, path from landing order by id",
            "select id, run from \"commit\" order by id",
            "select id, state from run order by id",
            "select \"commit\", points from pruned order by 1",
            "select cast(resolution as bigint), \"commit\", points, coins from tally order by 1, 2",
        ] {
            all.push(self.rows(sql).await);
            all.push(match sql.contains("tally") {
                true => Vec::new(),
                false => self.bench.database.rows(sql).await,
            });
        }
        all
    }

    /// The points at a resolution from an instant on.
    pub async fn since(&self, minutes: i64, at: DateTime<Utc>) -> View {
        let mut view = self.view().await;
        view.retain(|key, _| key.1 != minutes || key.2 >= at.timestamp_millis());
        view
    }
}

/// Every file below a folder with its size.
pub fn files(folder: &Path) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.display().to_string(), path.metadata().unwrap().len());
        }
    }
    found
}

/// The days that have a folder in the landing.
pub fn days(mill: &Mill) -> Vec<String> {
    let entries = std::fs::read_dir(mill.bench.landing()).unwrap();
    let mut days: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    days.sort_unstable();
    days
}

/// Stops whoever comes to a place first. Says when it is there, and lets it go.
pub fn stopped_at(place: &'static str) -> (UnboundedReceiver<()>, Sender<()>) {
    let (told, there) = unbounded_channel();
    let (let_go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let stop = move || {
        let _first_alone = told.send(());
        let wait = wait.lock().unwrap();
        // the runtime goes on meanwhile
        let _in_time = tokio::task::block_in_place(|| wait.recv_timeout(Duration::from_secs(20)));
    };
    fail::cfg_callback(place, stop).unwrap();
    (there, let_go)
}
