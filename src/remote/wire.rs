//! What goes over the pipes between this process and a worker: a greeting, then messages of a kind, a length and a body. Rows
//! follow theirs as Arrow's own stream, which says where it ends, batch by batch: they can be many.
//! Pure, but for the reader and the writer that it is given; who sends what, and when, is the two sides' own work.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};

use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::call::{Call, Returned};
use crate::error::Error;
use crate::frame::Frame;
use crate::pipeline::Progress;
// the name means another thing among pipes
use crate::pipeline::Read as Rows;

/// What a worker is to do. The settings are texts by name, which no environment and no file changes any more.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) call: Call,
}

/// What a worker is told.
#[derive(Debug)]
pub(crate) enum Order {
    Begin(Request),
    Stop,
}

/// A log record of a worker, for the logger of its parent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Logged {
    level: String,
    target: String,
    message: String,
    module: Option<String>,
    file: Option<String>,
    line: Option<u32>,
}

/// What a worker says.
#[derive(Debug)]
pub(crate) enum Said {
    Log(Logged),
    Progress(Progress),
    Done(Returned),
    Failed(Error),
}

const BEGIN: u8 = b'B';
const STOP: u8 = b'S';
const LOG: u8 = b'L';
const PROGRESS: u8 = b'P';
const JSON: u8 = b'J';
const ABOUT: u8 = b'A';
const ROWS: u8 = b'R';
const TOTALS: u8 = b'T';
const FAILED: u8 = b'F';

/// A worker's first line. Its form never changes, so that every version can read which one another is.
pub(crate) fn greet(to: &mut impl Write, version: &str) -> io::Result<()> {
    writeln!(to, "coinmill {version}")?;
    to.flush()
}

/// The version in a greeting; `None` where it is none, or nobody greets.
pub(crate) fn greeted(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    // another program's output may be endless
    from.by_ref().take(100).read_line(&mut line)?;
    Ok(line
        .strip_prefix("coinmill ")
        .and_then(|version| version.strip_suffix('\n'))
        .map(str::to_owned))
}

impl Order {
    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Begin(request) => write_json(to, BEGIN, request)?,
            Self::Stop => write_bytes(to, STOP, &[])?,
        }
        to.flush()
    }

    /// The next order; `None` once nobody gives any.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        match read_head(from)? {
            None => Ok(None),
            Some((BEGIN, length)) => read_json(from, length).map(|r| Some(Self::Begin(r))),
            Some((STOP, 0)) => Ok(Some(Self::Stop)),
            Some((kind, _)) => Err(unknown(kind)),
        }
    }
}

impl Said {
    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Log(logged) => write_json(to, LOG, logged)?,
            Self::Progress(progress) => write_json(to, PROGRESS, progress)?,
            Self::Failed(error) => write_json(to, FAILED, error)?,
            Self::Done(Returned::Json(text)) => write_bytes(to, JSON, text.as_bytes())?,
            Self::Done(Returned::Frame(rows)) => write_rows(to, rows)?,
            // before the rows, so that these end the message in either case
            Self::Done(Returned::FrameAndTotals(rows, totals)) => {
                write_bytes(to, TOTALS, &[])?;
                write_arrow(to, totals).map_err(io::Error::other)?;
                write_rows(to, rows)?;
            }
        }
        to.flush()
    }

    /// The next thing said; `None` at the end.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let Some((kind, length)) = read_head(from)? else {
            return Ok(None);
        };
        let said = match kind {
            LOG => Self::Log(read_json(from, length)?),
            PROGRESS => Self::Progress(read_json(from, length)?),
            FAILED => Self::Failed(read_json(from, length)?),
            JSON => Self::Done(Returned::Json(
                String::from_utf8(read_bytes(from, length)?).map_err(io::Error::other)?,
            )),
            ABOUT => Self::Done(Returned::Frame(read_rows(from, length)?)),
            TOTALS => {
                let totals = read_arrow(from).map_err(io::Error::other)?;
                match read_head(from)? {
                    Some((ABOUT, length)) => {
                        Self::Done(Returned::FrameAndTotals(read_rows(from, length)?, totals))
                    }
                    Some((kind, _)) => return Err(unknown(kind)),
                    None => return Err(io::ErrorKind::UnexpectedEof.into()),
                }
            }
            kind => return Err(unknown(kind)),
        };
        Ok(Some(said))
    }
}

impl From<&log::Record<'_>> for Logged {
    fn from(record: &log::Record<'_>) -> Self {
        Self {
            level: record.level().to_string(),
            target: record.target().to_owned(),
            message: record.args().to_string(),
            module: record.module_path().map(str::to_owned),
            file: record.file().map(str::to_owned),
            line: record.line(),
        }
    }
}

impl Logged {
    /// Hands the record to this process's logger, as if it had been written here.
    pub(crate) fn log(&self) {
        log::logger().log(
            &log::Record::builder()
                .level(self.level.parse().unwrap_or(log::Level::Warn))
                .target(&self.target)
                .module_path(self.module.as_deref())
                .file(self.file.as_deref())
                .line(self.line)
                .args(format_args!("{}", self.message))
                .build(),
        );
    }
}

fn write_rows(to: &mut impl Write, rows: &Rows) -> io::Result<()> {
    write_json(to, ABOUT, &(&rows.missing, &rows.warning, &rows.pin))?;
    write_bytes(to, ROWS, &[])?;
    write_arrow(to, &rows.frame).map_err(io::Error::other)
}

/// Rows, of which what is said about them is so long.
fn read_rows(from: &mut impl Read, length: u64) -> io::Result<Rows> {
    let (missing, warning, pin) = read_json(from, length)?;
    match read_head(from)? {
        Some((ROWS, 0)) => Ok(Rows {
            frame: read_arrow(from).map_err(io::Error::other)?,
            missing,
            warning,
            pin,
        }),
        Some((kind, _)) => Err(unknown(kind)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn write_arrow(to: &mut impl Write, frame: &Frame) -> Result<(), ArrowError> {
    let mut writer = StreamWriter::try_new(to, &frame.schema)?;
    for batch in &frame.batches {
        writer.write(batch)?;
    }
    writer.finish()
}

/// Reads straight into Arrow's own buffers.
fn read_arrow(from: &mut impl Read) -> Result<Frame, ArrowError> {
    let mut from = Whole {
        from,
        has_ended: false,
    };
    let mut reader = StreamReader::try_new(&mut from, None)?;
    let batches = reader.by_ref().collect::<Result<_, _>>()?;
    let schema = reader.schema();
    match from.has_ended {
        false => Ok(Frame { schema, batches }),
        // Arrow takes the end of a pipe for the end of its stream
        true => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
    }
}

/// A reader that remembers whether it came to its end.
struct Whole<R> {
    from: R,
    has_ended: bool,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.has_ended |= read == 0 && !buffer.is_empty();
        Ok(read)
    }
}

fn write_json(to: &mut impl Write, kind: u8, value: &impl Serialize) -> io::Result<()> {
    write_bytes(to, kind, &serde_json::to_vec(value)?)
}

fn read_json<T: DeserializeOwned>(from: &mut impl Read, length: u64) -> io::Result<T> {
    Ok(serde_json::from_slice(&read_bytes(from, length)?)?)
}

fn write_bytes(to: &mut impl Write, kind: u8, body: &[u8]) -> io::Result<()> {
    to.write_all(&[kind])?;
    to.write_all(&(body.len() as u64).to_le_bytes())?;
    to.write_all(body)
}

/// The kind and length of the next message; `None` at the end of the pipe.
fn read_head(from: &mut impl Read) -> io::Result<Option<(u8, u64)>> {
    let mut kind = Vec::new();
    from.by_ref().take(1).read_to_end(&mut kind)?;
    let [kind] = kind[..] else {
        return Ok(None);
    };
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    Ok(Some((kind, u64::from_le_bytes(length))))
}

fn read_bytes(from: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let read = from.take(length).read_to_end(&mut body)? as u64;
    if read < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(body)
}

fn unknown(kind: u8) -> io::Error {
    io::Error::other(format!("there is no message of kind {kind}"))
}

#[cfg(test)]
mod tests;
