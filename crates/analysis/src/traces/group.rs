//! Sums of traces by file, line or list of frames.

use std::cmp::Ordering;

use super::paths::{FrameId, PathId, Paths, oldest_first};
use super::{RowId, Traces};

/// What traces are summed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceGroupBy {
    /// The file of the most recent frame.
    Filename {
        /// Count a trace under the file of each of its frames, as often as it is there.
        cumulative: bool,
    },
    /// File and line of the most recent frame.
    Line {
        /// Count a trace under each of its frames, as often as it is there.
        cumulative: bool,
    },
    /// All frames that were kept.
    Traceback,
}

/// What the traces of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Filename(u32),
    Line(FrameId),
    Traceback(PathId),
}

impl Key {
    /// The frames that stand for the group, most recent first: a file has line 0.
    pub(super) fn places(self, paths: &Paths) -> impl DoubleEndedIterator<Item = (&str, u32)> {
        let (one, all) = match self {
            Self::Filename(filename) => (Some((&*paths.strings()[filename as usize], 0)), None),
            Self::Line(frame) => (Some(paths.place(frame)), None),
            Self::Traceback(path) => (None, Some(paths.path(path))),
        };
        let all = all.into_iter().flatten().map(|frame| paths.place(*frame));
        one.into_iter().chain(all)
    }
}

/// One group of traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceGroup {
    pub(super) key: Key,
    /// Their bytes together.
    pub bytes: u64,
    /// How many they are.
    pub blocks: u64,
}

impl TraceGroup {
    /// The frames that stand for the group in `paths`, most recent first, as (file name, line).
    pub fn places<'t>(
        &self,
        paths: &'t Paths,
    ) -> impl DoubleEndedIterator<Item = (&'t str, u32)> + use<'t> {
        self.key.places(paths)
    }

    /// The order of `tracemalloc`, the largest first.
    fn descending(&self, other: &Self, paths: &Paths) -> Ordering {
        let figures = |group: &Self| (group.bytes, group.blocks);
        figures(other)
            .cmp(&figures(self))
            .then_with(|| oldest_first(other.key.places(paths), self.key.places(paths)))
    }
}

/// The groups of all traces, the largest first.
#[must_use]
pub fn group_traces(traces: &Traces, by: TraceGroupBy) -> Vec<TraceGroup> {
    let mut groups = unsorted(traces, by);
    groups.sort_unstable_by(|one, other| one.descending(other, traces.paths()));
    groups
}

/// The groups of all traces, in no particular order.
pub(super) fn unsorted(traces: &Traces, by: TraceGroupBy) -> Vec<TraceGroup> {
    let paths = traces.paths();
    let by_path = sums_by_path(traces);
    let (keys, cumulative) = match by {
        TraceGroupBy::Filename { cumulative } => (paths.strings().len(), cumulative),
        TraceGroupBy::Line { cumulative } => (paths.frame_count(), cumulative),
        TraceGroupBy::Traceback => (by_path.len(), false),
    };
    let index_of = |path: PathId, frame: FrameId| match by {
        TraceGroupBy::Filename { .. } => paths.frame(frame).0,
        TraceGroupBy::Line { .. } => frame,
        TraceGroupBy::Traceback => path,
    };
    let mut sums = vec![(0, 0); keys];
    for (path, (bytes, blocks)) in (0..).zip(by_path) {
        if blocks == 0 {
            continue;
        }
        let frames = paths.path(path);
        let counted = if cumulative { frames.len() } else { 1 };
        for frame in &frames[..counted] {
            let sum: &mut (u64, u64) = &mut sums[index_of(path, *frame) as usize];
            sum.0 += bytes;
            sum.1 += blocks;
        }
    }
    let key = |index: u32| match by {
        TraceGroupBy::Filename { .. } => Key::Filename(index),
        TraceGroupBy::Line { .. } => Key::Line(index),
        TraceGroupBy::Traceback => Key::Traceback(index),
    };
    (0..)
        .zip(sums)
        .filter(|(_, (_, blocks))| *blocks > 0)
        .map(|(index, (bytes, blocks))| TraceGroup {
            key: key(index),
            bytes,
            blocks,
        })
        .collect()
}

/// Bytes and blocks of each path.
fn sums_by_path(traces: &Traces) -> Vec<(u64, u64)> {
    let mut sums = vec![(0, 0); traces.paths().len()];
    for (row, blocks) in (0 as RowId..).zip(traces.counts()) {
        let row = traces.rows()[row as usize];
        let sum = &mut sums[row.path as usize];
        sum.0 += row.size_bytes * blocks;
        sum.1 += blocks;
    }
    sums
}
