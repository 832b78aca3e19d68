//! Files with recorded memory, read as of one moment or for the span between two.
//!
//! [`Recording::read`] takes captures and pickles of `tracemalloc`'s snapshots. [`Recording::seek`] goes to a moment,
//! for which it reads the file once more.

mod half;
mod seek;
mod target;

use std::io::{self, Read};
use std::time::{SystemTime, UNIX_EPOCH};

use heapsight_capture::model::{Counters, Mode, SiteId};
use heapsight_capture::{Capture, End, Header, ReadError, Replay, TickSummary};

use crate::tracemalloc_snapshot::{self, PickleError};
use crate::{Columns, apply_frame_limit, name_threads};

pub use half::Half;
pub use target::{Moment, Reached, SeekTarget};

/// The first byte of every pickle since protocol 2.
const PICKLE: u8 = 0x80;

/// A file, with the tables of one moment.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The whole recording, except that the tables and blocks are those of the moment.
    pub capture: Capture,
    /// The moment.
    pub moment: Reached,
    /// Whether the file is a pickle, which knows one moment only.
    is_pickle: bool,
}

/// Why a file gives no recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It cannot be read, or is no capture.
    #[error("{0}")]
    Unreadable(#[from] ReadError),
    /// It is a pickle, but of no snapshot.
    #[error("{0}")]
    Pickle(#[from] PickleError),
    /// It tells of the end and of the peak only.
    #[error(
        "it tells only what was live at the end and at the peak: memory at other moments is not known"
    )]
    EndsOnly,
    /// The span ends before it begins: its moments are named, and the recording has them in another order.
    #[error("the second moment of the span comes before the first")]
    OutOfOrder,
}

impl From<io::Error> for RecordingError {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error.into())
    }
}

impl Recording {
    /// Reads all of `source`, which gives the tables of the end. `modified` is when the file was last written: pickles
    /// do not tell when the snapshot was taken, and this comes closest.
    ///
    /// # Errors
    /// [`RecordingError`], except `EndsOnly` and `OutOfOrder`.
    pub fn read(source: impl Read, modified: Option<SystemTime>) -> Result<Self, RecordingError> {
        Self::read_as(source, modified, |whole| Ok(Capture::read(whole)?))
    }

    /// As [`Self::read`], and tells `columns` of each tick on the way. Call paths are then cut to the frame limit that
    /// was recorded with, so the sites of `columns` may be others: the second value has the new id of each.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn follow(
        source: impl Read,
        modified: Option<SystemTime>,
        columns: &mut Columns,
    ) -> Result<(Self, Option<Vec<SiteId>>), RecordingError> {
        let mut recording = Self::read_as(source, modified, |whole| {
            let mut replay = Replay::open(whole)?;
            while replay.advance()? {
                columns.tick(replay.capture(), replay.changed());
            }
            Ok(replay.into_capture())
        })?;
        columns.finish();
        let ids = apply_frame_limit(&mut recording.capture);
        name_threads(&mut recording.capture.tables);
        Ok((recording, ids))
    }

    /// Cuts call paths to the frame limit that was recorded with, as [`Self::seek`] does, and reads what was live in
    /// the middle of the recording. `again` opens the same file at its beginning.
    ///
    /// # Errors
    /// As [`Self::read`] when reading fails this time.
    pub fn with_half<R: Read>(
        mut self,
        again: impl FnOnce() -> io::Result<R>,
    ) -> Result<(Self, Option<Half>), RecordingError> {
        let ids = apply_frame_limit(&mut self.capture);
        name_threads(&mut self.capture.tables);
        let half = Half::read(&self.capture, ids.as_deref(), again)?;
        Ok((self, half))
    }

    fn read_as<R: Read>(
        mut source: R,
        modified: Option<SystemTime>,
        read: impl FnOnce(io::Chain<io::Cursor<Vec<u8>>, R>) -> Result<Capture, RecordingError>,
    ) -> Result<Self, RecordingError> {
        let mut first = Vec::new();
        source.by_ref().take(1).read_to_end(&mut first)?;
        let is_pickle = first == [PICKLE];
        let mut whole = io::Cursor::new(first).chain(source);
        let capture = if is_pickle {
            let mut bytes = Vec::new();
            whole.read_to_end(&mut bytes)?;
            of_pickle(&bytes, modified)?
        } else {
            read(whole)?
        };
        Ok(Self {
            capture,
            moment: Reached::End,
            is_pickle,
        })
    }

    /// Goes from the end to the moment or span, and cuts call paths to the frame limit that was recorded with. `again`
    /// opens the same file at its beginning; it is called only if the moment takes reading it once more. A pickle knows
    /// one moment only and stays at it.
    ///
    /// # Errors
    /// `EndsOnly`, `OutOfOrder`, or as [`Self::read`] when reading fails this time.
    pub fn seek<R: Read>(
        self,
        when: SeekTarget,
        again: impl FnOnce() -> io::Result<R>,
    ) -> Result<Self, RecordingError> {
        let is_there = self.is_pickle || when == SeekTarget::At(Moment::End);
        if !is_there && self.capture.knows_ends_only() && when != SeekTarget::At(Moment::Peak) {
            return Err(RecordingError::EndsOnly);
        }
        let (mut capture, moment) = if is_there {
            (self.capture, self.moment)
        } else {
            seek::seek(self.capture, when, again()?)?
        };
        if matches!(moment, Reached::Between { from_ns, to_ns } if from_ns > to_ns) {
            return Err(RecordingError::OutOfOrder);
        }
        apply_frame_limit(&mut capture);
        name_threads(&mut capture.tables);
        Ok(Self {
            capture,
            moment,
            ..self
        })
    }
}

/// A snapshot of `tracemalloc` as a capture.
fn of_pickle(bytes: &[u8], modified: Option<SystemTime>) -> Result<Capture, PickleError> {
    let snapshot = tracemalloc_snapshot::read(bytes)?;
    let since_1970 = modified
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default();
    let totals = snapshot.tables.totals;
    let allocated = |field: fn(&Counters) -> u64| {
        let figures = snapshot.tables.counters.iter().map(field);
        figures.fold(0, u64::saturating_add)
    };
    let point = TickSummary {
        live_bytes: totals.live_bytes,
        live_blocks: totals.live_blocks,
        peak_bytes: totals.peak_bytes,
        allocated_bytes: allocated(|counters| counters.allocated_bytes),
        allocated_blocks: allocated(|counters| counters.allocated_blocks),
        ..TickSummary::default()
    };
    Ok(Capture {
        header: Header {
            program: "a snapshot of tracemalloc".to_owned(),
            start_unix_ns: u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX),
            mode: Mode::Exact {
                frame_limit: Some(snapshot.traceback_limit),
            },
            ..Header::default()
        },
        tables: snapshot.tables,
        timeline: vec![point],
        // A snapshot is complete in itself.
        end: Some(End::default()),
        ..Capture::default()
    })
}
