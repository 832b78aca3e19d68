//! Plays a capture back: applies its frames in order, and stops wherever the caller wants to look.

use std::io::Read;

use super::equal::Equal;
use super::frames::{Frames, Stop};
use super::{Capture, TickSummary};
use crate::blocks::{self, Block};
use crate::end::End;
use crate::error::{Damage, ReadError};
use crate::frame::Kind;
use crate::header::Header;
use crate::model::{SiteId, Tables};
use crate::note::Note;
use crate::tick::{Lengths, Progress, apply, starts_at};
use crate::varint::Malformed;

/// A capture as it was at one moment of the recording, and can be moved on from there.
///
/// Memory as for a [`Capture`]; time grows with what changed in the ticks that are passed.
pub struct Replay<R: Read> {
    frames: Frames<R>,
    capture: Capture,
    progress: Progress,
    partial_blocks: Vec<Block>,
    changed: Vec<SiteId>,
    /// Since paths of the file may be there more than once.
    equal: Option<Equal>,
    is_over: bool,
}

/// How far to go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// Past one tick.
    Tick,
    /// Past all ticks up to this time.
    Time(u64),
}

impl<R: Read> Replay<R> {
    /// Reads the header. No tick is applied yet.
    ///
    /// # Errors
    /// As [`Capture::read`].
    pub fn open(source: R) -> Result<Self, ReadError> {
        let mut frames = Frames::open(source)?;
        let capture = Capture {
            header: read_header(&mut frames)?,
            ..Capture::default()
        };
        Ok(Self {
            frames,
            capture,
            progress: Progress::default(),
            partial_blocks: Vec::new(),
            changed: Vec::new(),
            equal: None,
            is_over: false,
        })
    }

    /// Applies the next tick; false when there is none. The ending and damage are known (in [`Self::capture`]) only
    /// then.
    ///
    /// # Errors
    /// When the source fails.
    pub fn advance(&mut self) -> Result<bool, ReadError> {
        self.apply_frames(Goal::Tick)
    }

    /// Applies every tick at or before `elapsed_ns`, with the table of blocks that belongs to it. The ending is read
    /// only with `u64::MAX`.
    ///
    /// # Errors
    /// When the source fails.
    pub fn advance_until(&mut self, elapsed_ns: u64) -> Result<(), ReadError> {
        self.apply_frames(Goal::Time(elapsed_ns)).map(|_| ())
    }

    /// Whether the ending was read, or nothing more can be.
    pub(super) fn has_ended(&self) -> bool {
        self.capture.end.is_some() || self.capture.truncation.is_some()
    }

    /// Has the source asked again for what may have been appended after its end.
    pub(super) fn resume(&mut self) {
        self.is_over = self.has_ended();
    }

    /// What is known so far.
    #[must_use]
    pub fn capture(&self) -> &Capture {
        &self.capture
    }

    /// The sites whose counters the last tick set.
    #[must_use]
    pub fn changed(&self) -> &[SiteId] {
        &self.changed
    }

    /// Gives up reading, and what is known so far.
    #[must_use]
    pub fn into_capture(self) -> Capture {
        self.capture
    }

    /// Whether a tick was applied when the goal is one.
    fn apply_frames(&mut self, goal: Goal) -> Result<bool, ReadError> {
        self.changed.clear();
        while !self.is_over {
            match self.apply_frame(goal) {
                Ok(Applied::Tick) if goal == Goal::Tick => return Ok(true),
                Ok(Applied::Tick | Applied::Other) => {}
                Ok(Applied::NotYet) => return Ok(false),
                Ok(Applied::None) => self.is_over = true,
                Err(Stop::Io(error)) => return Err(error.into()),
                Err(Stop::Damage(damage)) => {
                    self.capture.truncation = Some(self.frames.truncation(damage));
                    self.is_over = true;
                }
            }
        }
        Ok(false)
    }

    fn apply_frame(&mut self, goal: Goal) -> Result<Applied, Stop> {
        let Self {
            frames,
            capture,
            progress,
            partial_blocks,
            changed,
            equal,
            ..
        } = self;
        let limit = match goal {
            Goal::Tick => u64::MAX,
            Goal::Time(limit) => limit,
        };
        let Some((kind, payload)) = frames.next()? else {
            return Ok(Applied::None);
        };
        if capture.end.is_some() {
            return Err(Damage::Malformed("something follows the end").into());
        }
        match kind {
            Kind::Tick if starts_after(payload, progress, limit) => {
                frames.hold(kind);
                return Ok(Applied::NotYet);
            }
            Kind::Tick => {
                // A snapshot, which has no ticks to be apart, has no path twice.
                let is_recording = capture.header.tick_ms != 0;
                *changed = apply_tick(payload, &mut capture.tables, progress, equal, is_recording)
                    .map_err(Stop::malformed)?;
                *partial_blocks = Vec::new();
                capture.blocks = None;
                capture.timeline.push(point(capture, progress));
                return Ok(Applied::Tick);
            }
            Kind::Blocks => {
                let sites = match equal {
                    Some(equal) => equal.file_sites(),
                    None => capture.tables.sites.len(),
                };
                let place =
                    blocks::decode(payload, sites, partial_blocks).map_err(Stop::malformed)?;
                if place.is_last {
                    for block in &mut *partial_blocks {
                        block.site = equal
                            .as_ref()
                            .map_or(block.site, |equal| equal.site(block.site));
                    }
                    capture.blocks = Some(std::mem::take(partial_blocks));
                }
            }
            Kind::Note => capture
                .notes
                .push(Note::decode(payload).map_err(Stop::malformed)?),
            Kind::End if limit < u64::MAX => {
                frames.hold(kind);
                return Ok(Applied::NotYet);
            }
            Kind::End => capture.end = Some(End::decode(payload).map_err(Stop::malformed)?),
            Kind::Header => return Err(Damage::Malformed("there is a second header").into()),
        }
        Ok(Applied::Other)
    }
}

/// Applies a tick, adding up equal paths where the file may have such. Gives the sites whose counters it sets.
fn apply_tick(
    payload: &[u8],
    tables: &mut Tables,
    progress: &mut Progress,
    equal: &mut Option<Equal>,
    is_recording: bool,
) -> Result<Vec<SiteId>, Malformed> {
    if let Some(equal) = equal {
        return equal.apply(payload, tables, progress);
    }
    let before = Lengths::of(tables);
    let changed = apply(payload, tables, progress)?;
    if !is_recording || tables.totals.bounds.gone_paths == 0 {
        return Ok(changed.into_iter().map(|set| set.site).collect());
    }
    let found = equal.insert(Equal::since(tables, before));
    Ok(changed
        .into_iter()
        .map(|set| found.site(set.site))
        .collect())
}

/// What became of a frame.
enum Applied {
    Tick,
    Other,
    /// It belongs to a later time than asked for.
    NotYet,
    /// There are no more frames.
    None,
}

fn read_header<R: Read>(frames: &mut Frames<R>) -> Result<Header, ReadError> {
    match frames.next() {
        Ok(Some((Kind::Header, payload))) => Header::decode(payload)
            .map_err(|reason| ReadError::BadHeader(Damage::Malformed(reason))),
        Ok(Some(_)) => Err(ReadError::BadHeader(Damage::Malformed(
            "another frame comes first",
        ))),
        Ok(None) => Err(ReadError::BadHeader(Damage::CutShort)),
        Err(Stop::Io(error)) => Err(error.into()),
        Err(Stop::Damage(damage)) => Err(ReadError::BadHeader(damage)),
    }
}

/// True when the tick in `payload` is later than `elapsed_ns`. An unreadable one is not: applying it says what is
/// wrong.
fn starts_after(payload: &[u8], progress: &Progress, elapsed_ns: u64) -> bool {
    starts_at(payload, progress).is_ok_and(|start| start > elapsed_ns)
}

fn point(capture: &Capture, progress: &Progress) -> TickSummary {
    let totals = &capture.tables.totals;
    TickSummary {
        elapsed_ns: progress.elapsed_ns,
        rss_bytes: progress.rss_bytes,
        highest_rss_bytes: progress.highest_rss_bytes,
        paths_lag_ns: progress.paths_lag_ns,
        live_bytes: totals.live_bytes,
        live_blocks: totals.live_blocks,
        peak_bytes: totals.peak_bytes,
        allocated_bytes: progress.allocated_bytes,
        allocated_blocks: progress.allocated_blocks,
        lost_events: totals.lost_events,
        tracer_bytes: totals.tracer_bytes,
        bounds: totals.bounds,
    }
}
