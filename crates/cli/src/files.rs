//! Files that a command names, opened so that they can be read as captures.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{Cursor, ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use heapsight_capture::{ReadError, WriteError};
use heapsight_memray::is_of_memray;

use crate::failure::Failure;
use crate::progress::Progress;

/// Bytes that tell what kind of file it is.
const LOOKED_AT: u64 = 64;

/// Opens files, and keeps what is to be said about them.
pub(crate) struct Files {
    pub progress: Cell<Progress>,
    /// In case one is asked for twice.
    made: RefCell<Vec<Made>>,
    warnings: RefCell<Vec<String>>,
    incomplete: RefCell<Option<Failure>>,
}

/// The capture made of a recording of memray. It has no name, so it goes when this does.
struct Made {
    of: PathBuf,
    of_bytes: u64,
    capture: File,
}

/// A file that was opened.
pub(crate) struct Opened {
    /// What was read already, to tell its kind. Not read again: a pipe could not.
    pub first: Cursor<Vec<u8>>,
    /// The rest.
    pub file: File,
    /// Bytes to read in all.
    pub bytes: u64,
    /// Bytes of the file that was named.
    pub file_bytes: u64,
}

impl Files {
    /// That shows progress so.
    pub(crate) fn new(progress: Progress) -> Self {
        Self {
            progress: Cell::new(progress),
            made: RefCell::default(),
            warnings: RefCell::default(),
            incomplete: RefCell::default(),
        }
    }

    /// Opens the file at `path`. A recording of memray is made a capture first.
    pub(crate) fn open(&self, path: &Path) -> Result<Opened, Failure> {
        // Before the file is opened again: a pipe would be empty.
        if let Some(made) = self.made.borrow().iter().find(|made| made.of == path) {
            return made.opened();
        }
        let mut file = named_file(path)?;
        let file_bytes = file.metadata().map_or(0, |metadata| metadata.len());
        let first = look(path, &mut file)?;
        if is_of_memray(&first) {
            let recording = Cursor::new(first).chain(file);
            let made = self.made_of_memray(path, recording, file_bytes)?;
            let opened = made.opened();
            self.made.borrow_mut().push(made);
            return opened;
        }
        Ok(Opened {
            first: Cursor::new(first),
            file,
            bytes: file_bytes,
            file_bytes,
        })
    }

    /// Shows no progress from now on: the terminal is somebody else's.
    pub(crate) fn be_quiet(&self) {
        self.progress.set(Progress { may_show: false });
    }

    /// Has something said about the files, once.
    pub(crate) fn warn(&self, warning: String) {
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// Remembers that a part of the snapshot at `path` is missing, for `what` reason.
    pub(crate) fn found_incomplete(&self, path: &Path, what: String) {
        let path = path.to_path_buf();
        self.incomplete
            .replace(Some(Failure::Incomplete { path, what }));
    }

    /// A failure if a snapshot was incomplete: to be told after what there was has been shown.
    pub(crate) fn refuse_incomplete(&self) -> Result<(), Failure> {
        self.incomplete.take().map_or(Ok(()), Err)
    }

    /// What there is to say about the files that were opened, once.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }

    /// Makes a capture of a recording.
    fn made_of_memray(
        &self,
        path: &Path,
        recording: impl Read + Send,
        bytes: u64,
    ) -> Result<Made, Failure> {
        let no_room = |source| Failure::CannotWrite {
            path: std::env::temp_dir(),
            source,
        };
        let capture = tempfile::tempfile().map_err(no_room)?;
        let recording = self.progress.get().reading(path, recording, bytes);
        let said = heapsight_memray::read(recording, &capture).map_err(|error| match error {
            heapsight_memray::ReadError::Io(source) => Failure::Unreadable {
                path: path.to_path_buf(),
                source: source.into(),
            },
            heapsight_memray::ReadError::Write(WriteError::Io { source, .. }) => no_room(source),
            reason => Failure::OfMemray {
                path: path.to_path_buf(),
                reason,
            },
        })?;
        for what in said {
            self.warn(format!("{}: {what}", path.display()));
        }
        Ok(Made {
            of: path.to_path_buf(),
            of_bytes: bytes,
            capture,
        })
    }
}

impl Made {
    /// Opens it at its beginning.
    fn opened(&self) -> Result<Opened, Failure> {
        let mut file = reopened(&self.of, &self.capture)?;
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        Ok(Opened {
            first: Cursor::new(look(&self.of, &mut file)?),
            file,
            bytes,
            file_bytes: self.of_bytes,
        })
    }
}

/// A file without a name, once more, at its beginning.
fn reopened(path: &Path, file: &File) -> Result<File, Failure> {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(|error| Failure::Unreadable {
        path: path.to_path_buf(),
        source: error.into(),
    })
}

/// Reads what tells the kind of a file.
fn look(path: &Path, file: &mut File) -> Result<Vec<u8>, Failure> {
    let mut first = Vec::new();
    let read = file.take(LOOKED_AT).read_to_end(&mut first);
    read.map_err(|error| Failure::Unreadable {
        path: path.to_path_buf(),
        source: ReadError::Io(error),
    })?;
    Ok(first)
}

/// Opens a file that a command names. What is no file may have been meant as a command.
pub(crate) fn named_file(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| {
        let looks_like_a_file = path.extension().is_some() || path.components().count() > 1;
        let path = path.to_path_buf();
        match error.kind() {
            ErrorKind::NotFound if looks_like_a_file => Failure::NoFile(path),
            ErrorKind::NotFound => Failure::NeitherCommandNorFile(path),
            _ => Failure::Unreadable {
                path,
                source: error.into(),
            },
        }
    })
}
