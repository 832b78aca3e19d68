//! The filters that decide, while tracing, which call paths are traced.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use heapsight_analysis as analysis;
use heapsight_edge::or_memory_error;
use heapsight_tracer::{self as tracer, FrameLimit};
use pyo3::prelude::*;

use crate::api::filter::{self, Filter, Filters};

/// The most recent frames that a filter on whole tracebacks looks at: those that are kept.
static FRAMES: AtomicUsize = AtomicUsize::new(1);

static ACTIVE: Mutex<Filters> = Mutex::new(Filters {
    filters: Vec::new(),
});

fn active() -> MutexGuard<'static, Filters> {
    ACTIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds a filter that decides which allocations are traced from now on. What is traced already stays.
#[pyfunction]
#[or_memory_error]
fn add_filter(filter: &Bound<'_, PyAny>) -> PyResult<()> {
    let filter = filter::extract_one(filter)?;
    let mut filters = active();
    filters.filters.push(filter);
    apply(&filters);
    Ok(())
}

/// Adds a filter that leaves out the files matching `pattern`, at the first call in the process: heapsight is imported
/// again by each sub-interpreter.
#[pyfunction]
#[or_memory_error]
fn leave_own_files_out(pattern: &Bound<'_, PyAny>) -> PyResult<()> {
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.swap(true, Relaxed) {
        return Ok(());
    }
    let filter = pattern.py().get_type::<Filter>().call1((false, pattern))?;
    add_filter(&filter)
}

/// The filters applied while tracing, as a new list.
#[pyfunction]
#[or_memory_error]
fn get_filters() -> Vec<Filter> {
    active().filters.clone()
}

/// Removes all filters, the one on heapsight's own files too.
#[pyfunction]
fn clear_filters() {
    let mut filters = active();
    filters.filters.clear();
    apply(&filters);
}

/// Has the filters look at no more frames than are kept.
pub(crate) fn show_frames(limit: FrameLimit) {
    let frames = match limit {
        FrameLimit::One => 1,
        FrameLimit::UpTo(limit) => usize::from(limit),
        FrameLimit::All => usize::MAX,
    };
    if FRAMES.swap(frames, Relaxed) != frames {
        apply(&active());
    }
}

/// Hands the filters to the tracer. They run inside allocator hooks: no Python from there on.
fn apply(filters: &Filters) {
    let rules: Arc<[analysis::Filter]> = filters.rules().cloned().collect();
    if rules.is_empty() {
        let nothing = tracer::Sight {
            frames: 0,
            lines: false,
        };
        tracer::set_path_filter(None, nothing);
        return;
    }
    let frames = if rules.iter().any(|rule| rule.any_frame) {
        FRAMES.load(Relaxed)
    } else {
        1
    };
    let lines = rules.iter().any(|rule| rule.line.is_some());
    let keep = move |path: &[(&str, u32)]| {
        let places = || {
            path.iter()
                .map(|(filename, line)| (Some(*filename), (*line > 0).then(|| i64::from(*line))))
        };
        analysis::keep(rules.iter().map(|rule| (rule, rule.match_path(places()))))
    };
    tracer::set_path_filter(Some(Arc::new(keep)), tracer::Sight { frames, lines });
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(add_filter, module)?)?;
    module.add_function(wrap_pyfunction!(leave_own_files_out, module)?)?;
    module.add_function(wrap_pyfunction!(get_filters, module)?)?;
    module.add_function(wrap_pyfunction!(clear_filters, module)?)
}
