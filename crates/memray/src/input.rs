//! The bytes of a recording, and the numbers and texts in them.

use std::io::{self, ErrorKind, Read};

/// How many bytes are read at once.
const BUFFER_BYTES: usize = 1 << 18;

/// No text and no line table of a program is as long.
const LONGEST_BYTES: u64 = 1 << 24;

/// Why nothing more can be read.
#[derive(Debug)]
pub(crate) enum Stop {
    /// There is nothing more.
    End,
    /// What is there makes no sense.
    Damaged(&'static str),
    /// Reading failed.
    Failed(io::Error),
}

/// A source, read byte by byte at the cost of a comparison.
pub(crate) struct Input<R> {
    source: R,
    buffer: Box<[u8]>,
    at: usize,
    end: usize,
    /// Bytes that were in the buffer before.
    before: u64,
}

impl<R: Read> Input<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            at: 0,
            end: 0,
            before: 0,
        }
    }

    /// Bytes taken so far.
    pub(crate) fn position(&self) -> u64 {
        self.before + self.at as u64
    }

    #[inline(always)]
    pub(crate) fn byte(&mut self) -> Result<u8, Stop> {
        if self.at == self.end {
            self.fill()?;
        }
        let byte = self.buffer[self.at];
        self.at += 1;
        Ok(byte)
    }

    /// Seven bits a byte, the least significant first, 64 at most.
    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Result<u64, Stop> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let next = self.byte()?;
            value |= u64::from(next & 0x7f) << shift;
            if next < 0x80 {
                return Ok(value);
            }
            shift += 7;
            if shift >= 64 {
                return Err(Stop::Damaged("a number is too long"));
            }
        }
    }

    /// A varint in zigzag form.
    #[inline(always)]
    pub(crate) fn signed(&mut self) -> Result<i64, Stop> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A number of eight bytes, as a little-endian machine has it in memory.
    pub(crate) fn word(&mut self) -> Result<u64, Stop> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A number of four bytes, likewise.
    pub(crate) fn half_word(&mut self) -> Result<u32, Stop> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A truth value of one byte.
    pub(crate) fn flag(&mut self) -> Result<bool, Stop> {
        Ok(self.byte()? != 0)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.byte()?;
        }
        Ok(bytes)
    }

    /// So many bytes. Memory is asked for as they come.
    pub(crate) fn bytes(&mut self, count: u64) -> Result<Vec<u8>, Stop> {
        if count > LONGEST_BYTES {
            return Err(Stop::Damaged("a line table is too long"));
        }
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < count {
            bytes.push(self.byte()?);
        }
        Ok(bytes)
    }

    /// A text that a zero byte ends. What is not UTF-8 in it is replaced.
    pub(crate) fn text(&mut self) -> Result<String, Stop> {
        let mut bytes = Vec::new();
        loop {
            match self.byte()? {
                0 => break,
                byte => bytes.push(byte),
            }
            if bytes.len() as u64 > LONGEST_BYTES {
                return Err(Stop::Damaged("a text is too long"));
            }
        }
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    #[cold]
    fn fill(&mut self) -> Result<(), Stop> {
        self.before += self.end as u64;
        (self.at, self.end) = (0, 0);
        loop {
            match self.source.read(&mut self.buffer) {
                Ok(0) => return Err(Stop::End),
                Ok(count) => {
                    self.end = count;
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(stop_of(error)),
            }
        }
    }
}

/// What it means that reading failed: what was compressed may be cut or damaged.
fn stop_of(error: io::Error) -> Stop {
    let of_compression = error
        .get_ref()
        .is_some_and(|inner| inner.is::<lz4_flex::frame::Error>());
    match error.kind() {
        ErrorKind::UnexpectedEof => Stop::End,
        _ if of_compression => Stop::Damaged("its compression makes no sense"),
        _ => Stop::Failed(error),
    }
}
