//! What a recording says before its first record.

use std::io::Read;

use heapsight_cpython::line_table::LineTableFormat;

use crate::input::{Input, Stop};
use crate::source::NAME;
use crate::{FORMATS, ReadError};

const NS_PER_MS: u64 = 1_000_000;

/// Ticks to write at most, roughly. memray looks at the process every 10 ms, and a recording may be of hours.
const MOST_TICKS: u64 = 1000;

/// Milliseconds between ticks when it is not known how long the recording is.
const USUAL_TICK_MS: u64 = 100;

/// How often memray looks at the process unless told otherwise, in milliseconds.
const MEMRAY_TICK_MS: u64 = 10;

/// What is of interest in it.
#[derive(Debug)]
pub(crate) struct Header {
    pub format: u32,
    pub has_native_traces: bool,
    pub is_aggregate: bool,
    /// Milliseconds since 1970-01-01 UTC.
    pub start_ms: u64,
    /// Likewise. Written when the program ends: that of the start until then.
    end_ms: u64,
    command_line: String,
    pid: u32,
    pub main_thread: u64,
    /// How many of its outermost frames are memray's own.
    pub skipped_frames: u64,
    pub traces_python_allocators: bool,
    /// `PY_VERSION_HEX` of the headers that memray was compiled with, so no more of it holds than the first two
    /// numbers; 0 in formats that do not have it.
    python_version: u32,
    /// How that version of Python writes line tables.
    pub line_tables: LineTableFormat,
}

/// # Errors
/// When it is a version that is not known.
fn line_tables_of(python_version: u32) -> Result<LineTableFormat, ReadError> {
    match (python_version >> 16) as u8 {
        // The versions before those that can be traced write as the oldest of these does.
        0..=8 => Ok(LineTableFormat::Increments),
        minor => LineTableFormat::of_version(minor).ok_or(ReadError::PythonVersion(minor)),
    }
}

impl Header {
    /// Reads it.
    ///
    /// # Errors
    /// When it is of a format that is not known, or not all there.
    pub(crate) fn read(input: &mut Input<impl Read>) -> Result<Self, ReadError> {
        let incomplete = |stop| match stop {
            Stop::Failed(error) => ReadError::Io(error),
            Stop::End | Stop::Damaged(_) => ReadError::Header,
        };
        let name: [u8; NAME.len()] = input.array().map_err(incomplete)?;
        if name != NAME {
            return Err(ReadError::NotMemray);
        }
        let format = input.half_word().map_err(incomplete)?;
        if !FORMATS.contains(&format) {
            return Err(ReadError::Format(format));
        }
        // In formats without a version, frames come with their lines.
        let python_version = if format >= 12 {
            input.half_word().map_err(incomplete)?
        } else {
            0
        };
        let line_tables = line_tables_of(python_version)?;
        Self::read_fields(format, python_version, line_tables, input).map_err(incomplete)
    }

    fn read_fields(
        format: u32,
        python_version: u32,
        line_tables: LineTableFormat,
        input: &mut Input<impl Read>,
    ) -> Result<Self, Stop> {
        let has_native_traces = input.flag()?;
        let is_aggregate = match input.byte()? {
            0 => false,
            1 => true,
            _ => return Err(Stop::Damaged("a kind of file that is not known")),
        };
        let _events = input.word()?;
        let _frames = input.word()?;
        let start_ms = input.word()?;
        let end_ms = input.word()?;
        let command_line = input.text()?;
        let pid = input.half_word()?;
        let main_thread = input.word()?;
        let skipped_frames = input.word()?;
        let _python_allocator = input.byte()?;
        let traces_python_allocators = input.flag()?;
        if format >= 12 {
            let _tracks_objects = input.flag()?;
        }
        if format >= 13 {
            // Where modules are looked for: the standard library's folder, then two lists that an empty text ends.
            input.text()?;
            for _ in 0..2 {
                while !input.text()?.is_empty() {}
            }
        }
        Ok(Self {
            format,
            has_native_traces,
            is_aggregate,
            start_ms,
            end_ms,
            command_line,
            pid,
            main_thread,
            skipped_frames,
            traces_python_allocators,
            python_version,
            line_tables,
        })
    }

    /// Nanoseconds from the start to the end, if that was written: at least a millisecond, and not before `last_ns`,
    /// when memray last looked.
    pub(crate) fn length_ns(&self, last_ns: u64) -> u64 {
        let length_ms = self.end_ms.saturating_sub(self.start_ms);
        length_ms.saturating_mul(NS_PER_MS).max(last_ns)
    }

    /// Least milliseconds between two ticks.
    pub(crate) fn tick_ms(&self) -> u64 {
        // Until the end is written, it is the start, give or take a millisecond.
        match self.end_ms.saturating_sub(self.start_ms) {
            0 | 1 => USUAL_TICK_MS,
            length_ms => length_ms / MOST_TICKS,
        }
    }

    /// What it says, as a capture says it.
    pub(crate) fn of_capture(&self) -> heapsight_capture::Header {
        let [major, minor, ..] = self.python_version.to_be_bytes();
        let tick_ms = self.tick_ms().max(MEMRAY_TICK_MS);
        heapsight_capture::Header {
            program: self.command_line.clone(),
            python_version: match self.python_version {
                0 => String::new(),
                _ => format!("{major}.{minor}"),
            },
            pid: self.pid,
            start_unix_ns: self.start_ms.saturating_mul(NS_PER_MS),
            tick_ms: u32::try_from(tick_ms).unwrap_or(u32::MAX),
            heapsight_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..heapsight_capture::Header::default()
        }
    }
}
