//! The kinds of run that are killed: what they are asked for, and which places they pass how often.

use coinmill::error::Result;
use coinmill::failpoint as place;
use coinmill::landing::runs_of;
use coinmill::pipeline::{self, Reach, RunState};
use coinmill::series::Resolution;
use coinmill::store::{Budget, SnapshotStore, TimeseriesStore};

use crate::series::{Mill, torn, wanted};
use crate::support::{Bench, Cell, Database, Kind, noon};

/// A kind of run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Two pages, one commit.
    Snapshot,
    /// Six coins at `5m`, one commit.
    Timeseries,
    /// 104 coins at `1h`, two commits: a hundred charts are a batch. Of 52 of them days in the middle are there already.
    Backfill,
}

/// What an undisturbed run came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Came {
    pub calls: u64,
    pub stored: u64,
    pub is_complete: bool,
}

/// A limit, so that calls are reserved, and one that no run reaches.
pub const CREDITS: (&str, &str) = ("credits_per_month", "10000000");

impl Work {
    pub fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Timeseries => "timeseries",
            Self::Backfill => "backfill",
        }
    }

    pub fn coins(self) -> usize {
        match self {
            Self::Snapshot => 300,
            Self::Timeseries => 6,
            Self::Backfill => 104,
        }
    }

    /// As the program is told it.
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Snapshot => &["run", "snapshot", "--top", "300", "--json"],
            Self::Timeseries => &["run", "timeseries", "--json"],
            Self::Backfill => &["backfill", "--days", "6", "--top", "104", "--json"],
        }
    }

    /// The same run in this process.
    pub async fn here(self, mill: &Mill) -> Result<Came> {
        self.here_with(mill, &[]).await
    }

    /// The same run in this process, with these settings over the others.
    pub async fn here_with(self, mill: &Mill, with: &[(&str, &str)]) -> Result<Came> {
        let top = self.coins().to_string();
        let mut all = vec![("top", top.as_str()), CREDITS, ("attempts", "1")];
        all.extend(with);
        let settings = mill.settings(&all);
        let came = |report: pipeline::SeriesReport| Came {
            calls: report.calls,
            stored: report.stored + report.revisions,
            is_complete: report.state == RunState::Complete,
        };
        match self {
            Self::Snapshot => {
                let report =
                    pipeline::run_snapshot(&settings, None, &pipeline::Observer::none()).await?;
                Ok(Came {
                    calls: report.calls,
                    stored: report.stored,
                    is_complete: report.state == RunState::Complete,
                })
            }
            Self::Timeseries => {
                let five = Resolution::FiveMinutes;
                pipeline::run_timeseries(&settings, five, &pipeline::Observer::none())
                    .await
                    .map(came)
            }
            Self::Backfill => {
                let days = wanted(Resolution::Hour, Reach::Days(6), &[]);
                pipeline::backfill(&settings, &days, &pipeline::Observer::none())
                    .await
                    .map(came)
            }
        }
    }

    /// A market and databases as they are before such a run; the databases are on a server, or SQLite files.
    pub async fn before(self, server: Option<&str>) -> Mill {
        let bare = async || match server {
            Some(server) => Database::bare_on(server).await,
            None => Database::bare(Kind::Sqlite).await,
        };
        let mut bench = Bench::market(self.coins()).await;
        bench.database = bare().await;
        let timeseries = match self {
            Self::Snapshot => Database::bare(Kind::Sqlite).await,
            Self::Timeseries | Self::Backfill => bare().await,
        };
        let mill = Mill { bench, timeseries };
        SnapshotStore::init(&mill.bench.database.database_url(), "usd")
            .await
            .unwrap();
        Budget::init(&mill.bench.settings(&[]).budget_url)
            .await
            .unwrap();
        if self == Self::Snapshot {
            return mill;
        }
        TimeseriesStore::init(&mill.timeseries.database_url(), "usd")
            .await
            .unwrap();
        mill.snapshot(&self.coins().to_string()).await;
        if self == Self::Backfill {
            let (from, to) = ("2026-01-10T12:00:00Z", "2026-01-12T11:00:00Z");
            let between = Reach::Between(from.parse().unwrap(), Some(to.parse().unwrap()));
            let top = [("top", "52")];
            let report = mill.backfill(Resolution::Hour, between, &[], &top).await;
            assert_eq!(report.unwrap().calls, 52);
        }
        mill
    }

    /// The database that the run writes its rows to.
    pub fn written(self, mill: &Mill) -> &Database {
        match self {
            Self::Snapshot => &mill.bench.database,
            Self::Timeseries | Self::Backfill => &mill.timeseries,
        }
    }

    /// The ledger's states, oldest first.
    pub async fn states(self, mill: &Mill) -> Vec<String> {
        match self {
            Self::Snapshot => mill.bench.database.states().await,
            Self::Timeseries | Self::Backfill => mill.states().await,
        }
    }

    /// True where no reader could see half of a commit. It reads a copy of a SQLite file, so that the next run finds the
    /// journal as it was left.
    pub async fn is_whole(self, mill: &Mill) -> bool {
        let copy = match self.written(mill) {
            server @ Database::Postgres { .. } => server.again(),
            file => file.copy().await,
        };
        if self != Self::Snapshot {
            return torn(&copy).await == 0;
        }
        let slots = copy.rows("select received, (select count(*) from quote) from snapshot_now");
        match slots.await.first() {
            None => copy.number("select count(*) from quote").await == 0,
            Some(slot) => slot[0] == slot[1],
        }
    }

    /// True where every commit has its instant, and none is before that of an earlier one.
    pub async fn is_stamped(self, mill: &Mill) -> bool {
        let sql = r#"select at from "commit" order by id"#;
        let rows = match self {
            Self::Snapshot => mill.bench.database.rows(sql).await,
            Self::Timeseries | Self::Backfill => mill.rows(sql).await,
        };
        let known = rows.iter().all(|row| row[0] != Cell::Null);
        known && rows.iter().map(|row| row[0].int()).is_sorted()
    }

    /// What is listed in the landing, as paths below the API's root.
    pub fn listed(self, mill: &Mill) -> Vec<String> {
        let (root, api) = (mill.bench.landing(), mill.bench.sim.url());
        let runs = if root.exists() {
            runs_of(&root, noon().date_naive()).unwrap()
        } else {
            Vec::new()
        };
        let bodies = runs.iter().flat_map(|(_, bodies)| bodies);
        bodies
            .map(|body| body.url().strip_prefix(&api).unwrap().to_owned())
            .collect()
    }

    /// How often an undisturbed run passes each place. What is 0 here is never reached by this kind of run.
    pub fn passes(self) -> [(&'static str, u64); place::ALL.len()] {
        let (bodies, commits) = match self {
            Self::Snapshot => (2, 1),
            Self::Timeseries => (6, 1),
            Self::Backfill => (104, 2),
        };
        let (reservations, ends) = match self {
            // one call at a time; the end is written in the commit itself
            Self::Snapshot => (2, 0),
            Self::Timeseries => (1, 1),
            // in blocks of twenty
            Self::Backfill => (6, 1),
        };
        [
            (place::RUN_BEGUN, 1),
            (place::CALLS_RESERVED, reservations),
            (place::FOLDER_HALF_MADE, 1),
            (place::RESPONSE_RECEIVED, bodies),
            (place::BODY_HALF_LANDED, bodies),
            (place::BODY_NOT_LISTED, bodies),
            (place::BODY_HALF_LISTED, bodies),
            (place::BEFORE_COMMIT, commits),
            (place::COMMIT_BEGUN, commits),
            (place::COMMIT_HALF_DONE, commits),
            (place::COMMIT_NOT_SENT, commits),
            (place::COMMITTED, commits),
            (place::COMMIT_STAMPED, commits),
            // a prune's own, whose kills are in `tests/retention`
            (place::HORIZON_RECORDED, 0),
            (place::POINTS_HALF_PRUNED, 0),
            (place::BODIES_HALF_PRUNED, 0),
            (place::RUN_ENDED, ends),
        ]
    }

    /// True where a run that was killed at a pass of a place had written its end.
    pub fn has_ended(self, place: &str) -> bool {
        match self {
            Self::Snapshot => [place::COMMITTED, place::COMMIT_STAMPED].contains(&place),
            Self::Timeseries | Self::Backfill => place == place::RUN_ENDED,
        }
    }
}
