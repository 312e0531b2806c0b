//! Changes one field in the body of a response; every other token keeps its bytes.
//! It does not decide which response: that is for `faults`.

use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::recording::join;

/// What becomes of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The field.
    pub field: String,
    /// Only in the row of this coin.
    pub id: Option<String>,
    /// The JSON that it holds; `None` takes the field away.
    pub value: Option<String>,
}

/// The body with the field changed in its rows, or at its top where it is an object; as it is where it is neither.
pub fn edited(body: &Bytes, edit: &Edit) -> Bytes {
    let Ok(rows) = serde_json::from_slice::<Vec<&RawValue>>(body) else {
        // An object is not the row of a coin.
        let whole = std::str::from_utf8(body).ok().filter(|_| edit.id.is_none());
        return whole
            .and_then(|text| object(text, edit))
            .map_or_else(|| body.clone(), Bytes::from);
    };
    let rows: Vec<Bytes> = rows
        .into_iter()
        .map(|row| {
            object(row.get(), edit)
                .map_or_else(|| body.slice_ref(row.get().as_bytes()), Bytes::from)
        })
        .collect();
    let mut edited = Vec::with_capacity(body.len());
    join(&mut edited, rows.iter());
    edited.into()
}

// `None` where it stays as it is.
fn object(text: &str, edit: &Edit) -> Option<String> {
    let Fields(mut fields) = serde_json::from_str(text).ok()?;
    if let Some(wanted) = &edit.id {
        let (_, id) = fields.iter().find(|(name, _)| is(name, "id"))?;
        is(id, wanted).then_some(())?;
    }
    let name = Value::from(edit.field.as_str()).to_string();
    match &edit.value {
        Some(value) => {
            let mut found = false;
            for (_, held) in fields.iter_mut().filter(|(name, _)| is(name, &edit.field)) {
                *held = value;
                found = true;
            }
            if !found {
                fields.push((&name, value));
            }
        }
        None => fields.retain(|(name, _)| !is(name, &edit.field)),
    }
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}:{value}"))
        .collect();
    Some(format!("{{{}}}", fields.join(",")))
}

fn is(token: &str, text: &str) -> bool {
    serde_json::from_str::<String>(token).is_ok_and(|read| read == text)
}

/// The names and values of an object, in their order and as they are written.
struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder).map(Self)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Vec<(&'de str, &'de str)>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            fields.push((name.get(), value.get()));
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        r#"[{"id":"a","ath":1.50,"roi":{"ath":1}}, {"id":"b","\u0061th":-0.0E+1,"x":"\u00e9"}]"#;

    fn edit(body: &'static str, field: &str, id: Option<&str>, value: Option<&str>) -> String {
        let edit = Edit {
            field: field.into(),
            id: id.map(Into::into),
            value: value.map(Into::into),
        };
        let edited = edited(&Bytes::from_static(body.as_bytes()), &edit);
        String::from_utf8(edited.to_vec()).unwrap()
    }

    #[test]
    fn a_field_is_set_in_every_row_and_other_tokens_keep_their_bytes() {
        assert_eq!(
            edit(PAGE, "ath", None, Some("1e999")),
            r#"[{"id":"a","ath":1e999,"roi":{"ath":1}},{"id":"b","\u0061th":1e999,"x":"\u00e9"}]"#
        );
        assert_eq!(
            edit(PAGE, "roi", None, Some(r#"{"a":[]}"#)),
            r#"[{"id":"a","ath":1.50,"roi":{"a":[]}},{"id":"b","\u0061th":-0.0E+1,"x":"\u00e9","roi":{"a":[]}}]"#
        );
    }

    #[test]
    fn the_row_of_one_coin_alone_is_changed() {
        assert_eq!(
            edit(PAGE, "ath", Some("a"), Some("null")),
            r#"[{"id":"a","ath":null,"roi":{"ath":1}},{"id":"b","\u0061th":-0.0E+1,"x":"\u00e9"}]"#
        );
        assert_eq!(
            edit(PAGE, "ath", Some("b"), None),
            r#"[{"id":"a","ath":1.50,"roi":{"ath":1}},{"id":"b","x":"\u00e9"}]"#
        );
    }

    #[test]
    fn a_field_goes_from_every_row_and_where_it_is_not_nothing_does() {
        assert_eq!(
            edit(PAGE, "ath", None, None),
            r#"[{"id":"a","roi":{"ath":1}},{"id":"b","x":"\u00e9"}]"#
        );
        assert_eq!(edit("[{}]", "ath", None, None), "[{}]");
    }

    #[test]
    fn a_chart_is_changed_at_its_top() {
        let chart = r#"{"prices":[[1,1.10]],"market_caps":[[1,null]]}"#;
        assert_eq!(
            edit(chart, "prices", None, Some("\"text\"")),
            r#"{"prices":"text","market_caps":[[1,null]]}"#
        );
        assert_eq!(
            edit(chart, "market_caps", None, None),
            r#"{"prices":[[1,1.10]]}"#
        );
        assert_eq!(edit("{}", "new", None, Some("1")), r#"{"new":1}"#);
        assert_eq!(edit(chart, "prices", Some("a"), Some("1")), chart);
    }

    #[test]
    fn what_has_no_fields_stays_as_it_is() {
        assert_eq!(edit("Throttled", "a", None, Some("1")), "Throttled");
        assert_eq!(edit("[1,null]", "a", None, Some("1")), "[1,null]");
    }
}
