//! Whether this is the start that may switch tracing on.
//!
//! `site` runs in every interpreter of a process, so in each sub-interpreter, and a program may run it again. What the
//! process was started with was meant for it as a whole: tracing begins with the main interpreter, once, and sees the
//! sub-interpreters too. A second start would forget all traces, and under `heapsight run --follow` write over the
//! recording.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use heapsight_tracer::in_main_interpreter;
use pyo3::prelude::*;

/// True once, for the main interpreter.
#[pyfunction]
fn is_first_start(_py: Python<'_>) -> bool {
    static STARTED: AtomicBool = AtomicBool::new(false);
    // SAFETY: the thread is attached: it has the token.
    unsafe { in_main_interpreter() && !STARTED.swap(true, Relaxed) }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(is_first_start, module)?)
}
