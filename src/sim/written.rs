//! Reads a fault as it is written in an option or in JSON, and says what is wrong with one that cannot be read.
//! It decides nothing about a call; `faults` does.

use std::ops::RangeInclusive;
use std::str::FromStr;

use serde_json::Value;
use serde_json::value::RawValue;

use super::fault::{Fault, FaultKind, RetryAfter};
use crate::error::{Error, Result};

// What these hold may have commas in it, so each takes all that is left.
const LAST: [&str; 3] = ["text=", "value=", "to="];
// Enough for any limit on a body; what a bomb packs is held, a thousandth of it.
const MOST_MEGABYTES: u32 = 10_000;

impl Fault {
    /// A fault from its JSON: the text form, or an object with `kind` and the options as fields.
    ///
    /// A `value` that is a text is read as JSON once more, so that any digits can be given: `"1e999"`, `"\"a text\""`.
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
                    // Null stands for an option that is not given, but it is also a value that a field can hold.
                    .filter(|(name, value)| {
                        *name != "kind" && (*name == "value" || !value.is_null())
                    })
                    .map(|(name, value)| (name.clone(), plain(value)))
                    .collect();
                fault(&kind, &Options(options))
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
            let (option, left) = if LAST.iter().any(|last| rest.starts_with(last)) {
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
        fault(kind.trim(), &Options(options))
    }
}

/// The options as given, by name.
struct Options(Vec<(String, String)>);

impl Options {
    fn find(&self, wanted: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.as_str())
    }

    /// An option that has to be there; `example` shows it.
    fn required(&self, wanted: &str, example: &str) -> Result<String> {
        let given = self.find(wanted).filter(|value| !value.is_empty());
        given
            .map(str::to_owned)
            .ok_or_else(|| Error::argument(format!("a fault lacks `{wanted}`: {example}")))
    }

    fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        let Some(value) = self.find(name) else {
            return Ok(None);
        };
        value.trim().parse().map(Some).map_err(|_| {
            Error::argument(format!(
                "fault option {name}={value} is not a number that fits"
            ))
        })
    }

    fn status(&self, otherwise: u16, allowed: RangeInclusive<u16>) -> Result<u16> {
        let code = self.number("status")?.unwrap_or(otherwise);
        if allowed.contains(&code) {
            return Ok(code);
        }
        let (first, last) = (allowed.start(), allowed.end());
        Err(Error::argument(format!(
            "fault status {code} cannot be sent: give one from {first} to {last}"
        )))
    }

    fn megabytes(&self) -> Result<u32> {
        let mb = self.number("mb")?.unwrap_or(500);
        if mb > MOST_MEGABYTES {
            return Err(Error::argument(format!(
                "fault option mb={mb} is too large: give at most {MOST_MEGABYTES}"
            )));
        }
        Ok(mb)
    }

    fn seconds(&self) -> Result<u32> {
        self.number("seconds")?
            .ok_or_else(|| Error::argument("a fault lacks `seconds`: aged:seconds=90"))
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.find(name).map(str::to_owned)
    }
}

fn fault(name: &str, options: &Options) -> Result<Fault> {
    let mut fault = Fault::once(kind(name, options)?);
    let mut known = vec!["times", "after", "path"];
    known.extend(own_names(&fault.kind));
    if let Some((option, _)) = options
        .0
        .iter()
        .find(|(option, _)| !known.contains(&option.as_str()))
    {
        return Err(Error::argument(format!(
            "fault `{name}` has no option `{option}`: it takes {}",
            known.join(", ")
        )));
    }
    if let Some(path) = options.find("path") {
        path.clone_into(&mut fault.path);
    }
    fault.times = options.number("times")?.unwrap_or(fault.times);
    fault.after = options.number("after")?.unwrap_or(fault.after);
    if let Some(wait) = options.number("retry_after")? {
        fault.retry_after = Some(RetryAfter::Seconds(wait));
    }
    if let Some(wait) = options.number("retry_after_date")? {
        fault.retry_after = Some(RetryAfter::Date(wait));
    }
    Ok(fault)
}

fn kind(name: &str, options: &Options) -> Result<FaultKind> {
    Ok(match name {
        "throttled" => FaultKind::Throttled,
        "1015" => FaultKind::Cloudflare1015,
        "html" => FaultKind::Html(options.status(403, 200..=599)?),
        "limit200" => FaultKind::Limit200,
        "stall" => FaultKind::Stall,
        "cut" => FaultKind::Cut,
        "truncate" => FaultKind::Truncate,
        "drip" => FaultKind::Drip,
        "shift" => FaultKind::Shift,
        "vanish" => FaultKind::Vanish(options.required("id", "vanish:id=bitcoin")?),
        "double" => FaultKind::Double(options.required("id", "double:id=bitcoin")?),
        "set" => FaultKind::Set {
            field: options.required("field", "set:field=current_price,value=null")?,
            id: options.owned("id"),
            value: token(&options.required("value", "set:field=current_price,value=null")?)?,
        },
        "drop" => FaultKind::Drop {
            field: options.required("field", "drop:field=current_price")?,
            id: options.owned("id"),
        },
        "aged" => FaultKind::Aged(options.seconds()?),
        "back" => FaultKind::Back(options.seconds()?),
        "huge" => FaultKind::Huge(options.megabytes()?),
        "bomb" => FaultKind::Bomb(options.megabytes()?),
        "redirect" => FaultKind::Redirect {
            status: options.status(302, 300..=399)?,
            to: location(options)?,
        },
        "body" => FaultKind::Body {
            status: options.status(200, 200..=599)?,
            text: options.owned("text").unwrap_or_default(),
        },
        digits => FaultKind::Status(refusal(digits)?),
    })
}

fn own_names(kind: &FaultKind) -> &'static [&'static str] {
    match kind {
        FaultKind::Status(_) | FaultKind::Throttled | FaultKind::Cloudflare1015 => {
            &["retry_after", "retry_after_date"]
        }
        FaultKind::Html(_) => &["status", "retry_after", "retry_after_date"],
        FaultKind::Vanish(_) | FaultKind::Double(_) => &["id"],
        FaultKind::Set { .. } => &["field", "id", "value"],
        FaultKind::Drop { .. } => &["field", "id"],
        FaultKind::Aged(_) | FaultKind::Back(_) => &["seconds"],
        FaultKind::Huge(_) | FaultKind::Bomb(_) => &["mb"],
        FaultKind::Redirect { .. } => &["status", "to"],
        FaultKind::Body { .. } => &["status", "text"],
        _ => &[],
    }
}

fn refusal(digits: &str) -> Result<u16> {
    let code = digits.parse().ok().filter(|code| (400..600).contains(code));
    code.ok_or_else(|| {
        Error::argument(format!(
            "fault `{digits}` is not known: give a status from 400 to 599, throttled, 1015, html, limit200, stall, cut, truncate, drip, shift, vanish, double, set, drop, aged, back, huge, bomb, redirect or body"
        ))
    })
}

// A token that is no JSON would break the whole body, which is what `truncate` and `body` are for.
fn token(value: &str) -> Result<String> {
    serde_json::from_str::<&RawValue>(value)
        .map(|token| token.get().to_owned())
        .map_err(|error| {
            Error::argument(format!(
                "fault option value={value} is not JSON: a text has quotes, as in value=\"text\""
            ))
            .because(error)
        })
}

fn location(options: &Options) -> Result<String> {
    let to = options.required("to", "redirect:to=http://127.0.0.1:9/")?;
    if to.chars().any(char::is_control) {
        return Err(Error::argument(
            "fault option `to` cannot be sent in a header: give a URL on one line",
        ));
    }
    Ok(to)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
            "drip:times=1",
            "shift:times=1,path=/coins/markets",
            "vanish:times=1,path=/coins/markets,id=boringdao-[old]",
            "double:times=1,path=&page=2,id=bitcoin",
            "set:times=1,path=/market_chart,field=prices,value={\"a\":[1,2]}",
            "set:times=1,path=/coins/markets,field=ath,id=bitcoin,value=1e999",
            "set:times=1,field=name,value=\"to=a,text=b\"",
            "drop:times=1,field=ath",
            "drop:times=1,path=/coins/markets,field=ath,id=bitcoin",
            "aged:times=1,seconds=90",
            "back:times=0,seconds=0",
            "huge:times=1,mb=500",
            "bomb:times=1,mb=2",
            "redirect:times=1,status=307,to=http://h/?a=1,2",
            "body:times=1,status=200,text={\"a\":1,\"b\":2}",
        ] {
            let fault: Fault = text.parse().unwrap();
            assert_eq!(fault.to_string(), text);
        }
    }

    #[test]
    fn what_is_not_given_has_a_usual_value() {
        for (text, whole) in [
            ("huge", "huge:times=1,mb=500"),
            ("bomb", "bomb:times=1,mb=500"),
            (
                "redirect:to=http://h/",
                "redirect:times=1,status=302,to=http://h/",
            ),
            (
                "drop:field=ath,id=a",
                "drop:times=1,path=/coins/markets,field=ath,id=a",
            ),
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), whole);
        }
    }

    #[test]
    fn the_object_form_says_the_same_as_the_text() {
        for (object, text) in [
            (
                json!({"kind": "429", "times": 2, "retry_after": 1, "path": "/coins"}),
                "429:times=2,retry_after=1,path=/coins",
            ),
            (json!("cut"), "cut"),
            (
                json!({"kind": "set", "field": "ath", "value": null, "id": null}),
                "set:field=ath,value=null",
            ),
            (
                json!({"kind": "set", "field": "ath", "value": {"a": []}}),
                "set:field=ath,value={\"a\":[]}",
            ),
            (
                json!({"kind": "set", "field": "ath", "value": "1e999"}),
                "set:field=ath,value=1e999",
            ),
            (
                json!({"kind": "set", "field": "ath", "value": "\"text\""}),
                "set:field=ath,value=\"text\"",
            ),
            (
                json!({"kind": "redirect", "to": "http://h/", "status": 308}),
                "redirect:status=308,to=http://h/",
            ),
            (json!({"kind": "aged", "seconds": 90}), "aged:seconds=90"),
            (json!({"kind": "bomb", "mb": 3}), "bomb:mb=3"),
        ] {
            assert_eq!(Fault::from_json(&object).unwrap(), text.parse().unwrap());
        }
    }

    #[test]
    fn a_fault_that_cannot_be_read_names_what_is_wrong() {
        for (text, said) in [
            ("boom", "`boom` is not known"),
            ("200", "`200` is not known"),
            ("429:time=2", "no option `time`"),
            ("429:times", "has no value"),
            ("429:times=-1", "times=-1 is not a number"),
            ("vanish", "lacks `id`: vanish:id=bitcoin"),
            ("double:id=", "lacks `id`"),
            ("html:status=99", "status 99 cannot be sent"),
            ("set:field=a", "lacks `value`"),
            ("set:value=1", "lacks `field`"),
            ("set:field=a,value=text", "value=text is not JSON"),
            ("drop:field=a,value=1", "no option `value`"),
            ("aged", "lacks `seconds`"),
            ("bomb:mb=10001", "at most 10000"),
            ("redirect", "lacks `to`"),
            ("redirect:status=200,to=/", "from 300 to 399"),
            ("redirect:to=/\n", "on one line"),
        ] {
            let message = text.parse::<Fault>().unwrap_err().to_string();
            assert!(message.contains(said), "{text}: {message}");
        }
    }
}
