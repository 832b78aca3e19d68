//! Reading capture files.

use std::path::PathBuf;

use heapsight_capture::Capture;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Traced bytes in a capture: live at its last tick, and at the peak.
///
/// # Errors
/// `ValueError` when the file cannot be read or is no capture.
#[pyfunction]
fn capture_totals(path: PathBuf) -> PyResult<(u64, u64)> {
    let capture = Capture::open(&path)
        .map_err(|error| PyValueError::new_err(format!("{}: {error}", path.display())))?;
    Ok((
        capture.tables.totals.live_bytes,
        capture.tables.totals.peak_bytes,
    ))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(capture_totals, module)?)
}
