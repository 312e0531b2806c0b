//! Killed at every named place, where a run passes it several times also at a later pass.
//! Which kind of run passes which place how often is a table in `work`, and is counted here.

use crate::scene::{Harm, Stage};
use crate::support::tally::{Tally, is_long};
use crate::support::{Kind, on_both_databases};
use crate::work::Work;
use coinmill::failpoint;

on_both_databases!(
    a_snapshot_killed_at_any_place_is_finished_by_the_next,
    a_time_series_run_killed_at_any_place_is_finished_by_the_next,
    a_backfill_killed_at_any_place_is_finished_by_the_next,
    a_run_killed_while_it_takes_up_a_killed_one_is_finished_by_the_next,
);

async fn a_snapshot_killed_at_any_place_is_finished_by_the_next(kind: Kind) {
    everywhere(Work::Snapshot, kind).await;
}

async fn a_time_series_run_killed_at_any_place_is_finished_by_the_next(kind: Kind) {
    everywhere(Work::Timeseries, kind).await;
}

async fn a_backfill_killed_at_any_place_is_finished_by_the_next(kind: Kind) {
    everywhere(Work::Backfill, kind).await;
}

async fn everywhere(work: Work, kind: Kind) {
    let mut stage = Stage::set(work, kind).await;
    // a place that is no longer reached, or reached more often, is to be noticed
    assert_eq!(stage.count_passes().await, work.passes());
    let mut tally = Tally::new("SIGKILL at a named place", kind, work.name());
    for (place, passes) in work.passes() {
        for pass in chosen(work, kind, place, passes) {
            let (seen, _) = stage.play(&[Harm::At(place, pass)]).await;
            tally.note(&format!("{place}, pass {pass} of {passes}"), seen);
        }
    }
    tally.close();
}

/// The first pass, and one of the later ones: the last but one of many, so that a batch is committed and the next is not.
fn chosen(work: Work, kind: Kind, place: &str, passes: u64) -> Vec<u64> {
    let (first, later) = match passes {
        0 => return Vec::new(),
        1 => (1, None),
        2 => (1, Some(2)),
        many => (1, Some(many - 1)),
    };
    if is_long() {
        return [Some(first), later].into_iter().flatten().collect();
    }
    match (work, later) {
        // what a backfill does before its second commit a time series run does too
        (Work::Backfill, later) => later
            .filter(|_| passes == 2 || place == failpoint::BODY_NOT_LISTED)
            .into_iter()
            .collect(),
        // the landing does not know the database
        (_, Some(later)) if kind == Kind::Postgres => vec![later],
        _ => vec![first],
    }
}

async fn a_run_killed_while_it_takes_up_a_killed_one_is_finished_by_the_next(kind: Kind) {
    for work in [Work::Snapshot, Work::Timeseries] {
        let mut stage = Stage::set(work, kind).await;
        let mut tally = Tally::new("SIGKILL of two runs in turn", kind, work.name());
        let late = if work == Work::Snapshot { 2 } else { 4 };
        let short = [failpoint::COMMIT_HALF_DONE, failpoint::COMMITTED];
        let long = failpoint::ALL
            .into_iter()
            .filter(|place| work.passes().iter().any(|(own, n)| own == place && *n > 0));
        let seconds: Vec<&str> = long
            .filter(|place| is_long() || short.contains(place))
            .collect();
        for second in seconds {
            let harms = [
                Harm::At(failpoint::BODY_HALF_LISTED, late),
                Harm::At(second, 1),
            ];
            let (seen, _) = stage.play(&harms).await;
            tally.note(&format!("{harms:?}"), seen);
        }
        tally.close();
    }
}
