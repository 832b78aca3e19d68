//! Moments of a recording, as Python asks for them.

use heapsight_analysis::recording::{Moment, SeekTarget};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString, PyTuple};

use crate::arguments::{shown, wrong_type};

/// What a moment may be.
const RULE: &str = "'start', 'peak', 'end', seconds since the start of tracing (12.5), \
                    or a text such as '300ms', '2m' or '1h'";

/// A moment, or a pair of them.
///
/// # Errors
/// `TypeError` or `ValueError` naming the value.
pub(crate) fn extract(at: &Bound<'_, PyAny>) -> PyResult<SeekTarget> {
    let Ok(pair) = at.cast::<PyTuple>() else {
        return Ok(SeekTarget::At(instant(at)?));
    };
    let Ok((from, to)) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() else {
        return Err(PyValueError::new_err(format!(
            "at must be one moment or a tuple of two, not {}",
            shown(at)
        )));
    };
    SeekTarget::between(instant(&from)?, instant(&to)?).ok_or_else(|| {
        PyValueError::new_err(format!(
            "the second moment of at={} comes before the first",
            shown(at)
        ))
    })
}

fn instant(value: &Bound<'_, PyAny>) -> PyResult<Moment> {
    let found = if let Ok(text) = value.cast::<PyString>() {
        Moment::parse(&text.to_string_lossy())
    } else if value.is_instance_of::<PyBool>()
        || !(value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>())
    {
        let rule = format!("at must be {RULE}, or a tuple of two of these");
        return Err(wrong_type(value, &rule));
    } else {
        value.extract().ok().and_then(Moment::after_seconds)
    };
    found.ok_or_else(|| PyValueError::new_err(format!("at must be {RULE}, not {}", shown(value))))
}
