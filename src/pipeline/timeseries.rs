//! The time series run of a half-hour: which of the followed coins' charts it fetches, by the planner's decision.
//! `series` fetches them and stores what comes; what is owed to a coin is `keeping`'s arithmetic.

use chrono::TimeDelta;

use super::Observer;
use super::credits::{Caller, Purse};
use super::heal::heal_lost;
use super::keeping::{Owed, wanted_now};
use super::known::Due;
use super::reach::recent;
use super::retention::{kept_from, worth_fetching};
use super::series_report::SeriesReport;
use super::series_run::{Planned, Series, SeriesRun};
use super::snapshot::unknown_coins;
use super::terms::{RunSettings, Terms, means, outlook};
use super::universe::Universe;
use crate::coingecko::charts::charts;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::http::{self, Client};
use crate::market::{CoinId, Slot, named};
use crate::planner::{Decision, Means, Rotation};
use crate::series::{Resolution, days};
use crate::store::{Absent, IfHeld, SnapshotStore};

/// Fetches what is due of the charts of the newest snapshot's coins, and of those asked for by name: five-minutely each coin's last
/// day before it falls off, at the other resolutions this run's share of the month's calls, the coins first that were asked for
/// longest ago. Coins that a backfill is at work on are left to it. Then it heals what was lost, with calls that nothing else
/// needs.
///
/// # Errors
/// [`Error::Config`] where there is no snapshot yet; [`Error::Held`] while another such run is at work on the series;
/// otherwise as [`super::run_snapshot`].
pub async fn run_timeseries(
    settings: &Settings,
    resolution: Resolution,
    observer: &Observer<'_>,
) -> Result<SeriesReport> {
    let (terms, run_settings) = (Terms::of(settings)?, RunSettings::of(settings));
    let clock = http::clock(settings).await?;
    let purse = Purse::open(settings).await?;
    purse.compare(settings, clock, &observer.stop).await?;
    let turns = purse.turns(Caller::Schedule);
    let client = Client::new(settings, clock, observer.stop.clone(), turns)?;
    let mut snapshot = SnapshotStore::open(&settings.snapshot_url, &settings.vs_currency).await?;
    let universe =
        Universe::newest(&mut snapshot, &run_settings.wanted, settings.has_only_these).await?;
    let recently = |now| {
        let span = recent(now, resolution, &settings.plan);
        worth_fetching(span, resolution, settings.retention, now)
    };
    let series = Series {
        url: &settings.timeseries_url,
        kind: "timeseries",
        resolution,
        span: recently(clock.now()),
        kept_from: kept_from(resolution, settings.retention, clock.now()),
        coins: universe.for_charts(settings),
        if_held: IfHeld::LeaveOut,
        unknown: unknown_coins(&mut snapshot, &universe.unknown, &[]).await?,
        advice: outlook(settings, clock.now()).advice,
    };
    let mut run = SeriesRun::open(series, terms, &run_settings, clock, &mut snapshot).await?;
    let mut half_hour = HalfHour {
        settings,
        purse: &purse,
        snapshot: &mut snapshot,
        run: &mut run,
    };
    let planned = match resolution {
        Resolution::FiveMinutes => half_hour.rotation(universe).await,
        Resolution::Hour | Resolution::Day => half_hour.share(resolution, universe).await,
    };
    let (planned, decision) = match planned {
        Ok(planned) => planned,
        Err(error) => return run.fail(error).await,
    };
    snapshot.close().await?;
    let credits = purse.credits(0);
    let mut report = run
        .go(credits, client, &settings.plan, planned, observer)
        .await?;
    let is_kept = resolution == Resolution::FiveMinutes;
    // what falls off within the day goes before what can be had for a year
    let is_short = !decision.unaffordable.is_empty() || report.postponed > 0;
    if is_kept && report.is_anything_lost && !is_short {
        let observer = observer.after(report.expected);
        report.heal = heal_lost(settings, &purse, &decision, &observer).await?;
    }
    report.or_incomplete(settings.completeness)
}

/// Says of whom the month has no calls left, as long as it lasts, and of whom the charts are no longer kept for that, once.
fn short_of_calls(decision: &Decision, crowded_out: &[CoinId]) -> Vec<Absent> {
    let mut said = Vec::new();
    if !decision.unaffordable.is_empty() {
        let reason = "the month has no calls left for them, so their points fall off: `coinmill plan` says how many lack";
        said.push(Absent::other(
            format!("charts of {}", named(&decision.unaffordable, 5)),
            reason,
        ));
    }
    if !crowded_out.is_empty() {
        let reason = "the month has no calls for so many coins: they are no longer kept from this half-hour on";
        said.push(Absent::other(
            format!("charts of {}", named(crowded_out, 5)),
            reason,
        ));
    }
    said
}

/// What a run of the half-hour plans with.
struct HalfHour<'a> {
    settings: &'a Settings,
    purse: &'a Purse,
    snapshot: &'a mut SnapshotStore,
    run: &'a mut SeriesRun,
}

impl HalfHour<'_> {
    /// Each coin's last day before it falls off.
    async fn rotation(&mut self, universe: Universe) -> Result<(Planned, Decision)> {
        let resolution = Resolution::FiveMinutes;
        let now = self.run.started_at();
        let reach = recent(now, resolution, &self.settings.plan);
        let reach = reach.ok_or_else(|| Error::data("a day of five-minute points is empty"))?;
        let newest = self.snapshot.newest_slot(None, None).await?;
        let means = self.means(newest).await?;
        let is_of_now = newest == Some(Slot::containing(now));
        let newest = newest.unwrap_or_else(|| Slot::containing(now));
        let visits = self.run.visits().await?;
        let followed = self.run.followed(reach.start).await?;
        let wanted = wanted_now(&universe, self.settings, &followed);
        let Due {
            gaps,
            waiting: mut missing,
        } = self.run.due(Some(reach), false);
        let owed = Owed {
            reach,
            wanted: &wanted,
            newest: newest.start().timestamp_millis(),
            looked_at: self.run.judged().map(|until| until + days(1)),
            followed: &followed,
            coverage: self.run.coverage(),
            due: &gaps,
            visits: &visits,
        };
        let mut decision = Rotation {
            means,
            coins: owed.coins(),
        }
        .decide();
        let (enters, crowded_out) = (
            std::mem::take(&mut decision.enters),
            std::mem::take(&mut decision.leaves),
        );
        let changed: Vec<&CoinId> = enters.iter().chain(owed.leaving()).collect();
        let presence = if changed.is_empty() {
            Default::default()
        } else {
            let since = now - TimeDelta::days(1);
            self.snapshot.presence(&changed, since).await?
        };
        missing.extend(universe.missing);
        missing.extend(short_of_calls(&decision, &crowded_out));
        let changes = owed.changes(enters, crowded_out, &presence);
        let visited = decision.visits.iter();
        let planned = Planned {
            charts: visited
                .flat_map(|coin| charts(coin, resolution, &[reach], now))
                .collect(),
            postponed: decision.postponed,
            waiting: missing,
        };
        self.run.follow(followed, &changes, is_of_now).await?;
        Ok((planned, decision))
    }

    /// This run's share of the month's calls, the coins first that were asked for longest ago.
    async fn share(
        &mut self,
        resolution: Resolution,
        universe: Universe,
    ) -> Result<(Planned, Decision)> {
        let now = self.run.started_at();
        let newest = self.snapshot.newest_slot(None, None).await?;
        let means = self.means(newest).await?;
        let kept = self.run.followed_count(Resolution::FiveMinutes).await?;
        let spare = means.spare(kept);
        let visits = self.run.visits().await?;
        let span = recent(now, resolution, &self.settings.plan);
        let span = worth_fetching(span, resolution, self.settings.retention, now);
        let Due {
            mut gaps,
            mut waiting,
        } = self.run.due(span, false);
        waiting.extend(universe.missing);
        // `None` sorts first: a coin that was never asked for
        gaps.sort_by_key(|(coin, _)| visits.get(coin).copied());
        let share = usize::try_from(means.share(spare)).unwrap_or(usize::MAX);
        let postponed = gaps.len().saturating_sub(share) as u64;
        gaps.truncate(share);
        let planned = Planned {
            charts: gaps
                .iter()
                .flat_map(|(coin, gaps)| charts(coin, resolution, gaps, now))
                .collect(),
            postponed,
            waiting,
        };
        Ok((planned, Decision::default()))
    }

    async fn means(&self, newest: Option<Slot>) -> Result<Means> {
        let now = self.run.started_at();
        let spent = self.purse.spent(now).await?;
        Ok(means(self.settings, spent, newest, now))
    }
}
