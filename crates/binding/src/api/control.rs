//! Switching tracing on and off, and the counters that are one call away.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use heapsight_edge::or_memory_error;
use heapsight_tracer as tracer;
use heapsight_tracer::{Config, FrameLimit};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyCFunction;

use crate::api::tracing_filters;
use crate::api::{budget, timer};
use crate::arguments::{integer, shown};
use crate::testing::audit;
use crate::tracemalloc;

/// Stands for "unlimited" in [`LIMIT`].
const UNLIMITED: u32 = 0;
/// Highest limit that can be set by number; also what an unlimited one reads as, so that what is read can be set.
const HIGHEST_LIMIT: u16 = u16::MAX;

/// Frames kept for each block from the next `enable()` on.
static LIMIT: AtomicU32 = AtomicU32::new(1);

/// Starts tracing. Does nothing when tracing is on already.
#[pyfunction]
#[pyo3(signature = (sample_bytes = None, native = false))]
#[or_memory_error]
fn enable(py: Python<'_>, sample_bytes: Option<&Bound<'_, PyAny>>, native: bool) -> PyResult<()> {
    let sample_bytes = sample_bytes.map(positive_u64).transpose()?;
    if native && !tracer::native_is_seen() {
        return Err(PyRuntimeError::new_err(
            "native memory is seen only in a process that was started with libheapsight_preload.so: \
             use 'heapsight run --native', or name that file of this package in LD_PRELOAD",
        ));
    }
    if tracer::is_tracing() {
        tracer::put_hooks_back();
    } else {
        start(py, sample_bytes, native)?;
    }
    if native && !tracer::configuration().native {
        return Err(PyRuntimeError::new_err(
            "tracing is on already, without native memory: call disable() first, or 'heapsight run --native'",
        ));
    }
    Ok(())
}

/// Stops tracing and the timer, and forgets every trace.
#[pyfunction]
fn disable() {
    timer::stop_timer();
    tracer::stop();
}

/// Whether tracing is on.
#[pyfunction]
fn is_enabled() -> bool {
    tracer::put_hooks_back();
    tracer::is_tracing()
}

/// Frames kept for each block; 65535 when unlimited.
#[pyfunction]
#[or_memory_error]
fn get_traceback_limit() -> u32 {
    // `heapsight run` starts tracing with a limit of its own.
    let limit = if tracer::is_tracing() {
        tracer::configuration().frame_limit
    } else {
        frame_limit(LIMIT.load(Relaxed))
    };
    match limit {
        FrameLimit::One => 1,
        FrameLimit::UpTo(limit) => u32::from(limit),
        FrameLimit::All => u32::from(HIGHEST_LIMIT),
    }
}

/// Sets how many frames to keep for each block, 1 to 65535, or None for all of them. Forgets all traces when tracing.
#[pyfunction]
#[or_memory_error]
fn set_traceback_limit(py: Python<'_>, limit: &Bound<'_, PyAny>) -> PyResult<()> {
    let limit = parse_limit(limit)?;
    if tracer::is_tracing() {
        // What may fail comes before anything changes.
        prepare(py)?;
    }
    LIMIT.store(limit, Relaxed);
    tracing_filters::show_frames(frame_limit(limit));
    if tracer::is_tracing() {
        let Config {
            sample_bytes,
            native,
            ..
        } = tracer::configuration();
        tracer::stop();
        start(py, sample_bytes, native)?;
    }
    Ok(())
}

/// Forgets all traces and sets the counters to zero.
#[pyfunction]
fn clear_traces() {
    tracer::clear();
}

/// Bytes in live traced blocks.
#[pyfunction]
#[or_memory_error]
fn get_traced_memory() -> u64 {
    tracer::put_hooks_back();
    tracer::traced_memory().0
}

/// Highest `get_traced_memory()` since tracing began, or since the last `clear_traces()` or `reset_peak()`.
#[pyfunction]
#[or_memory_error]
fn get_traced_peak() -> u64 {
    tracer::put_hooks_back();
    tracer::traced_memory().1
}

/// Makes the peak what is live now.
#[pyfunction]
fn reset_peak() {
    tracer::reset_peak();
}

/// Bytes that the tracer itself holds.
#[pyfunction]
#[or_memory_error]
fn get_tracemalloc_size() -> u64 {
    tracer::tracer_bytes()
}

/// Starts tracing every block, if tracing is off.
pub(crate) fn enable_with_defaults(py: Python<'_>) -> PyResult<()> {
    if tracer::is_tracing() {
        Ok(())
    } else {
        start(py, None, false)
    }
}

/// Imports the rest of the package, so that tracing does not see that: see `heapsight/__init__.py`.
pub(crate) fn load_package(py: Python<'_>) -> PyResult<()> {
    py.import("heapsight")?.call_method0("_load_all").map(drop)
}

/// What has to be there before tracing begins, and is found there from then on.
fn prepare(py: Python<'_>) -> PyResult<()> {
    load_package(py)?;
    budget::as_the_environment_says(py)?;
    watch_finalization(py)
}

fn start(py: Python<'_>, sample_bytes: Option<u64>, native: bool) -> PyResult<()> {
    prepare(py)?;
    let config = Config {
        frame_limit: frame_limit(LIMIT.load(Relaxed)),
        sample_bytes,
        threads: false,
        native,
    };
    tracer::start(&config).map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    tracemalloc::tracing_has_begun(py)
}

/// Has the tracer told when the interpreter is about to be torn down, from now on.
fn watch_finalization(py: Python<'_>) -> PyResult<()> {
    static EXPECTED: AtomicBool = AtomicBool::new(false);
    if EXPECTED.load(Relaxed) {
        return Ok(());
    }
    let tell = PyCFunction::new_closure(py, None, None, |_, _| {
        // Another interpreter may be initialised in this process, and asks for itself.
        EXPECTED.store(false, Relaxed);
        for problem in audit::at_exit() {
            let _ = writeln!(std::io::stderr(), "heapsight: audit: {problem}");
        }
        tracer::finalization_begins();
    })?;
    py.import("atexit")?.call_method1("register", (tell,))?;
    EXPECTED.store(true, Relaxed);
    Ok(())
}

fn frame_limit(limit: u32) -> FrameLimit {
    match u16::try_from(limit) {
        Ok(1) => FrameLimit::One,
        Ok(limit) if limit > 1 => FrameLimit::UpTo(limit),
        _ => FrameLimit::All,
    }
}

fn parse_limit(limit: &Bound<'_, PyAny>) -> PyResult<u32> {
    if limit.is_none() {
        return Ok(UNLIMITED);
    }
    let number = integer(limit, "limit must be an integer or None")?;
    match number.extract::<u16>() {
        Ok(limit) if limit > 0 => Ok(u32::from(limit)),
        _ => Err(PyValueError::new_err(format!(
            "limit must be from 1 to {HIGHEST_LIMIT}, or None for unlimited, not {}",
            shown(&number)
        ))),
    }
}

fn positive_u64(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    let number = integer(value, "sample_bytes must be an integer or None")?;
    match number.extract::<u64>() {
        Ok(bytes) if bytes > 0 => Ok(bytes),
        _ => Err(PyValueError::new_err(format!(
            "sample_bytes must be from 1 to {}, not {}",
            u64::MAX,
            shown(&number)
        ))),
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(enable, module)?)?;
    module.add_function(wrap_pyfunction!(disable, module)?)?;
    module.add_function(wrap_pyfunction!(is_enabled, module)?)?;
    module.add_function(wrap_pyfunction!(get_traceback_limit, module)?)?;
    module.add_function(wrap_pyfunction!(set_traceback_limit, module)?)?;
    module.add_function(wrap_pyfunction!(clear_traces, module)?)?;
    module.add_function(wrap_pyfunction!(get_traced_memory, module)?)?;
    module.add_function(wrap_pyfunction!(get_traced_peak, module)?)?;
    module.add_function(wrap_pyfunction!(reset_peak, module)?)?;
    module.add_function(wrap_pyfunction!(get_tracemalloc_size, module)?)
}
