//! `heapsight._heapsight`: the binding between Python and the engine.
//!
//! The only crate that names pyo3, and the only place where Python exceptions are made. It is thin: one file for each
//! thing that Python can ask for, and each of them translates and calls. It is loaded into every traced process, so it
//! depends on nothing of the command line's.
//!
//! # Example
//!
//! ```python
//! from heapsight import _heapsight  # users: import heapsight
//!
//! _heapsight.enable()
//! kept = [bytearray(10_000) for _ in range(100)]
//! assert _heapsight.get_traced_memory() > 1_000_000
//! ```

// The comments on classes and functions are Python's docstrings, with Python's brackets in their examples.
#![allow(rustdoc::broken_intra_doc_links)]

mod api;
mod arguments;
mod memory_error;
mod room;
mod run;
mod testing;
mod tracemalloc;

use pyo3::prelude::*;

/// An allocation that fails must not end the traced program.
#[global_allocator]
static ALLOCATOR: heapsight_tracer::reserve::Reserve = heapsight_tracer::reserve::Reserve;

#[pymodule]
fn _heapsight(module: &Bound<'_, PyModule>) -> PyResult<()> {
    memory_error::keep_quiet();
    #[cfg(not(Py_GIL_DISABLED))]
    heapsight_tracer::prepare();
    #[cfg(Py_GIL_DISABLED)]
    heapsight_tracer::prepare_without_gil();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    arguments::register(module)?;
    api::frame::register(module)?;
    api::trace::register(module)?;
    api::filter::register(module)?;
    api::tracing_filters::register(module)?;
    api::live::register(module)?;
    api::timer::register(module)?;
    api::signal_actions::register(module)?;
    api::display::register(module)?;
    api::grouping::register(module)?;
    api::snapshot::register(module)?;
    tracemalloc::register(module)?;
    api::account::register(module)?;
    api::process::register(module)?;
    api::object::register(module)?;
    testing::register(module)?;
    api::control::register(module)?;
    api::budget::register(module)?;
    run::first_start::register(module)?;
    run::fork::register(module)?;
    run::recording::register(module)
}
