//! `heapsight._heapsight`: the binding between Python and the engine.
//!
//! The only crate that names pyo3, and the only place where Python exceptions are made. It is thin: one file for each thing
//! that Python can ask for, and each of them translates and calls.

// The comments on classes and functions are Python's docstrings, with Python's brackets in their examples.
#![allow(rustdoc::broken_intra_doc_links)]

mod arguments;
mod blocks;
mod capture;
mod cli;
mod control;
mod display;
mod exit;
mod filter;
mod fork;
mod frame;
mod grouping;
mod header;
mod keys;
mod large_dict;
mod last_tick;
mod live;
mod memray;
mod object;
mod pickle;
mod process;
mod profile;
mod query;
mod run;
mod snapshot;
mod standard;
mod timer;
mod trace;
mod tracing_filters;

use pyo3::prelude::*;

/// An allocation that fails must not end the traced program.
#[global_allocator]
static ALLOCATOR: heapsight_tracer::reserve::Reserve = heapsight_tracer::reserve::Reserve;

#[pymodule]
fn _heapsight(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    frame::register(module)?;
    trace::register(module)?;
    filter::register(module)?;
    tracing_filters::register(module)?;
    live::register(module)?;
    timer::register(module)?;
    display::register(module)?;
    grouping::register(module)?;
    snapshot::register(module)?;
    standard::register(module)?;
    process::register(module)?;
    object::register(module)?;
    profile::register(module)?;
    query::register(module)?;
    capture::register(module)?;
    cli::register(module)?;
    control::register(module)?;
    fork::register(module)?;
    run::register(module)
}
