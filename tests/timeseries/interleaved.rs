//! Whatever happens in between (runs, runs that are killed, backfills, killed ones, healing, pruning, all of it again), the end is
//! that of one undisturbed pass, as long as no coin waits beyond its window and both sides prune alike.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use coinmill::pipeline::{self, Reach};
use coinmill::series::Resolution;

use crate::series::{Mill, wanted};
use crate::support::command::coinmill;
use crate::support::random::Random;
use crate::support::{Kind, noon, on_both_databases};

on_both_databases!(any_interleaving_ends_as_an_undisturbed_pass,);

const TOP: (&str, &str) = ("top", "4");

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Run,
    KilledRun(u64),
    Backfill(Fetch),
    KilledBackfill(Fetch, u64),
    Heal,
    Prune,
    Wait,
}

/// Days of a coin's hourly history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fetch {
    coin: usize,
    first: i64,
    days: i64,
}

impl Step {
    fn random(random: &mut Random) -> Self {
        let milliseconds = random.below(250);
        let fetch = Fetch {
            coin: usize::try_from(random.below(4)).unwrap(),
            first: i64::try_from(random.below(8)).unwrap(),
            days: 2 + i64::try_from(random.below(3)).unwrap(),
        };
        match random.below(10) {
            0 | 1 => Self::Run,
            2..4 => Self::KilledRun(milliseconds),
            4 | 5 => Self::Backfill(fetch),
            6 => Self::KilledBackfill(fetch, milliseconds),
            7 => Self::Heal,
            8 => Self::Prune,
            _ => Self::Wait,
        }
    }

    /// What an undisturbed pass does instead.
    fn calm(self) -> Option<Fetch> {
        match self {
            Self::Backfill(fetch) | Self::KilledBackfill(fetch, _) => Some(fetch),
            _ => None,
        }
    }
}

impl Fetch {
    fn span(self) -> (DateTime<Utc>, DateTime<Utc>) {
        let first = "2026-01-02T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
        let first = first + TimeDelta::days(self.first);
        (first, first + TimeDelta::days(self.days))
    }

    async fn fetch(self, mill: &Mill, coins: &[String]) {
        let (from, until) = self.span();
        let wanted = wanted(
            Resolution::Hour,
            Reach::Between(from, Some(until)),
            &[&coins[self.coin]],
        );
        let observer = pipeline::Observer::none();
        free(async || pipeline::backfill(&mill.settings(&[TOP]), &wanted, &observer).await).await;
    }
}

/// Does something as soon as a killed process is gone: until then what it had is held.
async fn free<T>(work: impl AsyncFn() -> coinmill::error::Result<T>) -> T {
    loop {
        match work().await {
            Err(coinmill::error::Error::Held { .. }) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            done => return done.unwrap(),
        }
    }
}

async fn run(mill: &Mill) {
    let settings = mill.settings(&[TOP]);
    let observer = pipeline::Observer::none();
    free(async || pipeline::run_snapshot(&settings, None, &observer).await).await;
    free(async || pipeline::run_timeseries(&settings, Resolution::FiveMinutes, &observer).await)
        .await;
}

async fn prune(mill: &Mill) {
    let settings = mill.settings(&[TOP, ("retention_days_1h", "7")]);
    free(async || pipeline::prune(&settings, false).await).await;
}

async fn killed(mill: &Mill, arguments: &[&str], after: u64) {
    let mut command = coinmill(
        &mill.bench,
        Some(&mill.timeseries),
        arguments,
        &[("TOP", "4")],
    );
    let mut child = command.spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(after)).await;
    let _has_ended = child.kill();
    child.wait().unwrap();
}

async fn take(step: Step, mill: &Mill, coins: &[String]) {
    match step {
        Step::Run => run(mill).await,
        Step::KilledRun(after) => killed(mill, &["run", "all"], after).await,
        Step::Backfill(fetch) => fetch.fetch(mill, coins).await,
        Step::KilledBackfill(fetch, after) => {
            let (from, until) = fetch.span();
            let (from, until) = (from.to_rfc3339(), until.to_rfc3339());
            let coin = &coins[fetch.coin];
            let arguments = [
                "backfill", "--from", &from, "--until", &until, "--coins", coin,
            ];
            killed(mill, &arguments, after).await;
        }
        Step::Heal => {
            let settings = mill.settings(&[TOP]);
            let observer = pipeline::Observer::none();
            free(async || pipeline::heal(&settings, None, &observer).await).await;
        }
        Step::Prune => prune(mill).await,
        Step::Wait => {}
    }
}

async fn any_interleaving_ends_as_an_undisturbed_pass(kind: Kind) {
    let seeds = std::env::var("COINMILL_CHAOS_INSTANTS").map_or(2, |count| count.parse().unwrap());
    for seed in 0..seeds {
        let mut random = Random(seed);
        // twenty hours, the first half-hour of them in peace: no coin waits for longer than a day
        let steps: Vec<(i64, Step)> = (0..14)
            .map(|place| (place * 20 / 14, Step::random(&mut random)))
            .collect();
        let (calm, mill) = (Mill::new(kind, 4).await, Mill::new(kind, 4).await);
        let coins = calm.bench.ranking(4).await;
        run(&calm).await;
        run(&mill).await;
        for (hours, step) in &steps {
            let now = noon() + TimeDelta::hours(*hours);
            mill.bench.sim.set_clock(now).unwrap();
            take(*step, &mill, &coins).await;
        }
        let end = noon() + TimeDelta::hours(20);
        for side in [&calm, &mill] {
            side.bench.sim.set_clock(end).unwrap();
            run(side).await;
            for fetch in steps.iter().filter_map(|(_, step)| step.calm()) {
                fetch.fetch(side, &coins).await;
            }
            let settings = side.settings(&[TOP]);
            let observer = pipeline::Observer::none();
            pipeline::heal(&settings, None, &observer).await.unwrap();
            prune(side).await;
        }
        assert!(
            mill.view().await == calm.view().await,
            "seed {seed}: {steps:?}"
        );
        assert_eq!(
            mill.coverage().await,
            calm.coverage().await,
            "seed {seed}: {steps:?}"
        );
        assert_eq!(
            (mill.torn().await, mill.count("lost").await),
            (0, 0),
            "seed {seed}"
        );
        let left = "select count(*) from run where state = 'running' or claims is not null";
        assert_eq!(mill.number(left).await, 0, "seed {seed}");
    }
}
