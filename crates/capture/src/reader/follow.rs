//! Reads a capture while it is written.
//!
//! A writer appends whole frames, but whoever reads meanwhile may find the last one half there. That is no damage: it
//! is left alone until the rest has come. Nothing but the file is needed for that, neither a word from the writer nor
//! a lock.

use std::io::{self, Read};

use super::{Capture, Replay};
use crate::error::ReadError;
use crate::frame::{ENVELOPE_BYTES, Envelope, MAGIC, PROLOGUE_BYTES};

/// Read at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// A capture that may still grow.
///
/// The source must give what was appended when it is read again after its end, as a file does. Memory as for a
/// [`Capture`], and for the frame that is not whole yet.
///
/// ```
/// use heapsight_capture::{Follow, Header, Tick, Writer};
///
/// let file = tempfile::NamedTempFile::new()?;
/// let mut follow = Follow::new(file.reopen()?);
/// assert!(!follow.advance()? && follow.capture().is_none());
///
/// let mut writer = Writer::create(&file, &Header::default())?;
/// writer.tick(&Tick { elapsed_ns: 100_000_000, ..Tick::default() })?;
/// assert!(follow.advance()? && !follow.advance()?);
/// writer.tick(&Tick { elapsed_ns: 200_000_000, ..Tick::default() })?;
/// assert!(follow.advance()?);
/// assert_eq!(follow.capture().expect("it has begun").timeline.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Follow<R: Read> {
    state: State<R>,
}

enum State<R: Read> {
    /// The header is not there yet.
    Waiting(WholeFrames<R>),
    Playing(Box<Replay<WholeFrames<R>>>),
    /// It is no capture, which was said.
    Refused,
}

impl<R: Read> Follow<R> {
    /// Of a source at its beginning. It may be empty yet.
    pub fn new(source: R) -> Self {
        Self {
            state: State::Waiting(WholeFrames::new(source)),
        }
    }

    /// Applies the next tick if it is there whole; else false: try again later, unless the capture [is
    /// over](Self::is_over).
    ///
    /// # Errors
    /// When the source fails or is no capture. Damage further on is reported in the capture's
    /// [`truncation`](Capture::truncation).
    pub fn advance(&mut self) -> Result<bool, ReadError> {
        if let State::Waiting(frames) = &mut self.state {
            if !frames.has_header()? {
                return Ok(false);
            }
            let State::Waiting(frames) = std::mem::replace(&mut self.state, State::Refused) else {
                return Ok(false);
            };
            self.state = State::Playing(Box::new(Replay::open(frames)?));
        }
        match &mut self.state {
            State::Playing(replay) => {
                replay.resume();
                replay.advance()
            }
            _ => Ok(false),
        }
    }

    /// What is known so far; `None` until the header is there.
    #[must_use]
    pub fn capture(&self) -> Option<&Capture> {
        match &self.state {
            State::Playing(replay) => Some(replay.capture()),
            _ => None,
        }
    }

    /// Whether nothing more will come: the capture has an ending, or cannot be read further.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match &self.state {
            State::Waiting(_) => false,
            State::Playing(replay) => replay.has_ended(),
            State::Refused => true,
        }
    }
}

/// A source that gives only what belongs to whole frames, and is at its end before one that is not whole.
struct WholeFrames<R> {
    source: R,
    bytes: Vec<u8>,
    /// How many of `bytes` were given away.
    given: usize,
    /// How many of `bytes` are of whole frames.
    whole: usize,
    /// Whether the magic, version and reserved bytes are among the whole ones, or were.
    has_prologue: bool,
    /// Whether this is a capture as far as can be told. Of anything else all is given, to be refused.
    is_capture: bool,
}

impl<R: Read> WholeFrames<R> {
    fn new(source: R) -> Self {
        Self {
            source,
            bytes: Vec::new(),
            given: 0,
            whole: 0,
            has_prologue: false,
            is_capture: true,
        }
    }

    /// Whether prologue and header are there, or what cannot become them.
    fn has_header(&mut self) -> io::Result<bool> {
        while self.is_capture && self.whole <= PROLOGUE_BYTES {
            if !self.read_more()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads on; false at the end of what there is.
    fn read_more(&mut self) -> io::Result<bool> {
        self.bytes.drain(..self.given);
        self.whole -= self.given;
        self.given = 0;
        let before = self.bytes.len();
        self.bytes.resize(before + CHUNK_BYTES, 0);
        let read = loop {
            match self.source.read(&mut self.bytes[before..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.bytes
            .truncate(before + read.as_ref().map_or(0, |read| *read));
        let has_more = read? > 0;
        self.measure();
        Ok(has_more)
    }

    /// Finds out how much is whole.
    fn measure(&mut self) {
        if !self.has_prologue {
            let known = self.bytes.len().min(MAGIC.len());
            self.is_capture = self.bytes[..known] == MAGIC[..known];
            if self.is_capture && self.bytes.len() >= PROLOGUE_BYTES {
                self.has_prologue = true;
                self.whole = PROLOGUE_BYTES;
            }
        }
        if !self.is_capture {
            self.whole = self.bytes.len();
            return;
        }
        while self.has_prologue
            && let Some(head) = self.bytes[self.whole..].first_chunk::<ENVELOPE_BYTES>()
        {
            let length = ENVELOPE_BYTES + Envelope::decode(head).stored_bytes as usize;
            if self.bytes.len() - self.whole < length {
                break;
            }
            self.whole += length;
        }
    }
}

impl<R: Read> Read for WholeFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.whole && self.read_more()? {}
        let count = buffer.len().min(self.whole - self.given);
        buffer[..count].copy_from_slice(&self.bytes[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}
