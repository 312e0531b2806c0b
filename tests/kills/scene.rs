//! A stage on which the same run is killed again and again: every scene begins with the same databases, in a market that
//! stands still. What must be true after each is asked here, once for all kinds of run.

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coinmill::failpoint;

use crate::content::Content;
use crate::series::Mill;
use crate::support::command::{coinmill, finish, json, text};
use crate::support::database::administrator;
use crate::support::tally::Seen;
use crate::support::{Bench, Database, Kind, assert_silent};
use crate::work::{CREDITS, Came, Work};

/// How a run is killed.
#[derive(Debug, Clone, Copy)]
pub enum Harm {
    /// By itself, at the pass of a place that has this number.
    At(&'static str, u64),
    /// From outside, so long after it was started; it may have ended by then.
    After(Duration),
}

/// A kind of run on a kind of database, with what it begins with and what it leaves where nobody disturbs it.
pub struct Stage {
    /// Runs in this process pass places too: where tests share one they take turns.
    _alone: fail::FailScenario<'static>,
    work: Work,
    /// The market, which is the same in all scenes, with the landing and the databases of the one that is on.
    mill: Mill,
    /// The databases as every scene begins with them.
    before: Mill,
    calm: Calm,
}

/// What the undisturbed run came to.
struct Calm {
    content: Content,
    calls: u64,
    length: Duration,
}

const SIGKILL: i32 = 9;

impl Stage {
    pub async fn set(work: Work, kind: Kind) -> Self {
        let alone = fail::FailScenario::setup();
        let server = (kind == Kind::Postgres).then(administrator);
        let before = work.before(server.as_deref()).await;
        let mill = Mill {
            bench: Bench::market(work.coins()).await,
            timeseries: Database::bare(Kind::Sqlite).await,
        };
        let calm = Calm {
            content: Content::Nothing,
            calls: 0,
            length: Duration::ZERO,
        };
        let mut stage = Self {
            _alone: alone,
            work,
            mill,
            before,
            calm,
        };
        stage.begin().await;
        let began = Instant::now();
        let output = finish(stage.command(None)).await;
        stage.calm = Calm {
            length: began.elapsed(),
            calls: stage.mill.bench.sim.calls(),
            content: Content::of(work, &stage.mill).await,
        };
        assert!(output.status.success(), "{}", text(&output));
        stage.end().await;
        stage
    }

    /// How long an undisturbed run takes.
    pub fn length(&self) -> Duration {
        self.calm.length
    }

    /// Notes that a run had ended by an instant.
    pub fn is_shorter_than(&mut self, instant: Duration) {
        self.calm.length = self.calm.length.min(instant);
    }

    /// Begins a scene: the databases as they are before the run, and an empty landing.
    async fn begin(&mut self) {
        // a series run only reads the snapshot database, but for the account of calls
        self.mill.bench.database = match (&self.before.bench.database, self.work) {
            (shared @ Database::Postgres { .. }, Work::Timeseries | Work::Backfill) => {
                shared.again()
            }
            (database, _) => database.copy().await,
        };
        self.mill.timeseries = match self.work {
            Work::Snapshot => Database::bare(Kind::Sqlite).await,
            Work::Timeseries | Work::Backfill => self.before.timeseries.copy().await,
        };
        self.mill.bench.folder = tempfile::tempdir().unwrap();
    }

    async fn end(&self) {
        self.work.written(&self.mill).remove().await;
    }

    /// One scene: the run is killed in each of these ways in turn, then left alone. Returns how many were killed before
    /// they had ended, too.
    pub async fn play(&mut self, harms: &[Harm]) -> (Seen, u64) {
        let mut seen = Seen::default();
        self.begin().await;
        let mut killed = 0;
        for harm in harms {
            killed += u64::from(self.kill(*harm, &mut seen).await);
        }
        let [.., last] = harms else { panic!("no harm") };
        self.heal(*last, killed, &mut seen).await;
        self.end().await;
        (seen, killed)
    }

    /// How often an undisturbed run in this process passes each place.
    pub async fn count_passes(&mut self) -> Vec<(&'static str, u64)> {
        let counters: Vec<(&'static str, Arc<AtomicU64>)> = failpoint::ALL
            .iter()
            .map(|place| (*place, Arc::default()))
            .collect();
        for (place, counter) in &counters {
            let counter = Arc::clone(counter);
            let count = move || {
                counter.fetch_add(1, Ordering::SeqCst);
            };
            fail::cfg_callback(*place, count).unwrap();
        }
        self.begin().await;
        self.work.here(&self.mill).await.unwrap();
        self.end().await;
        for (place, _) in &counters {
            fail::remove(place);
        }
        let counted = |(place, counter): (&'static str, Arc<AtomicU64>)| {
            (place, counter.load(Ordering::SeqCst))
        };
        counters.into_iter().map(counted).collect()
    }

    fn command(&self, harm: Option<Harm>) -> std::process::Command {
        let (bench, series) = (&self.mill.bench, &self.mill.timeseries);
        let with = [("CREDITS_PER_MONTH", CREDITS.1)];
        let mut command = coinmill(bench, Some(series), self.work.arguments(), &with);
        if let Some(Harm::At(place, pass)) = harm {
            let spared = pass - 1;
            command.env("FAILPOINTS", format!("{place}={spared}*off->return"));
        }
        command
    }

    /// Kills a run, and looks at what it leaves. False where the run had ended before.
    async fn kill(&self, harm: Harm, seen: &mut Seen) -> bool {
        let listed = self.work.listed(&self.mill);
        let calls = self.mill.bench.calls().len();
        let mut command = self.command(Some(harm));
        let ended = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            if let Harm::After(instant) = harm {
                std::thread::sleep(instant);
                child.kill().unwrap();
            }
            child.wait_with_output().unwrap()
        });
        let output = ended.await.unwrap();
        assert_silent(&text(&output));
        let killed = output.status.signal() == Some(SIGKILL);
        if matches!(harm, Harm::At(..)) {
            seen.expect(killed, || format!("not reached: {}", text(&output)));
        }
        self.work.written(&self.mill).until_deserted().await;
        seen.paid_twice += self.paid_twice(&listed, calls);
        seen.expect(self.work.is_whole(&self.mill).await, || {
            "half a commit".to_owned()
        });
        killed
    }

    /// Runs again, and once more, and compares with the undisturbed run.
    async fn heal(&self, last: Harm, killed: u64, seen: &mut Seen) {
        let listed = self.work.listed(&self.mill);
        let calls = self.mill.bench.calls().len();
        let output = finish(self.command(None)).await;
        let report = json(&output);
        let fine = output.status.success() && report["state"] == "complete";
        seen.expect(fine, || text(&output));
        seen.paid_twice += self.paid_twice(&listed, calls);
        // what was listed is recovered, and only what was not is fetched
        let rest = self.calm.calls - listed.len() as u64;
        seen.expect(report["calls"] == rest, || {
            format!("{rest} were to be asked for: {report}")
        });
        let content = Content::of(self.work, &self.mill).await;
        let before = (seen.lost, seen.doubled);
        content.compare(&self.calm.content, seen);
        seen.silent |= fine && before != (seen.lost, seen.doubled);
        self.check_ledger(last, killed, seen).await;
        seen.expect(self.work.is_stamped(&self.mill).await, || {
            "a commit without its instant".to_owned()
        });

        let calls = self.mill.bench.calls().len();
        let third = self.work.here(&self.mill).await;
        let nothing = Came {
            calls: 0,
            stored: 0,
            is_complete: true,
        };
        let idle = matches!(&third, Ok(came) if *came == nothing);
        seen.expect(idle, || format!("the third run: {third:?}"));
        seen.expect(self.mill.bench.calls().len() == calls, || {
            "the third run asked".to_owned()
        });
        let rows = Content::of(self.work, &self.mill).await;
        rows.compare(&self.calm.content, seen);
    }

    /// Runs that were killed are abandoned, unless they had written their end; the one that was left alone is complete.
    async fn check_ledger(&self, last: Harm, killed: u64, seen: &mut Seen) {
        let rows = self.work.states(&self.mill).await;
        let (healing, dead) = rows.split_last().unwrap();
        let abandoned = dead.iter().filter(|state| *state == "abandoned").count() as u64;
        let stray = dead
            .iter()
            .any(|state| !["abandoned", "complete"].contains(&state.as_str()));
        seen.expect(!stray && healing == "complete", || format!("{rows:?}"));
        match last {
            Harm::At(place, _) => {
                let ended = u64::from(self.work.has_ended(place));
                seen.expect(abandoned == killed - ended, || format!("{rows:?}"));
            }
            // before its first row, in the middle, or after its end
            Harm::After(_) => seen.expect(abandoned <= killed, || format!("{rows:?}")),
        }
    }

    /// How many of the calls from a number on were for what had been listed.
    fn paid_twice(&self, listed: &[String], from: usize) -> u64 {
        let calls = self.mill.bench.calls();
        let again = calls[from..]
            .iter()
            .filter(|(path, _)| listed.contains(path));
        again.count() as u64
    }
}
