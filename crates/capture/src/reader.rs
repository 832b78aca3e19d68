//! Reads a capture: all of it, or up to a moment.

mod equal;
mod follow;
mod frames;
mod missing;
mod replay;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::blocks::Block;
use crate::end::End;
use crate::error::{ReadError, Truncation};
use crate::header::Header;
use crate::model::{Bounds, Tables};
use crate::note::Note;

pub use follow::Follow;
pub use missing::Missing;
pub use replay::Replay;

/// What was known of the process at one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TickSummary {
    /// Nanoseconds since the start of tracing; never less than the point before.
    pub elapsed_ns: u64,
    /// Resident memory of the process, in bytes; 0 when unknown.
    pub rss_bytes: u64,
    /// Highest resident memory so far as the kernel kept it, between ticks too, in bytes; 0 when unknown (older files).
    pub highest_rss_bytes: u64,
    /// How old, in nanoseconds, the figures of single call paths may be at this tick: 0 for one that has them all.
    pub paths_lag_ns: u64,
    /// Bytes in live traced blocks.
    pub live_bytes: u64,
    /// Live traced blocks.
    pub live_blocks: u64,
    /// Highest `live_bytes` so far, between ticks too.
    pub peak_bytes: u64,
    /// Bytes allocated so far.
    pub allocated_bytes: u64,
    /// Blocks allocated so far.
    pub allocated_blocks: u64,
    /// Events lost so far.
    pub lost_events: u64,
    /// Bytes that the tracer holds.
    pub tracer_bytes: u64,
    /// What keeping these within the tracer's budget has cost so far.
    pub bounds: Bounds,
}

impl TickSummary {
    /// Until when the figures of single call paths are known at this tick, in nanoseconds since the start of tracing.
    /// The totals are known until [`Self::elapsed_ns`].
    #[must_use]
    pub fn paths_until_ns(&self) -> u64 {
        self.elapsed_ns.saturating_sub(self.paths_lag_ns)
    }
}

/// A capture as read.
///
/// Memory grows with the number of distinct names, call paths and ticks, and is bounded by the file's size times a
/// constant: a frame that claims more than 32 times its stored length is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// What was traced.
    pub header: Header,
    /// Names, call paths and counters at the last tick that was read.
    pub tables: Tables,
    /// One point for each tick that was read.
    pub timeline: Vec<TickSummary>,
    /// The table of live blocks at the last tick, if the file has it.
    pub blocks: Option<Vec<Block>>,
    /// Texts that the program added, in the order of the file.
    pub notes: Vec<Note>,
    /// How tracing ended. `None` when the program was killed, called `os._exit` or still runs, or when reading was
    /// stopped or failed before the end.
    pub end: Option<End>,
    /// Where the file stops being readable, if it does before its end.
    pub truncation: Option<Truncation>,
}

impl Capture {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        Self::read(File::open(path)?)
    }

    /// Reads all of `source` that is readable. Needs no buffering of its own.
    ///
    /// # Errors
    /// When `source` fails, is no capture, is of a newer format, or is damaged before the end of its header.
    /// Damage further on is reported in [`Self::truncation`].
    pub fn read(source: impl Read) -> Result<Self, ReadError> {
        Self::read_until(source, u64::MAX)
    }

    /// Reads up to the last tick at or before `elapsed_ns`, which gives the tables (peak included) of that moment.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_until(source: impl Read, elapsed_ns: u64) -> Result<Self, ReadError> {
        let mut replay = Replay::open(source)?;
        replay.advance_until(elapsed_ns)?;
        Ok(replay.into_capture())
    }

    /// Whether only what was live at the end and at the peak is known: see [`Note::ENDS_ONLY`].
    #[must_use]
    pub fn knows_ends_only(&self) -> bool {
        self.notes.iter().any(|note| note.name == Note::ENDS_ONLY)
    }

    /// What is wrong with the file, if it could not be read to its end. A recording without an ending is whole: its
    /// program was killed, or runs on. A snapshot has one tick (its header says 0 ms), is written whole, and so always
    /// has an ending.
    #[must_use]
    pub fn incomplete(&self) -> Option<String> {
        if let Some(truncation) = self.truncation {
            return Some(truncation.to_string());
        }
        let is_cut = self.header.tick_ms == 0 && self.end.is_none();
        is_cut.then(|| "the file ends before the snapshot does".to_owned())
    }

    /// When the highest traced memory was reached: the time of the first tick that knew of it, and the bytes.
    /// `None` for a capture without ticks.
    #[must_use]
    pub fn peak(&self) -> Option<(u64, u64)> {
        let peak_bytes = self.timeline.last()?.peak_bytes;
        let since = self
            .timeline
            .iter()
            .rev()
            .take_while(|point| point.peak_bytes == peak_bytes)
            .last()?;
        Some((since.elapsed_ns, peak_bytes))
    }
}
