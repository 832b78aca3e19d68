use super::{
    CurrentFrame, Instruction, MANAGED_DICT, MANAGED_WEAKREF, Mark, Offsets, Owner, PreHeader,
    Unicode, Version,
};
use crate::line_table::LineTableFormat;

/// CPython 3.13, free-threaded build: `PyObject` is 32 bytes instead of 16, which moves all that follows it in an
/// object; frames are as in [`V3_13`](super::V3_13).
///
/// No mark: the argument for marks rests on the GIL, under which no other thread looks at a frame.
pub struct V3_13T;

impl Version for V3_13T {
    const MINOR: u8 = 13;
    const FREE_THREADED: bool = true;
    const OFFSETS: Offsets = Offsets {
        current_frame: CurrentFrame::Direct(72),
        runtime_current: None,
        tstate_interp: 16,
        call_prefixes: &[],
        frame_previous: 8,
        frame_code: 0,
        frame_code_tag: 0,
        instruction: Instruction::Pointer { offset: 56 },
        owner: Some(Owner {
            offset: 70,
            first_shim: 3,
        }),
        mark: Mark::None,
        code_filename: 128,
        code_name: 144,
        code_first_line: 84,
        code_line_table: 152,
        code_start: 216,
        code_first_traceable: 200,
        object_header: 32,
        unicode: Unicode {
            state: 48,
            kind_shift: 2,
            ascii_data: 56,
            compact_data: 72,
        },
        pre_header: PreHeader {
            collector_bytes: 0,
            managed_flags: MANAGED_DICT | MANAGED_WEAKREF,
        },
        line_tables: LineTableFormat::Locations,
        one_gil: false,
    };
}
