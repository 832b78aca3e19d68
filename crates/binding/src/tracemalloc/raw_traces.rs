//! Reads traces that are Python tuples already: those of a file, or of a snapshot that a program puts together itself.

use foldhash::{HashMap, HashMapExt};
use heapsight_analysis::traces::{FrameId, PathId, PathsBuilder, RowId, TraceRow, Traces};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList, PyString, PyTuple};

/// Larger blocks are left to Python's own numbers: sums must not overflow.
const LARGEST_BYTES: u64 = 1 << 40;

/// The traces, in the same order; `None` when one is not as the tracer makes them, by type or by value.
pub(super) fn read(traces: &Bound<'_, PyAny>) -> PyResult<Option<Traces>> {
    let Ok(traces) = traces.cast_exact::<PyList>() else {
        return Ok(None);
    };
    let mut reader = Reader::default();
    let mut order = Vec::with_capacity(traces.len());
    // Objects that were seen, by where they are. Each is kept alive by `seen_objects`, whatever happens to the list
    // meanwhile.
    let mut seen = HashMap::new();
    let mut seen_objects = Vec::new();
    for trace in traces.iter() {
        let address = trace.as_ptr() as usize;
        let row = match seen.get(&address) {
            Some(row) => *row,
            None => {
                let Some(row) = reader.row(&trace) else {
                    return Ok(None);
                };
                // Tuples that are not shared are as many as there are blocks: remembering them would cost more than it
                // saves.
                if trace.get_refcnt() > 2 {
                    seen.insert(address, row);
                    seen_objects.push(trace);
                }
                row
            }
        };
        order.push(row);
    }
    Ok(Some(Traces::in_order(
        reader.builder.finish(),
        reader.rows,
        order,
    )))
}

#[derive(Default)]
struct Reader<'py> {
    builder: PathsBuilder,
    rows: Vec<TraceRow>,
    row_ids: HashMap<TraceRow, RowId>,
    /// Tracebacks that were seen, by where they are; kept alive by the second.
    paths: HashMap<usize, PathId>,
    path_objects: Vec<Bound<'py, PyTuple>>,
}

impl<'py> Reader<'py> {
    fn row(&mut self, trace: &Bound<'py, PyAny>) -> Option<RowId> {
        let trace = trace.cast_exact::<PyTuple>().ok()?;
        let total_frames = match trace.len() {
            3 => None,
            4 => Some(number(&trace.get_item(3).ok()?)?),
            _ => return None,
        };
        let row = TraceRow {
            domain: number(&trace.get_item(0).ok()?)?,
            size_bytes: number(&trace.get_item(1).ok()?).filter(|size| *size < LARGEST_BYTES)?,
            path: self.path(trace.get_item(2).ok()?)?,
            total_frames,
        };
        let rows = &mut self.rows;
        Some(*self.row_ids.entry(row).or_insert_with(|| {
            rows.push(row);
            (rows.len() - 1) as RowId
        }))
    }

    fn path(&mut self, frames: Bound<'py, PyAny>) -> Option<PathId> {
        let address = frames.as_ptr() as usize;
        if let Some(known) = self.paths.get(&address) {
            return Some(*known);
        }
        let frames = frames.cast_into_exact::<PyTuple>().ok()?;
        let ids = frames
            .iter()
            .map(|frame| self.frame(&frame))
            .collect::<Option<Vec<FrameId>>>()
            .filter(|ids| !ids.is_empty())?;
        let path = self.builder.path(&ids);
        self.paths.insert(address, path);
        self.path_objects.push(frames);
        Some(path)
    }

    fn frame(&mut self, frame: &Bound<'py, PyAny>) -> Option<FrameId> {
        let frame = frame
            .cast_exact::<PyTuple>()
            .ok()
            .filter(|frame| frame.len() == 2)?;
        let filename = frame.get_item(0).ok()?;
        let filename = filename.cast_exact::<PyString>().ok()?;
        // Not so for what is no UTF-8.
        let filename = self.builder.string(&filename.to_cow().ok()?);
        Some(
            self.builder
                .frame(filename, number(&frame.get_item(1).ok()?)?),
        )
    }
}

/// A number that is exactly an int and fits. By hand: there are several for each of millions of blocks.
fn number<N: TryFrom<i64>>(value: &Bound<'_, PyAny>) -> Option<N> {
    value.cast_exact::<PyInt>().ok()?;
    // SAFETY: the thread is attached, and the object is an int; -1 may be an error, which is then taken away.
    let number = unsafe {
        let number = ffi::PyLong_AsLongLong(value.as_ptr());
        if number == -1 && !ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        number
    };
    N::try_from(number).ok()
}
