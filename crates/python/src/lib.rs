//! `heapsight._heapsight`: the binding between Python and the engine.
use pyo3::prelude::*;

#[pymodule]
fn _heapsight(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
