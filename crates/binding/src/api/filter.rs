//! `Filter` and `Filters`: what to keep, by file and line.

use heapsight_analysis as analysis;
use heapsight_edge::or_memory_error;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyList, PyString, PyTuple};

use crate::api::frame::Frame;
use crate::api::trace::Trace;
use crate::arguments;

/// Keeps (`include` true) or drops what was allocated in the files that match `pattern`.
///
/// In `pattern` only `*` is special: any characters, none included; a trailing `.pyc` or `.pyo` is read as `.py`.
/// `lineno` limits the filter to one line; None or less than 1 means every line. `traceback` true looks at every frame
/// of a trace, false at the most recent only. Immutable, hashable.
///
/// >>> Filter(False, "*/site-packages/*").match("/venv/site-packages/x.py", 3)
/// False
#[pyclass(frozen, eq, hash, module = "heapsight", skip_from_py_object)]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Filter(pub(crate) analysis::Filter);

#[pymethods]
impl Filter {
    #[new]
    #[pyo3(
        signature = (include, pattern, lineno = None, traceback = None),
        text_signature = "(include, pattern, lineno=None, traceback=False)"
    )]
    #[or_memory_error]
    fn new(
        include: &Bound<'_, PyAny>,
        pattern: &Bound<'_, PyAny>,
        lineno: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let include = boolean(include, "include")?;
        if !pattern.is_instance_of::<PyString>() {
            return Err(arguments::wrong_type(pattern, "pattern must be a string"));
        }
        let any_frame = traceback.map_or(Ok(false), |value| boolean(value, "traceback"))?;
        let pattern = arguments::text(Some(pattern), "pattern")?.unwrap_or_default();
        Ok(Self(analysis::Filter::new(
            include,
            &pattern,
            arguments::line(lineno)?,
            any_frame,
        )))
    }

    /// True: keep what matches and drop the rest; False: drop what matches.
    #[getter]
    fn include(&self) -> bool {
        self.0.include
    }

    /// Pattern of file names, as it was given.
    #[getter]
    #[or_memory_error]
    fn pattern(&self) -> &str {
        self.0.pattern()
    }

    /// Line number, or None for every line.
    #[getter]
    #[or_memory_error]
    fn lineno(&self) -> Option<i64> {
        self.0.line
    }

    /// Whether `match_trace` looks at every frame.
    #[getter]
    fn traceback(&self) -> bool {
        self.0.any_frame
    }

    /// Whether the file is to be kept, on any line.
    #[or_memory_error]
    fn match_filename(&self, filename: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        Ok(self
            .0
            .match_filename(arguments::text(filename, "filename")?.as_deref()))
    }

    /// Whether the line is to be kept, in a file that matches.
    #[or_memory_error]
    fn match_lineno(&self, lineno: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        Ok(self.0.match_line(arguments::line(lineno)?))
    }

    /// Whether a frame in that file, on that line, is to be kept.
    #[pyo3(name = "match")]
    #[or_memory_error]
    fn match_(
        &self,
        filename: Option<&Bound<'_, PyAny>>,
        lineno: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let filename = arguments::text(filename, "filename")?;
        Ok(self
            .0
            .match_frame(filename.as_deref(), arguments::line(lineno)?))
    }

    /// Whether the trace is to be kept.
    fn match_trace(&self, trace: PyRef<'_, Trace>) -> bool {
        self.keeps(&trace)
    }

    #[or_memory_error]
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let flag = |value: bool| if value { "True" } else { "False" };
        let mut text = format!(
            "Filter({}, {}",
            flag(self.0.include),
            PyString::new(py, self.0.pattern()).repr()?
        );
        if let Some(line) = self.0.line {
            text += &format!(", lineno={line}");
        }
        if self.0.any_frame {
            text += ", traceback=True";
        }
        Ok(text + ")")
    }

    #[or_memory_error]
    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let this = &slf.get().0;
        let arguments =
            (this.include, this.pattern(), this.line, this.any_frame).into_pyobject(slf.py())?;
        Ok((slf.get_type().into_any(), arguments))
    }
}

impl Filter {
    fn keeps(&self, trace: &Trace) -> bool {
        let frames = trace.frames(self.0.any_frame);
        self.0.match_path(frames.iter().map(place))
    }
}

fn place(frame: &Frame) -> (Option<&str>, Option<i64>) {
    (frame.filename.as_deref(), frame.lineno)
}

fn boolean(value: &Bound<'_, PyAny>, name: &str) -> PyResult<bool> {
    match value.cast::<PyBool>() {
        Ok(value) => Ok(value.is_true()),
        Err(_) => Err(arguments::wrong_type(
            value,
            &format!("{name} must be True or False"),
        )),
    }
}

/// Filters that decide together: a trace is kept if there is no include filter or at least one matches, and no exclude
/// filter drops it.
///
/// >>> filters = Filters([Filter(True, "*/app/*"), Filter(False, "*/app/cache.py")])
/// >>> filters.match("/srv/app/main.py", 1), filters.match("/srv/app/cache.py", 1), filters.match("/lib/os.py", 1)
/// (True, False, False)
#[pyclass(eq, module = "heapsight", skip_from_py_object)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filters {
    pub(crate) filters: Vec<Filter>,
}

#[pymethods]
impl Filters {
    #[new]
    #[pyo3(signature = (filters = None), text_signature = "(filters=())")]
    #[or_memory_error]
    fn new(filters: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let filters = filters.map(extract).transpose()?.unwrap_or_default();
        Ok(Self { filters })
    }

    /// Appends a filter.
    #[or_memory_error]
    fn add(&mut self, filter: &Bound<'_, PyAny>) -> PyResult<()> {
        self.filters.push(extract_one(filter)?);
        Ok(())
    }

    /// Whether a frame in that file, on that line, is to be kept.
    #[pyo3(name = "match")]
    #[or_memory_error]
    fn match_(
        &self,
        filename: Option<&Bound<'_, PyAny>>,
        lineno: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let filename = arguments::text(filename, "filename")?;
        let line = arguments::line(lineno)?;
        let verdict = |filter: &analysis::Filter| filter.match_frame(filename.as_deref(), line);
        Ok(analysis::keep(
            self.rules().map(|filter| (filter, verdict(filter))),
        ))
    }

    /// Whether the trace is to be kept.
    fn match_trace(&self, trace: PyRef<'_, Trace>) -> bool {
        analysis::keep(
            self.filters
                .iter()
                .map(|filter| (&filter.0, filter.keeps(&trace))),
        )
    }

    #[or_memory_error]
    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(PyList::new(py, self.filters.clone())?
            .try_iter()?
            .into_any())
    }

    fn __len__(&self) -> usize {
        self.filters.len()
    }

    fn __contains__(&self, filter: &Bound<'_, PyAny>) -> bool {
        filter
            .cast::<Filter>()
            .is_ok_and(|filter| self.filters.contains(filter.get()))
    }

    #[or_memory_error]
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "Filters({})",
            PyList::new(py, self.filters.clone())?.repr()?
        ))
    }

    #[or_memory_error]
    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let filters = PyList::new(slf.py(), slf.borrow().filters.clone())?;
        Ok((
            slf.get_type().into_any(),
            (filters,).into_pyobject(slf.py())?,
        ))
    }
}

impl Filters {
    /// The filters without their Python shell.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &analysis::Filter> {
        self.filters.iter().map(|filter| &filter.0)
    }
}

/// Every filter of an iterable.
pub(crate) fn extract(filters: &Bound<'_, PyAny>) -> PyResult<Vec<Filter>> {
    if filters.is_instance_of::<Filter>() {
        return Err(PyTypeError::new_err(
            "filters must be an iterable of Filter: put the one filter into a list",
        ));
    }
    let items = filters.try_iter().map_err(|error| {
        arguments::refused(filters.py(), error, || {
            arguments::wrong_type(filters, "filters must be an iterable of Filter")
        })
    })?;
    items.map(|item| extract_one(&item?)).collect()
}

/// One filter.
pub(crate) fn extract_one(filter: &Bound<'_, PyAny>) -> PyResult<Filter> {
    match filter.cast::<Filter>() {
        Ok(filter) => Ok(filter.get().clone()),
        Err(_) => Err(arguments::wrong_type(filter, "filter must be a Filter")),
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Filter>()?;
    module.add_class::<Filters>()
}
