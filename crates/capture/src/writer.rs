//! Writes a capture.

use std::io::{self, Cursor, ErrorKind, Write};

use zstd::bulk::Compressor;

use crate::blocks::{self, Block, Place};
use crate::end::End;
use crate::error::WriteError;
use crate::frame::{
    ENVELOPE_BYTES, FORMAT_VERSION, Kind, MAGIC, MAX_PLAIN_BYTES, PROLOGUE_BYTES, largest_plain,
    seal,
};
use crate::header::Header;
use crate::model::{Counters, SiteId};
use crate::note::Note;
use crate::tick::{Encoder, Tick};

/// Fast, and within a few per cent of the default level's size on ticks.
const COMPRESSION_LEVEL: i32 = 1;

/// First word and length of a zstd frame that decoders skip.
const PADDING_MAGIC: u32 = 0x184d_2a50;
const PADDING_HEAD_BYTES: usize = 8;

/// Appends frames to a sink, one `write` each.
///
/// Nothing is buffered between calls, so what was written is safe from the death of the process. Memory: one copy of
/// every site's counters, and buffers that are reused (no allocation once they have grown to the size of a tick).
///
/// # When the sink fails
///
/// The writer never leaves half a frame followed by another. When a write fails midway, it keeps the rest of that frame
/// and completes it first when called again. [`WriteError::taken`] tells the caller which data to give again: taken
/// data is the writer's to deliver; data that was not taken must be part of the next tick.
pub struct Writer<W: Write> {
    sink: W,
    compressor: Compressor<'static>,
    encoder: Encoder,
    /// The payload before compression.
    plain: Vec<u8>,
    /// The frame that is being written; `frame[sent..]` is not in the sink yet.
    frame: Vec<u8>,
    sent: usize,
    bytes_written: u64,
}

impl<W: Write> Writer<W> {
    /// Starts a capture: writes the magic, the version and `header`.
    ///
    /// # Errors
    /// [`WriteError::Io`] when the sink fails; the sink then holds part of a header and is of no use.
    pub fn create(sink: W, header: &Header) -> Result<Self, WriteError> {
        let not_taken = |source| WriteError::Io {
            source,
            taken: false,
        };
        let mut writer = Self {
            sink,
            compressor: Compressor::new(COMPRESSION_LEVEL).map_err(not_taken)?,
            encoder: Encoder::default(),
            plain: Vec::new(),
            frame: Vec::new(),
            sent: 0,
            bytes_written: 0,
        };
        header.encode(&mut writer.plain);
        writer.pack(Kind::Header)?;
        let mut prologue = [0; PROLOGUE_BYTES];
        prologue[..8].copy_from_slice(&MAGIC);
        prologue[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        writer.frame.splice(0..0, prologue);
        writer.send().map_err(not_taken)?;
        Ok(writer)
    }

    /// Writes what became new or changed.
    ///
    /// # Errors
    /// [`WriteError::Io`] when the sink fails (see [`Writer`] for what to do), [`WriteError::Inconsistent`] when an id
    /// of `tick` is unknown, [`WriteError::TooLarge`]. After the last two the writer is as before.
    pub fn tick(&mut self, tick: &Tick<'_>) -> Result<(), WriteError> {
        self.send_rest()?;
        self.encoder.check(tick).map_err(WriteError::Inconsistent)?;
        self.plain.clear();
        self.encoder.encode(tick, &mut self.plain);
        self.pack(Kind::Tick)?;
        self.encoder.commit(tick);
        self.send_taken()
    }

    /// Writes the table of blocks that are live at the last tick, in any order (ascending addresses compress best).
    /// It takes the place of one written before.
    ///
    /// # Errors
    /// As [`Self::tick`]. After a failed write the table may be incomplete in the file; readers then ignore it.
    pub fn blocks(&mut self, blocks: &[Block]) -> Result<(), WriteError> {
        self.send_rest()?;
        blocks::check(blocks, self.encoder.sites()).map_err(WriteError::Inconsistent)?;
        let parts = blocks.len().div_ceil(blocks::PER_FRAME).max(1);
        for part in 0..parts {
            let start = part * blocks::PER_FRAME;
            let end = blocks.len().min(start + blocks::PER_FRAME);
            let place = Place {
                is_first: part == 0,
                is_last: part + 1 == parts,
            };
            self.plain.clear();
            blocks::encode(&blocks[start..end], place, &mut self.plain);
            self.pack(Kind::Blocks)?;
            self.send_taken()?;
        }
        Ok(())
    }

    /// Writes a named text.
    ///
    /// # Errors
    /// As [`Self::tick`].
    pub fn note(&mut self, note: &Note) -> Result<(), WriteError> {
        self.send_rest()?;
        self.plain.clear();
        note.encode(&mut self.plain);
        self.pack(Kind::Note)?;
        self.send_taken()
    }

    /// Writes the ending, flushes the sink and gives it back.
    ///
    /// # Errors
    /// [`WriteError::Io`] when the sink fails. The file is then readable up to the last whole frame.
    pub fn finish(mut self, end: &End) -> Result<W, WriteError> {
        self.send_rest()?;
        self.plain.clear();
        end.encode(&mut self.plain);
        self.pack(Kind::End)?;
        self.send_taken()?;
        self.sink.flush().map_err(|source| WriteError::Io {
            source,
            taken: true,
        })?;
        Ok(self.sink)
    }

    /// The counters of a site as the file will have them once everything that was taken is in the sink. `None` for an
    /// unknown site.
    #[must_use]
    pub fn counters(&self, site: SiteId) -> Option<&Counters> {
        self.encoder.counters(site)
    }

    /// Bytes that the sink has taken so far.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    /// Bytes of memory that the writer holds.
    #[must_use]
    pub fn held_bytes(&mut self) -> usize {
        self.encoder.held_bytes()
            + self.plain.capacity()
            + self.frame.capacity()
            + self.compressor.context_mut().sizeof()
    }

    /// True when part of what was taken could not be written yet.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        self.sent < self.frame.len()
    }

    /// Compresses `plain` into `frame`.
    fn pack(&mut self, kind: Kind) -> Result<(), WriteError> {
        let plain_bytes = self.plain.len();
        if plain_bytes > MAX_PLAIN_BYTES {
            return Err(WriteError::TooLarge { plain_bytes });
        }
        self.frame.clear();
        self.sent = 0;
        self.frame.resize(ENVELOPE_BYTES, 0);
        self.frame
            .reserve(zstd::zstd_safe::compress_bound(plain_bytes));
        let mut after_envelope = Cursor::new(&mut self.frame);
        after_envelope.set_position(ENVELOPE_BYTES as u64);
        let packed = self
            .compressor
            .compress_to_buffer(&self.plain[..], &mut after_envelope);
        if let Err(source) = packed {
            self.frame.clear();
            return Err(WriteError::Io {
                source,
                taken: false,
            });
        }
        pad(&mut self.frame, plain_bytes);
        seal(&mut self.frame, kind, plain_bytes as u32);
        Ok(())
    }

    fn send_rest(&mut self) -> Result<(), WriteError> {
        self.send().map_err(|source| WriteError::Io {
            source,
            taken: false,
        })
    }

    fn send_taken(&mut self) -> Result<(), WriteError> {
        self.send().map_err(|source| WriteError::Io {
            source,
            taken: true,
        })
    }

    /// `write_all` that remembers how far it came.
    fn send(&mut self) -> io::Result<()> {
        while self.sent < self.frame.len() {
            match self.sink.write(&self.frame[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.sent += count;
                    self.bytes_written += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Lengthens the payload of `frame` so that it does not look like a decompression bomb.
fn pad(frame: &mut Vec<u8>, plain_bytes: usize) {
    let stored = frame.len() - ENVELOPE_BYTES;
    if plain_bytes <= largest_plain(stored) {
        return;
    }
    let needed = plain_bytes.div_ceil(crate::frame::MAX_EXPANSION);
    let padding = needed.saturating_sub(stored + PADDING_HEAD_BYTES);
    frame.extend_from_slice(&PADDING_MAGIC.to_le_bytes());
    frame.extend_from_slice(&(padding as u32).to_le_bytes());
    frame.resize(frame.len() + padding, 0);
}
