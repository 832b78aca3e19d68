use super::{CurrentFrame, Instruction, MUTEXES, Mark, Offsets, PreHeader, Unicode, Version};
use crate::line_table::LineTableFormat;

/// CPython 3.9: every call has a `PyFrameObject`; `f_lasti` counts bytes.
pub struct V3_9;

impl Version for V3_9 {
    const MINOR: u8 = 9;
    const OFFSETS: Offsets = Offsets {
        current_frame: CurrentFrame::Direct(24),
        runtime_current: Some(568 + MUTEXES),
        tstate_interp: 16,
        call_prefixes: &[],
        frame_previous: 24,
        frame_code: 32,
        frame_code_tag: 0,
        instruction: Instruction::Index {
            offset: 104,
            unit_bytes: 1,
        },
        owner: None,
        mark: Mark::TraceLines {
            trace_lines: 88,
            generator: 96,
        },
        code_filename: 104,
        code_name: 112,
        code_first_line: 40,
        code_line_table: 120,
        code_start: 0,
        code_first_traceable: 0,
        object_header: 16,
        unicode: Unicode {
            state: 32,
            kind_shift: 2,
            ascii_data: 48,
            compact_data: 72,
        },
        pre_header: PreHeader {
            collector_bytes: 16,
            managed_flags: 0,
        },
        line_tables: LineTableFormat::Increments,
        one_gil: true,
    };
}
