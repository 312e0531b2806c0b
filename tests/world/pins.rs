//! What was known when, where the clock jumps back between runs: whoever commits later has known it later.

use chrono::TimeDelta;
use coinmill::series::Resolution;

use crate::series::Mill;
use crate::support::tally::{Seen, Tally};
use crate::support::{Kind, noon, on_both_databases};

on_both_databases!(pins_stay_in_order_when_the_clock_jumps_back);

async fn pins_stay_in_order_when_the_clock_jumps_back(kind: Kind) {
    let _alone = fail::FailScenario::setup();
    let mill = Mill::new(kind, 6).await;
    mill.snapshot("6").await;
    let five = Resolution::FiveMinutes;
    for hours in [0, -2, 1, 3] {
        mill.bench
            .sim
            .set_clock(noon() + TimeDelta::hours(hours))
            .unwrap();
        mill.snapshot("6").await;
        mill.run(five, &[]).await.unwrap();
    }
    let sql = "select at from \"commit\" order by id";
    for (run, rows) in [
        ("snapshot", mill.bench.database.rows(sql).await),
        ("timeseries", mill.rows(sql).await),
    ] {
        let mut tally = Tally::new("a clock that jumps back under pins", kind, run);
        let at: Vec<i64> = rows.iter().map(|row| row[0].int()).collect();
        let silent = !at.is_sorted();
        let seen = Seen {
            silent,
            ..Seen::default()
        };
        tally.note(&format!("{at:?}"), seen);
        tally.close();
    }
}
