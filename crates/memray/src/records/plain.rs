//! Records of format 11: four bits for the kind and four for its flags, every address in full, and other numbers for
//! the functions.

use std::io::Read;

use super::{Call, Decode, Frame, Record, changed, line, skip_segment, skip_segments};
use crate::input::{Input, Stop};

mod kind {
    pub const OTHER: u8 = 0;
    pub const ALLOCATION: u8 = 1;
    pub const NATIVE_ALLOCATION: u8 = 2;
    pub const FRAME: u8 = 3;
    pub const PUSH: u8 = 4;
    pub const NATIVE_FRAME: u8 = 5;
    pub const MAPS: u8 = 6;
    pub const SEGMENTS: u8 = 7;
    pub const SEGMENT: u8 = 8;
    pub const POP: u8 = 9;
    pub const THREAD_NAME: u8 = 10;
    pub const MEMORY: u8 = 11;
    pub const THREAD: u8 = 12;
}

/// The numbers that later formats give the functions that this one numbers from 1 to 15.
const ALLOCATORS: [u8; 16] = [0, 6, 5, 8, 7, 9, 10, 11, 12, 13, 14, 15, 2, 3, 4, 1];

/// Later formats' number of a function; 0 if there is none.
pub(crate) fn allocator(number: u8) -> u8 {
    ALLOCATORS.get(usize::from(number)).copied().unwrap_or(0)
}

/// The flag of kind `OTHER` that says that the recording ended in order.
const TRAILER: u8 = 1;

/// What records refer back to.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    last_address: u64,
    last_frame: u64,
    last_line: u64,
}

impl Decode for Plain {
    #[inline(always)]
    fn next(&mut self, input: &mut Input<impl Read>) -> Result<Record, Stop> {
        let token = input.byte()?;
        let flags = token >> 4;
        match token & 15 {
            kind::ALLOCATION => {
                let address = changed(&mut self.last_address, input.signed()?);
                let allocator = allocator(flags);
                let call = Call::of(allocator)?;
                let bytes = if call == Call::Free {
                    0
                } else {
                    input.varint()?
                };
                return Ok(call.record(allocator, address, bytes));
            }
            kind::NATIVE_ALLOCATION => {
                let address = changed(&mut self.last_address, input.signed()?);
                let bytes = input.varint()?;
                input.signed()?;
                let allocator = allocator(flags);
                return Ok(Call::of(allocator)?.record(allocator, address, bytes));
            }
            kind::PUSH => {
                let id = changed(&mut self.last_frame, input.signed()?);
                return Ok(Record::PushedFrame(id));
            }
            kind::POP => {
                let end = input.position();
                return Ok(Record::Popped {
                    count: flags + 1,
                    end,
                });
            }
            kind::FRAME => {
                return Ok(Record::Frame(Box::new(Frame {
                    id: changed(&mut self.last_frame, input.signed()?),
                    function: input.text()?,
                    filename: input.text()?,
                    line: line(changed(&mut self.last_line, input.signed()?)),
                })));
            }
            kind::MEMORY => {
                let rss_bytes = input.varint()?;
                let elapsed_ms = input.varint()?;
                return Ok(Record::Memory {
                    elapsed_ms,
                    rss_bytes,
                });
            }
            kind::THREAD => return Ok(Record::Thread(input.word()?)),
            kind::OTHER if flags == TRAILER => return Ok(Record::Trailer),
            kind::NATIVE_FRAME => {
                input.signed()?;
                input.signed()?;
            }
            kind::MAPS => {}
            kind::SEGMENTS => skip_segments(input)?,
            kind::SEGMENT => skip_segment(input)?,
            kind::THREAD_NAME => drop(input.text()?),
            _ => return Err(Stop::Damaged("a kind of record that is not known")),
        }
        Ok(Record::Other)
    }
}
