//! Recordings of memray, read with the interpreter's memray and written as captures.
//!
//! memray's package is imported when such a file is given, and not before.

use std::fs::File;
use std::path::Path;

use foldhash::{HashMap, HashMapExt};
use heapsight_analysis::{EventLog, Lifetime, Moments, NO_CALLER, Span};
use heapsight_capture::model::{Domain, NodeId, SiteId};
use heapsight_capture::{Header, Note, Writer};
use heapsight_cli::MemrayError;
use pyo3::exceptions::{PyModuleNotFoundError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// Moments to ask for at most. memray takes every so many of its own then.
const MOST_MOMENTS: u32 = 1000;

/// Events between two reports of progress.
const EVENTS_PER_REPORT: u64 = 1 << 16;

const NS_PER_MS: u64 = 1_000_000;

/// memray's numbers for what is not an allocation, and for mapped pages.
mod allocator {
    pub const PYMALLOC_FREE: u32 = 1;
    pub const FREE: u32 = 5;
    pub const MMAP: u32 = 14;
    pub const MUNMAP: u32 = 15;
}

/// Reads the recording at `path` and writes it to `sink` as a capture; says what the recording does not tell.
///
/// # Errors
/// When there is no memray, when it cannot read the file, or when `sink` fails.
pub(crate) fn read(
    py: Python<'_>,
    path: &Path,
    is_cut: bool,
    sink: File,
    progress: &dyn Fn(u64, u64),
) -> Result<Vec<String>, MemrayError> {
    let memray = py.import("memray").map_err(|error| {
        let is_missing = error.is_instance_of::<PyModuleNotFoundError>(py)
            && matches!(name_of_missing(py, &error).as_deref(), Some("memray"));
        match is_missing {
            true => MemrayError::NotInstalled,
            false => failed(error),
        }
    })?;
    let recording = Recording::open(&memray, path).map_err(failed)?;
    let writer = Writer::create(sink, &recording.header()).map_err(failed)?;
    let mut log = EventLog::new();
    let (mut moments, mut notes, mut said) = (recording.moments(), Vec::new(), Vec::new());
    if !recording.traces_python_allocators {
        said.push("recorded without --trace-python-allocators: of Python's small blocks only the arenas that hold them are seen".to_owned());
    }
    if recording.is_aggregate {
        recording.add_sums(&mut log).map_err(failed)?;
        let text = "recorded with --aggregate: only what was live at the end and at the peak is known, \
                    not what was allocated, freed or temporary, nor what was live at other moments";
        said.push(text.to_owned());
        notes.push(note(Note::ENDS_ONLY, text));
    } else {
        recording.add_events(&mut log, progress).map_err(failed)?;
        recording
            .add_moments(&mut log, &mut moments)
            .map_err(failed)?;
        notes.push(note(
            Note::SOME_TIMES,
            "memray does not tell when blocks lived that came and went between two moments; they are counted at the end, \
             so at other moments only live memory is exact",
        ));
    }
    log.write(writer, &moments, &notes, recording.has_end() && !is_cut)
        .map_err(failed)?;
    Ok(said)
}

fn note(name: &str, text: &str) -> Note {
    Note {
        name: name.to_owned(),
        text: text.to_owned(),
    }
}

fn failed(error: impl std::fmt::Display) -> MemrayError {
    MemrayError::Failed(error.to_string())
}

/// The module that a `ModuleNotFoundError` is about.
fn name_of_missing(py: Python<'_>, error: &PyErr) -> Option<String> {
    error.value(py).getattr("name").ok()?.extract().ok()
}

/// A file that memray has opened.
struct Recording<'py> {
    reader: Bound<'py, PyAny>,
    start_ms: u64,
    end_ms: u64,
    /// Time, resident and live bytes of each moment.
    snapshots: Vec<(u64, u64, u64)>,
    events: u64,
    command_line: String,
    pid: u32,
    main_thread: u64,
    is_aggregate: bool,
    traces_python_allocators: bool,
}

impl<'py> Recording<'py> {
    fn open(memray: &Bound<'py, PyModule>, path: &Path) -> PyResult<Self> {
        let py = memray.py();
        // It writes what it thinks of damaged files to standard error.
        const CRITICAL: u32 = 50;
        memray.call_method1("set_log_level", (CRITICAL,))?;
        let options = PyDict::new(py);
        options.set_item("max_memory_records", MOST_MOMENTS)?;
        let reader = memray
            .getattr("FileReader")?
            .call((path.as_os_str(),), Some(&options))?;
        let metadata = reader.getattr("metadata")?;
        let ms = |name: &str| -> PyResult<u64> {
            let seconds: f64 = metadata
                .getattr(name)?
                .call_method0("timestamp")?
                .extract()?;
            Ok((seconds * 1000.0).round() as u64)
        };
        let format: String = metadata
            .getattr("file_format")?
            .getattr("name")?
            .extract()?;
        let mut snapshots = Vec::new();
        for snapshot in reader.call_method0("get_memory_snapshots")?.try_iter()? {
            snapshots.push(snapshot?.extract()?);
        }
        Ok(Self {
            start_ms: ms("start_time")?,
            end_ms: ms("end_time")?,
            snapshots,
            events: metadata.getattr("total_allocations")?.extract()?,
            command_line: metadata.getattr("command_line")?.extract()?,
            pid: metadata.getattr("pid")?.extract()?,
            main_thread: metadata.getattr("main_thread_id")?.extract()?,
            is_aggregate: format == "AGGREGATED_ALLOCATIONS",
            traces_python_allocators: metadata.getattr("trace_python_allocators")?.extract()?,
            reader,
        })
    }

    /// memray writes the time of the end when the program ends. Until then, and after a kill, it is that of the start, give or take a
    /// millisecond: before the last moment, and too short for any program.
    fn has_end(&self) -> bool {
        let last_ms = self.snapshots.last().map_or(0, |last| last.0);
        self.end_ms > self.start_ms + 1 && self.end_ms >= last_ms
    }

    fn header(&self) -> Header {
        let spans = self.snapshots.len().saturating_sub(1) as u64;
        let (first, last) = (self.snapshots.first(), self.snapshots.last());
        let time_ms = |snapshot: Option<&(u64, u64, u64)>| snapshot.map_or(0, |of| of.0);
        let length = time_ms(last).saturating_sub(time_ms(first));
        let tick_ms = length.checked_div(spans).unwrap_or(0).max(1);
        Header {
            program: self.command_line.clone(),
            pid: self.pid,
            start_unix_ns: self.start_ms.saturating_mul(NS_PER_MS),
            tick_ms: u32::try_from(tick_ms).unwrap_or(u32::MAX),
            heapsight_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Header::default()
        }
    }

    fn moments(&self) -> Moments {
        let elapsed_ns = |time_ms: u64| {
            time_ms
                .saturating_sub(self.start_ms)
                .saturating_mul(NS_PER_MS)
        };
        let span = |(time_ms, rss_bytes, live_bytes): &(u64, u64, u64)| Span {
            elapsed_ns: elapsed_ns(*time_ms),
            rss_bytes: *rss_bytes,
            live_bytes: *live_bytes,
            highest_bytes: *live_bytes,
        };
        let last = self.snapshots.last().map_or(self.start_ms, |last| last.0);
        Moments {
            spans: self.snapshots.iter().map(span).collect(),
            end_ns: elapsed_ns(last.max(self.end_ms)),
        }
    }

    /// Plays back every event.
    fn add_events(&self, log: &mut EventLog, progress: &dyn Fn(u64, u64)) -> PyResult<()> {
        let py = self.reader.py();
        let mut sites = Sites::new(self.main_thread);
        let records = self.reader.call_method0("get_allocation_records")?;
        for (index, record) in (0..).zip(records.try_iter()?) {
            let record = record?;
            if index % EVENTS_PER_REPORT == 0 {
                progress(index, self.events);
            }
            let allocator = record.getattr(intern!(py, "allocator"))?.extract()?;
            let address = record.getattr(intern!(py, "address"))?.extract()?;
            if matches!(allocator, allocator::FREE | allocator::PYMALLOC_FREE) {
                log.free(address);
                continue;
            }
            let bytes = record.getattr(intern!(py, "size"))?.extract()?;
            if allocator == allocator::MUNMAP {
                log.unmap(address, bytes);
                continue;
            }
            let site = sites.of(log, &record, allocator)?;
            match allocator {
                allocator::MMAP => log.map(address, bytes, site),
                _ => log.allocate(address, bytes, site),
            }
        }
        Ok(())
    }

    /// Adds what is known of the moments, and of the highest one between each two.
    fn add_moments(&self, log: &mut EventLog, moments: &mut Moments) -> PyResult<()> {
        if moments.spans.is_empty() {
            return Ok(());
        }
        let of = |method: &str| {
            let options = PyDict::new(self.reader.py());
            options.set_item("merge_threads", false)?;
            self.reader.call_method(method, (), Some(&options))
        };
        let records = of("get_temporal_allocation_records")?;
        self.each_lifetime(log, &records, EventLog::live)?;
        let (records, highest): (Bound<'_, PyAny>, Vec<u64>) =
            of("get_temporal_high_water_mark_allocation_records")?.extract()?;
        self.each_lifetime(log, &records, EventLog::at_highest)?;
        for (span, highest_bytes) in moments.spans.iter_mut().zip(highest) {
            span.highest_bytes = highest_bytes;
        }
        Ok(())
    }

    fn each_lifetime(
        &self,
        log: &mut EventLog,
        records: &Bound<'py, PyAny>,
        add: fn(&mut EventLog, SiteId, Lifetime),
    ) -> PyResult<()> {
        let py = self.reader.py();
        let mut sites = Sites::new(self.main_thread);
        for record in records.try_iter()? {
            let record = record?;
            let allocator = record.getattr(intern!(py, "allocator"))?.extract()?;
            let site = sites.of(log, &record, allocator)?;
            for interval in record.getattr(intern!(py, "intervals"))?.try_iter()? {
                let interval = interval?;
                let field = |name: &Bound<'py, PyString>| interval.getattr(name);
                let first = field(intern!(py, "allocated_before_snapshot"))?;
                let end = field(intern!(py, "deallocated_before_snapshot"))?;
                let lifetime = Lifetime {
                    first: first.extract()?,
                    end: end.extract()?,
                    blocks: field(intern!(py, "n_allocations"))?.extract()?,
                    bytes: field(intern!(py, "n_bytes"))?.extract()?,
                };
                add(log, site, lifetime);
            }
        }
        Ok(())
    }

    /// Adds what is live at the end, and what was at the peak.
    fn add_sums(&self, log: &mut EventLog) -> PyResult<()> {
        self.each_sum(log, "get_leaked_allocation_records", EventLog::hold)?;
        let at_peak = "get_high_watermark_allocation_records";
        self.each_sum(log, at_peak, EventLog::hold_at_peak)
    }

    fn each_sum(
        &self,
        log: &mut EventLog,
        method: &str,
        add: fn(&mut EventLog, SiteId, u64, u64),
    ) -> PyResult<()> {
        let py = self.reader.py();
        let mut sites = Sites::new(self.main_thread);
        let options = PyDict::new(py);
        options.set_item("merge_threads", false)?;
        let records = self.reader.call_method(method, (), Some(&options))?;
        for record in records.try_iter()? {
            let record = record?;
            let allocator = record.getattr(intern!(py, "allocator"))?.extract()?;
            let bytes = record.getattr(intern!(py, "size"))?.extract()?;
            let blocks = record.getattr(intern!(py, "n_allocations"))?.extract()?;
            let site = sites.of(log, &record, allocator)?;
            add(log, site, bytes, blocks);
        }
        Ok(())
    }
}

/// Where records belong. Stacks are asked for once: making one costs much more than reading an event.
struct Sites {
    main_thread: u64,
    /// By memray's number of the stack, and whether it is one of the main thread, which memray's own frames are left out of.
    paths: HashMap<(u64, bool), NodeId>,
    /// By path and allocator.
    sites: HashMap<(NodeId, u32), SiteId>,
}

impl Sites {
    fn new(main_thread: u64) -> Self {
        Self {
            main_thread,
            paths: HashMap::new(),
            sites: HashMap::new(),
        }
    }

    fn of(
        &mut self,
        log: &mut EventLog,
        record: &Bound<'_, PyAny>,
        allocator: u32,
    ) -> PyResult<SiteId> {
        let py = record.py();
        let stack: u64 = record.getattr(intern!(py, "stack_id"))?.extract()?;
        let thread: u64 = record.getattr(intern!(py, "tid"))?.extract()?;
        let key = (stack, thread == self.main_thread);
        let path = match self.paths.get(&key) {
            Some(path) => *path,
            None => {
                let path = path(log, &record.call_method0(intern!(py, "stack_trace"))?)?;
                self.paths.insert(key, path);
                path
            }
        };
        if let Some(site) = self.sites.get(&(path, allocator)) {
            return Ok(*site);
        }
        let domain = Domain::of_memray(allocator).ok_or_else(|| {
            PyValueError::new_err(format!(
                "it names an allocator that this heapsight does not know ({allocator}): upgrade heapsight"
            ))
        })?;
        let site = log.site(path, domain);
        self.sites.insert((path, allocator), site);
        Ok(site)
    }
}

/// The call path of a stack: tuples of function, file and line, the most recent first.
fn path(log: &mut EventLog, stack: &Bound<'_, PyAny>) -> PyResult<NodeId> {
    type Frame<'py> = (Bound<'py, PyString>, Bound<'py, PyString>, i64);
    let frames: Vec<Frame<'_>> = stack.extract()?;
    Ok(frames
        .iter()
        .rev()
        .fold(NO_CALLER, |caller, (function, filename, line)| {
            let line = u32::try_from(*line).unwrap_or(0);
            let (function, filename) = (function.to_string_lossy(), filename.to_string_lossy());
            log.call(caller, &function, &filename, line)
        }))
}
