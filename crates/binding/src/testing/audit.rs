//! Whether everything adds up in the tracer's tables.

use pyo3::prelude::*;

/// One line for each thing in the tracer's tables that does not add up.
#[pyfunction]
fn audit() -> Vec<String> {
    heapsight_tracer::audit()
}

/// The same for whoever ends tracing because the interpreter ends, if `HEAPSIGHT_AUDIT` is set: every program that the
/// tests run is audited.
pub(crate) fn at_exit() -> Vec<String> {
    match std::env::var_os("HEAPSIGHT_AUDIT") {
        Some(_) => audit(),
        None => Vec::new(),
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(audit, module)?)
}
