//! What the tracer knows about the interpreter that it runs in: the allocators behind the hooks, the state of the
//! calling thread, and what an event may assume about the GIL.
//!
//! This wing may call the interpreter's getters and original allocators. It must not use the tables, which are built on
//! top of it.

pub(crate) mod attached_state;
pub(crate) mod event;
pub(crate) mod finalization;
pub(crate) mod original;
pub(crate) mod signals;
pub(crate) mod thread_slot;
pub(crate) mod unwinding;
