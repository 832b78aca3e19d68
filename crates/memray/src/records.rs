//! The records of a stream of events: what their bytes say.

mod packed;
mod plain;

use std::io::Read;

use crate::input::{Input, Stop};

pub(crate) use packed::Packed;
pub(crate) use plain::{Plain, allocator as allocator_of_format_11};

/// One record, as far as it is of interest.
#[derive(Debug)]
pub(crate) enum Record {
    Allocated {
        allocator: u8,
        address: u64,
        bytes: u64,
    },
    Freed {
        address: u64,
    },
    Mapped {
        address: u64,
        bytes: u64,
    },
    Unmapped {
        address: u64,
        bytes: u64,
    },
    /// The thread entered a frame, named by a [`CodeObject`] and where in it.
    PushedInstruction {
        code: u64,
        offset: i64,
    },
    /// The thread entered a [`Frame`].
    PushedFrame(u64),
    /// The thread left so many frames. `end` is where the record ends.
    Popped {
        count: u8,
        end: u64,
    },
    /// What follows is of this thread.
    Thread(u64),
    /// memray looked at the process, so many milliseconds after the start.
    Memory {
        elapsed_ms: u64,
        rss_bytes: u64,
    },
    /// What frames will refer to.
    Code(Box<CodeObject>),
    Frame(Box<Frame>),
    /// Of no interest here.
    Other,
    /// The recording ended in order.
    Trailer,
}

/// What a record names a frame by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FrameKey {
    /// The id of a [`CodeObject`], and where in it.
    Instruction { code: u64, offset: i64 },
    /// The id of a [`Frame`].
    Id(u64),
}

/// A code object.
#[derive(Debug)]
pub(crate) struct CodeObject {
    pub id: u64,
    pub function: String,
    pub filename: String,
    pub first_line: u32,
    /// `co_linetable`, or `co_lnotab`.
    pub line_table: Vec<u8>,
}

/// A function at a line.
#[derive(Debug)]
pub(crate) struct Frame {
    pub id: u64,
    pub function: String,
    pub filename: String,
    pub line: u32,
}

/// Understands the records of some formats.
pub(crate) trait Decode {
    /// The next record.
    ///
    /// # Errors
    /// When there is none, or none that makes sense.
    fn next(&mut self, input: &mut Input<impl Read>) -> Result<Record, Stop>;
}

/// What became of memory, by memray's numbers of the functions that were called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Allocate,
    Free,
    Map,
    Unmap,
}

impl Call {
    #[inline(always)]
    fn of(allocator: u8) -> Result<Self, Stop> {
        match allocator {
            1 | 5 => Ok(Self::Free),
            2..=4 | 6..=13 => Ok(Self::Allocate),
            14 => Ok(Self::Map),
            15 => Ok(Self::Unmap),
            _ => Err(Stop::Damaged("an allocator that is not known")),
        }
    }

    #[inline(always)]
    fn record(self, allocator: u8, address: u64, bytes: u64) -> Record {
        match self {
            Self::Allocate => Record::Allocated {
                allocator,
                address,
                bytes,
            },
            Self::Free => Record::Freed { address },
            Self::Map => Record::Mapped { address, bytes },
            Self::Unmap => Record::Unmapped { address, bytes },
        }
    }
}

/// `first` changed by a difference that a record tells.
#[inline(always)]
fn changed(value: &mut u64, difference: i64) -> u64 {
    *value = value.wrapping_add_signed(difference);
    *value
}

/// A line, 0 if it is none.
fn line(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

/// A memory mapping, of which nothing is of interest: a file name, a number of parts and an address.
pub(crate) fn skip_segments(input: &mut Input<impl Read>) -> Result<(), Stop> {
    input.text()?;
    input.varint()?;
    input.word()?;
    Ok(())
}

/// A part of a mapping, likewise: an address and a size.
pub(crate) fn skip_segment(input: &mut Input<impl Read>) -> Result<(), Stop> {
    input.word()?;
    input.varint()?;
    Ok(())
}
