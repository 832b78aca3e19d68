use super::{CurrentFrame, Instruction, Offsets, Owner, StackTop, Version};

/// CPython 3.13.
pub struct V3_13;

impl Version for V3_13 {
    const MINOR: u8 = 13;
    const OFFSETS: Offsets = Offsets {
        current_frame: CurrentFrame::Direct(72),
        tstate_interp: 16,
        frame_previous: 8,
        frame_code: 0,
        frame_code_tag: 0,
        instruction: Instruction::Pointer { offset: 56 },
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
