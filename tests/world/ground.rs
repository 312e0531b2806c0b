//! A run that meets harm, and what must be true after it and after the next: asked here, once for all kinds of harm.
//! The harm itself is done by the tests.

use std::sync::atomic::{AtomicBool, Ordering};

use coinmill::error::{Error, Result};

use crate::content::Content;
use crate::series::Mill;
use crate::support::tally::Seen;
use crate::support::{Database, said};
use crate::work::{Came, Work};

/// A market, a landing and databases, a kind of run, and what it leaves where nobody disturbs it.
pub struct Ground {
    pub work: Work,
    pub mill: Mill,
    before: Mill,
    calm: Content,
}

impl Ground {
    /// Databases on a server, or SQLite files.
    pub async fn lay(work: Work, server: Option<&str>) -> Self {
        let undisturbed = work.before(None).await;
        assert!(work.here(&undisturbed).await.unwrap().is_complete);
        let calm = Content::of(work, &undisturbed).await;
        let before = work.before(server).await;
        let mut ground = Self {
            work,
            mill: undisturbed,
            before,
            calm,
        };
        ground.renew().await;
        ground
    }

    /// Begins again: databases as they are before the run, an empty landing, a market without faults.
    pub async fn renew(&mut self) {
        let snapshot = &self.before.bench.database;
        self.mill.bench.database = match (snapshot, self.work) {
            (server @ Database::Postgres { .. }, Work::Timeseries | Work::Backfill) => {
                server.again()
            }
            _ => snapshot.copy().await,
        };
        self.mill.timeseries = match self.work {
            Work::Snapshot => Database::bare(crate::support::Kind::Sqlite).await,
            Work::Timeseries | Work::Backfill => self.before.timeseries.copy().await,
        };
        self.mill.bench.folder = tempfile::tempdir().unwrap();
        self.mill.bench.sim.clear_faults();
    }

    /// A run whose harm is set; looks at what it says and what it leaves. `words` is to be in what it says.
    pub async fn suffer(&self, with: &[(&str, &str)], words: &[&str]) -> Seen {
        let mut seen = Seen::default();
        let outcome = self.work.here_with(&self.mill, with).await;
        self.check(&outcome, words, &mut seen).await;
        seen
    }

    /// What a run that met harm said, held against what it left.
    pub async fn check(&self, outcome: &Result<Came>, words: &[&str], seen: &mut Seen) {
        let work = self.work;
        work.written(&self.mill).until_deserted().await;
        seen.expect(work.is_whole(&self.mill).await, || {
            "half a commit".to_owned()
        });
        match outcome {
            Ok(came) if came.is_complete => {
                let mut found = Seen::default();
                let content = Content::of(work, &self.mill).await;
                content.compare(&self.calm, &mut found);
                seen.silent |= found.lost + found.doubled > 0;
                seen.expect(words.is_empty(), || "it did not notice".to_owned());
            }
            Ok(came) => seen.expect(came.stored > 0, || format!("{came:?}")),
            Err(error) => {
                let mut text = said(error);
                if let Error::Incomplete { report, .. } = error {
                    text.push_str(&report.to_string());
                }
                let all = words.iter().all(|word| text.contains(word));
                seen.expect(all, || format!("it said: {text}"));
                seen.expect(error.is_retryable(), || format!("final: {text}"));
            }
        }
    }

    /// The next run, and one more: all is as if nothing had been.
    pub async fn heal(&self, seen: &mut Seen) {
        let work = self.work;
        let (listed, calls) = (work.listed(&self.mill), self.mill.bench.calls().len());
        let outcome = work.here(&self.mill).await;
        let complete = matches!(&outcome, Ok(came) if came.is_complete);
        seen.expect(complete, || format!("the next run: {outcome:?}"));
        let again = self.mill.bench.calls();
        let again = again[calls..]
            .iter()
            .filter(|(path, _)| listed.contains(path));
        seen.paid_twice += again.count() as u64;
        let before = (seen.lost, seen.doubled);
        Content::of(work, &self.mill)
            .await
            .compare(&self.calm, seen);
        seen.silent |= complete && before != (seen.lost, seen.doubled);
        let states = work.states(&self.mill).await;
        let ended = states.iter().all(|state| state != "running");
        seen.expect(ended && states.last().unwrap() == "complete", || {
            format!("{states:?}")
        });
        seen.expect(work.is_stamped(&self.mill).await, || {
            "a commit without its instant".to_owned()
        });
        let third = work.here(&self.mill).await;
        let idle = matches!(&third, Ok(came) if came.calls == 0 && came.stored == 0);
        seen.expect(idle, || format!("the third run: {third:?}"));
    }
}

/// Harm that is done once, at the first pass of a place.
pub fn once_at(place: &'static str, harm: impl Fn() + Send + Sync + 'static) {
    let done = AtomicBool::new(false);
    let once = move || {
        if !done.swap(true, Ordering::SeqCst) {
            harm();
        }
    };
    fail::cfg_callback(place, once).unwrap();
}
