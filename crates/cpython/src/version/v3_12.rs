use super::{
    CurrentFrame, Instruction, MANAGED_DICT, MANAGED_WEAKREF, Mark, Offsets, Owner, PreHeader,
    Send, Unicode, Version,
};
use crate::line_table::LineTableFormat;

/// CPython 3.12: C-stack shims (`FRAME_OWNED_BY_CSTACK` = 3) appear among the frames.
pub struct V3_12;

impl Version for V3_12 {
    const MINOR: u8 = 12;
    const OFFSETS: Offsets = Offsets {
        current_frame: CurrentFrame::ThroughCFrame {
            cframe: 56,
            current_frame: 0,
        },
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
        mark: Mark::StackTop {
            stack_top: 64,
            locals_plus: 72,
            is_entry: None,
            send: Some(Send {
                opcode: 168,
                behind: 2,
            }),
        },
        code_filename: 112,
        code_name: 128,
        code_first_line: 68,
        code_line_table: 136,
        code_start: 192,
        code_first_traceable: 176,
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
