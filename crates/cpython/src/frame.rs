//! Frames of the calling thread: the running one, its callers, and where each of them is.

use crate::line_table::NOT_STARTED;
use crate::version::{CALL_PREFIX_BYTES, CurrentFrame, Instruction, Version};

/// Address of a frame (`PyFrameObject` before 3.11, `_PyInterpreterFrame` since). Never null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Frame(pub *const u8);

/// Which code runs in a frame and at which instruction, in one word that is cheap to read and to compare.
///
/// 3.11+: the instruction pointer, unique to its code object as long as that lives.
/// Before: the code object's address (16-aligned, 47 bits) times 2¹⁷, plus the number of the instruction.
pub type Position = u64;

/// Before 3.11, the positions of code objects at neighbouring addresses, 16 bytes apart, are 2²¹ instructions of two
/// bytes apart. A code object has 176 bytes, eleven times that, so the instructions of 46 MB of bytecode have positions
/// that nothing else has.
const NEIGHBOUR_SHIFT: u32 = 21;

/// `owner` of a generator's or coroutine's frame.
const OWNED_BY_GENERATOR: u8 = 1;

#[inline(always)]
pub(crate) unsafe fn load<T: Copy>(base: *const u8, offset: usize) -> T {
    // SAFETY: the caller promises that `base` is a live structure of the running version, where the field at `offset`
    // is a T.
    unsafe { base.add(offset).cast::<T>().read() }
}

#[inline(always)]
fn non_null(pointer: *const u8) -> Option<Frame> {
    (!pointer.is_null()).then_some(Frame(pointer))
}

/// The frame that `thread_state` is running, complete or not.
///
/// # Safety
/// `thread_state` is a live `PyThreadState` of version `V`, of the calling thread.
#[inline(always)]
#[must_use]
pub unsafe fn current<V: Version>(thread_state: *const u8) -> Option<Frame> {
    // SAFETY: offsets of the running version in a live thread state; cframe always points to a live `_PyCFrame`.
    unsafe {
        non_null(match V::OFFSETS.current_frame {
            CurrentFrame::Direct(offset) => load(thread_state, offset),
            CurrentFrame::ThroughCFrame {
                cframe,
                current_frame,
            } => {
                let cframe: *const u8 = load(thread_state, cframe);
                load(cframe, current_frame)
            }
        })
    }
}

/// The caller's frame.
///
/// # Safety
/// `frame` is a live frame of version `V` on the calling thread's stack.
#[inline(always)]
#[must_use]
pub unsafe fn previous<V: Version>(frame: Frame) -> Option<Frame> {
    // SAFETY: promised by the caller.
    non_null(unsafe { load(frame.0, V::OFFSETS.frame_previous) })
}

/// Where the frame is.
///
/// # Safety
/// As [`previous`].
#[inline(always)]
#[must_use]
pub unsafe fn position<V: Version>(frame: Frame) -> Position {
    // SAFETY: promised by the caller.
    unsafe {
        match V::OFFSETS.instruction {
            Instruction::Pointer { offset } => load(frame.0, offset),
            Instruction::Index { offset, unit_bytes } => {
                let code: u64 = load(frame.0, V::OFFSETS.frame_code);
                let index: i32 = load(frame.0, offset);
                // In units of two bytes, and from 0: −1 is a frame that has not begun.
                let number = if unit_bytes == 1 { index >> 1 } else { index } + 1;
                (code << (NEIGHBOUR_SHIFT - 4)) + u64::from(number.cast_unsigned())
            }
        }
    }
}

/// Does a generator or coroutine own the frame (3.11+)? Such a frame is resumed by different callers.
///
/// # Safety
/// As [`previous`].
#[inline(always)]
#[must_use]
pub unsafe fn is_generator<V: Version>(frame: Frame) -> bool {
    match V::OFFSETS.owner {
        // SAFETY: promised by the caller.
        Some(owner) => unsafe { load::<u8>(frame.0, owner.offset) == OWNED_BY_GENERATOR },
        None => false,
    }
}

/// Is this an entry of the frame chain that no Python code runs in (a C-stack shim)? Look only at its [`previous`].
///
/// # Safety
/// As [`previous`].
#[inline(always)]
#[must_use]
pub unsafe fn is_shim<V: Version>(frame: Frame) -> bool {
    match V::OFFSETS.owner {
        // SAFETY: promised by the caller.
        Some(owner) => unsafe { load::<u8>(frame.0, owner.offset) >= owner.first_shim },
        None => false,
    }
}

/// The frame's code object.
///
/// # Safety
/// As [`previous`], and the frame is not a shim.
#[inline(always)]
#[must_use]
pub unsafe fn code<V: Version>(frame: Frame) -> *const u8 {
    // SAFETY: promised by the caller.
    let tagged: usize = unsafe { load(frame.0, V::OFFSETS.frame_code) };
    (tagged & !V::OFFSETS.frame_code_tag) as *const u8
}

/// Byte offset of the current instruction in the code object's bytecode.
///
/// `None` for a frame that is still being set up (`_PyFrame_IsIncomplete` in pycore_frame.h), which `sys._getframe`
/// skips, too.
///
/// # Safety
/// As [`code`]; `code` is this frame's.
#[inline]
#[must_use]
pub unsafe fn instruction_offset<V: Version>(frame: Frame, code: *const u8) -> Option<u32> {
    // SAFETY: promised by the caller.
    unsafe {
        match V::OFFSETS.instruction {
            Instruction::Index { offset, unit_bytes } => {
                let index: i32 = load(frame.0, offset);
                Some(u32::try_from(index).map_or(NOT_STARTED, |index| index * unit_bytes as u32))
            }
            Instruction::Pointer { offset } => {
                let at: i64 = load(frame.0, offset);
                let start = code as i64 + V::OFFSETS.code_start as i64;
                let first_traceable: i32 = load(code, V::OFFSETS.code_first_traceable);
                let bytes = at - start;
                if bytes < i64::from(first_traceable) * 2 && !is_generator::<V>(frame) {
                    return None;
                }
                let bytes = u32::try_from(bytes).unwrap_or(0);
                // Else every path through a call would be there twice: before the interpreter specialises the call, and
                // after.
                let is_prefix = !V::OFFSETS.call_prefixes.is_empty()
                    && V::OFFSETS
                        .call_prefixes
                        .contains(&load::<u8>(at as *const u8, 0));
                Some(if is_prefix {
                    bytes + CALL_PREFIX_BYTES
                } else {
                    bytes
                })
            }
        }
    }
}

/// Is an instruction at or behind the one from which on any frame of this code is complete?
///
/// Before it, a frame counts only if a generator owns it, so whether it is shown does not follow from its position.
///
/// # Safety
/// `code` is a live code object of version `V`.
#[inline]
#[must_use]
pub unsafe fn is_traceable<V: Version>(code: *const u8, offset_bytes: u32) -> bool {
    match V::OFFSETS.instruction {
        Instruction::Index { .. } => true,
        Instruction::Pointer { .. } => {
            // SAFETY: promised by the caller.
            let first_traceable: i32 = unsafe { load(code, V::OFFSETS.code_first_traceable) };
            i64::from(offset_bytes) >= i64::from(first_traceable) * 2
        }
    }
}
