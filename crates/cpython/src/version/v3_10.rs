use super::{CurrentFrame, Instruction, Offsets, Owner, StackTop, Version};

/// CPython 3.10.
pub struct V3_10;

impl Version for V3_10 {
    const MINOR: u8 = 10;
    const OFFSETS: Offsets = Offsets {
        current_frame: CurrentFrame::Direct(24),
        tstate_interp: 16,
        frame_previous: 8,
        frame_code: 0,
        frame_code_tag: 0,
        instruction: Instruction::Index { offset: 96, unit_bytes: 2 },
        owner: None,
        stack_top: None,
        code_filename: 0,
        code_name: 0,
        code_first_line: 0,
        code_line_table: 0,
        code_start: 0,
        code_first_traceable: 0,
    };
}
