//! Prints every layout constant as JSON: `{"3.9": {"tstate_interp": 16, …}, …, "3.13t": {…}}`.
//!
//! tests/interpreters/test_layout.py compares it with what layout.c prints from the real headers, under the same keys.

use heapsight_cpython::version::{
    CurrentFrame, Instruction, Mark, V3_9, V3_10, V3_11, V3_12, V3_13, V3_13T, V3_14, V3_15,
    Version,
};

/// The constants of one version that have a counterpart in the headers, with their keys.
fn constants<V: Version>() -> Vec<(String, u64)> {
    let offsets = V::OFFSETS;
    let mut values = vec![
        ("tstate_interp", offsets.tstate_interp),
        ("frame_previous", offsets.frame_previous),
        ("frame_code", offsets.frame_code),
        ("code_filename", offsets.code_filename),
        ("code_name", offsets.code_name),
        ("code_first_line", offsets.code_first_line),
        ("code_line_table", offsets.code_line_table),
        ("object_header", offsets.object_header),
        // `bytes` and `str` objects: ob_size or length come right after the header, the data of `bytes` after a hash.
        ("bytes_size", offsets.object_header),
        ("bytes_data", offsets.object_header + 16),
        ("unicode_length", offsets.object_header),
        ("unicode_state", offsets.unicode.state),
        ("unicode_kind_shift", offsets.unicode.kind_shift as usize),
        (
            "unicode_compact_shift",
            offsets.unicode.kind_shift as usize + 3,
        ),
        (
            "unicode_ascii_shift",
            offsets.unicode.kind_shift as usize + 4,
        ),
        ("unicode_ascii_data", offsets.unicode.ascii_data),
        ("unicode_compact_data", offsets.unicode.compact_data),
    ];
    if let Some(offset) = offsets.runtime_current {
        values.push(("runtime_current", offset));
    }
    match offsets.current_frame {
        CurrentFrame::Direct(offset) => values.push(("current_frame", offset)),
        CurrentFrame::ThroughCFrame {
            cframe,
            current_frame,
        } => {
            values.extend([("cframe", cframe), ("current_frame", current_frame)]);
        }
    }
    match offsets.instruction {
        Instruction::Index { offset, .. } | Instruction::Pointer { offset } => {
            values.push(("frame_instruction", offset));
        }
    }
    match offsets.mark {
        Mark::None => {}
        Mark::TraceLines {
            trace_lines,
            generator,
        } => {
            values.extend([
                ("mark_trace_lines", trace_lines),
                ("mark_generator", generator),
            ]);
        }
        Mark::StackTop {
            stack_top,
            locals_plus,
            is_entry,
            send,
        } => {
            values.extend([
                ("mark_stack_top", stack_top),
                ("mark_locals_plus", locals_plus),
            ]);
            values.extend(is_entry.map(|offset| ("mark_is_entry", offset)));
            values.extend(send.map(|send| ("mark_send_gen", usize::from(send.opcode))));
        }
        Mark::Visited { visited } => values.push(("mark_visited", visited)),
    }
    if let Some(owner) = offsets.owner {
        values.extend([
            ("owner", owner.offset),
            ("code_start", offsets.code_start),
            ("code_first_traceable", offsets.code_first_traceable),
        ]);
        // 3.11 has no shims: its value stands for "never".
        if owner.first_shim != u8::MAX {
            values.push(("first_shim", usize::from(owner.first_shim)));
        }
    }
    if offsets.frame_code_tag != 0 {
        values.push(("frame_code_tag", offsets.frame_code_tag));
    }
    let prefixes = offsets.call_prefixes.iter();
    values
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value as u64))
        .chain(prefixes.map(|opcode| (format!("call_prefix_{opcode}"), 1)))
        .collect()
}

fn print_version<V: Version>(suffix: &str, end: &str) {
    let fields: Vec<String> = constants::<V>()
        .iter()
        .map(|(key, value)| format!("\"{key}\": {value}"))
        .collect();
    println!("\"3.{}{suffix}\": {{{}}}{end}", V::MINOR, fields.join(", "));
}

fn main() {
    println!("{{");
    print_version::<V3_9>("", ",");
    print_version::<V3_10>("", ",");
    print_version::<V3_11>("", ",");
    print_version::<V3_12>("", ",");
    print_version::<V3_13>("", ",");
    print_version::<V3_13T>("t", ",");
    print_version::<V3_14>("", ",");
    print_version::<V3_15>("", "");
    println!("}}");
}
