use super::{
    CurrentFrame, Instruction, MANAGED_DICT, MANAGED_WEAKREF, Mark, Offsets, Owner, PreHeader,
    Resume, Unicode, Version,
};
use crate::line_table::LineTableFormat;

/// CPython 3.14: stack references are tagged pointers, and with them `f_executable`.
///
/// Shims start at `FRAME_OWNED_BY_INTERPRETER` = 3; `FRAME_OWNED_BY_CSTACK` = 4 comes after it.
///
/// About the mark. `visited` is the byte after `owner`: a `uint8_t` in release builds, but one bit of it with `lltrace`
/// in the other seven in debug builds, where a mark would switch on tracing. `_PyFrame_Initialize`,
/// `_PyFrame_PushTrampolineUnchecked` and `_PyFrame_Copy` (pycore_interpframe.h) clear it, so it starts at 0 with every
/// invocation; resuming a generator does not. Up to 3.14.4 the incremental collector's `mark_stacks` sets it to 1 on
/// every frame of every thread, which wipes a mark, and stops descending at a frame where it is not 0: all that it
/// misses then is to spare the objects of the frames below the search for garbage that follows, which finds them alive
/// anyway. From 3.14.5 on that collector is gone and nobody reads the byte.
pub struct V3_14;

impl Version for V3_14 {
    const MINOR: u8 = 14;
    const OFFSETS: Offsets = Offsets {
        current_frame: CurrentFrame::Direct(72),
        runtime_current: None,
        tstate_interp: 16,
        call_prefixes: &[],
        frame_previous: 8,
        frame_code: 0,
        frame_code_tag: 3,
        instruction: Instruction::Pointer { offset: 56 },
        owner: Some(Owner {
            offset: 74,
            first_shim: 3,
        }),
        mark: Mark::Visited {
            visited: 75,
            resume: Resume {
                stack_pointer: 64,
                send_gen: 197,
                for_iter_gen: 171,
                shim_token: 24,
            },
        },
        code_filename: 112,
        code_name: 128,
        code_first_line: 68,
        code_line_table: 136,
        code_start: 208,
        code_first_traceable: 192,
        object_header: 16,
        unicode: Unicode {
            state: 32,
            kind_shift: 2,
            ascii_data: 40,
            compact_data: 56,
        },
        pre_header: PreHeader {
            collector_bytes: 16,
            managed_flags: MANAGED_DICT | MANAGED_WEAKREF,
        },
        line_tables: LineTableFormat::Locations,
        one_gil: false,
    };
}
