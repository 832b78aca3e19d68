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

pub mod api;
pub mod builtin_function;
pub mod code;
pub mod frame;
pub mod line_table;
pub mod mark;
pub mod object;
pub mod redirect;
pub mod version;
