//! `heapsight._testing`: what the project's own tests and benchmarks ask, and no user should.

mod blocks;
mod capture;
mod counters;
mod profile;

use pyo3::prelude::*;

use crate::api::timer;

/// One line for each thing in the tracer's tables that does not add up.
#[pyfunction]
fn audit() -> Vec<String> {
    heapsight_tracer::audit()
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let testing = PyModule::new(module.py(), "heapsight._testing")?;
    blocks::register(&testing)?;
    capture::register(&testing)?;
    counters::register(&testing)?;
    profile::register(&testing)?;
    testing.add_function(wrap_pyfunction!(audit, &testing)?)?;
    timer::register_testing(&testing)?;
    module.add("testing_functions", testing)
}
