//! Files that a command names, opened so that they can be read as captures.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Cursor, ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use heapsight_capture::ReadError;

use crate::failure::Failure;
use crate::memray::{MemrayError, ReadMemray, ends_properly, is_of_memray};
use crate::progress::Progress;

/// Bytes that tell what kind of file it is.
const LOOKED_AT: u64 = 64;

/// Opens files, and keeps what is to be said about them.
pub(crate) struct Files<'a> {
    pub progress: Progress,
    read_memray: &'a ReadMemray<'a>,
    /// The captures made of recordings of memray, in case one is asked for twice. They have no name, so they go when this does.
    made: RefCell<Vec<(PathBuf, File)>>,
    warnings: RefCell<Vec<String>>,
    incomplete: RefCell<Option<Failure>>,
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

impl<'a> Files<'a> {
    /// That reads recordings of memray as it is told.
    pub(crate) fn new(progress: Progress, read_memray: &'a ReadMemray<'a>) -> Self {
        Self {
            progress,
            read_memray,
            made: RefCell::default(),
            warnings: RefCell::default(),
            incomplete: RefCell::default(),
        }
    }

    /// Opens the file at `path`. A recording of memray is made a capture first.
    pub(crate) fn open(&self, path: &Path) -> Result<Opened, Failure> {
        let mut file = named_file(path)?;
        let file_bytes = file.metadata().map_or(0, |metadata| metadata.len());
        let mut first = look(path, &mut file)?;
        let mut bytes = file_bytes;
        if is_of_memray(&first) {
            file = self.made_of_memray(path, &file)?;
            bytes = file.metadata().map_or(0, |metadata| metadata.len());
            first = look(path, &mut file)?;
        }
        Ok(Opened {
            first: Cursor::new(first),
            file,
            bytes,
            file_bytes,
        })
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

    /// The capture made of a recording, open at its beginning.
    fn made_of_memray(&self, path: &Path, recording: &File) -> Result<File, Failure> {
        if let Some((_, made)) = self.made.borrow().iter().find(|(of, _)| of == path) {
            return reopened(path, made);
        }
        let unreadable = |source: std::io::Error| Failure::Unreadable {
            path: path.to_path_buf(),
            source: source.into(),
        };
        let no_room = |source| Failure::CannotWrite {
            path: std::env::temp_dir(),
            source,
        };
        if !recording
            .metadata()
            .is_ok_and(|metadata| metadata.is_file())
        {
            return Err(Failure::OfMemray {
                path: path.to_path_buf(),
                reason: "it reads a recording more than once, and this is no file".to_owned(),
            });
        }
        let is_whole = ends_properly(recording).map_err(unreadable)?;
        let made = tempfile::tempfile().map_err(no_room)?;
        let sink = made.try_clone().map_err(no_room)?;
        let counting = self.progress.counting(path);
        let told = (self.read_memray)(path, !is_whole, sink, &|done, all| {
            counting.update(done, all);
        });
        drop(counting);
        let mut said = told.map_err(|error| match error {
            MemrayError::NotInstalled => Failure::NeedsMemray(path.to_path_buf()),
            MemrayError::Failed(reason) => Failure::OfMemray {
                path: path.to_path_buf(),
                reason,
            },
        })?;
        if !is_whole {
            said.push("the file was cut short: what comes after the cut is missing".to_owned());
        }
        for what in said {
            self.warn(format!("{}: {what}", path.display()));
        }
        let file = reopened(path, &made)?;
        self.made.borrow_mut().push((path.to_path_buf(), made));
        Ok(file)
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
fn named_file(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| {
        let looks_like_a_file = path.extension().is_some() || path.components().count() > 1;
        if error.kind() == ErrorKind::NotFound && !looks_like_a_file {
            Failure::NeitherCommandNorFile(path.to_path_buf())
        } else {
            Failure::Unreadable {
                path: path.to_path_buf(),
                source: error.into(),
            }
        }
    })
}
