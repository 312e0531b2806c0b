//! Faults as data: what goes wrong, at which calls, how often, and how that is said.
//! It does not decide about a call, `faults` does; `written` reads what is said here.

use std::borrow::Cow;
use std::fmt;

/// When a refused client may come again, as the `Retry-After` header says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// In so many seconds, as a number.
    Seconds(u32),
    /// In so many seconds of the simulator's clock, as an HTTP date.
    Date(u32),
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// This status with the real JSON body for it.
    Status(u16),
    /// 429 with the bare word `Throttled`.
    Throttled,
    /// 429 with the bare words `error code: 1015`.
    Cloudflare1015,
    /// A page of the network in front, under this status.
    Html(u16),
    /// The rate-limit notice under HTTP 200.
    Limit200,
    /// Half the body, then nothing for ever.
    Stall,
    /// Half the body under the full length, then the connection closes.
    Cut,
    /// Good HTTP, but the JSON ends in its middle.
    Truncate,
    /// Ranks move: before a page past the first, its first coin and the last of the page before change places.
    Shift,
    /// A coin is missing from its page.
    Vanish(String),
    /// Any text under any status.
    Body {
        /// The HTTP status.
        status: u16,
        /// The body; sent as JSON where it begins like JSON.
        text: String,
    },
    /// A field holds something else, in every row of a list or at the top of an object; it is added where it is not there.
    Set {
        /// The field.
        field: String,
        /// Only the row of this coin.
        id: Option<String>,
        /// The JSON that it holds, sent as it is written here.
        value: String,
    },
    /// A field is missing, from every row of a list or from the top of an object.
    Drop {
        /// The field.
        field: String,
        /// Only from the row of this coin.
        id: Option<String>,
    },
    /// A coin stands on this page too, in the place of the page's last row.
    Double(String),
    /// The response of so many seconds ago, with the headers by which a cache tells its age.
    Aged(u32),
    /// The response of so many seconds ago, and nothing that tells.
    Back(u32),
    /// The body's first byte, then a blank every 50 ms for ever.
    Drip,
    /// The body with so many megabytes of blanks after its first byte, in chunks without a length.
    Huge(u32),
    /// The same, packed by gzip into about a thousandth.
    Bomb(u32),
    /// A redirect without a body.
    Redirect {
        /// The HTTP status.
        status: u16,
        /// Where to, as the `Location` header says it.
        to: String,
    },
}

/// A fault and the calls it meets.
///
/// As text: the kind, then options, as in `429:times=2,retry_after=1,path=/coins/markets`. Options of all: `times`, `after`,
/// `path`; of the 429s and 5xx also `retry_after` or `retry_after_date`, in seconds. The kinds and their own options:
///
/// - a status from 400, `throttled`, `1015`, `limit200`; `html` (`status=`)
/// - `stall`, `cut`, `truncate`, `drip`
/// - `shift`; `vanish` and `double` (`id=`)
/// - `set` (`field=`, `id=`, and `value=` as the last) and `drop` (`field=`, `id=`): without `id=` in all rows, or in a chart
/// - `aged` and `back` (`seconds=`)
/// - `huge` and `bomb` (`mb=`, 500 if not given)
/// - `redirect` (`status=`, 302 if not given, and `to=` as the last)
/// - `body` (`status=`, and `text=` as the last)
///
/// A fault that names a coin meets any page of the market, also one without the coin: `path=&page=2` says which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Only calls whose path and query contain this; empty for all.
    pub path: String,
    /// How many such calls pass before the first is met.
    pub after: u32,
    /// How many calls are met; 0 for all that follow.
    pub times: u32,
    /// The `Retry-After` header of a refusal.
    pub retry_after: Option<RetryAfter>,
}

impl Fault {
    /// A fault that meets the next call that it can.
    pub fn once(kind: FaultKind) -> Self {
        // Only pages of the market have ranks and coins to lose.
        let path = if kind.is_of_pages() {
            "/coins/markets".to_owned()
        } else {
            String::new()
        };
        Self {
            kind,
            path,
            after: 0,
            times: 1,
            retry_after: None,
        }
    }
}

impl FaultKind {
    fn is_of_pages(&self) -> bool {
        match self {
            Self::Shift | Self::Vanish(_) | Self::Double(_) => true,
            Self::Set { id, .. } | Self::Drop { id, .. } => id.is_some(),
            _ => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:times={}", name(&self.kind), self.times)?;
        if self.after > 0 {
            write!(out, ",after={}", self.after)?;
        }
        if !self.path.is_empty() {
            write!(out, ",path={}", self.path)?;
        }
        match self.retry_after {
            Some(RetryAfter::Seconds(wait)) => write!(out, ",retry_after={wait}")?,
            Some(RetryAfter::Date(wait)) => write!(out, ",retry_after_date={wait}")?,
            None => {}
        }
        for (name, value) in own_options(&self.kind) {
            write!(out, ",{name}={value}")?;
        }
        Ok(())
    }
}

fn name(kind: &FaultKind) -> Cow<'static, str> {
    Cow::Borrowed(match kind {
        FaultKind::Status(code) => return Cow::Owned(code.to_string()),
        FaultKind::Throttled => "throttled",
        FaultKind::Cloudflare1015 => "1015",
        FaultKind::Html(_) => "html",
        FaultKind::Limit200 => "limit200",
        FaultKind::Stall => "stall",
        FaultKind::Cut => "cut",
        FaultKind::Truncate => "truncate",
        FaultKind::Drip => "drip",
        FaultKind::Shift => "shift",
        FaultKind::Vanish(_) => "vanish",
        FaultKind::Double(_) => "double",
        FaultKind::Set { .. } => "set",
        FaultKind::Drop { .. } => "drop",
        FaultKind::Aged(_) => "aged",
        FaultKind::Back(_) => "back",
        FaultKind::Huge(_) => "huge",
        FaultKind::Bomb(_) => "bomb",
        FaultKind::Redirect { .. } => "redirect",
        FaultKind::Body { .. } => "body",
    })
}

fn own_options(kind: &FaultKind) -> Vec<(&'static str, String)> {
    let of_field = |field: &String, id: &Option<String>| {
        let id = id.iter().map(|id| ("id", id.clone()));
        [("field", field.clone())].into_iter().chain(id).collect()
    };
    match kind {
        FaultKind::Html(status) => vec![("status", status.to_string())],
        FaultKind::Vanish(id) | FaultKind::Double(id) => vec![("id", id.clone())],
        FaultKind::Set { field, id, value } => {
            let mut options: Vec<_> = of_field(field, id);
            options.push(("value", value.clone()));
            options
        }
        FaultKind::Drop { field, id } => of_field(field, id),
        FaultKind::Aged(seconds) | FaultKind::Back(seconds) => {
            vec![("seconds", seconds.to_string())]
        }
        FaultKind::Huge(mb) | FaultKind::Bomb(mb) => vec![("mb", mb.to_string())],
        FaultKind::Redirect { status, to } => {
            vec![("status", status.to_string()), ("to", to.clone())]
        }
        FaultKind::Body { status, text } => {
            vec![("status", status.to_string()), ("text", text.clone())]
        }
        _ => Vec::new(),
    }
}
