//! `heapsight._testing`: what the project's own tests and benchmarks ask, and no user should.

pub(crate) mod audit;
mod blocks;
mod capture;
mod counters;
mod profile;

use pyo3::prelude::*;

use crate::api::timer;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let testing = PyModule::new(module.py(), "heapsight._testing")?;
    audit::register(&testing)?;
    blocks::register(&testing)?;
    capture::register(&testing)?;
    counters::register(&testing)?;
    profile::register(&testing)?;
    timer::register_testing(&testing)?;
    module.add("testing_functions", testing)
}
