//! Decides which fault meets a call, and counts how often each has.
//! It sends nothing: the decision is data that `routes` carries out.

use chrono::{DateTime, TimeDelta, Utc};

use super::bodies;
use super::edit::{Edit, edited};
use super::fault::{Fault, FaultKind, RetryAfter};
use super::response::{Delivery, HTML, JSON, PLAIN, Response};

/// What is to be done to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Answer with this instead of the market's response.
    Respond {
        /// The HTTP status.
        status: u16,
        /// The content type.
        content_type: &'static str,
        /// The body.
        body: String,
        /// The `Retry-After` header.
        retry_after: Option<RetryAfter>,
    },
    /// Answer with a redirect instead of the market's response.
    Redirect {
        /// The HTTP status.
        status: u16,
        /// Where to.
        to: String,
    },
    /// Send the market's response in this way.
    Deliver(Delivery),
    /// End the market's response in its middle.
    Truncate,
    /// Let the first coin of the page and the last of the page before change places, then answer.
    Shift,
    /// Answer without this coin.
    Vanish(String),
    /// Answer with this coin in the place of the page's last one.
    Double(String),
    /// Answer with a field changed.
    Edit(Edit),
    /// Answer as the market stood so many seconds ago.
    Older {
        /// The seconds.
        by: u32,
        /// True where headers say so.
        told: bool,
    },
}

impl Action {
    /// The response to give instead of the market's, where the action is one.
    pub fn response(&self, now: DateTime<Utc>) -> Option<Response> {
        match self {
            Self::Respond {
                status,
                content_type,
                body,
                retry_after,
            } => {
                let response = Response::new(*status, content_type, body.clone());
                Some(match retry_after {
                    Some(wait) => response.with("retry-after", header_of(*wait, now)),
                    None => response,
                })
            }
            Self::Redirect { status, to } => {
                Some(Response::new(*status, HTML, "").with("location", to))
            }
            _ => None,
        }
    }

    /// The instant of the market that the response shows.
    pub fn instant(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Older { by, .. } => now
                .checked_sub_signed(TimeDelta::seconds(i64::from(*by)))
                .unwrap_or(now),
            _ => now,
        }
    }

    /// The market's response with this done to it.
    pub fn applied(&self, mut response: Response) -> Response {
        match self {
            Self::Deliver(delivery) => response.delivered(*delivery),
            Self::Truncate => response.truncated(),
            // A refusal has none of the market's fields, and is no older than it is.
            Self::Edit(edit) if response.status == 200 => {
                response.body = edited(&response.body, edit);
                response
            }
            Self::Older { by, told: true } if response.status == 200 => response
                .with("age", by.to_string())
                .with("cf-cache-status", "HIT"),
            _ => response,
        }
    }
}

fn header_of(wait: RetryAfter, now: DateTime<Utc>) -> String {
    match wait {
        RetryAfter::Seconds(wait) => wait.to_string(),
        RetryAfter::Date(wait) => http_date(
            now.checked_add_signed(TimeDelta::seconds(i64::from(wait)))
                .unwrap_or(now),
        ),
    }
}

/// An instant as HTTP headers write it (RFC 9110, 5.6.7).
pub fn http_date(at: DateTime<Utc>) -> String {
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The faults that are set, with what each has done.
#[derive(Debug, Default)]
pub struct Faults {
    set: Vec<Pending>,
}

#[derive(Debug)]
struct Pending {
    fault: Fault,
    seen: u32,
    met: u32,
}

impl Faults {
    /// Adds a fault after those that are there.
    pub fn add(&mut self, fault: Fault) {
        self.set.push(Pending {
            fault,
            seen: 0,
            met: 0,
        });
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.set.clear();
    }

    /// Those that may still meet a call, oldest first.
    pub fn pending(&self) -> impl Iterator<Item = &Fault> {
        self.set
            .iter()
            .filter(|pending| pending.is_live())
            .map(|pending| &pending.fault)
    }

    /// What happens to a call of this path and query: the oldest fault that is due, or nothing.
    ///
    /// Every fault that the call matches has seen it, also where another one acts.
    pub fn decide(&mut self, path: &str) -> Option<Action> {
        let mut action = None;
        for pending in self.set.iter_mut().filter(|pending| pending.is_live()) {
            if !matches(&pending.fault, path) {
                continue;
            }
            pending.seen = pending.seen.saturating_add(1);
            if action.is_none() && pending.seen > pending.fault.after {
                pending.met = pending.met.saturating_add(1);
                action = Some(act(&pending.fault));
            }
        }
        action
    }
}

impl Pending {
    fn is_live(&self) -> bool {
        self.fault.times == 0 || self.met < self.fault.times
    }
}

fn matches(fault: &Fault, path: &str) -> bool {
    // No rank moves before the first page: there is no page before it.
    path.contains(&fault.path) && (fault.kind != FaultKind::Shift || page_of(path) > 1)
}

fn page_of(path: &str) -> u64 {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    query
        .split('&')
        .find_map(|part| part.strip_prefix("page="))
        .and_then(|page| page.parse().ok())
        .unwrap_or(1)
}

fn act(fault: &Fault) -> Action {
    let respond = |status: u16, content_type: &'static str, body: String| Action::Respond {
        status,
        content_type,
        body,
        retry_after: fault.retry_after,
    };
    match &fault.kind {
        FaultKind::Status(code) => respond(*code, JSON, bodies::of_status(*code)),
        FaultKind::Throttled => respond(429, PLAIN, bodies::THROTTLED.into()),
        FaultKind::Cloudflare1015 => respond(429, PLAIN, bodies::CLOUDFLARE_1015.into()),
        FaultKind::Html(code) => respond(*code, HTML, bodies::page(*code)),
        FaultKind::Limit200 => respond(200, JSON, bodies::RATE_LIMIT.into()),
        FaultKind::Stall => Action::Deliver(Delivery::Stall),
        FaultKind::Cut => Action::Deliver(Delivery::Cut),
        FaultKind::Drip => Action::Deliver(Delivery::Drip),
        FaultKind::Huge(mb) => Action::Deliver(Delivery::Huge(*mb)),
        FaultKind::Bomb(mb) => Action::Deliver(Delivery::Bomb(*mb)),
        FaultKind::Truncate => Action::Truncate,
        FaultKind::Shift => Action::Shift,
        FaultKind::Vanish(id) => Action::Vanish(id.clone()),
        FaultKind::Double(id) => Action::Double(id.clone()),
        FaultKind::Set { field, id, value } => edit(field, id.as_ref(), Some(value)),
        FaultKind::Drop { field, id } => edit(field, id.as_ref(), None),
        FaultKind::Aged(by) => Action::Older {
            by: *by,
            told: true,
        },
        FaultKind::Back(by) => Action::Older {
            by: *by,
            told: false,
        },
        FaultKind::Redirect { status, to } => Action::Redirect {
            status: *status,
            to: to.clone(),
        },
        FaultKind::Body { status, text } => {
            let content_type = match text.trim_start().chars().next() {
                Some('{' | '[') => JSON,
                Some('<') => HTML,
                _ => PLAIN,
            };
            respond(*status, content_type, text.clone())
        }
    }
}

fn edit(field: &str, id: Option<&String>, value: Option<&String>) -> Action {
    Action::Edit(Edit {
        field: field.to_owned(),
        id: id.cloned(),
        value: value.cloned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(texts: &[&str]) -> Faults {
        let mut faults = Faults::default();
        for text in texts {
            faults.add(text.parse().unwrap());
        }
        faults
    }

    #[test]
    fn a_fault_waits_acts_so_often_and_is_done() {
        let mut faults = faults(&["503:after=1,times=2,path=/coins/markets"]);
        assert_eq!(faults.decide("/ping"), None);
        assert_eq!(faults.decide("/coins/markets?page=1"), None);
        assert!(matches!(
            faults.decide("/coins/markets?page=2"),
            Some(Action::Respond { status: 503, .. })
        ));
        assert!(faults.decide("/coins/markets?page=2").is_some());
        assert_eq!(faults.pending().count(), 0);
        assert_eq!(faults.decide("/coins/markets?page=2"), None);
    }

    #[test]
    fn faults_act_in_their_order_and_zero_times_is_for_ever() {
        let mut faults = faults(&["429", "cut:times=0"]);
        assert!(matches!(
            faults.decide("/ping"),
            Some(Action::Respond { status: 429, .. })
        ));
        for _ in 0..5 {
            assert_eq!(faults.decide("/ping"), Some(Action::Deliver(Delivery::Cut)));
        }
        faults.clear();
        assert_eq!(faults.decide("/ping"), None);
    }

    #[test]
    fn ranks_move_only_before_a_later_page() {
        let mut faults = faults(&["shift"]);
        assert_eq!(
            faults.decide("/coins/markets?vs_currency=usd&page=1&per_page=50"),
            None
        );
        assert_eq!(
            faults.decide("/coins/markets?vs_currency=usd&per_page=50&page=2"),
            Some(Action::Shift)
        );
    }

    #[test]
    fn an_older_response_is_of_its_own_instant_and_a_refusal_stays_as_it_is() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(90);
        let mut faults = faults(&["aged:seconds=90", "back:seconds=90", "cut"]);
        let (aged, back, cut) = (
            faults.decide("/ping").unwrap(),
            faults.decide("/ping").unwrap(),
            faults.decide("/ping").unwrap(),
        );
        assert_eq!(aged.instant(now), DateTime::UNIX_EPOCH);
        assert_eq!(back.instant(now), DateTime::UNIX_EPOCH);
        assert_eq!(cut.instant(now), now);
        assert_eq!(aged.applied(Response::ok("")).headers.len(), 3);
        assert_eq!(back.applied(Response::ok("")), Response::ok(""));
        let refused = Response::refused(404, bodies::NO_RECORDING);
        assert_eq!(aged.applied(refused.clone()), refused);
    }

    #[test]
    fn a_refusal_names_its_wait_in_seconds_or_as_a_date() {
        let now = DateTime::UNIX_EPOCH;
        let mut faults = faults(&["429:retry_after=7", "429:retry_after_date=30", "429"]);
        let mut next = || {
            faults
                .decide("/ping")
                .unwrap()
                .response(now)
                .unwrap()
                .headers
        };
        assert_eq!(next(), [("retry-after", "7".to_owned())]);
        assert_eq!(
            next(),
            [("retry-after", "Thu, 01 Jan 1970 00:00:30 GMT".to_owned())]
        );
        assert_eq!(next(), []);
    }
}
