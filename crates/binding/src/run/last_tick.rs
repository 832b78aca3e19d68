//! The ways out of a process that run no exit function: `os._exit`, `os.abort`, and `os.exec…`, which lets another program take its place.
//!
//! Before any of them the recorder writes a tick, so that nothing of the recording is lost. The functions stay the same objects; only the
//! definition that they point to is a copy, whose C function writes the tick and then calls the original.

use std::ffi::{c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use heapsight_tracer::recorder;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::run::recording;

/// The beginning of every built-in function, `PyCFunctionObject` in `cpython/methodobject.h`: the same from Python 3.9 to 3.15.
#[repr(C)]
struct Head {
    base: ffi::PyObject,
    definition: *const Definition,
}

/// `PyMethodDef`, with the C function as an address: what it is called with depends on the flags.
#[derive(Clone, Copy)]
#[repr(C)]
struct Definition {
    name: *const c_char,
    function: *const c_void,
    flags: c_int,
    doc: *const c_char,
}

const METH_NOARGS: c_int = 0x04;
const METH_FASTCALL: c_int = 0x80;
const METH_FASTCALL_KEYWORDS: c_int = 0x82;

type Object = *mut ffi::PyObject;

/// A function that takes the place of one of `posix`.
struct StandIn {
    name: &'static str,
    /// How it is called; another version may have another way, and is then left alone.
    flags: c_int,
    function: *const c_void,
    original: &'static OnceLock<usize>,
}

/// A C function that writes a tick and calls the original. Gives the stand-in.
macro_rules! stand_in {
    ($name:literal, $flags:expr, ($($argument:ident: $type:ty),*)) => {{
        static ORIGINAL: OnceLock<usize> = OnceLock::new();
        unsafe extern "C" fn function($($argument: $type),*) -> Object {
            write_tick();
            let Some(original) = ORIGINAL.get() else { std::process::abort() };
            // SAFETY: 1. the address is that of a C function which the interpreter calls in this way: the flags of its definition were compared.
            // 2. the arguments are passed on as they came.
            unsafe {
                let original: unsafe extern "C" fn($($type),*) -> Object = std::mem::transmute(*original);
                original($($argument),*)
            }
        }
        StandIn {
            name: $name,
            flags: $flags,
            function: function as *const c_void,
            original: &ORIGINAL,
        }
    }};
}

fn stand_ins() -> [StandIn; 4] {
    type Arguments = *const Object;
    [
        stand_in!("_exit", METH_FASTCALL_KEYWORDS, (module: Object, arguments: Arguments, count: ffi::Py_ssize_t, keywords: Object)),
        stand_in!("execve", METH_FASTCALL_KEYWORDS, (module: Object, arguments: Arguments, count: ffi::Py_ssize_t, keywords: Object)),
        stand_in!("execv", METH_FASTCALL, (module: Object, arguments: Arguments, count: ffi::Py_ssize_t)),
        stand_in!("abort", METH_NOARGS, (module: Object, nothing: Object)),
    ]
}

/// From now on the recorder writes a tick before the process is left. What cannot be arranged is left as it is.
pub(crate) fn arrange(py: Python<'_>) {
    if py.version_info() > (3, 15) {
        return;
    }
    let Ok(posix) = py.import("posix") else {
        return;
    };
    for stand_in in stand_ins() {
        if let Ok(function) = posix.getattr(stand_in.name) {
            replace(&function, &stand_in);
        }
    }
}

fn replace(function: &Bound<'_, PyAny>, stand_in: &StandIn) {
    // SAFETY: 1. `PyCFunction_GetFunction` may be asked of any object, and fails for what is no built-in function.
    // 2. the head of one is as declared, in the versions let through: its definition is believed only if it names the function that the API
    // tells, in the way of calling that is expected, which it must not be called in any other way than.
    // 3. the copy of the definition is never freed; all that it points to belongs to the interpreter, which does not free it either.
    // 4. the thread is attached, so nobody calls the function meanwhile; every call reads the definition anew.
    unsafe {
        let object = function.as_ptr();
        let Some(known) = ffi::PyCFunction_GetFunction(object) else {
            drop(PyErr::take(function.py()));
            return;
        };
        let definition = &raw mut (*object.cast::<Head>()).definition;
        let mut copy = std::ptr::read(*definition);
        if copy.function as usize != known as usize
            || copy.flags != stand_in.flags
            || stand_in.original.set(known as usize).is_err()
        {
            return;
        }
        copy.function = stand_in.function;
        *definition = Box::into_raw(Box::new(copy));
    }
}

fn write_tick() {
    // A panic must not reach C; it has said what is wrong, and the process goes its way.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // A forked child that is not recorded leaves the recorder alone: its locks may be held by threads that stayed in the parent.
        if recording::is_recorded() {
            recorder::tick_now();
        }
    }));
}
