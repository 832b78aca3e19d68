//! Where things are in a running interpreter: one file of offsets for each minor version.
//!
//! Every constant is in bytes and was read from that version's headers; `tests/interpreters` compares each with the
//! real headers of every interpreter on the machine. A version that has no file here is refused: offsets are never
//! guessed.

use crate::line_table::LineTableFormat;

/// Declares the modules of all versions, and makes of them whatever depends on which versions there are. Nothing else
/// names them.
macro_rules! registry {
    ($($module:ident: $Version:ident,)+) => {
        $(
            mod $module;
            pub use $module::$Version;
        )+

        /// Every build that can be traced, oldest version first.
        pub const ALL: &[Known] = &[$(Known::of::<$Version>()),+];

        /// Calls `action` for the version that was asked for; `None` when it is not known.
        pub fn with_version<A: ForVersion>(minor: u8, free_threaded: bool, action: A) -> Option<A::Output> {
            $(
                let serves = const { is_one_of($Version::FREE_THREADED, A::FREE_THREADED) };
                if serves && ($Version::MINOR, $Version::FREE_THREADED) == (minor, free_threaded) {
                    return Some(action.call::<$Version>());
                }
            )+
            None
        }
    };
}

// Adding a version: a file in `version/`, and a line here.
registry! {
    v3_9: V3_9,
    v3_10: V3_10,
    v3_11: V3_11,
    v3_12: V3_12,
    v3_13: V3_13,
    v3_13t: V3_13T,
    v3_14: V3_14,
    v3_15: V3_15,
}

/// What [`with_version`] calls with the version as a type, so that its offsets are constants.
pub trait ForVersion {
    /// What the call returns.
    type Output;
    /// The builds that it may be called for: those without the GIL, those with it, or all. An extension module is made
    /// for one of the two, and is to hold no code for the other.
    const FREE_THREADED: Option<bool> = None;
    /// The call.
    fn call<V: Version>(self) -> Self::Output;
}

const fn is_one_of(free_threaded: bool, wanted: Option<bool>) -> bool {
    match wanted {
        Some(wanted) => free_threaded == wanted,
        None => true,
    }
}

/// One entry of the registry, for code that needs its offsets at run time only.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The `x` of `3.x`.
    pub minor: u8,
    /// A build without the GIL?
    pub free_threaded: bool,
    /// Where things are.
    pub offsets: Offsets,
}

impl Known {
    const fn of<V: Version>() -> Self {
        Self {
            minor: V::MINOR,
            free_threaded: V::FREE_THREADED,
            offsets: V::OFFSETS,
        }
    }

    /// The entry of one build; `None` when it is not known.
    #[must_use]
    pub fn find(minor: u8, free_threaded: bool) -> Option<&'static Self> {
        ALL.iter()
            .find(|known| (known.minor, known.free_threaded) == (minor, free_threaded))
    }
}

/// An interpreter without an entry in the registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot trace this interpreter: its frame layout is not known (Python {0}); supported are {supported}",
    supported = supported()
)]
pub struct UnsupportedVersion(
    /// `Py_GetVersion()`.
    pub String,
);

/// The versions that can be traced, for messages: `CPython 3.9 to 3.15 and free-threaded 3.13`.
#[must_use]
pub fn supported() -> String {
    let minors = |free_threaded| {
        let builds = ALL
            .iter()
            .filter(move |known| known.free_threaded == free_threaded);
        builds.map(|known| known.minor)
    };
    let (oldest, newest) = (minors(false).min(), minors(false).max());
    let mut text = format!(
        "CPython 3.{} to 3.{}",
        oldest.unwrap_or_default(),
        newest.unwrap_or_default()
    );
    for (index, minor) in minors(true).enumerate() {
        text += if index == 0 {
            " and free-threaded "
        } else {
            ", "
        };
        text += &format!("3.{minor}");
    }
    text
}

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
        /// The instruction that resumes a generator for `await` and `yield from` without leaving the interpreter (3.12,
        /// 3.13).
        send: Option<Send>,
    },
    /// 3.14, 3.15: `visited` is cleared whenever a frame is pushed or a generator made; only the collector's root
    /// marking looks at it, as a hint.
    Visited {
        /// Offset of the byte in the frame.
        visited: usize,
        /// What generators and shims need beside it.
        resume: Resume,
    },
}

/// Where generators that wait for another one, and shims, carry their mark (3.14, 3.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// Offset of `stackpointer` in the frame.
    pub stack_pointer: usize,
    /// Opcode of `SEND_GEN`, which a frame that waits in it stands at (Include/opcode_ids.h).
    pub send_gen: u8,
    /// The same of `FOR_ITER_GEN`.
    pub for_iter_gen: u8,
    /// Offset of `f_globals` in the frame, which a shim does not have.
    pub shim_token: usize,
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

/// What stands in a memory block before the object (`_PyType_PreHeaderSize` of Include/internal/pycore_object.h). See
/// [`crate::object`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreHeader {
    /// Bytes before an object of a type that the collector knows (`PyGC_Head`); 0 in free-threaded builds.
    pub collector_bytes: usize,
    /// Flags of the type: with any of them, two pointers stand before that, to the instance's dictionary and to its
    /// weak references.
    pub managed_flags: u64,
}

/// `Py_TPFLAGS_MANAGED_DICT` (Include/object.h), since 3.11.
const MANAGED_DICT: u64 = 1 << 4;
/// `Py_TPFLAGS_MANAGED_WEAKREF` (Include/object.h), since 3.12.
const MANAGED_WEAKREF: u64 = 1 << 3;

/// By how many bytes the two mutexes that stand before `gilstate` in `_PyRuntime` are larger in glibc on aarch64.
pub const AARCH64_GLIBC_MUTEXES: usize = 2 * 8;

/// The same where this is compiled for.
pub const MUTEXES: usize = if cfg!(all(target_arch = "aarch64", target_env = "gnu")) {
    AARCH64_GLIBC_MUTEXES
} else {
    0
};

/// Offsets in bytes for one minor version, default (GIL) 64-bit build.
#[derive(Clone, Copy, Debug)]
pub struct Offsets {
    /// Where the running frame is.
    pub current_frame: CurrentFrame,
    /// `gilstate.tstate_current` in `_PyRuntime`: the state of the thread that holds the GIL. `None` since 3.12, which
    /// keeps it in a thread-local variable.
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
    /// What an object's memory block begins with.
    pub pre_header: PreHeader,
    /// How line tables are written.
    pub line_tables: LineTableFormat,
    /// Do all interpreters of the process share one GIL (up to 3.11)?
    pub one_gil: bool,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line_table::LineTableFormat;

    struct Minor;

    impl ForVersion for Minor {
        type Output = (u8, bool);
        fn call<V: Version>(self) -> (u8, bool) {
            (V::MINOR, V::FREE_THREADED)
        }
    }

    /// Every number that a version could have: whoever asks gets that very version, or nothing.
    #[test]
    fn a_version_that_is_not_in_the_registry_is_refused_by_everything_that_asks_for_one() {
        for (minor, free_threaded) in
            (0..=u8::MAX).flat_map(|minor| [(minor, false), (minor, true)])
        {
            let is_known = ALL
                .iter()
                .any(|known| (known.minor, known.free_threaded) == (minor, free_threaded));
            let expected = is_known.then_some((minor, free_threaded));
            assert_eq!(with_version(minor, free_threaded, Minor), expected);
            let found = Known::find(minor, free_threaded);
            assert_eq!(
                found.map(|known| (known.minor, known.free_threaded)),
                expected
            );
        }
        for minor in 0..=u8::MAX {
            let is_known = ALL.iter().any(|known| known.minor == minor);
            assert_eq!(
                LineTableFormat::of_version(minor).is_some(),
                is_known,
                "3.{minor}"
            );
        }
    }

    #[test]
    fn messages_name_the_versions_of_the_registry() {
        let newest = ALL.last().expect("a version").minor;
        assert_eq!(
            supported(),
            format!("CPython 3.9 to 3.{newest} and free-threaded 3.13")
        );
        // The sentence names both ends only: there is no gap between them.
        for minor in 9..=newest {
            assert!(Known::find(minor, false).is_some(), "3.{minor}");
        }
    }
}
