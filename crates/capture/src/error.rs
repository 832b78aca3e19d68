//! What can go wrong with a capture.

use std::io;

/// Why a tick, a block table or an ending was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The sink failed.
    #[error("cannot write the capture: {source}")]
    Io {
        /// What the sink said.
        source: io::Error,
        /// Whether the writer keeps what it was given and completes it before anything else (so it must not be
        /// given again), or never looked at it because earlier bytes are still waiting.
        taken: bool,
    },
    /// What was given refers to something that was never given. Nothing was written.
    #[error("the recorder's tables do not fit together: {0}")]
    Inconsistent(String),
    /// One frame would hold more than the format allows. Nothing was written.
    #[error(
        "{plain_bytes} bytes are too many for one frame of a capture (at most 1 GiB): write more often"
    )]
    TooLarge {
        /// Size before compression.
        plain_bytes: usize,
    },
}

impl WriteError {
    /// True when the writer has taken over what it was given although it could not yet write all of it.
    #[must_use]
    pub fn taken(&self) -> bool {
        matches!(self, Self::Io { taken: true, .. })
    }
}

/// Why a file cannot be read as a capture at all. Damage after the header is no error: see [`Truncation`].
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The source failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file starts with something else.
    #[error("not a heapsight capture")]
    NotACapture,
    /// A newer heapsight wrote the file.
    #[error(
        "written in capture format {found}, and this heapsight reads formats up to {supported}: upgrade heapsight"
    )]
    TooNew {
        /// Version in the file.
        found: u16,
        /// Highest version that this crate reads.
        supported: u16,
    },
    /// The file ends or is damaged before the end of its header.
    #[error("the capture's header is unreadable: {0}")]
    BadHeader(Damage),
}

/// What is wrong at the place where a capture stops to be readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file ends inside a frame.
    #[error("the file ends in the middle of a frame")]
    CutShort,
    /// The checksum does not match.
    #[error("the data was altered after it was written (checksum mismatch)")]
    Checksum,
    /// The content makes no sense.
    #[error("{0}")]
    Malformed(&'static str),
}

/// Where and why reading stopped before the end of the file. Everything before `offset` was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unreadable from byte {offset}: {damage}")]
pub struct Truncation {
    /// Position of the first frame that is not readable, in bytes from the start of the file.
    pub offset: u64,
    /// What is wrong with it.
    pub damage: Damage,
}
