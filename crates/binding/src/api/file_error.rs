//! What went wrong with a file, as Python's exceptions.

use std::io::{self, ErrorKind};
use std::path::Path;

use heapsight_capture::WriteError;
use pyo3::exceptions::{PyMemoryError, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

/// Why a snapshot was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotWritten {
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The snapshot cannot be put into the format.
    #[error("{0}")]
    Capture(WriteError),
}

impl From<WriteError> for NotWritten {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Io { source, .. } => Self::Io(source),
            error => Self::Capture(error),
        }
    }
}

impl NotWritten {
    /// The exception for the file at `path`.
    pub(crate) fn into_python(self, path: &Path) -> PyErr {
        match self {
            Self::Io(error) => os_error(&error, path),
            Self::Capture(error) => PyRuntimeError::new_err(format!("{}: {error}", path.display())),
        }
    }
}

/// `OSError` with number and file name, so that it is the fitting subclass, such as `FileNotFoundError`.
/// `MemoryError` where a file holds more than there is memory for.
pub(crate) fn os_error(error: &io::Error, path: &Path) -> PyErr {
    match error.raw_os_error() {
        Some(code) => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            PyOSError::new_err((code, text.to_owned(), path.as_os_str().to_owned()))
        }
        None if error.kind() == ErrorKind::OutOfMemory => PyMemoryError::new_err(()),
        // Python's own words for what is no name of a file.
        None if error.kind() == ErrorKind::InvalidInput => {
            PyValueError::new_err("embedded null byte")
        }
        None => PyOSError::new_err(format!("{}: {error}", path.display())),
    }
}
