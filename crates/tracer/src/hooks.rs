//! The functions that CPython calls in place of its allocators, and switching them on and off.
//!
//! A hook may call the original allocator, walk its own thread's frames and change the tables. It must not allocate
//! through Python, wait for the GIL, run Python code or unwind.

pub(crate) mod arena;
pub(crate) mod dispatch;
pub(crate) mod exact;
pub(crate) mod install;
pub(crate) mod native;
mod native_mappings;
pub(crate) mod sampled;
