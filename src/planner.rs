//! What to fetch next: from the plan, the coins, what is covered, the clock and what the month has spent, a run's calls. Pure.
//! It asks no database and makes no call: the runs give it what they know, and do what it says.

mod means;
mod month;
mod outlook;
mod rotation;

pub use means::Means;
pub use month::Month;
pub use outlook::{Demand, Load, Loads, Outlook, grouped, grouped_digits};
pub use rotation::{Coin, Decision, Rotation, Stage};

/// After how many half-hours a coin's last day is fetched again: 23 hours, so that one run that fails loses nothing of the 24
/// that CoinGecko keeps.
pub const REVISIT: u64 = 46;

/// How many half-hours a day has.
pub const SLOTS_A_DAY: u64 = 48;

/// How long one run may keep CoinGecko busy, in minutes: a third of the half-hour between two runs.
pub const MINUTES: u64 = 10;
