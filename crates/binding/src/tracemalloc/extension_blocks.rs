//! Whether blocks that extension modules report themselves are traced: the one thing for which code of the interpreter
//! is changed, so there is a way to do without.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use heapsight_tracer::extension_calls::{self, RedirectError};
use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;
use pyo3::types::PyBool;

use crate::arguments::wrong_type;

/// 0 switches it off where nothing else is said.
const VARIABLE: &str = "PYTHONHEAPSIGHT_EXTENSION_BLOCKS";

const AS_THE_ENVIRONMENT_SAYS: u8 = 0;
const ON: u8 = 1;
const OFF: u8 = 2;

/// What `start()` was told last.
static CHOICE: AtomicU8 = AtomicU8::new(AS_THE_ENVIRONMENT_SAYS);

/// Remembers what `start()` is told, for whoever starts tracing until it is called again.
///
/// # Errors
/// `TypeError` for what is neither True nor False nor None.
pub(super) fn choose(extension_blocks: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let choice = match extension_blocks {
        None => AS_THE_ENVIRONMENT_SAYS,
        Some(value) => match value.cast::<PyBool>() {
            Ok(value) if value.is_true() => ON,
            Ok(_) => OFF,
            Err(_) => {
                return Err(wrong_type(
                    value,
                    "extension_blocks must be True, False or None",
                ));
            }
        },
    };
    CHOICE.store(choice, Relaxed);
    Ok(())
}

/// Has the interpreter's functions for such blocks lead to heapsight, unless that is switched off.
///
/// # Errors
/// The warning that it cannot be done, if warnings are errors.
pub(super) fn take(py: Python<'_>) -> PyResult<()> {
    // In free-threaded builds nobody can be kept out of the functions while they change.
    if cfg!(Py_GIL_DISABLED) || !is_on(py)? {
        return Ok(());
    }
    match extension_calls::take() {
        Ok(()) | Err(RedirectError::UnknownProcessor) => Ok(()),
        Err(error) => warn(
            py,
            format!(
                "heapsight does not see the blocks that extension modules report themselves: {error}"
            ),
        ),
    }
}

fn is_on(py: Python<'_>) -> PyResult<bool> {
    match CHOICE.load(Relaxed) {
        ON => Ok(true),
        OFF => Ok(false),
        _ => of_environment(py),
    }
}

fn of_environment(py: Python<'_>) -> PyResult<bool> {
    let flags = py.import("sys")?.getattr("flags")?;
    if flags.getattr("ignore_environment")?.is_truthy()? {
        return Ok(true);
    }
    let value = std::env::var_os(VARIABLE).unwrap_or_default();
    match value.to_str() {
        Some("0") => Ok(false),
        Some("" | "1") => Ok(true),
        _ => {
            let text = format!("{VARIABLE}: invalid value {value:?}: give 0 or 1; it stays on");
            warn(py, text).map(|()| true)
        }
    }
}

fn warn(py: Python<'_>, text: String) -> PyResult<()> {
    let text = std::ffi::CString::new(text).unwrap_or_default();
    PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &text, 1)
}
