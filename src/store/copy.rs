//! PostgreSQL's binary COPY format: rows into bytes, and bytes into rows.
//! <https://www.postgresql.org/docs/current/sql-copy.html>, "Binary Format". Columns are `text`, `bigint`, `double
//! precision` and `timestamptz`, and arrays of the latter three.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::series::{POINT_COLUMNS, PricePoint, Resolution};

/// Microseconds from 1970 to 2000, where PostgreSQL's count begins.
const EPOCH_2000: i64 = 946_684_800_000_000;

/// How a stream begins: its signature, no flags, no extension.
pub const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// How a stream ends.
pub const TRAILER: &[u8] = &(-1_i16).to_be_bytes();

/// One value of a row.
pub fn field(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// A null.
pub fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1_i32).to_be_bytes());
}

/// A point as a row of `price_point`, of a coin's and a body's keys.
pub fn point(
    out: &mut Vec<u8>,
    coin: i32,
    resolution: Resolution,
    landing: i64,
    point: &PricePoint,
) {
    out.extend_from_slice(&FIELDS.to_be_bytes());
    field(out, &coin.to_be_bytes());
    field(out, &resolution.minutes().to_be_bytes());
    field(out, &microseconds_of(point.ts).to_be_bytes());
    for column in POINT_COLUMNS {
        match (column.of)(point) {
            Some(number) => field(out, &number.to_bits().to_be_bytes()),
            None => null(out),
        }
    }
    field(out, &landing.to_be_bytes());
}

/// How many these are: the numbers, and four keys.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "there are seven"
)]
const FIELDS: i16 = (4 + POINT_COLUMNS.len()) as i16;

/// A stamp in milliseconds since 1970 as a `timestamptz`.
fn microseconds_of(milliseconds: i64) -> i64 {
    milliseconds * 1000 - EPOCH_2000
}

/// A `timestamptz` as a stamp in milliseconds since 1970.
fn milliseconds_of(microseconds: i64) -> i64 {
    microseconds.saturating_add(EPOCH_2000).div_euclid(1000)
}

/// A stream's bytes, cut into rows as they come.
#[derive(Debug, Default)]
pub struct Rows {
    /// What of a row has come so far. A server sends whole rows, which nothing promises.
    rest: Vec<u8>,
    has_begun: bool,
    has_ended: bool,
    fields: Vec<Option<Range<usize>>>,
}

/// One row of a stream.
#[derive(Debug)]
pub struct CopiedRow<'a> {
    bytes: &'a [u8],
    fields: &'a [Option<Range<usize>>],
}

impl Rows {
    /// Hands over the rows that are whole by now.
    pub fn take(
        &mut self,
        piece: &[u8],
        mut row: impl FnMut(&CopiedRow<'_>) -> Result<()>,
    ) -> Result<()> {
        if self.rest.is_empty() {
            let used = self.cut(piece, &mut row)?;
            self.rest
                .extend_from_slice(piece.get(used..).unwrap_or_default());
        } else {
            let mut bytes = std::mem::take(&mut self.rest);
            bytes.extend_from_slice(piece);
            let used = self.cut(&bytes, &mut row)?;
            bytes.drain(..used.min(bytes.len()));
            self.rest = bytes;
        }
        Ok(())
    }

    /// The end of the stream, which has to say that it is whole.
    pub fn end(self) -> Result<()> {
        if self.has_ended && self.rest.is_empty() {
            Ok(())
        } else {
            Err(strange())
        }
    }

    /// Hands over the rows that are whole, and says how many bytes those are.
    fn cut(
        &mut self,
        bytes: &[u8],
        row: &mut impl FnMut(&CopiedRow<'_>) -> Result<()>,
    ) -> Result<usize> {
        let mut used = 0;
        if !self.has_begun {
            let Some(begin) = bytes.get(..HEADER.len()) else {
                return Ok(0);
            };
            if begin != HEADER {
                return Err(strange());
            }
            self.has_begun = true;
            used = HEADER.len();
        }
        while !self.has_ended {
            let Some(end) = self.find(bytes, used)? else {
                break;
            };
            if !self.has_ended {
                row(&CopiedRow {
                    bytes,
                    fields: &self.fields,
                })?;
            }
            used = end;
        }
        Ok(used)
    }

    /// Finds the fields of the row that begins here, and where it ends; `None` where it is not whole.
    fn find(&mut self, bytes: &[u8], begin: usize) -> Result<Option<usize>> {
        let Some(count) = bytes.get(begin..).and_then(<[u8]>::first_chunk) else {
            return Ok(None);
        };
        let mut place = begin + count.len();
        let count = i16::from_be_bytes(*count);
        self.fields.clear();
        if count == -1 {
            self.has_ended = true;
            return Ok(Some(place));
        }
        for _ in 0..count {
            let Some(length) = bytes.get(place..).and_then(<[u8]>::first_chunk) else {
                return Ok(None);
            };
            place += length.len();
            let length = i32::from_be_bytes(*length);
            if length == -1 {
                self.fields.push(None);
                continue;
            }
            let end = place + usize::try_from(length).map_err(|_| strange())?;
            if end > bytes.len() {
                return Ok(None);
            }
            self.fields.push(Some(place..end));
            place = end;
        }
        Ok(Some(place))
    }
}

impl CopiedRow<'_> {
    fn field(&self, column: usize) -> Result<Option<&[u8]>> {
        let field = self.fields.get(column).ok_or_else(strange)?;
        Ok(field.clone().and_then(|range| self.bytes.get(range)))
    }

    fn number(&self, column: usize) -> Result<Option<[u8; 8]>> {
        let field = self.field(column)?;
        field
            .map(|bytes| bytes.try_into().map_err(|_| strange()))
            .transpose()
    }

    /// A `text`.
    pub fn text(&self, column: usize) -> Result<Option<&str>> {
        let field = self.field(column)?;
        field
            .map(|bytes| std::str::from_utf8(bytes).map_err(|_| strange()))
            .transpose()
    }

    /// A `bigint`.
    pub fn int(&self, column: usize) -> Result<Option<i64>> {
        Ok(self.number(column)?.map(i64::from_be_bytes))
    }

    /// A `double precision`.
    pub fn float(&self, column: usize) -> Result<Option<f64>> {
        Ok(self.number(column)?.map(f64::from_be_bytes))
    }

    /// An array.
    pub fn array(&self, column: usize) -> Result<Elements<'_>> {
        Elements::of(self.field(column)?)
    }

    /// A `timestamptz` in milliseconds since 1970.
    pub fn milliseconds(&self, column: usize) -> Result<Option<i64>> {
        Ok(self.int(column)?.map(milliseconds_of))
    }
}

/// The elements of an array of values of eight bytes, in the form of PostgreSQL's `array_send`: how many dimensions, whether there are
/// nulls, the type, and for the one dimension its length and lower bound; then each element as a field.
#[derive(Debug)]
pub struct Elements<'a> {
    left: usize,
    bytes: &'a [u8],
}

/// The five numbers that an array begins with.
const ARRAY_HEADER: usize = 5 * size_of::<i32>();

impl<'a> Elements<'a> {
    fn of(field: Option<&'a [u8]>) -> Result<Self> {
        // the array of no rows is null, and that of no elements has no dimension
        let Some((header, bytes)) = field.and_then(<[u8]>::split_first_chunk::<ARRAY_HEADER>)
        else {
            let is_empty = field.is_none_or(|field| field.starts_with(&[0; 4]));
            let none = Self {
                left: 0,
                bytes: &[],
            };
            return is_empty.then_some(none).ok_or_else(strange);
        };
        let (numbers, _) = header.as_chunks::<4>();
        let numbers: Vec<i32> = numbers
            .iter()
            .map(|number| i32::from_be_bytes(*number))
            .collect();
        let [1, _, _, length, _] = numbers[..] else {
            return Err(strange());
        };
        let left = usize::try_from(length).map_err(|_| strange())?;
        Ok(Self { left, bytes })
    }

    /// How many there are still to come.
    pub fn left(&self) -> usize {
        // each has at least its length
        self.left.min(self.bytes.len() / size_of::<i32>())
    }

    /// The next element, which may be null, and nothing at the end.
    fn next_bytes(&mut self) -> Result<Option<Option<[u8; 8]>>> {
        if self.left == 0 {
            let is_whole = self.bytes.is_empty();
            return is_whole.then_some(None).ok_or_else(strange);
        }
        self.left -= 1;
        let (length, rest) = self.bytes.split_first_chunk().ok_or_else(strange)?;
        match i32::from_be_bytes(*length) {
            -1 => {
                self.bytes = rest;
                Ok(Some(None))
            }
            8 => {
                let (element, rest) = rest.split_first_chunk().ok_or_else(strange)?;
                self.bytes = rest;
                Ok(Some(Some(*element)))
            }
            _ => Err(strange()),
        }
    }

    /// The next of some `double precision`, or null.
    pub fn float(&mut self) -> Result<Option<f64>> {
        let element = self.next_bytes()?.ok_or_else(strange)?;
        Ok(element.map(f64::from_be_bytes))
    }

    /// The next of some `bigint`.
    pub fn int(&mut self) -> Result<i64> {
        let element = self.next_bytes()?.flatten().ok_or_else(strange)?;
        Ok(i64::from_be_bytes(element))
    }

    /// The next of some `timestamptz`, in milliseconds since 1970, and nothing at the end.
    pub fn milliseconds(&mut self) -> Result<Option<i64>> {
        let Some(element) = self.next_bytes()? else {
            return Ok(None);
        };
        let element = element.ok_or_else(strange)?;
        Ok(Some(milliseconds_of(i64::from_be_bytes(element))))
    }
}

pub(super) fn strange() -> Error {
    Error::Store {
        message:
            "the server sent rows of another form than was asked for: tell us, and its version"
                .to_owned(),
        retryable: false,
        cause: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = (Option<String>, Option<i64>, Option<u64>);

    /// The rows of a stream that comes in pieces of a size, as the values of their columns.
    fn read(stream: &[u8], size: usize) -> Result<Vec<Seen>> {
        let (mut rows, mut read) = (Rows::default(), Vec::new());
        for piece in stream.chunks(size) {
            rows.take(piece, |row| {
                let text = row.text(0)?.map(str::to_owned);
                let number = row.float(2)?.map(f64::to_bits);
                read.push((text, row.milliseconds(1)?, number));
                Ok(())
            })?;
        }
        rows.end().map(|()| read)
    }

    /// A text, a stamp in milliseconds and a number.
    type Written<'a> = (Option<&'a str>, Option<i64>, Option<f64>);

    fn encode(rows: &[Written<'_>]) -> Vec<u8> {
        let mut out = HEADER.to_vec();
        for (text, stamp, number) in rows {
            out.extend_from_slice(&3_i16.to_be_bytes());
            match text {
                Some(text) => field(&mut out, text.as_bytes()),
                None => null(&mut out),
            }
            let stamp = stamp.map(|stamp| microseconds_of(stamp).to_be_bytes());
            for value in [stamp, number.map(f64::to_be_bytes)] {
                match value {
                    Some(bytes) => field(&mut out, &bytes),
                    None => null(&mut out),
                }
            }
        }
        out.extend_from_slice(TRAILER);
        out
    }

    const ROWS: [Written<'_>; 3] = [
        (Some("bitcoin"), Some(1_768_392_600_123), Some(0.1)),
        (None, None, None),
        (Some(""), Some(-1), Some(f64::NEG_INFINITY)),
    ];

    #[test]
    fn rows_come_back_however_they_are_cut() {
        let stream = encode(&ROWS);
        let expected = vec![
            (
                Some("bitcoin".to_owned()),
                Some(1_768_392_600_123),
                Some(0.1_f64.to_bits()),
            ),
            (None, None, None),
            (
                Some(String::new()),
                Some(-1),
                Some(f64::NEG_INFINITY.to_bits()),
            ),
        ];
        for size in 1..=stream.len() {
            assert_eq!(read(&stream, size).unwrap(), expected, "{size}");
        }
    }

    /// An array as `array_send` writes it.
    fn array(elements: &[Option<f64>]) -> Vec<u8> {
        let numbers = [1, 1, 701, i32::try_from(elements.len()).unwrap(), 1];
        let mut out: Vec<u8> = numbers.into_iter().flat_map(i32::to_be_bytes).collect();
        for element in elements {
            match element {
                Some(number) => field(&mut out, &number.to_be_bytes()),
                None => null(&mut out),
            }
        }
        out
    }

    fn elements(bytes: Option<&[u8]>) -> Result<Vec<Option<f64>>> {
        let mut elements = Elements::of(bytes)?;
        let mut read = Vec::new();
        while let Some(element) = elements.next_bytes()? {
            read.push(element.map(f64::from_be_bytes));
        }
        Ok(read)
    }

    #[test]
    fn arrays_come_back_with_their_nulls_and_none_is_empty() {
        let numbers = [Some(1e-9), None, Some(f64::MAX), Some(-0.0)];
        assert_eq!(elements(Some(&array(&numbers))).unwrap(), numbers);
        assert_eq!(elements(None).unwrap(), []);
        let of_no_dimension = [0; 12];
        assert_eq!(elements(Some(&of_no_dimension)).unwrap(), []);
    }

    #[test]
    fn an_array_that_is_cut_or_of_another_form_is_an_error() {
        let whole = array(&[Some(1.5), None]);
        for length in 0..whole.len() {
            let cut = whole.get(..length).unwrap();
            assert!(elements(Some(cut)).is_err(), "{length}");
        }
        let longer = [whole.as_slice(), &[0]].concat();
        assert!(elements(Some(&longer)).is_err());
        let mut of_two_dimensions = whole.clone();
        *of_two_dimensions.get_mut(3).unwrap() = 2;
        assert!(elements(Some(&of_two_dimensions)).is_err());
        let mut endless = whole;
        endless.get_mut(12..16).unwrap().fill(0x7f);
        assert!(Elements::of(Some(&endless)).unwrap().left() < 10);
    }

    #[test]
    fn a_stream_that_is_cut_or_no_stream_is_an_error() {
        let stream = encode(&ROWS);
        for length in 0..stream.len() {
            assert!(read(stream.get(..length).unwrap(), 7).is_err(), "{length}");
        }
        assert!(read(b"PGCOPX\n\xff\r\n\0 and more than a header", 99).is_err());
    }

    #[test]
    fn a_field_of_another_type_is_an_error() {
        let stream = encode(&[(Some("four"), Some(1), Some(1.5))]);
        let mut rows = Rows::default();
        assert!(rows.take(&stream, |row| row.int(0).map(drop)).is_err());
    }
}
