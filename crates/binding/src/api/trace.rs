//! `Trace` and `TraceStats`: one block, and the sum of many.

use std::sync::Arc;

use heapsight_capture::model::{NodeId, Tables};
use heapsight_edge::or_memory_error;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::api::frame::Frame;
use crate::arguments;

/// A live memory block: `size` in bytes, and `traceback`, the list of frames that allocated it, most recent first.
///
/// The list is empty for a block that was not allocated by Python code. Immutable, hashable; each reading of
/// `traceback` makes a new list.
///
/// >>> trace = Trace(512, [Frame("app.py", 7)])
/// >>> trace.size, str(trace.traceback[0])
/// (512, 'app.py:7')
#[pyclass(frozen, eq, hash, module = "heapsight", skip_from_py_object)]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Trace {
    size: u64,
    frames: Frames,
}

/// Where the frames of a trace are. Millions of traces share one snapshot's tables; their frames become objects when
/// somebody looks.
#[derive(Clone, Debug)]
enum Frames {
    InTables(Arc<Tables>, NodeId),
    Given(Arc<[Frame]>),
}

impl Frames {
    fn to_vec(&self) -> Vec<Frame> {
        match self {
            Self::InTables(tables, node) => Frame::path(tables, *node).collect(),
            Self::Given(frames) => frames.to_vec(),
        }
    }

    /// The most recent frame.
    fn first(&self) -> Option<Frame> {
        match self {
            Self::InTables(tables, node) => Frame::path(tables, *node).next(),
            Self::Given(frames) => frames.first().cloned(),
        }
    }
}

impl PartialEq for Frames {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::InTables(mine, my_node), Self::InTables(theirs, their_node))
                if Arc::ptr_eq(mine, theirs) && my_node == their_node =>
            {
                true
            }
            _ => self.to_vec() == other.to_vec(),
        }
    }
}

impl Eq for Frames {}

impl std::hash::Hash for Frames {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.to_vec().hash(state);
    }
}

impl Trace {
    /// A block at the call path `node`.
    pub(crate) fn in_tables(size: u64, tables: &Arc<Tables>, node: NodeId) -> Self {
        Self {
            size,
            frames: Frames::InTables(Arc::clone(tables), node),
        }
    }

    /// A block with these frames.
    pub(crate) fn with_frames(size: u64, frames: impl Iterator<Item = Frame>) -> Self {
        Self {
            size,
            frames: Frames::Given(frames.collect()),
        }
    }

    /// Its frames, most recent first: all of them, or the first only.
    pub(crate) fn frames(&self, all: bool) -> Vec<Frame> {
        if all {
            self.frames.to_vec()
        } else {
            self.frames.first().into_iter().collect()
        }
    }
}

#[pymethods]
impl Trace {
    #[new]
    #[or_memory_error]
    fn new(size: &Bound<'_, PyAny>, traceback: &Bound<'_, PyAny>) -> PyResult<Self> {
        let size = arguments::unsigned(size, "size")?;
        let items = traceback.try_iter().map_err(|error| {
            arguments::refused(traceback.py(), error, || {
                arguments::wrong_type(traceback, "traceback must be an iterable of Frame")
            })
        })?;
        let frames = items
            .map(|item| {
                let item = item?;
                match item.cast::<Frame>() {
                    Ok(frame) => Ok(frame.get().clone()),
                    Err(_) => Err(arguments::wrong_type(
                        &item,
                        "traceback must hold Frame objects",
                    )),
                }
            })
            .collect::<PyResult<Vec<Frame>>>()?;
        Ok(Self::with_frames(size, frames.into_iter()))
    }

    /// Size of the block in bytes, as it was asked for.
    #[getter]
    #[or_memory_error]
    fn size(&self) -> u64 {
        self.size
    }

    /// Frames that allocated the block, most recent first.
    #[getter]
    #[or_memory_error]
    fn traceback<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.frames.to_vec())
    }

    #[or_memory_error]
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "Trace(size={}, traceback={})",
            self.size,
            self.traceback(py)?.bind(py).repr()?
        ))
    }

    #[or_memory_error]
    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let this = slf.get();
        let arguments = (this.size, this.traceback(slf.py())?).into_pyobject(slf.py())?;
        Ok((slf.get_type().into_any(), arguments))
    }
}

/// The sum of several blocks: `size` in bytes, and `count`, how many blocks. Immutable, hashable.
///
/// >>> TraceStats(1024, 2)
/// TraceStats(size=1024, count=2)
#[pyclass(frozen, eq, ord, hash, module = "heapsight", skip_from_py_object)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TraceStats {
    pub(crate) size: u64,
    pub(crate) count: u64,
}

#[pymethods]
impl TraceStats {
    #[new]
    #[or_memory_error]
    fn new(size: &Bound<'_, PyAny>, count: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self {
            size: arguments::unsigned(size, "size")?,
            count: arguments::unsigned(count, "count")?,
        })
    }

    /// Bytes.
    #[getter]
    #[or_memory_error]
    fn size(&self) -> u64 {
        self.size
    }

    /// Blocks.
    #[getter]
    #[or_memory_error]
    fn count(&self) -> u64 {
        self.count
    }

    #[or_memory_error]
    fn __repr__(&self) -> String {
        format!("TraceStats(size={}, count={})", self.size, self.count)
    }

    #[or_memory_error]
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyAny>, (u64, u64)) {
        let this = slf.get();
        (slf.get_type().into_any(), (this.size, this.count))
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Trace>()?;
    module.add_class::<TraceStats>()
}
