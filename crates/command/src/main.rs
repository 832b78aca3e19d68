//! The command `heapsight`: a program of its own, so that no interpreter has to start before the one that is traced.
//!
//! ```console
//! $ heapsight run app.py
//! ```
//!
//! What it does is in the crate of the command line; here is only who called, and which interpreter is meant. Its
//! `main` is C's, not Rust's, whose own beginning opens `/dev/null` where a stream is closed and has SIGPIPE ignored:
//! the program that this process becomes would inherit that.
#![cfg_attr(not(test), no_main)]
#![deny(unsafe_code)]

mod caller;
mod installation;

use std::ffi::OsString;

use caller::Caller;
use heapsight_cli::{Context, at_exit};

/// Called by the C library.
#[cfg(not(test))]
#[expect(unsafe_code, reason = "the system's entry into a program")]
// SAFETY: no other function of this program has the name.
#[unsafe(no_mangle)]
extern "C" fn main(
    count: std::ffi::c_int,
    words: *const *const std::ffi::c_char,
) -> std::ffi::c_int {
    use std::ffi::{CStr, OsStr};
    use std::os::unix::ffi::OsStrExt;

    let count = usize::try_from(count).unwrap_or(0);
    let words = (0..count).map(|index| {
        // SAFETY: the C library passes `count` pointers to strings that end with a null byte and live as long as the
        // process; nothing here changes them.
        let word = unsafe { CStr::from_ptr(*words.add(index)) };
        OsStr::from_bytes(word.to_bytes()).to_owned()
    });
    run(words.collect())
}

#[cfg_attr(test, expect(dead_code, reason = "its caller is the system"))]
fn run(mut words: Vec<OsString>) -> i32 {
    let argv = words.split_off(1.min(words.len()));
    if let Some(status) = at_exit(&argv) {
        return status;
    }
    let (caller, argv) = Caller::of(words.pop().unwrap_or_else(|| "heapsight".into()), argv);
    let context = Context {
        command: caller.command(),
        interpreter: &|| caller.interpreter(&argv),
        python_version: &|| caller.python_version(),
    };
    heapsight_cli::main(&context, &argv)
}
