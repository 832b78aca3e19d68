//! Takes a byte source apart into frames, checking each before anything looks inside.

use std::io::{self, BufReader, Read};

use zstd::bulk::Decompressor;

use crate::error::{Damage, ReadError, Truncation};
use crate::frame::{
    ENVELOPE_BYTES, Envelope, FORMAT_VERSION, Kind, MAGIC, PROLOGUE_BYTES, checksum,
};
use crate::room::{self, NO_MEMORY};
use crate::varint::Malformed;

/// Read at a time. Frames are often small.
const BUFFER_BYTES: usize = 128 * 1024;

/// A source positioned at a frame.
pub(super) struct Frames<R: Read> {
    source: BufReader<R>,
    decompressor: Decompressor<'static>,
    stored: Vec<u8>,
    plain: Vec<u8>,
    /// The kind of the frame in `plain`, when it is to be given once more.
    held: Option<Kind>,
    /// Where the frame that was read last begins.
    frame_offset: u64,
    offset: u64,
}

/// Why there is no next frame.
pub(super) enum Stop {
    /// The source failed.
    Io(io::Error),
    /// The data is not readable from here on.
    Damage(Damage),
}

impl Stop {
    /// What a payload's decoder said.
    pub(super) fn malformed(what: Malformed) -> Self {
        if what == NO_MEMORY {
            Self::Io(io::ErrorKind::OutOfMemory.into())
        } else {
            Self::Damage(Damage::Malformed(what))
        }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Damage> for Stop {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}

impl<R: Read> Frames<R> {
    /// Checks magic and version.
    pub(super) fn open(source: R) -> Result<Self, ReadError> {
        let mut source = BufReader::with_capacity(BUFFER_BYTES, source);
        let mut prologue = Vec::with_capacity(PROLOGUE_BYTES);
        (&mut source)
            .take(PROLOGUE_BYTES as u64)
            .read_to_end(&mut prologue)?;
        if prologue.len() < MAGIC.len() && MAGIC.starts_with(&prologue) && !prologue.is_empty() {
            return Err(ReadError::BadHeader(Damage::CutShort));
        }
        if !prologue.starts_with(&MAGIC) {
            return Err(ReadError::NotACapture);
        }
        let Ok(prologue) = <[u8; PROLOGUE_BYTES]>::try_from(prologue) else {
            return Err(ReadError::BadHeader(Damage::CutShort));
        };
        match u16::from_le_bytes([prologue[8], prologue[9]]) {
            0 => {
                return Err(ReadError::BadHeader(Damage::Malformed(
                    "there is no format 0",
                )));
            }
            1..=FORMAT_VERSION => {}
            found => {
                return Err(ReadError::TooNew {
                    found,
                    supported: FORMAT_VERSION,
                });
            }
        }
        Ok(Self {
            source,
            decompressor: Decompressor::new()?,
            stored: Vec::new(),
            plain: Vec::new(),
            held: None,
            frame_offset: PROLOGUE_BYTES as u64,
            offset: PROLOGUE_BYTES as u64,
        })
    }

    /// The next frame of a known kind, or `None` at the end of the source. Unknown kinds are checked and skipped.
    pub(super) fn next(&mut self) -> Result<Option<(Kind, &[u8])>, Stop> {
        if let Some(kind) = self.held.take() {
            return Ok(Some((kind, &self.plain)));
        }
        loop {
            self.frame_offset = self.offset;
            let Some(envelope) = self.read_envelope()? else {
                return Ok(None);
            };
            if let Some(kind) = Kind::from_number(envelope.kind) {
                self.decompress(&envelope)?;
                return Ok(Some((kind, &self.plain)));
            }
        }
    }

    /// Has [`Self::next`] give the frame that was read last, which is of this kind, once more.
    pub(super) fn hold(&mut self, kind: Kind) {
        self.held = Some(kind);
    }

    /// Describes damage in the frame that was read last.
    pub(super) fn truncation(&self, damage: Damage) -> Truncation {
        Truncation {
            offset: self.frame_offset,
            damage,
        }
    }

    /// Reads envelope and stored payload, and compares the checksum.
    fn read_envelope(&mut self) -> Result<Option<Envelope>, Stop> {
        let mut head = [0; ENVELOPE_BYTES];
        self.stored.clear();
        (&mut self.source)
            .take(ENVELOPE_BYTES as u64)
            .read_to_end(&mut self.stored)?;
        if self.stored.is_empty() {
            return Ok(None);
        }
        if self.stored.len() < ENVELOPE_BYTES {
            return Err(Damage::CutShort.into());
        }
        head.copy_from_slice(&self.stored);
        let envelope = Envelope::decode(&head);

        self.stored.clear();
        // Grows as bytes arrive: the length in the file alone allocates nothing.
        let read = (&mut self.source)
            .take(u64::from(envelope.stored_bytes))
            .read_to_end(&mut self.stored)?;
        if read < envelope.stored_bytes as usize {
            return Err(Damage::CutShort.into());
        }
        if checksum(&head[..12], &self.stored) != envelope.checksum {
            return Err(Damage::Checksum.into());
        }
        self.offset += (ENVELOPE_BYTES + read) as u64;
        Ok(Some(envelope))
    }

    fn decompress(&mut self, envelope: &Envelope) -> Result<(), Stop> {
        if !envelope.is_plausible() {
            return Err(Damage::Malformed("a frame claims an implausible size").into());
        }
        let plain_bytes = envelope.plain_bytes as usize;
        self.plain.clear();
        room::reserve(&mut self.plain, plain_bytes).map_err(Stop::malformed)?;
        let size = self
            .decompressor
            .decompress_to_buffer(&self.stored, &mut self.plain)
            .map_err(|_| Damage::Malformed("a frame does not decompress"))?;
        if size != plain_bytes {
            return Err(Damage::Malformed("a frame has another size than it claims").into());
        }
        Ok(())
    }
}
