//! Call paths as lists of frames, each path, frame and name once.

use std::cmp::Ordering;

use foldhash::{HashMap, HashMapExt};

/// Index of a distinct frame.
pub type FrameId = u32;
/// Index of a distinct list of frames.
pub type PathId = u32;

/// Lists of frames, the most recent first.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    strings: Vec<String>,
    /// File name and line.
    frames: Vec<(u32, u32)>,
    /// The frames of all paths, one path after the other.
    steps: Vec<FrameId>,
    /// Where each path ends in `steps`.
    ends: Vec<usize>,
}

impl Paths {
    /// Number of paths.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Number of distinct frames.
    #[must_use]
    pub fn frame_count(&self) -> usize {
        self.frames.len()
    }

    /// Distinct file names.
    #[must_use]
    pub fn strings(&self) -> &[String] {
        &self.strings
    }

    /// File name (index into [`Self::strings`]) and line of a frame; a line of 0 is unknown.
    #[must_use]
    pub fn frame(&self, frame: FrameId) -> (u32, u32) {
        self.frames[frame as usize]
    }

    /// File name and line of a frame.
    #[must_use]
    pub fn place(&self, frame: FrameId) -> (&str, u32) {
        let (filename, line) = self.frame(frame);
        (&self.strings[filename as usize], line)
    }

    /// The frames of a path, the most recent first; at least one.
    #[must_use]
    pub fn path(&self, path: PathId) -> &[FrameId] {
        let index = path as usize;
        let begin = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.steps[begin..self.ends[index]]
    }

    /// Bytes that this holds.
    #[must_use]
    pub(crate) fn heap_bytes(&self) -> usize {
        let text: usize = self.strings.iter().map(String::capacity).sum();
        text + self.strings.capacity() * size_of::<String>()
            + self.frames.capacity() * size_of::<(u32, u32)>()
            + self.steps.capacity() * size_of::<FrameId>()
            + self.ends.capacity() * size_of::<usize>()
    }
}

/// The order of two lists of frames that are given most recent first: by their oldest frames, as `tracemalloc` has it.
pub(super) fn oldest_first<'t>(
    one: impl DoubleEndedIterator<Item = (&'t str, u32)>,
    other: impl DoubleEndedIterator<Item = (&'t str, u32)>,
) -> Ordering {
    one.rev().cmp(other.rev())
}

/// Makes [`Paths`].
#[derive(Debug, Default)]
pub struct PathsBuilder {
    paths: Paths,
    strings: HashMap<String, u32>,
    frames: HashMap<(u32, u32), FrameId>,
    known: HashMap<Box<[FrameId]>, PathId>,
}

impl PathsBuilder {
    /// The id of a file name.
    pub fn string(&mut self, text: &str) -> u32 {
        if let Some(id) = self.strings.get(text) {
            return *id;
        }
        let id = self.paths.strings.len() as u32;
        self.paths.strings.push(text.to_owned());
        self.strings.insert(text.to_owned(), id);
        id
    }

    /// The id of a frame.
    pub fn frame(&mut self, filename: u32, line: u32) -> FrameId {
        let frames = &mut self.paths.frames;
        *self.frames.entry((filename, line)).or_insert_with(|| {
            frames.push((filename, line));
            (frames.len() - 1) as FrameId
        })
    }

    /// The id of a list of frames, the most recent first.
    pub fn path(&mut self, frames: &[FrameId]) -> PathId {
        if let Some(id) = self.known.get(frames) {
            return *id;
        }
        let id = self.paths.ends.len() as PathId;
        self.paths.steps.extend_from_slice(frames);
        self.paths.ends.push(self.paths.steps.len());
        self.known.insert(frames.into(), id);
        id
    }

    /// What was made.
    #[must_use]
    pub fn finish(mut self) -> Paths {
        self.paths.strings.shrink_to_fit();
        self.paths.frames.shrink_to_fit();
        self.paths.steps.shrink_to_fit();
        self.paths.ends.shrink_to_fit();
        self.paths
    }
}

impl PathsBuilder {
    /// An empty builder with room for some entries.
    #[must_use]
    pub fn with_capacity(paths: usize) -> Self {
        Self {
            known: HashMap::with_capacity(paths),
            ..Self::default()
        }
    }
}
