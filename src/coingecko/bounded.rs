//! Arrays of a JSON body that may not be longer than a real one can be: what is longer is not read to its end.
//! A hostile body of a few megabytes could otherwise fill gigabytes with its elements.

use std::fmt;
use std::marker::PhantomData;

use serde_json::value::RawValue;

use crate::error::{Error, Result};
use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};

/// The records of a body that is an array of at most `MOST`.
///
/// # Errors
/// [`Error::Source`], retryable, for any other body: it was cut, or it is no response at all.
pub(super) fn records<'a, const MOST: usize>(
    body: &'a [u8],
    endpoint: &str,
) -> Result<Vec<&'a RawValue>> {
    let records: Bounded<&RawValue, MOST> =
        serde_json::from_slice(body).map_err(|error| Error::Source {
            message: format!(
                "the API's body for {endpoint} is not a whole JSON array of at most {MOST} records"
            ),
            status: None,
            code: None,
            retryable: true,
            cause: Some(error.into()),
        })?;
    Ok(records.0)
}

/// An array of at most `MOST` elements.
#[derive(Debug)]
pub(super) struct Bounded<T, const MOST: usize>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Bounded<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_seq(Elements::<T, MOST>(PhantomData))
    }
}

struct Elements<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Elements<T, MOST> {
    type Value = Bounded<T, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of at most {MOST} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut elements: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(element) = elements.next_element()? {
            if found.len() == MOST {
                return Err(A::Error::custom(format_args!("more than {MOST} elements")));
            }
            found.push(element);
        }
        Ok(Bounded(found))
    }
}
