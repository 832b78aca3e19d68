//! Arguments from Python, checked before anything changes: whatever is refused is named in the message.

use pyo3::exceptions::{PyMemoryError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt, PyString};

/// Characters of a refused value that are shown.
const LONGEST_SHOWN: usize = 80;

/// The value as an exact integer. Anything with `__index__` will do, except a bool, which is a mistake here.
///
/// # Errors
/// `TypeError` beginning with `rule`.
pub(crate) fn integer<'py>(value: &Bound<'py, PyAny>, rule: &str) -> PyResult<Bound<'py, PyAny>> {
    if value.is_instance_of::<PyBool>() {
        return Err(wrong_type(value, rule));
    }
    if value.is_instance_of::<PyInt>() {
        return Ok(value.clone());
    }
    value
        .call_method0("__index__")
        .map_err(|error| refused(value.py(), error, || wrong_type(value, rule)))
}

/// A line number, or None.
///
/// # Errors
/// `TypeError` or `ValueError` naming the value.
pub(crate) fn line(value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<i64>> {
    let Some(value) = value.filter(|value| !value.is_none()) else {
        return Ok(None);
    };
    let number = integer(value, "lineno must be an integer or None")?;
    let line = number.extract().map_err(|error| {
        refused(value.py(), error, || {
            PyValueError::new_err(format!("lineno is out of range: {}", shown(&number)))
        })
    })?;
    Ok(Some(line))
}

/// An address or a size.
///
/// # Errors
/// `TypeError` or `ValueError` naming the value.
pub(crate) fn unsigned(value: &Bound<'_, PyAny>, name: &str) -> PyResult<u64> {
    let number = integer(value, &format!("{name} must be an integer"))?;
    number.extract().map_err(|error| {
        refused(value.py(), error, || {
            PyValueError::new_err(format!(
                "{name} must be from 0 to {}, not {}",
                u64::MAX,
                shown(&number)
            ))
        })
    })
}

/// `error` if that is for want of memory, which says nothing about the value; else what is wrong with the value.
pub(crate) fn refused(py: Python<'_>, error: PyErr, wrong: impl FnOnce() -> PyErr) -> PyErr {
    match error.is_instance_of::<PyMemoryError>(py) {
        true => error,
        false => wrong(),
    }
}

/// A string, or None.
///
/// # Errors
/// `TypeError` naming the value.
pub(crate) fn text(value: Option<&Bound<'_, PyAny>>, name: &str) -> PyResult<Option<String>> {
    match value.filter(|value| !value.is_none()) {
        None => Ok(None),
        Some(value) if value.is_instance_of::<PyString>() => Ok(Some(lossy(value)?)),
        Some(value) => Err(wrong_type(
            value,
            &format!("{name} must be a string or None"),
        )),
    }
}

/// The string; what cannot be UTF-8 (half of a surrogate pair) is replaced, as the tracer does with file names.
fn lossy(value: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(value.cast::<PyString>()?.to_string_lossy().into_owned())
}

/// `TypeError`: `rule`, and what was given instead.
pub(crate) fn wrong_type(value: &Bound<'_, PyAny>, rule: &str) -> PyErr {
    PyTypeError::new_err(format!("{rule}, not {}", with_type(value)))
}

/// `repr` and type of a refused value.
fn with_type(value: &Bound<'_, PyAny>) -> String {
    let kind = value.get_type().name();
    let kind = kind.map_or_else(|_| "object".to_owned(), |name| name.to_string());
    format!("{} ({kind})", shown(value))
}

/// A refused value as messages show it: its `repr`, in one line that is not too long. Never fails.
#[pyfunction]
pub(crate) fn shown(value: &Bound<'_, PyAny>) -> String {
    let Ok(text) = value.repr() else {
        // An integer of more digits than Python is willing to write, or an object of somebody who does not want to be
        // shown.
        let bits = value.call_method0("bit_length").ok();
        let bits = bits.filter(|_| value.is_instance_of::<PyInt>());
        return bits.map_or_else(
            || "an object that cannot be shown".to_owned(),
            |bits| format!("an integer of {bits} bits"),
        );
    };
    let text = text.to_string_lossy();
    let mut line: String = text
        .chars()
        .map(|character| match character.is_control() {
            true => ' ',
            false => character,
        })
        .take(LONGEST_SHOWN)
        .collect();
    if line.len() < text.len() {
        line.push_str("...");
    }
    line
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(shown, module)?)
}
