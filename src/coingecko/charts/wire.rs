//! A chart's body as it is sent: three arrays of stamps and numbers, the numbers still in their own digits.
//! Fields that are not known are named, not read.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::coingecko::bounded::Bounded;
use crate::contract::Deviation;

/// The most points of one array: the longest real one, all days since 2013, has about 5,000.
const MOST_POINTS: usize = 20_000;

/// The most unknown fields of a body that are named.
const MOST_UNKNOWN: usize = 100;

/// Stamps in milliseconds since 1970, each with its number.
pub(super) type Pairs<'a> = Vec<(i64, &'a RawValue)>;

/// A body's arrays.
#[derive(Debug)]
pub(super) struct Wire<'a> {
    pub(super) prices: Pairs<'a>,
    pub(super) market_caps: Pairs<'a>,
    pub(super) total_volumes: Pairs<'a>,
    /// Fields beside them, and those of them that are not there.
    pub(super) drift: Vec<(Deviation, String)>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Wire<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Wire<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with prices, market_caps and total_volumes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let (mut prices, mut market_caps, mut total_volumes) = (None, None, None);
        let mut drift = Vec::new();
        while let Some(name) = fields.next_key::<String>()? {
            let place = match name.as_str() {
                "prices" => &mut prices,
                "market_caps" => &mut market_caps,
                "total_volumes" => &mut total_volumes,
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                    if drift.len() < MOST_UNKNOWN {
                        drift.push((Deviation::Unknown, name));
                    }
                    continue;
                }
            };
            let pairs: Bounded<(i64, &'de RawValue), MOST_POINTS> = fields.next_value()?;
            if place.replace(pairs.0).is_some() {
                return Err(A::Error::custom(format_args!("{name} stands twice")));
            }
        }
        let mut or_missing = |name: &str, pairs: Option<Pairs<'de>>| {
            pairs.unwrap_or_else(|| {
                drift.push((Deviation::Missing, name.to_owned()));
                Vec::new()
            })
        };
        Ok(Wire {
            prices: or_missing("prices", prices),
            market_caps: or_missing("market_caps", market_caps),
            total_volumes: or_missing("total_volumes", total_volumes),
            drift,
        })
    }
}
