//! A file, read at the moment that the options ask for.

use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use heapsight_analysis::recording::{Half, Moment, Reached, Recording, RecordingError, SeekTarget};
use heapsight_analysis::{Filter, Metric, apply_shown_filters};
use heapsight_capture::Capture;
use heapsight_report::{Look, Shown, printable, what_is_missing};

use crate::failure::Failure;
use crate::files::{Files, Opened};

/// The whole recording, but with the tables of one moment.
#[derive(Debug)]
pub(crate) struct View {
    pub path: PathBuf,
    pub capture: Capture,
    pub moment: Reached,
    pub file_bytes: u64,
    /// Whether filters took a part away.
    pub is_filtered: bool,
    /// What was live in the middle of the recording, if that was asked for and the view is of its end.
    pub half: Option<Half>,
}

impl View {
    /// Reads the file at `path` and brings it to the moment, then applies the filters.
    pub(crate) fn open(
        path: &Path,
        when: SeekTarget,
        filters: &[Filter],
        files: &Files,
    ) -> Result<Self, Failure> {
        Self::read(path, when, filters, files, false)
    }

    /// As [`Self::open`]; where all of the end is asked for, with what was live in the middle.
    pub(crate) fn open_with_half(
        path: &Path,
        when: SeekTarget,
        filters: &[Filter],
        files: &Files,
    ) -> Result<Self, Failure> {
        Self::read(path, when, filters, files, true)
    }

    fn read(
        path: &Path,
        when: SeekTarget,
        filters: &[Filter],
        files: &Files,
        wants_half: bool,
    ) -> Result<Self, Failure> {
        let failed = |error| unreadable(path, error);
        let Opened {
            first,
            mut file,
            bytes,
            file_bytes,
        } = files.open(path)?;
        let modified = file
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok();
        let whole = first.chain(files.progress.get().reading(path, &mut file, bytes));
        let recording = Recording::read(whole, modified).map_err(failed)?;
        let file = &mut file;
        let again = move || {
            file.rewind()?;
            Ok(files.progress.get().reading(path, file, bytes))
        };
        let is_whole = filters.is_empty() && when == SeekTarget::At(Moment::End);
        let (recording, half) = if is_whole && wants_half {
            recording.with_half(again).map_err(failed)?
        } else {
            (recording.seek(when, again).map_err(failed)?, None)
        };
        // A recording that is cut short is an everyday thing, and its summary says so: the program was killed. A
        // snapshot is written whole.
        let missing = recording.capture.incomplete();
        if let Some(what) = missing.filter(|_| recording.capture.header.tick_ms == 0) {
            files.found_incomplete(path, what);
        }
        let view = Self::filtered(path, recording, filters, file_bytes);
        Ok(Self { half, ..view })
    }

    fn filtered(path: &Path, recording: Recording, filters: &[Filter], file_bytes: u64) -> Self {
        let Recording {
            mut capture,
            moment,
            ..
        } = recording;
        if !filters.is_empty() {
            let from = &capture.header.working_directory;
            let ids = apply_shown_filters(&mut capture.tables, filters, from);
            if let Some(blocks) = &mut capture.blocks {
                blocks.retain_mut(|block| match ids[block.site as usize] {
                    Some(id) => {
                        block.site = id;
                        true
                    }
                    None => false,
                });
            }
        }
        Self {
            path: path.to_path_buf(),
            capture,
            moment,
            file_bytes,
            is_filtered: !filters.is_empty(),
            half: None,
        }
    }

    /// Has it said that the recording was cut short, by commands whose output does not say so itself.
    pub(crate) fn warn_of_what_is_missing(&self, files: &Files) {
        warn_of_what_is_missing(&self.path, &self.capture, files);
    }

    /// The file's name, safe to print.
    pub(crate) fn name(&self, look: &Look) -> String {
        printable(&self.path.to_string_lossy(), look.unicode)
    }

    /// What a report takes.
    pub(crate) fn shown(&self) -> Shown<'_> {
        Shown {
            capture: &self.capture,
            moment: self.moment,
        }
    }

    /// Refuses metrics that the file does not tell.
    pub(crate) fn require_metrics(&self, metrics: &[Metric]) -> Result<(), Failure> {
        let unknown = metrics.iter().find_map(|metric| match metric {
            Metric::Live | Metric::Peak => None,
            Metric::Allocated => Some("allocated memory"),
            Metric::Freed => Some("freed memory"),
            Metric::Temporary => Some("temporary memory"),
        });
        match unknown {
            Some(unknown) if self.capture.knows_ends_only() => Err(Failure::EndsOnly {
                path: self.path.clone(),
                unknown,
            }),
            _ => Ok(()),
        }
    }
}

/// Why the file at `path` gives no recording.
pub(crate) fn unreadable(path: &Path, error: RecordingError) -> Failure {
    let path = path.to_path_buf();
    match error {
        RecordingError::Unreadable(source) => Failure::Unreadable { path, source },
        RecordingError::Pickle(source) => Failure::BadPickle { path, source },
        error @ RecordingError::OutOfOrder => {
            Failure::BadValue(format!("{}: {error}", path.display()))
        }
        RecordingError::EndsOnly => Failure::EndsOnly {
            path,
            unknown: "memory at other moments",
        },
    }
}

/// Of a snapshot that was cut short is told as a failure.
pub(crate) fn warn_of_what_is_missing(path: &Path, capture: &Capture, files: &Files) {
    if capture.header.tick_ms > 0
        && let Some(what) = what_is_missing(capture)
    {
        files.warn(format!("{}: {what}", path.display()));
    }
}
