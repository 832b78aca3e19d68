//! How much memory call paths may take on which nothing is live.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use heapsight_capture::model::Bounds;
use heapsight_edge::or_memory_error;
use heapsight_tracer as tracer;
use pyo3::exceptions::{PyRuntimeWarning, PyValueError};
use pyo3::prelude::*;

use crate::arguments::{integer, shown};

/// Has the environment been asked, or need not be?
static IS_SET: AtomicBool = AtomicBool::new(false);

/// Sets how many bytes call paths may take on which nothing is live, from now on; None: 32 MiB or 15 % of the process's
/// resident memory, whichever is more.
#[pyfunction]
#[or_memory_error]
fn set_budget(bytes: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let bytes = bytes.map(parse).transpose()?;
    IS_SET.store(true, Relaxed);
    tracer::set_budget(bytes);
    Ok(())
}

/// How many bytes call paths may take on which nothing is live.
#[pyfunction]
#[or_memory_error]
fn get_budget(py: Python<'_>) -> PyResult<u64> {
    as_the_environment_says(py)?;
    Ok(tracer::budget())
}

fn parse(bytes: &Bound<'_, PyAny>) -> PyResult<u64> {
    let number = integer(bytes, "budget must be an integer or None")?;
    match number.extract::<u64>() {
        Ok(bytes) if bytes >= Bounds::SMALLEST_BUDGET => Ok(bytes),
        _ => Err(PyValueError::new_err(format!(
            "budget must be from {} to {} bytes, or None for the default, not {}",
            Bounds::SMALLEST_BUDGET,
            u64::MAX,
            shown(&number)
        ))),
    }
}

/// Sets the budget that the environment asks for, unless one was set.
///
/// # Errors
/// The warning that its value is wrong, if warnings are errors.
pub(crate) fn as_the_environment_says(py: Python<'_>) -> PyResult<()> {
    if IS_SET.swap(true, Relaxed) {
        return Ok(());
    }
    let flags = py.import("sys")?.getattr("flags")?;
    let value = std::env::var_os(heapsight_handover::BUDGET_VARIABLE).unwrap_or_default();
    if value.is_empty() || flags.getattr("ignore_environment")?.is_truthy()? {
        return Ok(());
    }
    let text = value.to_string_lossy();
    match heapsight_handover::budget_bytes(&text) {
        Ok(bytes) => {
            tracer::set_budget(Some(bytes));
            Ok(())
        }
        Err(help) => {
            let message = format!(
                "{}: invalid budget {text:?}: {help}; the default holds",
                heapsight_handover::BUDGET_VARIABLE
            );
            let category = py.get_type::<PyRuntimeWarning>();
            py.import("warnings")?
                .call_method1("warn", (message, category))
                .map(drop)
        }
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(set_budget, module)?)?;
    module.add_function(wrap_pyfunction!(get_budget, module)?)
}
