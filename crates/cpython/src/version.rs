//! Where things are in a running interpreter: one file of offsets for each minor version.
//!
//! Every constant is in bytes and was read from that version's headers; `tests/interpreters` compares each with the
//! real headers of every interpreter on the machine. A version that has no file here is refused: offsets are never guessed.

mod v3_9;
mod v3_10;
mod v3_11;
mod v3_12;
mod v3_13;

pub use v3_9::V3_9;
pub use v3_10::V3_10;
pub use v3_11::V3_11;
pub use v3_12::V3_12;
pub use v3_13::V3_13;

/// How the thread state leads to the frame that is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CurrentFrame {
    /// `*(tstate + offset)` is the frame.
    Direct(usize),
    /// `*(*(tstate + cframe) + current_frame)` is the frame.
    ThroughCFrame {
        /// Offset of `cframe` in the thread state.
        cframe: usize,
        /// Offset of `current_frame` in `_PyCFrame`.
        current_frame: usize,
    },
}

/// What a frame stores to say which instruction it is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// An index held in an `int`, `unit_bytes` bytes per step (3.9: bytes, 3.10: code units); −1 before the first.
    Index {
        /// Offset of `f_lasti` in the frame.
        offset: usize,
        /// Bytes per step.
        unit_bytes: usize,
    },
    /// A pointer into the code object's bytecode.
    Pointer {
        /// Offset of `prev_instr` / `instr_ptr` in the frame.
        offset: usize,
    },
}

/// The frame's `owner` byte and what its values mean. `None` before 3.11.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Offset of the byte in the frame.
    pub offset: usize,
    /// Owners at or above this value are not Python frames (C-stack shims): look at `previous` only.
    pub first_shim: u8,
}

/// The frame's `stacktop`: −1 (and not read by anybody) while the frame executes, saved and reset around each inlined call.
///
/// Reset when a frame is pushed, so a negative value that the tracer leaves there proves that this very invocation is still
/// the one, and has not called back into Python through the interpreter's own call path since. Absent where no such field exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackTop {
    /// Offset of the `int` in the frame.
    pub offset: usize,
}

/// Offsets in bytes for one minor version, default (GIL) 64-bit build.
#[derive(Clone, Copy, Debug)]
pub struct Offsets {
    /// Where the running frame is.
    pub current_frame: CurrentFrame,
    /// `interp` in the thread state.
    pub tstate_interp: usize,
    /// `f_back` / `previous` in the frame.
    pub frame_previous: usize,
    /// `f_code` / `f_executable` in the frame.
    pub frame_code: usize,
    /// Low bits of `frame_code` that are a tag, not part of the pointer.
    pub frame_code_tag: usize,
    /// The instruction that the frame is at.
    pub instruction: Instruction,
    /// Who owns the frame.
    pub owner: Option<Owner>,
    /// The field that can carry a mark.
    pub stack_top: Option<StackTop>,
    /// `co_filename` in the code object.
    pub code_filename: usize,
    /// `co_qualname`, or `co_name` before 3.11.
    pub code_name: usize,
    /// `co_firstlineno` (an `int`).
    pub code_first_line: usize,
    /// `co_linetable`, or `co_lnotab` before 3.10.
    pub code_line_table: usize,
    /// First instruction inside the code object (`co_code_adaptive`); 0 before 3.11, where it is not needed.
    pub code_start: usize,
    /// `_co_firsttraceable` (an `int`, in code units); 0 before 3.11.
    pub code_first_traceable: usize,
}

/// One minor version of CPython.
pub trait Version: 'static {
    /// The `x` of `3.x`.
    const MINOR: u8;
    /// Where things are.
    const OFFSETS: Offsets;
}
