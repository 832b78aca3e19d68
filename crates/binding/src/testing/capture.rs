//! Reading capture files.

use std::path::{Path, PathBuf};

use heapsight_capture::Capture;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Traced bytes in a capture: live at its last tick, and at the peak.
///
/// # Errors
/// `ValueError` when the file cannot be read or is no capture.
#[pyfunction]
fn capture_totals(path: PathBuf) -> PyResult<(u64, u64)> {
    let totals = open(&path)?.tables.totals;
    Ok((totals.live_bytes, totals.peak_bytes))
}

pub(super) fn open(path: &Path) -> PyResult<Capture> {
    Capture::open(path)
        .map_err(|error| PyValueError::new_err(format!("{}: {error}", path.display())))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(capture_totals, module)?)
}
