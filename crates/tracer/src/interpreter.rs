//! What the tracer knows of the interpreter it runs in: the allocators behind the hooks, the calling thread's state,
//! and what an event may assume of the GIL.
//!
//! May call the interpreter's getters and original allocators. Must not touch the tables: it is below them.

pub(crate) mod attached_state;
pub(crate) mod event;
pub(crate) mod finalization;
pub(crate) mod original;
pub(crate) mod signals;
pub(crate) mod thread_slot;
pub(crate) mod unwinding;
