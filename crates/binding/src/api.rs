//! What the package `heapsight` offers: switching tracing on and off, questions about what is live, snapshots,
//! filters, displays and the timer.
//!
//! Each file translates one kind of question and calls the engine or `analysis`. Python exceptions are made here.

pub(crate) mod account;
pub(crate) mod blocks;
pub(crate) mod budget;
pub(crate) mod control;
pub(crate) mod display;
pub(crate) mod file_error;
pub(crate) mod filter;
pub(crate) mod frame;
pub(crate) mod grouping;
pub(crate) mod header;
pub(crate) mod keys;
pub(crate) mod live;
pub(crate) mod moment;
pub(crate) mod object;
pub(crate) mod process;
pub(crate) mod signal_actions;
pub(crate) mod snapshot;
pub(crate) mod timer;
pub(crate) mod trace;
pub(crate) mod tracing_filters;
