//! A frame as a CSV file, whole or not at all.
//! Every number is written with all its digits, and reads back as the same one.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use chrono::DateTime;
use csv::{Terminator, WriterBuilder};

use crate::error::{Error, Result};
use crate::frame::{Cell, Frame, cell};

/// Writes a frame as CSV (RFC 4180): UTF-8 with a header, lines ended by CR LF, what holds a comma, a quote or a line break in
/// quotes; instants as `2026-01-31T00:30:00.000Z`, numbers in as many digits as they need and without an exponent, nulls empty.
///
/// # Errors
/// [`Error::Store`] when the file cannot be written; then what was there before still is.
pub(super) fn write_csv(path: &Path, frame: &Frame) -> Result<()> {
    let part = path.with_extension("csv.part");
    let write = || -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = BufWriter::new(File::create(&part)?);
        write_to(file, frame)?.into_inner()?.flush()?;
        fs::rename(&part, path)
    };
    write().map_err(|error| {
        // what was begun is of no use to anybody
        let _may_not_be_there = fs::remove_file(&part);
        Error::store(
            format!(
                "{} cannot be written: free some space, or choose another folder",
                path.display()
            ),
            error,
        )
    })
}

fn write_to<W: io::Write>(out: W, frame: &Frame) -> io::Result<W> {
    let mut rows = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(out);
    let names = frame.schema.fields().iter();
    rows.write_record(names.map(|field| field.name()))?;
    for batch in &frame.batches {
        for row in 0..batch.num_rows() {
            for column in batch.columns() {
                rows.write_field(text(cell(column.as_ref(), row)))?;
            }
            rows.write_record(None::<&[u8]>)?;
        }
    }
    rows.into_inner()
        .map_err(|error| io::Error::other(error.to_string()))
}

fn text(cell: Option<Cell<'_>>) -> String {
    match cell {
        None => String::new(),
        Some(Cell::Text(text)) => text.to_owned(),
        Some(Cell::Int(number)) => number.to_string(),
        Some(Cell::Bool(value)) => value.to_string(),
        Some(Cell::Foreign(value)) => value.to_string(),
        // the fewest digits that read back as the same number
        Some(Cell::Float(number)) => number.to_string(),
        Some(Cell::Time(stamp)) => match DateTime::from_timestamp_millis(stamp) {
            Some(at) => at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            None => stamp.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Filler, Filling};
    use crate::market::{Column, Kind, Origin};

    fn frame(rows: &[(Option<&str>, Option<f64>, Option<i64>)]) -> Frame {
        let column = |name, kind| Column {
            name,
            kind,
            origin: Origin::Derived,
        };
        let columns = [
            column("name", Kind::Text),
            column("price", Kind::Float),
            column("at", Kind::Time),
        ];
        let mut filling = Filling::new(&columns);
        for &(name, price, at) in rows {
            for column in filling.columns() {
                match column {
                    Filler::Text(values) => values.append_option(name),
                    Filler::Float(values) => values.append_option(price),
                    Filler::Time(values) => values.append_option(at),
                    _ => {}
                }
            }
            filling.end_row();
        }
        filling.finish().unwrap()
    }

    fn written(rows: &[(Option<&str>, Option<f64>, Option<i64>)]) -> String {
        String::from_utf8(write_to(Vec::new(), &frame(rows)).unwrap()).unwrap()
    }

    #[test]
    fn a_file_is_as_rfc_4180_has_it() {
        let rows = [
            (Some("Wrapped, \"real\" Bitcoin"), Some(1.5), Some(1)),
            (Some("two\nlines"), None, None),
            (None, Some(-1e-7), Some(1_769_819_400_000)),
        ];
        assert_eq!(
            written(&rows),
            "name,price,at\r\n\"Wrapped, \"\"real\"\" Bitcoin\",1.5,1970-01-01T00:00:00.001Z\r\n\
             \"two\nlines\",,\r\n,-0.0000001,2026-01-31T00:30:00.000Z\r\n"
        );
        assert_eq!(written(&[]), "name,price,at\r\n");
    }

    #[test]
    fn every_number_reads_back_as_the_same_one() {
        for number in [
            0.1 + 0.2,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            127_712.394_444_550_93,
        ] {
            let text = written(&[(None, Some(number), None)]);
            let field = text.lines().nth(1).unwrap().split(',').nth(1).unwrap();
            let read: f64 = field.parse().unwrap();
            assert_eq!(read.to_bits(), number.to_bits(), "{text}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_finished_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        write_csv(&path, &frame(&[(Some("old"), None, None)])).unwrap();
        fs::create_dir(folder.path().join("a.csv.part")).unwrap();
        let error = write_csv(&path, &frame(&[])).unwrap_err().to_string();
        assert!(error.contains("a.csv cannot be written"), "{error}");
        assert!(fs::read_to_string(&path).unwrap().contains("old"));
    }
}
