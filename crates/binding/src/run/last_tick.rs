//! The ways out of a process that run no exit function: `os._exit`, `os.abort`, and `os.exec…`, which lets another
//! program take its place.
//!
//! Before any of them the recorder writes a tick, so that nothing of the recording is lost. A built-in function is
//! called through a pointer that its object holds (`vectorcall`, PEP 590), and that one is replaced: by one C function
//! of ours, which writes the tick and calls what was there. The objects stay, and so does all that a program can ask of
//! them: the definition, from which their hash is made, too.
//!
//! From 3.11 on the interpreter calls a function past that pointer where it has often been called from the same
//! instruction. These do not come back, so this concerns an `os.exec…` alone that failed there some ten times before.
//! The recording then ends with the tick before.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use heapsight_tracer::{recorder, running_build, vectorcall_place};
use pyo3::ffi::{self, vectorcallfunc};
use pyo3::prelude::*;

use crate::run::recording;

/// Functions of `posix`; the others of `os` call these.
const NAMES: [&str; 4] = ["_exit", "execve", "execv", "abort"];

/// The functions by address, each with the pointer that was there.
static ORIGINALS: OnceLock<Vec<(usize, vectorcallfunc)>> = OnceLock::new();

/// From now on the recorder writes a tick before the process is left. What cannot be arranged is left as it is.
pub(crate) fn arrange(py: Python<'_>) {
    let Ok(posix) = py.import("posix") else {
        return;
    };
    let functions = NAMES.map(|name| posix.getattr(name).ok());
    let known = functions.iter().flatten().filter_map(|function| {
        let place = vectorcall_of(function)?;
        // SAFETY: the place is inside a live object.
        let original = unsafe { place.read() }?;
        Some((function.as_ptr() as usize, original))
    });
    if ORIGINALS.set(known.collect()).is_err() {
        return; // arranged already
    }
    for function in functions.iter().flatten() {
        if original(function.as_ptr()).is_some()
            && let Some(place) = vectorcall_of(function)
        {
            // SAFETY: as above. The thread is attached, so nobody calls the function meanwhile; and one who did would
            // find either.
            unsafe { place.write(Some(stand_in)) };
        }
    }
}

/// Where the object of a built-in function holds what it is called through. `None` when it is none, or not as we know
/// them.
fn vectorcall_of(function: &Bound<'_, PyAny>) -> Option<*mut Option<vectorcallfunc>> {
    let object = function.as_ptr();
    let build = running_build().ok()?;
    // SAFETY: 1. the first two functions may be asked of any object, and fail for what is no built-in function.
    // 2. The offsets are those of the interpreter that runs.
    unsafe {
        let (Some(known), receiver) = (
            ffi::PyCFunction_GetFunction(object),
            ffi::PyCFunction_GetSelf(object),
        ) else {
            drop(PyErr::take(function.py()));
            return None;
        };
        let place = vectorcall_place(
            &build.offsets,
            object.cast(),
            known as *const c_void,
            receiver.cast(),
        );
        place.map(|place| place.cast())
    }
}

fn original(function: *mut ffi::PyObject) -> Option<vectorcallfunc> {
    let known = ORIGINALS.get()?.iter();
    let mut found = known.filter(|(address, _)| *address == function as usize);
    found.next().map(|(_, original)| *original)
}

/// Writes a tick and calls the original.
unsafe extern "C" fn stand_in(
    function: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: usize,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    write_tick();
    let Some(original) = original(function) else {
        std::process::abort() // only functions that are known come here
    };
    // SAFETY: it was what this function was called through; the arguments are passed on as they came.
    unsafe { original(function, arguments, count, keywords) }
}

fn write_tick() {
    // A panic must not reach C. It has already printed what is wrong, and the process ends as it would.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // A forked child that is not recorded leaves the recorder alone: its locks may be held by threads that stayed
        // in the parent.
        if recording::is_recorded() {
            recorder::tick_now();
        }
    }));
}
