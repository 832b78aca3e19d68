//! Where the tracer's tables live: memory straight from the kernel, arrays that grow without moving, the one lock.
//!
//! The lowest wing: it knows nothing of Python, blocks or call paths, and calls no other wing. Nothing here may use the
//! allocators that are being traced, except for the bookkeeping of a mapping, which grows only when a table does.

pub(crate) mod barrier;
pub(crate) mod bell;
pub(crate) mod chunked;
pub(crate) mod id_table;
pub(crate) mod lock;
pub(crate) mod mapping;
pub mod reserve;
pub(crate) mod zeroed;
