//! Reading the tables while the program goes on: snapshots, single traces, and the export that the recorder appends.
//!
//! Reads the tables and never changes what they say. Runs outside hooks, so it may use the heap.

pub(crate) mod audit;
pub(crate) mod export;
pub(crate) mod size_counts;
pub(crate) mod snapshot;
