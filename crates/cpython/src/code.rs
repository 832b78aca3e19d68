//! What a code object is called: copied once, at first sight, without touching a reference count.

use crate::frame::load;
use crate::version::Version;

/// What identifies a code object to a person, copied out of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CodeIdentity {
    /// `co_filename`.
    pub filename: String,
    /// `co_qualname`, or `co_name` before 3.11.
    pub name: String,
    /// `co_firstlineno`; 0 when it is not positive.
    pub first_line: u32,
    /// `co_linetable`, or `co_lnotab` before 3.10.
    pub line_table: Vec<u8>,
}

/// Longest string copied, in characters: beyond it the rest is dropped. Bounds the damage of a wrong length.
const MAX_STRING_CHARS: usize = 1 << 16;
/// Longest line table copied, in bytes.
const MAX_LINE_TABLE_BYTES: usize = 1 << 26;

/// Copies the identity of `code`.
///
/// # Safety
/// `code` is a live code object of version `V`; its strings and tables are immutable, so no lock is needed.
#[must_use]
pub unsafe fn identity<V: Version>(code: *const u8) -> CodeIdentity {
    // SAFETY: promised by the caller; these four fields are never null in a finished code object.
    unsafe {
        let first_line: i32 = load(code, V::OFFSETS.code_first_line);
        CodeIdentity {
            filename: unicode::<V>(load(code, V::OFFSETS.code_filename)),
            name: unicode::<V>(load(code, V::OFFSETS.code_name)),
            first_line: u32::try_from(first_line).unwrap_or(0),
            line_table: bytes::<V>(load(code, V::OFFSETS.code_line_table)),
        }
    }
}

/// Copies a `bytes` object: `ob_size`, `ob_shash`, then the data (Include/cpython/bytesobject.h).
unsafe fn bytes<V: Version>(object: *const u8) -> Vec<u8> {
    if object.is_null() {
        return Vec::new();
    }
    let header = V::OFFSETS.object_header;
    // SAFETY: a live `bytes`, promised by the caller of `identity`.
    unsafe {
        let length: isize = load(object, header);
        let length = usize::try_from(length)
            .unwrap_or(0)
            .min(MAX_LINE_TABLE_BYTES);
        std::slice::from_raw_parts(object.add(header + 16), length).to_vec()
    }
}

/// Copies a compact `str` (Include/cpython/unicodeobject.h); lone surrogates become U+FFFD.
unsafe fn unicode<V: Version>(object: *const u8) -> String {
    if object.is_null() {
        return String::new();
    }
    let header = V::OFFSETS.object_header;
    let layout = V::OFFSETS.unicode;
    // SAFETY: a live `str`, promised by the caller of `identity`; identifiers and file names made by the compiler are
    // compact.
    unsafe {
        let length: isize = load(object, header);
        let length = usize::try_from(length).unwrap_or(0).min(MAX_STRING_CHARS);
        let state: u32 = load(object, layout.state);
        let kind = (state >> layout.kind_shift) & 7;
        let compact = (state >> (layout.kind_shift + 3)) & 1 == 1;
        let ascii = (state >> (layout.kind_shift + 4)) & 1 == 1;
        if !compact {
            return String::from("<legacy string>");
        }
        let data = object.add(if ascii {
            layout.ascii_data
        } else {
            layout.compact_data
        });
        let replace = |c: u32| char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER);
        match kind {
            1 => std::slice::from_raw_parts(data, length)
                .iter()
                .map(|&c| char::from(c))
                .collect(),
            2 => std::slice::from_raw_parts(data.cast::<u16>(), length)
                .iter()
                .map(|&c| replace(u32::from(c)))
                .collect(),
            4 => std::slice::from_raw_parts(data.cast::<u32>(), length)
                .iter()
                .map(|&c| replace(c))
                .collect(),
            _ => String::from("<unreadable string>"),
        }
    }
}
