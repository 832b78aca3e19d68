//! Where things are in a running interpreter: one file of offsets for each minor version.
//!
//! Every constant is in bytes and was read from that version's headers; `tests/interpreters` compares each with the
//! real headers of every interpreter on the machine. A version that has no file here is refused: offsets are never guessed.

mod v3_10;
mod v3_11;
mod v3_12;
mod v3_13;
mod v3_13t;
mod v3_14;
mod v3_15;
mod v3_9;

pub use v3_9::V3_9;
pub use v3_10::V3_10;
pub use v3_11::V3_11;
pub use v3_12::V3_12;
pub use v3_13::V3_13;
pub use v3_13t::V3_13T;
pub use v3_14::V3_14;
pub use v3_15::V3_15;

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

/// What in a frame can carry the tracer's mark "this very invocation was here at the last walk". See [`crate::mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nothing: every frame has to be compared.
    None,
    /// 3.9, 3.10: `f_trace_lines` is set to 1 whenever a frame object is made (or taken from a free list) for a call.
    TraceLines {
        /// Offset of the `char` in the frame.
        trace_lines: usize,
        /// Offset of `f_gen`: frames of generators outlive their callers and cannot be marked this way.
        generator: usize,
    },
    /// 3.11 to 3.13: `stacktop` while the frame executes, the dead stack slot above it while it waits for a call.
    StackTop {
        /// Offset of the `int stacktop` in the frame.
        stack_top: usize,
        /// Offset of `localsplus` in the frame.
        locals_plus: usize,
        /// Offset of `is_entry` (3.11): true for a frame that was entered from C.
        is_entry: Option<usize>,
        /// The instruction that resumes a generator for `await` and `yield from` without leaving the interpreter (3.12, 3.13).
        send: Option<Send>,
    },
    /// 3.14, 3.15: `visited` is cleared whenever a frame is pushed; only the collector's root marking looks at it, as a hint.
    Visited {
        /// Offset of the byte in the frame.
        visited: usize,
    },
}

/// `SEND_GEN`, and where a frame that waits in it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Send {
    /// Its opcode (Include/opcode.h, Include/opcode_ids.h).
    pub opcode: u8,
    /// Bytes from the instruction to where the frame's instruction pointer is.
    pub behind: usize,
}

/// From a `PRECALL` to its `CALL`: the instruction and one cache entry (3.11).
pub const CALL_PREFIX_BYTES: u32 = 4;

/// How a compact `str` is laid out (Include/cpython/unicodeobject.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unicode {
    /// Offset of the 32 bits of `state`.
    pub state: usize,
    /// Lowest bit of `kind` (3 bits) in `state`; `compact` and `ascii` are the two bits above it.
    pub kind_shift: u32,
    /// Where the characters of an ASCII string start: `sizeof(PyASCIIObject)`.
    pub ascii_data: usize,
    /// Where the characters of any other compact string start: `sizeof(PyCompactUnicodeObject)`.
    pub compact_data: usize,
}

/// Offsets in bytes for one minor version, default (GIL) 64-bit build.
#[derive(Clone, Copy, Debug)]
pub struct Offsets {
    /// Where the running frame is.
    pub current_frame: CurrentFrame,
    /// `gilstate.tstate_current` in `_PyRuntime`: the state of the thread that holds the GIL. `None` since 3.12, which keeps it in a
    /// thread-local variable.
    pub runtime_current: Option<usize>,
    /// `interp` in the thread state.
    pub tstate_interp: usize,
    /// Opcodes of `PRECALL` and its specialised forms (3.11; Include/opcode.h): one call, on one line, with the `CALL`
    /// [`CALL_PREFIX_BYTES`] on. A specialised one does the call itself.
    pub call_prefixes: &'static [u8],
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
    pub mark: Mark,
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
    /// `sizeof(PyObject)`.
    pub object_header: usize,
    /// `str`.
    pub unicode: Unicode,
}

/// One minor version of CPython.
pub trait Version: 'static {
    /// The `x` of `3.x`.
    const MINOR: u8;
    /// A build without the GIL?
    const FREE_THREADED: bool = false;
    /// Where things are.
    const OFFSETS: Offsets;
}
