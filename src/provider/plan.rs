//! The API tiers: host, key header, calls a minute, credits a month, depth of history.
//! It holds their numbers; keeping to them is the work of `http` and of the pipeline.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::Serialize;

use crate::error::{Error, Result};

/// The base URL of the public API.
pub const PUBLIC_URL: &str = "https://api.coingecko.com/api/v3";

/// An API tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PlanKind {
    /// The public API without a key, shared by address.
    Keyless,
    /// The free plan with a key.
    Demo,
    /// Any plan that is paid for.
    Paid,
    /// No limits: for a server of one's own, such as `coinmill sim`.
    Unlimited,
}

impl PlanKind {
    const ALL: [Self; 4] = [Self::Keyless, Self::Demo, Self::Paid, Self::Unlimited];

    /// The name as written in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Keyless => "keyless",
            Self::Demo => "demo",
            Self::Paid => "paid",
            Self::Unlimited => "unlimited",
        }
    }
}

impl fmt::Display for PlanKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PlanKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| {
                Error::argument(format!(
                    "unknown plan {text:?}: use keyless, demo, paid or unlimited"
                ))
            })
    }
}

/// A tier with its numbers, each of which a setting can override: CoinGecko's own pages disagree on some.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Which tier.
    pub kind: PlanKind,
    /// The most calls in any minute; `None` is no limit.
    pub calls_per_minute: Option<NonZeroU32>,
    /// The most successful calls in a calendar month (UTC); `None` is no limit.
    pub credits_per_month: Option<u64>,
    /// How many days back the tier serves; `None` is everything.
    pub history_days: Option<u32>,
}

impl Plan {
    /// The tier's documented numbers: <https://docs.coingecko.com/docs/common-errors-rate-limit>.
    pub fn documented(kind: PlanKind) -> Self {
        let (calls_per_minute, credits_per_month, history_days) = match kind {
            PlanKind::Keyless => (NonZeroU32::new(5), None, Some(365)),
            PlanKind::Demo => (NonZeroU32::new(30), Some(10_000), Some(365)),
            PlanKind::Paid => (NonZeroU32::new(250), Some(100_000), None),
            PlanKind::Unlimited => (None, None, None),
        };
        Self {
            kind,
            calls_per_minute,
            credits_per_month,
            history_days,
        }
    }

    /// The tier's base URL.
    pub fn default_api_url(&self) -> &'static str {
        match self.kind {
            PlanKind::Paid => "https://pro-api.coingecko.com/api/v3",
            _ => PUBLIC_URL,
        }
    }

    /// The request header that carries the tier's key.
    pub fn key_header(&self) -> &'static str {
        match self.kind {
            PlanKind::Paid => "x-cg-pro-api-key",
            _ => "x-cg-demo-api-key",
        }
    }
}
