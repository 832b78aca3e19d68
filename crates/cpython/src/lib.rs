//! Reading a live CPython interpreter from inside its own process: current frame, callers, code identity, line tables.
//!
//! Nothing here allocates through Python, takes the GIL or calls a function that could run Python code, so all of
//! it may be used inside an allocator hook, with or without the GIL, by the thread whose frames are read.
//!
//! **Duties of the caller.** The functions of [`frame`] and [`code`] dereference interpreter memory at the offsets of
//! one [`version::Version`]; the caller must have checked with [`api::running_version`] that this is the version that
//! runs, and may only walk frames of its own thread (no other thread changes those, GIL or not).
//!
//! **Non-goals.** Other processes' memory, other threads' frames, 32-bit builds.
//!
//! # Example
//!
//! The line table of a function, as CPython 3.10 compiled it. Line tables are the one part that can be read outside of
//! an interpreter.
//!
//! ```
//! use heapsight_cpython::line_table::{LineTableFormat, line_at};
//!
//! let table = [4, 1, 2, 128, 6, 1];
//! let format = LineTableFormat::of_version(10).expect("3.10 is known");
//! assert_eq!(line_at(format, &table, 1, 0), Some(2));
//! assert_eq!(line_at(format, &table, 1, 4), None, "code that the compiler added has no line");
//! assert_eq!(line_at(format, &table, 1, 6), Some(3));
//! assert_eq!(LineTableFormat::of_version(99), None, "nothing is guessed of a version that is not known");
//! ```

pub mod api;
pub mod builtin_function;
pub mod code;
pub mod frame;
pub mod line_table;
pub mod mark;
pub mod object;
pub mod redirect;
pub mod version;
