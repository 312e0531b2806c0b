//! Killed from outside, at random instants over the length of an undisturbed run.
//! How many is in `COINMILL_CHAOS_INSTANTS`; the instants are the same each time.

use crate::scene::{Harm, Stage};
use crate::support::random::Random;
use crate::support::tally::{INSTANTS, Tally};
use crate::support::{Kind, on_both_databases};
use crate::work::Work;

on_both_databases!(
    a_snapshot_killed_at_any_instant_is_finished_by_the_next,
    a_time_series_run_killed_at_any_instant_is_finished_by_the_next,
    a_backfill_killed_at_any_instant_is_finished_by_the_next,
);

async fn a_snapshot_killed_at_any_instant_is_finished_by_the_next(kind: Kind) {
    at_random(Work::Snapshot, kind).await;
}

async fn a_time_series_run_killed_at_any_instant_is_finished_by_the_next(kind: Kind) {
    at_random(Work::Timeseries, kind).await;
}

async fn a_backfill_killed_at_any_instant_is_finished_by_the_next(kind: Kind) {
    at_random(Work::Backfill, kind).await;
}

async fn at_random(work: Work, kind: Kind) {
    let count = std::env::var(INSTANTS).map_or(3, |count| count.parse().unwrap());
    let mut stage = Stage::set(work, kind).await;
    let mut tally = Tally::new("SIGKILL at a random instant", kind, work.name());
    let mut random = Random(20_260_114);
    let mut left: u32 = count;
    while left > 0 {
        let instant = stage.length().mul_f64(random.share());
        let (seen, killed) = stage.play(&[Harm::After(instant)]).await;
        let had_ended = killed == 0;
        if !had_ended || !seen.is_healed() {
            tally.note(&format!("after {instant:?}"), seen);
            left -= 1;
        }
        if had_ended {
            // the first had a busier machine, or a colder market
            stage.is_shorter_than(instant);
        }
    }
    tally.close();
}
