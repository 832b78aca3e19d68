//! The tables of a snapshot: taken from the tracer or read from a file, filtered, grouped, written.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use heapsight_analysis::apply_filters;
use heapsight_analysis::recording::{Recording, RecordingError, SeekTarget};
use heapsight_capture::model::{Counters, Mode, SiteId, Tables};
use heapsight_capture::{
    Block, End, Existing, Exit, Header, Note, ReadError, Tick, Writer, write_whole,
};
use heapsight_edge::or_memory_error;
use heapsight_tracer as tracer;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::api::blocks::BlockTable;
use crate::api::file_error::{NotWritten, os_error};
use crate::api::filter;
use crate::api::grouping::{self, Grouped};
use crate::api::header;
use crate::api::live;
use crate::api::moment;
use crate::room;

/// Name of the note that holds what Python adds to the tables.
const NOTE: &str = "snapshot";

/// The engine's tables at one moment.
#[pyclass(frozen, module = "heapsight._heapsight", skip_from_py_object)]
#[derive(Debug)]
pub(crate) struct SnapshotData {
    header: Header,
    state: Mutex<State>,
    /// Resident bytes at the last tick of a recording; 0 when unknown.
    rss_bytes: u64,
    /// JSON, as Python wrote it.
    note: Option<String>,
    /// What is wrong with the file that it was read from.
    incomplete: Option<String>,
}

#[derive(Clone, Debug)]
struct State {
    tables: Arc<Tables>,
    blocks: Option<BlockTable>,
}

/// Takes a snapshot of the blocks that are live now. Costs time by call paths, with traces also by blocks.
///
/// # Errors
/// `RuntimeError` when tracing is off.
#[pyfunction]
#[or_memory_error]
fn take_snapshot(py: Python<'_>, unix_ns: u64, with_traces: bool) -> PyResult<SnapshotData> {
    if !tracer::is_tracing() {
        return Err(PyRuntimeError::new_err(
            "heapsight is not tracing, so there is nothing to take a snapshot of: call heapsight.enable() first, \
             or start Python with -X heapsight",
        ));
    }
    let config = tracer::configuration();
    let header = Header {
        start_unix_ns: unix_ns,
        ..header::of_this_process(py, &config)
    };
    let (tables, blocks) = live::tables(with_traces)?;
    let state = State {
        tables: Arc::new(tables),
        blocks,
    };
    Ok(SnapshotData {
        header,
        state: Mutex::new(state),
        rss_bytes: 0,
        note: None,
        incomplete: None,
    })
}

/// Reads a capture, or a pickle that `tracemalloc`'s `Snapshot.dump` made, and goes to the moment `at`. Reads
/// `content`, if that is given, as that of the file.
///
/// # Errors
/// `OSError` when the file cannot be read, `ValueError` when it is something else or refers to what is no data,
/// `MemoryError`.
#[pyfunction]
#[or_memory_error]
fn load_snapshot(
    py: Python<'_>,
    path: PathBuf,
    content: Option<&[u8]>,
    with_traces: bool,
    at: &Bound<'_, PyAny>,
) -> PyResult<SnapshotData> {
    let when = moment::extract(at)?;
    py.detach(|| {
        room::for_reading()?;
        let recording = match content {
            Some(content) => {
                Recording::read(content, None).and_then(|read| read.seek(when, || Ok(content)))
            }
            None => recording_of_file(&path, when),
        };
        let recording = recording.map_err(|error| match error {
            RecordingError::Unreadable(ReadError::Io(error)) => os_error(&error, &path),
            error => PyValueError::new_err(format!("{}: {error}", path.display())),
        })?;
        room::for_file(&recording.capture.tables, 0)?;
        SnapshotData::of_recording(recording, with_traces)
            .map_err(|error| PyValueError::new_err(format!("{}: {error}", path.display())))
    })
}

fn recording_of_file(path: &Path, when: SeekTarget) -> Result<Recording, RecordingError> {
    let file = File::open(path)?;
    let modified = file.metadata().and_then(|metadata| metadata.modified());
    let again = || (&file).rewind().map(|()| &file);
    Recording::read(&file, modified.ok())?.seek(when, again)
}

/// Reads what `to_bytes` gave.
#[pyfunction]
#[or_memory_error]
fn snapshot_from_bytes(data: &[u8]) -> PyResult<SnapshotData> {
    let refused = |error: String| PyValueError::new_err(format!("not a pickled snapshot: {error}"));
    room::for_reading()?;
    let recording = Recording::read(data, None).map_err(|error| match error {
        RecordingError::Unreadable(ReadError::Io(error)) => os_error(&error, Path::new("")),
        error => refused(error.to_string()),
    })?;
    room::for_file(&recording.capture.tables, 0)?;
    SnapshotData::of_recording(recording, true).map_err(refused)
}

impl SnapshotData {
    fn of_recording(recording: Recording, with_traces: bool) -> Result<Self, String> {
        let Recording {
            capture, moment, ..
        } = recording;
        let incomplete = capture.incomplete();
        if let Some(what) = incomplete.clone().filter(|_| capture.timeline.is_empty()) {
            return Err(what);
        }
        let until_ns = moment.elapsed_ns().unwrap_or(u64::MAX);
        let passed = capture.timeline.iter().rev();
        let last = passed.copied().find(|point| point.elapsed_ns <= until_ns);
        let last = last.unwrap_or_default();
        let header = Header {
            start_unix_ns: capture.header.start_unix_ns.saturating_add(last.elapsed_ns),
            ..capture.header
        };
        let note = capture
            .notes
            .into_iter()
            .rev()
            .find(|note| note.name == NOTE)
            .map(|note| note.text);
        let blocks = capture
            .blocks
            .filter(|_| with_traces)
            .map(BlockTable::loaded);
        let state = State {
            tables: Arc::new(capture.tables),
            blocks,
        };
        Ok(Self {
            header,
            state: Mutex::new(state),
            rss_bytes: last.rss_bytes,
            note,
            incomplete,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// # Errors
    /// `MemoryError` when there is no room for what [`Self::encode`] makes.
    fn room_for_file(&self) -> PyResult<()> {
        let state = self.state();
        let blocks = state.blocks.as_ref().map_or(0, BlockTable::len);
        room::for_file(&state.tables, blocks)
    }

    /// Writes everything as a capture with one tick.
    fn encode<W: Write>(&self, sink: W, rss_bytes: u64, note: String) -> Result<W, NotWritten> {
        let State { tables, blocks } = self.state().clone();
        let header = Header {
            tick_ms: 0,
            ..self.header.clone()
        };
        let mut writer = Writer::create(sink, &header)?;
        let changed: Vec<(SiteId, Counters)> = (0..).zip(tables.counters.iter().copied()).collect();
        let tick = Tick {
            elapsed_ns: 0,
            rss_bytes,
            totals: tables.totals,
            new_strings: &tables.strings,
            new_codes: &tables.codes,
            new_nodes: &tables.nodes,
            new_sites: &tables.sites,
            changed: &changed,
            ..Tick::default()
        };
        writer.tick(&tick)?;
        if let Some(blocks) = blocks {
            let blocks: Vec<Block> = blocks.iter().collect();
            writer.blocks(&blocks)?;
        }
        writer.note(&Note {
            name: NOTE.to_owned(),
            text: note,
        })?;
        let end = End {
            elapsed_ns: 0,
            exit: Exit::Unknown,
            totals: tables.totals,
        };
        Ok(writer.finish(&end)?)
    }
}

#[pymethods]
impl SnapshotData {
    /// Process id.
    #[getter]
    #[or_memory_error]
    fn pid(&self) -> u32 {
        self.header.pid
    }

    /// When it was taken, in nanoseconds since 1970-01-01 UTC.
    #[getter]
    #[or_memory_error]
    fn unix_ns(&self) -> u64 {
        self.header.start_unix_ns
    }

    /// Frames kept of each call path; 65535 when all.
    #[getter]
    #[or_memory_error]
    fn traceback_limit(&self) -> u32 {
        match self.header.mode {
            Mode::Exact {
                frame_limit: Some(limit),
            } => limit,
            Mode::Exact { frame_limit: None } | Mode::Sampled { .. } => u32::from(u16::MAX),
        }
    }

    /// Bytes live, at the peak, and held by the tracer itself.
    #[getter]
    #[or_memory_error]
    fn totals(&self) -> (u64, u64, u64) {
        let totals = self.state().tables.totals;
        (totals.live_bytes, totals.peak_bytes, totals.tracer_bytes)
    }

    /// Resident bytes of the process as a recording has it; 0 when unknown.
    #[getter]
    #[or_memory_error]
    fn rss_bytes(&self) -> u64 {
        self.rss_bytes
    }

    /// What Python added when the file was written, as JSON.
    #[getter]
    #[or_memory_error]
    fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// What is wrong with the file that it was read from; None when it is whole.
    #[getter]
    #[or_memory_error]
    fn incomplete(&self) -> Option<&str> {
        self.incomplete.as_deref()
    }

    /// Whether single blocks are known.
    #[getter]
    fn has_traces(&self) -> bool {
        self.state().blocks.is_some()
    }

    /// File name to line to TraceStats.
    #[or_memory_error]
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tables = Arc::clone(&self.state().tables);
        grouping::by_file_and_line(py, &tables)
    }

    /// Address to Trace, None when single blocks are not known.
    #[or_memory_error]
    fn traces<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let State { tables, blocks } = self.state().clone();
        let Some(blocks) = blocks else {
            return Ok(None);
        };
        live::traces(py, &tables, &blocks).map(Some)
    }

    /// Drops what the filters drop, everywhere.
    #[or_memory_error]
    fn apply_filters(&self, py: Python<'_>, filters: &Bound<'_, PyAny>) -> PyResult<()> {
        let rules: Vec<heapsight_analysis::Filter> = filter::extract(filters)?
            .into_iter()
            .map(|filter| filter.0)
            .collect();
        if rules.is_empty() {
            return Ok(());
        }
        room::for_paths(&self.state().tables)?;
        py.detach(|| {
            let mut state = self.state();
            let ids = apply_filters(Arc::make_mut(&mut state.tables), &rules);
            if let Some(blocks) = &mut state.blocks {
                blocks.renumber(&ids);
            }
        });
        Ok(())
    }

    /// Statistics by `group_by`.
    #[or_memory_error]
    fn group(&self, group_by: &str, cumulative: bool) -> PyResult<Grouped> {
        let state = self.state();
        Grouped::new(&state.tables, state.blocks.as_ref(), group_by, cumulative)
    }

    /// Writes a file, whole or not at all. One that is there already is replaced only if that is wanted.
    #[or_memory_error]
    fn write(
        &self,
        py: Python<'_>,
        path: PathBuf,
        rss_bytes: u64,
        note: String,
        replace: bool,
    ) -> PyResult<()> {
        self.room_for_file()?;
        let existing = match replace {
            true => Existing::Overwrite,
            false => Existing::Refuse,
        };
        py.detach(|| {
            write_whole(&path, existing, |out| {
                self.encode(out, rss_bytes, note).map(|_| ())
            })
            .map_err(|error| error.into_python(&path))
        })
    }

    /// What `write` would write.
    #[or_memory_error]
    fn to_bytes<'py>(
        &self,
        py: Python<'py>,
        rss_bytes: u64,
        note: String,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.room_for_file()?;
        let bytes = py
            .detach(|| self.encode(Vec::new(), rss_bytes, note))
            .map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        Ok(PyBytes::new(py, &bytes))
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(take_snapshot, module)?)?;
    module.add_function(wrap_pyfunction!(load_snapshot, module)?)?;
    module.add_function(wrap_pyfunction!(snapshot_from_bytes, module)?)?;
    module.add_class::<SnapshotData>()
}
