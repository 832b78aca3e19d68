//! Takes this library out of `LD_PRELOAD` before the program can see it there, and before a child inherits it.
//!
//! Where children are followed it stays, as what else `heapsight run` says in the environment does.

use core::ffi::{CStr, c_char};

const NAME: &[u8] = b"libheapsight_preload.so";
const PRELOAD: &[u8] = b"LD_PRELOAD=";
const RUN: &[u8] = b"HEAPSIGHT_RUN=";
/// In the settings of a run that follows children, which are JSON without blanks. In no text among them: there a
/// quotation mark has a backslash before it.
const FOLLOWS: &[u8] = b"\"follow\":true";

unsafe extern "C" {
    static mut environ: *mut *mut c_char;
}

/// Changes nothing but that entry: those of others stay as they are, in their order.
pub(crate) fn take_out_of_environment() {
    // SAFETY: while constructors run, nobody else changes the environment; its strings can be written.
    unsafe {
        if environ.is_null() || find(RUN).is_some_and(|entry| contains(text(*entry), FOLLOWS)) {
            return;
        }
        let Some(entry) = find(PRELOAD) else { return };
        let value = (*entry).add(PRELOAD.len());
        let libraries = text(value);
        let own = libraries.iter().position(|byte| is_separator(*byte));
        let own = own.unwrap_or(libraries.len());
        if !libraries[..own].ends_with(NAME) {
            return;
        }
        if own == libraries.len() {
            remove(entry);
        } else {
            let rest = libraries.len() - own; // with the end of the text, without the separator
            core::ptr::copy(value.add(own + 1), value, rest);
        }
    }
}

fn is_separator(byte: u8) -> bool {
    byte == b':' || byte == b' '
}

/// Where the environment has the variable whose name and `=` are `start`.
unsafe fn find(start: &[u8]) -> Option<*mut *mut c_char> {
    // SAFETY: the list ends with null, and each entry is a text with its end.
    unsafe {
        let mut entry = environ;
        while !(*entry).is_null() {
            if text(*entry).starts_with(start) {
                return Some(entry);
            }
            entry = entry.add(1);
        }
    }
    None
}

/// Takes the entry out of the list.
unsafe fn remove(mut entry: *mut *mut c_char) {
    // SAFETY: the list goes on to its null, which is moved last.
    unsafe {
        while !(*entry).is_null() {
            *entry = *entry.add(1);
            entry = entry.add(1);
        }
    }
}

unsafe fn text<'a>(start: *const c_char) -> &'a [u8] {
    // SAFETY: promised by the caller: a text with its end.
    unsafe { CStr::from_ptr(start) }.to_bytes()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
