//! Faults as data: what goes wrong, at which calls, how often, and how that is written in an option or in JSON.
//! It does not decide about a call; `faults` does.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::error::{Error, Result};

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
}

/// A fault and the calls it meets.
///
/// As text: the kind, then options, as in `429:times=2,retry_after=1,path=/coins/markets`. Kinds: a status from 400,
/// `throttled`, `1015`, `html` (`status=`), `limit200`, `stall`, `cut`, `truncate`, `shift`, `vanish` (`id=`), and `body`
/// (`status=`, and `text=` as the last option). Options of all: `times`, `after`, `path`; of the 429s and 5xx also
/// `retry_after` or `retry_after_date`, in seconds.
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
        let path = match kind {
            FaultKind::Shift | FaultKind::Vanish(_) => "/coins/markets".to_owned(),
            _ => String::new(),
        };
        Self {
            kind,
            path,
            after: 0,
            times: 1,
            retry_after: None,
        }
    }

    /// A fault from its JSON: the text form, or an object with `kind` and the options as fields.
    ///
    /// # Errors
    /// [`Error::Argument`] that names what cannot be read.
    pub fn from_json(value: &Value) -> Result<Self> {
        match value {
            Value::String(text) => text.parse(),
            Value::Object(fields) => {
                let kind = fields
                    .get("kind")
                    .map(plain)
                    .ok_or_else(|| Error::argument("a fault needs a `kind`"))?;
                let options: Vec<(String, String)> = fields
                    .iter()
                    .filter(|(name, value)| *name != "kind" && !value.is_null())
                    .map(|(name, value)| (name.clone(), plain(value)))
                    .collect();
                build(&kind, &options)
            }
            _ => Err(Error::argument(
                "a fault is a text such as `429:times=2`, or an object with a `kind`",
            )),
        }
    }
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (kind, mut rest) = text.split_once(':').unwrap_or((text, ""));
        let mut options = Vec::new();
        while !rest.is_empty() {
            // A text may hold commas, so it takes all that is left.
            let (option, left) = if rest.starts_with("text=") {
                (rest, "")
            } else {
                rest.split_once(',').unwrap_or((rest, ""))
            };
            let (name, value) = option.split_once('=').ok_or_else(|| {
                Error::argument(format!(
                    "fault option `{option}` has no value: write it as name=value"
                ))
            })?;
            options.push((name.trim().to_owned(), value.to_owned()));
            rest = left;
        }
        build(kind.trim(), &options)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, status, id, text) = match &self.kind {
            FaultKind::Status(code) => (code.to_string(), None, None, None),
            FaultKind::Throttled => ("throttled".into(), None, None, None),
            FaultKind::Cloudflare1015 => ("1015".into(), None, None, None),
            FaultKind::Html(code) => ("html".into(), Some(code), None, None),
            FaultKind::Limit200 => ("limit200".into(), None, None, None),
            FaultKind::Stall => ("stall".into(), None, None, None),
            FaultKind::Cut => ("cut".into(), None, None, None),
            FaultKind::Truncate => ("truncate".into(), None, None, None),
            FaultKind::Shift => ("shift".into(), None, None, None),
            FaultKind::Vanish(id) => ("vanish".into(), None, Some(id), None),
            FaultKind::Body { status, text } => ("body".into(), Some(status), None, Some(text)),
        };
        write!(out, "{kind}:times={}", self.times)?;
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
        if let Some(status) = status {
            write!(out, ",status={status}")?;
        }
        if let Some(id) = id {
            write!(out, ",id={id}")?;
        }
        if let Some(text) = text {
            write!(out, ",text={text}")?;
        }
        Ok(())
    }
}

fn build(kind: &str, options: &[(String, String)]) -> Result<Fault> {
    let find = |wanted: &str| {
        options
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.as_str())
    };
    let code = |value: &str| {
        let code: u16 = number("status", value)?;
        if (200..600).contains(&code) {
            Ok(code)
        } else {
            Err(Error::argument(format!(
                "fault status {code} cannot be sent: give one from 200 to 599"
            )))
        }
    };
    let mut known = vec!["times", "after", "path"];
    let parsed = match kind {
        "throttled" => FaultKind::Throttled,
        "1015" => FaultKind::Cloudflare1015,
        "html" => {
            known.push("status");
            FaultKind::Html(find("status").map_or(Ok(403), code)?)
        }
        "limit200" => FaultKind::Limit200,
        "stall" => FaultKind::Stall,
        "cut" => FaultKind::Cut,
        "truncate" => FaultKind::Truncate,
        "shift" => FaultKind::Shift,
        "vanish" => {
            known.push("id");
            let id = find("id").ok_or_else(|| {
                Error::argument("fault `vanish` needs the coin: vanish:id=bitcoin")
            })?;
            FaultKind::Vanish(id.to_owned())
        }
        "body" => {
            known.extend(["status", "text"]);
            FaultKind::Body {
                status: find("status").map_or(Ok(200), code)?,
                text: find("text").unwrap_or("").to_owned(),
            }
        }
        digits
            if digits
                .parse::<u16>()
                .is_ok_and(|code| (400..600).contains(&code)) =>
        {
            FaultKind::Status(code(digits)?)
        }
        _ => {
            return Err(Error::argument(format!(
                "fault `{kind}` is not known: give a status from 400 to 599, throttled, 1015, html, limit200, stall, cut, truncate, shift, vanish or body"
            )));
        }
    };
    if matches!(
        parsed,
        FaultKind::Status(_)
            | FaultKind::Throttled
            | FaultKind::Cloudflare1015
            | FaultKind::Html(_)
    ) {
        known.extend(["retry_after", "retry_after_date"]);
    }
    if let Some((name, _)) = options
        .iter()
        .find(|(name, _)| !known.contains(&name.as_str()))
    {
        return Err(Error::argument(format!(
            "fault `{kind}` has no option `{name}`: it takes {}",
            known.join(", ")
        )));
    }
    let mut fault = Fault::once(parsed);
    if let Some(path) = find("path") {
        path.clone_into(&mut fault.path);
    }
    if let Some(value) = find("times") {
        fault.times = number("times", value)?;
    }
    if let Some(value) = find("after") {
        fault.after = number("after", value)?;
    }
    if let Some(value) = find("retry_after") {
        fault.retry_after = Some(RetryAfter::Seconds(number("retry_after", value)?));
    }
    if let Some(value) = find("retry_after_date") {
        fault.retry_after = Some(RetryAfter::Date(number("retry_after_date", value)?));
    }
    Ok(fault)
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T> {
    value.trim().parse().map_err(|_| {
        Error::argument(format!(
            "fault option {name}={value} is not a number that fits"
        ))
    })
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_written_form_reads_back_as_the_same_fault() {
        for text in [
            "429:times=2,path=/coins/markets,retry_after=1",
            "429:times=1,retry_after_date=30",
            "503:times=0,after=3",
            "throttled:times=1",
            "1015:times=1",
            "html:times=1,status=504",
            "limit200:times=1",
            "stall:times=1",
            "cut:times=1",
            "truncate:times=1",
            "shift:times=1,path=/coins/markets",
            "vanish:times=1,path=/coins/markets,id=boringdao-[old]",
            "body:times=1,status=200,text={\"a\":1,\"b\":2}",
        ] {
            let fault: Fault = text.parse().unwrap();
            assert_eq!(fault.to_string(), text);
        }
    }

    #[test]
    fn the_object_form_says_the_same_as_the_text() {
        let object =
            serde_json::json!({"kind": "429", "times": 2, "retry_after": 1, "path": "/coins"});
        let text: Fault = "429:times=2,retry_after=1,path=/coins".parse().unwrap();
        assert_eq!(Fault::from_json(&object).unwrap(), text);
        assert_eq!(
            Fault::from_json(&serde_json::json!("cut")).unwrap(),
            "cut".parse().unwrap()
        );
    }

    #[test]
    fn a_fault_that_cannot_be_read_names_what_is_wrong() {
        for (text, said) in [
            ("boom", "`boom` is not known"),
            ("200", "`200` is not known"),
            ("429:time=2", "no option `time`"),
            ("429:times", "has no value"),
            ("429:times=-1", "times=-1 is not a number"),
            ("vanish", "needs the coin"),
            ("html:status=99", "status 99 cannot be sent"),
        ] {
            let message = text.parse::<Fault>().unwrap_err().to_string();
            assert!(message.contains(said), "{text}: {message}");
        }
    }
}
