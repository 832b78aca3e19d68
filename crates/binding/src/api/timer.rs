//! `start_timer` and `stop_timer`: a Python function called from time to time, driven by allocations.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heapsight_tracer::timer;
use pyo3::exceptions::{PyOverflowError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyCFunction, PyDict, PyTuple};

use crate::api::control;
use crate::arguments;

/// What is called, and how often.
struct Task {
    delay: Duration,
    function: Py<PyAny>,
    args: Py<PyTuple>,
    kwargs: Py<PyDict>,
}

static TASK: Mutex<Option<Task>> = Mutex::new(None);
/// Is the function running? It is called again only after it has returned.
static RUNNING: AtomicBool = AtomicBool::new(false);

/// How many are at something that the function must not see half done.
static HELD: AtomicU32 = AtomicU32::new(0);
/// When to try again then.
const RETRY: Duration = Duration::from_millis(10);

fn task() -> MutexGuard<'static, Option<Task>> {
    TASK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `func(*args, **kwargs)` every `delay` seconds, at the first allocation that comes at least so long after the last call.
///
/// Enables tracing if it is off. There is one timer: a second call takes the place of the first. The function runs in the main
/// thread, never while it is still running; an exception goes to `sys.unraisablehook`, and the timer goes on.
#[pyfunction]
#[pyo3(signature = (delay, func, args = None, kwargs = None), text_signature = "(delay, func, args=(), kwargs={})")]
fn start_timer(
    py: Python<'_>,
    delay: &Bound<'_, PyAny>,
    func: &Bound<'_, PyAny>,
    args: Option<&Bound<'_, PyAny>>,
    kwargs: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let new = Task {
        delay: seconds(delay)?,
        function: callable(func)?,
        args: positional(py, args)?,
        kwargs: keywords(py, kwargs)?,
    };
    prepare(py)?;
    control::enable_with_defaults(py)?;
    let delay = new.delay;
    let old = task().replace(new);
    drop(old); // outside the lock: what it releases may run Python
    if RUNNING.load(Ordering::Relaxed) {
        return Ok(()); // armed when the running function has returned
    }
    arm(delay)
}

fn arm(delay: Duration) -> PyResult<()> {
    timer::arm(delay, fire)
        .map_err(|error| PyRuntimeError::new_err(format!("cannot start the timer: {error}")))
}

/// Stops the timer. Does nothing when there is none.
#[pyfunction]
pub(crate) fn stop_timer() {
    timer::disarm();
    let old = task().take();
    drop(old);
}

/// Has the timer wait until `release_timer()`.
#[pyfunction]
fn hold_timer() {
    HELD.fetch_add(1, Ordering::Relaxed);
}

/// Undoes one `hold_timer()`.
#[pyfunction]
fn release_timer() {
    HELD.fetch_sub(1, Ordering::Relaxed);
}

/// Called by the interpreter between two instructions of the main thread.
extern "C" fn fire(_: *mut c_void) -> c_int {
    // None when the interpreter is shutting down: then nothing is called any more.
    let _ = Python::try_attach(call);
    0
}

fn call(py: Python<'_>) {
    let Some((function, args, kwargs)) = task().as_ref().map(|task| {
        (
            task.function.clone_ref(py),
            task.args.clone_ref(py),
            task.kwargs.clone_ref(py),
        )
    }) else {
        return; // stopped while the call was pending
    };
    if HELD.load(Ordering::Relaxed) > 0 {
        if let Err(error) = arm(RETRY) {
            error.write_unraisable(py, None);
        }
        return;
    }
    if RUNNING.swap(true, Ordering::Relaxed) {
        return;
    }
    let function = function.into_bound(py);
    if let Err(error) = function.call(args.bind(py), Some(kwargs.bind(py))) {
        error.write_unraisable(py, Some(&function));
    }
    RUNNING.store(false, Ordering::Relaxed);
    let delay = task().as_ref().map(|task| task.delay);
    if let Some(delay) = delay
        && let Err(error) = arm(delay)
    {
        error.write_unraisable(py, Some(&function));
    }
}

/// Once: no thread of ours while the program forks, and no call while the interpreter shuts down.
fn prepare(py: Python<'_>) -> PyResult<()> {
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let hooks = PyDict::new(py);
    let function =
        |function: fn()| PyCFunction::new_closure(py, None, None, move |_, _| function());
    hooks.set_item("before", function(crate::run::fork::before)?)?;
    hooks.set_item(
        "after_in_parent",
        function(crate::run::fork::after_in_parent)?,
    )?;
    hooks.set_item("after_in_child", function(heapsight_tracer::resume)?)?;
    py.import("os")?
        .call_method("register_at_fork", (), Some(&hooks))?;
    py.import("atexit")?
        .call_method1("register", (function(stop_timer)?,))?;
    Ok(())
}

/// A number of seconds, of a millisecond at least.
fn seconds(delay: &Bound<'_, PyAny>) -> PyResult<Duration> {
    const SHORTEST_SECONDS: f64 = 1e-3;
    let number = match delay.extract::<f64>() {
        Ok(number) if !delay.is_instance_of::<PyBool>() => Some(number),
        // An integer that no float can hold.
        Err(error) if error.is_instance_of::<PyOverflowError>(delay.py()) => None,
        _ => {
            return Err(arguments::wrong_type(
                delay,
                "delay must be a number of seconds",
            ));
        }
    };
    let longest = f64::from(u32::MAX);
    match number {
        Some(seconds) if (SHORTEST_SECONDS..=longest).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err(PyValueError::new_err(format!(
            "delay must be from {SHORTEST_SECONDS} to {} seconds, not {}",
            u32::MAX,
            arguments::shown(delay)
        ))),
    }
}

fn callable(function: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    if function.is_callable() {
        Ok(function.clone().unbind())
    } else {
        Err(arguments::wrong_type(function, "func must be callable"))
    }
}

fn positional(py: Python<'_>, args: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyTuple>> {
    let Some(args) = args else {
        return Ok(PyTuple::empty(py).unbind());
    };
    let items = args
        .try_iter()
        .map_err(|_| arguments::wrong_type(args, "args must be an iterable of arguments"))?;
    Ok(PyTuple::new(py, items.collect::<PyResult<Vec<_>>>()?)?.unbind())
}

fn keywords(py: Python<'_>, kwargs: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyDict>> {
    let copy = PyDict::new(py);
    let Some(kwargs) = kwargs else {
        return Ok(copy.unbind());
    };
    let mapping = kwargs.cast::<pyo3::types::PyMapping>().map_err(|_| {
        arguments::wrong_type(kwargs, "kwargs must be a mapping of names to arguments")
    })?;
    copy.update(mapping)?;
    if copy
        .keys()
        .iter()
        .any(|key| !key.is_instance_of::<pyo3::types::PyString>())
    {
        return Err(PyTypeError::new_err(format!(
            "the keys of kwargs must be strings: {}",
            arguments::shown(&copy)
        )));
    }
    Ok(copy.unbind())
}

/// Moves the timer's clock on by so many seconds, for tests.
#[pyfunction]
fn advance_timer(seconds: u32) {
    timer::advance(Duration::from_secs(u64::from(seconds)));
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(start_timer, module)?)?;
    module.add_function(wrap_pyfunction!(hold_timer, module)?)?;
    module.add_function(wrap_pyfunction!(release_timer, module)?)?;
    module.add_function(wrap_pyfunction!(stop_timer, module)?)
}

pub(crate) fn register_testing(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(advance_timer, module)?)
}
