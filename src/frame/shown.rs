//! Values as people read them: a column's numbers and stamps, written so that they can be compared with each other.
//! Where they stand on a page is not known here.

use chrono::{DateTime, Utc};

use super::{Cell, type_name};
use arrow_schema::DataType;

/// How much room a value has.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// From here on a number has an exponent, since its digits are no longer counted at a glance.
    large: f64,
    /// The digits of a number with an exponent.
    digits: usize,
    /// The longest text that is shown whole.
    longest: usize,
}

/// On a wide page: the id of a run is whole.
pub const WIDE: Room = Room {
    large: 1e15,
    digits: 7,
    longest: 36,
};

/// On a narrow one.
pub const NARROW: Room = Room {
    large: 1e9,
    digits: 6,
    longest: 18,
};

/// Digits that a number is shown with: enough for a stablecoin's move, few enough to be read.
const DIGITS: i32 = 7;

/// Digits that each number of a column keeps where all have the same decimals.
const KEPT: i32 = 4;

/// Below this a number has an exponent: 2.839e-09.
const SMALL: f64 = 1e-4;

/// What stands for a value that is not there.
pub const NULL: &str = "null";

/// A column as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// True for numbers, which are compared from the right.
    pub is_number: bool,
    /// Its values; none for null.
    pub cells: Vec<Option<String>>,
}

impl Shown {
    /// Writes a column's values.
    pub fn new(name: &str, of: &DataType, cells: &[Option<Cell<'_>>], room: Room) -> Self {
        let numbers: Vec<f64> = cells.iter().flatten().filter_map(float).collect();
        let decimals = common_decimals(&numbers, room);
        let stamps: Vec<i64> = cells.iter().flatten().filter_map(stamp).collect();
        let format = stamp_format(&stamps);
        let write = |cell: &Cell<'_>| match cell {
            Cell::Text(text) => shortened(&printable(text), room.longest),
            Cell::Bool(value) => value.to_string(),
            Cell::Foreign(value) => shortened(&printable(&value.to_string()), room.longest),
            Cell::Int(number) => grouped(&number.to_string()),
            Cell::Float(number) => match decimals {
                Some(decimals) if number.is_finite() => fixed(*number, decimals),
                _ => alone(*number, room),
            },
            Cell::Time(stamp) => DateTime::<Utc>::from_timestamp_millis(*stamp)
                .map_or_else(|| stamp.to_string(), |at| at.format(format).to_string()),
        };
        let write = |cell: &Option<Cell<'_>>| cell.as_ref().map(write);
        Self {
            name: printable(name),
            kind: type_name(of),
            is_number: of.is_numeric(),
            cells: cells.iter().map(write).collect(),
        }
    }
}

fn float(cell: &Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Float(number) if number.is_finite() => Some(*number),
        _ => None,
    }
}

fn stamp(cell: &Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Time(stamp) => Some(*stamp),
        _ => None,
    }
}

/// The shortest form that tells the column's stamps apart: milliseconds only where two of them are within one second.
fn stamp_format(stamps: &[i64]) -> &'static str {
    let all = |unit: i64| stamps.iter().all(|stamp| stamp % unit == 0);
    let within_a_second = |a: &i64, b: &i64| a != b && a.div_euclid(1000) == b.div_euclid(1000);
    let needs_milliseconds = stamps
        .iter()
        .enumerate()
        .any(|(place, a)| stamps.iter().skip(place).any(|b| within_a_second(a, b)));
    match () {
        () if needs_milliseconds => "%Y-%m-%d %H:%M:%S%.3f",
        () if all(86_400_000) => "%Y-%m-%d",
        () if all(60_000) => "%Y-%m-%d %H:%M",
        () => "%Y-%m-%d %H:%M:%S",
    }
}

/// The decimals with which all numbers of a column are readable, each with some digits of its own; none where they are too far
/// apart, and each is better written by itself.
fn common_decimals(numbers: &[f64], room: Room) -> Option<usize> {
    let largest = numbers.iter().fold(0.0, |most: f64, it| most.max(it.abs()));
    if largest != 0.0 && !(SMALL..room.large).contains(&largest) {
        return None;
    }
    let decimals = decimals_of(largest);
    let keeps_enough = |number: &f64| {
        let size = number.abs();
        let exact = fixed(*number, decimals).replace(',', "").parse() == Ok(*number);
        exact || size >= 10_f64.powi(KEPT - 1) / 10_f64.powi(i32::try_from(decimals).unwrap_or(0))
    };
    if !numbers.iter().all(keeps_enough) {
        return None;
    }
    // zeros at every number's end say nothing
    let used = |number: &f64| {
        let text = fixed(*number, decimals);
        let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
        fraction.trim_end_matches('0').len()
    };
    numbers.iter().map(used).max()
}

/// The decimals that leave a number its digits.
fn decimals_of(number: f64) -> usize {
    let before = format!("{:e}", number.abs());
    let exponent = before.split_once('e').and_then(|(_, it)| it.parse().ok());
    let decimals = DIGITS - 1 - exponent.unwrap_or(0);
    usize::try_from(decimals).unwrap_or(0)
}

/// A number by itself.
fn alone(number: f64, room: Room) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let size = number.abs();
    if size != 0.0 && !(SMALL..room.large).contains(&size) {
        return scientific(number, room.digits);
    }
    let text = fixed(number, decimals_of(number));
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// With an exponent, as Python writes it.
fn scientific(number: f64, digits: usize) -> String {
    let digits = digits - 1;
    let text = format!("{number:.digits$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

fn fixed(number: f64, decimals: usize) -> String {
    grouped(&format!("{number:.decimals$}"))
}

/// With a comma between thousands.
pub fn grouped(number: &str) -> String {
    let (sign, rest) = match number.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", number),
    };
    let (whole, fraction) = match rest.split_once('.') {
        Some((whole, _)) => (whole, rest.get(whole.len()..).unwrap_or_default()),
        None => (rest, ""),
    };
    let mut text = sign.to_owned();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text.push_str(fraction);
    text
}

/// Texts come from outside: nothing of them may move a cursor, colour a terminal or turn the direction of reading.
fn printable(text: &str) -> String {
    let is_unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    text.chars()
        .map(|c| if is_unseen(c) { '\u{fffd}' } else { c })
        .collect()
}

fn shortened(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    text.chars().take(longest - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(numbers: &[f64]) -> Vec<String> {
        let cells: Vec<_> = numbers.iter().map(|it| Some(Cell::Float(*it))).collect();
        let shown = Shown::new("price", &DataType::Float64, &cells, WIDE);
        shown.cells.into_iter().flatten().collect()
    }

    #[test]
    fn numbers_of_one_size_have_the_same_decimals() {
        assert_eq!(
            floats(&[84_213.512_345, 84_199.2, 9_213.5]),
            ["84,213.51", "84,199.20", "9,213.50"]
        );
        assert_eq!(floats(&[1.000_234_5, 0.999_9]), ["1.000234", "0.999900"]);
        assert_eq!(floats(&[1.5, 2.0, 0.0]), ["1.5", "2.0", "0.0"]);
        assert_eq!(floats(&[1_672_345_123_456.78]), ["1,672,345,123,457"]);
        assert_eq!(floats(&[-0.001_234_567_8]), ["-0.001234568"]);
    }

    #[test]
    fn numbers_far_apart_are_readable_each_by_itself() {
        assert_eq!(
            floats(&[84_213.512_345, 2.839e-9, 0.000_123_456_78]),
            ["84,213.51", "2.839e-09", "0.0001234568"]
        );
        assert_eq!(
            floats(&[f64::NAN, f64::INFINITY, -1e300, 0.0]),
            ["NaN", "inf", "-1e+300", "0"]
        );
        assert_eq!(floats(&[1e15, 999.0]), ["1e+15", "999"]);
    }

    #[test]
    fn large_numbers_are_shorter_where_there_is_little_room() {
        let cells = [
            Some(Cell::Float(2_332_871_226_209.0)),
            Some(Cell::Float(1.5)),
        ];
        let shown = Shown::new("cap", &DataType::Float64, &cells, NARROW);
        assert_eq!(
            shown.cells,
            ["2.33287e+12", "1.5"].map(|it| Some(it.to_owned()))
        );
    }

    #[test]
    fn no_number_is_shown_as_zero_that_is_none() {
        for number in [5e-324, 1e-10, 4e-5, 0.000_1] {
            for other in [1.0, 1e6, 1e14] {
                let shown = floats(&[other, number]);
                let read: f64 = shown[1].replace(',', "").parse().unwrap();
                assert!((read / number - 1.0).abs() < 1e-3, "{shown:?}");
            }
        }
    }

    #[test]
    fn stamps_have_only_what_tells_them_apart() {
        let shown = |stamps: &[i64]| {
            let cells: Vec<_> = stamps.iter().map(|it| Some(Cell::Time(*it))).collect();
            let kind = DataType::Timestamp(arrow_schema::TimeUnit::Millisecond, Some("UTC".into()));
            Shown::new("ts", &kind, &cells, WIDE).cells.pop().flatten()
        };
        let day = 1_769_817_600_000;
        assert_eq!(shown(&[day]).unwrap(), "2026-01-31");
        assert_eq!(shown(&[day, day + 1_800_000]).unwrap(), "2026-01-31 00:30");
        assert_eq!(shown(&[day + 39_000]).unwrap(), "2026-01-31 00:00:39");
        assert_eq!(shown(&[day + 39_123]).unwrap(), "2026-01-31 00:00:39");
        assert_eq!(shown(&[day + 1, day]).unwrap(), "2026-01-31 00:00:00.000");
        assert_eq!(shown(&[i64::MAX]).unwrap(), i64::MAX.to_string());
    }

    #[test]
    fn texts_cannot_touch_the_terminal() {
        let cells = [Some(Cell::Text("a\u{1b}[31m\n\u{202e}b")), None];
        let shown = Shown::new("name", &DataType::Utf8, &cells, WIDE);
        assert_eq!(
            shown.cells,
            [Some("a\u{fffd}[31m\u{fffd}\u{fffd}b".to_owned()), None]
        );
        assert_eq!(shortened("abcdef", 4), "abc…");
    }

    #[test]
    fn whole_numbers_have_their_thousands_apart() {
        for (number, text) in [
            (0, "0"),
            (-999, "-999"),
            (-1000, "-1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(&i64::to_string(&number)), text);
        }
    }
}
