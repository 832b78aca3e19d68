//! `Frame`: one line of a call path.

use std::sync::Arc;

use heapsight_analysis::path;
use heapsight_capture::model::{NodeId, Tables};
use heapsight_edge::or_memory_error;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::arguments;

/// One line of a call path. Immutable, hashable; sorts by file name, line, name, with unknown ones first.
///
/// `filename`, `lineno` and `name` (the qualified name of the function) are None when unknown. `str()` is
/// `filename:lineno`.
///
/// >>> frame = Frame("app.py", 7, "main")
/// >>> str(frame), frame.lineno
/// ('app.py:7', 7)
#[pyclass(frozen, eq, ord, hash, module = "heapsight", skip_from_py_object)]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Frame {
    pub(crate) filename: Option<Arc<str>>,
    pub(crate) lineno: Option<i64>,
    pub(crate) name: Option<Arc<str>>,
}

impl Frame {
    /// A frame as the tables have it: what is empty or 0 there is unknown.
    pub(crate) fn of(frame: &path::Frame<'_>) -> Self {
        let text = |text: &str| (!text.is_empty()).then(|| Arc::from(text));
        Self {
            filename: text(frame.filename),
            lineno: (frame.line > 0).then(|| i64::from(frame.line)),
            name: text(frame.name),
        }
    }

    /// The frames of a call path of `tables`, most recent first.
    pub(crate) fn path(tables: &Tables, node: NodeId) -> impl Iterator<Item = Self> + '_ {
        path::frames(tables, node).map(|frame| Self::of(&frame))
    }
}

#[pymethods]
impl Frame {
    #[new]
    #[pyo3(signature = (filename = None, lineno = None, name = None))]
    #[or_memory_error]
    fn new(
        filename: Option<&Bound<'_, PyAny>>,
        lineno: Option<&Bound<'_, PyAny>>,
        name: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        Ok(Self {
            filename: arguments::text(filename, "filename")?.map(Arc::from),
            lineno: arguments::line(lineno)?,
            name: arguments::text(name, "name")?.map(Arc::from),
        })
    }

    /// File name of the code, as the code object has it; None when unknown.
    #[getter]
    #[or_memory_error]
    fn filename(&self) -> Option<&str> {
        self.filename.as_deref()
    }

    /// Line number, counted from 1; None when unknown.
    #[getter]
    #[or_memory_error]
    fn lineno(&self) -> Option<i64> {
        self.lineno
    }

    /// Qualified name of the function; None when unknown.
    #[getter]
    #[or_memory_error]
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    #[or_memory_error]
    fn __str__(&self) -> String {
        let filename = self.filename.as_deref().unwrap_or("<unknown>");
        match self.lineno {
            Some(line) => format!("{filename}:{line}"),
            None => format!("{filename}:?"),
        }
    }

    #[or_memory_error]
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let shown =
            (self.filename.as_deref(), self.lineno, self.name.as_deref()).into_pyobject(py)?;
        Ok(format!("Frame{}", shown.repr()?))
    }

    #[or_memory_error]
    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let this = slf.get();
        let arguments = (this.filename.as_deref(), this.lineno, this.name.as_deref())
            .into_pyobject(slf.py())?;
        Ok((slf.get_type().into_any(), arguments))
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Frame>()
}
