//! `start_timer` and `stop_timer`: a Python function called from time to time.
//!
//! When the time has come, the call is left to the interpreter as a *pending call*: it makes it between two
//! instructions of the main thread. If that does not come within a tenth of a second, because it waits for something,
//! the timer's own thread takes the GIL and makes the call. Whoever is first takes it; a timer that was replaced or
//! stopped meanwhile has nothing to take.

mod interrupt;

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use heapsight_edge::or_memory_error;
use heapsight_tracer::timer::{self, Ticket, Word};
use pyo3::exceptions::{
    PyKeyboardInterrupt, PyOverflowError, PyRuntimeError, PySystemExit, PyTypeError, PyValueError,
};
use pyo3::ffi;
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

/// How many are at something that the function must not see half done.
static HELD: AtomicU32 = AtomicU32::new(0);
/// When to try again then.
const RETRY: Duration = Duration::from_millis(10);

struct State {
    task: Option<Task>,
    /// The thread in which the function runs. It is called again only after it has returned.
    running: Option<ThreadId>,
}

static STATE: Mutex<State> = Mutex::new(State {
    task: None,
    running: None,
});

/// Held for a moment only, by a thread that is attached: no Python runs meanwhile.
fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `func(*args, **kwargs)` every `delay` seconds. Enables tracing if it is off. There is one timer: a second call
/// takes the place of the first.
///
/// The function is called in the main thread, between two of its instructions; when that waits for something (a lock, a
/// sleep, a file), after a tenth of a second in a thread of heapsight's own. It is never called while it is still
/// running. KeyboardInterrupt and SystemExit raised by it are raised in the main thread; any other exception goes to
/// `sys.unraisablehook`. The timer goes on in either case.
#[pyfunction]
#[pyo3(signature = (delay, func, args = None, kwargs = None), text_signature = "(delay, func, args=(), kwargs={})")]
#[or_memory_error]
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
    interrupt::prepare(py);
    control::enable_with_defaults(py)?;
    let delay = new.delay;
    let (old, is_running) = {
        let mut state = state();
        (state.task.replace(new), state.running.is_some())
    };
    drop(old); // outside the lock: what it releases may run Python
    if is_running {
        return Ok(()); // armed when the running function has returned
    }
    arm(delay)
}

fn arm(delay: Duration) -> PyResult<()> {
    match timer::arm(delay, request_call) {
        Ok(_) => Ok(()),
        Err(error) => Err(PyRuntimeError::new_err(format!(
            "cannot start the timer: {error}"
        ))),
    }
}

/// Stops the timer. Does nothing when there is none.
#[pyfunction]
pub(crate) fn stop_timer() {
    timer::disarm();
    let old = state().task.take();
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

/// What the timer says, on its own thread: see that the call is made.
fn request_call(word: Word, ticket: Ticket) {
    // None when the interpreter has ended: then nothing is called any more.
    let _ = Python::try_attach(|py| match word {
        Word::Due => {
            // With the GIL: without it, interpreters before 3.12 look at the state of whatever thread has it.
            // SAFETY: the function has C's calling convention, and unwinds never.
            let _ = unsafe { ffi::Py_AddPendingCall(Some(make_pending), ticket as *mut c_void) };
            // A queue that is full leaves the call to the second word.
        }
        Word::Late => {
            if let Err(error) = make(py, ticket) {
                interrupt::raise_in_main_thread(py, error);
            }
        }
    });
}

/// Called by the interpreter between two instructions of the main thread.
extern "C" fn make_pending(ticket: *mut c_void) -> c_int {
    let made = Python::try_attach(|py| {
        make(py, ticket as Ticket)
            .map_err(|error| error.restore(py))
            .is_ok()
    });
    if made == Some(false) { -1 } else { 0 }
}

/// Makes the call, unless somebody else has made it or it was taken back.
///
/// # Errors
/// What is for the main thread: `KeyboardInterrupt`, `SystemExit`.
fn make(py: Python<'_>, ticket: Ticket) -> PyResult<()> {
    if !timer::claim(ticket) {
        return Ok(());
    }
    if HELD.load(Ordering::Relaxed) > 0 {
        if let Err(error) = arm(RETRY) {
            error.write_unraisable(py, None);
        }
        return Ok(());
    }
    let call = {
        let mut state = state();
        let call = state.task.as_ref().map(|task| {
            (
                task.function.clone_ref(py),
                task.args.clone_ref(py),
                task.kwargs.clone_ref(py),
            )
        });
        if call.is_some() {
            state.running = Some(thread::current().id());
        }
        call
    };
    let Some((function, args, kwargs)) = call else {
        return Ok(());
    };
    let function = function.into_bound(py);
    let result = function.call(args.bind(py), Some(kwargs.bind(py)));
    let delay = {
        let mut state = state();
        state.running = None;
        state.task.as_ref().map(|task| task.delay)
    };
    if let Some(Err(error)) = delay.map(arm) {
        error.write_unraisable(py, Some(&function));
    }
    match result {
        Ok(_) => Ok(()),
        Err(error)
            if error.is_instance_of::<PyKeyboardInterrupt>(py)
                || error.is_instance_of::<PySystemExit>(py) =>
        {
            Err(error)
        }
        Err(error) => {
            error.write_unraisable(py, Some(&function));
            Ok(())
        }
    }
}

/// Is the present interpreter prepared?
static IS_PREPARED: AtomicBool = AtomicBool::new(false);

/// Once for each interpreter that the process has in turn: no thread of ours while the program forks, and no call while
/// the interpreter ends.
fn prepare(py: Python<'_>) -> PyResult<()> {
    if IS_PREPARED.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let hooks = PyDict::new(py);
    let function = |function: fn(Python<'_>)| {
        PyCFunction::new_closure(py, None, None, move |args, _| function(args.py()))
    };
    hooks.set_item("before", function(crate::run::fork::before)?)?;
    hooks.set_item(
        "after_in_parent",
        function(|_| crate::run::fork::after_in_parent())?,
    )?;
    hooks.set_item("after_in_child", function(after_in_child)?)?;
    py.import("os")?
        .call_method("register_at_fork", (), Some(&hooks))?;
    py.import("atexit")?
        .call_method1("register", (function(end)?,))?;
    Ok(())
}

/// A forked child has the thread that forked and no other: a function that another one was in is not running there.
fn after_in_child(py: Python<'_>) {
    crate::run::fork::after_in_child(py);
    interrupt::after_in_child(py);
    let delay = {
        let mut state = state();
        let is_gone = state
            .running
            .take_if(|running| *running != thread::current().id())
            .is_some();
        let delay = state.task.as_ref().map(|task| task.delay);
        delay.filter(|_| is_gone)
    };
    if let Some(Err(error)) = delay.map(arm) {
        error.write_unraisable(py, None);
    }
}

/// The interpreter is about to end.
fn end(py: Python<'_>) {
    stop_timer();
    py.detach(timer::end);
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
    let items = args.try_iter().map_err(|error| {
        arguments::refused(args.py(), error, || {
            arguments::wrong_type(args, "args must be an iterable of arguments")
        })
    })?;
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
    // This is the first interpreter of the process, or one that comes after another's end.
    timer::begin();
    IS_PREPARED.store(false, Ordering::Relaxed);
    module.add_function(wrap_pyfunction!(start_timer, module)?)?;
    module.add_function(wrap_pyfunction!(hold_timer, module)?)?;
    module.add_function(wrap_pyfunction!(release_timer, module)?)?;
    module.add_function(wrap_pyfunction!(stop_timer, module)?)
}

pub(crate) fn register_testing(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(advance_timer, module)?)
}
