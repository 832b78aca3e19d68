//! Forks of a recorded program: heapsight's own threads are away while they happen.
//!
//! Python 3.12 and newer warns of a fork in a process that has other threads, and counts them by asking the system:
//! before or after the `after_in_parent` hooks, depending on the version. A process whose first thread forks may have
//! no other one, so there our threads are started again only when `os.fork` has returned: by a pending call, which the
//! first thread runs right then. Where another thread forks there are two at least, and Python warns with us as without
//! us. So there they are started at once: the first thread may be waiting, and run no pending call for as long as the
//! program lives.
//!
//! A child that another thread than the first forked runs no pending call at all from 3.13 on: the interpreter goes on
//! telling the main thread of the parent, which is not there. So in such a child, too, threads are started at once, and
//! the timer does not wait for the main thread. (Of a fork in such a child, an interpreter that counts threads late may
//! warn.)

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering::Relaxed};

use heapsight_tracer::{recorder, timer};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::run::recording;

/// The frame that called `os.fork`, as an identity only: it is compared, never read.
static FORKING_FRAME: AtomicPtr<ffi::PyFrameObject> = AtomicPtr::new(ptr::null_mut());

/// Was the thread that forks last the first of its process?
static IS_FORKED_BY_FIRST: AtomicBool = AtomicBool::new(true);
/// Does the interpreter make pending calls in this process?
static HAS_PENDING_CALLS: AtomicBool = AtomicBool::new(true);

/// Ends heapsight's own threads. To be called before a fork.
#[pyfunction]
fn run_before_fork(py: Python<'_>) {
    before(py);
    if recording::is_following() {
        // The child's file begins here: without this, the parent's share of their combined memory would be known from
        // its next tick on only.
        recorder::tick_now();
    }
}

/// Ends every thread of heapsight's own.
pub(crate) fn before(py: Python<'_>) {
    IS_FORKED_BY_FIRST.store(heapsight_tracer::is_first_thread(), Relaxed);
    if timer::has_thread() {
        py.detach(heapsight_tracer::pause); // it may be on its way to the GIL
    } else {
        heapsight_tracer::pause();
    }
}

/// Has the threads started again, in the parent of a fork.
#[pyfunction]
fn run_after_fork() {
    after_in_parent();
}

/// Has the threads started again, in the first thread as soon as `os.fork` has returned.
pub(crate) fn after_in_parent() {
    if !(heapsight_tracer::is_first_thread() && HAS_PENDING_CALLS.load(Relaxed)) {
        heapsight_tracer::resume();
        return;
    }
    // SAFETY: the thread is attached: Python called us. The frame is borrowed from it.
    FORKING_FRAME.store(unsafe { ffi::PyEval_GetFrame() }, Relaxed);
    schedule();
}

/// Has the threads started again, in the child of a fork: those that it has itself.
#[pyfunction]
fn run_after_fork_in_child(py: Python<'_>) {
    after_in_child(py);
}

/// Has the threads started again, in the child of a fork.
pub(crate) fn after_in_child(py: Python<'_>) {
    // A child of such a child is none the better for being forked by its first thread.
    if !IS_FORKED_BY_FIRST.load(Relaxed) && py.version_info() >= (3, 13) {
        HAS_PENDING_CALLS.store(false, Relaxed);
        timer::expect_nobody();
    }
    heapsight_tracer::resume();
}

fn schedule() {
    // SAFETY: may be called at any time; the function has C's calling convention and unwinds never.
    if unsafe { ffi::Py_AddPendingCall(Some(resume), ptr::null_mut()) } != 0 {
        heapsight_tracer::resume(); // the queue is full: a warning too many does less harm than no recording
    }
}

/// Called by the interpreter between two instructions of the main thread: of the frame that forked, or of a hook below
/// it.
extern "C" fn resume(_: *mut c_void) -> c_int {
    if Python::attach(is_below_the_forking_frame) {
        schedule();
    } else {
        heapsight_tracer::resume();
    }
    0
}

/// Whether the running frame was called by the frame that forked: then it is a hook's, and `os.fork` has not returned.
fn is_below_the_forking_frame(py: Python<'_>) -> bool {
    let forking = FORKING_FRAME.load(Relaxed).cast::<ffi::PyObject>();
    // SAFETY: the thread is attached; the result is borrowed, and may be null.
    let running = unsafe { Bound::from_borrowed_ptr_or_opt(py, ffi::PyEval_GetFrame().cast()) };
    std::iter::successors(running.as_ref().and_then(caller), caller)
        .any(|frame| frame.as_ptr() == forking)
}

fn caller<'py>(frame: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    frame.getattr("f_back").ok().filter(|back| !back.is_none())
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(run_before_fork, module)?)?;
    module.add_function(wrap_pyfunction!(run_after_fork, module)?)?;
    module.add_function(wrap_pyfunction!(run_after_fork_in_child, module)?)
}
