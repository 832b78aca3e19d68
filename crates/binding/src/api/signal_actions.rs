//! What the system does at signals, kept while Python's handlers are exchanged.

use heapsight_tracer as tracer;
use pyo3::prelude::*;

/// What the system does now at the signals of these numbers: `signal.signal()` changes more than the handler.
#[pyclass(frozen, module = "heapsight._heapsight", skip_from_py_object)]
#[derive(Debug)]
pub(crate) struct SignalActions(tracer::SignalActions);

#[pymethods]
impl SignalActions {
    #[new]
    fn new(numbers: Vec<i32>) -> Self {
        Self(tracer::SignalActions::now(&numbers))
    }

    /// Has the system do it again.
    fn restore(&self) {
        self.0.restore();
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<SignalActions>()
}
