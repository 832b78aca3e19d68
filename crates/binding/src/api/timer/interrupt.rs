//! Raising an exception in the main thread from another one, also while that waits for something.
//!
//! What waits in Python (a sleep, a lock, `select`) goes on waiting after a signal, unless a handler written in Python
//! raises something. So one is put, when the first timer is started, on a signal that nobody uses; it is sent only when
//! a function that ran on the timer's thread raises `KeyboardInterrupt` or `SystemExit`. Where there can be no such
//! handler, the exception comes when the main thread runs Python again.

use std::ffi::{c_int, c_void};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use heapsight_tracer::timer;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyCFunction;

/// The exception on its way.
static RAISED: Mutex<Option<PyErr>> = Mutex::new(None);
static TAKEN: Condvar = Condvar::new();

/// What is needed to reach the main thread.
static REACH: Mutex<Option<Reach>> = Mutex::new(None);

struct Reach {
    signal: c_int,
    handler: Py<PyAny>,
    main_thread: Py<PyAny>,
}

/// Names in `signal` of the signals that may be taken, counted back from the highest: the lowest are the C library's,
/// the highest others like.
const FROM_HIGHEST: std::ops::RangeInclusive<c_int> = 5..=9;

fn raised() -> MutexGuard<'static, Option<PyErr>> {
    RAISED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reach() -> MutexGuard<'static, Option<Reach>> {
    REACH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts the handler there, once. Nothing is lost where that is not possible: only the main thread may, and only if a
/// signal is free.
pub(super) fn prepare(py: Python<'_>) {
    if reach().is_none() {
        let found = find_reach(py).ok().flatten();
        *reach() = found;
    }
}

/// In a forked child, the thread that forked is the main thread.
pub(super) fn after_in_child(py: Python<'_>) {
    let this_thread = this_thread(py);
    let _old = reach().as_mut().and_then(|reach| {
        let this_thread = this_thread.ok()?;
        Some(std::mem::replace(&mut reach.main_thread, this_thread))
    });
}

fn this_thread(py: Python<'_>) -> PyResult<Py<PyAny>> {
    Ok(py.import("_thread")?.call_method0("get_ident")?.unbind())
}

fn find_reach(py: Python<'_>) -> PyResult<Option<Reach>> {
    let signals = py.import("_signal")?;
    let highest: c_int = signals.getattr("SIGRTMAX")?.extract()?;
    let default = signals.getattr("SIG_DFL")?;
    for signal in FROM_HIGHEST.map(|below| highest - below) {
        if !signals.call_method1("getsignal", (signal,))?.eq(&default)? {
            continue;
        }
        let handler = PyCFunction::new_closure(py, None, None, |_, _| take().map_or(Ok(()), Err))?;
        // Refused off the main thread.
        signals.call_method1("signal", (signal, &handler))?;
        return Ok(Some(Reach {
            signal,
            handler: handler.into_any().unbind(),
            main_thread: this_thread(py)?,
        }));
    }
    Ok(None)
}

fn take() -> Option<PyErr> {
    let taken = raised().take();
    TAKEN.notify_all();
    taken
}

/// Has `error` raised in the main thread. Returns when it has been, or when nothing more can be done for it.
pub(super) fn raise_in_main_thread(py: Python<'_>, error: PyErr) {
    let old = raised().replace(error);
    drop(old); // outside the lock: what it releases may run Python
    // SAFETY: the function has C's calling convention, and unwinds never. A full queue leaves it to the signal.
    unsafe { ffi::Py_AddPendingCall(Some(raise_pending), std::ptr::null_mut()) };
    // Again and again: a signal that comes just before the main thread begins to wait does not wake it.
    while send_signal(py).unwrap_or(false) && !py.detach(is_taken_in_a_moment) {}
}

fn is_taken_in_a_moment() -> bool {
    let is_waiting = |raised: &mut Option<PyErr>| raised.is_some();
    let (raised, _) = TAKEN
        .wait_timeout_while(raised(), timer::PATIENCE, is_waiting)
        .unwrap_or_else(PoisonError::into_inner);
    raised.is_none()
}

/// Sends the signal, if it still has our handler: tells whether it has.
fn send_signal(py: Python<'_>) -> PyResult<bool> {
    let reach = {
        let reach = reach();
        reach.as_ref().map(|reach| {
            let (handler, main_thread) =
                (reach.handler.clone_ref(py), reach.main_thread.clone_ref(py));
            (reach.signal, handler, main_thread)
        })
    };
    let Some((signal, handler, main_thread)) = reach else {
        return Ok(false);
    };
    let signals = py.import("_signal")?;
    let is_ours = signals.call_method1("getsignal", (signal,))?.is(&handler);
    if is_ours {
        signals.call_method1("pthread_kill", (main_thread, signal))?;
    }
    Ok(is_ours)
}

/// Called by the interpreter between two instructions of the main thread.
extern "C" fn raise_pending(_: *mut c_void) -> c_int {
    let raised = Python::try_attach(|py| take().map(|error| error.restore(py)).is_some());
    if raised == Some(true) { -1 } else { 0 }
}
