//! Records of formats 12 and 13: the kind and its flags share a byte, and addresses that came up lately are named by a
//! number of four bits.

use std::io::Read;

use super::{Call, CodeObject, Decode, Record, changed, line, skip_segment, skip_segments};
use crate::input::{Input, Stop};

/// Kinds without flags.
pub(crate) mod kind {
    pub const TRAILER: u8 = 1;
    pub const MEMORY: u8 = 2;
    pub const NATIVE_FRAME: u8 = 5;
    pub const MAPS: u8 = 6;
    pub const SEGMENTS: u8 = 7;
    pub const SEGMENT: u8 = 8;
    pub const THREAD_NAME: u8 = 10;
    pub const THREAD: u8 = 12;
    pub const CODE: u8 = 14;
}

/// Kinds with flags, by their highest bit.
const ALLOCATION: u8 = 128;
const PUSH: u8 = 64;
const OBJECT: u8 = 32;
const POP: u8 = 16;

/// The number that says that an address is none of the latest.
const NEW_ADDRESS: u8 = 15;

/// What records refer back to.
#[derive(Debug)]
pub(crate) struct Packed {
    has_native_traces: bool,
    /// The latest addresses that were new, from `newest` on and around.
    latest: [u64; 16],
    newest: u8,
    /// The latest of them, in units of eight bytes.
    last_address: u64,
    last_first_line: u64,
}

impl Packed {
    pub(crate) fn new(has_native_traces: bool) -> Self {
        Self {
            has_native_traces,
            latest: [0; 16],
            newest: 0,
            last_address: 0,
            last_first_line: 0,
        }
    }

    #[inline(always)]
    fn address(&mut self, number: u8, input: &mut Input<impl Read>) -> Result<u64, Stop> {
        if number != NEW_ADDRESS {
            return Ok(self.latest[usize::from(self.newest.wrapping_add(number) & 15)]);
        }
        let address = changed(&mut self.last_address, input.signed()?) << 3;
        self.newest = self.newest.wrapping_sub(1) & 15;
        self.latest[usize::from(self.newest)] = address;
        Ok(address)
    }

    /// Flags: four bits for the address, three for the function that was called.
    #[inline(always)]
    fn allocation(&mut self, token: u8, input: &mut Input<impl Read>) -> Result<Record, Stop> {
        let address = self.address((token >> 3) & 15, input)?;
        let allocator = match token & 7 {
            0 => input.byte()?,
            allocator => allocator,
        };
        let call = Call::of(allocator)?;
        if call == Call::Free {
            return Ok(call.record(allocator, address, 0));
        }
        if self.has_native_traces {
            input.signed()?;
        }
        let bytes = input.varint()?;
        Ok(call.record(allocator, address, bytes))
    }

    #[cold]
    fn other(&mut self, token: u8, input: &mut Input<impl Read>) -> Result<Record, Stop> {
        match token {
            kind::TRAILER => return Ok(Record::Trailer),
            kind::MEMORY => {
                let rss_bytes = input.varint()?;
                let elapsed_ms = input.varint()?;
                return Ok(Record::Memory {
                    elapsed_ms,
                    rss_bytes,
                });
            }
            kind::THREAD => return Ok(Record::Thread(input.word()?)),
            kind::CODE => return Ok(Record::Code(Box::new(self.code(input)?))),
            kind::NATIVE_FRAME => {
                input.signed()?;
                input.signed()?;
            }
            kind::MAPS => {}
            kind::SEGMENTS => skip_segments(input)?,
            kind::SEGMENT => skip_segment(input)?,
            kind::THREAD_NAME => drop(input.text()?),
            _ if token & OBJECT != 0 => {
                self.address((token >> 1) & 15, input)?;
                let is_created = token & 1 != 0;
                if self.has_native_traces && is_created {
                    input.signed()?;
                }
            }
            _ => return Err(Stop::Damaged("a kind of record that is not known")),
        }
        Ok(Record::Other)
    }

    pub(crate) fn code(&mut self, input: &mut Input<impl Read>) -> Result<CodeObject, Stop> {
        let id = input.varint()?;
        let function = input.text()?;
        let filename = input.text()?;
        let first_line = line(changed(&mut self.last_first_line, input.signed()?));
        let length = input.varint()?;
        Ok(CodeObject {
            id,
            function,
            filename,
            first_line,
            line_table: input.bytes(length)?,
        })
    }
}

impl Decode for Packed {
    #[inline(always)]
    fn next(&mut self, input: &mut Input<impl Read>) -> Result<Record, Stop> {
        let token = input.byte()?;
        if token & ALLOCATION != 0 {
            self.allocation(token, input)
        } else if token & PUSH != 0 {
            let code = input.varint()?;
            let offset = input.signed()?;
            Ok(Record::PushedInstruction { code, offset })
        } else if token & (OBJECT | POP) == POP {
            Ok(Record::Popped {
                count: (token & 15) + 1,
                end: input.position(),
            })
        } else {
            self.other(token, input)
        }
    }
}
