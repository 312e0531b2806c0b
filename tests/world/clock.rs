//! Clocks that jump back, between runs and within one, and a machine whose clock is not the API's: nothing is stored under
//! a time that it is not of.

use chrono::TimeDelta;
use coinmill::error::{Error, Result};
use coinmill::pipeline::{self, Progress, Report, SeriesReport};
use coinmill::series::Resolution;

use crate::series::{MINUTE, Mill};
use crate::support::tally::{Seen, Tally};
use crate::support::{Bench, Cell, Database, Kind, noon, on_both_databases, report_of, said};

on_both_databases!(
    no_quote_is_labelled_with_a_wrong_slot,
    no_point_lies_outside_what_is_covered,
);

const FIVE: Resolution = Resolution::FiveMinutes;

/// A snapshot of two pages; when the first has come the API's clock jumps.
async fn jumping(bench: &Bench, jump: TimeDelta, with: &[(&str, &str)]) -> Result<Report> {
    let jumped = std::sync::atomic::AtomicBool::new(false);
    let observer = |progress: Progress| {
        if progress.received > 0 && !jumped.swap(true, std::sync::atomic::Ordering::SeqCst) {
            bench.sim.advance(jump).unwrap();
        }
    };
    let mut all = vec![("top", "300"), ("attempts", "1")];
    all.extend(with);
    pipeline::run_snapshot(
        &bench.settings(&all),
        None,
        &pipeline::Observer::new(&observer),
    )
    .await
}

/// Quotes whose body was sent outside their slot, by the API's clock, a minute before and five after aside.
async fn wrong_slots(bench: &Bench) -> usize {
    let mut sent = std::collections::HashMap::new();
    for day in ["2026-01-14", "2026-01-13"] {
        let runs = coinmill::landing::runs_of(&bench.landing(), day.parse().unwrap()).unwrap();
        for body in runs.into_iter().flat_map(|(_, bodies)| bodies) {
            sent.insert(body.path.clone(), body.sent_at().timestamp_millis());
        }
    }
    let sql = "select q.snapshot_time, l.path from quote q join landing l on l.id = q.landing";
    let rows = bench.database.rows(sql).await;
    let wrong = rows.iter().filter(|row| {
        let (slot, sent) = (row[0].int(), sent[row[1].text()]);
        sent < slot - MINUTE || sent >= slot + 35 * MINUTE
    });
    wrong.count()
}

async fn no_quote_is_labelled_with_a_wrong_slot(kind: Kind) {
    let _alone = fail::FailScenario::setup();
    let mut tally = Tally::new("clocks that jump", kind, "snapshot");
    let mut bench = Bench::new(Kind::Sqlite, 300).await;
    let hash = bench.run(&[("top", "300")]).await.unwrap().content_hash;
    let hour = TimeDelta::hours(1);
    let renew = async |bench: &mut Bench| {
        bench.sim.set_clock(noon()).unwrap();
        bench.database = Database::ready(kind).await;
        bench.folder = tempfile::tempdir().unwrap();
    };

    // within a run: the page of another slot is not stored, and the next run asks for it again
    for jump in [-hour, -TimeDelta::days(1), hour] {
        let mut seen = Seen::default();
        renew(&mut bench).await;
        let report = report_of(jumping(&bench, jump, &[]).await);
        let error = report["error"].as_str().unwrap_or_default();
        seen.expect(error.contains("the API's clock says"), || error.to_owned());
        seen.expect(report["stored"] == 150, || report.to_string());
        bench.sim.set_clock(noon()).unwrap();
        let healed = bench.run(&[("top", "300")]).await.unwrap();
        seen.expect((healed.calls, &healed.content_hash) == (1, &hash), || {
            format!("{healed:?}")
        });
        seen.lost += 300 - healed.accepted;
        seen.silent |= wrong_slots(&bench).await > 0;
        tally.note(&format!("within a run by {jump}"), seen);
    }

    // between runs: each is of the slot that it was then, and the first is still complete
    let mut seen = Seen::default();
    renew(&mut bench).await;
    let first = bench.run(&[("top", "300")]).await.unwrap();
    bench.sim.advance(-hour).unwrap();
    let earlier = bench.run(&[("top", "300")]).await.unwrap();
    seen.expect(earlier.slot < first.slot && earlier.stored == 300, || {
        format!("{earlier:?}")
    });
    bench.sim.set_clock(noon()).unwrap();
    let again = bench.run(&[("top", "300")]).await.unwrap();
    seen.expect((again.calls, &again.content_hash) == (0, &hash), || {
        format!("{again:?}")
    });
    seen.doubled += bench
        .database
        .number("select count(*) from quote")
        .await
        .unsigned_abs()
        - 600;
    seen.silent |= wrong_slots(&bench).await > 0;
    tally.note("between runs", seen);

    // the machine's clock is another hour's
    for clock in ["2026-01-14T13:10:00Z", "2026-01-14T11:10:00Z"] {
        let mut seen = Seen::default();
        renew(&mut bench).await;
        let error = bench
            .run(&[("top", "300"), ("clock", clock)])
            .await
            .unwrap_err();
        let clear =
            matches!(error, Error::Config { .. }) && said(&error).contains("COINMILL_CLOCK");
        seen.expect(clear, || format!("{error:?}"));
        seen.silent |= bench.database.number("select count(*) from quote").await > 0;
        let healed = bench.run(&[("top", "300")]).await.unwrap();
        seen.expect(healed.content_hash == hash, || format!("{healed:?}"));
        tally.note(&format!("a machine at {clock}"), seen);
    }
    tally.close();
}

async fn no_point_lies_outside_what_is_covered(kind: Kind) {
    let _alone = fail::FailScenario::setup();
    let mut tally = Tally::new("clocks that jump", kind, "timeseries");
    let mut mill = Mill::new(kind, 6).await;
    mill.snapshot("6").await;
    mill.run(FIVE, &[]).await.unwrap();
    let calm = mill.view().await;
    let settled = (noon() - TimeDelta::minutes(10)).timestamp_millis();
    let latest = "select max(ends_at) from coverage";

    let renew = async |mill: &mut Mill| {
        mill.lose_series(kind).await;
        mill.bench.folder = tempfile::tempdir().unwrap();
    };
    // once the clocks are right again, all is there that would have been, and nothing else of the same time
    let heal = async |mill: &Mill, seen: &mut Seen| {
        seen.expect(mill.torn().await == 0, || "points outside".to_owned());
        // a clock that is not believed may have left nothing at all
        let covered = mill.row(latest).await.remove(0);
        let within = covered == Cell::Null || covered.int() <= settled;
        seen.expect(within, || "covered beyond what was settled".to_owned());
        mill.bench.sim.set_clock(noon()).unwrap();
        let healed = mill.run(FIVE, &[]).await;
        seen.expect(healed.is_ok(), || format!("{healed:?}"));
        let view = mill.view().await;
        let kept = |row: &(&_, &_)| view.get(row.0) == Some(row.1);
        seen.lost += calm.iter().filter(|row| !kept(row)).count() as u64;
        seen.doubled += mill.count("price_revision").await.unsigned_abs();
        seen.expect(mill.torn().await == 0, || "points outside".to_owned());
        let third = mill.run(FIVE, &[]).await.unwrap();
        seen.expect((third.calls, third.stored) == (0, 0), || {
            format!("{third:?}")
        });
    };
    for hours in [-3, -30] {
        let mut seen = Seen::default();
        renew(&mut mill).await;
        mill.run(FIVE, &[]).await.unwrap();
        mill.bench.sim.advance(TimeDelta::hours(hours)).unwrap();
        let outcome = mill.run(FIVE, &[]).await;
        seen.expect(outcome.is_ok(), || format!("{outcome:?}"));
        heal(&mill, &mut seen).await;
        tally.note(&format!("between runs by {hours} hours"), seen);

        let mut seen = Seen::default();
        renew(&mut mill).await;
        let outcome = half_way(&mill, TimeDelta::hours(hours)).await;
        // the other charts may have been under way
        let clear = outcome.is_ok() || clock_is_said(&outcome);
        seen.expect(clear, || format!("{outcome:?}"));
        heal(&mill, &mut seen).await;
        tally.note(&format!("within a run by {hours} hours"), seen);
    }
    for clock in ["2026-01-14T14:10:00Z", "2026-01-14T10:10:00Z"] {
        let mut seen = Seen::default();
        renew(&mut mill).await;
        let outcome = mill.run(FIVE, &[("clock", clock)]).await;
        seen.expect(clock_is_said(&outcome), || format!("{outcome:?}"));
        seen.silent |= mill.count("price_point").await > 0;
        heal(&mill, &mut seen).await;
        tally.note(&format!("a machine at {clock}"), seen);
    }
    tally.close();
}

/// True where a run says that two clocks differ.
fn clock_is_said(outcome: &Result<SeriesReport>) -> bool {
    let error = outcome.as_ref().err();
    error.is_some_and(|error| said(error).contains("COINMILL_CLOCK"))
}

/// A time series run; when the first chart has come the API's clock jumps.
async fn half_way(mill: &Mill, jump: TimeDelta) -> Result<SeriesReport> {
    let jumped = std::sync::atomic::AtomicBool::new(false);
    let observer = |progress: Progress| {
        if progress.received > 0 && !jumped.swap(true, std::sync::atomic::Ordering::SeqCst) {
            mill.bench.sim.advance(jump).unwrap();
        }
    };
    pipeline::run_timeseries(
        &mill.settings(&[]),
        FIVE,
        &pipeline::Observer::new(&observer),
    )
    .await
}
