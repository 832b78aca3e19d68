use super::{
    CurrentFrame, Instruction, MANAGED_DICT, MANAGED_WEAKREF, Mark, Offsets, Owner, PreHeader,
    Resume, Unicode, Version,
};
use crate::line_table::LineTableFormat;

/// CPython 3.15: frames and code objects as in 3.14; `FRAME_OWNED_BY_CSTACK` is gone, so the one shim owner is 3.
///
/// The mark is that of [`V3_14`](super::V3_14), and no collector of this version reads the byte.
///
/// There is another marker, not used here: `last_profiled_frame` in the thread state (offset 88, a frame's address,
/// followed at 96 by the word `last_profiled_frame_seq`). Wherever the interpreter takes a frame off the chain (return,
/// `yield`, the creation of a generator, `throw`, a failed set-up; see `_PyThreadState_UpdateLastProfiledFrame` in
/// pycore_interpframe.h) and it is that very frame, the pointer moves to the caller and the sequence number grows by
/// one. So what is below it has not changed since it was set. But each thread has only one, and it belongs to the
/// sampling profiler of another process (`profiling.sampling`), which writes it at any moment: two users would corrupt
/// each other's stacks.
pub struct V3_15;

impl Version for V3_15 {
    const MINOR: u8 = 15;
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
                send_gen: 203,
                for_iter_gen: 174,
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
