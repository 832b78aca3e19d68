//! A file, brought to the moment that was asked for.

use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use heapsight_analysis::recording::{Moment, Recording, RecordingError, When};
use heapsight_analysis::{Filter, Metric, apply_filters};
use heapsight_capture::Capture;

use crate::failure::Failure;
use crate::files::{Files, Opened};

/// The whole recording, but with the tables of one moment.
#[derive(Debug)]
pub(crate) struct View {
    pub path: PathBuf,
    pub capture: Capture,
    pub moment: Moment,
    pub file_bytes: u64,
}

impl View {
    /// Reads the file at `path` and brings it to the moment, then applies the filters.
    pub(crate) fn open(
        path: &Path,
        when: When,
        filters: &[Filter],
        files: &Files,
    ) -> Result<Self, Failure> {
        let failed = |error: RecordingError| match error {
            RecordingError::Unreadable(source) => Failure::Unreadable {
                path: path.to_path_buf(),
                source,
            },
            RecordingError::Pickle(source) => Failure::BadPickle {
                path: path.to_path_buf(),
                source,
            },
            RecordingError::EndsOnly => Failure::EndsOnly {
                path: path.to_path_buf(),
                unknown: "memory at other moments",
            },
        };
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
        let whole = first.chain(files.progress.reading(path, &mut file, bytes));
        let recording = Recording::read(whole, modified).map_err(failed)?;
        let file = &mut file;
        let again = move || {
            file.rewind()?;
            Ok(files.progress.reading(path, file, bytes))
        };
        let recording = recording.seek(when, again).map_err(failed)?;
        Ok(Self::filtered(path, recording, filters, file_bytes))
    }

    fn filtered(path: &Path, recording: Recording, filters: &[Filter], file_bytes: u64) -> Self {
        let Recording {
            mut capture,
            moment,
            ..
        } = recording;
        if !filters.is_empty() {
            let ids = apply_filters(&mut capture.tables, filters);
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
        }
    }

    /// Refuses metrics that the file does not tell.
    pub(crate) fn must_know(&self, metrics: &[Metric]) -> Result<(), Failure> {
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

    /// When the last tick was: nanoseconds since 1970-01-01 UTC.
    pub(crate) fn unix_ns(&self) -> u64 {
        let last = self.capture.timeline.last();
        let elapsed_ns = last.map_or(0, |point| point.elapsed_ns);
        self.capture.header.start_unix_ns.saturating_add(elapsed_ns)
    }
}
