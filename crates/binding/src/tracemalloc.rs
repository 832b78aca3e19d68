//! The functions of `tracemalloc`'s C half, on heapsight's engine: what `heapsight.tracemalloc` is made on.

mod extension_blocks;
mod raw_traces;
mod table;

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering::Relaxed};

use heapsight_analysis::path;
use heapsight_analysis::traces::UNKNOWN;
use heapsight_capture::model::CodeKind;
use heapsight_edge::or_memory_error;
use heapsight_tracer::{self as tracer, Config, FrameLimit, objects};
use pyo3::exceptions::{PyOverflowError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyList, PyTuple};

use crate::api::object;
use crate::api::timer;
use crate::api::tracing_filters;
use crate::arguments;
use crate::room;
use table::TraceTable;

/// Frames kept when tracing was started here last; `tracemalloc` tells it also while it is off.
static LAST_LIMIT: AtomicU16 = AtomicU16::new(1);
/// The program uses this namespace, or has it in the place of `tracemalloc`: whoever starts tracing, it sees all.
static IN_USE: AtomicBool = AtomicBool::new(false);

/// Start tracing, and keep at most the nframe most recent frames of each traceback. Does nothing when tracing is on.
///
/// extension_blocks says whether to trace what extension modules report themselves, such as the data of numpy's arrays:
/// for that the interpreter's functions for it are made to lead here. None: unless PYTHONHEAPSIGHT_EXTENSION_BLOCKS is
/// 0.
#[pyfunction]
#[pyo3(signature = (*nframe, extension_blocks = None), text_signature = "(nframe=1, /, *, extension_blocks=None)")]
#[or_memory_error]
fn start(
    py: Python<'_>,
    nframe: &Bound<'_, PyTuple>,
    extension_blocks: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    // Not an optional argument: None is a wrong limit.
    let limit = match nframe.len() {
        0 => 1,
        1 => frames(&nframe.get_item(0)?)?,
        given => {
            return Err(PyTypeError::new_err(format!(
                "start expected at most 1 argument, got {given}"
            )));
        }
    };
    extension_blocks::choose(extension_blocks)?;
    if !tracer::is_tracing() {
        let config = Config {
            frame_limit: FrameLimit::UpTo(limit),
            sample_bytes: None,
            threads: false,
            native: false,
        };
        tracing_filters::show_frames(config.frame_limit);
        crate::api::control::load_package(py)?;
        tracer::start(&config).map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        LAST_LIMIT.store(limit, Relaxed);
    }
    IN_USE.store(true, Relaxed);
    trace_as_tracemalloc_does(py)
}

/// To be called when tracing was started otherwise.
///
/// # Errors
/// As [`trace_as_tracemalloc_does`].
pub(crate) fn tracing_has_begun(py: Python<'_>) -> PyResult<()> {
    if IN_USE.load(Relaxed) {
        trace_as_tracemalloc_does(py)
    } else {
        Ok(())
    }
}

/// `TypeError` in the words of the running version.
fn not_an_integer(nframe: &Bound<'_, PyAny>) -> PyErr {
    let kind = nframe.get_type().name();
    let kind = kind.map_or_else(|_| "object".to_owned(), |name| name.to_string());
    PyTypeError::new_err(match nframe.py().version_info().minor {
        10.. => format!("'{kind}' object cannot be interpreted as an integer"),
        _ if nframe.is_instance_of::<PyFloat>() => {
            "integer argument expected, got float".to_owned()
        }
        _ => format!("an integer is required (got type {kind})"),
    })
}

/// The limit as `tracemalloc` reads it.
fn frames(nframe: &Bound<'_, PyAny>) -> PyResult<u16> {
    let number = if nframe.is_instance_of::<PyInt>() {
        nframe.clone()
    } else {
        nframe
            .call_method0("__index__")
            .map_err(|error| arguments::refused(nframe.py(), error, || not_an_integer(nframe)))?
    };
    let number: c_int = number
        .extract()
        .map_err(|_| PyOverflowError::new_err("Python int too large to convert to C int"))?;
    match u16::try_from(number) {
        Ok(limit) if limit > 0 => Ok(limit),
        _ => Err(PyValueError::new_err(format!(
            "the number of frames must be in range [1; {}]",
            u16::MAX
        ))),
    }
}

/// Sees to what `tracemalloc` traces beyond allocations: blocks that extensions report, and objects from free lists.
///
/// # Errors
/// The warning that the first cannot be seen, if warnings are errors.
fn trace_as_tracemalloc_does(py: Python<'_>) -> PyResult<()> {
    if !tracer::is_tracing() {
        return Ok(());
    }
    objects::follow(object::raw_block_address);
    extension_blocks::take(py)
}

/// Stop tracing, and forget every trace.
#[pyfunction]
fn stop() {
    timer::stop_timer();
    tracer::stop();
}

/// Whether memory blocks are being traced.
#[pyfunction]
fn is_tracing() -> bool {
    tracer::is_tracing()
}

/// Forget every trace, and set the traced memory and its peak to zero. Does nothing when tracing is off.
#[pyfunction]
fn clear_traces() {
    if is_tracing() {
        tracer::clear();
    }
}

/// Make the peak what is traced now. Does nothing when tracing is off.
#[pyfunction]
fn reset_peak() {
    if is_tracing() {
        tracer::reset_peak();
    }
}

/// The most frames that are kept of a traceback: of the present tracing, or of the last one.
#[pyfunction]
#[or_memory_error]
fn get_traceback_limit() -> u16 {
    traceback_limit()
}

fn traceback_limit() -> u16 {
    if !tracer::is_tracing() {
        return LAST_LIMIT.load(Relaxed);
    }
    match tracer::configuration().frame_limit {
        FrameLimit::One => 1,
        FrameLimit::UpTo(limit) => limit,
        FrameLimit::All => u16::MAX,
    }
}

/// Bytes in live traced blocks, and the most there were.
#[pyfunction]
#[or_memory_error]
fn get_traced_memory() -> (u64, u64) {
    if is_tracing() {
        tracer::traced_memory()
    } else {
        (0, 0)
    }
}

/// Bytes that the tracer itself holds.
#[pyfunction]
#[or_memory_error]
fn get_tracemalloc_memory() -> u64 {
    tracer::tracer_bytes()
}

/// The traces of all live blocks; an empty list when tracing is off. Each is a tuple: domain, size in bytes, frames
/// with the most recent first, how many frames there were.
#[pyfunction]
#[or_memory_error]
fn _get_traces(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    trace_table()?.to_list(py)
}

/// The frames that allocated the object's block, the most recent first; None when it is not traced.
#[pyfunction]
#[pyo3(signature = (obj, /))]
#[or_memory_error]
fn _get_object_traceback<'py>(obj: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyTuple>>> {
    if !is_tracing() {
        return Ok(None);
    }
    let found = object::block_address(obj).ok().and_then(tracer::trace_of);
    let Some((block, tables)) = found else {
        return Ok(None);
    };
    let Some(site) = tables.sites.get(block.site as usize) else {
        return Ok(None);
    };
    let limit = usize::from(traceback_limit());
    let is_python = |node: &heapsight_capture::model::Node| {
        tables.codes[node.code as usize].kind == CodeKind::Python
    };
    let mut frames = Vec::new();
    let mut at = site.node;
    while at != heapsight_capture::model::ROOT && frames.len() < limit {
        let node = tables.nodes[at as usize];
        if is_python(&node)
            && let Some(frame) = path::frame(&tables, at)
        {
            frames.push((frame.filename, frame.line));
        }
        at = node.parent;
    }
    if frames.is_empty() {
        frames.push((UNKNOWN, 0));
    }
    PyTuple::new(obj.py(), frames).map(Some)
}

/// The traces of all live blocks, as a table that makes Python objects when they are asked for. Empty when tracing is
/// off.
#[pyfunction]
#[or_memory_error]
fn take_trace_table() -> PyResult<TraceTable> {
    trace_table()
}

fn trace_table() -> PyResult<TraceTable> {
    if is_tracing() {
        room::for_blocks()?;
        let (tables, counts) = tracer::snapshot_with_sizes();
        Ok(TraceTable::of_tables(
            &tables,
            &counts,
            u32::from(traceback_limit()),
        ))
    } else {
        Ok(TraceTable::empty())
    }
}

/// Has tracing that was or will be started otherwise see all that `tracemalloc` would see.
#[pyfunction]
#[or_memory_error]
fn adopt_tracing(py: Python<'_>) -> PyResult<()> {
    IN_USE.store(true, Relaxed);
    trace_as_tracemalloc_does(py)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let functions = PyModule::new(module.py(), "_tracemalloc")?;
    functions.setattr(
        "__doc__",
        "heapsight's functions in place of `tracemalloc`'s own.",
    )?;
    functions.add_function(wrap_pyfunction!(start, &functions)?)?;
    functions.add_function(wrap_pyfunction!(stop, &functions)?)?;
    functions.add_function(wrap_pyfunction!(is_tracing, &functions)?)?;
    functions.add_function(wrap_pyfunction!(clear_traces, &functions)?)?;
    functions.add_function(wrap_pyfunction!(reset_peak, &functions)?)?;
    functions.add_function(wrap_pyfunction!(get_traceback_limit, &functions)?)?;
    functions.add_function(wrap_pyfunction!(get_traced_memory, &functions)?)?;
    functions.add_function(wrap_pyfunction!(get_tracemalloc_memory, &functions)?)?;
    functions.add_function(wrap_pyfunction!(_get_traces, &functions)?)?;
    functions.add_function(wrap_pyfunction!(_get_object_traceback, &functions)?)?;
    module.add("tracemalloc_functions", functions)?;
    module.add_function(wrap_pyfunction!(take_trace_table, module)?)?;
    module.add_function(wrap_pyfunction!(adopt_tracing, module)?)?;
    module.add_class::<TraceTable>()
}
