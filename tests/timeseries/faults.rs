//! A source that refuses or breaks off in a time series run, and comes round or does not.

use coinmill::pipeline::RunState;
use coinmill::series::Resolution;

use crate::series::{Mill, partial};
use crate::support::{Kind, missing_of, on_both_databases};

on_both_databases!(
    a_passing_fault_is_tried_again_and_counted,
    a_fault_that_does_not_pass_leaves_what_came_and_the_next_run_asks_for_the_rest,
);

const FIVE: Resolution = Resolution::FiveMinutes;

async fn a_passing_fault_is_tried_again_and_counted(kind: Kind) {
    let mill = Mill::new(kind, 3).await;
    mill.snapshot("3").await;
    for fault in [
        "429",
        "500",
        "truncate",
        "cut",
        "limit200",
        "html:status=504",
    ] {
        let separator = if fault.contains(':') { ',' } else { ':' };
        mill.bench
            .fault(&format!("{fault}{separator}path=market_chart"));
    }
    let report = mill
        .run(FIVE, &[("max_wait", "0.05"), ("attempts", "9")])
        .await
        .unwrap();
    assert_eq!(
        (report.state, report.received, report.calls),
        (RunState::Complete, 3, 9)
    );
    assert_eq!((report.rejected, mill.count("quarantine").await), (0, 0));
    // only the bodies that were believed are in the database
    assert_eq!(mill.count("landing").await, 3);
}

async fn a_fault_that_does_not_pass_leaves_what_came_and_the_next_run_asks_for_the_rest(
    kind: Kind,
) {
    let calm = Mill::new(kind, 40).await;
    calm.snapshot("40").await;
    calm.run(FIVE, &[]).await.unwrap();
    let expected = calm.view().await;
    for fault in ["429", "500", "truncate", "cut", "html"] {
        let mill = Mill::new(kind, 40).await;
        mill.snapshot("40").await;
        mill.bench
            .fault(&format!("{fault}:path=market_chart,after=5,times=0"));
        let report = partial(mill.run(FIVE, &[("attempts", "1")]).await);
        assert_eq!(report["received"], 5, "{fault}: {report}");
        let missing = missing_of(&report).join("; ");
        let named = missing.contains("not fetched");
        assert!(named && !report["error"].is_null(), "{fault}: {report}");
        let stored = "select count(distinct coin) from price_point";
        assert_eq!(mill.number(stored).await, 5, "{fault}");
        mill.bench.sim.clear_faults();
        let report = mill.run(FIVE, &[]).await.unwrap();
        assert_eq!(
            (report.state, report.calls, report.recovered),
            (RunState::Complete, 35, 0),
            "{fault}"
        );
        assert_eq!(mill.view().await, expected, "{fault}");
        assert_eq!(mill.states().await, ["partial", "complete"], "{fault}");
    }
}
