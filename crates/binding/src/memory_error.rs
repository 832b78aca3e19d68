//! `MemoryError` from functions that Python calls, when memory for a Python object ran out in them.
//!
//! pyo3 makes integers, strings, tuples, lists and dicts by functions that cannot return an error: when CPython has no
//! memory for one they panic, and pyo3 aborts the process if there is none for a `PanicException` either. A program
//! that handles `MemoryError` must get just that. So the functions carry `#[or_memory_error]`, which runs their body in
//! one of the functions here. Nothing that allocates is left to do for pyo3 after that: what is returned is an object
//! already, and an exception has been made.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::{IntoPyObjectExt, PyResult};

/// What pyo3 says (`panic_on_null` in its `instance.rs`) when CPython gave no object. It has written the exception to
/// `sys.unraisablehook` before.
const NO_OBJECT: &str = "PyObject pointer is null";

/// What functions return to pyo3: nothing is left to convert.
pub(crate) type Made = PyResult<Py<PyAny>>;

/// Runs the body and makes an object of what it returns.
pub(crate) fn make<'py, T: IntoPyObject<'py>>(body: impl FnOnce() -> PyResult<T>) -> Made {
    // SAFETY: only functions that Python calls are wrapped (`or_memory_error`), so this thread is attached until they
    // return.
    let py: Python<'py> = unsafe { Python::assume_attached() };
    attempt(|| body()?.into_py_any(py))
}

/// As [`make`], for a body that does not fail.
pub(crate) fn make_plain<'py, T: IntoPyObject<'py>>(body: impl FnOnce() -> T) -> Made {
    make(|| Ok(body()))
}

/// Runs the body; an exception is raised, so made, here.
pub(crate) fn attempt<T>(body: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    // SAFETY: as in `make`.
    let py = unsafe { Python::assume_attached() };
    let _inside = Inside::enter();
    // What a body changes half-way is what it changes when an error is returned half-way: its locks forgive poison.
    let result = panic::catch_unwind(AssertUnwindSafe(|| {
        body().map_err(|error| {
            error.restore(py);
            PyErr::fetch(py)
        })
    }));
    match result {
        Ok(result) => result,
        Err(payload) if is_no_object(payload.as_ref()) => {
            // SAFETY: the thread is attached. CPython keeps instances for when there is no memory for one.
            unsafe { ffi::PyErr_NoMemory() };
            Err(PyErr::fetch(py))
        }
        Err(payload) => panic::resume_unwind(payload),
    }
}

fn is_no_object(payload: &(dyn Any + Send)) -> bool {
    payload
        .downcast_ref::<&str>()
        .is_some_and(|text| *text == NO_OBJECT)
}

thread_local! {
    /// Calls of [`attempt`] in this thread, one within the other.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// While it lives, panics of this thread for want of an object are caught.
struct Inside;

impl Inside {
    fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Lets no panic that becomes a `MemoryError` be printed as one. Call once.
pub(crate) fn keep_quiet() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if DEPTH.get() == 0 || !is_no_object(info.payload()) {
            print(info);
        }
    }));
}
