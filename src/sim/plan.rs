//! Which host the simulator plays, and whom it lets in: keys by header or query, and the calls a minute.
//! It never prints a key, and it knows nothing of what the call is for.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::bodies;
use super::response::Response;

/// The hosts of the real API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Host {
    /// The public host without a key.
    #[default]
    Keyless,
    /// The public host with a demo key.
    Demo,
    /// The host of the paid plans.
    Paid,
}

/// The plan that the simulator plays.
#[derive(Clone, Default)]
pub struct SimPlan {
    /// The host it plays.
    pub host: Host,
    /// The one key that it accepts; without one, any key of the right kind or none.
    pub key: Option<String>,
    /// How many calls it answers in a minute; without it, any number.
    pub calls_per_minute: Option<u32>,
}

impl fmt::Debug for SimPlan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SimPlan")
            .field("host", &self.host)
            .field("key", &self.key.as_ref().map(|_| "…"))
            .field("calls_per_minute", &self.calls_per_minute)
            .finish()
    }
}

impl SimPlan {
    /// The public host, no key, no limit.
    pub fn keyless() -> Self {
        Self::default()
    }

    /// The public host that wants this demo key.
    pub fn demo(key: impl Into<String>) -> Self {
        Self {
            host: Host::Demo,
            key: Some(key.into()),
            calls_per_minute: None,
        }
    }

    /// The paid host that wants this key.
    pub fn paid(key: impl Into<String>) -> Self {
        Self {
            host: Host::Paid,
            key: Some(key.into()),
            calls_per_minute: None,
        }
    }

    /// How many days back the charts reach, or `None` for all of them.
    pub fn history_days(&self) -> Option<i64> {
        match self.host {
            Host::Keyless | Host::Demo => Some(365),
            Host::Paid => None,
        }
    }

    /// Lets a caller in who shows these keys, or says what the real host says.
    ///
    /// # Errors
    /// The refusal, as a response.
    pub fn admit(&self, keys: &Keys, now: DateTime<Utc>) -> Result<(), Response> {
        if self.host == Host::Keyless && self.key.is_none() {
            return Ok(());
        }
        let (own, other) = match self.host {
            Host::Paid => (&keys.pro, &keys.demo),
            Host::Keyless | Host::Demo => (&keys.demo, &keys.pro),
        };
        if other.is_some() {
            let body = match self.host {
                Host::Paid => bodies::demo_key_at_paid_host(now),
                Host::Keyless | Host::Demo => bodies::pro_key_at_public_host(now),
            };
            return Err(Response::refused(400, body));
        }
        match (&self.key, own) {
            (Some(wanted), Some(shown)) if wanted == shown => Ok(()),
            (None, Some(_)) => Ok(()),
            (None, None) if self.host != Host::Paid => Ok(()),
            _ => Err(Response::refused(401, bodies::key_missing(now))),
        }
    }
}

/// The keys that a request shows, by kind.
#[derive(Default)]
pub struct Keys {
    /// From `x-cg-demo-api-key` or `x_cg_demo_api_key`.
    pub demo: Option<String>,
    /// From `x-cg-pro-api-key` or `x_cg_pro_api_key`.
    pub pro: Option<String>,
}

/// The calls of the last minute.
#[derive(Debug, Default)]
pub struct Minute {
    recent: VecDeque<Instant>,
}

impl Minute {
    /// Counts a call at `now`, or says after how many seconds one is free again.
    ///
    /// The minute is a real one even while the simulator's clock stands still: a client waits in real time.
    ///
    /// # Errors
    /// The seconds to wait, where `limit` calls were made in the last minute.
    pub fn take(&mut self, limit: Option<u32>, now: Instant) -> Result<(), u64> {
        let Some(limit) = limit else { return Ok(()) };
        let minute = Duration::from_secs(60);
        while self
            .recent
            .front()
            .is_some_and(|first| now.duration_since(*first) >= minute)
        {
            self.recent.pop_front();
        }
        if u32::try_from(self.recent.len()).is_ok_and(|made| made < limit) {
            self.recent.push_back(now);
            return Ok(());
        }
        let passed = self
            .recent
            .front()
            .map_or(Duration::ZERO, |first| now.duration_since(*first));
        Err(minute.saturating_sub(passed).as_secs() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(demo: Option<&str>, pro: Option<&str>) -> Keys {
        Keys {
            demo: demo.map(Into::into),
            pro: pro.map(Into::into),
        }
    }

    fn code(plan: &SimPlan, keys: &Keys) -> Option<(u16, String)> {
        let response = plan.admit(keys, DateTime::UNIX_EPOCH).err()?;
        Some((
            response.status,
            String::from_utf8(response.body.to_vec()).unwrap(),
        ))
    }

    #[test]
    fn a_key_on_the_wrong_host_is_told_where_to_go() {
        let (status, body) = code(&SimPlan::demo("a"), &shown(None, Some("a"))).unwrap();
        assert!(status == 400 && body.contains("10010"), "{body}");
        let (status, body) = code(&SimPlan::paid("a"), &shown(Some("a"), None)).unwrap();
        assert!(status == 400 && body.contains("10011"), "{body}");
    }

    #[test]
    fn only_the_right_key_is_let_in() {
        assert!(code(&SimPlan::demo("a"), &shown(Some("a"), None)).is_none());
        assert_eq!(
            code(&SimPlan::demo("a"), &shown(Some("b"), None))
                .unwrap()
                .0,
            401
        );
        assert_eq!(
            code(&SimPlan::paid("a"), &shown(None, None)).unwrap().0,
            401
        );
        assert!(code(&SimPlan::keyless(), &shown(None, Some("any"))).is_none());
        assert!(code(&SimPlan::keyless(), &shown(None, None)).is_none());
    }

    #[test]
    fn a_plan_never_prints_its_key() {
        assert!(!format!("{:?}", SimPlan::paid("hush-hush")).contains("hush"));
    }

    #[test]
    fn the_limit_frees_a_call_a_minute_after_the_oldest() {
        let begin = Instant::now();
        let mut minute = Minute::default();
        assert!(minute.take(Some(2), begin).is_ok());
        assert!(
            minute
                .take(Some(2), begin + Duration::from_secs(30))
                .is_ok()
        );
        assert_eq!(
            minute.take(Some(2), begin + Duration::from_secs(50)),
            Err(11)
        );
        assert!(
            minute
                .take(Some(2), begin + Duration::from_secs(60))
                .is_ok()
        );
        assert!(minute.take(None, begin).is_ok());
    }
}
