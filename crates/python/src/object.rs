//! Where the memory block of an object begins.

use std::ffi::c_ulong;

use pyo3::ffi;
use pyo3::prelude::*;

/// The collector's links, `sizeof(PyGC_Head)`: two words before every object of a collected type; none in free-threaded builds.
const GC_HEADER_BYTES: usize = if cfg!(Py_GIL_DISABLED) {
    0
} else {
    2 * size_of::<usize>()
};
/// Pointers to an instance's dictionary (or values) and weak references: two words before those (`_PyType_PreHeaderSize`, 3.11+).
const PRE_HEADER_BYTES: usize = 2 * size_of::<usize>();

/// `Py_TPFLAGS_HAVE_GC` (object.h).
const HAVE_GC: c_ulong = 1 << 14;
/// `Py_TPFLAGS_MANAGED_DICT`, 3.11+ (object.h).
const MANAGED_DICT: c_ulong = 1 << 4;
/// `Py_TPFLAGS_MANAGED_WEAKREF`, 3.12+ (object.h).
const MANAGED_WEAKREF: c_ulong = 1 << 3;

/// The address of the memory block that holds the object: what stands before the object itself is part of it.
#[pyfunction]
fn get_object_address(obj: &Bound<'_, PyAny>) -> usize {
    block_address(obj)
}

pub(crate) fn block_address(obj: &Bound<'_, PyAny>) -> usize {
    // SAFETY: the object and so its type are alive, and the thread is attached.
    let flags = unsafe { ffi::PyType_GetFlags(ffi::Py_TYPE(obj.as_ptr())) };
    obj.as_ptr() as usize - header_bytes(flags, obj.py().version_info().minor)
}

/// Bytes before an object whose type has these flags, in Python 3.`minor`.
fn header_bytes(flags: c_ulong, minor: u8) -> usize {
    let pre_header_flags = match minor {
        ..=10 => 0,
        11 => MANAGED_DICT,
        12.. => MANAGED_DICT | MANAGED_WEAKREF,
    };
    let collected = if flags & HAVE_GC == 0 {
        0
    } else {
        GC_HEADER_BYTES
    };
    let managed = if flags & pre_header_flags == 0 {
        0
    } else {
        PRE_HEADER_BYTES
    };
    collected + managed
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(get_object_address, module)?)
}
