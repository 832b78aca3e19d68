//! Applies frames in order.

use std::io::Read;

use super::frames::{Frames, Stop};
use super::{Capture, TimelinePoint};
use crate::blocks;
use crate::end::End;
use crate::error::{Damage, ReadError};
use crate::frame::Kind;
use crate::header::Header;
use crate::tick::{Progress, apply, starts_at};

/// Reads frames until the first tick after `elapsed_ns`, the end, or damage.
pub(super) fn read(source: impl Read, elapsed_ns: u64) -> Result<Capture, ReadError> {
    let mut frames = Frames::open(source)?;
    let mut capture = Capture {
        header: read_header(&mut frames)?,
        ..Capture::default()
    };
    let mut progress = Progress::default();
    let mut partial_blocks = Vec::new();
    loop {
        let outcome = match frames.next() {
            Ok(None) => return Ok(capture),
            Ok(Some(_)) if capture.end.is_some() => Err("something follows the end"),
            Ok(Some((Kind::Tick, payload))) => {
                if starts_after(payload, &progress, elapsed_ns) {
                    return Ok(capture);
                }
                apply(payload, &mut capture.tables, &mut progress).map(|()| {
                    partial_blocks = Vec::new();
                    capture.blocks = None;
                    let point = point(&capture, &progress);
                    capture.timeline.push(point);
                })
            }
            Ok(Some((Kind::Blocks, payload))) => {
                let sites = capture.tables.sites.len();
                blocks::decode(payload, sites, &mut partial_blocks).map(|place| {
                    if place.is_last {
                        capture.blocks = Some(std::mem::take(&mut partial_blocks));
                    }
                })
            }
            Ok(Some((Kind::End, payload))) => {
                if elapsed_ns == u64::MAX {
                    End::decode(payload).map(|end| capture.end = Some(end))
                } else {
                    Ok(())
                }
            }
            Ok(Some((Kind::Header, _))) => Err("there is a second header"),
            Err(Stop::Io(error)) => return Err(error.into()),
            Err(Stop::Damage(damage)) => {
                capture.truncation = Some(frames.truncation(damage));
                return Ok(capture);
            }
        };
        if let Err(reason) = outcome {
            capture.truncation = Some(frames.truncation(Damage::Malformed(reason)));
            return Ok(capture);
        }
    }
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

/// True when the tick in `payload` is later than `elapsed_ns`. An unreadable one is not: applying it says what is wrong.
fn starts_after(payload: &[u8], progress: &Progress, elapsed_ns: u64) -> bool {
    starts_at(payload, progress).is_ok_and(|start| start > elapsed_ns)
}

fn point(capture: &Capture, progress: &Progress) -> TimelinePoint {
    let totals = &capture.tables.totals;
    TimelinePoint {
        elapsed_ns: progress.elapsed_ns,
        rss_bytes: progress.rss_bytes,
        live_bytes: totals.live_bytes,
        live_blocks: totals.live_blocks,
        peak_bytes: totals.peak_bytes,
        allocated_bytes: progress.allocated_bytes,
        allocated_blocks: progress.allocated_blocks,
        lost_events: totals.lost_events,
        tracer_bytes: totals.tracer_bytes,
    }
}
