//! `TraceTable`: the traces of a snapshot, as Rust has them until somebody asks for Python objects.

use std::collections::HashMap;

use heapsight_analysis::traces::{
    FrameId, PathId, Paths, PathsBuilder, RowId, Side, TraceGroupBy, TraceRow, Traces,
    compare_traces, group_traces,
};
use heapsight_capture::model::Tables;
use heapsight_edge::or_memory_error;
use heapsight_tracer::SizeCount;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use super::raw_traces;
use crate::room;

/// A sequence of traces that shares what is equal. Immutable.
#[pyclass(frozen, module = "heapsight._heapsight", skip_from_py_object)]
#[derive(Debug)]
pub(crate) struct TraceTable(Traces);

impl TraceTable {
    pub(super) fn empty() -> Self {
        Self(Traces::in_order(
            PathsBuilder::default().finish(),
            Vec::new(),
            Vec::new(),
        ))
    }

    pub(super) fn of_tables(tables: &Tables, counts: &[SizeCount], limit: u32) -> Self {
        let counts = counts
            .iter()
            .map(|count| (count.site, count.size_bytes, count.blocks));
        Self(Traces::of_tables(tables, counts, limit))
    }

    /// All traces as tuples; equal ones of a row are one object.
    pub(super) fn to_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut objects = Objects::new(py, self.0.paths());
        let list = PyList::empty(py);
        for (row, count) in self.0.runs() {
            let trace = objects.trace(row, &self.0)?;
            for _ in 0..count {
                list.append(&trace)?;
            }
        }
        Ok(list)
    }
}

#[pymethods]
impl TraceTable {
    /// A table of these tuples, in this order; None when there is something among them that the tracer never makes.
    #[staticmethod]
    #[or_memory_error]
    fn of(traces: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        Ok(raw_traces::read(traces)?.map(Self))
    }

    fn __len__(&self) -> usize {
        usize::try_from(self.0.len()).unwrap_or(usize::MAX)
    }

    /// The trace at a position, as a tuple.
    #[or_memory_error]
    fn __getitem__<'py>(&self, py: Python<'py>, index: isize) -> PyResult<Bound<'py, PyTuple>> {
        let position = u64::try_from(index)
            .ok()
            .filter(|position| *position < self.0.len())
            .ok_or_else(|| PyIndexError::new_err("list index out of range"))?;
        Objects::new(py, self.0.paths()).trace(self.0.row_at(position), &self.0)
    }

    /// The traces at these positions, as tuples.
    #[or_memory_error]
    fn select<'py>(
        &self,
        py: Python<'py>,
        positions: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut objects = Objects::new(py, self.0.paths());
        let list = PyList::empty(py);
        for position in positions.try_iter()? {
            let position: u64 = position?.extract()?;
            list.append(objects.trace(self.0.row_at(position), &self.0)?)?;
        }
        Ok(list)
    }

    /// All traces, as tuples.
    #[pyo3(name = "to_list")]
    #[or_memory_error]
    fn py_to_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.to_list(py)
    }

    /// The different traces in order of first appearance, each once. Equal ones may come more than once.
    #[or_memory_error]
    fn distinct<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut objects = Objects::new(py, self.0.paths());
        let list = PyList::empty(py);
        for row in 0..self.0.rows().len() as RowId {
            list.append(objects.trace(row, &self.0)?)?;
        }
        Ok(list)
    }

    /// The traces that `keep` says yes to, in the same order. It is asked once for each different one.
    #[or_memory_error]
    fn filtered(&self, py: Python<'_>, keep: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut objects = Objects::new(py, self.0.paths());
        let kept = (0..self.0.rows().len() as RowId)
            .map(|row| keep.call1((objects.trace(row, &self.0)?,))?.is_truthy())
            .collect::<PyResult<Vec<bool>>>()?;
        Ok(Self(self.0.filtered(&kept)))
    }

    /// Whether the same traces are in the same order.
    fn same_as(&self, other: &Bound<'_, Self>) -> bool {
        let (mine, theirs) = (&self.0, &other.get().0);
        std::ptr::eq(mine, theirs) || mine.len() == theirs.len() && same_order(mine, theirs)
    }

    /// Sums by 'traceback', 'filename' or 'lineno', the largest first: frames with the most recent first, bytes,
    /// blocks.
    #[or_memory_error]
    fn statistics<'py>(
        &self,
        py: Python<'py>,
        key_type: &str,
        cumulative: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let by = grouping(key_type, cumulative)?;
        room::for_traces(&self.0)?;
        let groups = py.detach(|| group_traces(&self.0, by));
        let paths = self.0.paths();
        let mut objects = Objects::new(py, paths);
        let list = PyList::empty(py);
        for group in groups {
            list.append((
                objects.frames(group.places(paths))?,
                group.bytes,
                group.blocks,
            ))?;
        }
        Ok(list)
    }

    /// What has changed since `old`, the biggest change first: frames, bytes, their change, blocks, their change.
    #[or_memory_error]
    fn differences<'py>(
        &self,
        py: Python<'py>,
        old: &Bound<'py, Self>,
        key_type: &str,
        cumulative: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let by = grouping(key_type, cumulative)?;
        let old = &old.get().0;
        room::for_traces(&self.0)?;
        room::for_traces(old)?;
        let differences = py.detach(|| compare_traces(&self.0, old, by));
        let mut new_objects = Objects::new(py, self.0.paths());
        let mut old_objects = Objects::new(py, old.paths());
        let list = PyList::empty(py);
        for each in differences {
            let frames = match each.side {
                Side::New => new_objects.frames(each.places(self.0.paths()))?,
                Side::Old => old_objects.frames(each.places(old.paths()))?,
            };
            list.append((
                frames,
                each.bytes,
                each.bytes_change,
                each.blocks,
                each.blocks_change,
            ))?;
        }
        Ok(list)
    }

    /// Bytes of memory that the table holds.
    #[getter]
    #[or_memory_error]
    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

fn grouping(key_type: &str, cumulative: bool) -> PyResult<TraceGroupBy> {
    Ok(match key_type {
        "filename" => TraceGroupBy::Filename { cumulative },
        "lineno" => TraceGroupBy::Line { cumulative },
        "traceback" => TraceGroupBy::Traceback,
        _ => {
            return Err(PyValueError::new_err(format!(
                "unknown key_type: {key_type:?}"
            )));
        }
    })
}

/// Row by row, each pair of rows compared once in a sequence.
fn same_order(one: &Traces, other: &Traces) -> bool {
    let positions = |traces: &Traces| -> Vec<RowId> {
        traces
            .runs()
            .flat_map(|(row, count)| (0..count).map(move |_| row))
            .collect()
    };
    let mut known: Option<(RowId, RowId)> = None;
    positions(one)
        .into_iter()
        .zip(positions(other))
        .all(|(mine, theirs)| {
            if known == Some((mine, theirs)) {
                return true;
            }
            known = Some((mine, theirs));
            let (my_row, their_row) = (one.rows()[mine as usize], other.rows()[theirs as usize]);
            let figures = |row: TraceRow| (row.domain, row.size_bytes, row.total_frames);
            figures(my_row) == figures(their_row)
                && places(one.paths(), my_row.path).eq(places(other.paths(), their_row.path))
        })
}

fn places(paths: &Paths, path: PathId) -> impl Iterator<Item = (&str, u32)> {
    paths.path(path).iter().map(|frame| paths.place(*frame))
}

/// Makes Python objects of what a table holds: equal names, frames and tracebacks become one object.
struct Objects<'py, 't> {
    py: Python<'py>,
    paths: &'t Paths,
    names: HashMap<*const u8, Bound<'py, PyString>>,
    frames: HashMap<(*const u8, u32), Bound<'py, PyTuple>>,
    tracebacks: HashMap<PathId, Bound<'py, PyTuple>>,
}

impl<'py, 't> Objects<'py, 't> {
    fn new(py: Python<'py>, paths: &'t Paths) -> Self {
        Self {
            py,
            paths,
            names: HashMap::new(),
            frames: HashMap::new(),
            tracebacks: HashMap::new(),
        }
    }

    /// (domain, size, frames, number of frames there were), without the last if it is not known.
    fn trace(&mut self, row: RowId, traces: &Traces) -> PyResult<Bound<'py, PyTuple>> {
        let row = traces.rows()[row as usize];
        let frames = self.traceback(row.path)?;
        match row.total_frames {
            Some(total) => (row.domain, row.size_bytes, frames, total).into_pyobject(self.py),
            None => (row.domain, row.size_bytes, frames).into_pyobject(self.py),
        }
    }

    fn traceback(&mut self, path: PathId) -> PyResult<Bound<'py, PyTuple>> {
        if let Some(known) = self.tracebacks.get(&path) {
            return Ok(known.clone());
        }
        let paths = self.paths;
        let steps = paths.path(path).iter();
        let made = self.frames(steps.map(|frame: &FrameId| paths.place(*frame)))?;
        self.tracebacks.insert(path, made.clone());
        Ok(made)
    }

    fn frames(
        &mut self,
        places: impl Iterator<Item = (&'t str, u32)>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let frames = places
            .map(|(filename, line)| self.frame(filename, line))
            .collect::<PyResult<Vec<_>>>()?;
        PyTuple::new(self.py, frames)
    }

    /// Names are known by where they are: they stay there while the table is borrowed. An empty one has no place of its
    /// own.
    fn frame(&mut self, filename: &'t str, line: u32) -> PyResult<Bound<'py, PyTuple>> {
        let place = (filename.as_ptr(), line);
        if let Some(known) = self.frames.get(&place).filter(|_| !filename.is_empty()) {
            return Ok(known.clone());
        }
        let py = self.py;
        let name = match filename.is_empty() {
            true => PyString::new(py, ""),
            false => self
                .names
                .entry(place.0)
                .or_insert_with(|| PyString::new(py, filename))
                .clone(),
        };
        let made = (name, line).into_pyobject(py)?;
        self.frames.insert(place, made.clone());
        Ok(made)
    }
}
