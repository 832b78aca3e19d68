use super::{
    CurrentFrame, Instruction, MANAGED_DICT, MUTEXES, Mark, Offsets, Owner, PreHeader, Unicode,
    Version,
};
use crate::line_table::LineTableFormat;

/// CPython 3.11: the first with interpreter frames. No frame is a shim yet, hence a `first_shim` that no owner reaches.
pub struct V3_11;

impl Version for V3_11 {
    const MINOR: u8 = 11;
    const OFFSETS: Offsets = Offsets {
        current_frame: CurrentFrame::ThroughCFrame {
            cframe: 56,
            current_frame: 8,
        },
        runtime_current: Some(576 + MUTEXES),
        tstate_interp: 16,
        call_prefixes: &[
            166, 64, 65, 66, 67, 72, 73, 76, 77, 78, 79, 80, 81, 113, 121, 127, 141, 143,
        ],
        frame_previous: 48,
        frame_code: 32,
        frame_code_tag: 0,
        instruction: Instruction::Pointer { offset: 56 },
        owner: Some(Owner {
            offset: 69,
            first_shim: 255,
        }),
        mark: Mark::StackTop {
            stack_top: 64,
            locals_plus: 72,
            is_entry: Some(68),
            send: None,
        },
        code_filename: 112,
        code_name: 128,
        code_first_line: 72,
        code_line_table: 136,
        code_start: 184,
        code_first_traceable: 168,
        object_header: 16,
        unicode: Unicode {
            state: 32,
            kind_shift: 2,
            ascii_data: 48,
            compact_data: 72,
        },
        pre_header: PreHeader {
            collector_bytes: 16,
            managed_flags: MANAGED_DICT,
        },
        line_tables: LineTableFormat::Locations,
        one_gil: true,
    };
}
