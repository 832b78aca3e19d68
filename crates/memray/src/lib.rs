//! Reads what `memray run` wrote, and writes it as a capture.
//!
//! memray's file is a stream of records: which frame was entered or left, which block came or went, when memray looked
//! at the process. It is documented by its source only (`records.h`, `record_writer.cpp`), and each format is read by
//! the versions of memray that write it and by no other. Those of [`FORMATS`] are read here, in one pass, without
//! memray; any other is refused by its number.
//!
//! **Cost.** Some 20 ns for each event, a part of them on a second processor. Memory grows with distinct call paths and
//! with what is live, never with the length of the stream; a length in the file is bounded before memory is asked for.
//!
//! **Not read**: native frames, the lifetimes of objects, and which thread asked for a block.
//!
//! # Example
//!
//! ```no_run
//! use std::fs::File;
//! use heapsight_capture::Capture;
//!
//! let mut capture = File::create_new("app.heapsight")?;
//! for remark in heapsight_memray::read(File::open("memray-app.py.4711.bin")?, &mut capture)? {
//!     eprintln!("note: {remark}");
//! }
//! let capture = Capture::open("app.heapsight")?;
//! println!("{} bytes live at the end", capture.timeline.last().map_or(0, |tick| tick.live_bytes));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod ahead;
mod frames;
mod header;
mod input;
mod play;
mod records;
mod source;
mod sums;

use std::io::{Read, Write};
use std::ops::RangeInclusive;

use heapsight_analysis::EventLog;
use heapsight_capture::{Note, WriteError, Writer};

use header::Header;
use input::{Input, Stop};

pub use source::is_of_memray;

/// The formats that are read: those of memray 1.11 to 1.20.
pub const FORMATS: RangeInclusive<u32> = 11..=13;

/// Why a recording could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Neither memray's name nor the beginning of a compressed file comes first.
    #[error("it does not begin as memray's files do")]
    NotMemray,
    /// A format that is not known.
    #[error(
        "its format is memray's number {0}, and heapsight knows {first} to {last} (memray 1.11 to 1.20): {remedy}",
        first = FORMATS.start(), last = FORMATS.end(),
        remedy = if .0 > FORMATS.end() { "upgrade heapsight" } else { "read it with the memray that wrote it" }
    )]
    Format(u32),
    /// Line tables of a version of Python that is not known.
    #[error(
        "it was recorded on Python 3.{0}, whose line tables heapsight does not know (it knows {supported}): \
         upgrade heapsight",
        supported = heapsight_cpython::version::supported()
    )]
    PythonVersion(u8),
    /// It ends, or makes no sense, before its first record.
    #[error("its header is incomplete or damaged")]
    Header,
    /// Reading failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The capture could not be written.
    #[error("the capture made of it cannot be written: {0}")]
    Write(#[from] WriteError),
}

/// Reads a recording from `source` and writes it to `sink` as a capture. Gives sentences on what the recording does not
/// tell.
///
/// A recording that is cut short or damaged is read up to there; its capture has no end then.
///
/// # Errors
/// When not even its header can be read, or when `source` or `sink` fails.
pub fn read(source: impl Read + Send, sink: impl Write) -> Result<Vec<String>, ReadError> {
    let source = source::open(source)?;
    let is_compressed = source.is_compressed;
    let mut input = Input::new(source.bytes);
    let header = Header::read(&mut input)?;
    let mut log = EventLog::new(Writer::create(sink, &header.of_capture())?);
    let mut said = Vec::new();
    if !header.traces_python_allocators {
        let text = "recorded without --trace-python-allocators: \
                    of Python's small blocks only the arenas that hold them are seen";
        said.push(text.to_owned());
    }
    if header.is_aggregate {
        let text = "recorded with --aggregate: only what was live at the end and at the peak is known, \
                    not what was allocated, freed or temporary, nor what was live at other moments";
        said.push(text.to_owned());
        log.note(&Note {
            name: Note::ENDS_ONLY.to_owned(),
            text: text.to_owned(),
        })?;
    }
    let ended = match header.is_aggregate {
        true => sums::read(&header, &mut input, &mut log)?,
        false => play::play(&header, &mut input, &mut log)?,
    };
    match ended.stop {
        None => log.finish(ended.elapsed_ns)?,
        Some(Stop::Failed(error)) => return Err(error.into()),
        Some(Stop::Damaged(what)) => said.push(format!(
            "the file is damaged ({what}, at byte {} of what it holds): what comes after is missing",
            ended.stopped_at.unwrap_or_else(|| input.position())
        )),
        // A file that is not compressed may end anywhere: so does that of a program that was killed, which the lack of
        // an end tells.
        Some(Stop::End) if !is_compressed && !header.is_aggregate => {}
        Some(Stop::End) => {
            said.push("the file was cut short: what comes after the cut is missing".to_owned());
        }
    }
    Ok(said)
}

/// How the records came to an end.
#[derive(Debug)]
struct Ended {
    /// `None`: with the record that says so.
    stop: Option<Stop>,
    /// Where in what the file holds, if that is not how far it was read.
    stopped_at: Option<u64>,
    /// Nanoseconds since the recording began.
    elapsed_ns: u64,
}
