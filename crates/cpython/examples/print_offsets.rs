//! Prints every layout constant as JSON: `{"3.9": {"tstate_interp": 16, …}, …, "3.13t": {…}}`.
//!
//! tests/interpreters/test_layout.py compares it with what layout.c prints from the real headers, under the same keys.

use heapsight_cpython::builtin_function::Fields;
use heapsight_cpython::object::pre_header_bytes;
use heapsight_cpython::version::{
    AARCH64_GLIBC_MUTEXES, ALL, CurrentFrame, Instruction, Known, MUTEXES, Mark, Offsets,
};

/// The key of an offset that is another with glibc on aarch64.
const ON_AARCH64: &str = "runtime_current_on_aarch64";

/// The constants of one version that have a counterpart in the headers, with their keys.
fn constants(offsets: &Offsets) -> Vec<(String, u64)> {
    let builtin = Fields::of(offsets);
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
        ("builtin_definition", builtin.definition),
        ("builtin_receiver", builtin.receiver),
        ("builtin_vectorcall", builtin.vectorcall),
        ("builtin_definition_function", builtin.definition_function),
    ];
    if let Some(offset) = offsets.runtime_current {
        let on_aarch64 = offset - MUTEXES + AARCH64_GLIBC_MUTEXES;
        values.extend([("runtime_current", offset), (ON_AARCH64, on_aarch64)]);
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
        Mark::Visited { visited, resume } => values.extend([
            ("mark_visited", visited),
            ("mark_stack_pointer", resume.stack_pointer),
            ("mark_send_gen", usize::from(resume.send_gen)),
            ("mark_for_iter_gen", usize::from(resume.for_iter_gen)),
            ("mark_shim_token", resume.shim_token),
        ]),
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
        .chain(pre_headers(offsets))
        .collect()
}

/// What each flag of a type, and each pair of them, puts before an object.
fn pre_headers(offsets: &Offsets) -> impl Iterator<Item = (String, u64)> {
    let pairs = (0..32).flat_map(|first| (first..32).map(move |second| (first, second)));
    pairs.filter_map(|(first, second)| {
        let bytes = pre_header_bytes(offsets, 1 << first | 1 << second);
        (bytes > 0).then(|| (format!("pre_header_{first}_{second}"), bytes as u64))
    })
}

fn version(known: &Known) -> String {
    let fields: Vec<String> = constants(&known.offsets)
        .iter()
        .map(|(key, value)| format!("\"{key}\": {value}"))
        .collect();
    let suffix = if known.free_threaded { "t" } else { "" };
    format!("\"3.{}{suffix}\": {{{}}}", known.minor, fields.join(", "))
}

fn main() {
    let versions: Vec<String> = ALL.iter().map(version).collect();
    println!("{{\n{}\n}}", versions.join(",\n"));
}
