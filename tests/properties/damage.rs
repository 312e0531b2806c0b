//! Ways to damage an input that stay close to JSON: bytes, cuts, tokens that are odd, members and elements too many or too few.
//! What a reader makes of it is not known here.

use std::ops::Range;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;

/// One damage; its place is found in the input that it meets.
#[derive(Debug, Clone)]
enum Damage {
    /// Other bits in one byte.
    Flip(Index, u8),
    /// Nothing after a place.
    Cut(Index),
    /// A stretch taken out.
    Lose(Index, usize),
    /// A stretch that comes twice.
    Repeat(Index, usize),
    /// Bytes that do not belong there.
    Insert(Index, Vec<u8>),
    /// A token in place of another.
    Token(Index, String),
    /// A name and its value once more, with another value: a key that comes twice.
    Key(Index, String),
    /// An innermost array or object twice or not at all, so that arrays of one length become uneven.
    Element(Index, bool),
}

/// Tokens that are JSON, or nearly, and seldom thought of.
pub fn odd_token() -> impl Strategy<Value = String> {
    let fixed = [
        "1e999",
        "-1e999",
        "1e-999",
        "-0",
        "-0.0",
        "0",
        "-1",
        "1.5",
        "00",
        "1.",
        "NaN",
        "null",
        "true",
        "\"\"",
        "{}",
        "[]",
        "[[]]",
        "{\"\":0}",
        "\"\\u0000\"",
        "\"a\\u0000b\"",
        "\"\\ud800\"",
        "\"\\ud83e\\ude99\"",
        "\"1\"",
        "1768392600000",
        "-1768392600000",
        "253402300799000",
        "9223372036854775807",
        "-9223372036854775808",
        "-9223372036854775000",
        "18446744073709551616",
        "5e-324",
        "1.7976931348623159e308",
        "\"9999-12-31T23:59:60Z\"",
        "\"-0001-01-01T00:00:00Z\"",
        "\"2026-01-14T12:10:00+23:59\"",
        "\"+262142-12-31T23:59:59Z\"",
        "\"..\"",
        "\"../outside/0001-coins-markets.zst\"",
        "\u{feff}",
        "\u{0}",
    ];
    let long = prop_oneof![
        (1..2_000_usize).prop_map(|length| "9".repeat(length)),
        (1..2_000_usize).prop_map(|length| format!("0.{}1", "0".repeat(length))),
        (1..2_000_usize).prop_map(|length| format!("\"{}\"", "é\\n".repeat(length))),
        (1..400_usize).prop_map(|depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth))),
        (1..400_usize).prop_map(|depth| format!(
            "{}0{}",
            "{\"a\":".repeat(depth),
            "}".repeat(depth)
        )),
    ];
    prop_oneof![
        4 => prop::sample::select(fixed.to_vec()).prop_map(str::to_owned),
        1 => long,
        1 => any::<f64>().prop_map(|number| number.to_string()),
        1 => any::<i64>().prop_map(|number| number.to_string()),
    ]
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<Index>;
    let bytes = prop::collection::vec(any::<u8>(), 1..9);
    prop_oneof![
        1 => (place(), 1..=255_u8).prop_map(|(place, bits)| Damage::Flip(place, bits)),
        1 => place().prop_map(Damage::Cut),
        1 => (place(), 1..200_usize).prop_map(|(place, length)| Damage::Lose(place, length)),
        1 => (place(), 1..200_usize).prop_map(|(place, length)| Damage::Repeat(place, length)),
        1 => (place(), bytes).prop_map(|(place, bytes)| Damage::Insert(place, bytes)),
        6 => (place(), odd_token()).prop_map(|(place, token)| Damage::Token(place, token)),
        2 => (place(), odd_token()).prop_map(|(place, token)| Damage::Key(place, token)),
        2 => (place(), any::<bool>()).prop_map(|(place, twice)| Damage::Element(place, twice)),
    ]
}

/// Any of these inputs with up to four damages, or with none.
pub fn damaged(shapes: &'static [Vec<u8>]) -> impl Strategy<Value = Bytes> {
    let damages = prop::collection::vec(damage(), 0..5);
    (prop::sample::select(shapes), damages).prop_map(|(mut input, damages)| {
        damages.iter().for_each(|damage| damage.done_to(&mut input));
        input.into()
    })
}

impl Damage {
    fn done_to(&self, input: &mut Vec<u8>) {
        if input.is_empty() {
            return;
        }
        let stretch = |place: &Index, length: usize| {
            let start = place.index(input.len());
            start..(start + length).min(input.len())
        };
        match self {
            Self::Flip(place, bits) => *place.get_mut(input) ^= bits,
            Self::Cut(place) => input.truncate(place.index(input.len())),
            Self::Lose(place, length) => {
                input.drain(stretch(place, *length));
            }
            Self::Repeat(place, length) => {
                let stretch = stretch(place, *length);
                let copy = input[stretch.clone()].to_vec();
                input.splice(stretch.end..stretch.end, copy);
            }
            Self::Insert(place, bytes) => {
                let place = place.index(input.len());
                input.splice(place..place, bytes.iter().copied());
            }
            Self::Token(place, token) => {
                if let Some(range) = one_of(place, tokens(input)) {
                    input.splice(range, token.bytes());
                }
            }
            Self::Key(place, token) => {
                let names = tokens(input)
                    .into_iter()
                    .filter(|range| input.get(range.end) == Some(&b':'));
                if let Some(name) = one_of(place, names.collect()) {
                    let member = [&input[name.clone()], b":", token.as_bytes(), b","].concat();
                    input.splice(name.start..name.start, member);
                }
            }
            Self::Element(place, twice) => {
                if let Some(range) = one_of(place, innermost(input)) {
                    let element = [&input[range.clone()], b","].concat();
                    if *twice {
                        input.splice(range.start..range.start, element);
                    } else {
                        // with the comma before or after it
                        let after = input.get(range.end) == Some(&b',');
                        let before = !after && range.start > 0 && input[range.start - 1] == b',';
                        input.drain(
                            range.start - usize::from(before)..range.end + usize::from(after),
                        );
                    }
                }
            }
        }
    }
}

fn one_of(place: &Index, ranges: Vec<Range<usize>>) -> Option<Range<usize>> {
    (!ranges.is_empty()).then(|| place.get(&ranges).clone())
}

/// Where the strings, numbers and words of nearly JSON are.
fn tokens(input: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&byte) = input.get(at) {
        let start = at;
        at += 1;
        if byte == b'"' {
            while let Some(&next) = input.get(at) {
                at += if next == b'\\' { 2 } else { 1 };
                if next == b'"' {
                    break;
                }
            }
            at = at.min(input.len());
        } else if byte == b'-' || byte.is_ascii_alphanumeric() {
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
            while input.get(at).is_some_and(is_part) {
                at += 1;
            }
        } else {
            continue;
        }
        found.push(start..at);
    }
    found
}

/// Where the arrays and objects are that hold no other.
fn innermost(input: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut open = None;
    for (place, byte) in input.iter().enumerate() {
        match byte {
            b'[' | b'{' => open = Some(place),
            b']' | b'}' => found.extend(open.take().map(|start| start..place + 1)),
            _ => {}
        }
    }
    found
}
